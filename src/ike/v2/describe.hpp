// Sentences for events: what was offered, accepted, sent and refused, in words a user can act on. Text of the peer is
// escaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ike/codec/message.hpp"
#include "ike/face.hpp"
#include "model/proposal.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::ike::v2 {

/// "aes256gcm16-prfsha256-x25519, aes256-sha256-..." ; at most a few proposals, then "...".
[[nodiscard]] std::string describe(const std::vector<model::Proposal>& proposals);
/// The registry's name, or "notification 12345".
[[nodiscard]] std::string describe(model::NotifyType type);
[[nodiscard]] std::string describe(model::KeyExchangeMethod method);
/// "10.1.0.0/16 === 10.2.0.0/16": ours, then the peer's.
[[nodiscard]] std::string describe(const model::TrafficSelectors& local, const model::TrafficSelectors& remote);
/// What a peer may have refused by that notification, of an offer of `proposals` for the selectors `asked`. RFC 7296
/// 2.9: with TS_UNACCEPTABLE it is not the proposals.
[[nodiscard]] std::string describe_refused(model::NotifyType error, const std::vector<model::Proposal>& proposals,
                                           const std::string& asked);

/// "10.1.0.1[tcp/40000] -> 10.2.0.1[tcp/80]".
[[nodiscard]] std::string describe(const net::PacketInfo& packet);

/// Which kind of failure an error notification of the peer stands for.
[[nodiscard]] FailureKind failure_kind(model::NotifyType type);

}  // namespace culvert::ike::v2
