#pragma once

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::ipsec_mb {

/// True when the library was built in and this CPU has the instructions for its constant-time AES.
[[nodiscard]] bool available();

/// How many jobs one call of the library takes at most.
inline constexpr std::size_t kBurst = 32;

using MadePacketCipher = Result<std::unique_ptr<PacketCipher>, CryptoError>;

/// Any suite that `make_packet_cipher` lets through; key sizes are right. `unsupported` when the library is not
/// available.
[[nodiscard]] MadePacketCipher make(const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key);

[[nodiscard]] MadePacketCipher make_aes_gcm(const PacketSuite& suite, ByteView key_and_salt);
[[nodiscard]] MadePacketCipher make_chacha20_poly1305(ByteView key_and_salt);
[[nodiscard]] MadePacketCipher make_ccm(const PacketSuite& suite, ByteView key_and_salt);
/// The key is the encryption key for ESP, the integrity key for AH.
[[nodiscard]] MadePacketCipher make_gmac(const PacketSuite& suite, ByteView key_and_salt);
[[nodiscard]] MadePacketCipher make_cipher_then_mac(const PacketSuite& suite, ByteView encryption_key,
                                                    ByteView integrity_key);

}  // namespace culvert::crypto::ipsec_mb
