#include "ipsec/aggfrag_receiver.hpp"

#include <algorithm>

namespace culvert::ipsec {
namespace {

using Kind = AggfragBlock::Kind;

void append(Bytes& to, ByteView octets) { to.insert(to.end(), octets.begin(), octets.end()); }

}  // namespace

AggfragReceiver::AggfragReceiver(std::uint16_t reorder_window) : window_(std::min(reorder_window, kMaxWindow)) {
  held_.resize(std::size_t{window_} + 1);
}

void AggfragReceiver::receive(std::uint64_t sequence, std::optional<MutableByteView> payload, Instant now,
                              AggfragOutput& output) {
  if (!started_) {
    started_ = true;
    // An SA's numbers start at 1. Who joins later starts with what comes.
    if (sequence > std::uint64_t{window_} + 1) next_ = sequence;
  }
  // RFC 9347 2.2.3: what the window has passed by is dropped.
  if (sequence < next_ || (sequence != next_ && sequence - next_ <= window_ && is_held(sequence))) {
    return output.dropped(DropReason::aggfrag_late);
  }
  if (sequence - next_ > window_) advance_to(sequence - window_, output);
  while (sequence != next_ && held_octets_ + (payload ? payload->size() : 0) > kMaxHeld) advance_to(next_ + 1, output);
  if (sequence != next_) return hold(sequence, payload, now);
  take(payload, true, output);
  ++next_;
  drain(output);
}

void AggfragReceiver::expire(Instant now, AggfragOutput& output) {
  while (held_count_ != 0 && now - gap_since_ >= kLostAfter) {
    std::uint64_t first = next_ + 1;
    while (!is_held(first)) ++first;
    advance_to(first, output);
  }
}

std::optional<Instant> AggfragReceiver::next_deadline() const {
  if (held_count_ == 0) return std::nullopt;
  return gap_since_ + kLostAfter;
}

void AggfragReceiver::hold(std::uint64_t sequence, std::optional<MutableByteView> payload, Instant now) {
  if (held_count_++ == 0) gap_since_ = now;
  Held& held = slot(sequence);
  held.used = true;
  held.has_payload = payload.has_value();
  held.arrived = now;
  if (payload) held.payload.assign(payload->begin(), payload->end());
  held_octets_ += held.payload.size();
}

// Makes it the turn of `sequence`, or of a later number where what was held reaches further: earlier ones are taken or
// lost.
void AggfragReceiver::advance_to(std::uint64_t sequence, AggfragOutput& output) {
  while (next_ < sequence) {
    if (held_count_ == 0) {
      lose(sequence - next_, output);
      break;
    }
    if (is_held(next_)) {
      take_held(output);
    } else {
      lose(1, output);
    }
  }
  drain(output);
}

void AggfragReceiver::take_held(AggfragOutput& output) {
  Held& held = slot(next_);
  held.used = false;
  --held_count_;
  held_octets_ -= held.payload.size();
  take(held.has_payload ? std::optional<MutableByteView>(held.payload) : std::nullopt, false, output);
  held.payload.clear();
  ++next_;
}

void AggfragReceiver::drain(AggfragOutput& output) {
  while (is_held(next_)) take_held(output);
  if (held_count_ == 0) return;
  std::uint64_t first = next_ + 1;
  while (!is_held(first)) ++first;
  gap_since_ = slot(first).arrived;
}

void AggfragReceiver::lose(std::uint64_t count, AggfragOutput& output) {
  next_ += count;
  output.lost(count);
  drop_partial(DropReason::aggfrag_incomplete, output);
}

void AggfragReceiver::drop_partial(DropReason reason, AggfragOutput& output) {
  if (partial_.empty()) return;
  partial_.clear();
  output.dropped(reason);
}

// One outer packet in its turn.
void AggfragReceiver::take(std::optional<MutableByteView> payload, bool in_place, AggfragOutput& output) {
  if (!payload) return;
  const auto header = parse_aggfrag_header(*payload);
  if (!header) {
    output.dropped(DropReason::aggfrag_malformed);
    return drop_partial(DropReason::aggfrag_incomplete, output);
  }
  const MutableByteView blocks = payload->subspan(header->size());
  // RFC 9347 2.2.4: no data blocks at all, only the report.
  if (blocks.empty()) return;
  const bool starts_a_block = header->block_offset == 0;
  // RFC 9347 2.2.3: an all-pad payload may stand between the pieces of a packet.
  if (starts_a_block && look_at_block(blocks).kind == Kind::pad) return;
  std::size_t at = 0;
  if (!partial_.empty()) {
    at = resume(blocks, header->block_offset, output);
  } else if (!starts_a_block) {
    // The end of a packet whose beginning did not come.
    if (header->block_offset <= blocks.size()) output.dropped(DropReason::aggfrag_incomplete);
    at = std::min<std::size_t>(header->block_offset, blocks.size());
  }
  take_blocks(blocks, at, in_place, output);
}

// Goes on with the packet in `partial_`; answers where the next block begins.
std::size_t AggfragReceiver::resume(ByteView blocks, std::size_t block_offset, AggfragOutput& output) {
  const std::size_t next_block = std::min(block_offset, blocks.size());
  // Its length may be cut apart, too.
  std::size_t used = 0;
  const std::size_t enough = octets_to_length(partial_[0]);
  if (partial_.size() < enough) {
    used = std::min(enough - partial_.size(), blocks.size());
    append(partial_, blocks.first(used));
  }
  const AggfragBlock block = look_at_block(partial_);
  const bool still_unknown = block.kind == Kind::unknown;
  // RFC 9347 2.5: a BlockOffset and an inner packet that do not agree are survived; the packet is dropped.
  const std::size_t had = partial_.size() - used;
  const bool agrees =
      still_unknown ? block_offset > blocks.size() : block.kind == Kind::packet && block_offset == block.length - had;
  if (!agrees) {
    drop_partial(DropReason::aggfrag_malformed, output);
    return next_block;
  }
  if (still_unknown) return blocks.size();
  append(partial_, blocks.subspan(used, next_block - used));
  if (partial_.size() == block.length) {
    output.inner_packet(partial_, false);
    partial_.clear();
  }
  return next_block;
}

void AggfragReceiver::take_blocks(MutableByteView blocks, std::size_t at, bool in_place, AggfragOutput& output) {
  while (at < blocks.size()) {
    const MutableByteView rest = blocks.subspan(at);
    const AggfragBlock block = look_at_block(rest);
    if (block.kind == Kind::pad) return;
    if (block.kind == Kind::bad) return output.dropped(DropReason::aggfrag_malformed);
    if (block.kind == Kind::unknown || block.length > rest.size()) {
      append(partial_, rest);
      return;
    }
    output.inner_packet(rest.first(block.length), in_place);
    at += block.length;
  }
}

}  // namespace culvert::ipsec
