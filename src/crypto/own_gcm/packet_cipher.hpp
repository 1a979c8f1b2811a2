#pragma once

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::own_gcm {

/// True when this CPU can run it.
[[nodiscard]] bool available();

/// AES-GCM with ICVs of 8, 12 and 16 octets (RFC 4106) and implicit IVs (RFC 8750); `unsupported` for other suites and
/// CPUs. Any suite that `make_packet_cipher` lets through; the key size is right.
[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make(const PacketSuite& suite, ByteView key_and_salt);

}  // namespace culvert::crypto::own_gcm
