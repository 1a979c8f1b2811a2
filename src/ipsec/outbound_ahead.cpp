// OutboundPath's look ahead: what packets are, which flow each belongs to, and where its SA lies, some packets before
// their turn comes. It only reads, and asks for the memory that the next step will want.
#include <algorithm>
#include <bit>
#include <utility>

#include "base/prefetch.hpp"
#include "ipsec/outbound_path.hpp"
#include "net/plain_shape.hpp"

namespace culvert::ipsec {
namespace {

bool is_as_it_is(const Offload& offload) {
  return offload.segmentation == Offload::Segmentation::none && !offload.checksum_partial;
}

// From the one bit up to the other.
std::uint64_t bits(std::size_t from, std::size_t end) {
  const std::uint64_t below = end == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << end) - 1;
  return below & ~std::uint64_t{0} << from;
}

// Where the run of bits ends that begins there.
std::size_t end_of_run(std::uint64_t bits, std::size_t from, std::size_t end) {
  return std::min(end, from + static_cast<std::size_t>(std::countr_one(bits >> from)));
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
  round.parsed = round.halts = round.changes = round.shapes = 0;
  std::uint64_t others = 0;  // neither fresh and of IPv4 nor a twin
  net::PlainShape shape;
  Alikes all;  // of that shape
  const FlowKey none;
  all.before = &none;  // of the packet in front, if it is a plain one of IPv4; else no packet's
  for (std::size_t i = 0; i < count; ++i) {
    const InnerPacket& packet = round.packets.data()[i];
    Ahead& one = round.ahead.data()[i];
    const bool as_it_is = is_as_it_is(packet.offload);
    const bool alike = as_it_is && shape.of(packet.bytes);
    if (!alike) {
      round.shapes |= std::uint64_t{1} << i;
      net::PlainPacket plain;
      const bool is_plain = net::read_plain(packet.bytes, plain);
      shape.clear();
      if (!is_plain || plain.family() != net::Family::v4) {
        others |= std::uint64_t{1} << i;
        classify_other(round, i, is_plain ? &plain : nullptr);
        all.before = &none;
        continue;
      }
      if (as_it_is) shape.set(packet.bytes, plain);
      all.facts = PlainFacts(plain, !as_it_is);
      all.tcp = plain.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp);
      round.longest = std::max(round.longest, all.facts.length());
      all.rest = FlowKey::rest(net::Family::v4, plain.protocol, true);
    }
    const std::uint64_t addresses = FlowKey::v4_addresses(packet.bytes.data());
    const std::uint64_t ports = FlowKey::v4_ports(packet.bytes.data()) | all.rest;
    if (addresses == all.before->words[FlowKey::kV4] && ports == all.before->words[FlowKey::kRest]) {
      if (alike) {
        one.facts = all.facts.as(PlainFacts::Kind::twin);
        i = classify_alike(round, i + 1, all) - 1;
        continue;
      }
      others |= std::uint64_t{1} << i;
      one.facts = all.facts.as(PlainFacts::Kind::repeats);
      one.key.place = all.before->place;
    } else {
      one.facts = all.facts;
      all.fresh |= std::uint64_t{1} << i;
      one.key.place = flows_.locate_v4(addresses, ports);
    }
    one.key.words[FlowKey::kV4] = addresses;
    one.key.words[FlowKey::kRest] = ports;
    all.before = &one.key;
    if (alike) i = classify_alike(round, i + 1, all) - 1;
  }
  round.fresh = all.fresh;
  round.twins = bits(0, count) & ~all.fresh & ~others;
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
void OutboundPath::look_up(Round& round) {
  round.generation = flows_.generation();
  const std::size_t end = round.packets.size();
  SaPair* before = nullptr;  // of the packet in front
  for (std::size_t i = 0; i != end;) {
    if (const std::size_t behind = end_of_run(round.fresh, i, end); behind > i + 1) {
      i = takes_turns() ? look_up_alike(round, i, behind, before) : look_up_fresh(round, i, behind, before);
      if (i == end) return;
    } else if (before != nullptr && (round.twins >> i & 1) != 0) {
      const std::size_t first = std::exchange(i, end_of_run(round.twins, i, end));
      for (std::size_t twin = first; twin != i; ++twin) round.ahead.data()[twin].sa = before;
      round.halts |= bits(first, i);
      continue;
    }
    before = look_up_one(round, i++, before);
  }
}

// The same for the fresh packets of IPv4 from that one up to `end`, as long as their flows are as nearly all are;
// answers where it had to stop.
std::size_t OutboundPath::look_up_fresh(Round& round, std::size_t from, std::size_t end, SaPair*& before) const {
  const FlowCache::ProtectedV4 flows(flows_);
  std::size_t i = from;
  for (Ahead* one = round.ahead.data() + from; i < end; ++i, ++one) {
    SaPair* const sa = flows.find(one->key);
    if (sa == nullptr) [[unlikely]]
      break;
    one->sa = sa;
    if (sa == before) continue;
    round.changes |= std::uint64_t{1} << i;
    prefetch(*sa);
    before = sa;
  }
  return i;
}

// And for any packet: its SA, or null.
SaPair* OutboundPath::look_up_one(Round& round, std::size_t index, SaPair* before) {
  Ahead& one = round.ahead.data()[index];
  const std::uint64_t bit = std::uint64_t{1} << index;
  const bool twin = one.facts.kind() == PlainFacts::Kind::twin;
  if (twin || one.facts.kind() == PlainFacts::Kind::repeats) {
    if (before != nullptr) return one.sa = before;
    if (twin) complete(one);
  }
  SaPair* const sa = known_sa(round, one);
  one.sa = sa;
  if (sa == nullptr) [[unlikely]] {
    round.halts |= bit;
  } else if (sa != before) {
    round.changes |= bit;
    prefetch(*sa);
  }
  return sa;
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
