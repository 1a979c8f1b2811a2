#include "ike/v2/credentials.hpp"

#include <utility>

#include "ike/auth/certificate_proof.hpp"
#include "ike/auth/digital_signature.hpp"

namespace culvert::ike::v2 {

SignResult carry_out(const SignRequest& request, const Credentials& credentials) {
  auto proof = auth::sign(credentials.key, request.octets, request.peer_hashes, credentials.sha1_allowed);
  if (!proof) return {err(std::move(proof.error()))};
  return {OwnProof{.method = proof->method, .auth = std::move(proof->data), .certificates = credentials.certificates}};
}

VerifyResult carry_out(const VerifyRequest& request, const Credentials& credentials, crypto::CalendarTime now) {
  const auth::Proof proof{request.method, request.auth};
  return {auth::judge({.identity = request.identity,
                       .proof = proof,
                       .octets = request.octets,
                       .certificates = request.certificates,
                       .sha1_allowed = credentials.sha1_allowed},
                      credentials.trust, now)};
}

}  // namespace culvert::ike::v2
