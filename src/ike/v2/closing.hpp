// The ends an IKE SA can come to, and the one way events about them are made.
#pragma once

#include <optional>
#include <string>

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// Tells control that the IKE SA and its Child SAs are gone. `after` says what is left of it for the peer: `defunct`
/// answers retransmissions for a while, `gone` nothing.
void close_ike_sa(Core& core, IkeSa& sa, CloseReason reason, Phase after);
/// The same, and a DELETE goes to the peer (RFC 7296 1.4.1): at once if the window allows, else as soon as it does.
void close_with_delete(Core& core, IkeSa& sa, CloseReason reason);
/// Only the DELETE, for an IKE SA that was never announced: the loser of a collision, or one nobody wants any more.
void delete_unannounced(Core& core, IkeSa& sa);

/// The set-up failed: one NegotiationFailed, then the end. `refusal` is what was wrong with the peer's certificate.
void fail_negotiation(Core& core, IkeSa& sa, FailureKind kind, std::optional<model::NotifyType> notify,
                      std::string detail, Phase after,
                      std::optional<model::AuthenticationRefusal> refusal = std::nullopt);
/// A Child SA did not come about; the IKE SA lives (RFC 7296 1.2). `connection`: whose it was to be, if a guest's.
void report_child_failure(Core& core, const IkeSa& sa, model::Role role, FailureKind kind,
                          std::optional<model::NotifyType> notify, std::string detail,
                          std::optional<ChildWish> wish = std::nullopt,
                          std::optional<model::ConnectionId> connection = std::nullopt);

}  // namespace culvert::ike::v2
