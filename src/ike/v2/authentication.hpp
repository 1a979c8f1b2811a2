// The two questions of IKE_AUTH, the same for both roles and for each way to authenticate (RFC 7296 2.15): our own
// proof, and whether the peer's is right. Both leave the core as requests and come back as completions.
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/authentication.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// How the method authenticates; nothing for methods that nobody here knows.
[[nodiscard]] std::optional<model::Authentication> authentication_by(model::AuthenticationMethod method);

/// What the AUTH of the side with that ID payload is over.
[[nodiscard]] Bytes octets_of(const IkeSa& sa, const codec::IdPayload& id);

/// Asks for the AUTH of ours that goes with our ID payload.
[[nodiscard]] RequestToken ask_for_proof(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                         const codec::IdPayload& own_id);
/// The answer to that; the error is a sentence.
[[nodiscard]] Result<OwnProof, std::string> own_proof(Completion&& completion, const model::ConnectionConfig& config);
/// CERT, with certificates or a raw key, as the responder's answer and the initiator's request have it in front of AUTH
/// (RFC 7296 1.2).
void add_certificates(codec::Message& message, const OwnProof& proof);

/// Asks whether the AUTH of the peer's message, which must have one, is right for the connection and the ID payload.
/// `round`: of its authentications, counted from 0.
[[nodiscard]] RequestToken ask_about_peer(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                          const codec::Message& message, const codec::IdPayload& peer_id,
                                          std::size_t round = 0);

struct ProofFault {
  FailureKind kind = FailureKind::authentication_failed;
  std::string detail;
  std::optional<model::AuthenticationRefusal> refusal;
};
/// The answer to that; nothing when the peer is who it says it is.
[[nodiscard]] std::optional<ProofFault> peer_fault(const Completion& completion, const IkeSa& sa,
                                                   const model::ConnectionConfig& config,
                                                   const codec::Message& message);

/// The message has an INITIAL_CONTACT that counts (RFC 7296 2.4): the peer has no other IKE SA with us.
[[nodiscard]] bool begins_anew(const model::ConnectionConfig& config, const codec::Message& message);

/// SIGNATURE_HASH_ALGORITHMS into a message of IKE_SA_INIT, and what the peer's has (RFC 7427 4).
void add_signature_hashes(codec::Message& message);
[[nodiscard]] model::SignatureHashes peer_hashes(const codec::Message& message);
/// CERTREQ with these digests of authorities, if there are any (RFC 7296 3.7), and for a raw key (RFC 7670).
void add_certificate_request(codec::Message& message, const Bytes& authorities, bool raw_key);

}  // namespace culvert::ike::v2
