// TrustStore: the authorities that are believed, their revocation lists, and the question whether a peer's certificate
// leads to one of them (RFC 5280 6) and may be used for IKE (RFC 4945 5.1.3).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "crypto/certificate.hpp"

namespace culvert::crypto {

/// Certificates between a peer's own and an authority, its own included.
inline constexpr unsigned kPathLimit = 8;

/// What a certificate failed at.
enum class PathCheck : std::uint8_t {
  issuer,     // no authority that is believed issued it, or what did is missing
  signature,  // its signature, or its key, is not right
  not_yet_valid,
  expired,
  revoked,
  revocation_unknown,  // lists are wanted, and none is there for its issuer
  revocation_stale,    // the list is not of today
  revocation_list,     // the list is not in order: signature, scope, critical extensions
  key_strength,        // too short a key, or too weak a hash under its signature
  authority,           // it issued another and may not
  path_length,
  name_constraints,
  policy,
  key_usage,           // RFC 4945 5.1.3.2
  extended_key_usage,  // RFC 4945 5.1.3.12
  critical_extension,
  form  // anything else that RFC 5280 forbids
};
[[nodiscard]] std::string_view name_of(PathCheck check);

struct PathRefusal {
  std::string subject;  // printable
  std::string serial;
  PathCheck check = PathCheck::form;
  std::string found;  // the value found, and what is wanted

  /// One sentence.
  [[nodiscard]] std::string to_string() const;
};

struct PathRules {
  CalendarTime now = 0;
  /// RSA of 2048 bits or curves of 224, and SHA-2. Only known answers of older times are verified without.
  bool strong = true;
};

struct TrustHandle;

/// Immutable; may be asked by several threads. Copies share one.
class TrustStore {
 public:
  /// With lists, every certificate of a path but the authority's own must be on none of them, and its issuer must have
  /// one that is of today; without any, nothing is revoked.
  [[nodiscard]] static TrustStore make(std::span<const Certificate> authorities, std::span<const RevocationList> lists);

  /// `others` are what the peer sent along, in any order. The first fault found is told.
  [[nodiscard]] Result<void, PathRefusal> verify(const Certificate& end, std::span<const Certificate> others,
                                                 const PathRules& rules) const;
  /// The same, with the path that was found: `end` first, the authority's own certificate last.
  [[nodiscard]] Result<std::vector<Certificate>, PathRefusal> find_path(const Certificate& end,
                                                                        std::span<const Certificate> others,
                                                                        const PathRules& rules) const;

 private:
  [[nodiscard]] Result<void, PathRefusal> verify_into(const Certificate& end, std::span<const Certificate> others,
                                                      const PathRules& rules, std::vector<Certificate>* path) const;
  explicit TrustStore(std::shared_ptr<const TrustHandle> handle) : handle_(std::move(handle)) {}
  std::shared_ptr<const TrustHandle> handle_;
};

}  // namespace culvert::crypto
