// InboundPath's straight way behind the cipher. As in front of it (inbound_plain.cpp) whatever is special about a
// packet is seen before anything has changed, and sends it the other way.
#include <bit>

#include "base/check.hpp"
#include "ipsec/ecn.hpp"
#include "ipsec/inbound_path.hpp"
#include "net/headers.hpp"
#include "net/plain_packet.hpp"
#include "net/plain_shape.hpp"

namespace culvert::ipsec {
namespace {

constexpr auto kIpv4 = static_cast<std::uint8_t>(net::IpProtocol::ipv4);
constexpr auto kIpv6 = static_cast<std::uint8_t>(net::IpProtocol::ipv6);
constexpr auto kUdp = static_cast<std::uint8_t>(net::IpProtocol::udp);
constexpr auto kTcp = static_cast<std::uint8_t>(net::IpProtocol::tcp);

// A word whose lowest octet is the one that comes first in memory.
template <typename Word>
[[gnu::always_inline]] inline Word load_le(const std::uint8_t* at) {
  Word word = 0;
  __builtin_memcpy(&word, at, sizeof word);
  if constexpr (std::endian::native == std::endian::little) return word;
  return sizeof word == 8 ? static_cast<Word>(__builtin_bswap64(word)) : __builtin_bswap32(static_cast<Word>(word));
}

// RFC 4303 2.4: the octets in front of pad length and next header count 1, 2, 3, ...
constexpr std::size_t kFewPadding = 6;
struct Trailers {
  // By the pad length, of a text's last eight octets: which are padding or trailer, and what they are in front of an
  // IPv4 packet; the last one on top.
  struct Trailer {
    std::uint64_t mask = 0xffffULL << 48;
    std::uint64_t octets = 0;
  };
  Trailer of[kFewPadding + 1];
  constexpr Trailers() {
    for (std::size_t padding = 0; padding <= kFewPadding; ++padding) {
      of[padding].octets = std::uint64_t{kIpv4} << 56 | std::uint64_t{padding} << 48;
      for (std::size_t i = 0; i < padding; ++i) {
        const std::size_t shift = 8 * (kFewPadding - padding + i);
        of[padding].mask |= std::uint64_t{0xff} << shift;
        of[padding].octets |= (i + 1) << shift;
      }
    }
  }
};
constexpr Trailers kTrailers;

bool padding_counts(const std::uint8_t* end, std::size_t padding) {
  for (std::size_t i = 0; i < padding; ++i) {
    if (*(end - 3 - i) != padding - i) return false;
  }
  return true;
}

// RFC 4301 5.2: whether the SA is for this packet.
bool admits(const SaPair& sa, const net::PlainPacket& plain, const std::uint8_t* inner) {
  const InboundSa& in = sa.inbound;
  if (in.has_ranges && plain.family() == net::Family::v4) {
    return in.remote.contains(load_be32(inner + 12)) && in.local.contains(load_be32(inner + 16));
  }
  return sa.params.remote.matches_source(plain, inner) && sa.params.local.matches_destination(plain, inner);
}

// Whether what `net::read_plain` would say of a transport header of TCP, in an IPv4 packet so long, is unremarkable.
[[gnu::always_inline]] inline bool plain_tcp(const std::uint8_t* inner, std::int32_t total) {
  constexpr std::int32_t kHeaders = net::kIpv4HeaderSize + net::kTcpHeaderSize;
  if (total < kHeaders) return false;
  const std::int32_t size = 4 * (inner[net::kIpv4HeaderSize + 12] >> 4);
  const bool syn = (inner[net::kIpv4HeaderSize + 13] & 0x02) != 0;
  return !syn && size >= static_cast<std::int32_t>(net::kTcpHeaderSize) &&
         size <= total - static_cast<std::int32_t>(net::kIpv4HeaderSize);
}

// What `looks_right` found of one packet of IPv4 holds for those like it over the same SA.
struct Like {
  std::size_t text_length = 0;  // 0: no packet is like it
  std::int32_t length = 0;
  std::int32_t total_length = 0;
  std::uint64_t trailer = 0;
  std::uint64_t trailer_mask = 0;
  std::uint8_t outer_tos = 0;
  net::PlainLikeness header;

  [[nodiscard]] bool of(std::uint8_t tos, const std::uint8_t* inner, std::size_t text) const {
    return text == text_length && tos == outer_tos &&
           ((load_le<std::uint64_t>(inner + text - 8) ^ trailer) & trailer_mask) == 0 &&
           header.of({inner, static_cast<std::size_t>(length)});
  }
  void set(std::uint8_t tos, const std::uint8_t* inner, std::size_t text, std::int32_t inner_length,
           std::int32_t inner_total) {
    const std::size_t padding = inner[text - kEspTrailerSize];
    text_length = 0;
    if (inner[0] != 0x45 || padding > kFewPadding) return;
    text_length = text;
    length = inner_length;
    total_length = inner_total;
    trailer = load_le<std::uint64_t>(inner + text - 8);
    trailer_mask = kTrailers.of[padding].mask;
    outer_tos = tos;
    net::PlainPacket plain;
    plain.protocol = inner[9];
    header.set({inner, static_cast<std::size_t>(length)}, plain);
  }
};

// Whether packets of this SA may be taken straight, for what changes seldom.
bool may_take_now(const InboundSa& in, Instant now) {
  return !in.resync.has_failed() && in.last_activity_event.within(InboundPath::kEventInterval, now);
}

// What `take_usual` asks of an SA until an event falls due, and in the tick in which one does for each packet.
[[gnu::noinline]] bool may_take_usual(InboundSa& in, Instant now) {
  if (in.straight != Straight::usual_layout || !in.has_ranges || !may_take_now(in, now)) return false;
  for (Instant end = end_of_tick(now); in.last_activity_event.within(InboundPath::kEventInterval, end);
       end = end_of_tick(end + Duration(1))) {
    in.note_usual(coarse_tick(end));
  }
  return true;
}

// The meter is looked at here, and then not for so many packets as stay far from all bounds; whether there are as many
// as a batch can have.
[[gnu::noinline]] bool allow_unwatched(InboundSa& in) {
  in.unwatched.end(in.meter);
  in.unwatched.allow(std::min(in.meter.far_packets(kMaxInnerPacket), UnwatchedRun::kMost));
  return in.unwatched.left() >= JobBatch<InboundSa>::kCapacity;
}
[[gnu::always_inline]] inline bool is_unwatched(InboundSa& in) {
  return in.unwatched.left() >= JobBatch<InboundSa>::kCapacity || allow_unwatched(in);
}

}  // namespace

// Stages 6 and 7 for so many octets of text; RFC 4303 2.4, RFC 4301 5.2: as in `content_of`, `unwrap_tunnel` and
// `match`.
bool InboundPath::looks_right(const SaPair& sa, std::uint8_t tos, const std::uint8_t* inner, std::size_t text,
                              Opened& opened) {
  const std::uint8_t* const end = inner + text;
  const std::size_t padding = end[-2];
  if (padding + kEspTrailerSize > text || !padding_counts(end, padding)) return false;
  const std::size_t length = text - padding - kEspTrailerSize;
  net::PlainPacket plain;
  if (!net::read_plain({inner, length}, plain) || plain.syn) return false;
  const auto protocol = plain.family() == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6;
  if (end[-1] != static_cast<std::uint8_t>(protocol)) return false;
  if (((plain.tos() ^ tos) & kEcnMask) != 0) return false;
  opened = {static_cast<std::int32_t>(length), static_cast<std::int32_t>(plain.total_length)};
  return admits(sa, plain, inner);
}

// The same in few comparisons for UDP and TCP in IPv4 over an SA that has ranges of it. False says nothing.
[[gnu::always_inline]] inline bool InboundPath::looks_usual(const InboundSa& in, std::uint8_t tos,
                                                            const std::uint8_t* inner, std::size_t text,
                                                            Opened& opened) {
  const auto last = load_le<std::uint64_t>(inner + text - 8);
  const std::size_t padding = last >> 48 & 0xff;
  if (padding > kFewPadding) return false;
  const Trailers::Trailer& trailer = kTrailers.of[padding];
  if (((last ^ trailer.octets) & trailer.mask) != 0) return false;
  // Below zero where the text is too short for its padding; then `total` is not.
  const auto length = static_cast<std::int32_t>(text - padding - kEspTrailerSize);
  // Version 4, no options; RFC 6040 4.2: ECN as outside; no fragment.
  constexpr std::uint64_t kMask = 0xff3f'0000'0000'00ff | kEcnMask << 8;
  if (((load_le<std::uint64_t>(inner) ^ std::uint64_t{tos} << 8) & kMask) != 0x45) return false;
  const std::int32_t total = load_be16(inner + 2);
  if (total > length) return false;
  if (inner[9] == kUdp) [[likely]] {
    if (total < static_cast<std::int32_t>(net::kIpv4HeaderSize + net::kUdpHeaderSize)) return false;
  } else if (inner[9] != kTcp || !plain_tcp(inner, total)) {
    return false;
  }
  opened.length = length;
  opened.total_length = total;
  return in.remote.contains(load_be32(inner + 12)) && in.local.contains(load_be32(inner + 16));
}

// Stages 5 to 8 for packet `first` of the batch and those behind it, as far as nothing is special about them; answers
// how many these are.
std::size_t InboundPath::take_straight(std::size_t first) {
  std::size_t i = first;
  for (std::size_t before = i + 1; i != before && i < batch_.size();) {
    before = i;
    if (!options_.coalesce) i = take_usual(i);
    i = take_others(i);
  }
  return i - first;
}

// The same for those of the usual layout that come in order and are delivered as they are; answers which is the first
// that is not. All that needs a call is left to `take_others`, so that everything here stays in registers.
[[gnu::noinline]] std::size_t InboundPath::take_usual(std::size_t first) {
  const std::size_t count = batch_.size();
  InnerPacket* to = singles_.next(count - first);
  const Straightly* straight = straight_.data() + first;
  const Straightly* const end_of_batch = straight_.data() + count;
  const crypto::EspJob* job = &batch_.usual(first);
  const std::uint32_t tick = coarse_tick(now_);
  const SaPair* ready = nullptr;  // the last one that may be taken
  for (; straight != end_of_batch; ++straight, ++job) {
    SaPair* const sa = straight->sa;
    if (sa == nullptr) break;
    InboundSa& in = sa->inbound;
    if (sa != ready) {
      if (!in.noted_usual(tick) && !may_take_usual(in, now_)) break;
      if (!is_unwatched(in)) break;
      ready = sa;
    }
    if (!job->ok) break;
    std::uint8_t* const inner = job->packet + UsualLayout::head();
    Opened opened;
    if (!looks_usual(in, straight->tos, inner, job->length, opened)) break;
    // RFC 4303 3.4.3: only now, and again: an earlier packet of this batch may have been the same one.
    if (!in.window.take_next(job->sequence)) break;
    in.unwatched.take(1, static_cast<std::uint32_t>(opened.length));
    // Not by way of a view of its own: copying what was just stored in two pieces would wait for the stores.
    to->bytes = {inner, static_cast<std::uint32_t>(opened.total_length)};
    ++to;
  }
  singles_.added(to);
  return static_cast<std::size_t>(straight - straight_.data());
}

// The same for those of one SA, whatever their layout, as far as they are none that have to go the other way.
[[gnu::noinline]] std::size_t InboundPath::take_others(std::size_t first) {
  const std::size_t count = batch_.size();
  if (first == count || straight_[first].sa == nullptr) return first;
  SaPair& sa = *straight_[first].sa;
  InboundSa& in = sa.inbound;
  if (in.straight == Straight::no || (!in.noted_usual(coarse_tick(now_)) && !may_take_now(in, now_))) return first;
  if (!is_unwatched(in)) return first;
  const bool usual_layout = in.straight == Straight::usual_layout;
  const std::size_t head = usual_layout ? UsualLayout::head() : in.layout.head();
  Like like;
  std::size_t i = first;
  for (; i < count && straight_[i].sa == &sa && batch_.ok(i); ++i) {
    const std::uint8_t tos = straight_[i].tos;
    const crypto::EspJob& job = batch_.usual(i);
    const Item& item = items_[i];
    std::uint8_t* const inner = (usual_layout ? job.packet : item.packet.data()) + head;
    const std::size_t text = usual_layout ? job.length : item.packet.size() - head - in.layout.icv;
    Opened opened;
    if (like.of(tos, inner, text)) {
      opened = {like.length, like.total_length};
    } else if (!in.has_ranges || !looks_usual(in, tos, inner, text, opened)) {
      if (!looks_right(sa, tos, inner, text, opened)) break;
      like.set(tos, inner, text, opened.length, opened.total_length);
    }
    // As in `admit`.
    const ReplayWindow::Verdict verdict = in.window.update(usual_layout ? job.sequence : item.sequence);
    if (verdict != ReplayWindow::Verdict::fresh) {
      count_replay(sa, verdict);
      continue;
    }
    in.unwatched.take(1, static_cast<std::uint32_t>(opened.length));
    if (options_.coalesce) {
      deliver_straight(sa, *straight_[i].input, inner, opened);
    } else {
      singles_.add({inner, static_cast<std::size_t>(opened.total_length)});
    }
  }
  return i;
}

// Stage 8 with super-packets.
void InboundPath::deliver_straight(const SaPair& sa, const WireInput& input, std::uint8_t* inner,
                                   const Opened& opened) {
  const void* const buffer = input.bytes.data();
  const std::uint8_t next_header = inner[0] >> 4 == 4 ? kIpv4 : kIpv6;
  if (&sa == followed_.sa && next_header == followed_.next_header && input.tos == followed_.tos &&
      coalescer_.follow({inner, static_cast<std::size_t>(opened.length)}, buffer)) {
    return;
  }
  const MutableByteView packet(inner, static_cast<std::size_t>(opened.total_length));
  const auto info = net::parse_packet(packet);
  CHECK(info.has_value());
  coalescer_.add(packet, *info, buffer, delivery_);
  followed_ = {&sa, input.tos, next_header};
}

}  // namespace culvert::ipsec
