#include "ipsec/engine.hpp"

#include <utility>

#include "ipsec/drop_reason.hpp"
#include "ipsec/event_queue.hpp"
#include "ipsec/inbound_path.hpp"
#include "ipsec/outbound_path.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/spd.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kEventCapacity = 1024;

}  // namespace

struct Engine::State {
  State(const Options& engine_options, RandomSource& random)
      : options(engine_options),
        sad(options.spi_layout),
        events(kEventCapacity),
        outbound(options, spd, sad, events, drops, random),
        inbound(options, sad, events, drops) {}

  // Flows may take another way now, and packets that wait may have one.
  void sending_changed() {
    outbound.invalidate_flows();
    outbound.retry_waiting();
  }

  const Options options;
  Spd spd;
  Sad sad;
  EventQueue events;
  DropCounters drops;
  OutboundPath outbound;
  InboundPath inbound;
  std::vector<model::Spi> released;
};

Engine::Engine(const Options& options, RandomSource& random) : state_(std::make_unique<State>(options, random)) {}
Engine::~Engine() = default;

void Engine::outbound(std::span<const InnerPacket> packets, Instant now, OutboundSink& sink) {
  state_->outbound.run(packets, now, sink);
}

void Engine::inbound(std::span<const WireInput> inputs, Instant now, InboundSink& sink) {
  state_->inbound.run(inputs, now, sink);
  if (state_->inbound.take_sending_changed()) state_->sending_changed();
}

void Engine::handle_time(Instant now, OutboundSink& sink) {
  state_->sad.expire(now, state_->released);
  state_->outbound.handle_time(now, sink);
}

std::optional<Instant> Engine::next_deadline() const {
  return earliest(state_->sad.next_expiry(), state_->outbound.next_deadline());
}

Result<void, DataPlaneError> Engine::install(model::ChildSaParams params, Instant now) {
  state_->sad.expire(now, state_->released);
  auto pair = SaPair::make(std::move(params), state_->options.backend);
  if (!pair) return err(pair.error());
  auto installed = state_->sad.install(std::move(*pair));
  if (installed) state_->sending_changed();
  return installed;
}

void Engine::use_outbound(model::ChildSaId child) {
  SaPair* const pair = state_->sad.find(child);
  if (pair == nullptr || !pair->held) return;
  pair->held = false;
  state_->sending_changed();
}

void Engine::remove(model::ChildSaId child, Duration linger, Instant now) {
  state_->sad.retire(child, now + linger);
  state_->sending_changed();
  state_->sad.expire(now, state_->released);
}

void Engine::update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation) {
  SaPair* const pair = state_->sad.find(child);
  if (pair != nullptr) pair->move_to(path, encapsulation);
}

void Engine::grant_sequence(model::ChildSaId child, std::uint64_t granted) {
  SaPair* const pair = state_->sad.find(child);
  if (pair == nullptr) return;
  pair->outbound.sequence.grant(granted);
  pair->outbound.grant_asked = false;
}

void Engine::unprotected_error(const net::Path&, model::Encapsulation, std::uint16_t, ByteView, Instant) {
  // RFC 4301 8.2: nothing that came unauthenticated is believed as it stands.
}

void Engine::set_policies(std::vector<Policy> policies) {
  state_->spd.replace(std::move(policies));
  state_->sending_changed();
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
  return pair == nullptr ? std::string{} : pair->outbound.cipher->backend();
}

std::vector<model::Spi> Engine::take_released_spis() { return std::exchange(state_->released, {}); }

}  // namespace culvert::ipsec
