// X.509 certificates and revocation lists (RFC 5280) as IKE needs them: parsed strictly, immutable, cheap to copy.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/signature.hpp"

namespace culvert::crypto {

/// Seconds since 1970-01-01T00:00:00Z, as a certificate's dates are compared with.
using CalendarTime = std::int64_t;
/// "2026-01-31T12:00:00Z".
[[nodiscard]] std::string to_text(CalendarTime time);

inline constexpr std::size_t kCertificateLimit = std::size_t{16} * 1024;        // octets of one, in DER
inline constexpr std::size_t kCertificateFileLimit = std::size_t{1024} * 1024;  // octets of a file of them
inline constexpr std::size_t kRevocationFileLimit = std::size_t{32} * 1024 * 1024;
inline constexpr std::size_t kCertificatesPerFile = 512;

/// What a subject alternative name says (RFC 5280 4.2.1.6); other forms are left out.
enum class AlternativeNameKind : std::uint8_t { dns, mail, ip };
struct AlternativeName {
  AlternativeNameKind kind = AlternativeNameKind::dns;
  Bytes value;  // text; 4 or 16 octets of an address
};

struct CertificateHandle;
struct RevocationListHandle;

class Certificate {
 public:
  /// One certificate in DER, without octets behind it. The error is the end of a sentence ("is no certificate").
  [[nodiscard]] static Result<Certificate, std::string> from_der(ByteView der);
  /// All of a file: one or several in PEM (other things between them are passed over), or one in DER.
  [[nodiscard]] static Result<std::vector<Certificate>, std::string> from_file_content(ByteView content);

  [[nodiscard]] Bytes der() const;
  /// Printable, in the order of the certificate: "C=CH, O=Example, CN=gw.example.net"; "(no name)" when it is empty.
  [[nodiscard]] std::string subject() const;
  [[nodiscard]] std::string issuer() const;
  /// The Name in DER; an empty name is the two octets of an empty SEQUENCE.
  [[nodiscard]] Bytes subject_der() const;
  /// In hexadecimal.
  [[nodiscard]] std::string serial() const;
  [[nodiscard]] CalendarTime not_before() const;
  [[nodiscard]] CalendarTime not_after() const;
  [[nodiscard]] PublicKey public_key() const;
  [[nodiscard]] std::vector<AlternativeName> alternative_names() const;
  /// It may issue certificates: basic constraints say so (RFC 5280 4.2.1.9).
  [[nodiscard]] bool is_authority() const;
  /// SHA-1 of the SubjectPublicKeyInfo, by which CERTREQ names an authority (RFC 7296 3.7). 20 octets.
  [[nodiscard]] Bytes key_digest() const;
  /// SHA-256 of the whole certificate.
  [[nodiscard]] Bytes fingerprint() const;

  [[nodiscard]] const CertificateHandle& handle() const { return *handle_; }

 private:
  explicit Certificate(std::shared_ptr<const CertificateHandle> handle) : handle_(std::move(handle)) {}
  std::shared_ptr<const CertificateHandle> handle_;
};

class RevocationList {
 public:
  /// All of a file: one or several in PEM, or one in DER.
  [[nodiscard]] static Result<std::vector<RevocationList>, std::string> from_file_content(ByteView content);

  [[nodiscard]] std::string issuer() const;
  /// When the next one is due; nothing when the list does not say.
  [[nodiscard]] std::optional<CalendarTime> next_update() const;
  [[nodiscard]] Bytes fingerprint() const;

  [[nodiscard]] const RevocationListHandle& handle() const { return *handle_; }

 private:
  explicit RevocationList(std::shared_ptr<const RevocationListHandle> handle) : handle_(std::move(handle)) {}
  std::shared_ptr<const RevocationListHandle> handle_;
};

}  // namespace culvert::crypto
