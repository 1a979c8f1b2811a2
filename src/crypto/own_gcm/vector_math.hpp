// AES and GHASH on four blocks at a time. To be included by the kernel only, where CPU features are known.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

// Each function names its instruction set itself. With options for the whole file, inline functions of the standard
// library would be compiled with them too, and the linker might take those for the whole program.
#define OWN_GCM_TARGET gnu::target("avx512f,avx512bw,avx512vl,avx512dq,vaes,vpclmulqdq,aes,pclmul,bmi,bmi2")
#define OWN_GCM_INLINE OWN_GCM_TARGET, gnu::always_inline

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own headers give registers that are "undefined" on purpose, and it warns of them where they are inlined.
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace culvert::crypto::own_gcm {

/// Four times four blocks.
struct Quad {
  __m512i v0, v1, v2, v3;
};

[[OWN_GCM_INLINE]] inline __m128i load_block(const std::uint8_t* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

[[OWN_GCM_INLINE]] inline __m512i broadcast(const std::uint8_t* block) {
  return _mm512_broadcast_i32x4(load_block(block));
}

[[OWN_GCM_INLINE]] inline __m512i load(const std::uint8_t* at) { return _mm512_loadu_si512(at); }

[[OWN_GCM_INLINE]] inline __m512i xor3(__m512i a, __m512i b, __m512i c) {
  return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/// To and from the order of octets in which GHASH computes.
[[OWN_GCM_INLINE]] inline __m512i reverse_octets(__m512i blocks) {
  return _mm512_shuffle_epi8(
      blocks, _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

[[OWN_GCM_INLINE]] inline __m128i reverse_octets(__m128i block) {
  return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/// A sum of products that were not reduced yet: lo + mid * x^64 + hi * x^128, in each lane apart.
struct Product {
  __m512i lo, mid, hi;
};

[[OWN_GCM_INLINE]] inline Product multiply(__m512i data, __m512i power) {
  return {_mm512_clmulepi64_epi128(data, power, 0x00),
          _mm512_xor_si512(_mm512_clmulepi64_epi128(data, power, 0x01), _mm512_clmulepi64_epi128(data, power, 0x10)),
          _mm512_clmulepi64_epi128(data, power, 0x11)};
}

[[OWN_GCM_INLINE]] inline void multiply_add(Product& sum, __m512i data, __m512i power) {
  sum.lo = _mm512_xor_si512(sum.lo, _mm512_clmulepi64_epi128(data, power, 0x00));
  sum.mid = xor3(sum.mid, _mm512_clmulepi64_epi128(data, power, 0x01), _mm512_clmulepi64_epi128(data, power, 0x10));
  sum.hi = _mm512_xor_si512(sum.hi, _mm512_clmulepi64_epi128(data, power, 0x11));
}

/// Modulo GCM's polynomial, reflected: folds the lower half upwards in two steps of 64 bits.
[[OWN_GCM_INLINE]] inline __m512i reduce(const Product& p) {
  const __m512i polynomial = _mm512_broadcast_i32x4(_mm_set_epi64x(static_cast<long long>(0xc200000000000000), 1));
  const __m512i mid = xor3(p.mid, _mm512_shuffle_epi32(p.lo, static_cast<_MM_PERM_ENUM>(0x4e)),
                           _mm512_clmulepi64_epi128(polynomial, p.lo, 0x01));
  return xor3(p.hi, _mm512_shuffle_epi32(mid, static_cast<_MM_PERM_ENUM>(0x4e)),
              _mm512_clmulepi64_epi128(polynomial, mid, 0x01));
}

/// The same with three multiplications instead of four (Karatsuba) and more additions. Faster where multiplying is what
/// bounds: see docs/decisions/007-own-gcm.md.
struct Product3 {
  __m512i lo, mid, hi;  // `mid` has both others added
};

[[OWN_GCM_INLINE]] inline __m512i halves_added(__m512i blocks) {
  return _mm512_xor_si512(blocks, _mm512_shuffle_epi32(blocks, static_cast<_MM_PERM_ENUM>(0x4e)));
}
[[OWN_GCM_INLINE]] inline void set_product(Product3& p, __m512i data, __m512i power) {
  p = {_mm512_clmulepi64_epi128(data, power, 0x00),
       _mm512_clmulepi64_epi128(halves_added(data), halves_added(power), 0x00),
       _mm512_clmulepi64_epi128(data, power, 0x11)};
}
[[OWN_GCM_INLINE]] inline void multiply_add(Product3& sum, __m512i data, __m512i power) {
  Product3 p;
  set_product(p, data, power);
  sum.lo = _mm512_xor_si512(sum.lo, p.lo);
  sum.mid = _mm512_xor_si512(sum.mid, p.mid);
  sum.hi = _mm512_xor_si512(sum.hi, p.hi);
}
[[OWN_GCM_INLINE]] inline __m512i reduce(const Product3& p) {
  return reduce(Product{p.lo, xor3(p.mid, p.lo, p.hi), p.hi});
}
[[OWN_GCM_INLINE]] inline void set_product(Product& p, __m512i data, __m512i power) { p = multiply(data, power); }

/// The sum of the four lanes.
[[OWN_GCM_INLINE]] inline __m128i fold(__m512i blocks) {
  const __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(blocks), _mm512_extracti64x4_epi64(blocks, 1));
  return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

}  // namespace culvert::crypto::own_gcm
