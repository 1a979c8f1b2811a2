// Under which reason a refusal counts: told by what we answer, or by what a negotiation failed for.
#pragma once

#include <optional>

#include "ike/codec/message.hpp"
#include "ike/events.hpp"
#include "ike/message_reasons.hpp"
#include "model/iana/notify_type.hpp"
#include "model/ids.hpp"

namespace culvert::ike::v2 {

/// What we say with the notification.
[[nodiscard]] Refusal refusal_by(model::NotifyType sent);
/// What we say with the response; nothing when it refuses nothing.
[[nodiscard]] std::optional<Refusal> refusal_in(const codec::Message& response);
/// What ends a negotiation. As responder we have said `notify`. Nothing when it was not for what the peer sent.
[[nodiscard]] std::optional<Refusal> refusal_for(FailureKind kind, model::Role role,
                                                 std::optional<model::NotifyType> notify);
/// The peer's response is an error, and nothing of what was asked for.
[[nodiscard]] bool refuses(const codec::Message& response);

}  // namespace culvert::ike::v2
