#include "crypto/x25519/x25519.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/x25519/field.hpp"

namespace culvert::crypto::x25519 {
namespace {

using Scalar = std::array<std::uint8_t, kSize>;

/// RFC 7748 5.
Scalar decoded(ByteView octets) {
  CHECK(octets.size() == kSize);
  Scalar scalar{};
  std::ranges::copy(octets, scalar.begin());
  scalar.front() &= 0xf8;
  scalar.back() = static_cast<std::uint8_t>((scalar.back() & 0x7f) | 0x40);
  return scalar;
}

template <typename T>
void wipe_object(T& object) {
  wipe({reinterpret_cast<std::uint8_t*>(&object), sizeof object});
}

// ---------------------------------------------------------------- any point: the ladder

/// Two points of the Montgomery curve, as x/z.
struct Ladder {
  Field x1, x2, z2, x3, z3;
};

/// RFC 7748 5, with its names.
X25519_INLINE void step(Ladder& at) {
  constexpr std::uint64_t kA24 = 121665;
  const Field a = add(at.x2, at.z2);
  const Field b = subtract(at.x2, at.z2);
  const Field da = multiply(subtract(at.x3, at.z3), a);
  const Field cb = multiply(add(at.x3, at.z3), b);
  const Field aa = square(a);
  const Field bb = square(b);
  const Field e = subtract(aa, bb);
  at.x3 = square(add(da, cb));
  at.z3 = multiply(at.x1, square(subtract(da, cb)));
  at.x2 = multiply(aa, bb);
  at.z2 = multiply(e, add(aa, multiply(e, kA24)));
}

// ---------------------------------------------------------------- the base point: a table

// The same curve in Edwards' form, -x^2 + y^2 = 1 + d x^2 y^2 (RFC 7748 4.1), where points are added by one formula
// for all of them.
struct Point {
  Field x, y, z, t;  // t = xy/z
};
/// Of a point with z = 1: what adding needs of it. t is d times twice its t.
struct Addend {
  Field sum, difference, t;  // y + x, y - x
};

X25519_INLINE Point finished(const Field& e, const Field& f, const Field& g, const Field& h) {
  return {multiply(e, f), multiply(g, h), multiply(f, g), multiply(e, h)};
}

X25519_INLINE Point add(const Point& p, const Addend& q) {
  const Field a = multiply(subtract(p.y, p.x), q.difference);
  const Field b = multiply(add(p.y, p.x), q.sum);
  const Field c = multiply(p.t, q.t);
  const Field d = add(p.z, p.z);
  return finished(subtract(b, a), subtract(d, c), add(d, c), add(b, a));
}

X25519_INLINE Point doubled(const Point& p) {
  const Field a = square(p.x);
  const Field b = square(p.y);
  const Field c = square(p.z);
  const Field h = add(a, b);
  const Field g = subtract(a, b);
  return finished(subtract(h, square(add(p.x, p.y))), add(add(c, c), g), g, h);
}

constexpr std::size_t kRows = 32;      // one for each octet of the scalar
constexpr std::size_t kMultiples = 8;  // of 256^row times the base point: once to eight times

struct Table {
  std::array<std::array<Addend, kMultiples>, kRows> rows;
};

Table make_table() {
  // RFC 7748 4.1: d, and the base point, whose y is 4/5.
  const Field d = multiply(subtract({}, number(121665)), invert(number(121666)));
  const Field twice_d = multiply(d, 2);
  static constexpr std::array<std::uint8_t, kSize> kBaseX{
      0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
      0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21};
  const Field x = read_field(kBaseX);
  const Field y = multiply(number(4), invert(number(5)));
  const auto addend_of = [&](const Point& p) -> Addend {
    const Field inverse = invert(p.z);
    const Field px = multiply(p.x, inverse);
    const Field py = multiply(p.y, inverse);
    return {multiply(add(py, px), 1), multiply(subtract(py, px), 1), multiply(multiply(px, py), twice_d)};
  };
  Table table;
  Point power{x, y, number(1), multiply(x, y)};
  for (auto& row : table.rows) {
    row[0] = addend_of(power);
    Point multiple = power;
    for (std::size_t i = 1; i < kMultiples; ++i) {
      multiple = add(multiple, row[0]);
      row[i] = addend_of(multiple);
    }
    for (int i = 0; i < 8; ++i) power = doubled(power);
  }
  return table;
}

const Table& table() {
  static const Table made = make_table();
  return made;
}

/// `digit`, -8 to 8, times what the row begins with; every entry is read.
X25519_INLINE Addend chosen(const std::array<Addend, kMultiples>& row, std::int8_t digit) {
  const auto wide = static_cast<std::uint64_t>(std::int64_t{digit});
  const std::uint64_t negative = 0 - (wide >> 63);
  const std::uint64_t magnitude = (wide ^ negative) - negative;
  Addend found{number(1), number(1), {}};
  for (std::size_t i = 0; i < kMultiples; ++i) {
    const std::uint64_t here = 0 - (((magnitude ^ (i + 1)) - 1) >> 63);
    take_if(here, found.sum, row[i].sum);
    take_if(here, found.difference, row[i].difference);
    take_if(here, found.t, row[i].t);
  }
  swap_if(negative, found.sum, found.difference);
  take_if(negative, found.t, subtract({}, found.t));
  return found;
}

constexpr std::size_t kDigits = 2 * kSize;
using Digits = std::array<std::int8_t, kDigits>;

/// To the base of 16, the lowest first, each from -8 to 7, the last one up to 8.
void read_digits(const Scalar& scalar, Digits& digits) {
  int over = 0;
  for (std::size_t i = 0; i < kDigits; ++i) {
    const int digit = (scalar[i / 2] >> 4 * (i % 2) & 0xf) + over;
    over = i + 1 < kDigits ? (digit + 8) >> 4 : 0;
    digits[i] = static_cast<std::int8_t>(digit - 16 * over);
  }
}

}  // namespace

void public_value(ByteView scalar, MutableByteView out) {
  const Table& multiples = table();
  struct Secret {
    Scalar scalar;
    Digits digits;
    Point sum;
    Addend next;
  } secret{.scalar = decoded(scalar), .digits = {}, .sum = {{}, number(1), number(1), {}}, .next = {}};
  read_digits(secret.scalar, secret.digits);
  // The odd digits first, then sixteen times their sum.
  for (const std::size_t first : {1U, 0U}) {
    for (std::size_t i = first; i < kDigits; i += 2) {
      secret.next = chosen(multiples.rows[i / 2], secret.digits[i]);
      secret.sum = add(secret.sum, secret.next);
    }
    for (int i = 0; first == 1 && i < 4; ++i) secret.sum = doubled(secret.sum);
  }
  // RFC 7748 4.1: u = (1 + y)/(1 - y).
  write_field(multiply(add(secret.sum.z, secret.sum.y), invert(subtract(secret.sum.z, secret.sum.y))), out);
  wipe_object(secret);
}

void shared_secret(ByteView scalar, ByteView peer, MutableByteView out) {
  struct Secret {
    Scalar scalar;
    Ladder at;
    std::uint64_t swapped = 0;
  } secret{.scalar = decoded(scalar), .at = {read_field(peer), number(1), {}, read_field(peer), number(1)}};
  constexpr std::size_t kBits = 255;
  for (std::size_t i = kBits; i-- > 0;) {
    const std::uint64_t bit = secret.scalar[i / 8] >> i % 8 & 1U;
    const std::uint64_t swap = 0 - (secret.swapped ^ bit);
    secret.swapped = bit;
    swap_if(swap, secret.at.x2, secret.at.x3);
    swap_if(swap, secret.at.z2, secret.at.z3);
    step(secret.at);
  }
  // The scalar's lowest bit is zero: nothing is left to be swapped.
  write_field(multiply(secret.at.x2, invert(secret.at.z2)), out);
  wipe_object(secret);
}

}  // namespace culvert::crypto::x25519
