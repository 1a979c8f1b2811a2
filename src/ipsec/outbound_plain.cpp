// OutboundPath's straight way: plain packets of known flows into ESP in tunnel mode. Nothing is copied: the trailer is
// written behind the inner packet, in its tailroom, and the cipher reads there and writes into the send region.
#include <algorithm>
#include <cstring>
#include <limits>

#include "ipsec/mss_clamp.hpp"
#include "ipsec/outbound_path.hpp"
#include "net/header_writer.hpp"

namespace culvert::ipsec {
namespace {

// RFC 4303 2.4: the longest padding is 255, but no cipher asks for more than a block.
static_assert(kInnerTailroom >= 16 + kEspTrailerSize);

// The packet is of one piece, and its checksum is there or can be completed where it stands.
bool fits_in_one(const Offload& offload, const PlainFacts& facts) {
  if (offload.segmentation != Offload::Segmentation::none) return false;
  return !offload.checksum_partial ||
         partial_checksum_fits(offload, net::ip_header_size(facts.family()), facts.length());
}

bool is_clamped(const SaPair& sa, const PlainFacts& facts) {
  return facts.syn() && (facts.family() == net::Family::v4 ? sa.mss_v4 : sa.mss_v6) != 0;
}

// The transport protocol of a plain packet.
std::uint8_t protocol_of(const std::uint8_t* packet, net::Family family) {
  return packet[family == net::Family::v4 ? 9 : 6];
}

// As OutboundPath::write_around, with room behind the trailer for a whole word (kInnerTailroom).
[[gnu::always_inline]] inline void write_usual_around(std::uint32_t spi, std::uint8_t* at, std::uint8_t* behind,
                                                      std::uint64_t trailer, std::uint64_t sequence) {
  // The lower half of the number comes to stand in the header, the SPI over the upper one.
  store_be64(at, sequence);
  store_be32(at, spi);
  store_be64(at + kEspHeaderSize, sequence);
  std::memcpy(behind, &trailer, sizeof trailer);
}

// Bounds and numbers are looked at here, and then not for so many packets as stay far from all of them.
[[gnu::noinline]] bool allow_unwatched(OutboundSa& out) {
  static_assert(kMaxInnerPacket <= 65535);
  out.unwatched.end(out.meter);
  out.unwatched.allow(
      std::min({out.meter.far_packets(kMaxInnerPacket), out.sequence.quiet_left(), UnwatchedRun::kMost}));
  return out.unwatched.left() != 0;
}

// Whether the packet goes the straight way over its SA, which is far from any bound.
bool goes_straight(const InnerPacket& packet, const PlainFacts& facts, SaPair& sa) {
  OutboundSa& out = sa.outbound;
  if (out.straight == Straight::no || facts.length() > out.longest_inner || is_clamped(sa, facts)) return false;
  if (!fits_in_one(packet.offload, facts)) return false;
  return out.unwatched.left() != 0 || allow_unwatched(out);
}

// Whether the SA has that OutboundSa::state. The pool may have taken the mark of use off since the last packet.
[[gnu::always_inline]] inline bool has_state(OutboundSa& out, std::uint64_t state) {
  if (out.state() == state) [[likely]]
    return true;
  out.cipher.mark_used();
  return out.state() == state;
}

}  // namespace

// Stages 3 to 5. `Layout` is the SA's.
template <typename Layout>
void OutboundPath::protect_plain(const InnerPacket& packet, const PlainFacts& facts, SaPair& sa, const Layout& layout,
                                 OutboundSink& sink) {
  OutboundSa& out = sa.outbound;
  const std::uint64_t sequence = out.sequence.take_quietly();
  std::uint8_t* const inner = packet.bytes.data();
  const std::size_t length = facts.length();
  out.unwatched.take(1, length);
  if (packet.offload.checksum_partial) {
    complete_checksum({inner, length}, packet.offload.checksum_start,
                      std::size_t{packet.offload.checksum_start} + packet.offload.checksum_offset,
                      protocol_of(inner, facts.family()));
  }
  const std::size_t padded = layout.padded(length);
  const std::size_t sealed = layout.head() + padded + layout.icv;
  std::uint8_t* const at = reserve(sealed, 0, sink);
  const auto next_header = facts.family() == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6;
  write_around(out, layout, at, inner + length, length, static_cast<std::uint8_t>(next_header), sequence);
  batch_.add(out, layout, at, inner, padded, sequence);
  add_to_train(sa, outer_of(*sa.params.profile, facts).fields, at, sealed);
}

// Stages 3 to 5 for the packets from number `from` on that ask for no look at anything: plain ones of SAs with the
// usual layout that are far from any bound, as long as batch and region have room. An empty batch will be one of
// several SAs if the first two packets are. Answers where it had to stop.
std::size_t OutboundPath::protect_usual(const Round& round, std::size_t from, std::size_t end, OutboundSink& sink) {
  const Ahead* one = round.ahead.data() + from;
  if (one->sa == nullptr || aggfrag_.open() != 0) return from;
  if (region_.empty()) open_region(sink);
  // Room is counted by the longest packet of the round, so that no packet has to be asked.
  const std::size_t longest = UsualLayout::sealed(round.longest);
  if (batch_.full() || (batch_.size() != 0 && batch_.free_octets() < longest)) seal();
  const bool mixed = batch_.size() == 0 ? (round.changes >> 1 >> from & 1) != 0 : batch_.mixed_with(one->sa->outbound);
  // Up to the next packet that is not for here, and in a batch of one SA up to the next one of another.
  const std::uint64_t stops = (round.halts | (mixed ? 0 : round.changes)) >> 1 >> from;
  end = std::min(
      {end, from + 1 + static_cast<std::size_t>(std::countr_zero(stops)), from + batch_.free_places_if(mixed)});
  const std::size_t room = std::min(region_.size() - region_used_, batch_.free_octets());
  if ((end - from) * longest > room) end = from + room / longest;
  std::uint8_t* const at = region_.data() + region_used_;
  WireTrain* const first_train = trains_.make_room(kLookahead);
  Stretch stretch{.one = one,
                  .packet = round.packets.data() + from,
                  .at = at,
                  .job = batch_.next(),
                  .train = first_train,
                  .train_sa = train_end_ == at ? train_sa_ : nullptr,
                  .keys_end = batch_.keys_end(mixed),
                  .state = OutboundSa::usual_state(batch_.family(one->sa->outbound), coarse_tick(now_))};
  if (const std::size_t turns = turns_from(round, from); mixed && turns > 1 && stretch.train_sa != one->sa) {
    protect_turns(stretch, one + std::min(turns, end - from));
  }
  wants_params_ = stretch.one != one + (end - from);
  protect_rest(stretch, one + (end - from));
  const auto count = static_cast<std::size_t>(stretch.one - one);
  if (count == 0) return from;
  const auto octets = static_cast<std::size_t>(stretch.at - at);
  batch_.added(count, octets - count * (UsualLayout::head() + UsualLayout::icv), mixed);
  trains_.added(static_cast<std::size_t>(stretch.train - first_train));
  region_used_ += octets;
  train_sa_ = stretch.train_sa;
  train_fields_ = outer_memo_.fields;  // the last packet's
  train_end_ = train_sa_ == nullptr ? nullptr : stretch.at;
  return from + count;
}

// How many packets from there on are of one shape, and each of another SA than the one in front.
std::size_t OutboundPath::turns_from(const Round& round, std::size_t from) {
  return static_cast<std::size_t>(
      std::min(std::countr_one(round.changes >> from), 1 + std::countr_zero(round.shapes >> 1 >> from)));
}

// The packets of protect_usual, up to `end` or where it has to stop.
[[gnu::always_inline]] inline void OutboundPath::protect_rest(Stretch& stretch, const Ahead* end) {
  const Ahead* one = stretch.one;
  const InnerPacket* packet = stretch.packet;
  std::uint8_t* at = stretch.at;
  crypto::EspJob* job = stretch.job;
  WireTrain* train = stretch.train;
  const SaPair* train_sa = stretch.train_sa;
  for (; one != end; ++one, ++packet, ++job) {
    SaPair& sa = *one->sa;
    OutboundSa& out = sa.outbound;
    const std::size_t length = one->facts.marked_length();
    if (!has_state(out, stretch.state) || length > out.longest_usual || !out.unwatched.take_one(length)) [[unlikely]]
      break;
    const std::size_t padded = UsualLayout::padded(length);
    const std::size_t sealed = UsualLayout::head() + padded + UsualLayout::icv;
    const std::uint64_t sequence = out.sequence.take_quietly();
    std::uint8_t* const inner = packet->bytes.data();
    write_usual_around(out.spi, at, inner + length, one->facts.trailer(), sequence);
    batch_.set(*job, out, at, inner, padded, sequence);
    job->cipher = out.cipher.ready_and_used();
    if (padded > crypto::EspJob::kShortText || job < stretch.keys_end) out.cipher.prefetch(padded);
    const TrainWord word = outer_of(*sa.params.profile.get(), one->facts).word.with(sa.params.encapsulation);
    const bool same = train_sa == &sa && TrainWord::of(train[-1]) == word.with_segment(train[-1].segment_size);
    if (same && grows(train[-1], sealed)) {
      if (train[-1].segment_size != sealed) train_sa = nullptr;  // a shorter packet closes it
    } else {
      begin_train(*train++, sa, word, at, sealed);
      train_sa = &sa;
    }
    at += sealed;
  }
  stretch.one = one;
  stretch.at = at;
  stretch.job = job;
  stretch.train = train;
  stretch.train_sa = train_sa;
}

// Stages 3 to 5 for packets behind one that went as usual, and like it; answers how many went. What was found out about
// that one holds for them, so they are numbered, counted and sent as one.
std::size_t OutboundPath::protect_twins(const InnerPacket* packet, std::size_t count, const PlainFacts& facts,
                                        SaPair& sa) {
  OutboundSa& out = sa.outbound;
  const std::size_t length = facts.length();
  const std::size_t padded = UsualLayout::padded(length);
  const std::size_t sealed = UsualLayout::head() + padded + UsualLayout::icv;
  std::uint8_t* at = region_.data() + region_used_;
  if (train_sa_ != &sa || train_end_ != at || trains_.back().segment_size != sealed) return 0;
  WireTrain& train = trains_.back();
  const std::size_t free = std::min(most_in_train(sealed) - train.bytes.size(), region_.size() - region_used_);
  const std::size_t number =
      std::min({count, std::size_t{out.unwatched.left()}, batch_.free_places(padded),
                static_cast<std::size_t>(static_cast<std::uint32_t>(free) / static_cast<std::uint32_t>(sealed))});
  if (number == 0) return 0;
  out.unwatched.take(number, number * length);
  std::uint64_t sequence = out.sequence.take_quietly(static_cast<std::uint32_t>(number));
  const std::uint32_t spi = out.spi;
  const std::uint64_t trailer = facts.trailer();
  crypto::PacketCipher* const cipher = out.cipher.ready();
  crypto::EspJob* job = batch_.next();
  for (const InnerPacket* const end = packet + number; packet != end; ++packet, ++job, ++sequence, at += sealed) {
    std::uint8_t* const inner = packet->bytes.data();
    write_usual_around(spi, at, inner + length, trailer, sequence);
    batch_.set(*job, out, at, inner, padded, sequence);
    job->cipher = cipher;
  }
  batch_.added(out, number, number * padded);
  region_used_ += number * sealed;
  train_end_ = at;
  train.bytes = {train.bytes.data(), train.bytes.size() + number * sealed};
  return number;
}

// Stages 2 to 5 for a round.
void OutboundPath::process(Round& round, Instant now, OutboundSink& sink) {
  // What was decided ahead holds as long as no packet in between has closed its SA.
  bool decided = flows_.generation() == round.generation;
  const Ahead* const ahead = round.ahead.data();
  const std::size_t end = round.packets.size();
  for (std::size_t i = 0; i < end;) {
    const std::size_t begin = i;
    if (decided) i = protect_usual(round, i, end, sink);
    if (i == begin) {
      process_one(round, i++, decided, now, sink);
      continue;
    }
    const std::size_t behind = i;
    while (i < end && ahead[i].facts.kind() == PlainFacts::Kind::twin) ++i;
    if (i != behind) {
      i = behind + protect_twins(round.packets.data() + behind, i - behind, ahead[behind].facts, *ahead[behind - 1].sa);
    }
  }
}

void OutboundPath::process_one(Round& round, std::size_t index, bool& decided, Instant now, OutboundSink& sink) {
  Ahead& one = round.ahead[index];
  const InnerPacket& packet = round.packets[index];
  if (one.facts.kind() == PlainFacts::Kind::twin) complete(one);
  SaPair* const sa = one.sa;
  if (sa == nullptr || !decided || !goes_straight(packet, one.facts, *sa)) {
    process(packet, parse(round, index), one.key, now, now, sink);
    decided = flows_.generation() == round.generation;
    return;
  }
  OutboundSa& out = sa->outbound;
  if (out.straight == Straight::usual_layout) {
    protect_plain(packet, one.facts, *sa, UsualLayout{}, sink);
  } else {
    protect_plain(packet, one.facts, *sa, EspLayout(out.layout), sink);
  }
  if (const std::uint32_t tick = coarse_tick(now); out.silence_tick() != tick) {
    out.set_silence_tick(tick);
    watch_silence(*sa);
  }
}

}  // namespace culvert::ipsec
