// PacketMac: the keyed integrity algorithms that stand beside a cipher, or alone in AH.
#pragma once

#include <initializer_list>
#include <memory>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::openssl {

class PacketMac {
 public:
  virtual ~PacketMac() = default;
  /// The MAC of the parts one after the other, cut to the size of `icv`, which is at most the algorithm's own.
  virtual void compute(std::initializer_list<ByteView> parts, MutableByteView icv) = 0;
};

using MadePacketMac = Result<std::unique_ptr<PacketMac>, CryptoError>;

/// For every algorithm but NONE and AES-GMAC; the key has its size.
[[nodiscard]] MadePacketMac make_packet_mac(IntegrityId id, ByteView key);

/// AES-XCBC-MAC (RFC 3566) under a key of 16 octets: up to 16 octets of MAC.
[[nodiscard]] MadePacketMac make_xcbc(ByteView key);

}  // namespace culvert::crypto::openssl
