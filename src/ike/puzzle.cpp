#include "ike/puzzle.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "crypto/prf.hpp"
#include "model/proposal.hpp"

namespace culvert::ike {
namespace {

constexpr std::size_t kKeys = 4;
constexpr std::size_t kKeySize = 4;
// Of computations: four times what four keys take on average, and where the choice is ours.
constexpr std::uint32_t kEffortPerBit = 16;
// However hard it is: whoever asks has proved nothing. Twice what the hardest takes on average.
constexpr std::uint32_t kMostEffort = 1U << 23;
constexpr std::uint32_t kFreeEffort = 1U << 17;
constexpr std::uint32_t kLookUpEvery = 1U << 10;

struct Found {
  unsigned bits = 0;
  std::uint32_t key = 0;
};

}  // namespace

Bytes encode(const Puzzle& puzzle) {
  ByteWriter data;
  data.u16(static_cast<std::uint16_t>(puzzle.prf));
  data.u8(puzzle.zero_bits);
  return data.take();
}

std::optional<Puzzle> decode_puzzle(ByteView data) {
  if (data.size() != 3) return std::nullopt;
  return Puzzle{.prf = static_cast<model::PrfId>(load_be16(data.data())), .zero_bits = data[2]};
}

unsigned trailing_zero_bits(ByteView octets) {
  unsigned bits = 0;
  for (std::size_t at = octets.size(); at-- > 0; bits += 8) {
    if (octets[at] != 0) return bits + static_cast<unsigned>(std::countr_zero(octets[at]));
  }
  return bits;
}

std::optional<unsigned> solved_bits(model::PrfId prf, ByteView text, ByteView solution) {
  const auto function = model::prf_function(prf);
  const std::size_t size = solution.size() / kKeys;
  if (!function || solution.size() % kKeys != 0 || size == 0 || size > function->size()) return std::nullopt;
  std::array<ByteView, kKeys> keys;
  for (std::size_t n = 0; n < kKeys; ++n) {
    keys[n] = solution.subspan(n * size, size);
    for (std::size_t before = 0; before < n; ++before) {
      if (equal(keys[before], keys[n])) return std::nullopt;
    }
  }
  unsigned least = ~0U;
  // RFC 8019 7.1.4: all four are looked at, and the least counts.
  for (const ByteView key : keys) least = std::min(least, trailing_zero_bits((*function)(key, {text}).view()));
  return least;
}

PuzzleResult carry_out(const PuzzleRequest& request) {
  const auto function = model::prf_function(request.prf);
  if (!function || request.zero_bits > kMostZeroBits) return {};
  const std::uint32_t effort =
      request.zero_bits == 0 ? kFreeEffort : std::min(kEffortPerBit << request.zero_bits, kMostEffort);
  std::array<Found, kKeys> best{};
  std::array<std::uint8_t, kKeySize> key{};
  const auto less = [](const Found& a, const Found& b) { return a.bits < b.bits; };
  for (std::uint32_t n = 1; n <= effort; ++n) {
    if (n % kLookUpEvery == 1 && request.unwanted && *request.unwanted) return {};
    store_be32(key.data(), n);
    const unsigned bits = trailing_zero_bits((*function)(key, {request.text}).view());
    Found& worst = *std::ranges::min_element(best, less);
    if (bits <= worst.bits) continue;
    worst = {.bits = bits, .key = n};
    if (request.zero_bits != 0 && std::ranges::min_element(best, less)->bits >= request.zero_bits) break;
  }
  if (std::ranges::min_element(best, less)->bits < std::max<unsigned>(request.zero_bits, 1)) return {};
  ByteWriter solution;
  for (const Found& one : best) solution.u32(one.key);
  return {.solution = solution.take()};
}

}  // namespace culvert::ike
