#include "crypto/keccak.hpp"

#include <bit>

#include "base/check.hpp"
#include "base/secret.hpp"

namespace culvert::crypto {
namespace {

// FIPS 202 3.2.5: the constants of iota come from a linear feedback shift register.
constexpr std::array<std::uint64_t, 24> make_round_constants() {
  std::array<std::uint64_t, 24> constants{};
  unsigned lfsr = 1;
  for (std::uint64_t& constant : constants) {
    for (unsigned j = 0; j < 7; ++j) {
      if ((lfsr & 1) != 0) constant |= std::uint64_t{1} << ((1U << j) - 1);
      lfsr = (lfsr << 1) ^ ((lfsr >> 7 & 1) * 0x171);
    }
  }
  return constants;
}
constexpr auto kRoundConstants = make_round_constants();

// FIPS 202 3.2.2, 3.2.3: rho and pi walk the lanes in one order.
struct Step {
  std::uint8_t to;
  std::uint8_t turn;
};
constexpr std::array<Step, 24> make_walk() {
  std::array<Step, 24> walk{};
  unsigned x = 1;
  unsigned y = 0;
  for (unsigned t = 0; t < 24; ++t) {
    const unsigned next_y = (2 * x + 3 * y) % 5;
    x = y;
    y = next_y;
    walk[t] = {static_cast<std::uint8_t>(x + 5 * y), static_cast<std::uint8_t>((t + 1) * (t + 2) / 2 % 64)};
  }
  return walk;
}
constexpr auto kWalk = make_walk();

constexpr std::size_t rate_of(Keccak::Function function) {
  switch (function) {
    case Keccak::Function::sha3_256: return 136;
    case Keccak::Function::sha3_512: return 72;
    case Keccak::Function::shake_128: return 168;
    case Keccak::Function::shake_256: return 136;
  }
  return 0;
}

bool is_shake(Keccak::Function function) {
  return function == Keccak::Function::shake_128 || function == Keccak::Function::shake_256;
}

}  // namespace

Keccak::Keccak(Function function) : rate_(rate_of(function)), suffix_(is_shake(function) ? 0x1f : 0x06) {}

Keccak::~Keccak() { wipe({reinterpret_cast<std::uint8_t*>(lanes_.data()), sizeof(lanes_)}); }

void Keccak::permute() {
  auto& a = lanes_;
  for (const std::uint64_t constant : kRoundConstants) {
    std::array<std::uint64_t, 5> column;
    for (unsigned x = 0; x < 5; ++x) column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (unsigned x = 0; x < 5; ++x) {
      const std::uint64_t theta = column[(x + 4) % 5] ^ std::rotl(column[(x + 1) % 5], 1);
      for (unsigned y = 0; y < 25; y += 5) a[x + y] ^= theta;
    }
    std::uint64_t carried = a[1];
    for (const Step& step : kWalk) {
      const std::uint64_t next = a[step.to];
      a[step.to] = std::rotl(carried, step.turn);
      carried = next;
    }
    for (unsigned y = 0; y < 25; y += 5) {
      const std::array<std::uint64_t, 5> row = {a[y], a[y + 1], a[y + 2], a[y + 3], a[y + 4]};
      for (unsigned x = 0; x < 5; ++x) a[x + y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
    a[0] ^= constant;
  }
}

void Keccak::absorb(ByteView input) {
  CHECK(!squeezing_);
  for (const std::uint8_t octet : input) {
    lanes_[at_ / 8] ^= std::uint64_t{octet} << (8 * (at_ % 8));
    if (++at_ == rate_) {
      permute();
      at_ = 0;
    }
  }
}

void Keccak::squeeze(MutableByteView output) {
  if (!squeezing_) {
    lanes_[at_ / 8] ^= std::uint64_t{suffix_} << (8 * (at_ % 8));
    lanes_[(rate_ - 1) / 8] ^= std::uint64_t{0x80} << 56;
    squeezing_ = true;
    at_ = rate_;
  }
  for (std::uint8_t& octet : output) {
    if (at_ == rate_) {
      permute();
      at_ = 0;
    }
    octet = static_cast<std::uint8_t>(lanes_[at_ / 8] >> (8 * (at_ % 8)));
    ++at_;
  }
}

void keccak(Keccak::Function function, std::initializer_list<ByteView> input, MutableByteView output) {
  Keccak sponge(function);
  for (const ByteView part : input) sponge.absorb(part);
  sponge.squeeze(output);
}

}  // namespace culvert::crypto
