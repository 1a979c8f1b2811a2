#include "net/checksum_sums.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace culvert::net {
namespace {

template <typename T>
T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// Adds with end-around carry: 2^64 - 1 is a multiple of 2^16 - 1, so nothing is lost for the 16-bit sum.
std::uint64_t add_with_carry(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum + (sum < a ? 1 : 0);
}

std::uint64_t sum_words(const std::uint8_t* at, std::size_t left) {
  std::uint64_t sum = 0;
  for (; left >= 8; left -= 8, at += 8) sum = add_with_carry(sum, load<std::uint64_t>(at));
  // Piece by piece: octets gathered in memory and read back as a word would wait for their stores.
  std::uint64_t tail = 0;
  if ((left & 4) != 0) {
    tail += load<std::uint32_t>(at);
    at += 4;
  }
  if ((left & 2) != 0) {
    tail += load<std::uint16_t>(at);
    at += 2;
  }
  if ((left & 1) != 0) tail += *at;
  return add_with_carry(sum, tail);
}

std::uint64_t copy_words(const std::uint8_t* at, std::size_t size, std::uint8_t* out) {
  const std::uint64_t sum = sum_words(at, size);
  std::memmove(out, at, size);
  return sum;
}

#if defined(__x86_64__)
// One multiply-add sums pairs of words into 32-bit lanes, but takes them as signed: so each word comes with its highest
// bit turned over, which makes it 32,768 less, and that is added again at the end. Up to kMost octets no lane, nor the
// sum of all, overflows.
constexpr std::uint64_t kWordBias = 0x8000;

__attribute__((target("avx2"))) std::uint64_t sum_of_lanes(__m256i sums) {
  __m128i lanes = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  lanes = _mm_add_epi32(lanes, _mm_shuffle_epi32(lanes, 0x4e));
  lanes = _mm_add_epi32(lanes, _mm_shuffle_epi32(lanes, 0xb1));
  return static_cast<std::uint64_t>(std::int64_t{_mm_cvtsi128_si32(lanes)});
}

template <bool kCopy>
__attribute__((target("avx2"))) std::uint64_t run_avx2(const std::uint8_t* at, std::size_t size, std::uint8_t* out) {
  const __m256i flip = _mm256_set1_epi16(static_cast<short>(0x8000));
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i even = _mm256_setzero_si256();
  __m256i odd = _mm256_setzero_si256();
  const std::size_t blocks = size / 64;
  for (std::size_t i = 0; i < blocks; ++i, at += 64) {
    const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32));
    if constexpr (kCopy) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32), second);
      out += 64;
    }
    even = _mm256_add_epi32(even, _mm256_madd_epi16(_mm256_xor_si256(first, flip), ones));
    odd = _mm256_add_epi32(odd, _mm256_madd_epi16(_mm256_xor_si256(second, flip), ones));
  }
  const std::uint64_t sum = sum_of_lanes(_mm256_add_epi32(even, odd)) + blocks * 32 * kWordBias;
  const std::uint64_t all = add_with_carry(sum, sum_words(at, size % 64));
  if constexpr (kCopy) std::memmove(out, at, size % 64);
  return all;
}
std::uint64_t sum_avx2(const std::uint8_t* at, std::size_t size) { return run_avx2<false>(at, size, nullptr); }
std::uint64_t copy_avx2(const std::uint8_t* at, std::size_t size, std::uint8_t* out) {
  return run_avx2<true>(at, size, out);
}

template <bool kCopy>
__attribute__((target("avx512f,avx512bw"))) std::uint64_t run_avx512(const std::uint8_t* at, std::size_t size,
                                                                     std::uint8_t* out) {
  const __m512i flip = _mm512_set1_epi16(static_cast<short>(0x8000));
  const __m512i ones = _mm512_set1_epi16(1);
  __m512i even = _mm512_setzero_si512();
  __m512i odd = _mm512_setzero_si512();
  const std::size_t blocks = (size + 63) / 64;
  std::size_t left = size;
  for (; left >= 128; left -= 128, at += 128) {
    const __m512i first = _mm512_loadu_si512(at);
    const __m512i second = _mm512_loadu_si512(at + 64);
    if constexpr (kCopy) {
      _mm512_storeu_si512(out, first);
      _mm512_storeu_si512(out + 64, second);
      out += 128;
    }
    even = _mm512_add_epi32(even, _mm512_madd_epi16(_mm512_xor_si512(first, flip), ones));
    odd = _mm512_add_epi32(odd, _mm512_madd_epi16(_mm512_xor_si512(second, flip), ones));
  }
  // What a mask leaves out is neither read nor written.
  for (; left != 0; left -= left < 64 ? left : 64, at += 64) {
    const std::uint64_t mask = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    const __m512i block = _mm512_maskz_loadu_epi8(mask, at);
    if constexpr (kCopy) {
      _mm512_mask_storeu_epi8(out, mask, block);
      out += 64;
    }
    odd = _mm512_add_epi32(odd, _mm512_madd_epi16(_mm512_xor_si512(block, flip), ones));
  }
  alignas(64) std::array<std::uint8_t, 64> halves;
  _mm512_store_si512(halves.data(), _mm512_add_epi32(even, odd));
  return sum_of_lanes(_mm256_add_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(halves.data())),
                                       _mm256_load_si256(reinterpret_cast<const __m256i*>(halves.data() + 32)))) +
         blocks * 32 * kWordBias;
}
std::uint64_t sum_avx512(const std::uint8_t* at, std::size_t size) { return run_avx512<false>(at, size, nullptr); }
std::uint64_t copy_avx512(const std::uint8_t* at, std::size_t size, std::uint8_t* out) {
  return run_avx512<true>(at, size, out);
}
#endif

constexpr std::array kAll{
#if defined(__x86_64__)
    ChecksumSums{"AVX-512", sum_avx512, copy_avx512}, ChecksumSums{"AVX2", sum_avx2, copy_avx2},
#endif
    ChecksumSums{"words", sum_words, copy_words}};

std::size_t first_that_runs() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw")) return 0;
  if (__builtin_cpu_supports("avx2")) return 1;
  return 2;
#else
  return 0;
#endif
}

}  // namespace

std::span<const ChecksumSums> checksum_sums() { return std::span(kAll).subspan(first_that_runs()); }

}  // namespace culvert::net
