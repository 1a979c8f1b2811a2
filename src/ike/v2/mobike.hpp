// MOBIKE (RFC 4555) in messages: that both sides know it, which addresses each has, UPDATE_SA_ADDRESSES, COOKIE2 and
// NO_NATS_ALLOWED. What follows for the path of the IKE SA is in paths.hpp.
#pragma once

#include <memory>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// MOBIKE_SUPPORTED, and our addresses beside that of the path, as IKE_AUTH with the SA payload has it (RFC 4555 3.2,
/// 3.4). As responder only if it is agreed on.
void add_mobike(codec::Message& message, const Core& core, IkeSa& sa, const model::ConnectionConfig& config);
/// From the peer's part of it.
void agree_on_mobike(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config);
/// The connection may use it: Child SAs in tunnel mode can move.
[[nodiscard]] bool may_use_mobike(const model::ConnectionConfig& config);
/// RFC 4555 3.9: the request was sent between other addresses than it came, and says that this must not be.
[[nodiscard]] bool was_translated(const codec::Message& request, const net::Path& path);

/// What an INFORMATIONAL request says of addresses, and what the answer has for it.
void handle_mobike(Core& core, IkeSa& sa, const net::Path& path, const codec::Message& request, codec::Message& answer);

/// RFC 4555 3.8: NAT detection in requests that look after the peer.
void add_path_questions(codec::Message& request, const Core& core, IkeSa& sa);
/// From the response: whether our address at the NAT is another now.
void judge_path_answers(Core& core, IkeSa& sa, const codec::Message& response);

/// Our own addresses are others now: the peer is told, if it knew of them.
void tell_addresses(Core& core, IkeSa& sa);

[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa,
                                                                    const UpdateAddressesTask& task);
[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa,
                                                                    const TellAddressesTask& task);
[[nodiscard]] std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const ProbePathTask& task);

}  // namespace culvert::ike::v2
