// What a peer says about the proofs that it takes from us, and the forms that certificates travel in: CERTREQ (RFC 7296
// 3.7), hash and URL (RFC 7296 3.6), OCSP (RFC 4806), announced methods (RFC 9593).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "model/iana/authentication_method.hpp"
#include "model/iana/certificate_encoding.hpp"

namespace culvert::model {

/// RFC 9593 3.2: one way to authenticate.
struct AnnouncedMethod {
  AuthenticationMethod method = AuthenticationMethod::digital_signature;
  std::uint8_t authority = 0;  // of those that CERTREQ names the n-th, from 1; 0: any
  Bytes algorithm;             // an AlgorithmIdentifier in DER, with digital signatures
  friend bool operator==(const AnnouncedMethod&, const AnnouncedMethod&) = default;
};

struct ProofWishes {
  Bytes authorities;                     // digests of those that are believed, 20 octets each; empty: nothing was said
  bool by_url = false;                   // certificates may come as hash and URL
  bool ocsp = false;                     // OCSP responses about our certificates are wanted
  std::vector<AnnouncedMethod> methods;  // in the order of preference; empty: nothing was said
  bool several_rounds = false;           // RFC 4739: it knows of authentications one behind the other
  friend bool operator==(const ProofWishes&, const ProofWishes&) = default;
};

inline constexpr std::size_t kAuthorityDigest = 20;  // SHA-1 of a SubjectPublicKeyInfo
inline constexpr std::size_t kMostAuthorities = 64;  // of a peer's that are looked at
inline constexpr std::size_t kMostAnnounced = 32;
inline constexpr std::size_t kMostUrl = 512;  // octets

/// What a CERT payload has, in another encoding than X.509.
struct EncodedCertificate {
  CertificateEncoding encoding = CertificateEncoding::ocsp_content;
  Bytes data;
  friend bool operator==(const EncodedCertificate&, const EncodedCertificate&) = default;
};

/// A certificate of the peer's that is not there yet.
struct CertificateByUrl {
  std::size_t place = 0;  // among its certificates
  Bytes hash;             // SHA-1 of the DER, 20 octets
  std::string url;        // any octets: escape before printing
  friend bool operator==(const CertificateByUrl&, const CertificateByUrl&) = default;
};

}  // namespace culvert::model
