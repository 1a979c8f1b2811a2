#include "crypto/packet_cipher.hpp"

#include "crypto/by_batch_size.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"
#include "crypto/openssl/packet_ciphers.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kAeadSalt = 4;
constexpr std::size_t kAeadIv = 8;
constexpr std::size_t kAesBlock = 16;

bool is_supported(const PacketSuite& suite) {
  const bool aes_key = suite.key_bits == 128 || suite.key_bits == 192 || suite.key_bits == 256;
  const bool has_integrity = suite.integrity != IntegrityId::none;
  switch (suite.cipher) {
    case CipherId::aes_gcm_16: return aes_key && !has_integrity;
    case CipherId::chacha20_poly1305: return suite.key_bits == 256 && !has_integrity;
    // Encryption that nobody authenticates can be changed at will; and nothing at all protects nothing.
    case CipherId::aes_cbc: return aes_key && has_integrity;
    case CipherId::null: return suite.key_bits == 0 && has_integrity;
  }
  return false;
}

/// How many packets a burst needs before ipsec-mb's HMAC beats OpenSSL's. It computes up to 16 messages at once and one
/// alone takes as long as all of them: measured with AVX-512, one packet costs 2 (SHA-512) to 6 (SHA-256) times
/// OpenSSL's time, a burst of 32 a third of it.
std::size_t enough_for_a_burst(IntegrityId integrity) { return integrity == IntegrityId::hmac_sha2_256_128 ? 7 : 3; }

Result<std::unique_ptr<PacketCipher>, CryptoError> make_fastest(const PacketSuite& suite, ByteView encryption_key,
                                                                ByteView integrity_key) {
  if (!ipsec_mb_available()) return openssl::make(suite, encryption_key, integrity_key);
  auto many = ipsec_mb::make(suite, encryption_key, integrity_key);
  if (suite.is_aead() || !many) return many;
  auto few = openssl::make(suite, encryption_key, integrity_key);
  if (!few) return few;
  return by_batch_size(std::move(*few), std::move(*many), ipsec_mb::kBurst, enough_for_a_burst(suite.integrity));
}

}  // namespace

SuiteSizes sizes_of(const PacketSuite& suite) {
  SuiteSizes sizes;
  switch (suite.cipher) {
    case CipherId::aes_gcm_16:
    case CipherId::chacha20_poly1305:
      sizes.salt = kAeadSalt;
      sizes.encryption_key = suite.key_bits / 8 + kAeadSalt;
      sizes.iv = kAeadIv;
      sizes.icv = 16;
      return sizes;
    case CipherId::aes_cbc:
      sizes.encryption_key = suite.key_bits / 8;
      sizes.iv = kAesBlock;
      sizes.block = kAesBlock;
      break;
    case CipherId::null: break;
  }
  // RFC 4868 2.1, 2.6: the key is as long as the digest, the ICV half of it.
  switch (suite.integrity) {
    case IntegrityId::none: break;
    case IntegrityId::hmac_sha2_256_128: sizes.integrity_key = 32; break;
    case IntegrityId::hmac_sha2_384_192: sizes.integrity_key = 48; break;
    case IntegrityId::hmac_sha2_512_256: sizes.integrity_key = 64; break;
  }
  sizes.icv = sizes.integrity_key / 2;
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
    case Backend::automatic: break;
  }
  return make_fastest(suite, encryption_key, integrity_key);
}

bool ipsec_mb_available() { return ipsec_mb::available(); }

}  // namespace culvert::crypto
