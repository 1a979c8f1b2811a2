// Short packets (text of up to 96 octets: at most eight blocks), four at a time, of any keys, every step for all four:
// the latency of one hides behind the others.
#pragma once

#include "crypto/own_gcm/work.hpp"

namespace culvert::crypto::own_gcm {

inline constexpr std::size_t kShortText = 96;

/// One of four short packets in AES.
struct Short {
  __m512i stream0, stream1;
  __m512i text0, text1;
  __m128i aad;  // in GHASH's order
  std::size_t octets;
};

/// The same behind AES: what GHASH still has to take, in its order of octets, and what hides the ICV.
struct Unhashed {
  __m512i blocks0, blocks1;
  __m128i hiding;
};

template <int Rounds, typename Work>
[[OWN_GCM_INLINE]] inline void begin_short(Short& s, const Work& work, __m128i iv) {
  const __m512i nonce = nonce_of(key_of<Rounds>(work), iv);
  s.stream0 = _mm512_xor_si512(nonce, load(kCounters.octets));
  s.stream1 = _mm512_xor_si512(nonce, load(kCounters.octets + kStep));
}

template <int Rounds, typename Work>
[[OWN_GCM_INLINE]] inline void round_short(Short& s, const Work& work, int round) {
  const __m512i round_key = broadcast(key_of<Rounds>(work).round_keys[round]);
  s.stream0 = _mm512_aesenc_epi128(s.stream0, round_key);
  s.stream1 = _mm512_aesenc_epi128(s.stream1, round_key);
}

/// Which octets of its two registers a short packet's text has; `octets` counts from the block in front of it.
[[OWN_GCM_INLINE]] inline __mmask64 first_mask(std::size_t octets) {
  return first_octets(std::min(octets, kStep)) & ~kFirstBlock;
}
[[OWN_GCM_INLINE]] inline __mmask64 second_mask(std::size_t octets) {
  return first_octets(std::max(octets, kStep) - kStep);
}

template <typename Work>
[[OWN_GCM_INLINE]] inline void load_short(Short& s, const Work& work) {
  s.octets = kBlock + text_length(work);
  s.aad = short_aad_of(work);
  s.text0 = _mm512_maskz_loadu_epi8(first_mask(s.octets), moved(input_of(work), kBlockBefore));
  s.text1 = _mm512_maskz_loadu_epi8(second_mask(s.octets), moved(input_of(work), kStep - kBlock));
}

/// Blocks of additional data and text of a short packet.
template <typename Work>
[[OWN_GCM_INLINE]] inline std::size_t blocks_of(const Work& work) {
  return (kBlock + text_length(work) + kBlock - 1) / kBlock;
}

template <int Rounds, bool Seal, typename Work>
[[OWN_GCM_INLINE]] inline void transform_short(Short& s, const Work& work, Unhashed& u) {
  const std::uint32_t lengths_mask = 3u << (2 * blocks_of(work));
  const __m512i lengths = _mm512_broadcast_i64x2(lengths_of(work));
  const __m512i last_key = broadcast(key_of<Rounds>(work).round_keys[Rounds]);
  s.stream0 = _mm512_aesenclast_epi128(s.stream0, _mm512_xor_si512(last_key, s.text0));
  s.stream1 = _mm512_aesenclast_epi128(s.stream1, _mm512_xor_si512(last_key, s.text1));
  _mm512_mask_storeu_epi8(moved(output_of(work), kBlockBefore), first_mask(s.octets), s.stream0);
  _mm512_mask_storeu_epi8(moved(output_of(work), kStep - kBlock), second_mask(s.octets), s.stream1);
  if constexpr (Seal) {
    s.text0 = _mm512_maskz_mov_epi8(first_mask(s.octets), s.stream0);
    s.text1 = _mm512_maskz_mov_epi8(second_mask(s.octets), s.stream1);
  }
  const __m512i blocks0 = _mm512_mask_mov_epi64(reverse_octets(s.text0), static_cast<__mmask8>(lengths_mask), lengths);
  u.blocks0 = _mm512_xor_si512(blocks0, _mm512_zextsi128_si512(s.aad));
  u.blocks1 = _mm512_mask_mov_epi64(reverse_octets(s.text1), static_cast<__mmask8>(lengths_mask >> 8), lengths);
  u.hiding = _mm512_castsi512_si128(s.stream0);
}

template <int Rounds, typename Work>
[[OWN_GCM_INLINE]] inline const std::uint8_t* powers_of(const Work& work) {
  return key_of<Rounds>(work).powers[15 - blocks_of(work)];
}

/// GHASH of four short packets, in nine steps between the rounds of AES of the next four. Each packet's lanes are
/// summed before the reduction, so that one reduction serves all four: lane 0 is the first packet's, and so on.
struct ShortHash {
  Product a, b, ab;
  __m512i sums;

  [[OWN_GCM_INLINE]] static __m512i halves(__m512i x, __m512i y) {
    return _mm512_xor_si512(_mm512_shuffle_i64x2(x, y, 0x44), _mm512_shuffle_i64x2(x, y, 0xee));
  }
  [[OWN_GCM_INLINE]] static __m512i quarters(__m512i x, __m512i y) {
    return _mm512_xor_si512(_mm512_shuffle_i64x2(x, y, 0x88), _mm512_shuffle_i64x2(x, y, 0xdd));
  }
  [[OWN_GCM_INLINE]] static Product halves(const Product& x, const Product& y) {
    return {halves(x.lo, y.lo), halves(x.mid, y.mid), halves(x.hi, y.hi)};
  }

  template <int Rounds, typename Work>
  [[OWN_GCM_INLINE]] void step(int number, const Work* work, const Unhashed& u0, const Unhashed& u1, const Unhashed& u2,
                               const Unhashed& u3) {
    switch (number) {
      case 1: a = multiply(u0.blocks0, load(powers_of<Rounds>(work[0]))); break;
      case 2: multiply_add(a, u0.blocks1, load(powers_of<Rounds>(work[0]) + kStep)); break;
      case 3: b = multiply(u1.blocks0, load(powers_of<Rounds>(work[1]))); break;
      case 4:
        multiply_add(b, u1.blocks1, load(powers_of<Rounds>(work[1]) + kStep));
        ab = halves(a, b);
        break;
      case 5: a = multiply(u2.blocks0, load(powers_of<Rounds>(work[2]))); break;
      case 6: multiply_add(a, u2.blocks1, load(powers_of<Rounds>(work[2]) + kStep)); break;
      case 7: b = multiply(u3.blocks0, load(powers_of<Rounds>(work[3]))); break;
      case 8:
        multiply_add(b, u3.blocks1, load(powers_of<Rounds>(work[3]) + kStep));
        a = halves(a, b);
        a = {quarters(ab.lo, a.lo), quarters(ab.mid, a.mid), quarters(ab.hi, a.hi)};
        break;
      case 9: sums = reduce(a); break;
      default: break;
    }
  }
  template <int Rounds, bool Seal, typename Work>
  [[OWN_GCM_INLINE]] void finish_four(Work* work, const Unhashed& u0, const Unhashed& u1, const Unhashed& u2,
                                      const Unhashed& u3) const {
    finish<Rounds, Seal>(_mm512_castsi512_si128(sums), u0.hiding, work[0]);
    finish<Rounds, Seal>(_mm512_extracti32x4_epi32(sums, 1), u1.hiding, work[1]);
    finish<Rounds, Seal>(_mm512_extracti32x4_epi32(sums, 2), u2.hiding, work[2]);
    finish<Rounds, Seal>(_mm512_extracti32x4_epi32(sums, 3), u3.hiding, work[3]);
  }
};

/// `fours` times four packets, at least once, with additional data of up to 16 octets, text of up to 96. GHASH of four
/// is computed between the rounds of AES of the next four.
template <int Rounds, bool Seal, typename Work>
[[OWN_GCM_TARGET, gnu::noinline]] inline void run_short(Work* work, std::size_t fours) {
  Unhashed u0, u1, u2, u3;
  __m128i iv0 = iv_of(work[0]), iv1 = iv_of(work[1]), iv2 = iv_of(work[2]), iv3 = iv_of(work[3]);
  for (Work* before = nullptr; fours > 0; --fours, before = work, work += 4) {
    Short s0, s1, s2, s3;
    begin_short<Rounds>(s0, work[0], iv0);
    begin_short<Rounds>(s1, work[1], iv1);
    begin_short<Rounds>(s2, work[2], iv2);
    begin_short<Rounds>(s3, work[3], iv3);
    if (before == nullptr) {
#pragma GCC unroll 16
      for (int round = 1; round < Rounds; ++round) {
        round_short<Rounds>(s0, work[0], round);
        round_short<Rounds>(s1, work[1], round);
        round_short<Rounds>(s2, work[2], round);
        round_short<Rounds>(s3, work[3], round);
      }
    } else {
      ShortHash hash;
#pragma GCC unroll 16
      for (int round = 1; round < Rounds; ++round) {
        round_short<Rounds>(s0, work[0], round);
        round_short<Rounds>(s1, work[1], round);
        // Early, so that its end, where each step waits for the one before, is hidden as well.
        if (round <= 4) hash.step<Rounds>(2 * round - 1, before, u0, u1, u2, u3);
        round_short<Rounds>(s2, work[2], round);
        round_short<Rounds>(s3, work[3], round);
        if (round <= 4) hash.step<Rounds>(2 * round, before, u0, u1, u2, u3);
        if (round == 5) hash.step<Rounds>(9, before, u0, u1, u2, u3);
      }
      hash.finish_four<Rounds, Seal>(before, u0, u1, u2, u3);
    }
    // A load that touches the 64 octets of a store with a mask waits until it is done, even where the mask is zero (Zen
    // 5), and packets lie one behind the other: so loads come before stores.
    load_short(s0, work[0]);
    load_short(s1, work[1]);
    load_short(s2, work[2]);
    load_short(s3, work[3]);
    if (fours > 1) {
      iv0 = iv_of(work[4]);
      iv1 = iv_of(work[5]);
      iv2 = iv_of(work[6]);
      iv3 = iv_of(work[7]);
    }
    transform_short<Rounds, Seal>(s0, work[0], u0);
    transform_short<Rounds, Seal>(s1, work[1], u1);
    transform_short<Rounds, Seal>(s2, work[2], u2);
    transform_short<Rounds, Seal>(s3, work[3], u3);
  }
  work -= 4;
  ShortHash hash;
#pragma GCC unroll 16
  for (int number = 1; number < 10; ++number) hash.step<Rounds>(number, work, u0, u1, u2, u3);
  hash.finish_four<Rounds, Seal>(work, u0, u1, u2, u3);
}

/// Fills up the last four.
struct Nothing {
  std::uint8_t memory[2 * kStep] = {};
  PacketJob job;
  Nothing() {
    job.iv = memory + kBlock;
    job.input = job.output = memory + kStep;
    job.icv = memory + kStep;
  }
  void stand_in(KeyedJob& work, PacketCipher* cipher) { work = {cipher, &job}; }
  void stand_in(EspJob& work, PacketCipher* cipher) {
    work = {.cipher = cipher, .input = memory + kStep, .packet = memory + kStep - EspJob::kHead};
  }
};

}  // namespace culvert::crypto::own_gcm
