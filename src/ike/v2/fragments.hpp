// IKE fragmentation within one IKE SA (RFC 7383): what is agreed on, messages of ours cut so that their datagrams get
// through, those of the peer put together.
//
// The size falls by the search of 2.5.2, downward: a request that is not answered is cut for the next smaller size,
// each after two sends; so is a response whose request keeps coming.
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/outgoing.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// Octets around an IKE message in its IP datagram.
[[nodiscard]] std::size_t octets_around(const Core& core, const net::Path& path);
/// Octets of an IKE message that every host takes in one IP datagram without fragments (RFC 791, RFC 8200 5). For
/// IKE_SA_INIT, which cannot be cut.
[[nodiscard]] std::size_t sure_room(const Core& core, const net::Path& path);

/// IKEV2_FRAGMENTATION_SUPPORTED (RFC 7383 2.3), as our part of IKE_SA_INIT has it.
void offer_fragmentation(codec::Message& message, const model::ConnectionConfig& config);
/// From the peer's part of it. As responder the answer offers it if this says that it is agreed on.
void agree_on_fragmentation(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config);
/// The connection insists on it, and the peer does not know it.
[[nodiscard]] bool lacks_fragmentation(const codec::Message& peer, const model::ConnectionConfig& config);

/// Seals the message for the path: whole where it fits or nothing else is agreed on, else in fragments.
[[nodiscard]] Outgoing seal_message(Core& core, IkeSa& sa, const codec::Message& message, const net::Path& path);
/// Seals it anew in more and smaller fragments, and takes their size for what follows. False when there are no smaller
/// ones.
[[nodiscard]] bool shrink(Core& core, IkeSa& sa, const net::Path& path, Outgoing& message);

/// Sends the request again, perhaps in smaller fragments.
void resend_request(Core& core, IkeSa& sa, model::MessageId id);
/// Sends the response to the repeated request again, perhaps in smaller fragments.
void resend_response(Core& core, IkeSa& sa, const net::Path& path, model::MessageId id);

/// Whether the fragment would be taken if it is authentic; if not, it is counted.
[[nodiscard]] bool wants_fragment(Core& core, const IkeSa& sa, const codec::ParsedMessage& parsed);
/// Takes what was inside an authentic fragment that is wanted. What the message has inside, when that was its last
/// part; nothing while it is incomplete. The error is why it cannot be a message.
[[nodiscard]] Result<std::optional<OpenedContent>, std::string> take_fragment(Core& core, IkeSa& sa,
                                                                              const net::Path& path,
                                                                              const codec::ParsedMessage& parsed,
                                                                              SecretBytes part);
/// The message has come by another way, or is none.
void forget_fragments(IkeSa& sa, const codec::Header& header);
/// RFC 7383 2.6: what stays incomplete for too long is forgotten.
void expire_fragments(Core& core, IkeSa& sa);
[[nodiscard]] std::optional<Instant> next_fragment_expiry(const IkeSa& sa);

}  // namespace culvert::ike::v2
