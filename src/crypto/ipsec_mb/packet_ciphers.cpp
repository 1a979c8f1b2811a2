#include "crypto/ipsec_mb/packet_ciphers.hpp"

#if HAVE_IPSEC_MB
#include "crypto/ipsec_mb/manager.hpp"
#endif

namespace culvert::crypto::ipsec_mb {

#if HAVE_IPSEC_MB

bool available() { return shared_manager() != nullptr; }

MadePacketCipher make(const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key) {
  if (!available()) return err(CryptoError::unsupported);
  switch (suite.cipher) {
    case CipherId::aes_gcm_8:
    case CipherId::aes_gcm_12:
    case CipherId::aes_gcm_16:
    case CipherId::aes_gcm_16_iiv: return make_aes_gcm(suite, encryption_key);
    case CipherId::chacha20_poly1305:
    case CipherId::chacha20_poly1305_iiv: return make_chacha20_poly1305(encryption_key);
    case CipherId::aes_cbc:
    case CipherId::aes_ctr:
    case CipherId::null:
      // Its bursts of hashes have no other integrity algorithms.
      if (suite.integrity == IntegrityId::hmac_sha1_96 || suite.integrity == IntegrityId::hmac_sha2_256_128 ||
          suite.integrity == IntegrityId::hmac_sha2_384_192 || suite.integrity == IntegrityId::hmac_sha2_512_256) {
        return make_cipher_then_mac(suite, encryption_key, integrity_key);
      }
      break;
    default: break;
  }
  return err(CryptoError::unsupported);
}

#else

bool available() { return false; }

MadePacketCipher make(const PacketSuite&, ByteView, ByteView) { return err(CryptoError::unsupported); }

#endif

}  // namespace culvert::crypto::ipsec_mb
