// What each side tells the other about the proof that it wants, beside the authorities: which methods it takes (RFC
// 9593), whether certificates may come by URL (RFC 7296 3.6), whether OCSP responses are wanted (RFC 4806). And how the
// certificates of a message are read.
#pragma once

#include <span>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "model/connection.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::ike::v2 {

/// What a message of the peer's says about our proof: its IKE_SA_INIT response, or its first IKE_AUTH request.
[[nodiscard]] model::ProofWishes wishes_of(const codec::Message& message);

/// As initiator into the first IKE_AUTH request.
void add_proof_wishes(codec::Message& message, const model::ConnectionConfig& config);
/// As responder into the IKE_SA_INIT response, for all that may turn out to be meant.
void add_proof_wishes(codec::Message& message, const ConnectionTable& connections, const net::Path& path);

/// The IKE_SA_INIT response as octets, with a list of methods that there is room for. Where not all of them fit: with
/// an empty one if `intermediate`, for then it can follow in IKE_INTERMEDIATE, else in brief, or without any.
[[nodiscard]] Bytes serialize_within(codec::Message message, std::size_t room, bool intermediate);
/// As responder into the last IKE_INTERMEDIATE response: the list that our IKE_SA_INIT response, whose octets are
/// `init_response`, has left empty. Otherwise nothing.
void add_owed_methods(codec::Message& message, ByteView init_response, const ConnectionTable& connections,
                      const net::Path& path);
/// As initiator: what an IKE_INTERMEDIATE response says about our proof where the one of IKE_SA_INIT has left it open.
void take_owed_methods(const codec::Message& message, model::ProofWishes& wishes);

/// Certificates of the message in their order, as VerifyRequest has them; those by URL only when somebody fetches them.
void read_certificates(const codec::Message& message, bool by_url, VerifyRequest& request);

}  // namespace culvert::ike::v2
