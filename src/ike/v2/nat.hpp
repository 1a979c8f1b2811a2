// NAT traversal as far as IKE_SA_INIT and the path are concerned (RFC 7296 2.23): detection, forced UDP encapsulation
// and the move to the NAT-T port. A peer whose mapping changes is followed in paths.hpp.
#pragma once

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// Adds both NAT_DETECTION notifications for a message that goes from `path.local` to `path.remote`. With the policy
/// udp the source is deliberately one that cannot match, so that every peer encapsulates ESP in UDP.
void add_nat_detection(codec::Message& message, const net::Path& path, model::EncapsulationPolicy policy);

/// Takes what the peer's notifications say about the path on which the message came.
void judge_nat_detection(IkeSa& sa, const codec::Message& message, const net::Path& path);

/// As initiator: where the messages after IKE_SA_INIT go.
[[nodiscard]] net::Path path_after_init(const Core& core, const IkeSa& sa, const model::ConnectionConfig& config);

/// How ESP of the IKE SA's children travels.
[[nodiscard]] model::Encapsulation encapsulation_of(const Core& core, const IkeSa& sa,
                                                    model::EncapsulationPolicy policy);

}  // namespace culvert::ike::v2
