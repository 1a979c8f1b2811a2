#include "ipsec/aggfrag_outbound.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "net/header_writer.hpp"

namespace culvert::ipsec {
namespace {

// While nothing is known of a path: what every IPv6 path takes (RFC 8200 5).
constexpr std::uint16_t kSafePacketSize = 1280;
constexpr std::size_t kLeastCapacity = 128;
// One call makes at most so many packets of one SA; what is due beyond them is due at once again.
constexpr std::uint32_t kTicksPerCall = 256;

}  // namespace

std::size_t aggfrag_packet_size(const SaPair& sa) {
  if (sa.aggfrag->settings.packet_size != 0) return sa.aggfrag->settings.packet_size;
  return sa.path_mtu.value() != 0 ? sa.path_mtu.value() : kSafePacketSize;
}

std::size_t aggfrag_capacity(const SaPair& sa) {
  const std::size_t size = aggfrag_packet_size(sa);
  const SaParams& params = sa.params;
  const EspLayout& layout = sa.outbound.layout;
  const std::size_t around = net::ip_header_size(params.path.local.address.family()) +
                             (params.encapsulation == model::Encapsulation::udp ? net::kUdpHeaderSize : 0) +
                             layout.head() + layout.icv;
  const std::size_t text = size > around ? (size - around) / layout.alignment * layout.alignment : 0;
  return std::max(text, kLeastCapacity + kEspTrailerSize) - kEspTrailerSize;
}

void AggfragOutbound::add(SaPair& sa, const Segmenter& plan, Instant now, OutboundSink& sink) {
  AggfragSa& state = *sa.aggfrag;
  now_ = now;
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    const std::size_t length = plan.length(i);
    const bool fits = state.settings.dont_fragment ? length + state.packer.header_size() <= aggfrag_capacity(sa)
                                                   : length <= kMaxAggfragBlock;
    if (!fits) {
      drops_.count(DropReason::too_long);
    } else if (state.queues()) {
      enqueue(sa, plan, i);
    } else {
      add_one(sa, plan, i, sink);
    }
  }
  if (state.queues() && !state.paced()) send_full(sa, now, sink);
}

void AggfragOutbound::add_one(SaPair& sa, const Segmenter& plan, std::uint32_t index, OutboundSink& sink) {
  AggfragPacker& packer = sa.aggfrag->packer;
  const std::size_t length = plan.length(index);
  const bool cut_here = !sa.aggfrag->settings.dont_fragment && packer.room() >= AggfragPacker::kMinPiece;
  if (packer.is_open() && length > packer.room() && !cut_here) end(sa, AggfragPacker::kFull);
  if (!packer.is_open() && !begin(sa, sink)) return;
  if (!frames_.admit(sa, length)) return;
  if (length <= packer.room()) {
    plan.write(index, packer.claim(length));
  } else {
    scratch_.resize(kMaxAggfragBlock);
    plan.write(index, scratch_.data());
    send_pieces(sa, ByteView(scratch_).first(length), sink);
  }
  if (packer.is_open() && packer.room() == 0) end(sa, 0);
}

void AggfragOutbound::send_pieces(SaPair& sa, ByteView packet, OutboundSink& sink) {
  AggfragPacker& packer = sa.aggfrag->packer;
  packer.cut(packet.size());
  for (;;) {
    packet = packet.subspan(packer.put(packet));
    if (packet.empty()) return;
    end(sa, AggfragPacker::kFull);
    if (begin(sa, sink)) continue;
    packer.abandon_cut();
    return drops_.count(DropReason::aggfrag_abandoned);
  }
}

void AggfragOutbound::enqueue(SaPair& sa, const Segmenter& plan, std::uint32_t index) {
  const std::size_t length = plan.length(index);
  AggfragQueue& queue = sa.aggfrag->queue;
  if (!queue.has_room(length)) return drops_.count(DropReason::aggfrag_queue_full);
  if (frames_.admit(sa, length)) plan.write(index, queue.push(length));
}

// Takes a number and room for a whole payload. RFC 9347 2.2.3: the numbers of an SA's payloads follow each other, since
// all of them come through here.
bool AggfragOutbound::begin(SaPair& sa, OutboundSink& sink) {
  AggfragSa& state = *sa.aggfrag;
  const EspLayout& layout = sa.outbound.layout;
  const std::size_t capacity = aggfrag_capacity(sa);
  const auto sequence = frames_.number(sa);
  if (!sequence) return false;
  state.sequence = *sequence;
  state.frame = frames_.reserve(layout.sealed(capacity), sink);
  state.packer.open(state.frame + layout.head(), capacity);
  open_.push_back(&sa);
  return true;
}

void AggfragOutbound::end(SaPair& sa, std::size_t at_least) {
  AggfragSa& state = *sa.aggfrag;
  std::erase(open_, &sa);
  const AggfragReport report = state.settings.congestion_control ? state.congestion.report(now_) : AggfragReport{};
  frames_.finish(sa, state.frame, state.packer.close(report, at_least), state.sequence);
}

void AggfragOutbound::close_all() {
  while (!open_.empty()) end(*open_.front(), open_.front()->params.treatment().confidentiality.pad_to);
}

void AggfragOutbound::fill(AggfragSa& state) {
  drops_.count(DropReason::too_long, state.queue.fill(state.packer, state.settings.dont_fragment));
}

// Held: payloads that can be filled leave, the rest waits.
void AggfragOutbound::send_full(SaPair& sa, Instant now, OutboundSink& sink) {
  AggfragSa& state = *sa.aggfrag;
  const std::size_t full = aggfrag_capacity(sa) - state.packer.header_size();
  while (state.queue.size() >= full && begin(sa, sink)) {
    fill(state);
    end(sa, AggfragPacker::kFull);
  }
  if (state.queue.empty()) {
    state.hold_until.reset();
  } else if (!state.hold_until) {
    state.hold_until = now + state.settings.hold;
  }
}

void AggfragOutbound::send_queue(SaPair& sa, OutboundSink& sink) {
  AggfragSa& state = *sa.aggfrag;
  while (!state.queue.empty() && begin(sa, sink)) {
    fill(state);
    end(sa, state.queue.empty() ? sa.params.treatment().confidentiality.pad_to : AggfragPacker::kFull);
  }
  // Without a number for now: they are granted a moment later.
  if (!state.queue.empty()) state.hold_until = now_ + state.settings.hold;
}

// RFC 9347 2: one payload of the fixed size, with what there is.
void AggfragOutbound::tick(SaPair& sa, OutboundSink& sink) {
  AggfragSa& state = *sa.aggfrag;
  if (!begin(sa, sink)) return;
  fill(state);
  end(sa, AggfragPacker::kFull);
}

void AggfragOutbound::watch(const SaPair& sa) {
  if (sa.aggfrag == nullptr) return;
  if (sa.aggfrag->queues() || sa.aggfrag->settings.congestion_control) watched_.push_back(sa.params.id);
}

// A successor stands and takes the traffic over.
bool AggfragOutbound::superseded(const SaPair& sa) const {
  return std::ranges::any_of(watched_, [&](model::ChildSaId id) {
    const SaPair* const other = sad_.find(id);
    return other != nullptr && other->aggfrag->replaces == sa.params.id && other->sends() && !other->held;
  });
}

// False when the pair has no more business with the clock.
bool AggfragOutbound::due(SaPair& sa, Instant now, OutboundSink& sink) {
  AggfragSa& state = *sa.aggfrag;
  if (!sa.sends()) {
    drops_.count(DropReason::aggfrag_abandoned, state.queue.clear());
    state.packer.abandon_cut();
    state.hold_until.reset();
    return false;
  }
  if (sa.held) return true;
  if (state.hold_until && *state.hold_until <= now) {
    state.hold_until.reset();
    send_queue(sa, sink);
  }
  if (state.paced()) {
    // What waits goes out on the SA that it was begun on; then the successor's clock is the only one.
    if (state.queue.empty() && superseded(sa)) return false;
    const double packets = static_cast<double>(state.settings.rate) / static_cast<double>(aggfrag_packet_size(sa));
    Duration interval = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / packets));
    if (state.settings.congestion_control) {
      state.congestion.set_ceiling(packets);
      state.congestion.handle_time(now);
      interval = std::max(interval, state.congestion.interval());
    }
    state.pacer.set_interval(interval);
    for (std::uint32_t ticks = state.pacer.due(now, kTicksPerCall); ticks > 0; --ticks) tick(sa, sink);
  } else if (state.settings.congestion_control) {
    // RFC 9347 2.4.2: the peer hears of its path at least once per round trip, traffic or not.
    if (const auto report = state.congestion.report_due(); report && *report <= now && begin(sa, sink)) end(sa, 0);
  }
  return true;
}

void AggfragOutbound::handle_time(Instant now, OutboundSink& sink) {
  now_ = now;
  for (std::size_t i = 0; i < watched_.size();) {
    SaPair* const sa = sad_.find(watched_[i]);
    if (sa != nullptr && due(*sa, now, sink)) {
      ++i;
    } else {
      watched_.erase(watched_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

std::optional<Instant> AggfragOutbound::deadline_of(const SaPair& sa) {
  const AggfragSa& state = *sa.aggfrag;
  if (!sa.sends()) return Instant::min();  // to drop what waits
  if (sa.held) return std::nullopt;
  if (state.paced()) return state.pacer.next().value_or(Instant::min());
  return earliest(state.hold_until, state.settings.congestion_control ? state.congestion.report_due() : std::nullopt);
}

std::optional<Instant> AggfragOutbound::next_deadline() const {
  std::optional<Instant> next;
  for (const model::ChildSaId id : watched_) {
    const SaPair* const sa = sad_.find(id);
    next = earliest(next, sa == nullptr ? Instant::min() : deadline_of(*sa));
  }
  return next;
}

}  // namespace culvert::ipsec
