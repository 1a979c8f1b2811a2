// The Child SAs of an IKE SA: installing, replacing and removing them, and their lifetimes.
#pragma once

#include <optional>

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/child_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// How long the inbound side of a removed pair still accepts packets that were under way (RFC 7296 2.8).
inline constexpr Duration kInboundLinger = std::chrono::seconds(5);
/// How long outbound traffic keeps off a pair whose peer may not be ready, when nothing else tells.
inline constexpr Duration kHoldAtMost = std::chrono::seconds(1);

/// The soft and hard bounds for one SA: rekey at (1 - margin - jitter) of each, the jitter below half the margin, so
/// that two sides with the same configuration seldom rekey at once (RFC 7296 2.8.1).
struct Bounds {
  model::Lifetime soft;
  model::Lifetime hard;
};
[[nodiscard]] Bounds bounds_of(Core& core, const model::Lifetime& hard, double margin);

/// The pairs that are neither replaced nor about to be deleted.
[[nodiscard]] std::size_t count_current(const IkeSa& sa);
/// Takes the pair into the IKE SA, starts its timers and hands its keys to the data plane.
ChildSa& install_child(Core& core, IkeSa& sa, ChildSa child, model::ChildSaParams params);
/// The pair is gone for the data plane too; held successors take over first.
void remove_child(Core& core, IkeSa& sa, model::ChildSaId id, CloseReason reason, Duration linger);
/// Both sides made the same pair at once, and one that the peer was to delete is still there: deletes ours.
void settle_left_twins(Core& core, IkeSa& sa);
/// The peer has the pairs that were made by answering it, as far as its window does not allow this request before it
/// has those answers (RFC 7296 2.3).
void confirm_children(Core& core, IkeSa& sa, model::MessageId request);
/// Outbound traffic may use the pair from now on.
void release_outbound(Core& core, ChildSa& child);
/// Queues a DELETE for the pair.
void delete_child(Core& core, IkeSa& sa, ChildSa& child, CloseReason reason);
/// The pair is gone at once, whatever the peer answers to the DELETE that is queued.
void end_child(Core& core, IkeSa& sa, model::ChildSaId id, CloseReason reason);
/// All Child SAs and what is planned for them move to the successor (RFC 7296 2.18).
void move_children(Core& core, IkeSa& from, IkeSa& to);

}  // namespace culvert::ike::v2
