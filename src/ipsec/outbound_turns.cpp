// OutboundPath's straight way where the CPU has AVX-512.
//
//   1 classify    packets of one shape are compared with the first of them in two registers
//   2 look up     a flow is compared with what the flow cache has in one register
//   3 to 5        of packets of one shape, each of another SA than the one in front, all that is read or written at one
//                 place goes through one register, in one load and one store: the SA's first line, the header, the
//                 job, the train, which SAs to one peer share
//
// What comes of it is what the other functions of these names' stages make: OutboundPath::classify, look_up and
// protect_rest, which go on where these stop, and do all where the CPU has no such registers.
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/prefetch.hpp"
#include "ipsec/outbound_path.hpp"
#include "net/plain_shape.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

// Functions name their instruction set one by one, as in crypto/own_gcm/vector_math.hpp.
#define TURNS_TARGET gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")
#define TURNS_INLINE TURNS_TARGET, gnu::always_inline
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#endif

namespace culvert::ipsec {

#if defined(__x86_64__)
namespace {

// The words of an SA's first line; see the test OutboundSa.UsualPacketsNeedOneLineOfKnownWords. The cipher begins it.
constexpr unsigned kState = 1;
constexpr unsigned kLongest = 3;  // on top
constexpr unsigned kRun = 4;
constexpr unsigned kAddresses = 5;
constexpr unsigned kPorts = 6;  // on top, over the SPI
constexpr unsigned kSequence = 7;
// Those of a train.
constexpr unsigned kTrainWord = 5;
constexpr unsigned kTrainBytes = 6;
constexpr unsigned kTrainSize = 7;
// Those of a job.
constexpr unsigned kJobInput = offsetof(crypto::EspJob, input) / 8;
constexpr unsigned kJobPacket = offsetof(crypto::EspJob, packet) / 8;
constexpr unsigned kJobLength = offsetof(crypto::EspJob, length) / 8;
constexpr unsigned kJobOwner = offsetof(crypto::EspJob, owner) / 8;
static_assert(offsetof(crypto::EspJob, cipher) == 0 && offsetof(crypto::EspJob, sequence) == 24 && kJobInput == 1 &&
              kJobPacket == 2 && kJobLength == 4 && kJobOwner == 5);

[[TURNS_INLINE]] inline __m512i load(const void* at) { return _mm512_loadu_si512(at); }
/// `words` with another one there.
[[TURNS_INLINE]] inline __m512i with(__m512i words, unsigned at, std::uint64_t word) {
  return _mm512_mask_set1_epi64(words, static_cast<__mmask8>(1U << at), static_cast<long long>(word));
}

bool runs_here() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vbmi");
}
bool has_registers = runs_here();

/// What packets of one length and kind over SAs of one outer kind have in common.
struct Turn {
  std::size_t length, padded, sealed;
  const crypto::EspJob* keys_end;  // keys of jobs before that are asked for
  // An SA may take one if its first line, with the bits of `flips` turned over, has no word above `bounds`: its state
  // is the wanted one, it takes so long a packet, its run has one left, and its path is the wanted one if there is
  // one. Then `takes` is added to the line: the run's word as UnwatchedRun::take_one has it, and the next number.
  __m512i flips, bounds, takes;

  [[TURNS_INLINE]] inline Turn(std::size_t octets, std::uint64_t state, const crypto::EspJob* jobs_end,
                               const crypto::EspJob* short_end)
      : length(octets),
        padded(UsualLayout::padded(octets)),
        sealed(UsualLayout::sealed(octets)),
        keys_end(padded > crypto::EspJob::kShortText ? jobs_end : short_end) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i ones = _mm512_set1_epi64(-1);
    flips = with(_mm512_maskz_mov_epi64(1 << kLongest | 1 << kRun, ones), kState, state);
    bounds = _mm512_maskz_mov_epi64(0xff & ~(1 << kState), ones);
    bounds = with(with(bounds, kLongest, ~(std::uint64_t{octets} << 48)), kRun, ~UnwatchedRun::taken(1, 0));
    takes = with(with(zero, kRun, 0 - UnwatchedRun::taken(1, octets)), kSequence, 1);
  }
  /// From now on for this SA's path only.
  [[TURNS_INLINE]] inline void want_path(const OutboundSa& sa) {
    flips = with(with(flips, kAddresses, sa.addresses), kPorts, std::uint64_t{sa.ports} << 32);
    bounds = with(with(bounds, kAddresses, 0), kPorts, 0xffff'ffff);
  }
  /// For any path again.
  [[TURNS_INLINE]] inline void want_no_path() { bounds = with(with(bounds, kAddresses, ~0ULL), kPorts, ~0ULL); }
};

bool have_one_path(const OutboundSa& a, const OutboundSa& b) {
  return a.addresses == b.addresses && a.ports == b.ports;
}

// Of a train: which of its octets are an SA's addresses and ports, and where they come from in the SA's first line.
struct PathOctets {
  alignas(64) std::array<std::uint8_t, 64> from{};
  __mmask64 which = 0;
  constexpr PathOctets() {
    constexpr std::size_t kAddress = 1;  // behind its family, see net::IpAddress
    for (std::size_t end = 0; end < 2; ++end) {
      const std::size_t to = end == 0 ? offsetof(net::Path, local) : offsetof(net::Path, remote);
      for (std::size_t i = 0; i < 4; ++i) take(to + kAddress + i, std::size_t{8} * kAddresses + 4 * end + i);
      for (std::size_t i = 0; i < 2; ++i)
        take(to + offsetof(net::Endpoint, port) + i, std::size_t{8} * kPorts + 4 + 2 * end + i);
    }
  }
  constexpr void take(std::size_t to, std::size_t octet) {
    from[to] = static_cast<std::uint8_t>(octet);
    which |= std::uint64_t{1} << to;
  }
};
constexpr PathOctets kPathOctets;

/// The trains of packets over SAs of one outer kind, all of one length.
class TurnTrains {
 public:
  /// `sa` is one of them.
  [[TURNS_INLINE]] inline TurnTrains(const SaPair& sa, const TrainWord& word, std::size_t sealed)
      : octets_(load(kPathOctets.from.data())) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i own = with(with(zero, kTrainSize, sealed), kTrainWord, word.with_segment(sealed).word());
    // The line begins with two words that no train has; the path and the encapsulation follow.
    const __m512i params = load(&sa.params);
    const __m512i path = _mm512_set_epi64(0, 0, 0xff, -1, -1, -1, -1, -1);
    train_ = _mm512_ternarylogic_epi64(_mm512_alignr_epi64(params, params, 2), own, path, 0xe4);
    step_ = with(zero, kTrainBytes, sealed);
  }
  /// The next packet begins there.
  [[TURNS_INLINE]] inline void go_to(const std::uint8_t* at) {
    train_ = with(train_, kTrainBytes, reinterpret_cast<std::uintptr_t>(at));
  }
  /// One for the next packet alone, over the SA with that first line.
  [[TURNS_INLINE]] inline void write(WireTrain* train, __m512i line) {
    _mm512_storeu_si512(train, _mm512_mask_permutexvar_epi8(train_, kPathOctets.which, octets_, line));
    train_ = _mm512_add_epi64(train_, step_);
  }

 private:
  __m512i octets_, train_, step_;
};
/// Where packets join the train that is there.
struct NoTrains {
  [[TURNS_INLINE]] inline void write(WireTrain* /*train*/, __m512i /*line*/) const {}
};

// Of an InnerPacket: its size, and what `is_as_it_is` of outbound_ahead.cpp looks at.
struct SameItem {
  alignas(32) std::array<std::uint8_t, sizeof(InnerPacket)> octets{};
  constexpr SameItem() {
    static_assert(offsetof(InnerPacket, bytes) == 0 && sizeof(MutableByteView) == 16);
    for (std::size_t i = 8; i < 16; ++i) octets[i] = 0xff;
    octets[offsetof(InnerPacket, offload) + offsetof(Offload, segmentation)] = 0xff;
    octets[offsetof(InnerPacket, offload) + offsetof(Offload, checksum_partial)] = 0xff;
  }
};
constexpr SameItem kSameItem;
static_assert(sizeof(InnerPacket) == 32);
constexpr net::PlainShape::Bits kUdpShape = net::PlainShape::bits(false);
constexpr net::PlainShape::Bits kTcpShape = net::PlainShape::bits(true);

[[TURNS_INLINE]] inline __m256i load_item(const void* at) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(at));
}

// Seals packets up to `end`, or to the first one that the turn is not for; moves `stretch` but for its trains.
template <typename Trains, typename Stretch, typename Ahead>
[[TURNS_INLINE]] inline void frame_turns(const Turn& turn, Trains& trains, Stretch& stretch, const Ahead* end) {
  const Ahead* one = stretch.one;
  const InnerPacket* packet = stretch.packet;
  std::uint8_t* at = stretch.at;
  crypto::EspJob* job = stretch.job;
  WireTrain* train = stretch.train;
  const std::uint64_t trailer = one->facts.trailer();
  const __m512i zero = _mm512_setzero_si512();
  // SPI, the number's lower half, and all of it.
  const __m512i header = _mm512_castsi128_si512(
      _mm_add_epi8(_mm_set1_epi8(8 * kPorts), _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 0, 1, 2, 3)));
  // A job: the cipher and the number are the line's, the others stand here or are set one by one.
  const __m512i job_words = _mm512_set_epi64(15, 14, 13, 8 + kJobLength, kSequence, 8 + kJobPacket, 9, 0);
  __m512i job_rest = with(with(zero, kJobLength, turn.padded), kJobPacket, reinterpret_cast<std::uintptr_t>(at));
  const __m512i step = with(zero, kJobPacket, turn.sealed);
  for (; one != end; ++one, ++packet, ++job, ++train) {
    OutboundSa& sa = one->sa->outbound;
    __m512i line = load(&sa);
    const __mmask8 fits = _mm512_cmple_epu64_mask(_mm512_xor_si512(line, turn.flips), turn.bounds);
    if (_kortestc_mask8_u8(fits, fits) == 0) [[unlikely]]
      break;
    line = _mm512_add_epi64(line, turn.takes);
    _mm512_storeu_si512(&sa, line);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm512_castsi512_si128(_mm512_permutexvar_epi8(header, line)));
    std::uint8_t* const inner = packet->bytes.data();
    std::memcpy(inner + turn.length, &trailer, sizeof trailer);
    __m512i words = _mm512_permutex2var_epi64(line, job_words, job_rest);
    words = with(words, kJobInput, reinterpret_cast<std::uintptr_t>(inner));
    words = with(words, kJobOwner, reinterpret_cast<std::uintptr_t>(&sa));
    _mm512_storeu_si512(job, words);
    trains.write(train, line);
    job_rest = _mm512_add_epi64(job_rest, step);
    if (job < turn.keys_end) sa.cipher.prefetch(turn.padded);
    at += turn.sealed;
  }
  if (one != stretch.one) stretch.train_sa = one[-1].sa;
  stretch.one = one;
  stretch.packet = packet;
  stretch.at = at;
  stretch.job = job;
}

}  // namespace

// Classifies the packets from that one on that have the shape of the one in front, which is as it is; answers where it
// had to stop.
[[TURNS_TARGET]] std::size_t OutboundPath::classify_alike(Round& round, std::size_t from, Alikes& alikes) const {
  const std::size_t count = round.packets.size();
  if (!has_registers || from == count) return from;
  const InnerPacket* packet = round.packets.data() + from;
  Ahead* one = round.ahead.data() + from;
  static_assert(kInnerTailroom >= 64);  // so that a register's octets may be read of any packet
  const __m512i shape = load(packet[-1].bytes.data());
  const __m512i shape_bits = load(alikes.tcp ? &kTcpShape : &kUdpShape);
  const __m256i item = load_item(packet - 1);
  const __m256i item_bits = load_item(&kSameItem);
  const PlainFacts facts = alikes.facts;
  const std::uint64_t rest = alikes.rest;
  const FlowCache::PlacesV4 places(flows_, rest);
  // From an IPv4 packet's addresses on, their word of a flow key and the other one but for `rest`.
  const __m128i key_words = _mm_set_epi8(11, 10, 9, 8, -1, -1, -1, -1, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m128i key_rest = _mm_set_epi64x(static_cast<long long>(rest), 0);
  std::uint64_t addresses = alikes.before->words[FlowKey::kV4];
  std::uint64_t ports = alikes.before->words[FlowKey::kRest] ^ rest;
  std::uint64_t fresh = 0;
  std::uint64_t bit = std::uint64_t{1} << from;
  Ahead* const end = one + (count - from);
  for (; one != end; ++packet, ++one, bit += bit) {
    const std::uint8_t* const at = packet->bytes.data();
    const __mmask8 unlike = _mm512_test_epi64_mask(_mm512_xor_si512(shape, load(at)), shape_bits);
    const __mmask8 other = _mm256_test_epi64_mask(_mm256_xor_si256(item, load_item(packet)), item_bits);
    if (_kortestz_mask8_u8(unlike, other) == 0) [[unlikely]]
      break;
    const std::uint64_t its_addresses = FlowKey::v4_addresses(at);
    const std::uint64_t its_ports = FlowKey::v4_ports(at);
    if (its_addresses == addresses && its_ports == ports) {
      one->facts = facts.as(PlainFacts::Kind::twin);
      continue;
    }
    addresses = its_addresses;
    ports = its_ports;
    one->facts = facts;
    one->key.place = places.locate(addresses, ports);
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + net::kIpv4HeaderSize - 8));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(&one->key.words[FlowKey::kV4]),
                     _mm_or_si128(_mm_shuffle_epi8(words, key_words), key_rest));
    fresh |= bit;
  }
  if (fresh != 0) alikes.before = &round.ahead[static_cast<std::size_t>(std::bit_width(fresh)) - 1].key;
  alikes.fresh |= fresh;
  return static_cast<std::size_t>(one - round.ahead.data());
}

// As look_up_fresh.
[[TURNS_TARGET]] std::size_t OutboundPath::look_up_alike(Round& round, std::size_t from, std::size_t end,
                                                         SaPair*& before) const {
  const FlowCache::ProtectedV4 flows(flows_);
  const __m256i wanted = _mm256_set_epi64x(static_cast<long long>(flows.wanted()), 0, 0, 0);
  const __m256i bits = _mm256_set_epi64x(static_cast<long long>(flows.kWantedBits), 0, -1, -1);
  Ahead* one = round.ahead.data() + from;
  // The first one's shows the way to the others where those do not want theirs.
  if (SaPair* const first = from == 0 ? flows.find(one->key) : nullptr) culvert::prefetch(&first->params);
  const bool wants_params = wants_params_;
  SaPair* front = before;
  std::uint64_t same = 0;
  std::size_t i = from;
  for (; i < end; ++i, ++one) {
    const std::uint8_t* const entry = flows.words_at(one->key);
    const auto* const key = reinterpret_cast<const __m128i*>(&one->key.words[FlowKey::kV4]);
    const __m256i looked_for = _mm256_inserti128_si256(wanted, _mm_loadu_si128(key), 0);
    if (_mm256_testz_si256(_mm256_xor_si256(looked_for, load_item(entry)), bits) == 0) [[unlikely]]
      break;
    SaPair* const sa = *reinterpret_cast<SaPair* const*>(entry + 16);
    if (sa == nullptr) [[unlikely]]
      break;
    one->sa = sa;
    if (sa == front) {
      same |= std::uint64_t{1} << i;
      continue;
    }
    prefetch_to_write(&sa->outbound);
    if (wants_params) culvert::prefetch(&sa->params);
    front = sa;
  }
  before = front;
  if (i != from) round.changes |= (~std::uint64_t{0} >> (64 - (i - from)) << from) & ~same;
  return i;
}

bool OutboundPath::takes_turns() { return has_registers; }
bool OutboundPath::take_turns(bool wanted) {
  const bool before = has_registers;
  has_registers = wanted && runs_here();
  return before;
}

// The packets of protect_usual up to `end`, or where it has to stop: of one shape, each of another SA than the one in
// front. Such as go where the one in front goes share its train.
[[TURNS_TARGET]] void OutboundPath::protect_turns(Stretch& stretch, const Ahead* end) {
  const SaPair& first = *stretch.one->sa;
  const PlainFacts facts = stretch.one->facts;
  const std::uint16_t kind = first.outbound.outer_kind();
  if (!has_registers || kind == 0 || facts.length() != facts.marked_length()) return;
  Turn turn(facts.length(), OutboundSa::with_kind(stretch.state, kind), stretch.job + kLookahead, stretch.keys_end);
  TurnTrains trains(first, outer_of(*first.params.profile, facts).word, turn.sealed);
  const auto most = static_cast<std::ptrdiff_t>(most_in_train(turn.sealed) / turn.sealed);
  while (most > 1 && end - stretch.one > 1) {
    const OutboundSa& sa = stretch.one->sa->outbound;
    if (!have_one_path(sa, stretch.one[1].sa->outbound)) break;
    std::uint8_t* const at = stretch.at;
    WireTrain* const train = stretch.train;
    turn.want_path(sa);
    trains.go_to(at);
    trains.write(train, load(&sa));
    NoTrains joined;
    frame_turns(turn, joined, stretch, end - stretch.one > most ? stretch.one + most : end);
    if (stretch.at == at) return;
    train->bytes = {at, static_cast<std::size_t>(stretch.at - at)};
    stretch.train = train + 1;
  }
  turn.want_no_path();
  trains.go_to(stretch.at);
  const Ahead* const one = stretch.one;
  if (one != end) frame_turns(turn, trains, stretch, end);
  stretch.train += stretch.one - one;
}
#else
std::size_t OutboundPath::classify_alike(Round& /*round*/, std::size_t from, Alikes& /*alikes*/) const { return from; }
std::size_t OutboundPath::look_up_alike(Round& /*round*/, std::size_t from, std::size_t /*end*/,
                                        SaPair*& /*before*/) const {
  return from;
}
bool OutboundPath::takes_turns() { return false; }
bool OutboundPath::take_turns(bool /*wanted*/) { return false; }
void OutboundPath::protect_turns(Stretch& /*stretch*/, const Ahead* /*end*/) {}
#endif

}  // namespace culvert::ipsec
