#include "ike/v2/credentials.hpp"

#include <utility>

#include "ike/auth/certificate_proof.hpp"
#include "ike/auth/digital_signature.hpp"

namespace culvert::ike::v2 {

SignResult carry_out(const SignRequest& request, const Credentials& credentials) {
  if (!credentials.key.present()) return {err(std::string("there is no private key for it"))};
  auto proof = auth::sign(credentials.key, request.octets, request.peer_hashes, credentials.sha1_allowed);
  if (!proof) return {err(std::move(proof.error()))};
  return {OwnProof{.method = proof->method,
                   .auth = std::move(proof->data),
                   .certificates = credentials.certificates,
                   .raw_key = credentials.certificates.empty() ? credentials.key.public_key().spki() : Bytes()}};
}

VerifyResult carry_out(const VerifyRequest& request, const Credentials& credentials, crypto::CalendarTime now) {
  const auth::Proof proof{request.method, request.auth};
  const auth::PeerClaim claim{.identity = request.identity,
                              .proof = proof,
                              .octets = request.octets,
                              .certificates = request.certificates,
                              .raw_key = request.raw_key,
                              .sha1_allowed = credentials.sha1_allowed};
  if (const auto* key = std::get_if<crypto::PublicKey>(&credentials.peer)) return {auth::judge(claim, *key)};
  return {auth::judge(claim, std::get<crypto::TrustStore>(credentials.peer), now)};
}

}  // namespace culvert::ike::v2
