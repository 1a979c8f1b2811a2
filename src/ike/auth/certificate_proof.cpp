#include "ike/auth/certificate_proof.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "crypto/prf.hpp"
#include "model/certificate_identity.hpp"

namespace culvert::ike::auth {
namespace {

using model::AuthenticationRefusal;

AuthenticationRefusal refuse(const crypto::Certificate& certificate, std::string check, std::string found) {
  return {certificate.subject(), certificate.serial(), std::move(check), std::move(found)};
}

}  // namespace

std::optional<AuthenticationRefusal> judge(const PeerClaim& claim, const crypto::TrustStore& trust,
                                           crypto::CalendarTime now, std::vector<crypto::Certificate>* path_found) {
  if (claim.certificates.empty())
    return AuthenticationRefusal{
        {},
        {},
        "certificate",
        claim.raw_key
            ? fmt::format("the peer sent a raw public key ({}) and no X.509 certificate", name_of_key(*claim.raw_key))
            : "the peer sent no X.509 certificate"};
  if (claim.certificates.size() > kMostCertificates)
    return AuthenticationRefusal{
        {},
        {},
        "certificate",
        fmt::format("the peer sent {} certificates, {} are allowed", claim.certificates.size(), kMostCertificates)};
  std::vector<crypto::Certificate> path;
  for (const Bytes& der : claim.certificates) {
    auto certificate = crypto::Certificate::from_der(der);
    if (!certificate)
      return AuthenticationRefusal{
          {}, {}, "certificate", fmt::format("the peer's {}. certificate {}", path.size() + 1, certificate.error())};
    path.push_back(std::move(*certificate));
  }
  const crypto::Certificate& own = path.front();
  // Nothing is done with the key before it is believed.
  const auto others = std::span(path).subspan(1);
  std::optional<crypto::PathRefusal> fault;
  if (path_found == nullptr) {
    if (auto believed = trust.verify(own, others, {.now = now}); !believed) fault = std::move(believed.error());
  } else if (auto found = trust.find_path(own, others, {.now = now})) {
    *path_found = std::move(*found);
  } else {
    fault = std::move(found.error());
  }
  if (fault) {
    crypto::PathRefusal& refusal = *fault;
    return AuthenticationRefusal{std::move(refusal.subject), std::move(refusal.serial),
                                 std::string(name_of(refusal.check)), std::move(refusal.found)};
  }
  // RFC 4945 3.1: an identity that the certificate does not have is an error.
  if (!model::has_identity(own, claim.identity))
    return refuse(own, "identity",
                  fmt::format("the peer says it is {}; the certificate is for {}", claim.identity.to_string(),
                              model::identities_text(own)));
  if (auto wrong = signature_fault(own.public_key(), claim.proof, claim.octets, claim.sha1_allowed))
    return refuse(own, "signature", "the peer's signature: " + *wrong);
  return std::nullopt;
}

std::optional<crypto::CalendarTime> end_of(std::span<const crypto::Certificate> path) {
  std::optional<crypto::CalendarTime> end;
  for (const crypto::Certificate& one : path) {
    const crypto::CalendarTime its = one.not_after();
    end = std::min(end.value_or(its), its);
  }
  return end;
}

std::optional<AuthenticationRefusal> judge(const PeerClaim& claim, const crypto::PublicKey& key) {
  const Bytes expected = key.spki();
  if (claim.raw_key && !equal(*claim.raw_key, expected)) {
    return AuthenticationRefusal{{},
                                 {},
                                 "public_key",
                                 fmt::format("the peer has the key {}, this connection expects {}",
                                             name_of_key(*claim.raw_key), name_of_key(expected))};
  }
  if (auto fault = signature_fault(key, claim.proof, claim.octets, claim.sha1_allowed)) {
    return AuthenticationRefusal{
        {}, {}, "signature", fmt::format("by the key {}: {}", name_of_key(expected), std::move(*fault))};
  }
  return std::nullopt;
}

std::string name_of_key(ByteView spki) {
  constexpr std::size_t kOctets = 8;
  return "SHA256:" + to_hex(ByteView(crypto::hash(crypto::HashId::sha2_256, {spki})).first(kOctets));
}

}  // namespace culvert::ike::auth
