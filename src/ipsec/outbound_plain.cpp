// OutboundPath's straight way: plain packets of known flows into ESP in tunnel mode. Nothing is copied: the trailer is
// written behind the inner packet, in its tailroom, and the cipher reads there and writes into the send region.
#include <algorithm>
#include <cstring>

#include "ipsec/mss_clamp.hpp"
#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

// RFC 4303 2.4: the longest padding is 255, but no cipher asks for more than a block.
static_assert(kInnerTailroom >= 16 + kEspTrailerSize);

bool needs_segmenter(const InnerPacket& packet, const net::PlainPacket& plain) {
  const Offload& offload = packet.offload;
  if (offload.segmentation != Offload::Segmentation::none) return true;
  return offload.checksum_partial && !partial_checksum_fits(offload, plain.header_length(), plain.total_length);
}

bool is_clamped(const OutboundSa& out, const net::PlainPacket& plain) {
  return plain.syn && (plain.family == net::Family::v4 ? out.mss_v4 : out.mss_v6) != 0;
}

}  // namespace

// How many packets from the first on go the straight way together: those of one SA, if it is far from any bound.
std::size_t OutboundPath::plain_run(std::span<const InnerPacket> packets, const Ahead* ahead) const {
  if (ahead->sa == nullptr || !ahead->sa->outbound.straight) return 0;
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
std::uint8_t* OutboundPath::reserve_plain(std::size_t length, OutboundSink& sink) {
  const bool there = aggfrag_.open() == 0 && !batch_.full() && region_used_ + length <= region_.size();
  if (!there) return reserve(length, 0, sink);
  std::uint8_t* const at = region_.data() + region_used_;
  region_used_ += length;
  return at;
}

// Whether the packet at `at` goes on with the train in work, as long as those before.
bool OutboundPath::continues_train(const SaPair& sa, const OuterFields& outer, const std::uint8_t* at,
                                   std::size_t length) {
  if (!train_open_ || train_sa_ != &sa || !(train_fields_ == outer)) return false;
  WireTrain& train = trains_.back();
  const std::size_t size = train.bytes.size();
  if (train.segment_size != length || train.bytes.data() + size != at || size + length > options_.max_train_bytes ||
      size >= std::size_t{train.segment_size} * options_.max_train_segments) {
    return false;
  }
  train.bytes = {train.bytes.data(), size + length};
  return true;
}

// Stages 3 to 5.
void OutboundPath::protect_plain(std::span<const InnerPacket> packets, const Ahead* ahead, OutboundSink& sink) {
  SaPair& sa = *ahead->sa;
  OutboundSa& out = sa.outbound;
  const EspLayout layout = out.layout;
  std::uint64_t sequence = *out.sequence.take(static_cast<std::uint32_t>(packets.size()));
  std::uint64_t bytes = 0;
  OuterFields outer;
  for (std::size_t i = 0; i < packets.size(); ++i, ++sequence) {
    const net::PlainPacket& plain = ahead[i].plain;
    const Offload& offload = packets[i].offload;
    std::uint8_t* const inner = packets[i].bytes.data();
    const std::size_t length = plain.total_length;
    bytes += length;
    if (offload.checksum_partial) {
      complete_checksum({inner, length}, offload.checksum_start,
                        std::size_t{offload.checksum_start} + offload.checksum_offset, plain.protocol);
    }
    const std::size_t padded = layout.padded(length);
    const std::size_t sealed = layout.head() + padded + layout.icv;
    std::uint8_t* const at = reserve_plain(sealed, sink);
    const auto next_header = plain.family == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6;
    write_around(out, at, inner + length, length, static_cast<std::uint8_t>(next_header), sequence);
    batch_.add(out, at, padded, sequence).input = inner;
    const net::PlainPacket& before = ahead[i == 0 ? 0 : i - 1].plain;
    if (i == 0 || plain.tos != before.tos || plain.family != before.family ||
        plain.dont_fragment != before.dont_fragment) {
      outer = outer_fields(sa, plain.family, plain.tos, plain.dont_fragment);
    }
    if (!continues_train(sa, outer, at, sealed)) add_to_train(sa, outer, at, sealed);
  }
  out.meter.count(packets.size(), bytes);
  if (sa.silence.sends(sa.inbound.meter.packets(), now_)) events_.push(NothingComesBack{sa.params.id});
}

}  // namespace culvert::ipsec
