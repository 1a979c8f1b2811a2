#include "crypto/certificate.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>
#include <openssl/x509v3.h>

#include "base/text.hpp"
#include "crypto/openssl/certificate_library.hpp"
#include "crypto/openssl/x509_handles.hpp"
#include "crypto/prf.hpp"

namespace culvert::crypto {
namespace {

using openssl::ErrorQueueGuard;

/// All of one kind in a file: PEM blocks with one of the names, or the file as DER. `read` answers an error or takes
/// it.
template <typename Read>
Result<void, std::string> each_in_file(ByteView content, std::string_view what,
                                       std::initializer_list<std::string_view> names, Read read) {
  std::size_t count = 0;
  std::optional<std::string> problem;
  std::string other;
  const bool pem = openssl::each_pem_block(content, [&](std::string_view name, std::string_view, ByteView der) {
    if (std::ranges::find(names, name) == names.end()) {
      other = name;
      return true;
    }
    if (++count > kCertificatesPerFile) {
      problem = fmt::format("holds more than {} of them", kCertificatesPerFile);
      return false;
    }
    if (auto result = read(der); !result) problem = fmt::format("its {}. {} {}", count, what, result.error());
    return !problem.has_value();
  });
  if (problem) return err(std::move(*problem));
  if (count > 0) return {};
  if (pem) return err(fmt::format("holds no {} but a {}", what, escaped(other, 60)));
  if (auto result = read(content); !result) return err(fmt::format("is no {} in PEM or DER", what));
  return {};
}

CalendarTime date(const ASN1_TIME* time) { return openssl::time_of(time).value_or(0); }

}  // namespace

std::string to_text(CalendarTime time) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return fmt::format("{} s", time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// ---------------------------------------------------------------- certificates

Result<Certificate, std::string> Certificate::from_der(ByteView der) {
  const ErrorQueueGuard guard;
  if (der.size() > kCertificateLimit)
    return err(fmt::format("has {} octets, {} are allowed", der.size(), kCertificateLimit));
  const unsigned char* at = der.data();
  // The library reads into what there is, and frees it when it fails.
  OSSL_LIB_CTX* const library = openssl::library_for_certificate(der);
  X509* read = X509_new_ex(library, nullptr);
  if (read != nullptr && d2i_X509(&read, &at, static_cast<long>(der.size())) == nullptr) read = nullptr;
  openssl::X509Cert certificate(read);
  if (!certificate || at != der.data() + der.size()) return err(std::string("is no X.509 certificate"));
  openssl::PublicKey key(X509_get_pubkey(certificate.get()));
  if (!key)
    return err(fmt::format("has a public key that cannot be read ({})",
                           openssl::text_of(X509_get_subject_name(certificate.get()))));
  if (!openssl::time_of(X509_get0_notBefore(certificate.get())) ||
      !openssl::time_of(X509_get0_notAfter(certificate.get()))) {
    return err(std::string("has dates that are none"));
  }
  // Reads the extensions once for all; a wrong one stays marked and is refused when the path is verified.
  (void)X509_check_purpose(certificate.get(), -1, 0);
  const KeyKind kind = openssl::kind_of(key.get());
  auto held = std::make_shared<const KeyHandle>(KeyHandle{.key = std::move(key), .kind = kind, .library = library});
  return Certificate(
      std::make_shared<const CertificateHandle>(CertificateHandle{std::move(certificate), std::move(held)}));
}

Result<std::vector<Certificate>, std::string> Certificate::from_file_content(ByteView content) {
  std::vector<Certificate> all;
  const auto done = each_in_file(content, "certificate", {"CERTIFICATE", "X509 CERTIFICATE"}, [&](ByteView der) {
    auto one = from_der(der);
    if (one) all.push_back(std::move(*one));
    return one ? Result<void, std::string>() : err(std::move(one.error()));
  });
  if (!done) return err(done.error());
  return all;
}

Bytes Certificate::der() const {
  return openssl::der_of(i2d_X509, static_cast<const X509*>(handle_->certificate.get()));
}
std::string Certificate::subject() const { return openssl::text_of(X509_get_subject_name(handle_->certificate.get())); }
std::string Certificate::issuer() const { return openssl::text_of(X509_get_issuer_name(handle_->certificate.get())); }
Bytes Certificate::subject_der() const {
  return openssl::der_of(i2d_X509_NAME,
                         static_cast<const X509_NAME*>(X509_get_subject_name(handle_->certificate.get())));
}

std::string Certificate::serial() const {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(handle_->certificate.get());
  // RFC 5280 4.1.2.2: 20 octets at the most.
  const ByteView octets(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial)));
  return to_hex(octets.first(std::min<std::size_t>(octets.size(), 32)));
}

CalendarTime Certificate::not_before() const { return date(X509_get0_notBefore(handle_->certificate.get())); }
CalendarTime Certificate::not_after() const { return date(X509_get0_notAfter(handle_->certificate.get())); }

PublicKey Certificate::public_key() const { return PublicKey(handle_->key); }

std::vector<AlternativeName> Certificate::alternative_names() const {
  const ErrorQueueGuard guard;
  using Names = std::unique_ptr<GENERAL_NAMES, openssl::Freer<GENERAL_NAMES_free>>;
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(handle_->certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  std::vector<AlternativeName> found;
  if (!names) return found;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    AlternativeNameKind kind{};
    switch (name->type) {
      case GEN_DNS: kind = AlternativeNameKind::dns; break;
      case GEN_EMAIL: kind = AlternativeNameKind::mail; break;
      case GEN_IPADD: kind = AlternativeNameKind::ip; break;
      default: continue;
    }
    const ASN1_STRING* value = name->d.ia5;  // all three are strings
    const ByteView octets(ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value)));
    found.push_back({kind, to_bytes(octets)});
  }
  return found;
}

bool Certificate::is_authority() const {
  const ErrorQueueGuard guard;
  return X509_check_ca(handle_->certificate.get()) == 1;
}

Bytes Certificate::key_digest() const {
  return hash(HashId::sha1, {openssl::der_of(i2d_X509_PUBKEY, static_cast<const X509_PUBKEY*>(
                                                                  X509_get_X509_PUBKEY(handle_->certificate.get())))});
}

Bytes Certificate::fingerprint() const { return hash(HashId::sha2_256, {der()}); }

// ---------------------------------------------------------------- revocation lists

Result<std::vector<RevocationList>, std::string> RevocationList::from_file_content(ByteView content) {
  const ErrorQueueGuard guard;
  std::vector<RevocationList> all;
  const auto done =
      each_in_file(content, "revocation list", {"X509 CRL"}, [&](ByteView der) -> Result<void, std::string> {
        const unsigned char* at = der.data();
        openssl::X509Crl list(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
        if (!list || at != der.data() + der.size()) return err(std::string("cannot be read"));
        all.push_back(RevocationList(std::make_shared<const RevocationListHandle>(std::move(list))));
        return {};
      });
  if (!done) return err(done.error());
  return all;
}

std::string RevocationList::issuer() const { return openssl::text_of(X509_CRL_get_issuer(handle_->list.get())); }
std::optional<CalendarTime> RevocationList::next_update() const {
  const ASN1_TIME* time = X509_CRL_get0_nextUpdate(handle_->list.get());
  return time == nullptr ? std::nullopt : openssl::time_of(time);
}
Bytes RevocationList::fingerprint() const {
  return hash(HashId::sha2_256, {openssl::der_of(i2d_X509_CRL, static_cast<const X509_CRL*>(handle_->list.get()))});
}

}  // namespace culvert::crypto

namespace culvert::crypto::openssl {

std::string text_of(const X509_NAME* name) {
  constexpr unsigned long kForm = ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB |
                                  ASN1_STRFLGS_DUMP_UNKNOWN | ASN1_STRFLGS_DUMP_DER | XN_FLAG_SEP_CPLUS_SPC |
                                  XN_FLAG_FN_SN | XN_FLAG_DUMP_UNKNOWN_FIELDS;
  const ErrorQueueGuard guard;
  if (name == nullptr || X509_NAME_entry_count(name) == 0) return "(no name)";
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, kForm) < 0) return "(a name that cannot be read)";
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  std::string printable;
  constexpr std::size_t kLongest = 300;
  for (const char c : std::string_view(text, std::min(static_cast<std::size_t>(size), kLongest)))
    printable += c >= ' ' && c < 0x7f ? c : '?';
  if (static_cast<std::size_t>(size) > kLongest) printable += "...";
  return printable;
}

std::optional<CalendarTime> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return static_cast<CalendarTime>(::timegm(&parts));
}

}  // namespace culvert::crypto::openssl
