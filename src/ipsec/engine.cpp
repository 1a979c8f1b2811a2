#include "ipsec/engine.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "ipsec/drop_reason.hpp"
#include "ipsec/early_packets.hpp"
#include "ipsec/event_queue.hpp"
#include "ipsec/inbound_path.hpp"
#include "ipsec/nat_flows.hpp"
#include "ipsec/outbound_path.hpp"
#include "ipsec/path_mtu.hpp"
#include "ipsec/sa_lengths.hpp"
#include "ipsec/sa_timers.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/spd.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kEventCapacity = 1024;

}  // namespace

struct Engine::State {
  State(const Options& engine_options, RandomSource& random)
      : options(engine_options),
        shared(options.backend, options.expanded_keys),
        events(kEventCapacity),
        nat(events, random),
        sad(options.spi_layout, random.u64()),
        outbound(options, spd, sad, nat, events, drops, random),
        inbound(options, spd, sad, nat, events, drops, random) {}

  void path_changed(SaPair& pair) {
    update_lengths(pair, options.max_train_bytes);
    events.push(PathMtuChanged{pair.params.id, pair.path_mtu.value(), inner_mtu_of(pair)});
  }
  [[nodiscard]] std::uint16_t inner_mtu_of(const SaPair& pair) const {
    const net::Family family =
        pair.params.local.empty() ? net::Family::v4 : pair.params.local.front().addresses.family();
    return static_cast<std::uint16_t>(inner_mtu(pair, family, options.max_train_bytes));
  }
  // RFC 4301 8.2.2: what an error has lowered rises again.
  void age_paths(Instant now) {
    while (const auto child = narrowed.take_due(now)) {
      SaPair* const pair = sad.find(*child);
      if (pair != nullptr && pair->path_mtu.age(now)) path_changed(*pair);
    }
  }

  void take_in(std::span<const WireInput> inputs, Instant now, InboundSink& sink) {
    inbound.run(inputs, now, sink);
    outbound.drop_forgotten();
    for (const model::ConnectionId connection : inbound.take_sending_changed()) {
      outbound.sas_changed(connection);
      hold_ended = true;
    }
  }
  // RFC 7296 2.8: what the peer sent by an SA before we had it.
  void take_in_early(Instant now, InboundSink& sink) {
    std::vector<EarlyPackets::Packet> packets = std::exchange(early, {});
    std::vector<WireInput> inputs;
    inputs.reserve(packets.size());
    for (EarlyPackets::Packet& packet : packets) inputs.push_back(packet.view());
    take_in(inputs, now, sink);
  }

  const Options options;
  SaShared shared;
  Spd spd;
  EventQueue events;
  NatFlows nat;  // outlives the pairs
  Sad sad;
  DropCounters drops;
  OutboundPath outbound;
  InboundPath inbound;
  SaTimers narrowed;  // SAs whose path MTU an error has lowered
  RateLimit path_errors{32};
  std::vector<model::Spi> released;
  std::vector<EarlyPackets::Packet> early;  // those whose SA has come
  bool hold_ended = false;
};

Engine::Engine(const Options& options, RandomSource& random) : state_(std::make_unique<State>(options, random)) {}
Engine::~Engine() = default;

void Engine::outbound(std::span<const InnerPacket> packets, Instant now, OutboundSink& sink) {
  state_->outbound.run(packets, now, sink);
}

void Engine::inbound(std::span<const WireInput> inputs, Instant now, InboundSink& sink) {
  state_->take_in(inputs, now, sink);
}

bool Engine::take_hold_ended() { return std::exchange(state_->hold_ended, false); }

void Engine::handle_time(Instant now, OutboundSink& sink) {
  state_->sad.expire(now, state_->released);
  state_->age_paths(now);
  state_->outbound.handle_time(now, sink);
  if (state_->options.early_packets != nullptr) {
    state_->drops.count(DropReason::spi_unknown, state_->options.early_packets->expire(now));
  }
}

void Engine::release(Instant now, InboundSink& sink) {
  if (!state_->early.empty()) state_->take_in_early(now, sink);
  state_->inbound.release(now, sink);
}

std::optional<Instant> Engine::next_deadline() const {
  if (!state_->early.empty()) return Instant::min();
  auto inside = earliest(state_->sad.next_expiry(), state_->narrowed.next());
  if (state_->options.early_packets != nullptr) inside = earliest(inside, state_->options.early_packets->next_expiry());
  return earliest(earliest(inside, state_->outbound.next_deadline()), state_->inbound.next_release());
}

Result<void, DataPlaneError> Engine::install(model::ChildSaParams params, Instant now) {
  state_->sad.expire(now, state_->released);
  auto pair = SaPair::make(params, state_->shared);
  if (!pair) return err(pair.error());
  SaPair& made = **pair;
  auto installed = state_->sad.install(std::move(*pair));
  if (!installed) return installed;
  state_->nat.attach(made, params, state_->sad);
  update_lengths(made, state_->options.max_train_bytes);
  state_->outbound.installed(made, now);
  state_->outbound.sas_changed(made.params.connection);
  if (state_->options.early_packets != nullptr) {
    std::ranges::move(state_->options.early_packets->take(made.params.spi_inbound), std::back_inserter(state_->early));
  }
  return installed;
}

void Engine::use_outbound(model::ChildSaId child) {
  SaPair* const pair = state_->sad.find(child);
  if (pair == nullptr || !pair->held) return;
  pair->settle(false);
  state_->outbound.sas_changed(pair->params.connection);
}

void Engine::remove(model::ChildSaId child, Duration linger, Instant now) {
  if (const SaPair* const pair = state_->sad.find(child)) state_->outbound.sas_changed(pair->params.connection);
  state_->sad.retire(child, now + linger);
  state_->sad.expire(now, state_->released);
}

void Engine::update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation,
                         std::optional<std::uint16_t> path_mtu) {
  SaPair* const pair = state_->sad.find(child);
  if (pair == nullptr) return;
  const std::pair before{pair->path_mtu.value(), state_->inner_mtu_of(*pair)};
  pair->move_to(path, encapsulation);
  state_->nat.moved(*pair);
  // What was learnt of the old path says nothing of the new one.
  path_mtu ? pair->path_mtu.reset(*path_mtu) : pair->path_mtu.reset();
  update_lengths(*pair, state_->options.max_train_bytes);
  if (before != std::pair{pair->path_mtu.value(), state_->inner_mtu_of(*pair)}) state_->path_changed(*pair);
}

void Engine::grant_sequence(model::ChildSaId child, std::uint64_t granted) {
  SaPair* const pair = state_->sad.find(child);
  if (pair == nullptr) return;
  pair->outbound.sequence.grant(granted);
  pair->outbound.unwatched.end(pair->outbound.meter);
  pair->outbound.grant_asked = false;
}

void Engine::skip_sequence(model::ChildSaId child, std::uint64_t count) {
  SaPair* const pair = state_->sad.find(child);
  if (pair == nullptr) return;
  pair->outbound.sequence.skip(count);
  pair->outbound.unwatched.end(pair->outbound.meter);
  // RFC 6311 5.2: a new SA, should there be few numbers left.
  if (!pair->outbound.sequence.running_out()) return;
  pair->outbound.meter.raise(ExpiryNews::soft);
  pair->tell_expiry(state_->events);
}

// RFC 4301 8.2: unauthenticated, so it needs to show that it comes from where our packets go.
bool Engine::unprotected_error(const net::Path& path, model::Encapsulation encapsulation, std::uint16_t mtu,
                               ByteView quoted, Instant now, bool left) {
  const PathMtuOptions& options = state_->options.path_mtu;
  if (mtu == 0 || !options.believe_errors) return true;
  SaPair* pair = nullptr;
  for (const model::ProtocolId protocol : {model::ProtocolId::esp, model::ProtocolId::ah}) {
    const auto header = quoted_header(quoted, protocol);
    if (!header || pair != nullptr) continue;
    SaPair* const found = state_->sad.find_by_outbound_spi(header->spi, path.remote.address);
    if (found == nullptr || found->params.protocol != protocol || found->params.encapsulation != encapsulation)
      continue;
    if (recently_sent(found->outbound.sequence.last(), header->sequence)) pair = found;
  }
  if (pair == nullptr) {
    if (!left) state_->drops.count(DropReason::unprotected_error_doubtful);
    return false;
  }
  // Only what is about our packets counts, or forged errors would keep the true ones out.
  if (!state_->path_errors.allow(now)) return true;
  const std::uint16_t floor = path.remote.address.is_v4() ? options.floor_v4 : options.floor_v6;
  if (!pair->path_mtu.lower(mtu, floor, now + options.age)) return true;
  state_->narrowed.arm(pair->params.id, now + options.age);
  state_->path_changed(*pair);
  return true;
}

void Engine::set_policies(std::vector<Policy> policies) {
  set_policies(std::make_shared<PolicyTable>(std::move(policies)));
}

void Engine::set_policies(std::shared_ptr<const PolicyTable> table) {
  state_->spd.replace(std::move(table));
  state_->outbound.policies_changed();
  state_->outbound.invalidate_flows();
  state_->outbound.retry_waiting();
}

void Engine::set_joining(net::Family family, const TcpJoining& joining) {
  state_->inbound.set_joining(family, joining);
}

void Engine::set_home(model::ConnectionId connection, std::optional<SaHome> home) {
  if (home && home->worker == state_->options.worker) home = std::nullopt;
  if (state_->outbound.set_home(connection, home)) state_->outbound.sas_changed(connection);
}

std::optional<SaCounters> Engine::counters(model::ChildSaId child) const {
  const SaPair* const pair = state_->sad.find(child);
  if (pair == nullptr) return std::nullopt;
  return pair->counters();
}

std::vector<std::pair<model::ChildSaId, SaCounters>> Engine::all_counters() const {
  std::vector<std::pair<model::ChildSaId, SaCounters>> all;
  for (const SaPair* const pair : state_->sad.all()) all.emplace_back(pair->params.id, pair->counters());
  return all;
}

std::vector<std::pair<std::string, std::uint64_t>> Engine::drop_counters() const {
  std::vector<std::pair<std::string, std::uint64_t>> counters;
  for (const DropReasonEntry& entry : kDropReasons) {
    const std::uint64_t count = state_->drops.of(entry.reason);
    if (count != 0) counters.emplace_back(entry.name, count);
  }
  return counters;
}

std::optional<DataPlaneEvent> Engine::poll_event() {
  if (auto event = state_->events.pop()) return event;
  if (!state_->events.take_deferred()) return std::nullopt;
  for (SaPair* const pair : state_->sad.all()) pair->tell_expiry(state_->events);
  return state_->events.pop();
}

std::string Engine::backend(model::ChildSaId child) const {
  const SaPair* const pair = state_->sad.find(child);
  const std::string* const library =
      pair == nullptr ? nullptr : state_->shared.suites.library(pair->params.profile->suite);
  return library == nullptr ? std::string{} : *library;
}

std::vector<model::Spi> Engine::take_released_spis() { return std::exchange(state_->released, {}); }

}  // namespace culvert::ipsec
