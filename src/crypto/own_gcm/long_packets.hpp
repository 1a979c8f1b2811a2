// Longer packets, one by one in groups of sixteen or 32 blocks. GHASH is summed per lane and reduced once per group;
// lanes are summed only at the end. Successive packets depend on nothing of each other, so the CPU overlaps end and
// beginning.
#pragma once

#include <type_traits>

#include "crypto/own_gcm/work.hpp"

namespace culvert::crypto::own_gcm {

inline constexpr std::size_t kGroup = 4 * kStep;

/// What the groups of one packet hand on. `Sums` is what groups of sixteen blocks are multiplied with: Product or
/// Product3.
template <typename Sums>
struct State {
  using Sum = Sums;

  __m512i nonce;        // with the first round key
  __m512i sum;          // of GHASH up to `pending`, in its order, per lane; at first the additional data's block
  __m128i hiding;       // the first block of the key stream
  Quad pending, later;  // blocks of the group before that are not in `sum` yet: none, sixteen, or with `later` 32
};

template <bool Last>
[[OWN_GCM_INLINE]] inline __m512i power(const std::uint8_t* at) {
  return Last ? load(at) : broadcast(at);
}

/// GHASH of sixteen blocks, in five parts. More full groups follow: each lane is multiplied on its own, by H^16, H^12,
/// H^8 and H^4. `Last`: none follows, and the lanes are summed in the first one.
template <int Rounds, bool Last>
[[OWN_GCM_INLINE]] inline void hash_part(int part, const ExpandedKey<Rounds>& key, const Quad& blocks, auto& p,
                                         __m512i& sum) {
  switch (part) {
    case 0: set_product(p, _mm512_xor_si512(reverse_octets(blocks.v0), sum), power<Last>(key.powers[0])); break;
    case 1: multiply_add(p, reverse_octets(blocks.v1), power<Last>(key.powers[4])); break;
    case 2: multiply_add(p, reverse_octets(blocks.v2), power<Last>(key.powers[8])); break;
    case 3: multiply_add(p, reverse_octets(blocks.v3), power<Last>(key.powers[12])); break;
    case 4: sum = Last ? _mm512_zextsi128_si512(fold(reduce(p))) : reduce(p); break;
    default: break;
  }
}

/// All of GHASH that is pending, `Quads` times sixteen blocks; no full group follows.
template <int Rounds, int Quads>
[[OWN_GCM_INLINE]] inline void hash_pending(const ExpandedKey<Rounds>& key, auto& state) {
  typename std::remove_reference_t<decltype(state)>::Sum p;
#pragma GCC unroll 5
  for (int part = 0; Quads > 0 && part < 5; ++part) {
    hash_part<Rounds, Quads == 1>(part, key, state.pending, p, state.sum);
  }
#pragma GCC unroll 5
  for (int part = 0; Quads > 1 && part < 5; ++part) {
    hash_part<Rounds, true>(part, key, state.later, p, state.sum);
  }
}

template <int Count>
[[OWN_GCM_INLINE]] inline void aes_round(Quad& q, __m512i round_key) {
  q.v0 = _mm512_aesenc_epi128(q.v0, round_key);
  if constexpr (Count > 1) q.v1 = _mm512_aesenc_epi128(q.v1, round_key);
  if constexpr (Count > 2) q.v2 = _mm512_aesenc_epi128(q.v2, round_key);
  if constexpr (Count > 3) q.v3 = _mm512_aesenc_epi128(q.v3, round_key);
}

/// All rounds but the last one, on the first `Count` registers of `q`; if that is eight, on all of `q` and `more`.
/// GHASH of the group before is computed between them: AES and GHASH use different units of the CPU, and each alone
/// waits for its own results. `Last`: no full group follows what is hashed.
template <int Rounds, int Count, int Quads, bool Last>
[[OWN_GCM_INLINE]] inline void middle_rounds(Quad& q, Quad& more, const ExpandedKey<Rounds>& key, auto& state) {
  typename std::remove_reference_t<decltype(state)>::Sum p;
#pragma GCC unroll 16
  for (int round = 1; round < Rounds; ++round) {
    const __m512i round_key = broadcast(key.round_keys[round]);
    aes_round<Count>(q, round_key);
    if constexpr (Count == 8) aes_round<4>(more, round_key);
    if constexpr (Quads == 1) {
      if (round % 2 == 1) hash_part<Rounds, Last>(round / 2, key, state.pending, p, state.sum);
    } else if constexpr (Quads == 2) {
      if (round <= 5) hash_part<Rounds, false>(round - 1, key, state.pending, p, state.sum);
      if (round > 5) hash_part<Rounds, Last>(round - 6, key, state.later, p, state.sum);
      if (round == 9) hash_part<Rounds, Last>(4, key, state.later, p, state.sum);
    }
  }
}

/// Where a packet stands: the next block's octets, how many octets are left, the number of the next register.
struct Place {
  const std::uint8_t* in;
  std::uint8_t* out;
  std::size_t left;
  std::size_t step;
};

/// The key stream meets one register of text. In `stream` and `text` stands what `mask` says, zero elsewhere.
template <bool Seal>
[[OWN_GCM_INLINE]] inline void transform(__m512i& stream, __m512i& text, __m512i last_key, const std::uint8_t* in,
                                         std::uint8_t* out, __mmask64 mask) {
  text = _mm512_maskz_loadu_epi8(mask, in);
  stream = _mm512_aesenclast_epi128(stream, _mm512_xor_si512(last_key, text));
  _mm512_mask_storeu_epi8(out, mask, stream);
  if constexpr (Seal) stream = _mm512_maskz_mov_epi8(mask, stream);
}
template <bool Seal>
[[OWN_GCM_INLINE]] inline void transform(__m512i& stream, __m512i& text, __m512i last_key, const std::uint8_t* in,
                                         std::uint8_t* out) {
  text = load(in);
  stream = _mm512_aesenclast_epi128(stream, _mm512_xor_si512(last_key, text));
  _mm512_storeu_si512(out, stream);
}
/// For the packet's first register, whose first block is not text.
template <bool Seal>
[[OWN_GCM_INLINE]] inline void transform_first(__m512i& stream, __m512i& text, __m512i last_key, const Place& place,
                                               __mmask64 mask, __m128i& hiding) {
  text = _mm512_maskz_loadu_epi8(mask, place.in);
  stream = _mm512_aesenclast_epi128(stream, _mm512_xor_si512(last_key, text));
  hiding = _mm512_castsi512_si128(stream);
  _mm512_mask_storeu_epi8(place.out, mask, stream);
  if constexpr (Seal) stream = _mm512_maskz_mov_epi8(mask, stream);
}

/// The last round of AES for four registers and the text. `First`: the packet's first, whose first block is not text.
/// `Whole`: all octets are there, else up to fifteen of the last block's are missing.
template <int Rounds, bool Seal, bool First, bool Whole>
[[OWN_GCM_INLINE]] inline Quad transform_four(const ExpandedKey<Rounds>& key, const Place& place, Quad& stream,
                                              auto& state) {
  const __m512i last_key = broadcast(key.round_keys[Rounds]);
  Quad text;
  if constexpr (First) {
    transform_first<Seal>(stream.v0, text.v0, last_key, place, ~kFirstBlock, state.hiding);
  } else {
    transform<Seal>(stream.v0, text.v0, last_key, place.in, place.out);
  }
  transform<Seal>(stream.v1, text.v1, last_key, place.in + kStep, place.out + kStep);
  transform<Seal>(stream.v2, text.v2, last_key, place.in + 2 * kStep, place.out + 2 * kStep);
  if constexpr (Whole) {
    transform<Seal>(stream.v3, text.v3, last_key, place.in + 3 * kStep, place.out + 3 * kStep);
  } else {
    transform<Seal>(stream.v3, text.v3, last_key, place.in + 3 * kStep, place.out + 3 * kStep,
                    first_octets(place.left - 3 * kStep));
  }
  return Seal ? stream : text;
}

[[OWN_GCM_INLINE]] inline void advance(Place& place, std::size_t octets) {
  place = {place.in + octets, place.out + octets, place.left - octets, place.step + octets / kStep};
}

/// Sixteen blocks, behind `Quads` times sixteen that GHASH waits for. None: these are the packet's first.
template <int Rounds, bool Seal, int Quads, bool Whole>
[[OWN_GCM_INLINE]] inline void sixteen_blocks(const ExpandedKey<Rounds>& key, Place& place, auto& state) {
  Quad stream = counters(place.step);
  add(stream, state.nonce);
  middle_rounds<Rounds, 4, Quads, false>(stream, stream, key, state);
  state.pending = transform_four < Rounds, Seal, Quads == 0, Whole > (key, place, stream, state);
  advance(place, Whole ? kGroup : place.left);
}

/// 32 blocks: eight registers hide AES's latency better than four.
template <int Rounds, bool Seal, int Quads>
[[OWN_GCM_INLINE]] inline void thirty_two_blocks(const ExpandedKey<Rounds>& key, Place& place, auto& state) {
  Quad stream = counters(place.step);
  Quad more = counters(place.step + 4);
  add(stream, state.nonce);
  add(more, state.nonce);
  middle_rounds<Rounds, 8, Quads, false>(stream, more, key, state);
  state.pending = transform_four < Rounds, Seal, Quads == 0, true > (key, place, stream, state);
  advance(place, kGroup);
  state.later = transform_four<Rounds, Seal, false, true>(key, place, more, state);
  advance(place, kGroup);
}

/// The packet's end, 1 to 15 blocks in `Count` registers, and GHASH's block of lengths behind them.
template <int Rounds, bool Seal, int Quads, int Count>
[[OWN_GCM_INLINE]] inline void last_group(const ExpandedKey<Rounds>& key, const Place& place, __m128i lengths,
                                          auto& state) {
  constexpr bool kFirst = Quads == 0;
  Quad stream = counters(place.step);
  add(stream, state.nonce);
  middle_rounds<Rounds, Count, Quads, true>(stream, stream, key, state);
  const __m512i last_key = broadcast(key.round_keys[Rounds]);
  const __mmask64 tail = first_octets(place.left - (Count - 1) * kStep);
  Quad text;
  if constexpr (kFirst) {
    transform_first<Seal>(stream.v0, text.v0, last_key, place, (Count == 1 ? tail : ~__mmask64{0}) & ~kFirstBlock,
                          state.hiding);
  } else if constexpr (Count == 1) {
    transform<Seal>(stream.v0, text.v0, last_key, place.in, place.out, tail);
  } else {
    transform<Seal>(stream.v0, text.v0, last_key, place.in, place.out);
  }
  if constexpr (Count == 2) {
    transform<Seal>(stream.v1, text.v1, last_key, place.in + kStep, place.out + kStep, tail);
  } else if constexpr (Count > 2) {
    transform<Seal>(stream.v1, text.v1, last_key, place.in + kStep, place.out + kStep);
  }
  if constexpr (Count == 3) {
    transform<Seal>(stream.v2, text.v2, last_key, place.in + 2 * kStep, place.out + 2 * kStep, tail);
  } else if constexpr (Count > 3) {
    transform<Seal>(stream.v2, text.v2, last_key, place.in + 2 * kStep, place.out + 2 * kStep);
    transform<Seal>(stream.v3, text.v3, last_key, place.in + 3 * kStep, place.out + 3 * kStep, tail);
  }

  const Quad& hashed = Seal ? stream : text;
  const std::size_t blocks = (place.left + kBlock - 1) / kBlock;
  const std::uint8_t* powers = key.powers[15 - blocks];
  const std::size_t lane = blocks - std::size_t{4} * (Count - 1);  // of the lengths; 4: behind the last register
  const auto lengths_mask = static_cast<__mmask8>(3u << (2 * lane));
  const __m512i all_lengths = _mm512_broadcast_i64x2(lengths);
  Product p =
      multiply(_mm512_xor_si512(Count == 1 ? _mm512_mask_mov_epi64(reverse_octets(hashed.v0), lengths_mask, all_lengths)
                                           : reverse_octets(hashed.v0),
                                state.sum),
               load(powers));
  if constexpr (Count > 1) {
    const __m512i v = reverse_octets(hashed.v1);
    multiply_add(p, Count == 2 ? _mm512_mask_mov_epi64(v, lengths_mask, all_lengths) : v, load(powers + kStep));
  }
  if constexpr (Count > 2) {
    const __m512i v = reverse_octets(hashed.v2);
    multiply_add(p, Count == 3 ? _mm512_mask_mov_epi64(v, lengths_mask, all_lengths) : v, load(powers + 2 * kStep));
  }
  if constexpr (Count > 3) {
    const __m512i v = reverse_octets(hashed.v3);
    multiply_add(p, _mm512_mask_mov_epi64(v, lengths_mask, all_lengths), load(powers + 3 * kStep));
  }
  if (lane == 4) {
    multiply_add(p, _mm512_zextsi128_si512(lengths), broadcast(key.powers[15]));
  }
  state.sum = reduce(p);
}

template <int Rounds, bool Seal, int Quads>
[[OWN_GCM_INLINE]] inline void end_of_text(const ExpandedKey<Rounds>& key, const Place& place, __m128i lengths,
                                           auto& state) {
  switch ((place.left + kStep - 1) / kStep) {
    case 1: return last_group<Rounds, Seal, Quads, 1>(key, place, lengths, state);
    case 2: return last_group<Rounds, Seal, Quads, 2>(key, place, lengths, state);
    case 3: return last_group<Rounds, Seal, Quads, 3>(key, place, lengths, state);
    case 4: return last_group<Rounds, Seal, Quads, 4>(key, place, lengths, state);
    default: break;
  }
  // All text was in full groups.
  hash_pending<Rounds, Quads>(key, state);
  const __m512i block = _mm512_xor_si512(state.sum, _mm512_zextsi128_si512(lengths));
  state.sum = reduce(multiply(block, broadcast(key.powers[15])));
}

/// What is left behind `Quads` times sixteen pending blocks, less than 768 octets. None pending: the whole packet.
template <int Rounds, bool Seal, int Quads>
[[OWN_GCM_INLINE]] inline void rest_of_text(const ExpandedKey<Rounds>& key, Place& place, __m128i lengths,
                                            auto& state) {
  constexpr std::size_t kWithLengths = kGroup - kBlock;  // the block of lengths is one of a group's sixteen
  if (place.left <= kWithLengths) return end_of_text<Rounds, Seal, Quads>(key, place, lengths, state);
  if (place.left < kGroup) [[unlikely]] {
    sixteen_blocks<Rounds, Seal, Quads, false>(key, place, state);
    return end_of_text<Rounds, Seal, 1>(key, place, lengths, state);
  }
  sixteen_blocks<Rounds, Seal, Quads, true>(key, place, state);
  while (place.left > kWithLengths) {
    if (place.left < kGroup) [[unlikely]] {
      sixteen_blocks<Rounds, Seal, 1, false>(key, place, state);
    } else {
      sixteen_blocks<Rounds, Seal, 1, true>(key, place, state);
    }
  }
  end_of_text<Rounds, Seal, 1>(key, place, lengths, state);
}

/// What a packet begins with, read ahead: a load that touches the 64 octets of a store with a mask waits until that is
/// done, even where the mask is zero (Zen 5), and packets lie one behind the other.
struct Start {
  __m512i nonce;
  __m128i first;
};

template <int Rounds, typename Work>
[[OWN_GCM_INLINE]] inline Start start_of(const Work& work) {
  const ExpandedKey<Rounds>& key = key_of<Rounds>(work);
  return {nonce_of(key, iv_of(work)), aad_of(key, work)};
}

/// `start` is the packet's, and afterwards that of `next` unless it is null.
template <int Rounds, bool Seal, typename Sums, typename Work>
[[OWN_GCM_INLINE]] inline void run_long(Work& work, Start& start, Work* next) {
  const ExpandedKey<Rounds>& key = key_of<Rounds>(work);
  // The output may overwrite IV and additional data.
  State<Sums> state{start.nonce, _mm512_zextsi128_si512(start.first), _mm_setzero_si128(), {}, {}};
  const __m128i lengths = lengths_of(work);
  Place place{moved(input_of(work), kBlockBefore), moved(output_of(work), kBlockBefore), text_length(work) + kBlock, 0};
  if (place.left < 3 * kGroup) {
    if (next != nullptr) start = start_of<Rounds>(*next);
    rest_of_text<Rounds, Seal, 0>(key, place, lengths, state);
  } else {
    thirty_two_blocks<Rounds, Seal, 0>(key, place, state);
    while (place.left >= 3 * kGroup) thirty_two_blocks<Rounds, Seal, 2>(key, place, state);
    if (next != nullptr) start = start_of<Rounds>(*next);
    rest_of_text<Rounds, Seal, 2>(key, place, lengths, state);
  }
  finish<Rounds, Seal>(fold(state.sum), state.hiding, work);
}

}  // namespace culvert::crypto::own_gcm
