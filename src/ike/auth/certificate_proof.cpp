#include "ike/auth/certificate_proof.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/certificate_identity.hpp"

namespace culvert::ike::auth {
namespace {

using model::AuthenticationRefusal;

AuthenticationRefusal refuse(const crypto::Certificate& certificate, std::string check, std::string found) {
  return {certificate.subject(), certificate.serial(), std::move(check), std::move(found)};
}

}  // namespace

std::optional<AuthenticationRefusal> judge(const PeerClaim& claim, const crypto::TrustStore& trust,
                                           crypto::CalendarTime now) {
  if (claim.certificates.empty())
    return AuthenticationRefusal{{}, {}, "certificate", "the peer sent no X.509 certificate"};
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
  if (auto believed = trust.verify(own, std::span(path).subspan(1), {.now = now}); !believed) {
    crypto::PathRefusal& refusal = believed.error();
    return AuthenticationRefusal{std::move(refusal.subject), std::move(refusal.serial),
                                 std::string(name_of(refusal.check)), std::move(refusal.found)};
  }
  // RFC 4945 3.1: an identity that the certificate does not have is an error.
  if (!model::has_identity(own, claim.identity))
    return refuse(own, "identity",
                  fmt::format("the peer says it is {}; the certificate is for {}", claim.identity.to_string(),
                              model::identities_text(own)));
  if (auto fault = signature_fault(own.public_key(), claim.proof, claim.octets, claim.sha1_allowed))
    return refuse(own, "signature", "the peer's signature: " + *fault);
  return std::nullopt;
}

}  // namespace culvert::ike::auth
