// The own AES-GCM kernel: works on packets of any keys of one size in one call, with AVX-512, VAES and VPCLMULQDQ.
// docs/decisions/007-own-gcm.md says why it stands beside the libraries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::own_gcm {

/// AES's rounds for a key of that size: 10, 12 or 14.
[[nodiscard]] constexpr int rounds_of(unsigned key_bits) { return static_cast<int>(key_bits / 32 + 6); }

/// A key as the kernel reads it, kept short so that many stay in the cache.
///
/// What a kernel reads behind `powers` and in front of `round_keys` is multiplied by zero.
template <int Rounds>
struct ExpandedKey {
  static constexpr std::size_t kPowers = 16;
  /// Which octets of a block the ICV has.
  std::uint32_t icv_mask = 0;
  /// H^16 to H^1 (NIST SP 800-38D 6.4), octets in reverse order, multiplied by x, reduced.
  std::uint8_t powers[kPowers][16] = {};
  /// The first one with the salt added where the nonce has it.
  std::uint8_t round_keys[Rounds + 1][16] = {};
};

/// A cipher that a job may name: the kernel finds the key at the same place in each.
template <int Rounds>
class KeyedCipher : public PacketCipher {
 public:
  KeyedCipher() : PacketCipher(Rounds) {}
  ExpandedKey<Rounds> key;
};

/// True when this CPU and the operating system have what the kernel needs. Nothing below may be called otherwise.
[[nodiscard]] bool runs_here();

/// Whether long packets are hashed with three multiplications instead of four: the CPU decides. Tests set it, while no
/// packet is in work.
void use_three_multiplications(bool three);
[[nodiscard]] bool uses_three_multiplications();

/// `key` and `salt` have the sizes of AES with that many rounds and of GCM's salt.
template <int Rounds>
void expand(ByteView key, ByteView salt, std::size_t icv_size, ExpandedKey<Rounds>& out);

/// All ciphers are a KeyedCipher<Rounds>.
template <int Rounds>
void seal(std::span<const KeyedJob> work);
/// Sets PacketJob::ok. The output of a packet whose ICV is wrong still has to be wiped.
template <int Rounds>
void open(std::span<const KeyedJob> work);

/// The same for packets in ESP's usual layout; `key` is one for an ICV of 16 octets.
template <int Rounds>
void seal(std::span<EspJob> work);
/// Sets EspJob::ok; the same holds of the text.
template <int Rounds>
void open(std::span<EspJob> work);

}  // namespace culvert::crypto::own_gcm
