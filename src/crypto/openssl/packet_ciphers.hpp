#pragma once

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::openssl {

/// Any suite that `make_packet_cipher` lets through; key sizes are right.
[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make(const PacketSuite& suite, ByteView encryption_key,
                                                                      ByteView integrity_key);

[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make_aead(const PacketSuite& suite,
                                                                           ByteView key_and_salt);
[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make_cipher_then_mac(const PacketSuite& suite,
                                                                                      ByteView encryption_key,
                                                                                      ByteView integrity_key);

/// "OpenSSL 3.0.x", with the version of the library that runs.
[[nodiscard]] const char* backend_name();

}  // namespace culvert::crypto::openssl
