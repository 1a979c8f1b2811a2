// A peer's proof by signature, from what it sent to the verdict: is the certificate believed, does it have the
// identity that the peer claims (RFC 4945 3.1), did its key make the signature; or did the key that we know it by.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/trust.hpp"
#include "ike/auth/digital_signature.hpp"
#include "model/authentication.hpp"
#include "model/identity.hpp"

namespace culvert::ike::auth {

/// CERT payloads with an X.509 certificate that are looked at; a message with more is refused.
inline constexpr std::size_t kMostCertificates = crypto::kPathLimit;

/// What the peer claims and how it proves it. Views are for the length of the call.
struct PeerClaim {
  const model::Identity& identity;
  const Proof& proof;
  ByteView octets;                      // that were signed
  std::span<const Bytes> certificates;  // in DER; the first has the key (RFC 7296 3.6)
  const std::optional<Bytes>& raw_key;  // a SubjectPublicKeyInfo, when the peer sent that instead (RFC 7670)
  bool sha1_allowed = false;
};

/// Nothing when the peer is who it says it is; then `path` is given its certificates, the authority's last.
[[nodiscard]] std::optional<model::AuthenticationRefusal> judge(const PeerClaim& claim, const crypto::TrustStore& trust,
                                                                crypto::CalendarTime now,
                                                                std::vector<crypto::Certificate>* path = nullptr);
/// The same for a peer whose key is known beforehand. Whatever it sends beside the signature vouches for nothing.
[[nodiscard]] std::optional<model::AuthenticationRefusal> judge(const PeerClaim& claim, const crypto::PublicKey& key);

/// When the first certificate of the path ends; nothing for an empty one.
[[nodiscard]] std::optional<crypto::CalendarTime> end_of(std::span<const crypto::Certificate> path);

/// How a key is told from others in a log: "SHA256:" and the start of the SubjectPublicKeyInfo's hash.
[[nodiscard]] std::string name_of_key(ByteView spki);

}  // namespace culvert::ike::auth
