// OutboundPath's straight way: plain packets of known flows into ESP in tunnel mode. Nothing is copied: the trailer is
// written behind the inner packet, in its tailroom, and the cipher reads there and writes into the send region.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "ipsec/mss_clamp.hpp"
#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

// RFC 4303 2.4: the longest padding is 255, but no cipher asks for more than a block.
static_assert(kInnerTailroom >= 16 + kEspTrailerSize);

// What SaPair::silence says changes over seconds; it stands apart, and for each packet that would be a line more.
constexpr Duration kSilenceInterval = std::chrono::milliseconds(125);

bool needs_segmenter(const InnerPacket& packet, const net::PlainPacket& plain) {
  const Offload& offload = packet.offload;
  if (offload.segmentation != Offload::Segmentation::none) return true;
  return offload.checksum_partial && !partial_checksum_fits(offload, plain.header_length(), plain.total_length);
}

bool is_clamped(const OutboundSa& out, const net::PlainPacket& plain) {
  return plain.syn && (plain.family == net::Family::v4 ? out.mss_v4 : out.mss_v6) != 0;
}

// As OutboundPath::write_around, with room behind the trailer for a whole word (kInnerTailroom).
[[gnu::always_inline]] inline void write_usual_around(std::uint32_t spi, std::uint8_t* at, std::uint8_t* behind,
                                                      std::size_t length, std::uint8_t next_header,
                                                      std::uint64_t sequence) {
  store_be64(at, std::uint64_t{spi} << 32 | static_cast<std::uint32_t>(sequence));
  store_be64(at + kEspHeaderSize, sequence);
  // RFC 4303 2.4: padding octets count 1, 2, 3; behind them their number, then the next header.
  const std::size_t padding = UsualLayout::padded(length) - length - kEspTrailerSize;
  static constexpr std::uint32_t kPaddings[] = {0x0000'0000, 0x0101'0000, 0x0102'0200, 0x0102'0303};
  store_be64(behind, std::uint64_t{kPaddings[padding]} << 32 | std::uint64_t{next_header} << (48 - 8 * padding));
}

}  // namespace

// How many packets from the first on go the straight way together: those of one SA, if it is far from any bound.
[[gnu::always_inline]] inline std::size_t OutboundPath::plain_run(std::span<const InnerPacket> packets,
                                                                  const Ahead* ahead) const {
  if (ahead->sa == nullptr || ahead->sa->outbound.straight == Straight::no) return 0;
  const OutboundSa& out = ahead->sa->outbound;
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  for (; count < packets.size() && ahead[count].sa == ahead->sa; ++count) {
    const net::PlainPacket& plain = ahead[count].plain;
    if (plain.total_length > out.longest_inner || is_clamped(out, plain) || needs_segmenter(packets[count], plain))
      break;
    bytes += plain.total_length;
  }
  if (!out.meter.far_from_bounds(count, bytes) || !out.sequence.stays_quiet(static_cast<std::uint32_t>(count)))
    return 0;
  return count;
}

// Room in the region, as `reserve` without anything in front.
[[gnu::always_inline]] inline std::uint8_t* OutboundPath::reserve_plain(std::size_t length, OutboundSink& sink) {
  const bool there = aggfrag_.open() == 0 && !batch_.full() && region_used_ + length <= region_.size();
  if (!there) return reserve(length, 0, sink);
  std::uint8_t* const at = region_.data() + region_used_;
  region_used_ += length;
  return at;
}

// Whether the packet at `at` goes on with the train in work, as long as those before.
[[gnu::always_inline]] inline bool OutboundPath::continues_train(const SaPair& sa, const OuterFields& outer,
                                                                 const std::uint8_t* at, std::size_t length) {
  if (!train_open_ || train_sa_ != &sa || !(train_fields_ == outer)) return false;
  WireTrain& train = *(trains_.data() + trains_.size() - 1);
  const std::size_t size = train.bytes.size();
  if (train.segment_size != length || train.bytes.data() + size != at || size + length > train_limit_) return false;
  train.bytes = {train.bytes.data(), size + length};
  return true;
}

// As `outer_fields`; SAs of the same profile and packets with the same fields mostly come in a row.
inline const OutboundPath::OuterFields& OutboundPath::outer_fields_of(const SaProfile& profile,
                                                                      const net::PlainPacket& plain) {
  OuterMemo& memo = outer_memo_;
  if (memo.profile != &profile || memo.tos != plain.tos || memo.family != plain.family ||
      memo.dont_fragment != plain.dont_fragment) {
    memo = {&profile, plain.tos, plain.family, plain.dont_fragment,
            outer_fields(profile.treatment.outer, plain.family, plain.tos, plain.dont_fragment)};
  }
  return memo.fields;
}

// Stages 3 to 5. `Layout` is the SA's.
template <typename Layout>
[[gnu::always_inline]] inline void OutboundPath::protect_plain(std::span<const InnerPacket> packets, const Ahead* ahead,
                                                               const Layout& layout, OutboundSink& sink) {
  SaPair& sa = *ahead->sa;
  OutboundSa& out = sa.outbound;
  const std::size_t count = packets.size();
  std::uint64_t sequence = *out.sequence.take(static_cast<std::uint32_t>(count));
  std::uint64_t bytes = 0;
  OuterFields outer;
  const net::PlainPacket* before = nullptr;  // whose outer header has these fields
  for (std::size_t i = 0; i < count; ++i, ++sequence) {
    const net::PlainPacket& plain = ahead[i].plain;
    const InnerPacket& packet = packets.data()[i];
    std::uint8_t* const inner = packet.bytes.data();
    const std::size_t length = plain.total_length;
    bytes += length;
    if (packet.offload.checksum_partial) {
      complete_checksum({inner, length}, packet.offload.checksum_start,
                        std::size_t{packet.offload.checksum_start} + packet.offload.checksum_offset, plain.protocol);
    }
    const std::size_t padded = layout.padded(length);
    const std::size_t sealed = layout.head() + padded + layout.icv;
    std::uint8_t* const at = reserve_plain(sealed, sink);
    const auto next_header = plain.family == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6;
    if constexpr (std::is_same_v<Layout, UsualLayout>) {
      write_usual_around(out.spi, at, inner + length, length, static_cast<std::uint8_t>(next_header), sequence);
    } else {
      write_around(out, layout, at, inner + length, length, static_cast<std::uint8_t>(next_header), sequence);
    }
    batch_.add(out, layout, at, padded, sequence).input = inner;
    if (before == nullptr || plain.tos != before->tos || plain.family != before->family ||
        plain.dont_fragment != before->dont_fragment) {
      outer = outer_fields_of(*sa.params.profile, plain);
      before = &plain;
    }
    if (i == 0 && train_sa_ != &sa) {
      start_train(sa, outer, at, sealed);
    } else if (!continues_train(sa, outer, at, sealed)) {
      add_to_train(sa, outer, at, sealed);
    }
  }
  out.meter.count(count, bytes);
  if (!out.silence_asked.within(kSilenceInterval, now_)) {
    out.silence_asked = now_;
    watch_silence(sa);
  }
}

inline void OutboundPath::protect_plain(std::span<const InnerPacket> packets, const Ahead* ahead, OutboundSink& sink) {
  const OutboundSa& out = ahead->sa->outbound;
  if (out.straight == Straight::usual_layout) return protect_plain(packets, ahead, UsualLayout{}, sink);
  protect_plain(packets, ahead, EspLayout(out.layout), sink);
}

// Stages 2 to 5 for a part of a round.
void OutboundPath::process(Round& round, std::size_t from, Instant now, OutboundSink& sink) {
  const std::size_t end = std::min(from + kSaLookahead, round.packets.size());
  for (std::size_t i = from; i < end;) {
    Ahead* const one = &round.ahead[i];
    // What was decided ahead holds as long as no packet in between has closed its SA.
    const auto rest = round.packets.subspan(i, end - i);
    const std::size_t plain = flows_.generation() == round.generation ? plain_run(rest, one) : 0;
    if (plain != 0) {
      protect_plain(rest.first(plain), one, sink);
      i += plain;
      continue;
    }
    if (one->info == nullptr) {
      one->info = &round.infos[i];
      *one->info = net::parse_packet(rest.front().bytes);
    }
    process(rest.front(), *one->info, one->key, now, now, sink);
    ++i;
  }
}

}  // namespace culvert::ipsec
