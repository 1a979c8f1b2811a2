#include "crypto/signature.hpp"

#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/openssl/certificate_library.hpp"
#include "crypto/openssl/x509_handles.hpp"

namespace culvert::crypto {
namespace {

using openssl::ErrorQueueGuard;

enum class Family : std::uint8_t { rsa_pkcs1, rsa_pss, ecdsa, eddsa };
struct SchemeRow {
  SignatureScheme scheme;
  std::string_view name;
  Family family;
  const char* digest;  // null: the algorithm hashes by itself
};
constexpr std::array kSchemes = std::to_array<SchemeRow>({
    {SignatureScheme::rsa_pkcs1_sha1, "RSA PKCS#1 with SHA-1", Family::rsa_pkcs1, "SHA1"},
    {SignatureScheme::rsa_pkcs1_sha2_256, "RSA PKCS#1 with SHA2-256", Family::rsa_pkcs1, "SHA2-256"},
    {SignatureScheme::rsa_pkcs1_sha2_384, "RSA PKCS#1 with SHA2-384", Family::rsa_pkcs1, "SHA2-384"},
    {SignatureScheme::rsa_pkcs1_sha2_512, "RSA PKCS#1 with SHA2-512", Family::rsa_pkcs1, "SHA2-512"},
    {SignatureScheme::rsa_pss_sha2_256, "RSA PSS with SHA2-256", Family::rsa_pss, "SHA2-256"},
    {SignatureScheme::rsa_pss_sha2_384, "RSA PSS with SHA2-384", Family::rsa_pss, "SHA2-384"},
    {SignatureScheme::rsa_pss_sha2_512, "RSA PSS with SHA2-512", Family::rsa_pss, "SHA2-512"},
    {SignatureScheme::ecdsa_sha2_256, "ECDSA with SHA2-256", Family::ecdsa, "SHA2-256"},
    {SignatureScheme::ecdsa_sha2_384, "ECDSA with SHA2-384", Family::ecdsa, "SHA2-384"},
    {SignatureScheme::ecdsa_sha2_512, "ECDSA with SHA2-512", Family::ecdsa, "SHA2-512"},
    {SignatureScheme::ed25519, "Ed25519", Family::eddsa, nullptr},
    {SignatureScheme::ed448, "Ed448", Family::eddsa, nullptr},
});

const SchemeRow& row_of(SignatureScheme scheme) {
  for (const SchemeRow& row : kSchemes) {
    if (row.scheme == scheme) return row;
  }
  return kSchemes.front();  // there is a row for each
}

bool is_ecdsa(KeyKind kind) {
  return kind == KeyKind::ecdsa_p256 || kind == KeyKind::ecdsa_p384 || kind == KeyKind::ecdsa_p521;
}

/// Padding as the scheme has it, behind EVP_Digest{Sign,Verify}Init. The salt of PSS has the hash's length, and is
/// refused when it has not.
bool set_padding(EVP_PKEY_CTX* context, Family family) {
  switch (family) {
    case Family::rsa_pkcs1: return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    case Family::rsa_pss:
      return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    case Family::ecdsa:
    case Family::eddsa: return true;
  }
  return false;
}

// Exponents of more than 64 bits only make verifying slow; even ones and 1 make it meaningless. The library bounds the
// modulus by 16384 bits.
bool sane_rsa(const EVP_PKEY* key) {
  constexpr int kMostBits = 8192;
  const int bits = EVP_PKEY_get_bits(key);
  if (bits <= 0 || bits > kMostBits) return false;
  // As numbers of the machine; one that has no room, or is not there, is an error. No longer than it is: each octet of
  // the room costs as much as one of the number.
  std::array<unsigned char, kMostBits / 8> modulus{};
  const std::size_t size = (static_cast<std::size_t>(bits) + 7) / 8;
  std::uint64_t exponent = 0;
  std::array parameters{OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus.data(), size),
                        OSSL_PARAM_construct_uint64(OSSL_PKEY_PARAM_RSA_E, &exponent), OSSL_PARAM_construct_end()};
  const std::size_t lowest = std::endian::native == std::endian::little ? 0 : size - 1;
  return EVP_PKEY_get_params(key, parameters.data()) == 1 && OSSL_PARAM_modified(parameters.data()) == 1 &&
         OSSL_PARAM_modified(&parameters[1]) == 1 && modulus.at(lowest) % 2 == 1 && exponent % 2 == 1 && exponent != 1;
}

/// Where signatures by the key are verified. Another library would be given a copy of the key; but where a policy
/// (FIPS) says what computes, it is the usual one.
OSSL_LIB_CTX* library_of(const KeyHandle& handle) {
  return EVP_default_properties_is_fips_enabled(nullptr) == 1 ? nullptr : handle.library;
}

/// Nothing more comes behind: without this the library finishes a copy.
bool ends_here(EVP_MD_CTX* context) {
  EVP_MD_CTX_set_flags(context, EVP_MD_CTX_FLAG_FINALISE);
  return true;
}

}  // namespace

std::string_view name_of(KeyKind kind) {
  switch (kind) {
    case KeyKind::rsa: return "RSA";
    case KeyKind::ecdsa_p256: return "ECDSA P-256";
    case KeyKind::ecdsa_p384: return "ECDSA P-384";
    case KeyKind::ecdsa_p521: return "ECDSA P-521";
    case KeyKind::ed25519: return "Ed25519";
    case KeyKind::ed448: return "Ed448";
    case KeyKind::other: break;
  }
  return "a key of another kind";
}

std::string_view name_of(SignatureScheme scheme) { return row_of(scheme).name; }

bool fits(SignatureScheme scheme, KeyKind kind) {
  switch (row_of(scheme).family) {
    case Family::rsa_pkcs1:
    case Family::rsa_pss: return kind == KeyKind::rsa;
    case Family::ecdsa: return is_ecdsa(kind);
    case Family::eddsa: return kind == (scheme == SignatureScheme::ed25519 ? KeyKind::ed25519 : KeyKind::ed448);
  }
  return false;
}

// ---------------------------------------------------------------- public keys

Result<PublicKey, CryptoError> PublicKey::from_spki(ByteView der) {
  const ErrorQueueGuard guard;
  const unsigned char* at = der.data();
  OSSL_LIB_CTX* const library = openssl::library_for_key(der);
  openssl::PublicKey key(d2i_PUBKEY_ex(nullptr, &at, static_cast<long>(der.size()), library, nullptr));
  if (!key || at != der.data() + der.size()) return err(CryptoError::bad_public_value);
  const KeyKind kind = openssl::kind_of(key.get());
  return PublicKey(
      std::make_shared<const KeyHandle>(KeyHandle{.key = std::move(key), .kind = kind, .library = library}));
}

Result<PublicKey, std::string> PublicKey::parse(ByteView content) {
  const ErrorQueueGuard guard;
  std::optional<Result<PublicKey, CryptoError>> found;
  std::string other;
  const bool pem = openssl::each_pem_block(content, [&](std::string_view name, std::string_view, ByteView der) {
    if (name == "PUBLIC KEY") {
      found = from_spki(der);
      return false;
    }
    other = name;
    return true;
  });
  if (pem && !found) return err(fmt::format("holds no public key but a {}", escaped(other, 60)));
  if (!found) found = from_spki(content);
  if (!*found) return err(std::string("holds no public key that can be read"));
  const PublicKey& key = **found;
  if (key.kind() != KeyKind::other) return key;
  return err(
      fmt::format("holds a key of a kind that IKEv2 does not sign with ({} bits); use RSA, ECDSA on P-256, P-384 or "
                  "P-521, Ed25519 or Ed448",
                  key.bits()));
}

Bytes PublicKey::spki() const {
  const ErrorQueueGuard guard;
  return openssl::der_of(i2d_PUBKEY, static_cast<const EVP_PKEY*>(handle_->key.get()));
}

KeyKind PublicKey::kind() const { return handle_->kind; }
unsigned PublicKey::bits() const { return static_cast<unsigned>(EVP_PKEY_get_bits(handle_->key.get())); }

std::string PublicKey::to_string() const {
  if (kind() == KeyKind::rsa) return fmt::format("RSA {}", bits());
  return std::string(name_of(kind()));
}

bool PublicKey::verify(SignatureScheme scheme, ByteView message, ByteView signature) const {
  const ErrorQueueGuard guard;
  const SchemeRow& row = row_of(scheme);
  if (!fits(scheme, kind()) || signature.empty()) return false;
  const openssl::MdCtx context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  return context &&
         EVP_DigestVerifyInit_ex(context.get(), &key_context, row.digest, library_of(*handle_), nullptr,
                                 handle_->key.get(), nullptr) == 1 &&
         set_padding(key_context, row.family) && ends_here(context.get()) &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

bool PublicKey::same_key(const PublicKey& other) const {
  const ErrorQueueGuard guard;
  if (EVP_PKEY_eq(handle_->key.get(), other.handle_->key.get()) == 1) return true;
  // One that is on a token is not compared by the library.
  return kind() == other.kind() && kind() != KeyKind::other && equal(spki(), other.spki());
}

// ---------------------------------------------------------------- private keys

namespace {

Result<PrivateKey, std::string> from_der(ByteView der) {
  const unsigned char* at = der.data();
  openssl::PublicKey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
  if (!key || at != der.data() + der.size()) return err(std::string("holds no private key that can be read"));
  const KeyKind kind = openssl::kind_of(key.get());
  if (kind == KeyKind::other) {
    return err(
        fmt::format("holds a key of a kind that IKEv2 does not sign with ({} bits); use RSA, ECDSA on P-256, "
                    "P-384 or P-521, Ed25519 or Ed448",
                    EVP_PKEY_get_bits(key.get())));
  }
  return PrivateKey(std::make_shared<const KeyHandle>(
      KeyHandle{.key = std::move(key), .kind = kind, .signer = std::make_shared<PreparedSigner>()}));
}

}  // namespace

Result<PrivateKey, CryptoError> PrivateKey::generate() {
  const ErrorQueueGuard guard;
  openssl::PublicKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return err(CryptoError::backend_failure);
  return PrivateKey(std::make_shared<const KeyHandle>(KeyHandle{std::move(key), KeyKind::ed25519}));
}

SecretBytes PrivateKey::pem() const {
  const ErrorQueueGuard guard;
  const openssl::Bio bio(BIO_new(BIO_s_secmem()));
  CHECK(bio &&
        PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return SecretBytes::copy_of({reinterpret_cast<const std::uint8_t*>(text), static_cast<std::size_t>(size)});
}

Result<PrivateKey, std::string> PrivateKey::parse(ByteView content) {
  const ErrorQueueGuard guard;
  const std::string encrypted = "is encrypted with a passphrase, and none is given for it";
  std::optional<Result<PrivateKey, std::string>> found;
  bool certificate = false;
  const bool pem = openssl::each_pem_block(content, [&](std::string_view name, std::string_view header, ByteView der) {
    certificate = certificate || name == "CERTIFICATE";
    if (!name.ends_with("PRIVATE KEY")) return true;
    if (name == "ENCRYPTED PRIVATE KEY" || header.find("ENCRYPTED") != std::string_view::npos) {
      found = err(encrypted);
    } else if (found) {
      found = err(std::string("holds more than one private key; keep one of them"));
    } else {
      found = from_der(der);
      return found->has_value();
    }
    return false;
  });
  if (found) return std::move(*found);
  if (certificate) return err(std::string("holds a certificate, not a private key"));
  if (pem) return err(std::string("holds no private key"));
  return from_der(content);
}

namespace {

/// A key that another provider has is exported to the library's own, which is asked first, without its private half:
/// the one that has it must sign. Empty where that is the library's own.
std::string signer_of(const EVP_PKEY* key) {
  const OSSL_PROVIDER* provider = EVP_PKEY_get0_provider(key);
  const std::string_view name = provider == nullptr ? "default" : OSSL_PROVIDER_get0_name(provider);
  return name == "default" ? std::string() : fmt::format("?provider={}", name);
}

openssl::MdCtx begin_to_sign(EVP_PKEY* key, const SchemeRow& row) {
  openssl::MdCtx context(EVP_MD_CTX_new());
  const std::string signer = signer_of(key);
  EVP_PKEY_CTX* key_context = nullptr;
  const bool begun = context &&
                     EVP_DigestSignInit_ex(context.get(), &key_context, row.digest, nullptr,
                                           signer.empty() ? nullptr : signer.c_str(), key, nullptr) == 1 &&
                     set_padding(key_context, row.family);
  return begun ? std::move(context) : nullptr;
}

}  // namespace

Result<Bytes, CryptoError> PrivateKey::sign(SignatureScheme scheme, ByteView message) const {
  const ErrorQueueGuard guard;
  const SchemeRow& row = row_of(scheme);
  if (!fits(scheme, handle_->kind)) return err(CryptoError::unsupported);
  std::unique_lock<std::mutex> turn;
  if (handle_->turn) turn = std::unique_lock(*handle_->turn);
  const auto begin = [&] { return begin_to_sign(handle_->key.get(), row); };
  openssl::MdCtx context = handle_->signer ? handle_->signer->start(scheme, begin) : nullptr;
  if (!context) context = begin();
  std::size_t size = 0;
  if (!context || !ends_here(context.get()) ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
    return err(CryptoError::backend_failure);
  }
  Bytes signature(size);
  if (EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1)
    return err(CryptoError::backend_failure);
  signature.resize(size);
  return signature;
}

// ---------------------------------------------------------------- ECDSA's two forms

std::size_t ecdsa_number_size(KeyKind kind) {
  switch (kind) {
    case KeyKind::ecdsa_p256: return 32;
    case KeyKind::ecdsa_p384: return 48;
    case KeyKind::ecdsa_p521: return 66;
    default: return 0;
  }
}

Result<Bytes, CryptoError> ecdsa_to_raw(ByteView der, std::size_t size) {
  const ErrorQueueGuard guard;
  const unsigned char* at = der.data();
  const openssl::EcdsaNumbers numbers(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!numbers || at != der.data() + der.size()) return err(CryptoError::bad_public_value);
  Bytes raw(2 * size);
  const auto width = static_cast<int>(size);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(numbers.get()), raw.data(), width) != width ||
      BN_bn2binpad(ECDSA_SIG_get0_s(numbers.get()), raw.data() + size, width) != width) {
    return err(CryptoError::bad_public_value);
  }
  return raw;
}

Result<Bytes, CryptoError> ecdsa_to_der(ByteView raw) {
  const ErrorQueueGuard guard;
  if (raw.empty() || raw.size() % 2 != 0 || raw.size() > 132) return err(CryptoError::bad_public_value);
  const auto size = static_cast<int>(raw.size() / 2);
  openssl::BigNumber r(BN_bin2bn(raw.data(), size, nullptr));
  openssl::BigNumber s(BN_bin2bn(raw.data() + size, size, nullptr));
  const openssl::EcdsaNumbers numbers(ECDSA_SIG_new());
  // Takes both over; refuses nothing but null.
  if (!r || !s || !numbers || ECDSA_SIG_set0(numbers.get(), r.release(), s.release()) != 1)
    return err(CryptoError::backend_failure);
  return openssl::der_of(i2d_ECDSA_SIG, static_cast<const ECDSA_SIG*>(numbers.get()));
}

}  // namespace culvert::crypto

namespace culvert::crypto::openssl {

KeyKind kind_of(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return sane_rsa(key) ? KeyKind::rsa : KeyKind::other;
    case EVP_PKEY_ED25519: return KeyKind::ed25519;
    case EVP_PKEY_ED448: return KeyKind::ed448;
    case EVP_PKEY_EC: break;
    default: return KeyKind::other;
  }
  std::array<char, 64> group{};
  std::size_t length = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) != 1) return KeyKind::other;
  const std::string_view name(group.data(), length);
  if (name == "prime256v1") return KeyKind::ecdsa_p256;
  if (name == "secp384r1") return KeyKind::ecdsa_p384;
  if (name == "secp521r1") return KeyKind::ecdsa_p521;
  return KeyKind::other;
}

bool each_pem_block(ByteView content,
                    const std::function<bool(std::string_view name, std::string_view header, ByteView der)>& take) {
  const ErrorQueueGuard guard;
  const Bio bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  bool any = false;
  for (int blocks = 0; bio && blocks < kPemBlocks; ++blocks) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    // Kept where it is wiped: a block may be a private key.
    if (PEM_read_bio_ex(bio.get(), &name, &header, &data, &size, PEM_FLAG_SECURE) != 1) break;
    any = true;
    const bool more = take(name, header, {data, static_cast<std::size_t>(size)});
    OPENSSL_secure_free(name);
    OPENSSL_secure_free(header);
    OPENSSL_secure_clear_free(data, static_cast<std::size_t>(size));
    if (!more) break;
  }
  return any;
}

}  // namespace culvert::crypto::openssl
