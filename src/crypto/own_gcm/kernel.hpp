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

/// A key as the kernel reads it, kept short so that many stay in the cache. It begins 8 octets behind a cache line,
/// where a class has room behind its table of functions.
///
/// What a kernel reads behind `powers` and in front of `round_keys` is multiplied by zero.
template <int Rounds>
struct ExpandedKey {
  static constexpr std::size_t kPowers = 16;
  /// Which octets of a block the ICV has.
  std::uint32_t icv_mask = 0;
  std::uint32_t unused = 0;
  /// H^16 to H^1 (NIST SP 800-38D 6.4), octets in reverse order, multiplied by x, reduced.
  std::uint8_t powers[kPowers][16] = {};
  /// The first one with the salt added where the nonce has it.
  std::uint8_t round_keys[Rounds + 1][16] = {};
};

/// One packet and the key it wants.
template <int Rounds>
struct Work {
  const ExpandedKey<Rounds>* key;
  PacketJob* job;
};

/// True when this CPU and the operating system have what the kernel needs. Nothing below may be called otherwise.
[[nodiscard]] bool runs_here();

/// `key` and `salt` have the sizes of AES with that many rounds and of GCM's salt.
template <int Rounds>
void expand(ByteView key, ByteView salt, std::size_t icv_size, ExpandedKey<Rounds>& out);

template <int Rounds>
void seal(std::span<const Work<Rounds>> work);
/// Sets PacketJob::ok. The output of a packet whose ICV is wrong still has to be wiped.
template <int Rounds>
void open(std::span<const Work<Rounds>> work);

}  // namespace culvert::crypto::own_gcm
