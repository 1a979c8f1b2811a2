// What OutboundPath does off the straight way: fragments (RFC 4301 7, RFC 4303 3.3.4), ICMP errors that no rule knows
// (RFC 4301 6.2), packets longer than their path (RFC 4301 8.2.1) and dummies (RFC 4303 2.6).
#include <algorithm>
#include <utility>

#include "ipsec/ecn.hpp"
#include "ipsec/icmp_error.hpp"
#include "ipsec/mss_clamp.hpp"
#include "ipsec/outbound_path.hpp"
#include "ipsec/sa_lengths.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

// RFC 8200 5: no IPv6 link takes less.
constexpr std::size_t kMinIpv6Mtu = 1280;
// What a dummy packet is long where the path is not known.
constexpr std::uint32_t kLongestDummy = 1280;
constexpr std::uint32_t kShortestDummy = 40;

bool rule_is_for_opaque(const Policy& policy, const net::PacketInfo& info) {
  const auto has = [&](const model::TrafficSelectors& list, const net::IpAddress& address) {
    return std::any_of(list.begin(), list.end(), [&](const model::TrafficSelector& selector) {
      return selector.is_opaque() && selector.matches(address, info.protocol, false, 0);
    });
  };
  return has(policy.local, info.source) || has(policy.remote, info.destination);
}

// Octets in front of a packet that `reserve` may have to leave.
constexpr std::size_t kMaxInFront = 64;

}  // namespace

void OutboundPath::policies_changed() { follow_fragments_ = sas_name_ports_ || spd_.table().later_fragments_hide(); }

void OutboundPath::installed(const SaPair& sa, Instant now) {
  aggfrag_.watch(sa);
  // From the first such SA on; whether others are left does not matter enough to count them.
  sas_name_ports_ = sas_name_ports_ || sa.names_ports;
  follow_fragments_ = follow_fragments_ || sas_name_ports_;
  if (const auto after = sa.params.treatment().confidentiality.dummy_after) dummies_.arm(sa.params.id, now + *after);
}

// Stage 1 for fragments.
void OutboundPath::process_fragment(const InnerPacket& packet, net::PacketInfo info, Instant now, Instant since,
                                    OutboundSink& sink) {
  const auto fields = fragment_fields(packet.bytes, info);
  if (!fields) return drops_.count(DropReason::inner_malformed);
  if (rewrites_transport_header(*fields)) return drops_.count(DropReason::fragment_overlap);
  const auto go_on = [&] { route(packet, info, key_of(info), now, since, sink); };
  // RFC 4301 7.1: where nothing asks for ports, fragments are packets like others.
  if (!follow_fragments_) return go_on();
  // RFC 4301 7.2: a rule for OPAQUE ports is there for just these, each by itself.
  if (info.is_later_fragment) {
    const FlowVerdict blind = decide(packet.bytes, info, key_of(info));
    if (blind.rule != FlowVerdict::kNoRule && rule_is_for_opaque(spd_.policies()[blind.rule], info)) return go_on();
  }
  // RFC 4301 7.3, 7.4: the others follow the first of their packet.
  const FragmentKey key = FragmentKey::of(info, *fields, 0);
  switch (retrying_ ? fragments_.recall(key, info, now) : fragments_.see(key, *fields, info, now)) {
    case FragmentTracker::Verdict::overlap:
    case FragmentTracker::Verdict::duplicate: return drops_.count(DropReason::fragment_overlap);
    case FragmentTracker::Verdict::early:
      if (retrying_) return drops_.count(DropReason::fragment_early);
      if (!early_.push(key, packet, now)) drops_.count(DropReason::fragment_limit);
      return;
    case FragmentTracker::Verdict::known: break;
  }
  go_on();
  if (info.is_later_fragment || early_.empty()) return;
  for (WaitingPacket& later : early_.take(key)) {
    const InnerPacket view = later.view();
    if (const auto later_info = net::parse_packet(view.bytes)) process_fragment(view, *later_info, now, now, sink);
  }
}

// True when the fragment may go on as it is.
bool OutboundPath::admit_fragment(const InnerPacket& packet, const net::PacketInfo& info, const SaPair& sa,
                                  OutboundSink& sink) {
  // RFC 4303 3.3.4, RFC 4302 3.3.4: in transport mode whole packets are protected, not fragments.
  if (sa.params.mode != model::Mode::tunnel) {
    join_fragment(packet, info, sink);
    return false;
  }
  // RFC 4301 7.3: not without the peer's consent.
  if (info.is_later_fragment && !takes_later_fragments(sa, info)) {
    drops_.count(DropReason::fragment_not_agreed);
    return false;
  }
  return true;
}

void OutboundPath::join_fragment(const InnerPacket& packet, const net::PacketInfo& info, OutboundSink& sink) {
  const auto fields = fragment_fields(packet.bytes, info);
  if (!fields) return drops_.count(DropReason::inner_malformed);
  const auto whole = reassembler_.add(packet.bytes, info, *fields, now_);
  if (!whole) {
    return drops_.count(whole.error() == ReassemblyError::limit ? DropReason::fragment_limit
                                                                : DropReason::fragment_overlap);
  }
  if (!*whole) return;
  Bytes bytes = **whole;
  WaitingPacket joined({bytes, {}}, now_);
  const InnerPacket view = joined.view();
  // Its source has cut it already, so it may be cut again.
  joined_ = true;
  process(view, now_, now_, sink);
  joined_ = false;
}

// RFC 4301 6.2: an ICMP error that no rule accommodates takes the SA of the traffic that it answers. None is made for
// it. About traffic that a rule lets out it may say in clear what that traffic said; where the ports are not quoted it
// might be other traffic.
void OutboundPath::route_unruled(const InnerPacket& packet, const net::PacketInfo& info, OutboundSink& sink) {
  if (!is_icmp_error(info)) return drops_.count(DropReason::no_rule);
  const auto flow = quoted_flow(packet.bytes, info);
  if (!flow) return drops_.count(DropReason::icmp_error_unmatched);
  const FlowVerdict verdict = decide({}, *flow, key_of(*flow));
  if (verdict.rule != FlowVerdict::kNoRule && verdict.action == PolicyAction::bypass && flow->ports_visible) {
    if (!sink.bypass(packet)) drops_.count(DropReason::bypass_unavailable);
    return;
  }
  if (verdict.rule == FlowVerdict::kNoRule || verdict.sa == nullptr ||
      verdict.sa->params.treatment().icmp_errors == model::IcmpErrors::selectors) {
    return drops_.count(DropReason::icmp_error_unmatched);
  }
  protect(packet, info, *verdict.sa, sink);
}

void OutboundPath::clamp(const InnerPacket& packet, const net::PacketInfo& info, const SaPair& sa) {
  const std::uint16_t limit = info.family == net::Family::v4 ? sa.mss_v4 : sa.mss_v6;
  if (limit != 0) clamp_mss(packet.bytes, info, limit, packet.offload.checksum_partial);
}

// RFC 4301 8.2.1: what happens to a packet that does not fit, by its DF bit and what the SA was told.
auto OutboundPath::way_of_long(const SaPair& sa, const net::PacketInfo& info, std::size_t length) const -> LongWay {
  const model::OuterHeader& outer = sa.params.treatment().outer;
  const PathRoom room = path_room(sa, info);
  const std::size_t sendable = options_.max_train_bytes;
  const std::size_t mtu = sa.path_mtu.value();
  // The outer packet has to be made before it can be cut, by the kernel or, whole packets, by us in the same region.
  const std::size_t made =
      room.outer(length) + (is_whole_packet(sa.outbound.framing) ? room_for_cut(sa, room.outer(length)) : 0);
  const bool can_cut_after = mtu != 0 && room.outer(length) <= sendable && made <= kMinWireRegion - kMaxInFront;
  const bool v6 = info.family == net::Family::v6;
  if (sa.params.mode != model::Mode::tunnel) {
    const bool may_cut = joined_ || (v6 ? length <= kMinIpv6Mtu : !info.dont_fragment);
    return may_cut && can_cut_after ? LongWay::cut_after : LongWay::refuse;
  }
  const bool after_allowed = can_cut_after && outer.dont_fragment != model::DontFragment::set;
  if (v6 || info.dont_fragment) {
    // RFC 2473 7.1: IPv6 hosts may rely on 1280 octets. Whoever clears DF outside wants such packets carried whole.
    const bool carry = (v6 && length <= kMinIpv6Mtu) || (outer.dont_fragment == model::DontFragment::clear &&
                                                         outer.fragmentation == model::Fragmentation::after);
    return carry && after_allowed ? LongWay::cut_after : LongWay::refuse;
  }
  const bool pieces_may_pass = takes_later_fragments(sa, info);
  if (outer.fragmentation == model::Fragmentation::after || !pieces_may_pass) {
    if (after_allowed) return LongWay::cut_after;
  }
  return pieces_may_pass ? LongWay::cut_before : LongWay::refuse;
}

void OutboundPath::protect_long(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info,
                                SaPair& sa, OutboundSink& sink) {
  // The bound of the straight way is on the safe side; this is the exact one.
  if (plan.length(0) <= longest_inner(sa, info, options_.max_train_bytes))
    return protect_planned(packet, plan, info, sa, sink);
  switch (way_of_long(sa, info, plan.length(0))) {
    case LongWay::refuse: return refuse_long(plan, info, sa, sink);
    case LongWay::cut_before: return cut_before(plan, sa, sink);
    case LongWay::cut_after:
      cut_outer_ = true;
      protect_planned(packet, plan, info, sa, sink);
      cut_outer_ = false;
      return;
  }
}

void OutboundPath::refuse_long(const Segmenter& plan, const net::PacketInfo& info, const SaPair& sa,
                               OutboundSink& sink) {
  drops_.count(sa.path_mtu.value() == 0 ? DropReason::too_long : DropReason::path_too_narrow, plan.count());
  if (!long_answers_.allow(now_)) return;
  std::size_t mtu = longest_inner(sa, info, options_.max_train_bytes);
  if (info.family == net::Family::v6) mtu = std::max(mtu, kMinIpv6Mtu);
  // Of a super-packet the first of those that it stands for, as its source would have sent it.
  Bytes packet(plan.length(0));
  plan.write(0, packet.data());
  const auto packet_info = net::parse_packet(packet);
  if (!packet_info) return;
  // Of several peers behind one NAT another may have the port that this one's own is.
  if (const NatPeer* const peer = nat_peer_of(sa)) nat_.undo(*peer, packet, *packet_info);
  const auto size = make_too_long_error(packet, *packet_info,
                                        static_cast<std::uint16_t>(std::min<std::size_t>(mtu, 0xffff)), answer_);
  if (size) sink.answer({answer_.data(), *size});
}

// RFC 4301 8.2.1, case 2: whole inner fragments, each protected by itself.
void OutboundPath::cut_before(const Segmenter& plan, SaPair& sa, OutboundSink& sink) {
  const auto send = [&](Bytes& piece) {
    const auto info = net::parse_packet(piece);
    if (!info) return drops_.count(DropReason::path_too_narrow);  // not even its transport header fits
    WaitingPacket roomy({piece, {}}, now_);
    protect(roomy.view(), *info, sa, sink);
  };
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    Bytes packet(plan.length(i));
    plan.write(i, packet.data());
    const auto info = net::parse_packet(packet);
    if (!info) return drops_.count(DropReason::inner_malformed);
    const std::size_t longest = longest_inner(sa, *info, options_.max_train_bytes);
    if (packet.size() <= longest) {
      send(packet);
      continue;
    }
    const auto cutter = FragmentCutter::make(packet, *info, longest, 0);
    if (!cutter) {
      drops_.count(DropReason::path_too_narrow);
      continue;
    }
    for (std::size_t j = 0; j < cutter->count(); ++j) {
      Bytes piece(cutter->length(j));
      cutter->write(j, piece.data());
      send(piece);
    }
  }
}

// RFC 4303 2.6: a packet that says nothing, so that silence is not seen either.
void OutboundPath::send_dummy(SaPair& sa, OutboundSink& sink) {
  const OutboundSa& out = sa.outbound;
  const std::uint32_t longest = sa.path_mtu.value() == 0 ? kLongestDummy : out.longest_inner;
  if (longest < kShortestDummy) return;
  const std::uint32_t length =
      sa.pad_to != 0 ? sa.pad_to
                     : kShortestDummy + static_cast<std::uint32_t>(random_.below(longest - kShortestDummy + 1));
  const auto sequence = take_numbers(sa, 1, length);
  if (!sequence) return;
  const std::size_t sealed = out.layout.sealed(length);
  std::uint8_t* const at = reserve(sealed, 0, sink);
  random_.fill({at + out.layout.head(), length});
  frame_esp_around(at, length, static_cast<std::uint8_t>(net::IpProtocol::no_next), *sequence, sa);
  add_to_train(sa, outer_fields(sa, net::Family::v4, 0, false), at, sealed);
}

void OutboundPath::send_due_dummies(Instant now, OutboundSink& sink) {
  while (const auto child = dummies_.take_due(now)) {
    SaPair* const sa = sad_.find(*child);
    if (sa == nullptr || sa->ends_at) continue;
    const Duration after = *sa->params.treatment().confidentiality.dummy_after;
    const Instant last = sa->silence.last_sent().value_or(Instant::min());
    if (last + after > now && last != Instant::min()) {
      dummies_.arm(*child, last + after);
      continue;
    }
    if (sa->sends() && !sa->held) send_dummy(*sa, sink);
    dummies_.arm(*child, now + after);
  }
}

std::size_t OutboundPath::room_for_cut(const SaPair& sa, std::size_t length) {
  // Headers of up to 60 octets and a Fragment header; longer chains leave by other means or not at all.
  constexpr std::size_t kHead = 68;
  const std::size_t mtu = std::max<std::size_t>(sa.path_mtu.value(), kHead + 8);
  const std::size_t step = (mtu - kHead) / 8 * 8;
  return length + (length / step + 2) * kHead;
}

// RFC 4303 3.3.4, RFC 4302 3.3.4: fragmentation comes after ESP or AH. For packets that leave as we make them.
void OutboundPath::cut_outer_packets() {
  std::vector<WireTrain> all;
  auto cut = cuts_.begin();
  for (std::size_t i = 0; i < trains_.size(); ++i) {
    if (cut == cuts_.end() || cut->train != i) {
      all.push_back(trains_[i]);
      continue;
    }
    if (trains_[i].bytes.empty()) {  // withdrawn
      ++cut;
      continue;
    }
    const auto info = net::parse_packet(trains_[i].bytes);
    const auto cutter =
        info ? FragmentCutter::make(trains_[i].bytes, *info, cut->longest, random_.u32()) : std::nullopt;
    if (!cutter || cutter->total_length() > cut->room.size()) {
      drops_.count(DropReason::path_too_narrow);
    } else {
      std::uint8_t* at = cut->room.data();
      for (std::size_t piece = 0; piece < cutter->count(); ++piece) {
        const std::size_t length = cutter->length(piece);
        cutter->write(piece, at);
        WireTrain& train = all.emplace_back(trains_[i]);
        train.segment_size = static_cast<std::uint16_t>(length);
        train.bytes = {at, length};
        at += length;
      }
    }
    ++cut;
  }
  trains_.replace(all);
  cuts_.clear();
}

void OutboundPath::expire_fragments(Instant now) {
  drops_.count(DropReason::fragment_early, early_.expire(now));
  drops_.count(DropReason::fragment_timeout, reassembler_.expire(now));
}

}  // namespace culvert::ipsec
