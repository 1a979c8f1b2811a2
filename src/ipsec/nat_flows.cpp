#include "ipsec/nat_flows.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "ipsec/icmp_error.hpp"
#include "ipsec/sa.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/spd.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr unsigned kPortTries = 128;
constexpr std::uint16_t kFirstPort = 1024;

// Where the field that stands for a port is, and the checksum over it.
struct PortPlace {
  std::size_t source = 0;
  std::size_t destination = 0;
  std::size_t checksum = 0;
};

bool is_echo(const net::PacketInfo& info) {
  if (!info.ports_visible) return false;
  const unsigned type = info.source_port >> 8;
  const bool v4 = info.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmp);
  const bool v6 = info.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmpv6);
  return (v4 && (type == 8 || type == 0)) || (v6 && (type == 128 || type == 129));
}

// Nothing where ports cannot be changed: there are none, or they are not in the packet, or a checksum is over all of
// it.
std::optional<PortPlace> port_place(ByteView packet, const net::PacketInfo& info) {
  if (!info.ports_visible || info.is_later_fragment) return std::nullopt;
  PortPlace place;
  if (is_echo(info)) {
    place = {4, 4, 2};
  } else if (info.protocol == static_cast<std::uint8_t>(net::IpProtocol::udp) ||
             info.protocol == static_cast<std::uint8_t>(net::IpProtocol::udp_lite)) {
    place = {0, 2, 6};
  } else if (info.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp)) {
    place = {0, 2, 16};
  } else {
    return std::nullopt;
  }
  const std::size_t need = std::max(place.source, place.checksum) + 2;
  if (info.header_length + need > packet.size()) return std::nullopt;
  return place;
}

// RFC 1624 3. A UDP checksum of zero is none.
void set_port(std::uint8_t* at, std::size_t field, std::size_t checksum, bool udp, bool sum_is_partial,
              std::uint16_t port) {
  const std::uint16_t before = load_be16(at + field);
  store_be16(at + field, port);
  const std::uint16_t old = load_be16(at + checksum);
  if (sum_is_partial || (udp && old == 0)) return;
  std::uint32_t sum = static_cast<std::uint16_t>(~old);
  sum += static_cast<std::uint16_t>(~before);
  sum += port;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  const auto fresh = static_cast<std::uint16_t>(~sum);
  store_be16(at + checksum, udp && fresh == 0 ? 0xffff : fresh);
}

bool is_udp(const net::PacketInfo& info) { return info.protocol == static_cast<std::uint8_t>(net::IpProtocol::udp); }

// Of a packet that goes out; one that comes in is turned round before.
FlowEnds ends_of(ByteView packet, const net::PacketInfo& info) {
  FlowEnds ends{info.source, info.destination, info.protocol, 0, 0};
  if (is_echo(info)) {
    if (info.header_length + std::size_t{6} <= packet.size())
      ends.remote_port = load_be16(packet.data() + info.header_length + 4);
  } else if (info.ports_visible && !model::has_one_port_field(info.protocol)) {
    ends.local_port = info.source_port;
    ends.remote_port = info.destination_port;
  }
  return ends;
}

net::PacketInfo turned(net::PacketInfo info) {
  std::swap(info.source, info.destination);
  std::swap(info.source_port, info.destination_port);
  return info;
}

}  // namespace

NatPeer::Hash::Hash(RandomSource& random) : multipliers() {
  for (std::uint64_t& multiplier : multipliers) multiplier = random.u64() | 1;
}

std::size_t NatPeer::Hash::operator()(const FlowEnds& ends) const {
  const auto words = [](const net::IpAddress& address) {
    const std::uint8_t* const octets = address.bytes().data();
    return address.is_v4() ? std::pair{std::uint64_t{load_be32(octets)}, std::uint64_t{0}}
                           : std::pair{load_be64(octets), load_be64(octets + 8)};
  };
  const auto [local, local_low] = words(ends.local);
  const auto [remote, remote_low] = words(ends.remote);
  const std::uint64_t rest =
      std::uint64_t{ends.protocol} << 32 | std::uint64_t{ends.local_port} << 16 | ends.remote_port;
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (const std::uint64_t word : {local, local_low, remote, remote_low, rest})
    sum += (word ^ (word >> 32)) * multipliers[i++];
  return static_cast<std::size_t>(sum >> 24);
}

NatPeer::NatPeer(NatFlows& all, const Place& where) : place_(where), all_(all), by_own_ends_(0, all.hash_) {}

NatPeer::~NatPeer() {
  for (const Flow& flow : flows_) all_.by_seen_ends_.erase(flow.seen);
  const auto known = all_.peers_.find(place_);
  if (known != all_.peers_.end() && known->second.expired()) all_.peers_.erase(known);
}

NatPeer* nat_peer_of(const SaPair& pair) {
  return pair.params.original == nullptr ? nullptr : pair.params.original->peer.get();
}

bool NatPeerFilter::admits(const SaPair& pair) const {
  const NatPeer* const peer = nat_peer_of(pair);
  if (direct) return peer == nullptr;
  return only != nullptr ? peer == only : peer != except;
}

NatFlows::NatFlows(EventQueue& events, RandomSource& random, const NatFlowBounds& bounds)
    : events_(events), random_(random), bounds_(bounds), hash_(random), by_seen_ends_(0, hash_) {}

void NatFlows::attach(SaPair& pair, const model::ChildSaParams& params, const Sad& sad) {
  OriginalAddresses* const original = pair.params.original.get();
  const bool behind = original != nullptr && original->remote && params.mode == model::Mode::transport &&
                      params.encapsulation == model::Encapsulation::udp;
  if (!behind) return;
  if (params.replaces) {
    const SaPair* const before = sad.find(*params.replaces);
    if (before != nullptr && nat_peer_of(*before) != nullptr) {
      original->peer = before->params.original->peer;
      return moved(pair);
    }
  }
  const NatPeer::Place place{params.connection, params.path.remote, *original->remote};
  std::weak_ptr<NatPeer>& known = peers_[place];
  original->peer = known.lock();
  if (original->peer != nullptr) return;
  original->peer = std::make_shared<NatPeer>(*this, place);
  known = original->peer;
}

void NatFlows::moved(const SaPair& pair) {
  NatPeer* const peer = nat_peer_of(pair);
  if (peer == nullptr || peer->place_.at == pair.params.path.remote) return;
  NatPeer::Place place = peer->place_;
  place.at = pair.params.path.remote;
  if (peers_.contains(place)) return;
  auto entry = peers_.extract(peer->place_);
  CHECK(!entry.empty());
  entry.key() = peer->place_ = place;
  peers_.insert(std::move(entry));
}

std::optional<DropReason> NatFlows::take_in(NatPeer& peer, const SaPair& pair, const Spd& spd, MutableByteView packet,
                                            net::PacketInfo& info, Instant now) {
  if (is_icmp_error(info)) return take_in_error(peer, packet, info);
  const FlowEnds own = ends_of(packet, turned(info));
  const NatPeer::Flow* flow = nullptr;
  if (const auto known = peer.by_own_ends_.find(own); known != peer.by_own_ends_.end()) {
    peer.flows_.splice(peer.flows_.begin(), peer.flows_, known->second);
    flow = &*known->second;
  } else if (!by_seen_ends_.contains(own)) {
    flow = claim(peer, own, own.remote_port);
  } else {
    // RFC 3948 5.2: two hosts with the same ports; answers to the one must not reach the other.
    FlowEnds seen = own;
    const auto place = port_place(packet, info);
    const auto port = place ? free_port(peer, spd, info, own) : std::nullopt;
    tell(pair, info, port, now);
    if (!port) return DropReason::nat_flow_taken;
    seen.remote_port = *port;
    flow = claim(peer, seen, own.remote_port);
  }
  if (flow == nullptr) return DropReason::nat_flow_taken;
  if (!flow->translated()) return std::nullopt;
  const auto place = port_place(packet, info);
  if (!place) return DropReason::nat_flow_taken;
  set_port(packet.data() + info.header_length, place->source, place->checksum, is_udp(info), false,
           flow->seen.remote_port);
  if (!is_echo(info)) info.source_port = flow->seen.remote_port;
  return std::nullopt;
}

// About something that we sent: to this peer, and under its own address and port, or not for those who asked. The stack
// knows what it sent by the NAT's address and the port that the flow has here.
std::optional<DropReason> NatFlows::take_in_error(const NatPeer& peer, MutableByteView packet,
                                                  const net::PacketInfo& info) const {
  const auto about = quoted_flow(packet, info);
  if (!about) return std::nullopt;
  FlowEnds own = ends_of({}, turned(*about));
  const bool by_its_own = own.remote == peer.place_.behind && own.remote.family() == info.source.family();
  if (by_its_own) own.remote = info.source;
  if (const auto known = peer.by_own_ends_.find(own); known != peer.by_own_ends_.end()) {
    const NatPeer::Flow& flow = *known->second;
    QuoteChange change;
    if (by_its_own) change.destination = info.source;
    if (flow.translated()) change.destination_port = flow.seen.remote_port;
    const bool changed = change_quote(packet, info, change, false);
    return changed || !flow.translated() ? std::nullopt : std::optional(DropReason::nat_flow_taken);
  }
  const auto others = by_seen_ends_.find(own);
  return others == by_seen_ends_.end() ? std::nullopt : std::optional(DropReason::nat_flow_taken);
}

const NatPeer::Flow* NatFlows::find(ByteView packet, const net::PacketInfo& info) const {
  FlowEnds ends = ends_of(packet, info);
  if (is_icmp_error(info) && !packet.empty()) {
    const auto about = quoted_flow(packet, info);
    if (!about) return nullptr;
    ends = ends_of({}, *about);
  }
  const auto known = by_seen_ends_.find(ends);
  return known == by_seen_ends_.end() ? nullptr : known->second;
}

void NatFlows::begin(NatPeer& peer, ByteView packet, const net::PacketInfo& info) {
  if (is_icmp_error(info)) return;
  const FlowEnds ends = ends_of(packet, info);
  if (!by_seen_ends_.contains(ends) && !peer.by_own_ends_.contains(ends)) claim(peer, ends, ends.remote_port);
}

std::optional<DropReason> NatFlows::give_back(const NatPeer& peer, const InnerPacket& packet,
                                              net::PacketInfo& info) const {
  if (is_icmp_error(info)) return give_back_error(peer, packet, info);
  if (peer.translated_ == 0) return std::nullopt;
  const NatPeer::Flow* const flow = find(packet.bytes, info);
  if (flow == nullptr || flow->peer != &peer || !flow->translated()) return std::nullopt;
  const auto place = port_place(packet.bytes, info);
  if (!place) return DropReason::nat_flow_taken;
  set_port(packet.bytes.data() + info.header_length, place->destination, place->checksum, is_udp(info),
           packet.offload.checksum_partial, flow->own_port);
  if (!is_echo(info)) info.destination_port = flow->own_port;
  return std::nullopt;
}

// The peer knows what it sent by its own address and port: what a NAT that can read the error would put there.
std::optional<DropReason> NatFlows::give_back_error(const NatPeer& peer, const InnerPacket& packet,
                                                    const net::PacketInfo& info) const {
  const NatPeer::Flow* const flow = find(packet.bytes, info);
  if (flow == nullptr || flow->peer != &peer) return std::nullopt;
  QuoteChange change;
  if (peer.place_.behind.family() == info.family) change.source = peer.place_.behind;
  if (flow->translated()) change.source_port = flow->own_port;
  const bool changed = change_quote(packet.bytes, info, change, packet.offload.checksum_partial);
  return changed || !flow->translated() ? std::nullopt : std::optional(DropReason::nat_flow_taken);
}

void NatFlows::undo(const NatPeer& peer, MutableByteView packet, const net::PacketInfo& info) const {
  const auto known = peer.by_own_ends_.find(ends_of(packet, info));
  if (known == peer.by_own_ends_.end() || !known->second->translated()) return;
  const auto place = port_place(packet, info);
  if (!place) return;
  set_port(packet.data() + info.header_length, place->destination, place->checksum, is_udp(info), false,
           known->second->seen.remote_port);
}

NatPeer::Flow* NatFlows::claim(NatPeer& peer, const FlowEnds& seen, std::uint16_t own_port) {
  if (!make_room(peer)) return nullptr;
  peer.flows_.push_front({seen, &peer, own_port});
  FlowEnds own = seen;
  own.remote_port = own_port;
  peer.by_own_ends_.emplace(own, peer.flows_.begin());
  NatPeer::Flow& flow = peer.flows_.front();
  by_seen_ends_.emplace(seen, &flow);
  if (flow.translated()) ++peer.translated_;
  return &flow;
}

// A peer's own flows make way, never those of others: nobody gets at another's flow by beginning many.
bool NatFlows::make_room(NatPeer& peer) {
  if (peer.flows_.size() < bounds_.per_peer && by_seen_ends_.size() < bounds_.all) return true;
  if (peer.flows_.empty()) return false;
  const NatPeer::Flow& last = peer.flows_.back();
  FlowEnds own = last.seen;
  own.remote_port = last.own_port;
  if (last.translated()) --peer.translated_;
  forgotten_.push_back(last.seen);
  by_seen_ends_.erase(last.seen);
  peer.by_own_ends_.erase(own);
  peer.flows_.pop_back();
  return true;
}

// Answers to the new port have to be what the same rule protects: else they would leave in clear.
std::optional<std::uint16_t> NatFlows::free_port(const NatPeer& peer, const Spd& spd, const net::PacketInfo& packet,
                                                 FlowEnds ends) {
  net::PacketInfo answer = turned(packet);
  for (unsigned i = 0; i < kPortTries; ++i) {
    const std::uint64_t any = random_.u64();
    ends.remote_port = static_cast<std::uint16_t>(kFirstPort + any % (0x10000 - kFirstPort));
    if (by_seen_ends_.contains(ends) || peer.by_own_ends_.contains(ends)) continue;
    if (is_echo(packet)) return ends.remote_port;
    answer.destination_port = ends.remote_port;
    const std::uint32_t rule = spd.table().find_outbound(answer);
    if (rule == PolicyTable::kNone) continue;
    const PolicyTable::Verdict& says = spd.table().verdict(rule);
    if (says.action == PolicyAction::protect && says.connection == peer.connection()) return ends.remote_port;
  }
  return std::nullopt;
}

void NatFlows::tell(const SaPair& pair, const net::PacketInfo& packet, std::optional<std::uint16_t> port, Instant now) {
  if (news_.allow(now)) events_.push(NatFlowShared{pair.params.id, packet, port});
}

}  // namespace culvert::ipsec
