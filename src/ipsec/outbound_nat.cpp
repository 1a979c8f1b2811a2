// What OutboundPath does where several hosts behind one NAT have SAs in transport mode: of those whose selectors a
// packet fits, the one that its flow is with. See nat_flows.hpp.
#include "ipsec/icmp_error.hpp"
#include "ipsec/nat_flows.hpp"
#include "ipsec/outbound_path.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::ipsec {

// Part of stage 2, after the rule is found. `nothing`: it is a packet like any other.
OutboundPath::NatWord OutboundPath::settle_nat(ByteView packet, const net::PacketInfo& info, FlowVerdict& verdict) {
  // Type and code do not tell one ICMP flow from another, so the cache cannot either.
  const NatWord known = model::has_one_port_field(info.protocol) ? NatWord::once : NatWord::keep;
  const bool protects = verdict.rule != FlowVerdict::kNoRule && verdict.action == PolicyAction::protect;
  const NatPeer::Flow* const flow = nat_.find(packet, info);
  if (flow != nullptr) {
    // It was chosen so that the rule protects it; if that is over, it must not leave in clear.
    if (!protects && !flow->translated()) return NatWord::nothing;
    net::PacketInfo own = info;
    if (info.ports_visible && !model::has_one_port_field(info.protocol)) own.destination_port = flow->own_port;
    const NatPeerFilter only{.only = flow->peer};
    if (protects) verdict.sa = sad_.find_outbound(flow->peer->connection(), own, nullptr, &only);
    verdict.unclear = verdict.sa == nullptr;
    return verdict.unclear ? NatWord::once : known;
  }
  if (!protects) return NatWord::nothing;
  const Policy& policy = spd_.policies()[verdict.rule];
  const auto find = [&](const NatPeerFilter* peers) {
    return policy.populate != PopulateFromPacket{} ? find_populated(policy, info, peers)
                                                   : sad_.find_outbound(policy.connection, info, nullptr, peers);
  };
  SaPair* const newest = find(nullptr);
  NatPeer* const peer = newest == nullptr ? nullptr : nat_peer_of(*newest);
  if (peer == nullptr) return NatWord::nothing;
  const NatPeerFilter others{.except = peer};
  if (find(&others) == nullptr) {
    nat_.begin(*peer, packet, info);
    drop_forgotten();
    verdict.sa = newest;
    return known;
  }
  // Who has the NAT's address itself is the one to be meant by it. Of hosts behind it a packet is for none in
  // particular, and what is meant for the one is not shown to the other.
  const NatPeerFilter direct{.direct = true};
  verdict.sa = find(&direct);
  verdict.unclear = verdict.sa == nullptr;
  return NatWord::once;
}

void OutboundPath::drop_forgotten() {
  for (const FlowEnds& ends : nat_.take_forgotten()) {
    net::PacketInfo info;
    info.family = ends.local.family();
    info.source = ends.local;
    info.destination = ends.remote;
    info.protocol = ends.protocol;
    info.source_port = ends.local_port;
    info.destination_port = ends.remote_port;
    info.ports_visible = model::has_port_fields(ends.protocol);
    flows_.forget(key_of(info));
  }
}

// False when the packet can go no further.
bool OutboundPath::give_back_port(const InnerPacket& packet, net::PacketInfo& info, const SaPair& sa) {
  const NatPeer* const peer = nat_peer_of(sa);
  const auto refused = peer == nullptr ? std::nullopt : nat_.give_back(*peer, packet, info);
  if (refused) drops_.count(*refused);
  return !refused;
}

}  // namespace culvert::ipsec
