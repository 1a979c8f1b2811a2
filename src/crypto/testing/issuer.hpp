// Certificates made on the spot for tests and measurements: an authority, what it issues, what it revokes. Header only;
// never part of the product.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/check.hpp"
#include "crypto/certificate.hpp"
#include "crypto/openssl/x509_handles.hpp"
#include "crypto/signature.hpp"

namespace culvert::crypto::testing {

inline constexpr CalendarTime kToday = 1'800'000'000;  // 2027-01-15, the day on which tests live
inline constexpr CalendarTime kDay = 86'400;

/// A key pair that can be written to a file.
class TestKey {
 public:
  /// "RSA:2048", "P-256", "P-384", "P-521", "ED25519", "ED448".
  static TestKey make(std::string_view kind) {
    EVP_PKEY* key = nullptr;
    if (kind.starts_with("RSA:")) {
      key = EVP_RSA_gen(static_cast<unsigned>(std::stoi(std::string(kind.substr(4)))));
    } else if (kind.starts_with("P-")) {
      std::string curve(kind);
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve.data());
    } else {
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, std::string(kind).c_str());
    }
    CHECK(key != nullptr);
    return TestKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
  }
  /// Of Ed25519, the same for the same 32 octets: what it signs, too.
  static TestKey of_seed(ByteView seed) {
    EVP_PKEY* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size());
    CHECK(key != nullptr);
    return TestKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
  }
  [[nodiscard]] EVP_PKEY* get() const { return key_.get(); }
  [[nodiscard]] std::string pem(const char* passphrase = nullptr) const {
    const openssl::Bio bio(BIO_new(BIO_s_mem()));
    CHECK(PEM_write_bio_PKCS8PrivateKey(
              bio.get(), get(), passphrase == nullptr ? nullptr : EVP_aes_256_cbc(), passphrase,
              passphrase == nullptr ? 0 : static_cast<int>(std::strlen(passphrase)), nullptr, nullptr) == 1);
    return text_of(bio.get());
  }
  [[nodiscard]] PrivateKey private_key() const {
    auto key = PrivateKey::parse(as_bytes(pem()));
    CHECK(key);
    return *key;
  }
  static std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
  }

 private:
  explicit TestKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {}
  std::shared_ptr<EVP_PKEY> key_;
};

struct Wish {
  std::string name;  // the common name, beside C=CH and O=Culvert
  /// Extensions as OpenSSL's configuration writes them: {"subjectAltName", "DNS:a.example,IP:192.0.2.1"}.
  std::vector<std::pair<std::string, std::string>> extensions;
  CalendarTime from = kToday - 10 * kDay;
  CalendarTime until = kToday + 10 * kDay;
  long serial = 4660;
  int version = 3;
  const char* digest = "SHA256";
};

inline Wish authority(std::string name, std::string constraints = "critical,CA:TRUE") {
  return {.name = std::move(name),
          .extensions = {{"basicConstraints", std::move(constraints)}, {"keyUsage", "critical,keyCertSign,cRLSign"}}};
}
inline Wish peer(std::string name, std::string alternatives) {
  Wish wish{.name = std::move(name), .extensions = {{"keyUsage", "critical,digitalSignature"}}};
  if (!alternatives.empty()) wish.extensions.emplace_back("subjectAltName", std::move(alternatives));
  return wish;
}

class TestCertificate {
 public:
  /// Signed by `issuer`'s key under its name; by itself when there is none.
  static TestCertificate make(const TestKey& key, const Wish& wish, const TestCertificate* issuer = nullptr) {
    X509* made = X509_new();
    TestCertificate one(key, std::shared_ptr<X509>(made, X509_free));
    X509_set_version(made, wish.version - 1);
    ASN1_INTEGER_set(X509_get_serialNumber(made), wish.serial);
    X509_NAME* name = X509_get_subject_name(made);
    add(name, "C", "CH");
    add(name, "O", "Culvert");
    add(name, "CN", wish.name);
    X509_set_issuer_name(made, issuer == nullptr ? name : X509_get_subject_name(issuer->certificate_.get()));
    ASN1_TIME_set(X509_getm_notBefore(made), wish.from);
    ASN1_TIME_set(X509_getm_notAfter(made), wish.until);
    X509_set_pubkey(made, key.get());
    for (const auto& [extension, value] : wish.extensions) {
      X509V3_CTX context;
      X509V3_set_ctx(&context, issuer == nullptr ? made : issuer->certificate_.get(), made, nullptr, nullptr, 0);
      X509_EXTENSION* made_extension = X509V3_EXT_conf(nullptr, &context, extension.c_str(), value.c_str());
      CHECK(made_extension != nullptr);
      X509_add_ext(made, made_extension, -1);
      X509_EXTENSION_free(made_extension);
    }
    EVP_PKEY* signer = issuer == nullptr ? key.get() : issuer->key_.get();
    CHECK(X509_sign(made, signer, digest_for(signer, wish.digest)) > 0);
    return one;
  }

  [[nodiscard]] Bytes der() const {
    unsigned char* out = nullptr;
    const int size = i2d_X509(certificate_.get(), &out);
    CHECK(size > 0);
    Bytes octets(out, out + size);
    OPENSSL_free(out);
    return octets;
  }
  [[nodiscard]] std::string pem() const {
    const openssl::Bio bio(BIO_new(BIO_s_mem()));
    CHECK(PEM_write_bio_X509(bio.get(), certificate_.get()) == 1);
    return TestKey::text_of(bio.get());
  }
  [[nodiscard]] Certificate certificate() const {
    auto made = Certificate::from_der(der());
    CHECK(made);
    return *made;
  }
  [[nodiscard]] const TestKey& key() const { return key_; }

  /// This authority's list of what it revoked, in PEM.
  [[nodiscard]] std::string revocation_list(const std::vector<long>& serials, CalendarTime from = kToday - kDay,
                                            CalendarTime next = kToday + kDay) const {
    const std::shared_ptr<X509_CRL> list(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(list.get(), 1);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
    ASN1_TIME* time = ASN1_TIME_set(nullptr, from);
    X509_CRL_set1_lastUpdate(list.get(), time);
    ASN1_TIME_set(time, next);
    X509_CRL_set1_nextUpdate(list.get(), time);
    ASN1_TIME_set(time, from);
    for (const long serial : serials) {
      X509_REVOKED* entry = X509_REVOKED_new();
      ASN1_INTEGER* number = ASN1_INTEGER_new();
      ASN1_INTEGER_set(number, serial);
      X509_REVOKED_set_serialNumber(entry, number);
      X509_REVOKED_set_revocationDate(entry, time);
      X509_CRL_add0_revoked(list.get(), entry);
      ASN1_INTEGER_free(number);
    }
    ASN1_TIME_free(time);
    X509_CRL_sort(list.get());
    CHECK(X509_CRL_sign(list.get(), key_.get(), digest_for(key_.get(), "SHA256")) > 0);
    const openssl::Bio bio(BIO_new(BIO_s_mem()));
    CHECK(PEM_write_bio_X509_CRL(bio.get(), list.get()) == 1);
    return TestKey::text_of(bio.get());
  }

 private:
  TestCertificate(TestKey key, std::shared_ptr<X509> certificate)
      : key_(std::move(key)), certificate_(std::move(certificate)) {}
  static void add(X509_NAME* name, const char* field, const std::string& value) {
    CHECK(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.c_str()),
                                     -1, -1, 0) == 1);
  }
  static const EVP_MD* digest_for(const EVP_PKEY* key, const char* digest) {
    const int type = EVP_PKEY_get_base_id(key);
    return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448 ? nullptr : EVP_get_digestbyname(digest);
  }

  TestKey key_;
  std::shared_ptr<X509> certificate_;
};

}  // namespace culvert::crypto::testing
