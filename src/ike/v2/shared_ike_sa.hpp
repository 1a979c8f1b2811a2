// Several connections with the same peer in one IKE SA (RFC 7296 1.3, RFC 4301 4.4.3): which of them may be, and what
// becomes of them when the IKE SA, or the connection that it is of, goes.
//
// An IKE SA is of one connection: the one that set it up, or that the peer meant in IKE_AUTH. Its identities, its
// lifetimes and its liveness are that one's. Others are guests: each of their Child SAs knows whose it is. When the
// connection that it is of goes and a guest still has a Child SA, the IKE SA is passed on to that.
#pragma once

#include <optional>
#include <vector>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// As responder: what the peer has proved on the IKE SA of `home` is all that `other` asks of it, and what we have
/// proved is all that it shows.
[[nodiscard]] bool may_share(const IkeSa& sa, const model::ConnectionConfig& home,
                             const model::ConnectionConfig& other);
/// The connection that the peer's request for a new Child SA means: that of the IKE SA, or one that may share it, whose
/// selectors fit better.
[[nodiscard]] const model::ConnectionConfig& connection_meant(const Core& core, const IkeSa& sa,
                                                              const model::ConnectionConfig& home,
                                                              const codec::Message& request);

/// Of what the request asks for, and `chosen` has no part in, another connection that may share the IKE SA has some:
/// the peer gets it with a further Child SA, and is told so.
void add_more_possible(codec::Message& answer, const Core& core, const IkeSa& sa, const model::ConnectionConfig& chosen,
                       const codec::Message& request);

struct ChildOffer;
struct ChildAgreement;
/// As initiator: such an answer. Where nothing was left out it says nothing.
void note_more_possible(Core& core, const IkeSa& sa, const codec::Message& response, const ChildOffer& offer,
                        const ChildAgreement& agreed);

/// As initiator: the IKE SA of another connection, standing or on its way, in which the Child SAs of this one can be.
/// Null: it needs one of its own.
[[nodiscard]] IkeSa* shared_ike_sa(Core& core, const model::ConnectionConfig& config);
/// It has Child SAs, or will have some, in the IKE SA.
void take_in(Core& core, IkeSa& sa, model::ConnectionId guest);
/// The peer takes no Child SA of the guest's there.
void note_refused(Core& core, IkeSa& sa, model::ConnectionId guest);
[[nodiscard]] bool was_refused(const IkeSa& sa, model::ConnectionId guest);
/// The connection has a Child SA that stands and fulfils the wish, or is for all that it has, in whichever IKE SA.
[[nodiscard]] bool has_current_child(Core& core, model::ConnectionId connection, const std::optional<ChildWish>& wish);
/// A task that makes a Child SA for the connection is queued, or its exchange under way.
[[nodiscard]] bool child_is_coming(const IkeSa& sa, model::ConnectionId connection);
/// For connections whose Child SAs can be elsewhere than in their own IKE SAs: both.
[[nodiscard]] std::vector<IkeSa*> hosts_of(Core& core, model::ConnectionId connection);

/// The connection has no more to do with the IKE SA, which stands: its Child SAs end at once, and it is passed on where
/// it was the connection's. False when nobody else needs it; then nothing is done.
[[nodiscard]] bool leave(Core& core, IkeSa& sa, model::ConnectionId connection);
/// To the IKE SA that a rekey makes.
void move_guests(Core& core, IkeSa& from, IkeSa& to);
/// `other` takes the place of the IKE SA: what guests have there is made in it anew.
void invite_guests(Core& core, const IkeSa& sa, IkeSa& other);

/// The guest waits for its first Child SA.
void await_first_child(Core& core, IkeSa& sa, model::ConnectionId guest, std::optional<ChildWish> wish);
/// It has one, or has heard that there is none, or wants none any more.
void end_wait(IkeSa& sa, model::ConnectionId guest);
[[nodiscard]] std::vector<WaitingGuest> waiting_guests(const IkeSa& sa);
[[nodiscard]] bool waits(const IkeSa& sa, model::ConnectionId guest);
/// They wait no more: the set-up of the IKE SA failed, and theirs would have, too.
void fail_guests(Core& core, IkeSa& sa, const NegotiationFailed& failure);
/// They begin elsewhere, for this one will not stand.
void send_guests_away(Core& core, IkeSa& sa);
/// Those whose IKE SA went before they had a Child SA begin again.
void begin_again(Core& core);

}  // namespace culvert::ike::v2
