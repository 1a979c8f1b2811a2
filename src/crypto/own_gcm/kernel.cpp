// The blocks of a packet are taken in fours, one 512-bit register each. Block 0 is not text: in the key stream it is
// the block that hides the ICV (J0, counter 1; NIST SP 800-38D 7.1), in GHASH the additional data. So text begins at
// block 1 of both with counter 2, and everything stays in step. GHASH's last block, the lengths, follows the text.
//
// Two ways through it:
//   - short packets (text of up to 96 octets: at most eight blocks) go four at a time, of any keys, every step for all
//     four: the latency of one hides behind the others;
//   - others go one by one in groups of sixteen blocks. GHASH is summed per lane and reduced once per group; lanes are
//     summed only at the end. Successive packets depend on nothing of each other, so the CPU overlaps end and
//     beginning.
//
// No branch and no address depends on key or text; both depend on lengths.
#include "crypto/own_gcm/kernel.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include "crypto/own_gcm/vector_math.hpp"

namespace culvert::crypto::own_gcm {
namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kStep = 64;  // octets of a register
constexpr std::size_t kGroup = 4 * kStep;
constexpr std::size_t kShortText = 96;
constexpr std::size_t kTabled = 64;
constexpr __mmask64 kFirstBlock = 0xffff;

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
constexpr Counters kCounters;

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
constexpr std::size_t kBlockBefore = 0 - kBlock;

[[OWN_GCM_INLINE]] inline void add(Quad& q, __m512i value) {
  q.v0 = _mm512_xor_si512(q.v0, value);
  q.v1 = _mm512_xor_si512(q.v1, value);
  q.v2 = _mm512_xor_si512(q.v2, value);
  q.v3 = _mm512_xor_si512(q.v3, value);
}

template <int Rounds>
[[OWN_GCM_INLINE]] inline const ExpandedKey<Rounds>& key_of(const KeyedJob& work) {
  return static_cast<const KeyedCipher<Rounds>&>(*work.cipher).key;
}

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

/// RFC 4106 4: the nonce is the salt, then the packet's IV. The salt came with the key.
[[OWN_GCM_INLINE]] inline __m128i iv_of(const PacketJob& job) { return _mm_maskz_loadu_epi32(0b0110, job.iv - 4); }

template <int Rounds>
[[OWN_GCM_INLINE]] inline __m512i nonce_of(const ExpandedKey<Rounds>& key, __m128i iv) {
  return _mm512_xor_si512(_mm512_broadcast_i32x4(iv), broadcast(key.round_keys[0]));
}

/// Already in GHASH's order of octets.
[[OWN_GCM_INLINE]] inline __m128i lengths_of(const PacketJob& job) {
  const std::uint64_t aad_bits = 8 * job.aad.size();
  const std::uint64_t text_bits = 8 * job.length;
  return _mm_set_epi64x(static_cast<long long>(aad_bits), static_cast<long long>(text_bits));
}

[[OWN_GCM_INLINE]] inline __m128i load_part(const std::uint8_t* at, std::size_t size) {
  return _mm_maskz_loadu_epi8(static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(size))), at);
}

/// GHASH's first block, in its order of octets: additional data of up to 16 octets; of longer ones the end, with the
/// sum of what precedes.
template <int Rounds>
[[OWN_GCM_INLINE]] inline __m128i first_block(const ExpandedKey<Rounds>& key, const PacketJob& job) {
  const std::uint8_t* at = job.aad.data();
  std::size_t left = job.aad.size();
  if (left <= kBlock) [[likely]]
    return reverse_octets(load_part(at, left));
  __m128i sum = _mm_setzero_si128();
  for (; left > kBlock; left -= kBlock, at += kBlock) {
    const __m128i block = _mm_xor_si128(sum, reverse_octets(load_part(at, kBlock)));
    sum = _mm512_castsi512_si128(reduce(multiply(_mm512_zextsi128_si512(block), broadcast(key.powers[15]))));
  }
  return _mm_xor_si128(sum, reverse_octets(load_part(at, left)));
}

/// Ends a packet: `sum` is GHASH's result, `hiding` the first block of the key stream.
template <bool Seal>
[[OWN_GCM_INLINE]] inline void finish(__m128i sum, __m128i hiding, std::uint32_t icv_mask, PacketJob& job) {
  const __m128i icv = _mm_xor_si128(reverse_octets(sum), hiding);
  const auto mask = static_cast<__mmask16>(icv_mask);
  if constexpr (Seal) {
    _mm_mask_storeu_epi8(job.icv, mask, icv);
    job.ok = true;
  } else {
    const __m128i difference = _mm_maskz_mov_epi8(mask, _mm_xor_si128(icv, _mm_maskz_loadu_epi8(mask, job.icv)));
    job.ok = _mm_testz_si128(difference, difference) != 0;
  }
}

[[OWN_GCM_INLINE]] inline __mmask64 first_octets(std::size_t count) {
  return _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(count));
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

template <int Rounds>
[[OWN_GCM_INLINE]] inline Start start_of(const KeyedJob& work) {
  const ExpandedKey<Rounds>& key = key_of<Rounds>(work);
  return {nonce_of(key, iv_of(*work.job)), first_block(key, *work.job)};
}

/// `start` is the packet's, and afterwards that of `next` unless it is null.
template <int Rounds, bool Seal, typename Sums>
[[OWN_GCM_INLINE]] inline void run_long(const KeyedJob& work, Start& start, const KeyedJob* next) {
  const ExpandedKey<Rounds>& key = key_of<Rounds>(work);
  PacketJob& job = *work.job;
  // The output may overwrite IV and additional data.
  State<Sums> state{start.nonce, _mm512_zextsi128_si512(start.first), _mm_setzero_si128(), {}, {}};
  const __m128i lengths = lengths_of(job);
  Place place{moved(job.input, kBlockBefore), moved(job.output, kBlockBefore), job.length + kBlock, 0};
  if (place.left < 3 * kGroup) {
    if (next != nullptr) start = start_of<Rounds>(*next);
    rest_of_text<Rounds, Seal, 0>(key, place, lengths, state);
  } else {
    thirty_two_blocks<Rounds, Seal, 0>(key, place, state);
    while (place.left >= 3 * kGroup) thirty_two_blocks<Rounds, Seal, 2>(key, place, state);
    if (next != nullptr) start = start_of<Rounds>(*next);
    rest_of_text<Rounds, Seal, 2>(key, place, lengths, state);
  }
  finish<Seal>(fold(state.sum), state.hiding, key.icv_mask, job);
}

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

template <int Rounds>
[[OWN_GCM_INLINE]] inline void begin_short(Short& s, const KeyedJob& work, __m128i iv) {
  const __m512i nonce = nonce_of(key_of<Rounds>(work), iv);
  s.stream0 = _mm512_xor_si512(nonce, load(kCounters.octets));
  s.stream1 = _mm512_xor_si512(nonce, load(kCounters.octets + kStep));
}

template <int Rounds>
[[OWN_GCM_INLINE]] inline void round_short(Short& s, const KeyedJob& work, int round) {
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

[[OWN_GCM_INLINE]] inline void load_short(Short& s, const KeyedJob& work) {
  const PacketJob& job = *work.job;
  s.octets = kBlock + job.length;
  s.aad = reverse_octets(load_part(job.aad.data(), job.aad.size()));
  s.text0 = _mm512_maskz_loadu_epi8(first_mask(s.octets), moved(job.input, kBlockBefore));
  s.text1 = _mm512_maskz_loadu_epi8(second_mask(s.octets), moved(job.input, kStep - kBlock));
}

/// Blocks of additional data and text of a short packet.
[[OWN_GCM_INLINE]] inline std::size_t blocks_of(const PacketJob& job) {
  return (kBlock + job.length + kBlock - 1) / kBlock;
}

template <int Rounds, bool Seal>
[[OWN_GCM_INLINE]] inline void transform_short(Short& s, const KeyedJob& work, Unhashed& u) {
  const PacketJob& job = *work.job;
  const std::uint32_t lengths_mask = 3u << (2 * blocks_of(job));
  const __m512i lengths = _mm512_broadcast_i64x2(lengths_of(job));
  const __m512i last_key = broadcast(key_of<Rounds>(work).round_keys[Rounds]);
  s.stream0 = _mm512_aesenclast_epi128(s.stream0, _mm512_xor_si512(last_key, s.text0));
  s.stream1 = _mm512_aesenclast_epi128(s.stream1, _mm512_xor_si512(last_key, s.text1));
  _mm512_mask_storeu_epi8(moved(job.output, kBlockBefore), first_mask(s.octets), s.stream0);
  _mm512_mask_storeu_epi8(moved(job.output, kStep - kBlock), second_mask(s.octets), s.stream1);
  if constexpr (Seal) {
    s.text0 = _mm512_maskz_mov_epi8(first_mask(s.octets), s.stream0);
    s.text1 = _mm512_maskz_mov_epi8(second_mask(s.octets), s.stream1);
  }
  const __m512i blocks0 = _mm512_mask_mov_epi64(reverse_octets(s.text0), static_cast<__mmask8>(lengths_mask), lengths);
  u.blocks0 = _mm512_xor_si512(blocks0, _mm512_zextsi128_si512(s.aad));
  u.blocks1 = _mm512_mask_mov_epi64(reverse_octets(s.text1), static_cast<__mmask8>(lengths_mask >> 8), lengths);
  u.hiding = _mm512_castsi512_si128(s.stream0);
}

template <int Rounds>
[[OWN_GCM_INLINE]] inline const std::uint8_t* powers_of(const KeyedJob& work) {
  return key_of<Rounds>(work).powers[15 - blocks_of(*work.job)];
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

  template <int Rounds>
  [[OWN_GCM_INLINE]] void step(int number, const KeyedJob* work, const Unhashed& u0, const Unhashed& u1,
                               const Unhashed& u2, const Unhashed& u3) {
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
  template <int Rounds, bool Seal>
  [[OWN_GCM_INLINE]] void finish_four(const KeyedJob* work, const Unhashed& u0, const Unhashed& u1, const Unhashed& u2,
                                      const Unhashed& u3) const {
    finish<Seal>(_mm512_castsi512_si128(sums), u0.hiding, key_of<Rounds>(work[0]).icv_mask, *work[0].job);
    finish<Seal>(_mm512_extracti32x4_epi32(sums, 1), u1.hiding, key_of<Rounds>(work[1]).icv_mask, *work[1].job);
    finish<Seal>(_mm512_extracti32x4_epi32(sums, 2), u2.hiding, key_of<Rounds>(work[2]).icv_mask, *work[2].job);
    finish<Seal>(_mm512_extracti32x4_epi32(sums, 3), u3.hiding, key_of<Rounds>(work[3]).icv_mask, *work[3].job);
  }
};

/// `fours` times four packets, at least once, with additional data of up to 16 octets, text of up to 96. GHASH of four
/// is computed between the rounds of AES of the next four.
template <int Rounds, bool Seal>
[[OWN_GCM_TARGET, gnu::noinline]] void run_short(const KeyedJob* work, std::size_t fours) {
  Unhashed u0, u1, u2, u3;
  __m128i iv0 = iv_of(*work[0].job), iv1 = iv_of(*work[1].job), iv2 = iv_of(*work[2].job), iv3 = iv_of(*work[3].job);
  for (const KeyedJob* before = nullptr; fours > 0; --fours, before = work, work += 4) {
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
      iv0 = iv_of(*work[4].job);
      iv1 = iv_of(*work[5].job);
      iv2 = iv_of(*work[6].job);
      iv3 = iv_of(*work[7].job);
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
};

template <int Rounds, bool Seal, typename Sums>
[[OWN_GCM_TARGET]] void run(std::span<const KeyedJob> all) {
  const auto is_short = [](const KeyedJob& work) {
    return work.job->length <= kShortText && work.job->aad.size() <= kBlock;
  };
  std::array<KeyedJob, 4> waiting;
  std::size_t count = 0;
  const KeyedJob* const end = all.data() + all.size();
  for (const KeyedJob* work = all.data(); work != end;) {
    // Fours in a row need not be gathered.
    if (count == 0) {
      const KeyedJob* at = work;
      while (at != end && is_short(*at)) ++at;
      if (const auto fours = static_cast<std::size_t>(at - work) / 4; fours > 0) {
        run_short<Rounds, Seal>(work, fours);
        work += 4 * fours;
        continue;
      }
    }
    if (!is_short(*work)) {
      Start start = start_of<Rounds>(*work);
      for (bool more = true; more; ++work) {
        more = work + 1 != end && !is_short(work[1]);
        run_long<Rounds, Seal, Sums>(*work, start, more ? work + 1 : nullptr);
      }
      continue;
    }
    waiting[count++] = *work++;
    if (count == waiting.size()) {
      run_short<Rounds, Seal>(waiting.data(), 1);
      count = 0;
    }
  }
  if (count == 0) return;
  if (count == 1) {
    Start start = start_of<Rounds>(waiting[0]);
    return run_long<Rounds, Seal, Sums>(waiting[0], start, nullptr);
  }
  std::array<Nothing, 2> nothing;
  for (std::size_t i = count; i < waiting.size(); ++i) waiting[i] = {waiting[0].cipher, &nothing[i - 2].job};
  run_short<Rounds, Seal>(waiting.data(), 1);
}

// AMD's CPUs multiply once in two cycles, Intel's once in one, and there shuffles take the same unit.
bool multiplying_is_slow = [] {
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") != 0;
}();

}  // namespace

void use_three_multiplications(bool three) { multiplying_is_slow = three; }
bool uses_three_multiplications() { return multiplying_is_slow; }

template <int Rounds>
void seal(std::span<const KeyedJob> work) {
  multiplying_is_slow ? run<Rounds, true, Product3>(work) : run<Rounds, true, Product>(work);
}
template <int Rounds>
void open(std::span<const KeyedJob> work) {
  multiplying_is_slow ? run<Rounds, false, Product3>(work) : run<Rounds, false, Product>(work);
}

template void seal<10>(std::span<const KeyedJob>);
template void seal<12>(std::span<const KeyedJob>);
template void seal<14>(std::span<const KeyedJob>);
template void open<10>(std::span<const KeyedJob>);
template void open<12>(std::span<const KeyedJob>);
template void open<14>(std::span<const KeyedJob>);

}  // namespace culvert::crypto::own_gcm
