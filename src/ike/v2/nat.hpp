// NAT traversal as far as IKE_SA_INIT and the path are concerned (RFC 7296 2.23): detection, forced UDP encapsulation,
// the move to the NAT-T port, and following a peer whose mapping changed.
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
[[nodiscard]] net::Path path_after_init(const Core& core, const IkeSa& sa, model::EncapsulationPolicy policy);

/// How ESP of the IKE SA's children travels.
[[nodiscard]] model::Encapsulation encapsulation_of(const Core& core, const IkeSa& sa,
                                                    model::EncapsulationPolicy policy);

/// An authentic message that is no replay came on `path`, or ESP did: takes the path over where the RFC wants that.
void follow_peer(Core& core, IkeSa& sa, const net::Path& path);

}  // namespace culvert::ike::v2
