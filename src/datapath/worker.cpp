#include "datapath/worker.hpp"

#include <utility>

#include "io/clock.hpp"

namespace culvert::datapath {

namespace {

constexpr std::uint32_t kCommandToken = 0;
constexpr std::uint32_t kTunToken = 1;
constexpr std::uint32_t kStreamsToken = 2;
constexpr std::uint32_t kFirstConnectedToken = 3;
constexpr std::uint32_t kFirstSocketToken = kFirstConnectedToken + ConnectedPeers::kMost;
/// Batches of one source before the next one has its turn. What was received, up to a megabyte, is answered before more
/// is taken: a peer that waits for acknowledgments would else stand still meanwhile.
constexpr int kReceivedPerTurn = 1;
constexpr int kReadPerTurn = 4;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

Result<std::unique_ptr<Worker>, io::IoError> Worker::make(const ipsec::EngineOptions& options, io::TunQueue& tun,
                                                          const OuterSockets& sockets, Shared& shared,
                                                          RandomSource& random) {
  auto poller = io::Poller::open();
  if (!poller) return err(std::move(poller.error()));
  auto added = poller->add(shared.inboxes[options.worker]->wakeup.fd(), kCommandToken);
  if (added) added = poller->add(tun.fd(), kTunToken);
  // One worker has them all: packets for the others' SAs are handed over as any are.
  if (added && options.worker == 0) added = poller->add(shared.streams->fd(), kStreamsToken);
  for (std::size_t i = 0; added && i < sockets.entries().size(); ++i) {
    if (sockets.entries()[i].kind == OuterSockets::Kind::ike) continue;  // the control thread's
    added = poller->add(sockets.entries()[i].socket.fd(), kFirstSocketToken + static_cast<std::uint32_t>(i));
  }
  for (std::size_t i = 0; added && sockets.xdp() != nullptr && i < sockets.xdp()->ports(); ++i) {
    added =
        poller->add(sockets.xdp()->fd(i), kFirstSocketToken + static_cast<std::uint32_t>(sockets.entries().size() + i));
  }
  if (!added) return err(std::move(added.error()));
  return std::unique_ptr<Worker>(new Worker(std::move(*poller), options, tun, sockets, shared, random));
}

Worker::Worker(io::Poller poller, const ipsec::EngineOptions& options, io::TunQueue& tun, const OuterSockets& sockets,
               Shared& shared, RandomSource& random)
    : poller_(std::move(poller)),
      tun_(tun),
      sockets_(sockets),
      shared_(shared),
      inbox_(*shared.inboxes[options.worker]),
      exchange_(shared, options.worker),
      engine_(options, random),
      reader_(tun, shared.counters),
      connected_(sockets, exchange_.alone()),
      sender_(sockets, connected_, *shared.streams, tun, exchange_, poller_, shared.counters,
              {options.max_train_segments, options.max_train_bytes}),
      receiver_(engine_, tun, exchange_, shared) {
  exchange_.while_settling([this] { return work_while_settling(); });
}

void Worker::run() {
  while (!shared_.stop.load(std::memory_order_acquire)) {
    now_ = io::MonotonicClock::now();
    const bool nothing_handed_over = exchange_.fall_asleep();
    const auto ready = poller_.wait(nothing_handed_over ? time_to_wait() : Duration::zero());
    exchange_.woke_up();
    now_ = io::MonotonicClock::now();
    bool moved = false;
    catch_up();
    for (const io::Poller::Ready& source : ready) moved |= dispatch(source);
    moved |= take_handed_over();
    // While packets were in work others came, and those for TUN may have been answered at once: looking costs less than
    // being told.
    if (moved) {
      now_ = io::MonotonicClock::now();
      (void)pump_tun();
    }
    // An SA that arrived, or a packet that proved the peer ready, may have freed packets that waited.
    if (const auto due = engine_.next_deadline(); due && *due <= now_) {
      engine_.handle_time(now_, sender_);
      engine_.release(now_, receiver_);
    }
    sender_.flush();
    connect_busy_peer();
    exchange_.wake();
    tell_too_long();
    give_back_spis();
    tell_control();
  }
}

void Worker::tell_too_long() {
  for (const WireSender::TooLong& packet : sender_.take_too_long()) {
    const std::uint16_t mtu = sockets_.mtu_towards(packet.path);
    if (mtu != 0) engine_.unprotected_error(packet.path, packet.encapsulation, mtu, packet.quoted, now_);
  }
}

std::optional<Duration> Worker::time_to_wait() const {
  // A lane whose frames the kernel did not take at once.
  constexpr Duration kSoon = std::chrono::milliseconds(1);
  if (sockets_.xdp() != nullptr && sockets_.xdp()->pending()) return kSoon;
  const auto due = engine_.next_deadline();
  if (!due) return {};
  return *due <= now_ ? Duration::zero() : *due - now_;
}

// True when packets came.
bool Worker::dispatch(const io::Poller::Ready& source) {
  switch (source.token) {
    case kCommandToken:
      // In this order: what was ordered since this turn began may be what it was woken for.
      inbox_.wakeup.drain();
      catch_up();
      return false;
    case kTunToken: return pump_tun();
    case kStreamsToken: return pump_streams();
    default: break;
  }
  if (source.token < kFirstSocketToken) {
    return pump_socket(connected_.entry(source.token - kFirstConnectedToken), source.failed);
  }
  const std::size_t number = source.token - kFirstSocketToken;
  const std::size_t sockets = sockets_.entries().size();
  if (number >= sockets) return pump_lane(number - sockets, source.failed);
  return pump_socket(sockets_.entries()[number], source.failed);
}

bool Worker::pump_lane(std::size_t port, bool failed) {
  XdpLane& lane = *sockets_.xdp();
  if (failed) {
    // The interface is gone; without it the raw sockets do the work.
    poller_.remove(lane.fd(port));
    lane.close(port);
    return false;
  }
  bool moved = false;
  for (int i = 0; i < kReceivedPerTurn && receiver_.receive(lane, port, now_); ++i) moved = true;
  return moved;
}

void Worker::connect_busy_peer() {
  const auto number = connected_.connect([this](std::size_t leaving) { empty(connected_.entry(leaving)); });
  if (!number) return;
  const OuterSockets::Entry& opened = connected_.entry(*number);
  // What came before the new socket was there goes first.
  for (const OuterSockets::Entry& common : sockets_.entries()) {
    if (common.kind == opened.kind && common.socket.family() == opened.socket.family()) empty(common);
  }
  const auto token = kFirstConnectedToken + static_cast<std::uint32_t>(*number);
  if (!poller_.add(opened.socket.fd(), token)) connected_.forget(*number);
}

void Worker::empty(const OuterSockets::Entry& entry) {
  // Whoever sends faster than we read shall not hold up everything else.
  constexpr int kMostBatches = 64;
  for (int i = 0; i < kMostBatches && receiver_.receive(entry, now_); ++i) {
  }
}

// What control has ordered goes before the packets that came of it, in whatever order the two are found: nobody waits
// for an order to be carried out. Packets of the wire that are here before it wait for their SA (ipsec/early_packets).
// And where the peer has proved that it has an SA, flows are about to take it.
void Worker::catch_up() {
  if (inbox_.ordered.load(std::memory_order_acquire)) run_commands();
  if (engine_.take_hold_ended()) settle();
}

void Worker::run_commands() {
  inbox_.ordered.exchange(false);
  for (Command& command : inbox_.commands.take_all()) {
    std::visit(Overloaded{
                   [&](InstallCommand& install) { carry_out(install); },
                   [&](const UseOutboundCommand& use) {
                     settle();
                     engine_.use_outbound(use.child);
                   },
                   [&](const RemoveCommand& remove) { engine_.remove(remove.child, remove.linger, now_); },
                   [&](const UpdatePathCommand& move) {
                     engine_.update_path(move.child, move.path, move.encapsulation, sockets_.mtu_towards(move.path));
                   },
                   [&](const GrantSequenceCommand& grant) { engine_.grant_sequence(grant.child, grant.granted); },
                   [&](const SkipSequenceCommand& skip) { engine_.skip_sequence(skip.child, skip.count); },
                   [&](SetPoliciesCommand& set) { engine_.set_policies(std::move(set.table)); },
                   [&](const SetHomeCommand& set) { engine_.set_home(set.connection, set.home); },
                   [&](const SetJoiningCommand& set) { receiver_.set_joining(set.family, set.joining); },
                   [&](const AskCommand& ask) { answer(ask); },
               },
               command);
  }
  engine_.handle_time(now_, sender_);
  // Before what came after them.
  engine_.release(now_, receiver_);
}

// Of pairs that are gone, whether a command or the end of their lingering took them.
void Worker::give_back_spis() {
  for (model::Spi spi : engine_.take_released_spis()) {
    // As many places as there are SPIs: it cannot be full.
    (void)shared_.released.push(std::move(spi));
    control_wanted_ = true;
  }
}

// Flows that went by another worker's SA are about to take one of this worker: what was handed over leaves first.
void Worker::settle() {
  if (!exchange_.alone()) (void)exchange_.settle(Exchange::kLongestSettling);
}

void Worker::carry_out(InstallCommand& command) {
  const model::ChildSaId child = command.params.id;
  model::Spi spi = command.params.spi_inbound;
  settle();
  if (command.params.path_mtu == 0) command.params.path_mtu = sockets_.mtu_towards(command.params.path);
  const auto installed = engine_.install(std::move(command.params), now_);
  if (installed) return;
  shared_.counters.count(IoDrop::install_refused);
  refused_.push_back({child, installed.error()});
  (void)shared_.released.push(std::move(spi));
}

void Worker::answer(const AskCommand& command) {
  std::optional<CounterSnapshot> snapshot;
  if (command.with_counters) {
    snapshot = CounterSnapshot{engine_.all_counters(), engine_.drop_counters()};
    const std::uint64_t dropped = sockets_.receive_drops() + connected_.receive_drops();
    if (dropped != 0) snapshot->drops.emplace_back(kOuterQueueFull, dropped);
  }
  inbox_.answers.give(command.ticket, std::move(snapshot));
}

bool Worker::pump_tun() {
  bool moved = false;
  for (int i = 0; i < kReadPerTurn && !tun_gone_; ++i) {
    const TunReader::Batch batch = reader_.read();
    if (!batch.packets.empty()) {
      moved = true;
      catch_up();
      engine_.outbound(batch.packets, now_, sender_);
      sender_.flush();
    }
    if (batch.error != 0) {
      tun_gone_ = true;
      poller_.remove(tun_.fd());
      if (!shared_.tun_gone.exchange(true)) {
        (void)shared_.faults.push("the TUN interface is gone: " + io::errno_text(batch.error));
        control_wanted_ = true;
      }
    }
    if (batch.drained) break;
  }
  return moved;
}

bool Worker::pump_socket(const OuterSockets::Entry& entry, bool failed) {
  if (failed) receiver_.receive_errors(entry, now_);
  bool moved = false;
  for (int i = 0; i < kReceivedPerTurn && receiver_.receive(entry, now_); ++i) moved = true;
  return moved;
}

bool Worker::pump_streams() {
  receiver_.set_now(now_);
  control_wanted_ |= shared_.streams->turn(now_, receiver_, shared_.counters);
  return true;
}

bool Worker::take_handed_over() {
  return exchange_.take([this] { catch_up(); }, [this](const HandoverRing::Batch& batch) { work_up(batch); });
}

// Orders wait meanwhile: some of them settle themselves, and those in hand come first.
bool Worker::work_while_settling() {
  const bool any = exchange_.take([] {}, [this](const HandoverRing::Batch& batch) { work_up(batch); });
  sender_.flush();
  return any;
}

void Worker::work_up(const HandoverRing::Batch& batch) {
  if (!batch.inner.empty()) {
    sender_.set_second_hand(true);
    engine_.outbound(batch.inner, now_, sender_);
    sender_.set_second_hand(false);
    sender_.flush();
  }
  if (!batch.wire.empty()) engine_.inbound(batch.wire, now_, receiver_);
  for (const OuterError& error : batch.errors) receiver_.take_error(error, now_);
}

std::optional<ipsec::DataPlaneEvent> Worker::next_event() {
  if (refused_.empty()) return engine_.poll_event();
  const ipsec::SaRefused refused = refused_.back();
  refused_.pop_back();
  return refused;
}

void Worker::tell_control() {
  // An event that finds no room waits here, and the others in the engine: an expiry is told once and must not get lost.
  if (!held_event_) held_event_ = next_event();
  while (held_event_ && shared_.events.push(std::move(*held_event_))) {
    control_wanted_ = true;
    held_event_ = next_event();
  }
  if (receiver_.take_control_wanted() || control_wanted_) shared_.tell_control();
  control_wanted_ = false;
}

}  // namespace culvert::datapath
