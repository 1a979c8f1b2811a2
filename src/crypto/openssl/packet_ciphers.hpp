#pragma once

#include "crypto/openssl/handles.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::openssl {

using MadePacketCipher = Result<std::unique_ptr<PacketCipher>, CryptoError>;

/// Any suite that `make_packet_cipher` lets through; key sizes are right.
[[nodiscard]] MadePacketCipher make(const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key);

/// AES-GCM and ChaCha20-Poly1305.
[[nodiscard]] MadePacketCipher make_aead(const PacketSuite& suite, ByteView key_and_salt);
[[nodiscard]] MadePacketCipher make_ccm(const PacketSuite& suite, ByteView key_and_salt);
/// ESP's null_aes_gmac and AH's AES-GMAC.
[[nodiscard]] MadePacketCipher make_gmac(const PacketSuite& suite, ByteView key_and_salt);
[[nodiscard]] MadePacketCipher make_cipher_then_mac(const PacketSuite& suite, ByteView encryption_key,
                                                    ByteView integrity_key);

/// The library's cipher for a suite that encrypts or is a GMAC; null when this installation lacks it. DES comes from
/// the legacy provider, in a library context of its own, so that nothing else can find what is in there.
[[nodiscard]] Cipher fetch_cipher(const PacketSuite& suite);

/// "OpenSSL 3.0.x", with the version of the library that runs.
[[nodiscard]] const char* backend_name();

}  // namespace culvert::crypto::openssl
