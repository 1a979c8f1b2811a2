// PacketCipher: confidentiality and integrity of one packet, as ESP (RFC 4303) and IKE's Encrypted payload (RFC
// 7296 3.14) need it, for combined-mode ciphers and for cipher-then-MAC alike. One object holds one direction's
// expanded key; work comes in batches.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/error.hpp"

namespace culvert::crypto {

enum class CipherId : std::uint8_t { null, aes_cbc, aes_gcm_16, chacha20_poly1305 };
enum class IntegrityId : std::uint8_t { none, hmac_sha2_256_128, hmac_sha2_384_192, hmac_sha2_512_256 };

/// A cipher with its key size and, unless it is a combined mode, an integrity algorithm.
struct PacketSuite {
  CipherId cipher = CipherId::aes_gcm_16;
  unsigned key_bits = 128;  // of the cipher without salt; 256 for ChaCha20, 0 for NULL
  IntegrityId integrity = IntegrityId::none;
  friend bool operator==(const PacketSuite&, const PacketSuite&) = default;

  [[nodiscard]] bool is_aead() const { return cipher == CipherId::aes_gcm_16 || cipher == CipherId::chacha20_poly1305; }
};

/// The sizes, in octets, that a suite gives a packet.
struct SuiteSizes {
  std::size_t encryption_key = 0;  // key material to take from KEYMAT: key, then salt (RFC 4106 8.1, RFC 7634 2)
  std::size_t salt = 0;            // of which salt: 4 for the AEADs, else 0
  std::size_t integrity_key = 0;
  std::size_t iv = 0;     // explicit IV in the packet: 8 for the AEADs, 16 for CBC, 0 for NULL
  std::size_t block = 1;  // the plaintext of a seal is a multiple of this
  std::size_t icv = 0;
};
[[nodiscard]] SuiteSizes sizes_of(const PacketSuite& suite);

/// One packet's work. All pointers refer to memory of the caller; `output` may be `input` (in place) or not overlap it
/// at all, except that it may also start before it: a move to the front, for an open also over its own IV and
/// additional data. Jobs of one batch share no memory that any of them writes.
struct PacketJob {
  /// The explicit IV as it stands in the packet: 8 octets (AEAD; the nonce is salt | iv) or 16 (CBC). For seal the
  /// caller has already chosen and written it; it must never repeat under one key for the AEADs and be unpredictable
  /// for CBC (RFC 3602 3).
  const std::uint8_t* iv = nullptr;
  /// AEAD: the additional data. Cipher-then-MAC: the octets that go into the MAC in front of the IV
  /// (ESP: SPI and low sequence number; IKE: from the IKE header up to the IV), of any length.
  ByteView aad;
  /// Cipher-then-MAC only: octets that enter the MAC after the ciphertext without being sent (ESN's high half, RFC
  /// 4303 2.2.1).
  std::array<std::uint8_t, 4> mac_suffix{};
  std::uint8_t mac_suffix_length = 0;  // 0 or 4
  const std::uint8_t* input = nullptr;
  std::uint8_t* output = nullptr;
  /// Octets of plaintext = ciphertext, without IV and ICV. Seal wants a multiple of the suite's block; open refuses
  /// others. Cipher-then-MAC: all that enters the MAC is 1 to 65,534 octets.
  std::size_t length = 0;
  /// Seal writes the ICV here; open compares with what stands here. It may lie directly behind the ciphertext.
  std::uint8_t* icv = nullptr;
  /// Set by open: the ICV was right. The output of a failed job is unspecified and must not be used. Seal sets true.
  bool ok = false;
};

/// Keyed for one direction of one SA. Not thread-safe: owned by one worker. A seal and an open object are told apart by
/// use only.
class PacketCipher {
 public:
  virtual ~PacketCipher() = default;
  virtual void seal(std::span<PacketJob> jobs) = 0;
  /// Checks every ICV in constant time; for cipher-then-MAC before any decryption is used.
  virtual void open(std::span<PacketJob> jobs) = 0;
  [[nodiscard]] virtual const char* backend() const = 0;  // "ipsec-mb 1.3.0" or "OpenSSL 3.0.x", for status
};

/// Which libraries may serve: `automatic` takes the fastest one that this CPU and installation offer; for
/// cipher-then-MAC also by the size of each batch.
enum class Backend : std::uint8_t { automatic, openssl, ipsec_mb };

/// `encryption_key` holds key and salt as SuiteSizes says. `unsupported` when the backend lacks the suite;
/// `bad_key_length` likewise.
[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make_packet_cipher(
    const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key, Backend backend = Backend::automatic);
/// True when ipsec-mb was built in and this CPU can run it.
[[nodiscard]] bool ipsec_mb_available();

}  // namespace culvert::crypto
