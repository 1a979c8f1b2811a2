// IKE SAs without a Child SA (RFC 6023): the responder says that it takes them, IKE_AUTH then goes without SA and
// traffic selectors, and the first Child SA comes by CREATE_CHILD_SA, with a key exchange of its own.
#pragma once

#include "ike/codec/message.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// As responder, into the IKE_SA_INIT response.
void add_childless(codec::Message& response, const model::ConnectionConfig* config);
/// As initiator: what the IKE_SA_INIT response says of it. False: the connection insists, and the peer does not know
/// it.
[[nodiscard]] bool note_childless(IkeSa& sa, const codec::Message& response, const model::ConnectionConfig& config);
/// As initiator: IKE_AUTH goes without a Child SA.
[[nodiscard]] bool begins_childless(const IkeSa& sa, const model::ConnectionConfig& config);
/// As responder: the first IKE_AUTH request has no Child SA in it.
[[nodiscard]] bool is_childless(const codec::Message& request);

}  // namespace culvert::ike::v2
