#include "crypto/packet_cipher.hpp"

#include "crypto/backend_choice.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"
#include "crypto/openssl/packet_ciphers.hpp"
#include "crypto/own_gcm/packet_cipher.hpp"

namespace culvert::crypto {
namespace {

/// What a cipher brings along. `icv` is 0 where it does not authenticate; `key_bits` 0 stands for AES's and Camellia's
/// choice of 128, 192 and 256.
struct CipherShape {
  std::uint8_t salt;
  std::uint8_t nonce_iv;
  std::uint8_t block;
  std::uint8_t icv;
  unsigned key_bits = 0;
};

CipherShape shape_of(CipherId cipher) {
  switch (cipher) {
    case CipherId::null: return {0, 0, 1, 0};
    case CipherId::aes_cbc:
    case CipherId::camellia_cbc: return {0, 16, 16, 0};
    case CipherId::aes_ctr:
    case CipherId::camellia_ctr: return {4, 8, 1, 0};
    case CipherId::aes_gcm_8: return {4, 8, 1, 8};
    case CipherId::aes_gcm_12: return {4, 8, 1, 12};
    case CipherId::aes_gcm_16:
    case CipherId::aes_gcm_16_iiv:
    case CipherId::null_aes_gmac: return {4, 8, 1, 16};
    case CipherId::aes_ccm_8:
    case CipherId::aes_ccm_8_iiv: return {3, 8, 1, 8};
    case CipherId::aes_ccm_12: return {3, 8, 1, 12};
    case CipherId::aes_ccm_16: return {3, 8, 1, 16};
    case CipherId::chacha20_poly1305:
    case CipherId::chacha20_poly1305_iiv: return {4, 8, 1, 16, 256};
    case CipherId::triple_des_cbc: return {0, 8, 8, 0, 192};
    case CipherId::des_cbc: return {0, 8, 8, 0, 64};
  }
  return {};
}

struct IntegrityShape {
  std::uint8_t key;
  std::uint8_t icv;
  std::uint8_t salt = 0;
  std::uint8_t iv = 0;
};

IntegrityShape shape_of(IntegrityId integrity) {
  switch (integrity) {
    case IntegrityId::none: return {0, 0};
    // RFC 4868 2.1, 2.6: the key is as long as the digest, the ICV half of it.
    case IntegrityId::hmac_sha2_256_128: return {32, 16};
    case IntegrityId::hmac_sha2_384_192: return {48, 24};
    case IntegrityId::hmac_sha2_512_256: return {64, 32};
    case IntegrityId::hmac_sha1_96: return {20, 12};
    case IntegrityId::hmac_md5_96:
    case IntegrityId::aes_xcbc_96:
    case IntegrityId::aes_cmac_96: return {16, 12};
    case IntegrityId::aes_128_gmac: return {16 + 4, 16, 4, 8};
    case IntegrityId::aes_192_gmac: return {24 + 4, 16, 4, 8};
    case IntegrityId::aes_256_gmac: return {32 + 4, 16, 4, 8};
  }
  return {};
}

bool is_gmac(IntegrityId integrity) { return shape_of(integrity).iv != 0; }

bool is_supported(const PacketSuite& suite) {
  const bool has_integrity = suite.integrity != IntegrityId::none;
  if (suite.cipher == CipherId::null) return suite.key_bits == 0 && has_integrity;  // nothing at all protects nothing
  const CipherShape shape = shape_of(suite.cipher);
  const bool good_key = shape.key_bits != 0 ? suite.key_bits == shape.key_bits
                                            : suite.key_bits == 128 || suite.key_bits == 192 || suite.key_bits == 256;
  // RFC 4303 3.2, RFC 3686 7: encryption that nobody authenticates can be changed at will.
  return good_key && has_integrity != suite.is_aead() && !is_gmac(suite.integrity);
}

}  // namespace

bool PacketSuite::is_aead() const { return shape_of(cipher).icv != 0; }

bool PacketSuite::counter_iv() const { return shape_of(cipher).salt != 0 || is_gmac(integrity); }

bool PacketSuite::implicit_iv() const {
  return cipher == CipherId::aes_ccm_8_iiv || cipher == CipherId::aes_gcm_16_iiv ||
         cipher == CipherId::chacha20_poly1305_iiv;
}

SuiteSizes sizes_of(const PacketSuite& suite) {
  const CipherShape cipher = shape_of(suite.cipher);
  const IntegrityShape integrity = shape_of(suite.integrity);
  SuiteSizes sizes;
  sizes.salt = cipher.salt;
  sizes.encryption_key = suite.key_bits / 8 + cipher.salt;
  sizes.integrity_key = integrity.key;
  sizes.nonce_iv = std::size_t{cipher.nonce_iv} + integrity.iv;
  sizes.iv = suite.implicit_iv() ? 0 : sizes.nonce_iv;
  sizes.block = cipher.block;
  sizes.icv = std::size_t{cipher.icv} + integrity.icv;
  return sizes;
}

Result<std::unique_ptr<PacketCipher>, CryptoError> make_packet_cipher(const PacketSuite& suite, ByteView encryption_key,
                                                                      ByteView integrity_key, Backend backend) {
  if (!is_supported(suite)) return err(CryptoError::unsupported);
  const SuiteSizes sizes = sizes_of(suite);
  if (encryption_key.size() != sizes.encryption_key || integrity_key.size() != sizes.integrity_key) {
    return err(CryptoError::bad_key_length);
  }
  switch (backend) {
    case Backend::openssl: return openssl::make(suite, encryption_key, integrity_key);
    case Backend::ipsec_mb: return ipsec_mb::make(suite, encryption_key, integrity_key);
    case Backend::own: return own_gcm::make(suite, encryption_key);
    case Backend::automatic: break;
  }
  return make_planned(suite, plans_for(suite), encryption_key, integrity_key);
}

const char* provider_name() { return openssl::backend_name(); }

bool ipsec_mb_available() { return ipsec_mb::available(); }

bool own_available() { return own_gcm::available(); }

}  // namespace culvert::crypto
