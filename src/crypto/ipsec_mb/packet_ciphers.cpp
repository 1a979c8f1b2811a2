#include "crypto/ipsec_mb/packet_ciphers.hpp"

namespace culvert::crypto::ipsec_mb {

bool available() { return false; }

Result<std::unique_ptr<PacketCipher>, CryptoError> make(const PacketSuite&, ByteView, ByteView) {
  return err(CryptoError::unsupported);
}

}  // namespace culvert::crypto::ipsec_mb
