// Short packets (text of up to 96 octets: at most eight blocks), four at a time, of any keys, every step for all four:
// the latency of one hides behind the others.
#pragma once

#include <type_traits>

#include "crypto/own_gcm/work.hpp"

namespace culvert::crypto::own_gcm {

inline constexpr std::size_t kShortText = EspJob::kShortText;

/// One of four short packets in AES.
struct Short {
  __m512i stream0, stream1;
  __m512i text0, text1;
  __m128i aad;         // in GHASH's order
  std::size_t length;  // of the text
};

/// The same behind AES: what GHASH still has to take, in its order of octets, and what hides the ICV.
struct Unhashed {
  __m512i blocks0, blocks1;
  __m128i hiding;
};

/// Blocks of additional data and text.
inline std::size_t blocks_of(std::size_t text_length) { return (kBlock + text_length + kBlock - 1) / kBlock; }

/// Which octets of its two registers a short packet's text has; they begin with the block in front of it.
[[OWN_GCM_INLINE]] inline __mmask64 first_mask(std::size_t text_length) {
  return first_octets(std::min(kBlock + text_length, kStep)) & ~kFirstBlock;
}
[[OWN_GCM_INLINE]] inline __mmask64 second_mask(std::size_t text_length) {
  return first_octets(std::max(kBlock + text_length, kStep) - kStep);
}

/// What follows from a packet's length, worked out for each: packets of any lengths. `length` is the text's.
struct OwnLengths {
  [[OWN_GCM_INLINE]] static __mmask64 first(std::size_t length) { return first_mask(length); }
  [[OWN_GCM_INLINE]] static __mmask64 second(std::size_t length) { return second_mask(length); }
  /// What GHASH's last block is to be added to the two registers' blocks, and where.
  struct Last {
    __m512i block;
    std::uint32_t mask;
    [[OWN_GCM_INLINE]] void add_to(__m512i& blocks0, __m512i& blocks1) const {
      blocks0 = _mm512_mask_mov_epi64(blocks0, static_cast<__mmask8>(mask), block);
      blocks1 = _mm512_mask_mov_epi64(blocks1, static_cast<__mmask8>(mask >> 8), block);
    }
  };
  template <typename Work>
  [[OWN_GCM_INLINE]] static Last last(const Work& work) {
    return {_mm512_broadcast_i64x2(lengths_of(work)), 3u << (2 * blocks_of(text_length(work)))};
  }
  template <int Rounds, typename Work>
  [[OWN_GCM_INLINE]] static const std::uint8_t* powers(const Work& work) {
    return key_of<Rounds>(work).powers[15 - blocks_of(text_length(work))];
  }
  template <int Rounds, bool Seal, typename Work>
  [[OWN_GCM_INLINE]] static void finish(__m128i sum, __m128i hiding, Work& work) {
    own_gcm::finish<Rounds, Seal>(sum, hiding, work);
  }
};

/// The same, worked out once: all packets have the length of this one.
class OneLength {
 public:
  [[OWN_GCM_INLINE]] explicit OneLength(const EspJob& work)
      : first_(first_mask(work.length)),
        second_(second_mask(work.length)),
        last_{_mm512_setzero_si512(), _mm512_setzero_si512()},
        text_(work.length),
        powers_(kBlock * (15 - blocks_of(work.length))) {
    OwnLengths::last(work).add_to(last_.block0, last_.block1);
  }
  [[OWN_GCM_INLINE]] __mmask64 first(std::size_t /*length*/) const { return first_; }
  [[OWN_GCM_INLINE]] __mmask64 second(std::size_t /*length*/) const { return second_; }
  struct Last {
    __m512i block0, block1;  // zero but there
    [[OWN_GCM_INLINE]] void add_to(__m512i& blocks0, __m512i& blocks1) const {
      blocks0 = _mm512_xor_si512(blocks0, block0);
      blocks1 = _mm512_xor_si512(blocks1, block1);
    }
  };
  [[OWN_GCM_INLINE]] Last last(const EspJob& /*work*/) const { return last_; }
  template <int Rounds>
  [[OWN_GCM_INLINE]] const std::uint8_t* powers(const EspJob& work) const {
    return key_of<Rounds>(work).powers[0] + powers_;
  }
  template <int Rounds, bool Seal>
  [[OWN_GCM_INLINE]] void finish(__m128i sum, __m128i hiding, EspJob& work) const {
    own_gcm::finish<Rounds, Seal>(sum, hiding, work, text_);
  }

 private:
  __mmask64 first_, second_;
  Last last_;
  std::size_t text_;
  std::size_t powers_;
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

template <typename Lengths, typename Work>
[[OWN_GCM_INLINE]] inline void load_short(const Lengths& lengths, Short& s, const Work& work) {
  s.length = text_length(work);
  s.aad = short_aad_of(work);
  s.text0 = _mm512_maskz_loadu_epi8(lengths.first(s.length), moved(input_of(work), kBlockBefore));
  s.text1 = _mm512_maskz_loadu_epi8(lengths.second(s.length), moved(input_of(work), kStep - kBlock));
}

template <int Rounds, bool Seal, typename Lengths, typename Work>
[[OWN_GCM_INLINE]] inline void transform_short(const Lengths& lengths, Short& s, const Work& work, Unhashed& u) {
  const __mmask64 first = lengths.first(s.length);
  const __mmask64 second = lengths.second(s.length);
  const auto last = lengths.last(work);
  const __m512i last_key = broadcast(key_of<Rounds>(work).round_keys[Rounds]);
  s.stream0 = _mm512_aesenclast_epi128(s.stream0, _mm512_xor_si512(last_key, s.text0));
  s.stream1 = _mm512_aesenclast_epi128(s.stream1, _mm512_xor_si512(last_key, s.text1));
  std::uint8_t* const output = output_of(work);
  _mm512_mask_storeu_epi8(moved(output, kBlockBefore), first, s.stream0);
  _mm512_mask_storeu_epi8(moved(output, kStep - kBlock), second, s.stream1);
  if constexpr (Seal) {
    s.text0 = _mm512_maskz_mov_epi8(first, s.stream0);
    s.text1 = _mm512_maskz_mov_epi8(second, s.stream1);
  }
  u.blocks0 = reverse_octets(s.text0);
  u.blocks1 = reverse_octets(s.text1);
  last.add_to(u.blocks0, u.blocks1);
  u.blocks0 = _mm512_xor_si512(u.blocks0, _mm512_zextsi128_si512(s.aad));
  u.hiding = _mm512_castsi512_si128(s.stream0);
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

  template <int Rounds, typename Lengths, typename Work>
  [[OWN_GCM_INLINE]] void step(const Lengths& lengths, int number, const Work* work, const Unhashed& u0,
                               const Unhashed& u1, const Unhashed& u2, const Unhashed& u3) {
    switch (number) {
      case 1: a = multiply(u0.blocks0, load(lengths.template powers<Rounds>(work[0]))); break;
      case 2: multiply_add(a, u0.blocks1, load(lengths.template powers<Rounds>(work[0]) + kStep)); break;
      case 3: b = multiply(u1.blocks0, load(lengths.template powers<Rounds>(work[1]))); break;
      case 4:
        multiply_add(b, u1.blocks1, load(lengths.template powers<Rounds>(work[1]) + kStep));
        ab = halves(a, b);
        break;
      case 5: a = multiply(u2.blocks0, load(lengths.template powers<Rounds>(work[2]))); break;
      case 6: multiply_add(a, u2.blocks1, load(lengths.template powers<Rounds>(work[2]) + kStep)); break;
      case 7: b = multiply(u3.blocks0, load(lengths.template powers<Rounds>(work[3]))); break;
      case 8:
        multiply_add(b, u3.blocks1, load(lengths.template powers<Rounds>(work[3]) + kStep));
        a = halves(a, b);
        a = {quarters(ab.lo, a.lo), quarters(ab.mid, a.mid), quarters(ab.hi, a.hi)};
        break;
      case 9: sums = reduce(a); break;
      default: break;
    }
  }
  template <int Rounds, bool Seal, typename Lengths, typename Work>
  [[OWN_GCM_INLINE]] void finish_four(const Lengths& lengths, Work* work, const Unhashed& u0, const Unhashed& u1,
                                      const Unhashed& u2, const Unhashed& u3) const {
    lengths.template finish<Rounds, Seal>(_mm512_castsi512_si128(sums), u0.hiding, work[0]);
    lengths.template finish<Rounds, Seal>(_mm512_extracti32x4_epi32(sums, 1), u1.hiding, work[1]);
    lengths.template finish<Rounds, Seal>(_mm512_extracti32x4_epi32(sums, 2), u2.hiding, work[2]);
    lengths.template finish<Rounds, Seal>(_mm512_extracti32x4_epi32(sums, 3), u3.hiding, work[3]);
  }
};

/// Asks for the keys of the packets that come ManyKeys::kKeysAhead behind these, if there are so many and not all have
/// the same.
template <int Rounds, std::size_t Count>
[[OWN_GCM_INLINE]] inline void prefetch_ahead(const EspJob* work, const EspJob* end) {
  const EspJob* const ahead = work + ManyKeys::kKeysAhead;
  if (end - work < static_cast<std::ptrdiff_t>(ManyKeys::kKeysAhead + Count)) return;
  if (ahead[Count - 1].cipher == work[Count - 1].cipher) return;
#pragma GCC unroll 4
  for (std::size_t i = 0; i < Count; ++i) prefetch_short<Rounds>(ahead[i].cipher);
}
template <int Rounds, std::size_t Count>
[[OWN_GCM_INLINE]] inline void prefetch_ahead(const KeyedJob* /*work*/, const KeyedJob* /*end*/) {}

/// `fours` times four packets, at least once, with additional data of up to 16 octets, text of up to 96. GHASH of four
/// is computed between the rounds of AES of the next four. `end` is behind all packets of the call.
template <int Rounds, bool Seal, typename Lengths, typename Work>
[[OWN_GCM_TARGET, gnu::noinline]] inline void run_short(Work* work, std::size_t fours,
                                                        std::type_identity_t<const Work>* end,
                                                        const Lengths& all_lengths) {
  const Lengths lengths = all_lengths;
  Unhashed u0, u1, u2, u3;
  __m128i iv0 = iv_of(work[0]), iv1 = iv_of(work[1]), iv2 = iv_of(work[2]), iv3 = iv_of(work[3]);
  for (Work* before = nullptr; fours > 0; --fours, before = work, work += 4) {
    Short s0, s1, s2, s3;
    begin_short<Rounds>(s0, work[0], iv0);
    begin_short<Rounds>(s1, work[1], iv1);
    begin_short<Rounds>(s2, work[2], iv2);
    begin_short<Rounds>(s3, work[3], iv3);
    prefetch_ahead<Rounds, 4>(work, end);
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
        if (round <= 4) hash.step<Rounds>(lengths, 2 * round - 1, before, u0, u1, u2, u3);
        round_short<Rounds>(s2, work[2], round);
        round_short<Rounds>(s3, work[3], round);
        if (round <= 4) hash.step<Rounds>(lengths, 2 * round, before, u0, u1, u2, u3);
        if (round == 5) hash.step<Rounds>(lengths, 9, before, u0, u1, u2, u3);
      }
      hash.finish_four<Rounds, Seal>(lengths, before, u0, u1, u2, u3);
    }
    // A load that touches the 64 octets of a store with a mask waits until it is done, even where the mask is zero (Zen
    // 5), and packets lie one behind the other: so loads come before stores.
    load_short(lengths, s0, work[0]);
    load_short(lengths, s1, work[1]);
    load_short(lengths, s2, work[2]);
    load_short(lengths, s3, work[3]);
    if (fours > 1) {
      iv0 = iv_of(work[4]);
      iv1 = iv_of(work[5]);
      iv2 = iv_of(work[6]);
      iv3 = iv_of(work[7]);
    }
    transform_short<Rounds, Seal>(lengths, s0, work[0], u0);
    transform_short<Rounds, Seal>(lengths, s1, work[1], u1);
    transform_short<Rounds, Seal>(lengths, s2, work[2], u2);
    transform_short<Rounds, Seal>(lengths, s3, work[3], u3);
  }
  work -= 4;
  ShortHash hash;
#pragma GCC unroll 16
  for (int number = 1; number < 10; ++number) hash.step<Rounds>(lengths, number, work, u0, u1, u2, u3);
  hash.finish_four<Rounds, Seal>(lengths, work, u0, u1, u2, u3);
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
