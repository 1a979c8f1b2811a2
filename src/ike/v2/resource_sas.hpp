// Several Child SAs with the same selectors, each for one of our resources (RFC 9611): the fallback, which any resource
// may use, and the pairs beside it. What they have in common, how many there are, and which resource comes next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ike/codec/message.hpp"
#include "ike/v2/child_sa.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

/// How many pairs for single resources one set of selectors may have beside its fallback; 0: we take no part.
[[nodiscard]] std::size_t resource_limit(const model::ConnectionConfig& config);

/// The pair for any resource that has just these selectors and stands; null when there is none.
[[nodiscard]] const ChildSa* find_fallback(const IkeSa& sa, const model::TrafficSelectors& local,
                                           const model::TrafficSelectors& remote);
/// As responder: the fallback beside which the peer wants a further pair, or null: what it asks for is a pair in its
/// own right.
[[nodiscard]] const ChildSa* wanted_beside(const IkeSa& sa, const model::ConnectionConfig& config,
                                           const codec::Message& request);
/// As initiator: the fallback that a pair for the wish's resource may stand beside now; null when there is none, the
/// peer takes no others, or there are enough.
[[nodiscard]] const ChildSa* joinable(const IkeSa& sa, const model::ConnectionConfig& config, const ChildWish& wish);
/// The pairs beside the fallback, whoever made them.
[[nodiscard]] std::size_t count_beside(const IkeSa& sa, const ChildSa& fallback);

/// For a pair that the peer makes: the resource with the fewest pairs of this group, the fallback among them where one
/// resource has it, and those that we are about to make. Whoever makes the pair sets Core::next_resource behind it.
[[nodiscard]] std::uint32_t next_resource(const Core& core, const IkeSa& sa, const ChildSa& fallback);
/// The place of a new pair beside the fallback.
[[nodiscard]] ResourceGroup group_beside(Core& core, std::uint32_t resource);
/// What is left of the proposals when all but the key exchange is to be as in the suite; empty when nothing is.
[[nodiscard]] std::vector<model::Proposal> proposals_like(std::vector<model::Proposal> proposals,
                                                          const model::EspSuite& suite);

}  // namespace culvert::ike::v2
