// Redirection to another gateway (RFC 5685): in IKE_SA_INIT with the initiator's nonce, at the end of IKE_AUTH, or at
// any time in an INFORMATIONAL of the responder's. The client follows where its connection allows it, and not for ever.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// The data of REDIRECT and REDIRECTED_FROM (RFC 5685 9.2, 9.3).
struct GatewayNote {
  std::string gateway;  // an address, or a DNS name; nothing else
  Bytes nonce;
};
[[nodiscard]] Bytes encode_gateway(std::string_view gateway, ByteView nonce = {});
/// Nothing where it is malformed, or names what no gateway can have.
[[nodiscard]] std::optional<GatewayNote> decode_gateway(ByteView data);

// ---------------------------------------------------------------- client

/// Into the IKE_SA_INIT request: that we follow, or that we did.
void offer_redirect(codec::Message& message, const IkeSa& sa, const model::ConnectionConfig& config);
/// Tells control to go there, if that is still allowed (RFC 5685 7); else this is a sentence why not. `standing` is an
/// IKE SA that ends only when the new one stands.
[[nodiscard]] std::optional<std::string> follow(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                                const GatewayNote& note, std::optional<model::IkeSaId> standing);
/// REDIRECT as it may stand in protected messages: without a nonce, and only to us as initiator. Nothing where there is
/// none, or none that is valid, which is counted.
[[nodiscard]] std::optional<GatewayNote> redirect_in(Core& core, const IkeSa& sa, const codec::Message& message,
                                                     const model::ConnectionConfig* config);

// ---------------------------------------------------------------- gateway

/// The peer follows redirections, as its IKE_SA_INIT request says.
[[nodiscard]] bool follows_redirects(const codec::Message& request);
/// Where the peer is to be sent now, if anywhere.
[[nodiscard]] std::optional<std::string> redirect_for(const Core& core, const model::ConnectionConfig& config,
                                                      const net::Path& path, const codec::Message& request);
/// The same in IKE_AUTH, for what the IKE_SA_INIT request said of the peer.
[[nodiscard]] std::optional<std::string> redirect_for(const Core& core, const model::ConnectionConfig& config,
                                                      const IkeSa& sa);
/// Into LifeState, for later.
void note_redirects(IkeSa& sa, const codec::Message& request);

}  // namespace culvert::ike::v2
