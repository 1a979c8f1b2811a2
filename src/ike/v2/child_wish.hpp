// What a packet asks for and what answers it (RFC 4301 4.4.1.2 and 5.1, RFC 7296 2.9): the selectors to offer for a
// wish, and whether a Child SA fulfils one.
#pragma once

#include <optional>
#include <utility>

#include "ike/face.hpp"
#include "ike/v2/child_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// True when the outbound packet is one that an SA with these selectors carries.
[[nodiscard]] bool carries(const model::TrafficSelectors& local, const model::TrafficSelectors& remote,
                           const net::PacketInfo& packet);
/// True when the pair may carry the packet, carries no more than the wish allows and is for the same resource.
[[nodiscard]] bool fulfils(const ChildSa& child, const ChildWish& wish);
/// The same wish: it can be answered with the same Child SA.
[[nodiscard]] bool same_wish(const ChildWish& a, const ChildWish& b);

/// What a pair like this one is to be wanted for; nothing when it is all that the connection has.
[[nodiscard]] std::optional<ChildWish> wish_like(const ChildSa& child);

/// Local and remote selectors for TSi and TSr: in front one for the packet alone, so that a responder who narrows keeps
/// that (RFC 7296 2.9), then the wish's.
[[nodiscard]] std::pair<model::TrafficSelectors, model::TrafficSelectors> selectors_to_offer(const ChildWish& wish);
/// What a pair for this wish is limited to; nothing when it is all that the connection has.
[[nodiscard]] Boxed<ChildScope> scope_of(const ChildWish& wish, const model::ConnectionConfig& config);

}  // namespace culvert::ike::v2
