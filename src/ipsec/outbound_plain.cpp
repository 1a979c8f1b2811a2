// OutboundPath's straight way: plain packets of known flows into ESP in tunnel mode. Nothing is copied: the trailer is
// written behind the inner packet, in its tailroom, and the cipher reads there and writes into the send region.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "ipsec/mss_clamp.hpp"
#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

// RFC 4303 2.4: the longest padding is 255, but no cipher asks for more than a block.
static_assert(kInnerTailroom >= 16 + kEspTrailerSize);

// What SaPair::silence says changes over seconds; it stands apart, and for each packet that would be a line more.
constexpr Duration kSilenceInterval = std::chrono::milliseconds(125);

// The packet is of one piece, and its checksum is there or can be completed where it stands.
bool fits_in_one(const Offload& offload, const net::PlainPacket& plain) {
  if (offload.segmentation != Offload::Segmentation::none) return false;
  return !offload.checksum_partial || partial_checksum_fits(offload, plain.header_length(), plain.total_length);
}

bool is_clamped(const OutboundSa& out, const net::PlainPacket& plain) {
  return plain.syn && (plain.family() == net::Family::v4 ? out.mss_v4 : out.mss_v6) != 0;
}

// RFC 4303 2.4: padding octets count 1, 2, 3; behind them their number, then the next header. By family and padding.
constexpr std::uint8_t kTrailers[2][4][8] = {
    {{0, 4}, {1, 1, 4}, {1, 2, 2, 4}, {1, 2, 3, 3, 4}},
    {{0, 41}, {1, 1, 41}, {1, 2, 2, 41}, {1, 2, 3, 3, 41}},
};
static_assert(static_cast<unsigned>(net::IpProtocol::ipv4) == 4 && static_cast<unsigned>(net::IpProtocol::ipv6) == 41);

// As OutboundPath::write_around, with room behind the trailer for a whole word (kInnerTailroom).
[[gnu::always_inline]] inline void write_usual_around(std::uint32_t spi, std::uint8_t* at, std::uint8_t* behind,
                                                      const std::uint8_t (&trailer)[8], std::uint64_t sequence) {
  store_be64(at, std::uint64_t{spi} << 32 | static_cast<std::uint32_t>(sequence));
  store_be64(at + kEspHeaderSize, sequence);
  std::memcpy(behind, trailer, 8);
}
[[gnu::always_inline]] inline auto trailer_of(const net::PlainPacket& plain) -> const std::uint8_t (&)[8] {
  return kTrailers[plain.outer & 1][(0U - plain.total_length - kEspTrailerSize) & 3];
}

// Bounds and numbers are looked at here, and then not for so many packets as stay far from all of them.
[[gnu::noinline]] bool allow_unwatched(OutboundSa& out) {
  constexpr std::uint64_t kMost = std::numeric_limits<decltype(out.unwatched)>::max();
  const std::uint64_t count = std::min({out.meter.far_packets(kMaxInnerPacket), out.sequence.quiet_left(), kMost});
  out.unwatched = static_cast<std::uint16_t>(count);
  return count != 0;
}

// Whether the packet goes the straight way over its SA, which is far from any bound.
[[gnu::always_inline]] inline bool goes_straight(const InnerPacket& packet, const net::PlainPacket& plain,
                                                 OutboundSa& out) {
  if (out.straight == Straight::no || plain.total_length > out.longest_inner || is_clamped(out, plain)) return false;
  const Offload& offload = packet.offload;
  const bool special = offload.segmentation != Offload::Segmentation::none || offload.checksum_partial;
  if (special && !fits_in_one(offload, plain)) return false;
  return out.unwatched != 0 || allow_unwatched(out);
}

}  // namespace

// Room in the region, as `reserve` without anything in front.
[[gnu::always_inline]] inline std::uint8_t* OutboundPath::reserve_plain(std::size_t length, OutboundSink& sink) {
  const std::size_t used = region_used_;
  const bool there = aggfrag_.open() == 0 && !batch_.full() && used + length <= region_.size();
  if (!there) [[unlikely]]
    return reserve(length, 0, sink);
  region_used_ = used + length;
  return region_.data() + used;
}

// Whether the packet at `at` goes on with the train in work, as long as those before.
[[gnu::always_inline]] inline bool OutboundPath::continues_train(const SaPair& sa, const net::PlainPacket& plain,
                                                                 const std::uint8_t* at, std::size_t length) {
  const std::uint8_t* const end = at + length;
  if (train_sa_ != &sa || train_end_ != at || train_outer_ != plain.outer || train_segment_ != length ||
      end > train_stop_) {
    return false;
  }
  train_end_ = end;
  WireTrain& train = *(trains_.data() + trains_.size() - 1);
  train.bytes = {train.bytes.data(), train.bytes.size() + length};
  return true;
}

// As `outer_fields`; SAs of the same profile and packets with the same fields mostly come in a row.
[[gnu::always_inline]] inline const OutboundPath::OuterFields& OutboundPath::outer_fields_of(
    const SaProfile& profile, const net::PlainPacket& plain) {
  OuterMemo& memo = outer_memo_;
  if (memo.profile != &profile || memo.outer != plain.outer) [[unlikely]] {
    memo.profile = &profile;
    memo.outer = plain.outer;
    memo.fields = outer_fields(profile.treatment.outer, plain.family(), plain.tos(), plain.dont_fragment());
  }
  return memo.fields;
}

// The packet does not go on with a train that was begun here.
[[gnu::always_inline]] inline void OutboundPath::begin_plain_train(const SaPair& sa, const net::PlainPacket& plain,
                                                                   std::uint8_t* at, std::size_t length) {
  const OuterFields& outer = outer_fields_of(*sa.params.profile.get(), plain);
  if (train_sa_ == &sa) {
    add_to_train(sa, outer, at, length);
  } else {
    start_train(sa, outer, at, length);
  }
  train_outer_ = plain.outer;
}

// Stages 3 to 5. `Layout` is the SA's.
template <typename Layout>
[[gnu::always_inline]] inline void OutboundPath::protect_plain(const InnerPacket& packet, const net::PlainPacket& plain,
                                                               SaPair& sa, const Layout& layout, OutboundSink& sink) {
  OutboundSa& out = sa.outbound;
  --out.unwatched;
  const std::uint64_t sequence = out.sequence.take_quietly();
  std::uint8_t* const inner = packet.bytes.data();
  const std::size_t length = plain.total_length;
  out.meter.count(1, length);
  if (packet.offload.checksum_partial) [[unlikely]] {
    complete_checksum({inner, length}, packet.offload.checksum_start,
                      std::size_t{packet.offload.checksum_start} + packet.offload.checksum_offset, plain.protocol);
  }
  const std::size_t padded = layout.padded(length);
  const std::size_t sealed = layout.head() + padded + layout.icv;
  std::uint8_t* const at = reserve_plain(sealed, sink);
  if constexpr (std::is_same_v<Layout, UsualLayout>) {
    write_usual_around(out.spi, at, inner + length, trailer_of(plain), sequence);
  } else {
    const auto next_header = plain.family() == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6;
    write_around(out, layout, at, inner + length, length, static_cast<std::uint8_t>(next_header), sequence);
  }
  batch_.add(out, layout, at, inner, padded, sequence);
  if (!continues_train(sa, plain, at, sealed)) begin_plain_train(sa, plain, at, sealed);
}

// Stages 3 to 5 for packets behind one that went the straight way, and like it; answers how many went. What was found
// out about that one holds for them, so they are numbered, counted and sent as one.
std::size_t OutboundPath::protect_twins(const InnerPacket* packet, std::size_t count, const net::PlainPacket& plain,
                                        SaPair& sa) {
  OutboundSa& out = sa.outbound;
  const std::size_t length = plain.total_length;
  const std::size_t padded = UsualLayout::padded(length);
  const std::size_t sealed = UsualLayout::head() + padded + UsualLayout::icv;
  std::uint8_t* at = region_.data() + region_used_;
  if (train_sa_ != &sa || train_end_ != at || train_segment_ != sealed || train_outer_ != plain.outer ||
      aggfrag_.open() != 0) {
    return 0;
  }
  const auto room =
      static_cast<std::uint32_t>(std::min<const std::uint8_t*>(train_stop_, region_.data() + region_.size()) - at);
  const std::size_t number = std::min({count, std::size_t{out.unwatched}, batch_.free_places(padded),
                                       static_cast<std::size_t>(room / static_cast<std::uint32_t>(sealed))});
  if (number == 0) return 0;
  out.unwatched = static_cast<std::uint16_t>(out.unwatched - number);
  out.meter.count(number, number * length);
  std::uint64_t sequence = out.sequence.take_quietly(static_cast<std::uint32_t>(number));
  const std::uint32_t spi = out.spi;
  const auto& trailer = trailer_of(plain);
  crypto::EspJob* job = batch_.next();
  for (const InnerPacket* const end = packet + number; packet != end; ++packet, ++job, ++sequence, at += sealed) {
    std::uint8_t* const inner = packet->bytes.data();
    write_usual_around(spi, at, inner + length, trailer, sequence);
    batch_.set(*job, at, inner, padded, sequence);
  }
  batch_.added(out, number, number * padded);
  region_used_ += number * sealed;
  train_end_ = at;
  WireTrain& train = *(trains_.data() + trains_.size() - 1);
  train.bytes = {train.bytes.data(), train.bytes.size() + number * sealed};
  return number;
}

void OutboundPath::protect_other_layout(const InnerPacket& packet, const net::PlainPacket& plain, SaPair& sa,
                                        OutboundSink& sink) {
  protect_plain(packet, plain, sa, EspLayout(sa.outbound.layout), sink);
}

// Stages 2 to 5 for a part of a round.
void OutboundPath::process(Round& round, std::size_t from, Instant now, OutboundSink& sink) {
  // What was decided ahead holds as long as no packet in between has closed its SA.
  bool decided = flows_.generation() == round.generation;
  const std::size_t size = round.packets.size();
  const std::size_t end = std::min(from + kSaLookahead, size);
  for (std::size_t i = from; i < end; ++i) {
    Ahead& one = round.ahead.data()[i];
    const InnerPacket& packet = round.packets.data()[i];
    if (one.twin) complete(one);
    SaPair* const sa = one.sa;
    if (sa == nullptr || !decided || !goes_straight(packet, one.plain, sa->outbound)) {
      process_other(round, i, now, sink);
      decided = flows_.generation() == round.generation;
      continue;
    }
    OutboundSa& out = sa->outbound;
    if (out.straight == Straight::usual_layout) [[likely]] {
      protect_plain(packet, one.plain, *sa, UsualLayout{}, sink);
      std::size_t twins = i + 1;
      while (twins < end && round.ahead.data()[twins].twin) ++twins;
      twins -= i + 1;
      if (twins != 0) i += protect_twins(&packet + 1, twins, one.plain, *sa);
    } else {
      protect_other_layout(packet, one.plain, *sa, sink);
    }
    if (!out.silence_asked.within(kSilenceInterval, now)) [[unlikely]] {
      out.silence_asked = now;
      watch_silence(*sa);
    }
  }
}

void OutboundPath::process_other(Round& round, std::size_t index, Instant now, OutboundSink& sink) {
  Ahead& one = round.ahead[index];
  const InnerPacket& packet = round.packets[index];
  if (one.info == nullptr) {
    one.info = &round.infos[index];
    *one.info = net::parse_packet(packet.bytes);
  }
  process(packet, *one.info, one.key, now, now, sink);
}

}  // namespace culvert::ipsec
