// PacketCipher: confidentiality and integrity of one packet, as ESP (RFC 4303) and IKE's Encrypted payload (RFC
// 7296 3.14) need it, for combined-mode ciphers and for cipher-then-MAC alike. One object holds one direction's
// expanded key; work comes in batches.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/error.hpp"

namespace culvert::crypto {

enum class CipherId : std::uint8_t {
  null,
  aes_cbc,
  aes_ctr,    // RFC 3686
  aes_gcm_8,  // RFC 4106
  aes_gcm_12,
  aes_gcm_16,
  aes_ccm_8,  // RFC 4309
  aes_ccm_12,
  aes_ccm_16,
  chacha20_poly1305,  // RFC 7634
  null_aes_gmac,      // RFC 4543: a combined mode that authenticates and does not encrypt; ESP
  camellia_cbc,       // RFC 5529
  camellia_ctr,       // RFC 5529
  triple_des_cbc,     // RFC 2451
  des_cbc,            // RFC 2405
  // RFC 8750: the IV is the sequence number and not in the packet.
  aes_ccm_8_iiv,
  aes_gcm_16_iiv,
  chacha20_poly1305_iiv
};
enum class IntegrityId : std::uint8_t {
  none,
  hmac_sha2_256_128,  // RFC 4868
  hmac_sha2_384_192,
  hmac_sha2_512_256,
  hmac_sha1_96,  // RFC 2404
  hmac_md5_96,   // RFC 2403
  aes_xcbc_96,   // RFC 3566
  aes_cmac_96,   // RFC 4494
  // RFC 4543 4: AH only, and only without a cipher. Its IV stands in front of the ICV in AH's ICV field.
  aes_128_gmac,
  aes_192_gmac,
  aes_256_gmac
};

/// A cipher with its key size and, unless it is a combined mode, an integrity algorithm. What it protects:
///   - a combined mode without integrity algorithm, or any other cipher with one: ESP and IKE;
///   - NULL with an integrity algorithm: ESP without encryption, and AH.
struct PacketSuite {
  CipherId cipher = CipherId::aes_gcm_16;
  unsigned key_bits = 128;  // of the cipher without salt; 256 for ChaCha20, 192 for 3DES, 64 for DES, 0 for NULL
  IntegrityId integrity = IntegrityId::none;
  friend auto operator<=>(const PacketSuite&, const PacketSuite&) = default;

  /// A combined mode: cipher and integrity are one algorithm, and the additional data is never text.
  [[nodiscard]] bool is_aead() const;
  /// Somebody without the key cannot read the text.
  [[nodiscard]] bool encrypts() const { return cipher != CipherId::null && cipher != CipherId::null_aes_gmac; }
  /// The job's IV must never repeat under one key and may be a counter; otherwise, where there is one, it must be
  /// unpredictable (CBC, RFC 3602 3).
  [[nodiscard]] bool counter_iv() const;
  /// RFC 8750: the job's IV is the packet's 64-bit sequence number and not in the packet.
  [[nodiscard]] bool implicit_iv() const;
};

/// The sizes, in octets, that a suite gives a packet.
struct SuiteSizes {
  std::size_t encryption_key = 0;  // key material to take from KEYMAT: key, then salt (RFC 4106 8.1, RFC 7634 2)
  std::size_t salt = 0;            // of which salt: 3 for CCM, 4 for the other counter modes, else 0
  std::size_t integrity_key = 0;   // with AES-GMAC for AH: key, then 4 octets of salt (RFC 4543 5.3)
  std::size_t nonce_iv = 0;        // octets that PacketJob::iv has
  std::size_t iv = 0;  // octets of IV in the packet: nonce_iv, or 0 where the IV is implicit. For AH in the ICV field
  std::size_t block = 1;  // the plaintext of a seal is a multiple of this
  std::size_t icv = 0;
};
[[nodiscard]] SuiteSizes sizes_of(const PacketSuite& suite);

/// One packet's work. All pointers refer to memory of the caller; `output` may be `input` (in place) or not overlap it
/// at all, except that it may also start before it: a move to the front, for an open also over its own IV and
/// additional data. Jobs of one batch share no memory that any of them writes.
///
/// AH (RFC 4302 3.3.3): a suite with NULL cipher. All that AH authenticates goes in as `aad` (what had to be copied,
/// because mutable fields and the ICV are zero in it: the IP header, AH itself), then `input` with `output` equal to it
/// (what follows in the packet as it is), then `mac_suffix` (ESN's high half, RFC 4302 2.5.1). `icv` is the end of AH's
/// ICV field; with AES-GMAC `iv` is its beginning (RFC 4543 4), and stands in `aad` too as it is in the packet: only
/// the 16 octets behind it are zero there.
struct PacketJob {
  /// The IV: SuiteSizes::nonce_iv octets. It stands in the packet, except an implicit IV (RFC 8750): then it is the
  /// packet's whole sequence number, big-endian, high half zero without ESN, in memory of the caller. The nonce of a
  /// counter mode is salt | iv. For seal the caller has already chosen it; it must never repeat under one key where
  /// PacketSuite::counter_iv, and else be unpredictable (RFC 3602 3).
  const std::uint8_t* iv = nullptr;
  /// Combined modes: the additional data. Otherwise: the octets that go into the MAC in front of the IV (ESP: SPI and
  /// low sequence number; IKE: from the IKE header up to the IV; AH: see above), of any length.
  ByteView aad;
  /// Not for combined modes: octets that enter the MAC after the ciphertext without being sent (ESN's high half, RFC
  /// 4303 2.2.1).
  std::array<std::uint8_t, 4> mac_suffix{};
  std::uint8_t mac_suffix_length = 0;  // 0 or 4
  const std::uint8_t* input = nullptr;
  std::uint8_t* output = nullptr;
  /// Octets of plaintext = ciphertext, without IV and ICV. Seal wants a multiple of the suite's block; open refuses
  /// others. All that enters the MAC of a suite with an integrity algorithm or of null_aes_gmac is 1 to 65,534 octets.
  std::size_t length = 0;
  /// Seal writes the ICV here; open compares with what stands here. It may lie directly behind the ciphertext.
  std::uint8_t* icv = nullptr;
  /// Set by open: the ICV was right. The output of a failed job is unspecified and must not be used. Seal sets true.
  bool ok = false;
};

class PacketCipher;

/// A job and the cipher that it is for.
struct KeyedJob {
  PacketCipher* cipher = nullptr;
  PacketJob* job = nullptr;
};

/// A packet of ESP as nearly all are, and the cipher that it is for: AES-GCM with an ICV of 16 octets and 64-bit
/// sequence numbers (RFC 4106). SPI and sequence number, IV, text and ICV stand one behind the other, so this says of a
/// packet in five words what a PacketJob says in nine and octets besides.
///
/// A cache line each, so that who makes many can write each of them in one store.
struct alignas(64) EspJob {
  static constexpr std::size_t kHead = 16;  // in front of the text
  static constexpr std::size_t kAad = 12;
  /// Up to here a text is short: such packets go several at a time, and need less of the key.
  static constexpr std::size_t kShortText = 96;

  PacketCipher* cipher = nullptr;
  /// The text; `packet` + kHead, or elsewhere and overlapping nothing of the packet. For open always the former.
  const std::uint8_t* input = nullptr;
  /// Its first kHead octets are there.
  std::uint8_t* packet = nullptr;
  std::uint64_t sequence = 0;  // of which the packet has the lower half
  std::uint32_t length = 0;    // of the text
  /// As PacketJob::ok.
  bool ok = false;
  void* owner = nullptr;  // whoever makes the job knows what it is
};

/// What seals and opens jobs of many ciphers in one call, as fast as those of one: no need to gather them by key. All
/// ciphers of a call have this very object.
struct ManyKeys {
  /// So many jobs ahead of the one in work `seal_esp` and `open_esp` ask for the memory of a short packet's key, where
  /// there are several. For the first ones of a call, and for longer packets, that is the caller's to do.
  static constexpr std::size_t kKeysAhead = 16;

  void (*seal)(std::span<const KeyedJob> jobs);
  void (*open)(std::span<const KeyedJob> jobs);
  void (*seal_esp)(std::span<EspJob> jobs);
  void (*open_esp)(std::span<EspJob> jobs);
};

/// Keyed for one direction of one SA. Not thread-safe: owned by one worker. A seal and an open object are told apart by
/// use only.
class PacketCipher {
 public:
  virtual ~PacketCipher() = default;
  PacketCipher(const PacketCipher&) = delete;
  PacketCipher& operator=(const PacketCipher&) = delete;
  virtual void seal(std::span<PacketJob> jobs) = 0;
  /// Checks every ICV in constant time; for cipher-then-MAC before any decryption is used.
  virtual void open(std::span<PacketJob> jobs) = 0;
  [[nodiscard]] virtual const char* backend() const = 0;  // "ipsec-mb 1.3.0", "OpenSSL 3.0.x", ..., for status
  /// Null where jobs must come gathered by cipher.
  [[nodiscard]] virtual const ManyKeys* many_keys() const { return nullptr; }
  /// 0 where there are no `many_keys`; the same for all ciphers that have the same ones.
  [[nodiscard]] std::uint32_t family() const { return family_; }

 protected:
  PacketCipher() = default;
  explicit PacketCipher(std::uint32_t family) : family_(family) {}

 private:
  std::uint32_t family_ = 0;
};

/// Which implementation may serve: `automatic` takes the fastest one that this CPU and installation offer, by rule or
/// as it was measured (backend_choice.hpp); where blocks are chained also by the size of each batch.
enum class Backend : std::uint8_t { automatic, openssl, ipsec_mb, own };

/// `encryption_key` holds key and salt as SuiteSizes says. `unsupported` when the backend lacks the suite;
/// `bad_key_length` likewise.
[[nodiscard]] Result<std::unique_ptr<PacketCipher>, CryptoError> make_packet_cipher(
    const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key, Backend backend = Backend::automatic);
/// "OpenSSL 3.0.x", which computes all that is not a packet's.
[[nodiscard]] const char* provider_name();
/// True when ipsec-mb was built in and this CPU can run it.
[[nodiscard]] bool ipsec_mb_available();
/// True when this CPU can run Culvert's own AES-GCM.
[[nodiscard]] bool own_available();

}  // namespace culvert::crypto
