#include "crypto/ml_kem.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>

#include "base/check.hpp"
#include "crypto/keccak.hpp"

namespace culvert::crypto::ml_kem {
namespace {

using Function = Keccak::Function;

constexpr unsigned kN = 256;
constexpr std::uint32_t kQ = 3329;
constexpr unsigned kMaxRank = 4;
constexpr std::size_t kPolySize = 12 * kN / 8;  // with coefficients of 12 bits
constexpr unsigned kEta2 = 2;

// FIPS 203 8, table 2.
struct Parameters {
  unsigned rank;
  unsigned eta1;
  unsigned du;
  unsigned dv;
};
constexpr Parameters parameters_of(ParameterSet set) {
  switch (set) {
    case ParameterSet::ml_kem_512: return {2, 3, 10, 4};
    case ParameterSet::ml_kem_768: return {3, 2, 10, 4};
    case ParameterSet::ml_kem_1024: return {4, 2, 11, 5};
  }
  return {};
}

/// Coefficients in [0, q), of a polynomial or of its number-theoretic transform. Wiped: most of them are secret.
struct Poly {
  std::array<std::uint16_t, kN> c{};
  Poly() = default;
  Poly(const Poly&) = default;
  Poly& operator=(const Poly&) = default;
  ~Poly() { wipe({reinterpret_cast<std::uint8_t*>(c.data()), sizeof(c)}); }
};
/// As many as the rank.
using Vector = std::array<Poly, kMaxRank>;

template <std::size_t Size>
struct SecretArray : std::array<std::uint8_t, Size> {
  SecretArray() : std::array<std::uint8_t, Size>{} {}
  SecretArray(const SecretArray&) = delete;
  SecretArray& operator=(const SecretArray&) = delete;
  ~SecretArray() { wipe(*this); }
};

// ---------------------------------------------------------------- arithmetic modulo q

/// Keeps the compiler from seeing that a mask is all ones or zero, and from making a branch of it.
template <typename T>
T opaque(T value) {
  static_assert(std::is_unsigned_v<T>);
  __asm__("" : "+r"(value));
  return value;
}

/// x in [0, 2q).
constexpr std::uint16_t subtract_once(std::uint32_t x) {
  const std::uint32_t less = x - kQ;
  const std::uint32_t borrowed = 0U - (less >> 31);
  return static_cast<std::uint16_t>(less + (borrowed & kQ));
}

/// x below 2^24, by multiplication with 2^24 / q: the quotient is at most one too small.
constexpr std::uint16_t reduce(std::uint32_t x) {
  const auto quotient = static_cast<std::uint32_t>((std::uint64_t{x} * ((1U << 24) / kQ)) >> 24);
  return subtract_once(x - quotient * kQ);
}

constexpr std::uint16_t add(std::uint16_t a, std::uint16_t b) { return subtract_once(std::uint32_t{a} + b); }
constexpr std::uint16_t subtract(std::uint16_t a, std::uint16_t b) { return subtract_once(std::uint32_t{a} + kQ - b); }
constexpr std::uint16_t multiply(std::uint16_t a, std::uint16_t b) { return reduce(std::uint32_t{a} * b); }

void add_to(Poly& to, const Poly& other) {
  for (unsigned i = 0; i < kN; ++i) to.c[i] = add(to.c[i], other.c[i]);
}

// ---------------------------------------------------------------- the transform (FIPS 203 4.3)

constexpr std::uint16_t power_of_root(unsigned exponent) {
  constexpr std::uint16_t kRoot = 17;  // a primitive 256th root of unity
  std::uint16_t power = 1;
  for (unsigned i = 0; i < exponent; ++i) power = multiply(power, kRoot);
  return power;
}
constexpr unsigned reversed7(unsigned bits) {
  unsigned out = 0;
  for (unsigned i = 0; i < 7; ++i) out |= (bits >> i & 1) << (6 - i);
  return out;
}
struct Roots {
  std::array<std::uint16_t, 128> butterfly{};  // of layer and block
  std::array<std::uint16_t, 128> modulus{};    // of the quadratic factors
};
constexpr Roots make_roots() {
  Roots roots;
  for (unsigned i = 0; i < 128; ++i) {
    roots.butterfly[i] = power_of_root(reversed7(i));
    roots.modulus[i] = power_of_root(2 * reversed7(i) + 1);
  }
  return roots;
}
constexpr Roots kRoots = make_roots();

void transform(Poly& f) {
  unsigned root = 1;
  for (unsigned length = 128; length >= 2; length /= 2) {
    for (unsigned start = 0; start < kN; start += 2 * length) {
      const std::uint16_t zeta = kRoots.butterfly[root++];
      for (unsigned i = start; i < start + length; ++i) {
        const std::uint16_t turned = multiply(zeta, f.c[i + length]);
        f.c[i + length] = subtract(f.c[i], turned);
        f.c[i] = add(f.c[i], turned);
      }
    }
  }
}

void transform_back(Poly& f) {
  unsigned root = 127;
  for (unsigned length = 2; length <= 128; length *= 2) {
    for (unsigned start = 0; start < kN; start += 2 * length) {
      const std::uint16_t zeta = kRoots.butterfly[root--];
      for (unsigned i = start; i < start + length; ++i) {
        const std::uint16_t low = f.c[i];
        f.c[i] = add(low, f.c[i + length]);
        f.c[i + length] = multiply(zeta, subtract(f.c[i + length], low));
      }
    }
  }
  constexpr std::uint16_t kInverseOf128 = 3303;
  static_assert(multiply(kInverseOf128, 128) == 1);
  for (std::uint16_t& one : f.c) one = multiply(one, kInverseOf128);
}

/// Adds the product of two transforms (FIPS 203 4.3.1).
void multiply_add(Poly& to, const Poly& f, const Poly& g) {
  for (unsigned i = 0; i < kN / 2; ++i) {
    const std::uint32_t f0 = f.c[2 * i];
    const std::uint32_t f1 = f.c[2 * i + 1];
    const std::uint32_t g0 = g.c[2 * i];
    const std::uint32_t g1 = g.c[2 * i + 1];
    const std::uint16_t high = multiply(reduce(f1 * g1), kRoots.modulus[i]);
    to.c[2 * i] = add(to.c[2 * i], add(reduce(f0 * g0), high));
    to.c[2 * i + 1] = add(to.c[2 * i + 1], add(reduce(f0 * g1), reduce(f1 * g0)));
  }
}

// ---------------------------------------------------------------- octets and coefficients (FIPS 203 4.2.1)

/// Coefficients of `bits` bits each, at most 12.
void encode(const Poly& f, unsigned bits, std::uint8_t* out) {
  std::uint32_t held = 0;
  unsigned count = 0;
  for (const std::uint16_t one : f.c) {
    held |= std::uint32_t{one} << count;
    for (count += bits; count >= 8; count -= 8, held >>= 8) *out++ = static_cast<std::uint8_t>(held);
  }
}

/// Values below 2^bits, not reduced.
void decode(ByteView octets, unsigned bits, Poly& f) {
  std::uint32_t held = 0;
  unsigned count = 0;
  const std::uint8_t* in = octets.data();
  for (std::uint16_t& one : f.c) {
    for (; count < bits; count += 8) held |= std::uint32_t{*in++} << count;
    one = static_cast<std::uint16_t>(held & ((1U << bits) - 1));
    held >>= bits;
    count -= bits;
  }
}

/// Rounds 2^bits / q * x, modulo 2^bits. The division is a multiplication with 2^36 / q, exact for all x.
void compress(Poly& f, unsigned bits) {
  constexpr std::uint64_t kReciprocal = ((std::uint64_t{1} << 36) + kQ - 1) / kQ;
  for (std::uint16_t& one : f.c) {
    const std::uint64_t scaled = (std::uint64_t{one} << bits) + kQ / 2;
    one = static_cast<std::uint16_t>((scaled * kReciprocal) >> 36 & ((1U << bits) - 1));
  }
}

void decompress(Poly& f, unsigned bits) {
  for (std::uint16_t& one : f.c)
    one = static_cast<std::uint16_t>((std::uint32_t{one} * kQ + (1U << (bits - 1))) >> bits);
}

void message_to_poly(ByteView m, Poly& f) {
  for (unsigned i = 0; i < kN; ++i) {
    const std::uint32_t bit = m[i / 8] >> (i % 8) & 1U;
    f.c[i] = static_cast<std::uint16_t>(opaque(0U - bit) & ((kQ + 1) / 2));
  }
}

// ---------------------------------------------------------------- samples (FIPS 203 4.2.2)

/// Uniform, from public octets: takes as long as it takes.
void sample_uniform(ByteView rho, unsigned first, unsigned second, Poly& f) {
  Keccak xof(Function::shake_128);
  xof.absorb(rho);
  const std::array<std::uint8_t, 2> place = {static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(second)};
  xof.absorb(place);
  std::array<std::uint8_t, 168> block;
  for (unsigned found = 0; found < kN;) {
    xof.squeeze(block);
    for (unsigned at = 0; at < block.size() && found < kN; at += 3) {
      const unsigned low = block[at] | (block[at + 1] & 0x0fU) << 8;
      const unsigned high = block[at + 1] >> 4 | unsigned{block[at + 2]} << 4;
      if (low < kQ) f.c[found++] = static_cast<std::uint16_t>(low);
      if (high < kQ && found < kN) f.c[found++] = static_cast<std::uint16_t>(high);
    }
  }
}

/// Small, from a secret seed: the difference of two sums of `eta` bits.
void sample_small(ByteView seed, unsigned number, unsigned eta, Poly& f) {
  SecretArray<64 * 3> bits;
  const std::uint8_t counter = static_cast<std::uint8_t>(number);
  keccak(Function::shake_256, {seed, ByteView(&counter, 1)}, MutableByteView(bits).first(64UL * eta));
  const auto bit = [&](unsigned at) { return static_cast<std::uint16_t>(bits[at / 8] >> (at % 8) & 1U); };
  for (unsigned i = 0; i < kN; ++i) {
    std::uint16_t x = 0;
    std::uint16_t y = 0;
    for (unsigned j = 0; j < eta; ++j) {
      x = static_cast<std::uint16_t>(x + bit(2 * i * eta + j));
      y = static_cast<std::uint16_t>(y + bit((2 * i + 1) * eta + j));
    }
    f.c[i] = subtract(x, y);
  }
}

// ---------------------------------------------------------------- the public-key scheme below (FIPS 203 5)

bool is_reduced(const Poly& f) {
  return std::ranges::all_of(f.c, [](std::uint16_t one) { return one < kQ; });
}

/// The parts of an encapsulation key. False for a coefficient that is not reduced.
bool read_encapsulation_key(const Parameters& p, ByteView key, Vector& t) {
  bool reduced = true;
  for (unsigned i = 0; i < p.rank; ++i) {
    decode(key.subspan(i * kPolySize, kPolySize), 12, t[i]);
    reduced = reduced && is_reduced(t[i]);
  }
  return reduced;
}

Bytes encrypt(const Parameters& p, const Vector& t, ByteView rho, ByteView m, ByteView seed) {
  Vector y;
  for (unsigned i = 0; i < p.rank; ++i) {
    sample_small(seed, i, p.eta1, y[i]);
    transform(y[i]);
  }
  const std::size_t u_size = kN / 8 * p.du;
  Bytes ciphertext(u_size * p.rank + kN / 8 * p.dv);
  Poly noise;
  for (unsigned i = 0; i < p.rank; ++i) {
    Poly u;
    Poly entry;
    for (unsigned j = 0; j < p.rank; ++j) {
      sample_uniform(rho, i, j, entry);  // of the transposed matrix
      multiply_add(u, entry, y[j]);
    }
    transform_back(u);
    sample_small(seed, p.rank + i, kEta2, noise);
    add_to(u, noise);
    compress(u, p.du);
    encode(u, p.du, ciphertext.data() + i * u_size);
  }
  Poly v;
  for (unsigned i = 0; i < p.rank; ++i) multiply_add(v, t[i], y[i]);
  transform_back(v);
  sample_small(seed, 2 * p.rank, kEta2, noise);
  add_to(v, noise);
  message_to_poly(m, noise);
  add_to(v, noise);
  compress(v, p.dv);
  encode(v, p.dv, ciphertext.data() + p.rank * u_size);
  return ciphertext;
}

void decrypt(const Parameters& p, ByteView s, ByteView ciphertext, MutableByteView m) {
  const std::size_t u_size = kN / 8 * p.du;
  Poly w;
  Poly u;
  Poly part;
  for (unsigned i = 0; i < p.rank; ++i) {
    decode(ciphertext.subspan(i * u_size, u_size), p.du, u);
    decompress(u, p.du);
    transform(u);
    decode(s.subspan(i * kPolySize, kPolySize), 12, part);
    multiply_add(w, part, u);
  }
  transform_back(w);
  Poly v;
  decode(ciphertext.subspan(p.rank * u_size), p.dv, v);
  decompress(v, p.dv);
  for (unsigned i = 0; i < kN; ++i) v.c[i] = subtract(v.c[i], w.c[i]);
  compress(v, 1);
  encode(v, 1, m.data());
}

/// K and the seed of the encryption: SHA3-512(m | H(ek)).
struct Secrets {
  SecretArray<64> both;
  [[nodiscard]] ByteView key() const { return ByteView(both).first(32); }
  [[nodiscard]] ByteView seed() const { return ByteView(both).subspan(32); }
};
void derive(ByteView m, ByteView key_digest, Secrets& out) { keccak(Function::sha3_512, {m, key_digest}, out.both); }

/// Takes `b` where they differ, else `a`, in the same time.
SecretBytes select(bool differ, ByteView a, ByteView b) {
  const std::uint32_t mask = opaque(0U - static_cast<std::uint32_t>(differ));
  SecretBytes out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    out.mutable_view()[i] = static_cast<std::uint8_t>((a[i] & ~mask) | (b[i] & mask));
  return out;
}

}  // namespace

std::size_t encapsulation_key_size(ParameterSet set) { return kPolySize * parameters_of(set).rank + 32; }
std::size_t decapsulation_key_size(ParameterSet set) { return 2 * kPolySize * parameters_of(set).rank + 96; }
std::size_t ciphertext_size(ParameterSet set) {
  const Parameters p = parameters_of(set);
  return kN / 8 * (p.du * p.rank + p.dv);
}

KeyPair generate(ParameterSet set, ByteView d, ByteView z) {
  CHECK(d.size() == kSeedSize && z.size() == kSeedSize);
  const Parameters p = parameters_of(set);
  const auto rank = static_cast<std::uint8_t>(p.rank);
  SecretArray<64> seeds;
  keccak(Function::sha3_512, {d, ByteView(&rank, 1)}, seeds);
  const ByteView rho = ByteView(seeds).first(32);
  const ByteView sigma = ByteView(seeds).subspan(32);

  Vector s;
  for (unsigned i = 0; i < p.rank; ++i) {
    sample_small(sigma, i, p.eta1, s[i]);
    transform(s[i]);
  }
  KeyPair made{Bytes(encapsulation_key_size(set)), SecretBytes(decapsulation_key_size(set))};
  std::uint8_t* const secret = made.decapsulation_key.mutable_view().data();
  for (unsigned i = 0; i < p.rank; ++i) {
    Poly t;
    sample_small(sigma, p.rank + i, p.eta1, t);
    transform(t);
    Poly entry;
    for (unsigned j = 0; j < p.rank; ++j) {
      sample_uniform(rho, j, i, entry);
      multiply_add(t, entry, s[j]);
    }
    encode(t, 12, made.encapsulation_key.data() + i * kPolySize);
    encode(s[i], 12, secret + i * kPolySize);
  }
  std::ranges::copy(rho, made.encapsulation_key.end() - 32);
  // FIPS 203 6.1: the secret vector, the encapsulation key, its digest and z.
  std::uint8_t* at = std::ranges::copy(made.encapsulation_key, secret + p.rank * kPolySize).out;
  keccak(Function::sha3_256, {made.encapsulation_key}, {at, 32});
  std::ranges::copy(z, at + 32);
  return made;
}

Result<Encapsulated, CryptoError> encapsulate(ParameterSet set, ByteView key, ByteView m) {
  CHECK(m.size() == kSeedSize);
  const Parameters p = parameters_of(set);
  if (key.size() != encapsulation_key_size(set)) return err(CryptoError::bad_public_value);
  Vector t;
  if (!read_encapsulation_key(p, key, t)) return err(CryptoError::bad_public_value);
  std::array<std::uint8_t, 32> digest;
  keccak(Function::sha3_256, {key}, digest);
  Secrets secrets;
  derive(m, digest, secrets);
  return Encapsulated{encrypt(p, t, key.last(32), m, secrets.seed()), SecretBytes::copy_of(secrets.key())};
}

Result<SecretBytes, CryptoError> decapsulate(ParameterSet set, ByteView key, ByteView ciphertext) {
  CHECK(key.size() == decapsulation_key_size(set));
  const Parameters p = parameters_of(set);
  if (ciphertext.size() != ciphertext_size(set)) return err(CryptoError::bad_public_value);
  const ByteView s = key.first(p.rank * kPolySize);
  const ByteView public_key = key.subspan(s.size(), encapsulation_key_size(set));
  const ByteView digest = key.subspan(s.size() + public_key.size(), 32);
  const ByteView z = key.last(32);

  SecretArray<32> m;
  decrypt(p, s, ciphertext, m);
  Secrets secrets;
  derive(m, digest, secrets);
  SecretArray<32> rejection;
  keccak(Function::shake_256, {z, ciphertext}, rejection);
  Vector t;
  (void)read_encapsulation_key(p, public_key, t);
  Bytes again = encrypt(p, t, public_key.last(32), m, secrets.seed());
  const bool differ = !constant_time_equal(again, ciphertext);
  wipe(again);
  return select(differ, secrets.key(), rejection);
}

bool is_decapsulation_key(ParameterSet set, ByteView key) {
  if (key.size() != decapsulation_key_size(set)) return false;
  const Parameters p = parameters_of(set);
  const ByteView public_key = key.subspan(p.rank * kPolySize, encapsulation_key_size(set));
  std::array<std::uint8_t, 32> digest;
  keccak(Function::sha3_256, {public_key}, digest);
  return equal(digest, key.subspan(p.rank * kPolySize + public_key.size(), 32));
}

}  // namespace culvert::crypto::ml_kem
