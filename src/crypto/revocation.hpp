// Whether a certificate is still good, by what its issuer says now: OCSP responses (RFC 6960) and revocation lists (RFC
// 5280 5). Nothing is fetched here; what was fetched by whatever way is judged.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "crypto/certificate.hpp"

namespace culvert::crypto {

inline constexpr std::size_t kOcspLimit = std::size_t{16} * 1024;  // octets of a response
inline constexpr std::size_t kRevocationPlaces = 4;                // URLs of a kind that are looked at
inline constexpr std::size_t kRevocationUrl = 512;                 // octets of one

/// Where a certificate says that its issuer tells about revocation; URLs of http only, for the answers are signed.
/// Believe the certificate before asking there (CVE-2022-40617).
struct RevocationPlaces {
  std::vector<std::string> ocsp;   // of authority information access (RFC 5280 4.2.2.1)
  std::vector<std::string> lists;  // of the distribution points (RFC 5280 4.2.1.13)
  std::vector<std::string> other;  // those of other schemes, such as https: named, so that it can be said
};
[[nodiscard]] RevocationPlaces revocation_places(const Certificate& certificate);

struct RevocationStatus {
  enum class State : std::uint8_t { good, revoked, unknown };
  State state = State::unknown;
  /// With `revoked`: "revoked on DATE (keyCompromise)"; with `unknown`: what is wrong, the end of a sentence about the
  /// response or list. Printable.
  std::string found;
  /// Until when it is so: the next update; absent where none is told.
  std::optional<CalendarTime> until;
  /// Of an OCSP response: who signed it for the issuer, and may be revoked, too (RFC 6960 4.2.2.2.1). To be looked up
  /// before `good` is believed. Absent where it is the issuer, or the issuer says that nobody need look.
  std::optional<Certificate> responder = {};
};

/// A question for an OCSP responder about one certificate.
struct OcspQuestion {
  Bytes request;  // OCSPRequest in DER
  Bytes id;       // CertID in DER, the same for each question about the certificate
};
/// `nonce` goes along (RFC 8954: 1 to 32 octets); empty: none. Nothing when the library fails.
[[nodiscard]] std::optional<OcspQuestion> ocsp_question(const Certificate& certificate, const Certificate& issuer,
                                                        ByteView nonce);

/// `response` may be any octets. It must be signed by the issuer, or by a responder that the issuer certified for it
/// (RFC 6960 4.2.2.2), be about the certificate and of today; a nonce in it must be the one that was asked with, where
/// there was one.
[[nodiscard]] RevocationStatus judge_ocsp(ByteView response, const Certificate& certificate, const Certificate& issuer,
                                          CalendarTime now, ByteView nonce = {});

/// The list must be the issuer's, cover the certificate, and be of today.
[[nodiscard]] RevocationStatus judge_list(const RevocationList& list, const Certificate& certificate,
                                          const Certificate& issuer, CalendarTime now);

}  // namespace culvert::crypto
