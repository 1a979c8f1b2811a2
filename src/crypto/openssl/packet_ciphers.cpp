// From a suite to the class that serves it and to the library's name for its cipher.
#include "crypto/openssl/packet_ciphers.hpp"

#include <string>

#include <openssl/crypto.h>
#include <openssl/provider.h>

namespace culvert::crypto::openssl {
namespace {

std::string cipher_name(const PacketSuite& suite) {
  unsigned bits = suite.key_bits;
  switch (suite.integrity) {
    case IntegrityId::aes_128_gmac: bits = 128; break;
    case IntegrityId::aes_192_gmac: bits = 192; break;
    case IntegrityId::aes_256_gmac: bits = 256; break;
    default: break;
  }
  const std::string aes = "AES-" + std::to_string(bits);
  const std::string camellia = "CAMELLIA-" + std::to_string(bits);
  switch (suite.cipher) {
    case CipherId::null:
    case CipherId::null_aes_gmac:
    case CipherId::aes_gcm_8:
    case CipherId::aes_gcm_12:
    case CipherId::aes_gcm_16:
    case CipherId::aes_gcm_16_iiv: return aes + "-GCM";
    case CipherId::aes_ccm_8:
    case CipherId::aes_ccm_8_iiv:
    case CipherId::aes_ccm_12:
    case CipherId::aes_ccm_16: return aes + "-CCM";
    case CipherId::chacha20_poly1305:
    case CipherId::chacha20_poly1305_iiv: return "ChaCha20-Poly1305";
    case CipherId::aes_cbc: return aes + "-CBC";
    case CipherId::aes_ctr: return aes + "-CTR";
    case CipherId::camellia_cbc: return camellia + "-CBC";
    case CipherId::camellia_ctr: return camellia + "-CTR";
    case CipherId::triple_des_cbc: return "DES-EDE3-CBC";
    case CipherId::des_cbc: return "DES-CBC";
  }
  return {};
}

/// A library context with the legacy provider only; null where the installation has none.
class LegacyContext {
 public:
  LegacyContext() : context_(OSSL_LIB_CTX_new()) {
    if (context_ != nullptr) provider_ = OSSL_PROVIDER_load(context_, "legacy");
  }
  LegacyContext(const LegacyContext&) = delete;
  LegacyContext& operator=(const LegacyContext&) = delete;
  ~LegacyContext() {
    if (provider_ != nullptr) OSSL_PROVIDER_unload(provider_);
    OSSL_LIB_CTX_free(context_);
  }
  [[nodiscard]] OSSL_LIB_CTX* get() const { return provider_ == nullptr ? nullptr : context_; }

 private:
  OSSL_LIB_CTX* context_;
  OSSL_PROVIDER* provider_ = nullptr;
};

OSSL_LIB_CTX* legacy_context() {
  static const LegacyContext context;
  return context.get();
}

bool is_gmac(IntegrityId id) {
  return id == IntegrityId::aes_128_gmac || id == IntegrityId::aes_192_gmac || id == IntegrityId::aes_256_gmac;
}

}  // namespace

Cipher fetch_cipher(const PacketSuite& suite) {
  OSSL_LIB_CTX* context = nullptr;
  if (suite.cipher == CipherId::des_cbc) {
    context = legacy_context();
    if (context == nullptr) return nullptr;
  }
  return Cipher(EVP_CIPHER_fetch(context, cipher_name(suite).c_str(), nullptr));
}

MadePacketCipher make(const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key) {
  const ErrorQueueGuard guard;
  switch (suite.cipher) {
    case CipherId::aes_gcm_8:
    case CipherId::aes_gcm_12:
    case CipherId::aes_gcm_16:
    case CipherId::aes_gcm_16_iiv:
    case CipherId::chacha20_poly1305:
    case CipherId::chacha20_poly1305_iiv: return make_aead(suite, encryption_key);
    case CipherId::aes_ccm_8:
    case CipherId::aes_ccm_8_iiv:
    case CipherId::aes_ccm_12:
    case CipherId::aes_ccm_16: return make_ccm(suite, encryption_key);
    case CipherId::null_aes_gmac: return make_gmac(suite, encryption_key);
    case CipherId::null:
      if (is_gmac(suite.integrity)) return make_gmac(suite, integrity_key);
      break;
    case CipherId::aes_cbc:
    case CipherId::aes_ctr:
    case CipherId::camellia_cbc:
    case CipherId::camellia_ctr:
    case CipherId::triple_des_cbc:
    case CipherId::des_cbc: break;
  }
  return make_cipher_then_mac(suite, encryption_key, integrity_key);
}

const char* backend_name() {
  static const std::string name = std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING);
  return name.c_str();
}

}  // namespace culvert::crypto::openssl
