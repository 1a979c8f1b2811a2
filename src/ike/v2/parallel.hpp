// Windows of more than one request (RFC 7296 2.3): which of our requests may be under way beside each other, to which
// of them a response or a completion belongs, and the peer's requests that wait for one another.
//
// Side by side go requests about different Child SAs: to make, rekey or delete them. Whatever is about the IKE SA, its
// path or the peer's life goes alone, and what is queued behind it waits.
#pragma once

#include <memory>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/payload_rules.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

/// A request of the peer's that came while another waits for a completion.
struct HeldRequest {
  net::Path path;
  MessageForm form{};
  codec::Message request;
};

/// Something is under way, and the task may go beside it.
[[nodiscard]] bool may_run_beside(const IkeSa& sa, const Task& task);
/// How many requests those under way may still send, which have their place in the window.
[[nodiscard]] std::size_t requests_to_come(const IkeSa& sa);
/// Begins the exchange, beside others if there are any.
void begin_exchange(IkeSa& sa, std::unique_ptr<InitiatorExchange> exchange);
/// Takes the exchange out to which the response belongs, or the completion. Null when there is none.
[[nodiscard]] std::unique_ptr<InitiatorExchange> take_exchange(IkeSa& sa, model::MessageId response);
[[nodiscard]] std::unique_ptr<InitiatorExchange> take_exchange(IkeSa& sa, RequestToken completion);
/// Puts it back while it waits; `next` is the next number that there was before it had its turn.
void put_back(IkeSa& sa, std::unique_ptr<InitiatorExchange> exchange, model::MessageId next);
/// All of them end without an answer.
void abandon_exchanges(IkeSa& sa);

/// Says how many requests we take at a time, once, in a message that has room for it.
void add_window(const Core& core, IkeSa& sa, model::ExchangeType exchange, codec::Message& message);
/// What the peer says of it.
void take_window(const Core& core, IkeSa& sa, const codec::Message& message);

/// Those that waited have their turn.
void answer_held(Core& core, IkeSa& sa);

}  // namespace culvert::ike::v2
