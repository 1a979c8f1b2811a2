// Whether the certificates of a peer are revoked, and what must be fetched to know it: OCSP (RFC 6960, RFC 4806) and
// revocation lists (RFC 5280 5); and certificates that came as hash and URL (RFC 7296 3.6). Nothing here fetches, and
// nothing is part of the state machine: whoever holds the credentials examines, fetches what is wished for, and
// examines again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.hpp"
#include "crypto/revocation.hpp"
#include "ike/face.hpp"

namespace culvert::ike::v2 {

struct Credentials;

/// How hard revocation is looked after.
struct RevocationPolicy {
  bool strict = false;                        // what cannot be known is refused
  std::vector<std::string> ocsp;              // URLs instead of those in the certificates
  std::vector<std::string> lists;             // URLs beside those in the certificates
  std::vector<crypto::RevocationList> known;  // lists from files
};

/// Something to be fetched.
struct FetchWish {
  enum class Kind : std::uint8_t { ocsp, list, certificate };
  Kind kind = Kind::ocsp;
  std::string url;
  Bytes question;     // for OCSP: the request to be posted
  Bytes key;          // for OCSP: the CertID that the answer is filed under
  Bytes nonce;        // for OCSP: what the request has
  bool anew = false;  // for a list: not one that was kept from before
  /// For a certificate: the beginnings of URLs that a redirect may lead to; else anywhere.
  std::vector<std::string> within = {};
  /// The URL is our own configuration's, or of our own certificate: it may lead to this host or its link.
  bool may_be_near = false;
};

/// What was fetched, or tried. `at`: when, to be tried again later.
struct Fetched {
  crypto::CalendarTime at = 0;
  std::string url;
  std::string fault;  // why there is nothing; a sentence
  Bytes octets;       // of an OCSP response or a certificate
  Bytes nonce;
  std::optional<crypto::RevocationList> list;
  bool kept = false;  // the list is of an earlier fetch; if it does not help, a new one may
};
struct Evidence {
  std::map<Bytes, std::shared_ptr<const Fetched>> ocsp;                // by CertID
  std::map<std::string, std::shared_ptr<const Fetched>> lists;         // by URL
  std::map<std::string, std::shared_ptr<const Fetched>> certificates;  // by URL
};

struct Examination {
  VerifyResult result;
  std::vector<FetchWish> wishes;   // not empty: `result` is nothing yet
  std::vector<std::string> notes;  // of what could not be known and was let pass; printable
};

/// Answers are asked for anew when they are older, even if they say that they are good for longer.
inline constexpr crypto::CalendarTime kEvidenceAge = 3600;
/// What failed is not tried again so soon.
inline constexpr crypto::CalendarTime kRetryFetch = 30;

/// `last`: nothing more can be fetched, the verdict must stand. `random` makes nonces.
[[nodiscard]] Examination examine(const VerifyRequest& request, const Credentials& credentials,
                                  crypto::CalendarTime now, const Evidence& evidence, RandomSource& random, bool last);

/// What must be fetched to send an OCSP response about our own certificate along (RFC 4806), and the response once it
/// is there.
struct Staple {
  std::optional<FetchWish> wish;
  Bytes response;
};
[[nodiscard]] Staple staple(const SignRequest& request, const Credentials& credentials, crypto::CalendarTime now,
                            const Evidence& evidence, RandomSource& random);

}  // namespace culvert::ike::v2
