// InboundPath's straight way: what nearly all packets are, plain ones out of ESP in tunnel mode whose SA has nothing
// to tell and is far from its bounds. Whatever is special about a packet is seen before anything has changed, and sends
// it the other way; what both do and count is the same.
#include <algorithm>
#include <type_traits>

#include "base/check.hpp"
#include "base/prefetch.hpp"
#include "ipsec/ecn.hpp"
#include "ipsec/inbound_path.hpp"
#include "net/headers.hpp"
#include "net/plain_packet.hpp"

namespace culvert::ipsec {
namespace {

constexpr auto kEsp = static_cast<std::uint8_t>(net::IpProtocol::esp);

// RFC 4303 2.4: the octets in front of pad length and next header count 1, 2, 3, ...
constexpr std::size_t kFewPadding = 6;
struct Paddings {
  // By the pad length: which of the last eight octets these are, and what they are; the last one on top.
  std::uint64_t mask[kFewPadding + 1] = {};
  std::uint64_t octets[kFewPadding + 1] = {};
  constexpr Paddings() {
    for (std::size_t padding = 1; padding <= kFewPadding; ++padding) {
      for (std::size_t i = 0; i < padding; ++i) {
        const std::size_t shift = 8 * (kFewPadding - padding + i);
        mask[padding] |= std::uint64_t{0xff} << shift;
        octets[padding] |= (i + 1) << shift;
      }
    }
  }
};
constexpr Paddings kPaddings;
// Pad length and next header.
constexpr std::uint64_t kTrailerMask = std::uint64_t{0xffff} << 48;

[[gnu::noinline]] bool much_padding_counts(const std::uint8_t* end, std::size_t padding) {
  for (std::size_t i = 0; i < padding; ++i) {
    if (*(end - 3 - i) != padding - i) return false;
  }
  return true;
}

// `end` is behind them all; the packet has at least 8 octets in front of it, and as many as the padding says.
[[gnu::always_inline]] inline bool padding_counts(const std::uint8_t* end, std::size_t padding) {
  if (padding > kFewPadding) [[unlikely]]
    return much_padding_counts(end, padding);
  const std::uint64_t last = __builtin_bswap64(load_be64(end - 8));
  return ((last ^ kPaddings.octets[padding]) & kPaddings.mask[padding]) == 0;
}

}  // namespace

void InboundPath::run(std::span<const WireInput> inputs, Instant now, InboundSink& sink) {
  now_ = now;
  // Three rounds of them: one in work, one whose SAs' memory is on its way, one whose places in the table are.
  begin(inputs, ahead_[0]);
  look_up(ahead_[0]);
  begin(inputs, ahead_[1]);
  for (std::size_t turn = 0; !ahead_[turn].inputs.empty();) {
    const std::size_t next = turn == 2 ? 0 : turn + 1;
    const std::size_t after = next == 2 ? 0 : next + 1;
    begin(inputs, ahead_[after]);
    look_up(ahead_[next]);
    prefetch_windows(ahead_[turn]);
    process(ahead_[turn], now, sink);
    turn = next;
  }
  finish_batch(now);
  finish_delivery(sink);
}

// Takes the next ones off `inputs` and asks for their SAs' places in the table. Trains and runs of one SA ask once.
void InboundPath::begin(std::span<const WireInput>& inputs, Ahead& ahead) const {
  const std::size_t count = std::min(inputs.size(), kLookahead);
  ahead.inputs = inputs.first(count);
  ahead.run_count = 0;
  inputs = inputs.subspan(count);
  const WireInput* input = ahead.inputs.data();
  const WireInput* const end = input + count;
  Run* run = ahead.runs.data();
  for (std::uint32_t spi = count == 0 ? 0 : spi_of(*input); input != end; ++run) {
    const WireInput* const first = input;
    run->spi = spi;
    sad_.prefetch_inbound(spi);
    while (++input != end && (spi = spi_of(*input)) == run->spi) {
    }
    run->count = static_cast<std::uint32_t>(input - first);
  }
  ahead.run_count = static_cast<std::size_t>(run - ahead.runs.data());
}

void InboundPath::look_up(Ahead& ahead) const {
  for (Run& run : std::span(ahead.runs.data(), ahead.run_count)) {
    run.sa = run.spi > 255 ? sad_.find_inbound(run.spi) : nullptr;
    if (run.sa == nullptr) continue;
    const auto* const inbound = reinterpret_cast<const std::uint8_t*>(&run.sa->inbound);
    prefetch_to_write(inbound);
    prefetch_to_write(inbound + kCacheLine);
  }
}

void InboundPath::prefetch_windows(const Ahead& ahead) {
  const WireInput* first = ahead.inputs.data();
  for (const Run& run : std::span(ahead.runs.data(), ahead.run_count)) {
    if (run.sa != nullptr) prefetch_to_write(run.sa->inbound.window.place(load_be32(first->bytes.data() + 4)));
    first += run.count;
  }
}

namespace {

[[gnu::always_inline]] inline bool is_train(const WireInput& input) {
  return input.segment_size != 0 && input.segment_size < input.bytes.size();
}
// Octets of text of an ESP packet of this layout, or none when it has the wrong length or is none.
constexpr std::size_t kNoText = ~std::size_t{0};
template <typename Layout>
[[gnu::always_inline]] inline std::size_t text_of(const WireInput& input, std::size_t size, const Layout& layout) {
  if (input.encapsulation != model::Encapsulation::udp && input.protocol != kEsp) return kNoText;
  const std::size_t frame = layout.head() + layout.icv;
  if (size < frame + layout.alignment) return kNoText;
  const std::size_t text_length = size - frame;
  return (text_length & (layout.alignment - std::size_t{1})) != 0 ? kNoText : text_length;
}

// RFC 7296 2.23: it comes from where the SA's peer is. What does not is looked at by itself, once it is opened.
[[gnu::always_inline]] inline bool comes_from_peer(const WireInput& input, const SaPair& sa) {
  const InboundSa& in = sa.inbound;
  if (in.peer != PeerWord::kNone) [[likely]]
    return in.peer == PeerWord::raw(input.path.remote, input.encapsulation);
  return input.encapsulation == sa.params.encapsulation && input.path.remote == sa.params.path.remote;
}

}  // namespace

// Stages 1 to 3. False when the packet has to go the other way. `Layout` is the SA's.
template <typename Layout>
[[gnu::always_inline]] inline bool InboundPath::enqueue_straight(const WireInput& input, MutableByteView packet,
                                                                 SaPair& sa, const Layout& layout) {
  InboundSa& in = sa.inbound;
  const std::size_t text_length = text_of(input, packet.size(), layout);
  if (text_length == kNoText || !comes_from_peer(input, sa)) return false;
  std::uint64_t sequence = 0;
  if (in.window.check_next(load_be32(packet.data() + 4), sequence) != ReplayWindow::Verdict::fresh) return false;
  straight_.data()[batch_.size()].sa = &sa;
  straight_.data()[batch_.size()].input = &input;
  straight_.data()[batch_.size()].tos = input.tos;
  if constexpr (!std::is_same_v<Layout, UsualLayout>) {
    Item& item = items_.data()[batch_.size()];
    item.sa = &sa;
    item.input = &input;
    item.packet = packet;
    item.sequence = sequence;
    item.nested = nullptr;
    item.ah_size = 0;
  }
  batch_.add(in, layout, packet.data(), packet.data() + layout.head(), text_length, sequence);
  return true;
}

[[gnu::always_inline]] inline bool InboundPath::enqueue_straight(const WireInput& input, MutableByteView packet,
                                                                 SaPair& sa) {
  const InboundSa& in = sa.inbound;
  if (in.straight == Straight::no || in.resync.failing()) return false;
  return in.straight == Straight::usual_layout ? enqueue_straight(input, packet, sa, UsualLayout{})
                                               : enqueue_straight(input, packet, sa, EspLayout(in.layout));
}

// What is left to the batch of a packet that came in by `enqueue_straight` with the usual layout.
void InboundPath::complete(std::size_t index) {
  const auto& [sa, input, tos] = straight_[index];
  if (!UsualLayout::is(sa->inbound.layout)) return;
  const crypto::EspJob& job = batch_.usual(index);
  const std::size_t size = UsualLayout::head() + job.length + UsualLayout::icv;
  items_[index] = {.sa = sa, .input = input, .packet = {job.packet, size}, .sequence = job.sequence};
}

// The same for packets of the SA that the last packet of the batch has; answers how many go the straight way. An SA is
// looked at once for all of them.
std::size_t InboundPath::enqueue_run(const WireInput* first, std::size_t count, SaPair& sa) {
  InboundSa& in = sa.inbound;
  if (in.straight != Straight::usual_layout || in.resync.failing()) return 0;
  const std::size_t most = std::min(count, batch_.free_places());
  const std::size_t most_octets = batch_.free_octets();
  std::size_t octets = 0;
  std::size_t number = 0;
  crypto::EspJob* job = batch_.next();
  Straightly* straight = straight_.data() + batch_.size();
  for (; number < most && octets < most_octets; ++number, ++job, ++straight) {
    const WireInput& input = first[number];
    std::uint8_t* const packet = input.bytes.data();
    const std::size_t text_length = text_of(input, input.bytes.size(), UsualLayout{});
    if (text_length == kNoText || is_train(input) || !comes_from_peer(input, sa)) break;
    std::uint64_t sequence = 0;
    if (in.window.check_next(load_be32(packet + 4), sequence) != ReplayWindow::Verdict::fresh) break;
    straight->sa = &sa;
    straight->input = &input;
    straight->tos = input.tos;
    batch_.set(*job, packet, packet + UsualLayout::head(), text_length, sequence);
    octets += text_length;
  }
  if (number != 0) batch_.added(in, number, octets);
  return number;
}

void InboundPath::process(const Ahead& ahead, Instant now, InboundSink& sink) {
  std::size_t first = 0;
  for (const Run& run : std::span(ahead.runs.data(), ahead.run_count)) {
    process_run({ahead.inputs.data() + first, run.count}, run.sa, now, sink);
    first += run.count;
  }
}

[[gnu::always_inline]] inline void InboundPath::process_run(std::span<const WireInput> inputs, SaPair* sa, Instant now,
                                                            InboundSink& sink) {
  const WireInput* const end = inputs.data() + inputs.size();
  for (const WireInput* at = inputs.data(); at != end;) {
    if (sa != nullptr && batch_.goes_on_with(sa->inbound)) {
      if (const std::size_t taken = enqueue_run(at, static_cast<std::size_t>(end - at), *sa); taken != 0) {
        at += taken;
        if (batch_.full()) finish_full_batch(now, sink);
        continue;
      }
    }
    const WireInput& input = *at++;
    if (is_train(input)) {
      process_train(input, sa, now, sink);
      continue;
    }
    if (sa == nullptr || !enqueue_straight(input, input.bytes, *sa)) sort(input, input.bytes, now, sink);
    if (batch_.full()) finish_full_batch(now, sink);
  }
}

void InboundPath::process_train(const WireInput& input, SaPair* sa, Instant now, InboundSink& sink) {
  // The first packet may be gone before the last one is looked at.
  const std::uint32_t spi = spi_of(input);
  for (MutableByteView rest = input.bytes; !rest.empty();) {
    const MutableByteView packet = rest.first(std::min<std::size_t>(input.segment_size, rest.size()));
    rest = rest.subspan(packet.size());
    const bool same = sa != nullptr && packet.size() >= kEspHeaderSize && load_be32(packet.data()) == spi;
    if (!same || !enqueue_straight(input, packet, *sa)) sort(input, packet, now, sink);
    if (batch_.full()) finish_full_batch(now, sink);
  }
}

// RFC 4301 5.2: whether the SA is for this packet.
[[gnu::always_inline]] inline bool InboundPath::admits(const SaPair& sa, const net::PlainPacket& plain,
                                                       const std::uint8_t* inner) const {
  const InboundSa& in = sa.inbound;
  if (in.has_ranges && plain.family() == net::Family::v4) {
    return in.remote.contains(load_be32(inner + 12)) && in.local.contains(load_be32(inner + 16));
  }
  const net::PlainPacket facts = plain;  // so that `plain` may stay in registers
  return sa.params.remote.matches_source(facts, inner) && sa.params.local.matches_destination(facts, inner);
}

// What was found right of one packet of a run holds for those like it, as far as `looks_right` says.
struct InboundPath::Like {
  std::size_t text = 0;          // octets; 0: no packet was right, or is worth being compared with
  std::size_t length = 0;        // of the inner packet and what stands behind it, padding and trailer taken off
  std::size_t total_length = 0;  // of the inner packet
  std::uint8_t next_header = 0;
  // The rest only where there is `text`: the outer TOS, the last octets of the text, which of them matter, the headers.
  std::uint8_t tos;
  std::uint64_t trailer;
  std::uint64_t trailer_mask;
  net::PlainLikeness header;
};

// Stages 6 and 7 for the text from `inner` to `end`; RFC 4303 2.4, RFC 4301 5.2: as in `content_of`, `unwrap_tunnel`
// and `match`. Fills `like`, which is that of the packet in front if it is of the same SA; whole if others may be
// compared with it.
[[gnu::always_inline]] inline bool InboundPath::looks_right(const SaPair& sa, std::uint8_t tos,
                                                            const std::uint8_t* inner, const std::uint8_t* end,
                                                            bool keep, Like& like) const {
  const auto text = static_cast<std::size_t>(end - inner);
  std::uint64_t trailer = 0;
  __builtin_memcpy(&trailer, end - sizeof trailer, sizeof trailer);
  if (text == like.text && ((trailer ^ like.trailer) & like.trailer_mask) == 0 && tos == like.tos &&
      like.header.of({inner, like.length})) {
    return true;
  }
  like.text = 0;
  const std::size_t padding = end[-2];
  const std::uint8_t next_header = end[-1];
  if (padding + kEspTrailerSize > text || !padding_counts(end, padding)) return false;
  const std::size_t length = text - padding - kEspTrailerSize;
  net::PlainPacket plain;
  if (!net::read_plain({inner, length}, plain) || plain.syn) return false;
  const auto protocol = plain.family() == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6;
  if (next_header != static_cast<std::uint8_t>(protocol)) return false;
  if (((plain.tos() ^ tos) & kEcnMask) != 0) return false;
  if (!admits(sa, plain, inner)) return false;
  like.next_header = next_header;
  like.length = length;
  like.total_length = plain.total_length;
  if (keep && plain.family() == net::Family::v4 && padding <= kFewPadding) {
    like.text = text;
    like.tos = tos;
    like.trailer = trailer;
    like.trailer_mask = kPaddings.mask[padding] | kTrailerMask;
    like.header.set({inner, length}, plain);
  }
  return true;
}

// Stages 5 to 8 for packet `first` of the batch and those behind it of the same SA, which has this layout, as far as
// nothing is special about them; answers how many these are. `delivered_to` is where they go without super-packets. RFC
// 4303 3.4.3: as in `admit`.
template <typename Layout>
[[gnu::always_inline]] inline std::size_t InboundPath::take_straight_run(std::size_t first, const Layout& layout,
                                                                         InnerPacket*& delivered_to) {
  SaPair& sa = *straight_[first].sa;
  InboundSa& in = sa.inbound;
  if (!in.last_activity_event.within(kEventInterval, now_)) return 0;
  if (!in.meter.far_from_bounds(batch_.kCapacity, batch_.kCapacity * kMaxInnerPacket)) return 0;
  const std::size_t head = layout.head();
  const std::size_t icv = layout.icv;
  const std::size_t count = batch_.size();
  std::uint64_t packets = 0;
  std::uint64_t octets = 0;
  const bool coalesce = options_.coalesce;
  InnerPacket* to = delivered_to;
  Like like;
  std::uint64_t row = in.window.top();  // received in a row, up to here
  std::size_t i = first;
  for (; i < count; ++i) {
    const Straightly& straight = straight_.data()[i];
    if (straight.sa != &sa || !batch_.ok(i)) break;
    std::uint8_t* inner = nullptr;
    const std::uint8_t* end = nullptr;
    std::uint64_t sequence = 0;
    if constexpr (std::is_same_v<Layout, UsualLayout>) {
      const crypto::EspJob& job = batch_.usual(i);
      inner = job.packet + head;
      end = inner + job.length;
      sequence = job.sequence;
    } else {
      const Item& item = items_.data()[i];
      inner = item.packet.data() + head;
      end = item.packet.data() + item.packet.size() - icv;
      sequence = item.sequence;
    }
    const bool more = i + 1 < count && straight_.data()[i + 1].sa == &sa;
    if (!looks_right(sa, straight.tos, inner, end, more, like)) break;
    // RFC 4303 3.4.3: only now, and again: an earlier packet of this batch may have been the same one.
    if (ReplayWindow::follows(sequence, row)) [[likely]] {
      row = sequence;
    } else {
      in.window.update_row(row);
      const ReplayWindow::Verdict verdict = in.window.update(sequence);
      row = in.window.top();
      if (verdict != ReplayWindow::Verdict::fresh) {
        count_replay(sa, verdict);
        continue;
      }
    }
    if (!coalesce) {
      // Not by way of a view of its own: copying what was just stored in two pieces would wait for the stores.
      to->bytes = {inner, like.total_length};
      ++to;
    } else {
      deliver_straight(sa, *straight.input, {inner, like.length}, like.total_length, like.next_header);
    }
    ++packets;
    octets += like.length;
  }
  delivered_to = to;
  in.window.update_row(row);
  in.meter.count(packets, octets);
  return i - first;
}

// The same for those of any SAs.
std::size_t InboundPath::take_straight(std::size_t first) {
  const std::size_t before = delivery_.size();
  // Room for all that may come.
  if (!options_.coalesce) delivery_.resize(before + batch_.size() - first);
  InnerPacket* delivered_to = delivery_.data() + before;
  const Straightly* const straight = straight_.data();
  const std::size_t count = batch_.size();
  std::size_t i = first;
  while (i < count && straight[i].sa != nullptr) {
    const InboundSa& in = straight[i].sa->inbound;
    if (in.straight == Straight::no || in.resync.has_failed()) break;
    const std::size_t taken = in.straight == Straight::usual_layout ? take_straight_run(i, UsualLayout{}, delivered_to)
                                                                    : take_other_layout(i, delivered_to);
    if (taken == 0) break;
    i += taken;
  }
  if (!options_.coalesce) delivery_.resize(static_cast<std::size_t>(delivered_to - delivery_.data()));
  return i - first;
}

std::size_t InboundPath::take_other_layout(std::size_t first, InnerPacket*& delivered_to) {
  return take_straight_run(first, EspLayout(straight_[first].sa->inbound.layout), delivered_to);
}

// Stage 8 with super-packets.
void InboundPath::deliver_straight(const SaPair& sa, const WireInput& input, MutableByteView payload,
                                   std::size_t length, std::uint8_t next_header) {
  const void* const buffer = input.bytes.data();
  if (&sa == followed_.sa && next_header == followed_.next_header && input.tos == followed_.tos &&
      coalescer_.follow(payload, buffer, delivery_)) {
    return;
  }
  const MutableByteView inner = payload.first(length);
  const auto info = net::parse_packet(inner);
  CHECK(info.has_value());
  coalescer_.add(inner, *info, buffer, delivery_);
  followed_ = {&sa, input.tos, next_header};
}

}  // namespace culvert::ipsec
