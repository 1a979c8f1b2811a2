// What of a tunnel's `remote` the peer wants to be sent to it: the networks that it has named in its CFG_REPLY (RFC
// 7296 3.15.2).
#pragma once

#include "model/configuration.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::control {

/// The part of `remote` that is in the subnets of `given`, or one of its name servers, which are asked through the
/// tunnel. All of `remote` when the peer has named no subnet, or none in `remote`.
[[nodiscard]] model::TrafficSelectors only_peer_subnets(const model::TrafficSelectors& remote,
                                                        const model::Configuration& given);

}  // namespace culvert::control
