// The way between us and the peer while an IKE SA stands: which it is, when it is in doubt, and how the IKE SA moves to
// another (RFC 4555 3.5, 3.7, 3.10; RFC 7296 2.23). Who says where there are others is control; what the messages say
// about it is in mobike.hpp.
#pragma once

#include <string>
#include <vector>

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// RFC 4555 3.5: with MOBIKE the one who began the first IKE SA decides on the addresses.
[[nodiscard]] bool chooses_paths(const IkeSa& sa);
/// Makes it where there is none.
[[nodiscard]] Mobility& mobility_of(IkeSa& sa);

/// The host's network changed: asks control for the ways that there are.
void review_path(Core& core, const IkeSa& sa);
/// What control answers to PathInDoubt, or has found out by itself.
void use_paths(Core& core, IkeSa& sa, const std::vector<net::Path>& paths);

/// Control has found a way over the other transport (TryPath).
void try_transport(Core& core, IkeSa& sa, const net::Path& path);

/// The IKE SA is on this path from now on, by our own choice, and the peer is told. Its Child SAs follow at once where
/// the peer's address is one at which it has answered, else when it has.
void move_to(Core& core, IkeSa& sa, const net::Path& path, const std::string& why);
/// As responder of MOBIKE: the peer has moved; its Child SAs follow when it has answered there (RFC 4555 3.7).
void follow_update(Core& core, IkeSa& sa, const net::Path& path);
/// RFC 7296 2.23: an authentic IKE message that is no replay came on this path, or ESP did (`by_esp`). Where the peer's
/// mapping at a NAT may have changed, it is asked there, and followed if it answers.
void follow_peer(Core& core, IkeSa& sa, const net::Path& path, bool by_esp);
/// The peer has answered at the other end of the path: all that it has not answered yet may go there.
void note_proved(Core& core, IkeSa& sa);
/// Tells control of the path, and so the data plane.
void announce_path(Core& core, IkeSa& sa, std::string why);

/// The request again, where it should go by now.
void retransmit(Core& core, IkeSa& sa, model::MessageId id);
/// The response to our request came on this path.
void note_answer(Core& core, IkeSa& sa, const net::Path& path, model::MessageId id);
/// How patient we are with the peer.
[[nodiscard]] RetransmitPolicy patience_with(const Core& core, const IkeSa& sa);

/// The rekeyed IKE SA goes on where the old one was.
void hand_over_mobility(IkeSa& old, IkeSa& next);

/// Puts it in front of the other tasks, in place of one of its kind.
template <typename T>
void put_first(Core& core, IkeSa& sa, T task) {
  erase_if(sa.tasks, [](const QueuedTask& queued) { return std::holds_alternative<T>(queued.task); });
  sa.tasks.insert(sa.tasks.begin(), QueuedTask{.task = std::move(task)});
  core.touch(sa);
}

}  // namespace culvert::ike::v2
