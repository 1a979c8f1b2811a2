// What stands behind the keys, certificates and lists of the crypto layer's face. Apart from handles.hpp, for OpenSSL's
// X.509 and ipsec-mb name some functions alike.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <openssl/bio.h>
#include <openssl/x509.h>

#include "base/bytes.hpp"
#include "crypto/certificate.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/signature.hpp"

namespace culvert::crypto::openssl {

using EcdsaNumbers = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Cert = std::unique_ptr<X509, Freer<X509_free>>;
using X509Crl = std::unique_ptr<X509_CRL, Freer<X509_CRL_free>>;
using X509StoreHandle = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using X509StoreCtx = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>>;

}  // namespace culvert::crypto::openssl

namespace culvert::crypto {

/// Signatures that have begun, of each scheme, to be copied and gone on with: a beginning asks the library for some ten
/// things by their names.
class PreparedSigner {
 public:
  /// Null when `begin`, called for the first of a scheme, answers null, or when the library does not copy it.
  template <typename Begin>
  [[nodiscard]] openssl::MdCtx start(SignatureScheme scheme, Begin begin) {
    openssl::MdCtx own(EVP_MD_CTX_new());
    const std::lock_guard lock(mutex_);
    openssl::MdCtx& first = begun_.at(static_cast<std::size_t>(scheme));
    if (!first) first = begin();
    return own && first && EVP_MD_CTX_copy_ex(own.get(), first.get()) == 1 ? std::move(own) : nullptr;
  }

 private:
  std::mutex mutex_;
  static constexpr std::size_t kSchemes = static_cast<std::size_t>(SignatureScheme::ed448) + 1;
  std::array<openssl::MdCtx, kSchemes> begun_;
};

struct KeyHandle {
  openssl::PublicKey key;
  KeyKind kind = KeyKind::other;
  std::shared_ptr<std::mutex> turn = {};        // locked for each signature of a key that is not for several threads
  OSSL_LIB_CTX* library = nullptr;              // that the key was read in and is used in; null: the usual one
  std::shared_ptr<PreparedSigner> signer = {};  // of a private key that the library has itself
};

struct CertificateHandle {
  openssl::X509Cert certificate;
  std::shared_ptr<const KeyHandle> key;
};

struct RevocationListHandle {
  openssl::X509Crl list;
};

}  // namespace culvert::crypto

namespace culvert::crypto::openssl {

[[nodiscard]] KeyKind kind_of(const EVP_PKEY* key);
/// A name as text of printable ASCII, of at most about 300 characters.
[[nodiscard]] std::string text_of(const X509_NAME* name);
/// Seconds since 1970, or nothing for a date that is none.
[[nodiscard]] std::optional<CalendarTime> time_of(const ASN1_TIME* time);

inline constexpr int kPemBlocks = 600;  // of one file, whatever is in them

/// Calls `take` with each PEM block's name, header and content until it answers false or there is none left. Answers
/// whether there was any.
bool each_pem_block(ByteView content,
                    const std::function<bool(std::string_view name, std::string_view header, ByteView der)>& take);

/// A list of changes (RFC 5280 5.2.4), which says nothing without its base. Some OpenSSL take it for a whole one.
[[nodiscard]] inline bool is_delta(const X509_CRL* list) {
  return X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0;
}

/// When a list's entry took its certificate back, and why: "revoked on 2027-01-14T08:00:00Z (keyCompromise)".
[[nodiscard]] std::string revoked_text(const X509_REVOKED* entry);

/// i2d_* of any object, as octets.
template <typename T>
[[nodiscard]] Bytes der_of(int (*encode)(const T*, unsigned char**), const T* object) {
  const int size = encode(object, nullptr);
  if (size <= 0) return {};
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* at = der.data();
  (void)encode(object, &at);
  return der;
}

}  // namespace culvert::crypto::openssl
