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
    case CipherId::aes_ccm_8:
    case CipherId::aes_ccm_8_iiv:
    case CipherId::aes_ccm_12:
    case CipherId::aes_ccm_16: return make_ccm(suite, encryption_key);
    case CipherId::null_aes_gmac: return make_gmac(suite, encryption_key);
    case CipherId::aes_cbc:
    case CipherId::aes_ctr:
    case CipherId::null:
      switch (suite.integrity) {
        case IntegrityId::hmac_sha1_96:
        case IntegrityId::hmac_sha2_256_128:
        case IntegrityId::hmac_sha2_384_192:
        case IntegrityId::hmac_sha2_512_256:
        case IntegrityId::hmac_md5_96:
        case IntegrityId::aes_xcbc_96:
        case IntegrityId::aes_cmac_96: return make_cipher_then_mac(suite, encryption_key, integrity_key);
        case IntegrityId::aes_128_gmac:
        case IntegrityId::aes_192_gmac:
        case IntegrityId::aes_256_gmac: return make_gmac(suite, integrity_key);  // with NULL only
        case IntegrityId::none: break;
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
