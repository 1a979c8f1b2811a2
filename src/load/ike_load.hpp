// IkeLoad: many IKE initiators in one thread, against one responder over real sockets; counts what becomes of them and
// how long it takes. The initiators are our own IKE core, so they keep every rule that an ordinary peer keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"
#include "ike/v2/credentials.hpp"
#include "model/proposal.hpp"
#include "net/address.hpp"

namespace culvert::load {

struct IkeLoadOptions {
  net::IpAddress local;  // all initiators share it: they differ by identity and SPI
  net::IpAddress peer;
  std::uint16_t ike_port = 500;   // ours and the peer's
  std::uint16_t nat_port = 4500;  // likewise
  std::size_t initiators = 1000;
  std::size_t at_once = 16;  // set-ups, or rekeys, under way at the same time
  SecretBytes secret;        // the pre-shared key of all; not used with credentials
  /// What each initiator authenticates with by certificate, in their order; empty: by the secret.
  std::vector<ike::v2::Credentials> credentials;
  Bytes authorities;                        // with credentials: as ConnectionConfig has them
  std::string local_id = "site{}.example";  // {}: the initiator's number, from 0
  std::string remote_id;
  net::Prefix inner = *net::Prefix::parse("10.0.0.0/8");  // initiator n protects the n-th address of it ...
  /// Instead of `inner`: asks the responder for an address (RFC 7296 2.19).
  bool request_address = false;
  net::Prefix remote = *net::Prefix::parse("0.0.0.0/0");  // ... towards this
  std::vector<model::Proposal> ike_proposals = model::default_ike_proposals();
  std::vector<model::Proposal> esp_proposals = model::default_esp_proposals();
  bool rekey = false;                            // afterwards, each IKE SA once and each Child SA once
  Duration hold{};                               // at last, how long they stand and answer what the responder asks
  Duration patience = std::chrono::seconds(60);  // without any set-up or failure, before it gives up
};

/// What became of one kind of exchange.
struct IkeLoadPhase {
  std::size_t done = 0;
  double seconds = 0;                           // of the whole phase
  std::vector<double> milliseconds;             // of each that was done, sorted
  std::map<std::string, std::size_t> failures;  // by reason

  /// The latency that the share `part` of those done stays within; 0 when there are none.
  [[nodiscard]] double percentile(double part) const;
};

struct IkeLoadResult {
  IkeLoadPhase set_up;  // IKE_SA_INIT and IKE_AUTH with a Child SA
  IkeLoadPhase rekey_ike;
  IkeLoadPhase rekey_child;
  IkeLoadPhase hold;  // done: those that stand at its end
  std::uint64_t retransmissions = 0;
};

/// Runs it all; `between` is called with the name of each phase ("set-up", "rekey of the IKE SA", "rekey of the Child
/// SA", "hold") right before it begins, and with an empty name when the last has ended and all SAs still stand. At the
/// end the SAs are deleted at the peer. The error is a sentence: which socket could not be opened, and why.
[[nodiscard]] Result<IkeLoadResult, std::string> run_ike_load(const IkeLoadOptions& options,
                                                              const std::function<void(std::string_view)>& between);

}  // namespace culvert::load
