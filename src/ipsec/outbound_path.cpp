#include "ipsec/outbound_path.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "ipsec/ecn.hpp"
#include "ipsec/mss_clamp.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {

OutboundPath::OutboundPath(const EngineOptions& options, const Spd& spd, const Sad& sad, NatFlows& nat,
                           EventQueue& events, DropCounters& drops, RandomSource& random)
    : options_(options),
      spd_(spd),
      sad_(sad),
      nat_(nat),
      events_(events),
      drops_(drops),
      flows_(options.flow_cache_entries, random.u64()),
      waiting_({options.acquire_packets, options.acquire_bytes, options.acquire_total_bytes, options.acquire_age}),
      ivs_(random),
      aggfrag_(sad, drops, *this),
      random_(random),
      fragments_(options.fragments, random.u64()),
      early_(options.fragments),
      reassembler_(options.reassembly),
      trains_(JobBatch<OutboundSa>::kCapacity) {
  CHECK(options.max_train_segments >= 1);
  CHECK(options.max_train_bytes >= 1 && options.max_train_bytes <= 65535);
}

void OutboundPath::run(std::span<const InnerPacket> packets, Instant now, OutboundSink& sink) {
  now_ = now;
  outer_memo_.profile = nullptr;
  if (retry_all_ || !retry_.empty()) send_waiting(now, sink);
  classify(packets, rounds_[0]);
  for (std::size_t turn = 0; !rounds_[turn].packets.empty(); turn = 1 - turn) {
    Round& round = rounds_[turn];
    peek(round);
    classify(packets, rounds_[1 - turn]);
    look_up(round);
    process(round, now, sink);
  }
  flush(sink);
}

void OutboundPath::handle_time(Instant now, OutboundSink& sink) {
  now_ = now;
  drops_.count(DropReason::acquire_timeout, waiting_.expire(now));
  expire_fragments(now);
  send_due_dummies(now, sink);
  if (retry_all_ || !retry_.empty()) send_waiting(now, sink);
  aggfrag_.handle_time(now, sink);
  flush(sink);
}

std::optional<Instant> OutboundPath::next_deadline() const {
  if ((retry_all_ || !retry_.empty()) && !waiting_.empty()) return Instant::min();
  const auto fragments = earliest(early_.next_expiry(), reassembler_.next_expiry());
  return earliest(earliest(earliest(waiting_.next_expiry(), dummies_.next()), fragments), aggfrag_.next_deadline());
}

void OutboundPath::watch_silence(SaPair& sa) {
  if (sa.silence.sends(sa.inbound.packets(), now_)) events_.push(NothingComesBack{sa.params.id});
}

void OutboundPath::process(const InnerPacket& packet, Instant now, Instant since, OutboundSink& sink) {
  const Info info = net::parse_packet(packet.bytes);
  process(packet, info, info ? key_of(*info) : FlowKey{}, now, since, sink);
}

void OutboundPath::process(const InnerPacket& packet, const Info& info, const FlowKey& key, Instant now, Instant since,
                           OutboundSink& sink) {
  if (!info) return drops_.count(DropReason::inner_malformed);
  if (info->is_fragment) return process_fragment(packet, *info, now, since, sink);
  route(packet, *info, key, now, since, sink);
}

void OutboundPath::route(const InnerPacket& packet, const net::PacketInfo& info, const FlowKey& key, Instant now,
                         Instant since, OutboundSink& sink) {
  const FlowVerdict verdict = decide(packet.bytes, info, key);
  if (verdict.unclear) return drops_.count(DropReason::nat_peer_unclear);
  // RFC 4301 5.1: a packet that matches no rule is discarded.
  if (verdict.rule == FlowVerdict::kNoRule) return route_unruled(packet, info, sink);
  switch (verdict.action) {
    case PolicyAction::discard: return drops_.count(DropReason::discard_rule);
    case PolicyAction::bypass:
      if (is_icmp_error(info) && spd_.policies()[verdict.rule].errors_follow_quoted)
        return route_unruled(packet, info, sink);
      if (!sink.bypass(packet)) drops_.count(DropReason::bypass_unavailable);
      return;
    case PolicyAction::protect: break;
  }
  if (verdict.sa == nullptr) {
    const Policy& policy = spd_.policies()[verdict.rule];
    if (const SaHome* const home = home_of(policy.connection)) return sink.elsewhere(packet, home->worker);
    return wait_for_sa(packet, info, policy, now, since);
  }
  protect(packet, info, *verdict.sa, sink);
  watch_silence(*verdict.sa);
}

// Stage 2: decide.
FlowVerdict OutboundPath::decide(ByteView packet, const net::PacketInfo& info, const FlowKey& key) {
  if (const auto known = flows_.find(key)) return *known;
  FlowVerdict verdict;
  if (const std::uint32_t rule = spd_.table().find_outbound(info); rule != PolicyTable::kNone) {
    const PolicyTable::Verdict& says = spd_.table().verdict(rule);
    verdict = {rule, says.action, nullptr};
  }
  if (!nat_.empty()) {
    const NatWord word = settle_nat(packet, info, verdict);
    if (word == NatWord::keep) remember(key, verdict);
    if (word != NatWord::nothing) return verdict;
  }
  if (verdict.rule != FlowVerdict::kNoRule) {
    const std::uint32_t rule = verdict.rule;
    const PolicyTable::Verdict& says = spd_.table().verdict(rule);
    if (says.action == PolicyAction::protect) {
      verdict.sa = says.populates ? find_populated(spd_.policies()[rule], info, nullptr)
                                  : sad_.find_outbound(says.connection, info);
      const SaHome* const home = home_of(says.connection);
      if (verdict.sa == nullptr) {
        if (home == nullptr) return verdict;  // the way through the acquire queue is slow anyhow
        if (home->per_resource) ask_for_own(info, spd_.policies()[rule]);
      } else if (home != nullptr && verdict.sa->held) {
        // The pair in use until the peer is ready for this one is another engine's.
        verdict.sa = nullptr;
      }
    }
  }
  remember(key, verdict);
  return verdict;
}

void OutboundPath::remember(const FlowKey& key, const FlowVerdict& verdict) {
  if (verdict.rule != FlowVerdict::kNoRule) flows_.follow(spd_.table().verdict(verdict.rule).connection);
  // Behind a NAT the SA may be another connection's.
  if (verdict.sa != nullptr) flows_.follow(verdict.sa->params.connection);
  flows_.insert(key, verdict);
}

bool OutboundPath::set_home(model::ConnectionId connection, std::optional<SaHome> home) {
  if (!home) return homes_.erase(connection) != 0;
  const auto [entry, inserted] = homes_.try_emplace(connection, *home);
  return inserted || std::exchange(entry->second, *home) != *home;
}

const SaHome* OutboundPath::home_of(model::ConnectionId connection) const {
  const auto found = homes_.find(connection);
  return found == homes_.end() ? nullptr : &found->second;
}

// RFC 9611 3: the packet goes over the SA for all, and asks for one that this engine need not share.
void OutboundPath::ask_for_own(const net::PacketInfo& info, const Policy& policy) {
  auto selectors = selectors_for(policy, info);
  if (!selectors || !waiting_.should_ask({policy.connection, policy.id}, *selectors, now_)) return;
  events_.push(Acquire{policy.id, policy.connection, info, std::move(selectors->local), std::move(selectors->remote),
                       options_.worker});
}

// RFC 4301 4.4.1.2, 5.1: an SA of a rule that takes selectors from packets is for those values. A wider one of the
// connection, another rule's or the peer's wish, is not what this rule asks for.
SaPair* OutboundPath::find_populated(const Policy& policy, const net::PacketInfo& info,
                                     const NatPeerFilter* peers) const {
  const auto selectors = selectors_for(policy, info);
  return selectors ? sad_.find_outbound(policy.connection, info, &*selectors, peers) : nullptr;
}

void OutboundPath::wait_for_sa(const InnerPacket& packet, const net::PacketInfo& info, const Policy& policy,
                               Instant now, Instant since) {
  auto selectors = selectors_for(policy, info);
  // RFC 4301 4.4.1.2: a rule wants a value of the packet that it does not have.
  if (!selectors) return drops_.count(DropReason::populate_unavailable);
  if (waiting_.should_ask({policy.connection, policy.id}, *selectors, now)) {
    events_.push(
        Acquire{policy.id, policy.connection, info, std::move(selectors->local), std::move(selectors->remote)});
  }
  if (!waiting_.push({policy.connection, policy.id}, packet, since)) drops_.count(DropReason::acquire_overflow);
}

void OutboundPath::sas_changed(model::ConnectionId connection) {
  flows_.sas_changed(connection);
  if (waiting_.has_any_of(connection)) retry_.push_back(connection);
}

void OutboundPath::send_waiting(Instant now, OutboundSink& sink) {
  std::vector<model::ConnectionId> of = std::exchange(retry_, {});
  const auto send = [&](std::vector<WaitingPacket> packets) {
    for (WaitingPacket& packet : packets) {
      const InnerPacket view = packet.view();
      process(view, now, packet.since(), sink);
    }
  };
  retrying_ = true;
  if (std::exchange(retry_all_, false)) {
    send(waiting_.take_all());
  } else {
    // Twice would be once too often for those that go on waiting.
    std::ranges::sort(of);
    of.erase(std::unique(of.begin(), of.end()), of.end());
    for (const model::ConnectionId connection : of) send(waiting_.take_of(connection));
  }
  retrying_ = false;
}

// Stages 3 to 5 for one inner packet.
void OutboundPath::protect(const InnerPacket& packet, const net::PacketInfo& info, SaPair& sa, OutboundSink& sink) {
  if (info.is_fragment && !admit_fragment(packet, info, sa, sink)) return;
  if (sa.outbound.framing == Framing::esp_transport_in_udp && nat_peer_of(sa) != nullptr) {
    net::PacketInfo theirs = info;
    if (give_back_port(packet, theirs, sa)) protect_whole(packet, theirs, sa, sink);
    return;
  }
  protect_whole(packet, info, sa, sink);
}

void OutboundPath::protect_whole(const InnerPacket& packet, const net::PacketInfo& info, SaPair& sa,
                                 OutboundSink& sink) {
  if (is_tcp_syn(packet.bytes, info)) clamp(packet, info, sa);
  const auto plan = Segmenter::make(packet, info);
  if (!plan) return drops_.count(plan.error());
  if (sa.aggfrag) return aggfrag_.add(sa, *plan, now_, sink);
  if (plan->length(0) > sa.outbound.longest_inner) return protect_long(packet, *plan, info, sa, sink);
  if (cuts_in_place(*plan, sa)) return protect_in_place(packet, *plan, info, sa, sink);
  protect_planned(packet, *plan, info, sa, sink);
}

void OutboundPath::protect_planned(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info,
                                   SaPair& sa, OutboundSink& sink) {
  if (sa.outbound.framing != Framing::esp_tunnel) return protect_wrapped(packet, info, sa, plan, sink);
  const EspLayout& layout = sa.outbound.layout;
  const auto first = take_numbers(sa, plan.count(), plan.total_length());
  if (!first) return;

  OuterFields outer = outer_fields(sa, info.family, info.tos, info.dont_fragment);
  outer.dont_fragment = outer.dont_fragment && !cut_outer_;
  const auto next_header =
      static_cast<std::uint8_t>(info.family == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6);
  const std::uint64_t flow = sa.compression ? FlowKey::of(info).mix() : 0;
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    std::uint8_t* const at = reserve(layout.sealed(std::max<std::size_t>(plan.length(i), sa.pad_to)), 0, sink);
    Payload payload{plan.length(i), next_header};
    if (sa.compression) {
      payload = compress(plan, i, flow, payload, sa, at + layout.head());
    } else {
      plan.write(i, at + layout.head());
    }
    const std::size_t length = frame(payload, *first + i, sa, at);
    if (sa.compression) give_back_behind(at + length);
    add_to_train(sa, outer, at, length);
  }
}

OutboundPath::OuterFields OutboundPath::outer_fields(const SaPair& sa, net::Family inner, std::uint8_t tos,
                                                     bool dont_fragment) {
  return outer_fields(sa.params.treatment().outer, inner, tos, dont_fragment);
}

OutboundPath::OuterFields OutboundPath::outer_fields(const model::OuterHeader& outer, net::Family inner,
                                                     std::uint8_t tos, bool dont_fragment) {
  return {.tos = outer_tos(tos, outer),
          .hop_limit = outer.hop_limit,
          .dont_fragment = outer_dont_fragment(inner == net::Family::v6, dont_fragment, outer)};
}

void OutboundPath::learn_outer(const SaProfile& profile, const PlainFacts& facts) {
  OuterMemo& memo = outer_memo_;
  memo.profile = &profile;
  memo.outer = facts.outer();
  memo.fields = outer_fields(profile.treatment.outer, facts.family(), facts.tos(), facts.dont_fragment());
  memo.word = word_of(memo.fields);
}

// Room for a packet, with `in_front` octets before it that may be written to if they are given back as they were.
std::uint8_t* OutboundPath::reserve(std::size_t length, std::size_t in_front, OutboundSink& sink) {
  // AGGFRAG payloads that are open will be packets of the batch, too.
  if (region_used_ + length > region_.size() ||
      (aggfrag_.open() != 0 && batch_.size() + aggfrag_.open() == batch_.kCapacity)) {
    flush(sink);
  } else if (aggfrag_.open() == 0 && batch_.full()) {
    seal();
  }
  if (region_.empty()) open_region(sink);
  if (region_used_ < in_front) region_used_ = in_front;
  std::uint8_t* const at = region_.data() + region_used_;
  region_used_ += length;
  return at;
}

void OutboundPath::open_region(OutboundSink& sink) {
  region_ = sink.region();
  CHECK(region_.size() >= kMinWireRegion);
}

// Part of stage 5. RFC 3173 2.2: what does not shrink goes as it is. In tunnel mode the whole inner packet is the
// payload that is compressed, and what does not shrink looks as if there were no IPComp; so does Linux.
OutboundPath::Payload OutboundPath::compress(const Segmenter& plan, std::uint32_t index, std::uint64_t flow,
                                             Payload plain, SaPair& sa, std::uint8_t* out) {
  if (plain.length < kIpCompThreshold || !sa.compression->should_try(flow)) {
    plan.write(index, out);
    return plain;
  }
  uncompressed_.resize(kMaxInnerPacket);
  plan.write(index, uncompressed_.data());
  return shrink(plain, flow, sa, out);
}

// The same for a payload that stands in its place already. What a peer takes after IPComp is no ESP, AH or IPComp: RFC
// 3173 2.1 has compression before them.
OutboundPath::Payload OutboundPath::compress_in_place(Payload plain, std::uint64_t flow, SaPair& sa, std::uint8_t* at) {
  const auto protocol = static_cast<net::IpProtocol>(plain.next_header);
  const bool outermost =
      protocol == net::IpProtocol::esp || protocol == net::IpProtocol::ah || protocol == net::IpProtocol::ipcomp;
  if (outermost || plain.length < kIpCompThreshold || !sa.compression->should_try(flow)) return plain;
  uncompressed_.resize(kMaxInnerPacket);
  CHECK(plain.length <= uncompressed_.size());
  std::memcpy(uncompressed_.data(), at, plain.length);
  return shrink(plain, flow, sa, at);
}

// From `uncompressed_` to `out`, compressed or not.
OutboundPath::Payload OutboundPath::shrink(Payload plain, std::uint64_t flow, SaPair& sa, std::uint8_t* out) {
  const ByteView payload = ByteView(uncompressed_).first(plain.length);
  const auto length = ipcomp_.compress(payload, plain.next_header, sa.params.ipcomp->cpi_outbound, out);
  sa.compression->tell(flow, length.has_value());
  if (length) return {*length, static_cast<std::uint8_t>(net::IpProtocol::ipcomp)};
  std::memcpy(out, payload.data(), payload.size());
  return plain;
}

// Stage 4: number. A super-packet goes as a whole or not at all.
std::optional<std::uint64_t> OutboundPath::take_numbers(SaPair& sa, std::uint32_t count, std::uint64_t bytes) {
  OutboundSa& out = sa.outbound;
  out.unwatched.end(out.meter);
  if (!out.meter.admit(count, bytes, sa.params.profile->bounds)) {
    drops_.count(DropReason::lifetime_reached, count);
    tell_expiry(sa);
    return std::nullopt;
  }
  const auto first = out.sequence.take(count);
  if (!first || !out.sequence.quiet()) watch_sequence(sa, count, first.has_value());
  if (out.meter.news() != ExpiryNews::none) tell_expiry(sa);
  return first;
}

bool OutboundPath::admit(SaPair& sa, std::size_t octets) {
  sa.outbound.unwatched.end(sa.outbound.meter);
  const bool admitted = sa.outbound.meter.admit(0, octets, sa.params.profile->bounds);
  if (!admitted) drops_.count(DropReason::lifetime_reached);
  if (sa.outbound.meter.news() != ExpiryNews::none) tell_expiry(sa);
  return admitted;
}

// What the numbers are about to run into, or ran into.
void OutboundPath::watch_sequence(SaPair& sa, std::uint32_t count, bool taken) {
  OutboundSa& out = sa.outbound;
  if (!taken && out.sequence.has(count)) {
    // The grant is used up, not the SA: sending goes on when control grants more.
    drops_.count(DropReason::sequence_not_granted, count);
    if (!out.grant_asked) out.grant_asked = events_.push(SequenceGrantWanted{sa.params.id, out.sequence.last()});
    return;
  }
  // RFC 4303 3.3.3: the counter must not cycle; a new SA is needed.
  if (!taken) {
    drops_.count(DropReason::sequence_exhausted, count);
    return out.meter.shut();
  }
  if (out.sequence.running_out()) out.meter.raise(ExpiryNews::soft);
  if (out.sequence.grant_low() && !out.grant_asked)
    out.grant_asked = events_.push(SequenceGrantWanted{sa.params.id, out.sequence.last()});
}

void OutboundPath::tell_expiry(SaPair& sa) {
  // A closed SA no longer sends: its flows look for another or ask for one.
  if (sa.outbound.meter.closed()) flows_.sas_changed(sa.params.connection);
  sa.tell_expiry(events_);
}

// Stage 5: frame. The payload stands in its place; answers the octets of the whole packet.
std::size_t OutboundPath::frame(Payload payload, std::uint64_t sequence, SaPair& sa, std::uint8_t* at) {
  const EspLayout& layout = sa.outbound.layout;
  if (payload.length < sa.pad_to) {
    // RFC 4303 2.7: what stands behind the packet's own length is for those who count octets.
    std::memset(at + layout.head() + payload.length, 0, sa.pad_to - payload.length);
    payload.length = sa.pad_to;
  }
  frame_esp_around(at, payload.length, payload.next_header, sequence, sa);
  return layout.sealed(payload.length);
}

// ESP around `length` octets that stand in their place already.
void OutboundPath::frame_esp_around(std::uint8_t* at, std::size_t length, std::uint8_t next_header,
                                    std::uint64_t sequence, SaPair& sa) {
  const EspLayout& layout = sa.outbound.layout;
  write_around(sa.outbound, layout, at, at + layout.head() + length, length, next_header, sequence);
  batch_.add(sa.outbound, at, layout.padded(length), sequence);
}

// Stage 5 for an AGGFRAG payload. RFC 9347 2.2.5: DSCP, ECN and DF of the inner packets stay inside.
void OutboundPath::finish(SaPair& sa, std::uint8_t* at, std::size_t length, std::uint64_t sequence) {
  frame_esp_around(at, length, static_cast<std::uint8_t>(net::IpProtocol::aggfrag), sequence, sa);
  const model::OuterHeader& outer = sa.params.treatment().outer;
  add_to_train(sa,
               {.tos = static_cast<std::uint8_t>(outer.dscp.value_or(0) << 2),
                .hop_limit = outer.hop_limit,
                .dont_fragment = outer.dont_fragment == model::DontFragment::set},
               at, sa.outbound.layout.sealed(length));
}

// Part of stage 7. A shorter packet may only end a train, so it closes it.
void OutboundPath::add_to_train(const SaPair& sa, const OuterFields& outer, std::uint8_t* at, std::size_t length) {
  if (train_end_ == at && train_sa_ == &sa && train_fields_ == outer && grows(trains_.back(), length)) {
    train_end_ = length == trains_.back().segment_size ? at + length : nullptr;
    return;
  }
  begin_train(*trains_.make_room(1), sa, word_of(outer).with(sa.params.encapsulation), at, length);
  trains_.added(1);
  train_sa_ = &sa;
  train_fields_ = outer;
  train_end_ = at + length;
}

// Packets without a cipher are plaintext and must not leave. Their train goes as a whole, with those of its packets
// that an earlier batch has sealed, and those of other SAs that share it.
void OutboundPath::withdraw_keyless() {
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (!batch_.keyless(i)) continue;
    const std::uint8_t* const within = batch_.job(i).icv;
    for (WireTrain& train : trains_.all()) {
      if (train.bytes.empty() || within < train.bytes.data() || within >= train.bytes.data() + train.bytes.size())
        continue;
      drops_.count(DropReason::seal_impossible, train.segments());
      train.bytes = {};
    }
  }
  // The cuts know their trains by number.
  if (!cuts_.empty()) cut_outer_packets();
  trains_.drop_empty();
  train_end_ = nullptr;
}

// Stage 6. The last train may still grow.
void OutboundPath::seal() {
  batch_.seal();
  if (batch_.any_keyless()) withdraw_keyless();
  if (!cuts_.empty()) {
    cut_outer_packets();
    train_end_ = nullptr;
  }
  batch_.clear();
  covered_.clear();
}

// Stages 6 and 7.
void OutboundPath::flush(OutboundSink& sink) {
  if (aggfrag_.open() != 0) aggfrag_.close_all();
  if (batch_.size() != 0) seal();
  if (!trains_.empty()) sink.send(trains_.all());
  trains_.clear();
  train_sa_ = nullptr;
  train_end_ = nullptr;
  region_ = {};
  region_used_ = 0;
}

}  // namespace culvert::ipsec
