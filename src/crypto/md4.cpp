#include "crypto/md4.hpp"

#include <algorithm>
#include <bit>

#include "base/secret.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kBlock = 64;
using Words = std::array<std::uint32_t, 16>;

/// RFC 1320 3.4: one of the three rounds; `mix` is F, G or H, `order` the words of the block as they are taken.
template <typename Mix>
void round(std::array<std::uint32_t, 4>& state, const Words& block, const std::array<std::uint8_t, 16>& order,
           const std::array<int, 4>& turns, std::uint32_t constant, Mix mix) {
  auto& [a, b, c, d] = state;
  for (std::size_t step = 0; step < 16; ++step) {
    const std::uint32_t next = std::rotl(a + mix(b, c, d) + block[order[step]] + constant, turns[step % 4]);
    a = d;
    d = c;
    c = b;
    b = next;
  }
}

void absorb(std::array<std::uint32_t, 4>& state, const std::uint8_t* at) {
  Words block;
  for (std::size_t i = 0; i < block.size(); ++i) {
    block[i] = 0;
    for (std::size_t octet = 4; octet-- > 0;) block[i] = block[i] << 8 | at[4 * i + octet];
  }
  const auto before = state;
  using U = std::uint32_t;
  round(state, block, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {3, 7, 11, 19}, 0,
        [](U x, U y, U z) { return (x & y) | (~x & z); });
  round(state, block, {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}, {3, 5, 9, 13}, 0x5a827999,
        [](U x, U y, U z) { return (x & y) | (x & z) | (y & z); });
  round(state, block, {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}, {3, 9, 11, 15}, 0x6ed9eba1,
        [](U x, U y, U z) { return x ^ y ^ z; });
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += before[i];
  wipe({reinterpret_cast<std::uint8_t*>(block.data()), sizeof(block)});
}

}  // namespace

Md4Digest md4(ByteView message) {
  std::array<std::uint32_t, 4> state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  std::size_t done = 0;
  for (; done + kBlock <= message.size(); done += kBlock) absorb(state, message.data() + done);
  // RFC 1320 3.1, 3.2: one bit, zeros, and the length in bits, the low octet first.
  std::array<std::uint8_t, 2 * kBlock> tail{};
  const ByteView rest = message.subspan(done);
  std::ranges::copy(rest, tail.begin());
  tail[rest.size()] = 0x80;
  const std::size_t end = rest.size() + 9 <= kBlock ? kBlock : 2 * kBlock;
  const std::uint64_t bits = std::uint64_t{message.size()} * 8;
  for (std::size_t i = 0; i < 8; ++i) tail[end - 8 + i] = static_cast<std::uint8_t>(bits >> (8 * i));
  for (std::size_t at = 0; at < end; at += kBlock) absorb(state, tail.data() + at);
  wipe(tail);
  Md4Digest digest;
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::uint8_t>(state[i / 4] >> (8 * (i % 4)));
  return digest;
}

}  // namespace culvert::crypto
