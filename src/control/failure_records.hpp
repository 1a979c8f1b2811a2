// Failure records: what went wrong with peers lately, one record for all that went wrong alike. What operators ask for
// when a peer complains; a tunnel's own last failure stands in its TunnelView.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "model/authentication.hpp"
#include "net/address.hpp"

namespace culvert::control {

struct FailureRecord {
  Instant first;  // of those that are counted here
  Instant last;
  std::uint64_t times = 1;
  std::string tunnel;  // empty: none could be told
  net::IpAddress peer;
  std::string identity;  // who the peer said it is, printable; not proved. Empty: it had not said
  bool we_began = false;
  bool child_only = false;  // the IKE SA stands
  std::string kind;         // ike::FailureKind by name
  std::string message;      // of the last
  std::string hint;         // the way out; may be empty
  /// What was wrong with the peer's certificate, signature or identity.
  std::optional<model::AuthenticationRefusal> refusal;
};

/// Bounded: strangers, who are anybody, never push out what happened to tunnels.
class FailureRecords {
 public:
  static constexpr std::size_t kMostOfTunnels = 128;
  static constexpr std::size_t kMostOfStrangers = 64;

  /// Counts it into the record of the same tunnel, peer, identity, kind and failed check, or begins one; the oldest
  /// gives way.
  void note(FailureRecord record);
  /// The latest first.
  [[nodiscard]] std::vector<FailureRecord> views() const;

 private:
  std::list<FailureRecord> of_tunnels_;    // the latest first
  std::list<FailureRecord> of_strangers_;  // so are these
};

}  // namespace culvert::control
