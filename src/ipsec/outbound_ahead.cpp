// OutboundPath's look ahead: what packets are, which flow each belongs to, and where its SA lies, some packets before
// their turn comes. It only reads, and asks for the memory that the next step will want.
#include <algorithm>
#include <utility>

#include "base/prefetch.hpp"
#include "ipsec/outbound_path.hpp"
#include "net/plain_shape.hpp"

namespace culvert::ipsec {
namespace {

bool is_as_it_is(const Offload& offload) {
  return offload.segmentation == Offload::Segmentation::none && !offload.checksum_partial;
}

}  // namespace

// Stage 1: classify. Takes the next packets off `packets`. This and the two below each ask for the memory that the next
// one needs. What is plain and of IPv4 is done here, and of packets of one shape just the flow is read.
void OutboundPath::classify(std::span<const InnerPacket>& packets, Round& round) {
  const std::size_t count = std::min(packets.size(), kLookahead);
  round.packets = packets.first(count);
  packets = packets.subspan(count);
  round.has_v6 = false;
  round.longest = 0;
  round.parsed = round.halts = round.changes = 0;
  net::PlainShape shape;
  PlainFacts facts;        // of that shape
  std::uint64_t rest = 0;  // of the flow key, likewise
  const FlowKey none;
  const FlowKey* before = &none;  // of the packet in front, if it is a plain one of IPv4; else no packet's
  for (std::size_t i = 0; i < count; ++i) {
    const InnerPacket& packet = round.packets.data()[i];
    Ahead& one = round.ahead.data()[i];
    const bool as_it_is = is_as_it_is(packet.offload);
    const bool alike = as_it_is && shape.of(packet.bytes);
    if (!alike) {
      net::PlainPacket plain;
      const bool is_plain = net::read_plain(packet.bytes, plain);
      shape.clear();
      if (!is_plain || plain.family() != net::Family::v4) {
        classify_other(round, i, is_plain ? &plain : nullptr);
        before = &none;
        continue;
      }
      if (as_it_is) shape.set(packet.bytes, plain);
      facts = PlainFacts(plain, !as_it_is);
      round.longest = std::max(round.longest, facts.length());
      rest = FlowKey::rest(net::Family::v4, plain.protocol, true);
    }
    const std::uint64_t addresses = FlowKey::v4_addresses(packet.bytes.data());
    const std::uint64_t ports = FlowKey::v4_ports(packet.bytes.data()) | rest;
    if (addresses == before->words[0] && ports == before->words[4]) {
      if (alike) {
        one.facts = facts.as(PlainFacts::Kind::twin);
        continue;
      }
      one.facts = facts.as(PlainFacts::Kind::repeats);
      one.key.place = before->place;
    } else {
      one.facts = facts;
      one.key.place = flows_.locate_v4(addresses, ports);
    }
    one.key.words[0] = addresses;
    one.key.words[4] = ports;
    before = &one.key;
  }
}

// What is of IPv6, or not `plain`.
void OutboundPath::classify_other(Round& round, std::size_t index, const net::PlainPacket* plain) const {
  Ahead& one = round.ahead[index];
  const InnerPacket& packet = round.packets[index];
  if (plain != nullptr) {
    round.has_v6 = true;
    one.facts = PlainFacts(*plain, !is_as_it_is(packet.offload));
    round.longest = std::max(round.longest, one.facts.length());
    one.key.set_v6(*plain, packet.bytes.data());
    flows_.locate(one.key);
    return;
  }
  one.facts = {};
  const Info& info = parse(round, index);
  if (!info) return;
  one.key = key_of(*info);
  round.has_v6 |= !one.key.is_v4();
}

// What a twin has in common with those in front.
void OutboundPath::complete(Ahead& twin) {
  const Ahead* first = &twin;
  while (first->facts.kind() == PlainFacts::Kind::twin) --first;
  twin.key = first->key;
  twin.facts = twin.facts.as(PlainFacts::Kind::fresh);
}

void OutboundPath::peek(const Round& round) const {
  if (!round.has_v6) return;  // the flow cache has nothing to peek at
  for (std::size_t i = 0; i < round.packets.size(); ++i) {
    const Ahead& one = round.ahead[i];
    if (one.facts.kind() == PlainFacts::Kind::fresh || ((round.parsed >> i & 1) != 0 && round.infos[i])) {
      flows_.peek(one.key);
    }
  }
}

// What of stage 2 only reads. What the flow cache does not know will be looked up, so its memory is asked for as well.
void OutboundPath::look_up(Round& round, std::size_t from) {
  if (from == 0) round.generation = flows_.generation();
  const std::size_t end = std::min(from + kSaLookahead, round.packets.size());
  if (from >= end) return;
  Ahead* one = round.ahead.data() + from;
  SaPair* before = from == 0 ? nullptr : one[-1].sa;  // of the packet in front
  std::uint64_t halts = 0;
  std::uint64_t changes = 0;
  for (std::uint64_t bit = std::uint64_t{1} << from; one != round.ahead.data() + end; ++one, bit <<= 1) {
    if (one->facts.kind() >= PlainFacts::Kind::repeats) {
      const bool twin = one->facts.kind() == PlainFacts::Kind::twin;
      if (before != nullptr) {
        one->sa = before;
        if (twin) halts |= bit;
        continue;
      }
      if (twin) complete(*one);
    }
    SaPair* const sa = known_sa(round, *one);
    one->sa = sa;
    if (sa == nullptr) [[unlikely]] {
      halts |= bit;
    } else if (sa != before) {
      changes |= bit;
      prefetch(*sa);
    }
    before = sa;
  }
  round.halts |= halts;
  round.changes |= changes;
}

// The SA of a plain packet of a known flow.
[[gnu::always_inline]] inline SaPair* OutboundPath::known_sa(Round& round, const Ahead& one) {
  if (one.facts.kind() != PlainFacts::Kind::other) [[likely]] {
    const FlowEntry* const known = flows_.find_entry(one.key);
    // Null: another engine's.
    if (known != nullptr) [[likely]]
      return known->action() == PolicyAction::protect ? known->sa : nullptr;
  }
  look_up_unknown(round, static_cast<std::size_t>(&one - round.ahead.data()));
  return nullptr;
}

[[gnu::noinline]] void OutboundPath::look_up_unknown(Round& round, std::size_t index) {
  const Info& info = parse(round, index);
  if (info && flows_.find_entry(round.ahead[index].key) == nullptr) spd_.table().prefetch_outbound(*info);
}

// What `parse_packet` says of it.
const OutboundPath::Info& OutboundPath::parse(Round& round, std::size_t index) {
  Info& info = round.infos[index];
  const std::uint64_t bit = std::uint64_t{1} << index;
  if ((round.parsed & bit) == 0) info = net::parse_packet(round.packets[index].bytes);
  round.parsed |= bit;
  return info;
}

// The lines that a usual packet touches.
void OutboundPath::prefetch(const SaPair& sa) {
  prefetch_to_write(&sa.outbound);
  culvert::prefetch(&sa.params);
}

FlowKey OutboundPath::key_of(const net::PacketInfo& info) const {
  FlowKey key = FlowKey::of(info);
  flows_.locate(key);
  return key;
}

}  // namespace culvert::ipsec
