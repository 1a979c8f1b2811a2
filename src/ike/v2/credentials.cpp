#include "ike/v2/credentials.hpp"

#include <algorithm>
#include <utility>

#include "crypto/prf.hpp"
#include "ike/auth/certificate_proof.hpp"
#include "ike/auth/digital_signature.hpp"

namespace culvert::ike::v2 {
namespace {

/// Which of the peer's authorities stands above the chain, from 1; 0 when it asks for none of them.
std::size_t asked_for(const OwnChain& chain, const model::ProofWishes& wishes) {
  constexpr std::size_t kSize = model::kAuthorityDigest;
  for (std::size_t at = 0; at + kSize <= wishes.authorities.size(); at += kSize) {
    const ByteView wanted = ByteView(wishes.authorities).subspan(at, kSize);
    for (std::size_t own = 0; own + kSize <= chain.authorities.size(); own += kSize) {
      if (equal(wanted, ByteView(chain.authorities).subspan(own, kSize))) return at / kSize + 1;
    }
  }
  return 0;
}

auth::SignatureTaker taker(const SignRequest& request, const Credentials& credentials, std::size_t authority) {
  return {.hashes = request.peer_hashes,
          .methods = request.wishes.methods,
          .authority = authority,
          .sha1_allowed = credentials.sha1_allowed};
}

/// RFC 7296 3.6: SHA-1 of the certificate and where it is, where the peer would rather have that.
OwnProof with_certificates(const OwnChain& chain, bool by_url) {
  OwnProof proof;
  const std::size_t replaced = by_url ? std::min(chain.urls.size(), chain.certificates.size()) : 0;
  // RFC 7296 3.6: our own comes first, in whatever form.
  for (std::size_t i = 0; i < replaced; ++i) {
    const std::string& url = chain.urls[i];
    Bytes data = crypto::hash(crypto::HashId::sha1, {chain.certificates[i]});
    data.insert(data.end(), url.begin(), url.end());
    proof.more.push_back({.encoding = model::CertificateEncoding::hash_and_url_x509, .data = std::move(data)});
  }
  for (std::size_t i = replaced; i < chain.certificates.size(); ++i) {
    if (replaced == 0) {
      proof.certificates.push_back(chain.certificates[i]);
    } else {
      proof.more.push_back({.encoding = model::CertificateEncoding::x509_signature, .data = chain.certificates[i]});
    }
  }
  if (chain.certificates.empty()) proof.raw_key = chain.key.public_key().spki();
  return proof;
}

}  // namespace

OwnChain chain_at(const Credentials& credentials, std::size_t place) {
  if (place > 0) return credentials.others[place - 1];
  return {.certificates = credentials.certificates,
          .key = credentials.key,
          .authorities = credentials.chain_authorities,
          .urls = credentials.urls,
          .issuer = credentials.chain_issuer,
          .identity = credentials.chain_identity};
}

std::variant<crypto::TrustStore, crypto::PublicKey> believed_in(const Credentials& credentials, std::size_t round) {
  const auto own = credentials.round_peers.find(round);
  return own == credentials.round_peers.end() ? credentials.peer : own->second;
}

std::size_t choose_chain(const Credentials& credentials, const SignRequest& request) {
  std::optional<std::size_t> first;
  for (std::size_t place = 0; place <= credentials.others.size(); ++place) {
    const OwnChain chain = chain_at(credentials, place);
    if (chain.identity && chain.identity->comparable() != request.identity.comparable()) continue;
    if (!first) first = place;
    if (request.wishes.authorities.empty()) break;
    const std::size_t authority = asked_for(chain, request.wishes);
    if (authority != 0 && auth::can_sign(chain.key, taker(request, credentials, authority))) return place;
  }
  return first.value_or(0);
}

SignResult carry_out(const SignRequest& request, const Credentials& credentials) {
  const OwnChain chain = chain_at(credentials, choose_chain(credentials, request));
  if (!chain.key.present()) return {err(std::string("there is no private key for it"))};
  auto signature = auth::sign(chain.key, request.octets, taker(request, credentials, asked_for(chain, request.wishes)));
  if (!signature) return {err(std::move(signature.error()))};
  OwnProof proof = with_certificates(chain, request.wishes.by_url);
  proof.method = signature->method;
  proof.auth = std::move(signature->data);
  return {std::move(proof)};
}

VerifyResult carry_out(const VerifyRequest& request, const Credentials& credentials, crypto::CalendarTime now) {
  const auth::Proof proof{request.method, request.auth};
  const auth::PeerClaim claim{.identity = request.identity,
                              .proof = proof,
                              .octets = request.octets,
                              .certificates = request.certificates,
                              .raw_key = request.raw_key,
                              .sha1_allowed = credentials.sha1_allowed};
  const auto peer = believed_in(credentials, request.round);
  if (const auto* key = std::get_if<crypto::PublicKey>(&peer)) return {auth::judge(claim, *key)};
  std::vector<crypto::Certificate> path;
  auto refusal = auth::judge(claim, std::get<crypto::TrustStore>(peer), now, &path);
  return {.refusal = std::move(refusal), .good_until = auth::end_of(path)};
}

}  // namespace culvert::ike::v2
