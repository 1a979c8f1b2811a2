#pragma once

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::ipsec_mb {

/// True when the library was built in and this CPU has the instructions for its constant-time AES.
[[nodiscard]] bool available();

/// Any suite that `make_packet_cipher` lets through; key sizes are right. `unsupported` when the library is not
/// available.
[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make(const PacketSuite& suite, ByteView encryption_key,
                                                                      ByteView integrity_key);

}  // namespace culvert::crypto::ipsec_mb
