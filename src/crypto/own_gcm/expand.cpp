// Key expansion: AES's round keys (FIPS 197 5.2) and the powers of H, without tables indexed by secrets.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/secret.hpp"
#include "crypto/own_gcm/kernel.hpp"
#include "crypto/own_gcm/vector_math.hpp"

namespace culvert::crypto::own_gcm {
namespace {

[[OWN_GCM_TARGET]] std::uint32_t substitute_word(std::uint32_t word) {
  return static_cast<std::uint32_t>(
      _mm_cvtsi128_si32(_mm_aeskeygenassist_si128(_mm_set1_epi32(static_cast<int>(word)), 0)));
}

std::uint32_t rotate_word(std::uint32_t word) { return word >> 8 | word << 24; }  // octet 0 is the lowest

template <int Rounds>
void expand_round_keys(ByteView key, std::uint8_t (&out)[Rounds + 1][16]) {
  constexpr std::size_t kWords = Rounds - 6;
  std::array<std::uint32_t, std::size_t{4} * (Rounds + 1)> words;
  std::memcpy(words.data(), key.data(), 4 * kWords);
  std::uint32_t constant = 1;
  for (std::size_t i = kWords; i < words.size(); ++i) {
    std::uint32_t word = words[i - 1];
    if (i % kWords == 0) {
      word = substitute_word(rotate_word(word)) ^ constant;
      constant = constant << 1 ^ (constant & 0x80 ? 0x11b : 0);
    } else if (kWords > 6 && i % kWords == 4) {
      word = substitute_word(word);
    }
    words[i] = words[i - kWords] ^ word;
  }
  std::memcpy(out, words.data(), sizeof out);
  wipe({reinterpret_cast<std::uint8_t*>(words.data()), sizeof words});
}

/// H = E(0), then H * x: a product of a block with it comes out in place, one bit lower than the instruction has it.
template <int Rounds>
[[OWN_GCM_TARGET]] __m128i hash_key(const std::uint8_t (&round_keys)[Rounds + 1][16]) {
  __m128i block = load_block(round_keys[0]);
  for (int i = 1; i < Rounds; ++i) block = _mm_aesenc_si128(block, load_block(round_keys[i]));
  const __m128i h = reverse_octets(_mm_aesenclast_si128(block, load_block(round_keys[Rounds])));
  const __m128i carries = _mm_srli_epi64(h, 63);
  const __m128i doubled = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(carries, 8));
  // All ones where the highest bit was set.
  const __m128i overflow = _mm_shuffle_epi32(_mm_srai_epi32(h, 31), 0xff);
  const __m128i polynomial = _mm_set_epi64x(static_cast<long long>(0xc200000000000000), 1);
  return _mm_xor_si128(doubled, _mm_and_si128(overflow, polynomial));
}

[[OWN_GCM_TARGET]] void expand_powers(__m128i h, std::uint8_t (&powers)[16][16]) {
  const __m512i h1 = _mm512_broadcast_i32x4(h);
  const __m512i h2 = reduce(multiply(h1, h1));
  const __m512i h3 = reduce(multiply(h2, h1));
  const __m512i h4 = reduce(multiply(h2, h2));
  // H^4 in the lowest lane, H^1 in the highest.
  __m512i four = _mm512_mask_mov_epi64(h4, 0b00001100, h3);
  four = _mm512_mask_mov_epi64(four, 0b00110000, h2);
  four = _mm512_mask_mov_epi64(four, 0b11000000, h1);
  for (int at = 12; at >= 0; at -= 4) {
    _mm512_storeu_si512(powers[at], four);
    four = reduce(multiply(four, h4));
  }
}

}  // namespace

bool runs_here() {
  static const bool kRuns = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") &&
                            __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
                            __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  return kRuns;
}

template <int Rounds>
void expand(ByteView key, ByteView salt, std::size_t icv_size, ExpandedKey<Rounds>& out) {
  out.icv_mask = (1u << icv_size) - 1;
  expand_round_keys<Rounds>(key, out.round_keys);
  expand_powers(hash_key<Rounds>(out.round_keys), out.powers);
  for (std::size_t i = 0; i < salt.size(); ++i) out.round_keys[0][i] ^= salt[i];
}

template void expand<10>(ByteView, ByteView, std::size_t, ExpandedKey<10>&);
template void expand<12>(ByteView, ByteView, std::size_t, ExpandedKey<12>&);
template void expand<14>(ByteView, ByteView, std::size_t, ExpandedKey<14>&);

}  // namespace culvert::crypto::own_gcm
