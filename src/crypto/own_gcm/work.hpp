// What both ways through the kernel share: counters, and what they read of a packet's work, whichever of the two kinds
// of job it is. To be included by the kernel only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/prefetch.hpp"
#include "crypto/own_gcm/kernel.hpp"
#include "crypto/own_gcm/vector_math.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::own_gcm {

inline constexpr std::size_t kBlock = 16;
inline constexpr std::size_t kStep = 64;  // octets of a register
inline constexpr std::size_t kTabled = 64;
inline constexpr __mmask64 kFirstBlock = 0xffff;

/// Counters 1 to 256 where a block has them, four in a row.
struct Counters {
  alignas(64) std::uint8_t octets[kTabled * kStep] = {};
  constexpr Counters() {
    for (unsigned i = 0; i < 4 * kTabled; ++i) {
      octets[kBlock * i + 14] = static_cast<std::uint8_t>((i + 1) >> 8);
      octets[kBlock * i + 15] = static_cast<std::uint8_t>(i + 1);
    }
  }
};
inline constexpr Counters kCounters;

[[OWN_GCM_INLINE]] inline __m512i counters_beyond_table(std::size_t step) {
  const __m512i first = _mm512_set_epi32(4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0);
  const __m512i sum = _mm512_mask_add_epi32(first, 0x8888, first, _mm512_set1_epi32(static_cast<int>(4 * step)));
  return _mm512_shuffle_epi8(
      sum, _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3)));
}

/// The counters of four registers from `step` on, which is a multiple of four.
[[OWN_GCM_INLINE]] inline Quad counters(std::size_t step) {
  if (step < kTabled) [[likely]] {
    const std::uint8_t* at = kCounters.octets + kStep * step;
    return {load(at), load(at + kStep), load(at + 2 * kStep), load(at + 3 * kStep)};
  }
  return {counters_beyond_table(step), counters_beyond_table(step + 1), counters_beyond_table(step + 2),
          counters_beyond_table(step + 3)};
}

/// A text's address plus `octets`. An empty text may stand nowhere, so this counts in numbers.
inline const std::uint8_t* moved(const std::uint8_t* text, std::size_t octets) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<const std::uint8_t*>(reinterpret_cast<std::uintptr_t>(text) + octets);
}
inline std::uint8_t* moved(std::uint8_t* text, std::size_t octets) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<std::uint8_t*>(reinterpret_cast<std::uintptr_t>(text) + octets);
}
inline constexpr std::size_t kBlockBefore = 0 - kBlock;

/// Asks for what a short packet needs of its key.
template <int Rounds>
[[OWN_GCM_INLINE]] inline void prefetch_short(const PacketCipher* cipher) {
  constexpr std::size_t kLine = 64;
  const auto* const at = reinterpret_cast<const std::uint8_t*>(cipher);
#pragma GCC unroll 8
  for (std::size_t line = 2; line < (sizeof(KeyedCipher<Rounds>) + kLine - 1) / kLine; ++line) {
    culvert::prefetch(at + kLine * line);
  }
}

[[OWN_GCM_INLINE]] inline void add(Quad& q, __m512i value) {
  q.v0 = _mm512_xor_si512(q.v0, value);
  q.v1 = _mm512_xor_si512(q.v1, value);
  q.v2 = _mm512_xor_si512(q.v2, value);
  q.v3 = _mm512_xor_si512(q.v3, value);
}

template <int Rounds, typename Work>
[[OWN_GCM_INLINE]] inline const ExpandedKey<Rounds>& key_of(const Work& work) {
  return static_cast<const KeyedCipher<Rounds>&>(*work.cipher).key;
}

inline std::size_t text_length(const KeyedJob& work) { return work.job->length; }
inline std::size_t text_length(const EspJob& work) { return work.length; }
inline const std::uint8_t* input_of(const KeyedJob& work) { return work.job->input; }
inline const std::uint8_t* input_of(const EspJob& work) { return work.input; }
inline std::uint8_t* output_of(const KeyedJob& work) { return work.job->output; }
inline std::uint8_t* output_of(const EspJob& work) { return work.packet + EspJob::kHead; }
inline std::size_t aad_length(const KeyedJob& work) { return work.job->aad.size(); }
inline constexpr std::size_t aad_length(const EspJob& /*work*/) { return EspJob::kAad; }

[[OWN_GCM_INLINE]] inline __mmask64 first_octets(std::size_t count) {
  return _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(count));
}

[[OWN_GCM_INLINE]] inline __m128i load_part(const std::uint8_t* at, std::size_t size) {
  return _mm_maskz_loadu_epi8(static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(size))), at);
}

/// RFC 4106 4: the nonce is the salt, then the packet's IV. The salt came with the key.
[[OWN_GCM_INLINE]] inline __m128i iv_of(const KeyedJob& work) {
  return _mm_maskz_loadu_epi32(0b0110, work.job->iv - 4);
}
[[OWN_GCM_INLINE]] inline __m128i iv_of(const EspJob& work) {
  return _mm_shuffle_epi8(load_block(work.packet),
                          _mm_set_epi8(-1, -1, -1, -1, 15, 14, 13, 12, 11, 10, 9, 8, -1, -1, -1, -1));
}

template <int Rounds>
[[OWN_GCM_INLINE]] inline __m512i nonce_of(const ExpandedKey<Rounds>& key, __m128i iv) {
  return _mm512_xor_si512(_mm512_broadcast_i32x4(iv), broadcast(key.round_keys[0]));
}

/// Additional data of up to 16 octets, in GHASH's order of octets.
[[OWN_GCM_INLINE]] inline __m128i short_aad_of(const KeyedJob& work) {
  return reverse_octets(load_part(work.job->aad.data(), work.job->aad.size()));
}
/// RFC 4106 5: SPI and the whole sequence number; as one number the SPI is on top.
[[OWN_GCM_INLINE]] inline __m128i short_aad_of(const EspJob& work) {
  const __m128i spi = _mm_shuffle_epi8(load_block(work.packet),
                                       _mm_set_epi8(0, 1, 2, 3, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m128i sequence = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&work.sequence));
  return _mm_or_si128(spi, _mm_slli_si128(sequence, 4));
}

/// The same, or of longer data the end with the sum of what precedes.
template <int Rounds>
[[OWN_GCM_INLINE]] inline __m128i aad_of(const ExpandedKey<Rounds>& key, const KeyedJob& work) {
  const std::uint8_t* at = work.job->aad.data();
  std::size_t left = work.job->aad.size();
  if (left <= kBlock) [[likely]]
    return reverse_octets(load_part(at, left));
  __m128i sum = _mm_setzero_si128();
  for (; left > kBlock; left -= kBlock, at += kBlock) {
    const __m128i block = _mm_xor_si128(sum, reverse_octets(load_part(at, kBlock)));
    sum = _mm512_castsi512_si128(reduce(multiply(_mm512_zextsi128_si512(block), broadcast(key.powers[15]))));
  }
  return _mm_xor_si128(sum, reverse_octets(load_part(at, left)));
}
template <int Rounds>
[[OWN_GCM_INLINE]] inline __m128i aad_of(const ExpandedKey<Rounds>& /*key*/, const EspJob& work) {
  return short_aad_of(work);
}

/// GHASH's last block, in its order of octets.
template <typename Work>
[[OWN_GCM_INLINE]] inline __m128i lengths_of(const Work& work) {
  const std::uint64_t aad_bits = 8 * aad_length(work);
  const std::uint64_t text_bits = 8 * text_length(work);
  return _mm_set_epi64x(static_cast<long long>(aad_bits), static_cast<long long>(text_bits));
}

/// Ends a packet: `sum` is GHASH's result, `hiding` the first block of the key stream.
template <int Rounds, bool Seal>
[[OWN_GCM_INLINE]] inline void finish(__m128i sum, __m128i hiding, const KeyedJob& work) {
  PacketJob& job = *work.job;
  const __m128i icv = _mm_xor_si128(reverse_octets(sum), hiding);
  const auto mask = static_cast<__mmask16>(key_of<Rounds>(work).icv_mask);
  if constexpr (Seal) {
    _mm_mask_storeu_epi8(job.icv, mask, icv);
    job.ok = true;
  } else {
    const __m128i difference = _mm_maskz_mov_epi8(mask, _mm_xor_si128(icv, _mm_maskz_loadu_epi8(mask, job.icv)));
    job.ok = _mm_testz_si128(difference, difference) != 0;
  }
}
/// `length` is the text's.
template <int Rounds, bool Seal>
[[OWN_GCM_INLINE]] inline void finish(__m128i sum, __m128i hiding, EspJob& work, std::size_t length) {
  const __m128i icv = _mm_xor_si128(reverse_octets(sum), hiding);
  std::uint8_t* const at = work.packet + EspJob::kHead + length;
  if constexpr (Seal) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), icv);
    work.ok = true;
  } else {
    const __m128i difference = _mm_xor_si128(icv, load_block(at));
    work.ok = _mm_testz_si128(difference, difference) != 0;
  }
}
template <int Rounds, bool Seal>
[[OWN_GCM_INLINE]] inline void finish(__m128i sum, __m128i hiding, EspJob& work) {
  finish<Rounds, Seal>(sum, hiding, work, work.length);
}

}  // namespace culvert::crypto::own_gcm
