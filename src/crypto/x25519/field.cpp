#include "crypto/x25519/field.hpp"

#include "base/check.hpp"

namespace culvert::crypto::x25519 {
namespace {

constexpr std::size_t kOctets = 32;

Field squared(Field a, int times) {
  for (int i = 0; i < times; ++i) a = square(a);
  return a;
}

/// From limb to limb only: what leaves the highest is the answer.
std::uint64_t carry(Field& a) {
  std::uint64_t over = 0;
  for (std::uint64_t& limb : a.limb) {
    limb += over;
    over = limb >> 51;
    limb &= kLimbMask;
  }
  return over;
}

std::uint64_t load_le64(ByteView octets, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | octets[at + i];
  return value;
}

}  // namespace

// a^(p-2), Fermat: p-2 is 2^255 - 21. The names say which power of two, less one, stands in the exponent.
Field invert(const Field& a) {
  const Field a2 = square(a);
  const Field a9 = multiply(squared(a2, 2), a);
  const Field a11 = multiply(a9, a2);
  const Field ones5 = multiply(square(a11), a9);
  const Field ones10 = multiply(squared(ones5, 5), ones5);
  const Field ones20 = multiply(squared(ones10, 10), ones10);
  const Field ones40 = multiply(squared(ones20, 20), ones20);
  const Field ones50 = multiply(squared(ones40, 10), ones10);
  const Field ones100 = multiply(squared(ones50, 50), ones50);
  const Field ones200 = multiply(squared(ones100, 100), ones100);
  const Field ones250 = multiply(squared(ones200, 50), ones50);
  return multiply(squared(ones250, 5), a11);
}

Field read_field(ByteView octets) {
  CHECK(octets.size() == kOctets);
  return {{load_le64(octets, 0) & kLimbMask, load_le64(octets, 6) >> 3 & kLimbMask,
           load_le64(octets, 12) >> 6 & kLimbMask, load_le64(octets, 19) >> 1 & kLimbMask,
           load_le64(octets, 24) >> 12 & kLimbMask}};
}

void write_field(Field a, MutableByteView octets) {
  CHECK(octets.size() == kOctets);
  for (int i = 0; i < 2; ++i) a.limb[0] += 19 * carry(a);
  // Below 2^255 and a little now. At the prime or above it, adding 19 carries out of the highest limb.
  Field more = a;
  more.limb[0] += 19;
  a.limb[0] += 19 * carry(more);
  (void)carry(a);
  const auto [a0, a1, a2, a3, a4] = a.limb;
  const std::array<std::uint64_t, 4> words{a0 | a1 << 51, a1 >> 13 | a2 << 38, a2 >> 26 | a3 << 25,
                                           a3 >> 39 | a4 << 12};
  for (std::size_t i = 0; i < kOctets; ++i) octets[i] = static_cast<std::uint8_t>(words[i / 8] >> 8 * (i % 8));
}

}  // namespace culvert::crypto::x25519
