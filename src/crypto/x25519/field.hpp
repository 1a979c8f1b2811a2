// Numbers modulo 2^255 - 19, as five limbs of 51 bits and some. Time depends on no value: no branch, no address and no
// division by one.
//
// How large limbs may become: a product takes limbs below 2^54 and gives such below 2^51 + 2^13; a sum of two products
// stays below 2^53, as does a difference of them, to which twice the prime is added so that no limb is below zero; and
// so does one more step on those.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace culvert::crypto::x25519 {

__extension__ using Wide = unsigned __int128;

inline constexpr std::size_t kLimbs = 5;
inline constexpr std::uint64_t kLimbMask = (std::uint64_t{1} << 51) - 1;

struct Field {
  std::array<std::uint64_t, kLimbs> limb{};
};

#define X25519_INLINE [[gnu::always_inline]] inline

/// A small one.
[[nodiscard]] constexpr Field number(std::uint64_t value) { return {{value}}; }

[[nodiscard]] X25519_INLINE Field add(const Field& a, const Field& b) {
  Field sum;
  for (std::size_t i = 0; i < kLimbs; ++i) sum.limb[i] = a.limb[i] + b.limb[i];
  return sum;
}

/// `b` is a product, or the limbs of one that was carried.
[[nodiscard]] X25519_INLINE Field subtract(const Field& a, const Field& b) {
  constexpr std::uint64_t kTwiceLowest = 0xf'ffff'ffff'ffda;
  constexpr std::uint64_t kTwiceOther = 0xf'ffff'ffff'fffe;
  Field difference;
  for (std::size_t i = 0; i < kLimbs; ++i)
    difference.limb[i] = a.limb[i] + (i == 0 ? kTwiceLowest : kTwiceOther) - b.limb[i];
  return difference;
}

/// Carries from limb to limb; what leaves the highest comes in below, 2^255 being 19.
[[nodiscard]] X25519_INLINE Field carried(Wide r0, Wide r1, Wide r2, Wide r3, Wide r4) {
  const auto low = [](Wide wide) { return static_cast<std::uint64_t>(wide) & kLimbMask; };
  const auto high = [](Wide wide) { return static_cast<std::uint64_t>(wide >> 51); };
  r1 += high(r0);
  r2 += high(r1);
  r3 += high(r2);
  r4 += high(r3);
  const std::uint64_t lowest = low(r0) + 19 * high(r4);
  return {{lowest & kLimbMask, low(r1) + (lowest >> 51), low(r2), low(r3), low(r4)}};
}

[[nodiscard]] X25519_INLINE Field multiply(const Field& a, const Field& b) {
  const auto [a0, a1, a2, a3, a4] = a.limb;
  const auto [b0, b1, b2, b3, b4] = b.limb;
  const std::uint64_t c1 = 19 * b1;
  const std::uint64_t c2 = 19 * b2;
  const std::uint64_t c3 = 19 * b3;
  const std::uint64_t c4 = 19 * b4;
  return carried(Wide{a0} * b0 + Wide{a1} * c4 + Wide{a2} * c3 + Wide{a3} * c2 + Wide{a4} * c1,
                 Wide{a0} * b1 + Wide{a1} * b0 + Wide{a2} * c4 + Wide{a3} * c3 + Wide{a4} * c2,
                 Wide{a0} * b2 + Wide{a1} * b1 + Wide{a2} * b0 + Wide{a3} * c4 + Wide{a4} * c3,
                 Wide{a0} * b3 + Wide{a1} * b2 + Wide{a2} * b1 + Wide{a3} * b0 + Wide{a4} * c4,
                 Wide{a0} * b4 + Wide{a1} * b3 + Wide{a2} * b2 + Wide{a3} * b1 + Wide{a4} * b0);
}

[[nodiscard]] X25519_INLINE Field square(const Field& a) {
  const auto [a0, a1, a2, a3, a4] = a.limb;
  const std::uint64_t d0 = 2 * a0;
  const std::uint64_t d1 = 2 * a1;
  const std::uint64_t d2 = 2 * a2;
  const std::uint64_t d3 = 2 * a3;
  const std::uint64_t c3 = 19 * a3;
  const std::uint64_t c4 = 19 * a4;
  return carried(Wide{a0} * a0 + Wide{d1} * c4 + Wide{d2} * c3, Wide{d0} * a1 + Wide{d2} * c4 + Wide{a3} * c3,
                 Wide{d0} * a2 + Wide{a1} * a1 + Wide{d3} * c4, Wide{d0} * a3 + Wide{d1} * a2 + Wide{a4} * c4,
                 Wide{d0} * a4 + Wide{d1} * a3 + Wide{a2} * a2);
}

/// By less than 2^20.
[[nodiscard]] X25519_INLINE Field multiply(const Field& a, std::uint64_t small) {
  return carried(Wide{a.limb[0]} * small, Wide{a.limb[1]} * small, Wide{a.limb[2]} * small, Wide{a.limb[3]} * small,
                 Wide{a.limb[4]} * small);
}

/// `mask` is all ones or zero: then `a` and `b` change places, or stay.
X25519_INLINE void swap_if(std::uint64_t mask, Field& a, Field& b) {
  for (std::size_t i = 0; i < kLimbs; ++i) {
    const std::uint64_t changes = mask & (a.limb[i] ^ b.limb[i]);
    a.limb[i] ^= changes;
    b.limb[i] ^= changes;
  }
}

X25519_INLINE void take_if(std::uint64_t mask, Field& a, const Field& other) {
  for (std::size_t i = 0; i < kLimbs; ++i) a.limb[i] ^= mask & (a.limb[i] ^ other.limb[i]);
}

/// 1/a; 0 of 0.
[[nodiscard]] Field invert(const Field& a);

/// RFC 7748 5: 32 octets, the lowest first; the highest bit means nothing, and any value is taken modulo the prime.
[[nodiscard]] Field read_field(ByteView octets);
/// The one value below the prime.
void write_field(Field a, MutableByteView octets);

}  // namespace culvert::crypto::x25519
