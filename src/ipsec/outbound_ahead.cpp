// OutboundPath's look ahead: what packets are, which flow each belongs to, and where its SA lies, some packets before
// their turn comes. It only reads, and asks for the memory that the next step will want.
#include <algorithm>
#include <utility>

#include "base/prefetch.hpp"
#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

bool is_as_it_is(const Offload& offload) {
  return offload.segmentation == Offload::Segmentation::none && !offload.checksum_partial;
}

}  // namespace

// Stage 1: classify. Takes the next packets off `packets`. This and the two below each ask for the memory that the next
// one needs.
void OutboundPath::classify(std::span<const InnerPacket>& packets, Round& round) {
  const std::size_t count = std::min(packets.size(), kLookahead);
  round.packets = packets.first(count);
  packets = packets.subspan(count);
  bool has_v6 = false;
  const InnerPacket* packet = round.packets.data();
  const Ahead* before = nullptr;  // the packet in front, or that whose twin it is, if it is a plain one of IPv4
  net::PlainLikeness likeness;
  Ahead* const first = round.ahead.data();
  for (Ahead* one = first; one != first + count; ++one, ++packet) {
    one->info = nullptr;
    one->twin = likeness.of(packet->bytes) && is_as_it_is(packet->offload);
    if (one->twin) {
      one->repeats = true;
      one->is_plain = true;
      continue;
    }
    one->repeats = false;
    likeness.clear();
    net::PlainPacket plain;
    one->is_plain = net::read_plain(packet->bytes, plain);
    if (!one->is_plain) {
      one->info = &round.infos[static_cast<std::size_t>(one - first)];
      *one->info = net::parse_packet(packet->bytes);
      before = nullptr;
      if (!*one->info) continue;
      one->key = key_of(**one->info);
      has_v6 |= !one->key.is_v4();
      continue;
    }
    one->plain = plain;
    one->key.set(plain, packet->bytes.data());
    if (plain.family() == net::Family::v6) {
      has_v6 = true;
      before = nullptr;
    } else {
      likeness.set(packet->bytes, plain);
      one->repeats = before != nullptr && one->key.same_v4(before->key);
      if (one->repeats) one->key.hash = before->key.hash;
      before = one;
      if (one->repeats) continue;
    }
    flows_.locate(one->key);
  }
  round.has_v6 = has_v6;
}

// What a twin has in common with those in front.
void OutboundPath::complete(Ahead& twin) {
  const Ahead* first = &twin;
  while (first->twin) --first;
  twin.key = first->key;
  twin.plain = first->plain;
  twin.twin = false;
}

void OutboundPath::peek(const Round& round) const {
  if (!round.has_v6) return;  // the flow cache has nothing to peek at
  for (std::size_t i = 0; i < round.packets.size(); ++i) {
    const Ahead& one = round.ahead[i];
    if (!one.repeats && (one.is_plain || *one.info)) flows_.peek(one.key);
  }
}

// What of stage 2 only reads. What the flow cache does not know will be looked up, so its memory is asked for as well.
void OutboundPath::look_up(Round& round, std::size_t from) {
  if (from == 0) round.generation = flows_.generation();
  const std::size_t end = std::min(from + kSaLookahead, round.packets.size());
  Ahead* const all = round.ahead.data();
  SaPair* before = from == 0 || from >= end ? nullptr : all[from - 1].sa;  // of the packet in front
  for (std::size_t i = from; i < end; ++i) {
    Ahead& one = all[i];
    if (one.repeats && before != nullptr) {
      one.sa = before;
      continue;
    }
    const SaPair* const last = std::exchange(before, nullptr);
    one.sa = nullptr;
    if (one.twin) complete(one);
    if (one.info != nullptr && !*one.info) continue;
    const FlowEntry* const known = flows_.find_entry(one.key);
    if (known != nullptr) {
      if (!one.is_plain || known->action() != PolicyAction::protect) continue;
      one.sa = before = known->sa;
      if (before != nullptr && before != last) prefetch(*before);  // null: another engine's
      continue;
    }
    if (one.info == nullptr) {
      one.info = &round.infos[i];
      *one.info = net::parse_packet(round.packets[i].bytes);
    }
    spd_.table().prefetch_outbound(**one.info);
  }
}

// The lines that a plain packet touches.
void OutboundPath::prefetch(const SaPair& sa) {
  const auto* const outbound = reinterpret_cast<const std::uint8_t*>(&sa.outbound);
  prefetch_to_write(outbound);
  prefetch_to_write(outbound + kCacheLine);
  culvert::prefetch(&sa.params);
}

FlowKey OutboundPath::key_of(const net::PacketInfo& info) const {
  FlowKey key = FlowKey::of(info);
  flows_.locate(key);
  return key;
}

}  // namespace culvert::ipsec
