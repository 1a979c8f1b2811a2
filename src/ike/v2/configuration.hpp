// The configuration payload in IKE_AUTH (RFC 7296 2.19, 3.15): a client asks for inner addresses, the gateway has them
// given by control and narrows what the client gets to them. What of it lasts is IkeSa::inner.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/codec/configuration.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// Our offer and choice for a Child SA know no more than the addresses given and what the peer's group may reach: the
/// connection as it is for this IKE SA, where that differs.
[[nodiscard]] std::optional<model::ConnectionConfig> narrowed_to_peer(const model::ConnectionConfig& config,
                                                                      const IkeSa& sa);

// Initiator.

/// CP(CFG_REQUEST), if the connection asks for addresses: those that it had before, else any.
void add_configuration_request(codec::Message& message, const Core& core, const model::ConnectionConfig& config);
/// What the response gives. On success the addresses are noted in the IKE SA. The error is for the user.
[[nodiscard]] Result<model::Configuration, std::string> accept_configuration(Core& core, IkeSa& sa,
                                                                             const model::ConnectionConfig& config,
                                                                             const codec::Message& response);

// Responder.

/// The peer proved who it is; the connection may serve many. Why it is let in no more, if so: its group, or its number
/// of sessions. Else `config` is as it is for its group from now on. `named_group`: whose it is, says who proved it.
[[nodiscard]] std::optional<std::string> admission_refusal(Core& core, IkeSa& sa, model::ConnectionConfig& config,
                                                           const codec::Message& request,
                                                           std::string_view named_group = {});
/// Into the answer to a request for addresses: IP4_ALLOWED, IP6_ALLOWED (RFC 8983).
void add_allowed_families(codec::Message& answer, const model::ConnectionConfig& config, const codec::Message& request);
/// Asks control for addresses, if the connection has pools and the request asks for any.
[[nodiscard]] std::optional<RequestToken> ask_for_addresses(Core& core, const IkeSa& sa,
                                                            const model::ConnectionConfig& config,
                                                            const codec::Message& request);

/// What the peer gets: CP(CFG_REPLY), or why there is no Child SA.
struct AddressAnswer {
  std::optional<codec::ConfigurationPayload> reply;
  std::optional<ChildRefusal> refusal;
};
/// `given` is control's answer, none when nothing was asked of it. Notes the addresses in the IKE SA.
[[nodiscard]] AddressAnswer answer_addresses(IkeSa& sa, const model::ConnectionConfig& config,
                                             const codec::Message& request, std::optional<AddressResult> given);
/// A client that has no address yet may write its own side as 0.0.0.0 or :: alone (OpenIKED does): that becomes the
/// address of the same family that it is given. Other selectors stay as they are.
void place_unspecified(codec::Message& request, const std::vector<net::IpAddress>& given);

// Either.

/// RFC 7296 2.20, 3.15: what a CFG_REQUEST outside of IKE_AUTH asks; the addresses that the peer has of us, and what we
/// say of ourselves. None when nothing is asked.
[[nodiscard]] std::optional<codec::ConfigurationPayload> answer_question(const IkeSa& sa,
                                                                         const codec::Message& request);

}  // namespace culvert::ike::v2
