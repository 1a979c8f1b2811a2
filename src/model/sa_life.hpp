// SaLife: how a connection's IKE SAs begin, are proved anew, move to another gateway and come back after an accident.
// What is on by default costs nothing where the peer does not know it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace culvert::model {

/// IKE SAs without a Child SA in IKE_AUTH (RFC 6023): taken from the peer, also begun by us where the peer takes them,
/// insisted on, or refused.
enum class Childless : std::uint8_t { allow, prefer, force, never };
[[nodiscard]] constexpr std::string_view name_of(Childless childless) {
  switch (childless) {
    case Childless::allow: return "allow";
    case Childless::prefer: return "prefer";
    case Childless::force: return "force";
    case Childless::never: return "never";
  }
  return "unknown";
}

struct SaLife {
  Childless childless = Childless::allow;
  /// Tokens that prove a restart (RFC 6290): given to the peer, and taken from it.
  bool crash_detection = true;
  /// How long one authentication is good for (RFC 4478); zero: for ever. As responder told to the peer, as initiator
  /// kept by ourselves.
  Duration reauthentication{};
  /// How long a ticket is good for, with which the peer resumes its IKE SA after an accident (RFC 5723): as responder
  /// given to the peer, as initiator asked for. Zero: none.
  Duration resumption{};
  /// As initiator: go where the gateway sends us (RFC 5685).
  bool follow_redirect = false;
  /// As responder: where peers that can follow are sent, an address or a DNS name; empty: nowhere.
  std::string redirect_to;
  /// Only while there are so many IKE SAs of the connection.
  std::size_t redirect_above = 0;
  /// How long a peer that was sent away has to leave.
  Duration redirect_grace = std::chrono::seconds(60);
  friend bool operator==(const SaLife&, const SaLife&) = default;
};

}  // namespace culvert::model
