#include "datapath/userspace_data_plane.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>

#include <pthread.h>
#include <signal.h>

#include <fmt/format.h>

#include "base/check.hpp"
#include "crypto/packet_cipher.hpp"
#include "datapath/control_inlet.hpp"
#include "datapath/placement.hpp"
#include "datapath/shared.hpp"
#include "datapath/shared_early_packets.hpp"
#include "datapath/worker.hpp"
#include "io/clock.hpp"
#include "ipsec/sa.hpp"
#include "model/proposal.hpp"

namespace culvert::datapath {

namespace {

constexpr Duration kSnapshotAge = std::chrono::milliseconds(20);
// Of very many SAs it takes longer to make one than that: workers shall not spend a large part of their time on it.
constexpr int kSnapshotShare = 10;

void add(CounterSnapshot& all, CounterSnapshot one) {
  std::ranges::move(one.children, std::back_inserter(all.children));
  for (auto& [reason, packets] : one.drops) {
    const auto found = std::ranges::find(all.drops, reason, [](const auto& entry) { return entry.first; });
    if (found == all.drops.end()) {
      all.drops.emplace_back(std::move(reason), packets);
    } else {
      found->second += packets;
    }
  }
}

/// A thread that no signal of the process lands on: they belong to the main thread.
std::thread quiet_thread(Worker& worker, std::uint32_t number) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([&worker] { worker.run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), fmt::format("culvert-data{}", number).c_str());
  return thread;
}

template <typename T>
std::optional<T> take_front(std::deque<T>& queue) {
  if (queue.empty()) return {};
  std::optional<T> front(std::move(queue.front()));
  queue.pop_front();
  return front;
}

template <typename T>
void append(std::deque<T>& queue, std::vector<T> items) {
  std::ranges::move(items, std::back_inserter(queue));
}

}  // namespace

struct UserspaceDataPlane::State {
  State(const DataPlaneOptions& wanted, io::Tun tun_device, std::vector<OuterSockets> outer, RandomSource& random,
        std::vector<io::EventFd> worker_wakeups, io::EventFd control_wakeup, std::unique_ptr<TcpStreams> tcp)
      : options(wanted),
        tun(std::move(tun_device)),
        sockets(std::move(outer)),
        streams(std::move(tcp)),
        spis(wanted.engine.spi_layout, random),
        early(wanted.engine.spi_layout),
        shared(wanted, std::move(worker_wakeups), std::move(control_wakeup)),
        placement(static_cast<std::uint32_t>(sockets.size()), wanted.engine.spi_layout) {
    shared.streams = streams.get();
    for (const OuterSockets& set : sockets) shared.lanes.push_back(set.xdp());
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    shared.stop.store(true, std::memory_order_release);
    for (const auto& inbox : shared.inboxes) inbox->wakeup.signal();
    for (std::thread& thread : threads) thread.join();
  }

  /// The worker empties the queue in every turn, so waiting for room ends.
  void order(std::uint32_t worker, Command command) {
    Inbox& inbox = *shared.inboxes[worker];
    while (!inbox.commands.push(std::move(command))) {
      inbox.wakeup.signal();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    inbox.tell();
  }
  /// To the worker that has the pair; nobody knows of it otherwise.
  void order_for(model::ChildSaId child, Command command) {
    if (const auto worker = placement.worker_of(child)) order(*worker, std::move(command));
  }
  template <typename MakeCommand>
  void order_all(MakeCommand make_command) {
    for (std::uint32_t worker = 0; worker < workers.size(); ++worker) order(worker, make_command());
  }

  void release(model::Spi spi) {
    early.forget(spi);
    spis.release(spi);
  }

  /// All of them at once.
  void ask_all(bool with_counters) {
    const std::uint64_t ticket = ++last_ticket;
    order_all([&] { return AskCommand{ticket, with_counters}; });
    for (const auto& inbox : shared.inboxes) inbox->answers.wait_for(ticket);
  }

  const CounterSnapshot& fresh_snapshot() {
    const Instant now = io::MonotonicClock::now();
    if (!snapshot_at || now - *snapshot_at > std::max(kSnapshotAge, kSnapshotShare * snapshot_took)) {
      ask_all(true);
      snapshot = {};
      for (const auto& inbox : shared.inboxes) add(snapshot, inbox->answers.snapshot());
      std::ranges::sort(snapshot.children, {}, [](const auto& entry) { return entry.first; });
      snapshot_at = io::MonotonicClock::now();
      snapshot_took = *snapshot_at - now;
    }
    return snapshot;
  }

  [[nodiscard]] bool suite_works(const crypto::PacketSuite& suite);
  [[nodiscard]] Result<void, ipsec::DataPlaneError> install(model::ChildSaParams params);
  /// The home of a connection has changed, or there is none any more.
  void tell_home(model::ConnectionId connection);

  DataPlaneOptions options;
  io::Tun tun;
  std::vector<OuterSockets> sockets;  // by worker
  std::unique_ptr<TcpStreams> streams;
  ipsec::SpiAllocator spis;
  SharedEarlyPackets early;
  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::thread> threads;

  // Of the control thread.
  std::optional<ControlInlet> inlet;
  Placement placement;
  std::vector<std::shared_ptr<const ipsec::PolicyTable>>
      policies;  // the workers', and those they may not have left yet
  std::deque<IkeDatagram> datagrams;
  std::deque<ipsec::DataPlaneEvent> events;
  std::deque<std::string> faults;
  std::vector<std::pair<crypto::PacketSuite, bool>> known_suites;
  std::size_t longest_tcp = 0;
  std::uint64_t last_ticket = 0;
  CounterSnapshot snapshot;
  std::optional<Instant> snapshot_at;
  Duration snapshot_took{};
};

/// Asks the cipher libraries once per suite, with a key of zeros.
bool UserspaceDataPlane::State::suite_works(const crypto::PacketSuite& suite) {
  const auto known = std::ranges::find(known_suites, suite, [](const auto& entry) { return entry.first; });
  if (known != known_suites.end()) return known->second;
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  const Bytes encryption(sizes.encryption_key);
  const Bytes integrity(sizes.integrity_key);
  const bool works = crypto::make_packet_cipher(suite, encryption, integrity, options.engine.backend).has_value();
  known_suites.emplace_back(suite, works);
  return works;
}

Result<void, ipsec::DataPlaneError> UserspaceDataPlane::State::install(model::ChildSaParams params) {
  const auto suite = model::packet_suite(params.protocol, params.suite);
  if (!suite || !suite_works(*suite)) return err(ipsec::DataPlaneError::unsupported_suite);
  if (!ipsec::goes_together(params)) return err(ipsec::DataPlaneError::unsupported_mode);
  const crypto::SuiteSizes sizes = crypto::sizes_of(*suite);
  for (const model::SaKeys* keys : {&params.inbound, &params.outbound}) {
    if (keys->encryption.size() != sizes.encryption_key || keys->integrity.size() != sizes.integrity_key) {
      return err(ipsec::DataPlaneError::unsupported_suite);
    }
  }
  const model::Spi spi = params.spi_inbound;
  const model::ConnectionId connection = params.connection;
  const auto placed = placement.place(params);
  if (!placed) return err(placed.error());
  shared.owners.set(spi, placed->worker);
  if (!shared.inboxes[placed->worker]->commands.push(InstallCommand{std::move(params)})) {
    if (placement.gone(spi)) tell_home(connection);
    return err(ipsec::DataPlaneError::overloaded);
  }
  shared.inboxes[placed->worker]->tell();
  if (placed->home_changed) tell_home(connection);
  return {};
}

void UserspaceDataPlane::State::tell_home(model::ConnectionId connection) {
  const auto home = placement.home_of(connection);
  order_all([&] { return SetHomeCommand{connection, home}; });
}

UserspaceDataPlane::UserspaceDataPlane(std::unique_ptr<State> state) : state_(std::move(state)) {}
UserspaceDataPlane::~UserspaceDataPlane() = default;

Result<std::unique_ptr<UserspaceDataPlane>, io::IoError> UserspaceDataPlane::start(
    const DataPlaneOptions& options, io::Tun tun, std::vector<OuterSockets> sockets, RandomSource& random,
    std::unique_ptr<TcpStreams> streams) {
  CHECK(!sockets.empty() && sockets.size() == tun.queues().size() && sockets.size() <= kMostWorkers);
  std::vector<io::EventFd> wakeups;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    auto wakeup = io::EventFd::open();
    if (!wakeup) return err(std::move(wakeup.error()));
    wakeups.push_back(std::move(*wakeup));
  }
  auto control_wakeup = io::EventFd::open();
  if (!control_wakeup) return err(std::move(control_wakeup.error()));
  if (!streams) {
    auto opened = TcpStreams::open({});
    if (!opened) return err(std::move(opened.error()));
    streams = std::move(*opened);
  }
  DataPlaneOptions settled = options;
  settled.engine.coalesce = tun.offload() >= io::TunOffload::tcp;
  settled.engine.coalesce_udp = tun.offload() >= io::TunOffload::tcp_and_udp;
  auto state = std::make_unique<State>(settled, std::move(tun), std::move(sockets), random, std::move(wakeups),
                                       std::move(*control_wakeup), std::move(streams));
  auto inlet = ControlInlet::open(state->shared.to_control, state->sockets.front());
  if (!inlet) return err(std::move(inlet.error()));
  state->inlet.emplace(std::move(*inlet));
  for (std::uint32_t i = 0; i < state->sockets.size(); ++i) {
    settled.engine.worker = i;
    settled.engine.early_packets = &state->early;
    auto worker = Worker::make(settled.engine, state->tun.queues()[i], state->sockets[i], state->shared, random);
    if (!worker) return err(std::move(worker.error()));
    state->workers.push_back(std::move(*worker));
  }
  for (std::uint32_t i = 0; i < state->workers.size(); ++i) {
    state->threads.push_back(quiet_thread(*state->workers[i], i));
  }
  std::unique_ptr<UserspaceDataPlane> started(new UserspaceDataPlane(std::move(state)));
  started->read_forwarding();
  return started;
}

int UserspaceDataPlane::wakeup_fd() const { return state_->inlet->fd(); }

void UserspaceDataPlane::handle_wakeup() {
  Shared& shared = state_->shared;
  if (!state_->inlet->take(state_->datagrams, shared.counters)) return;
  shared.take_wakeup();
  append(state_->datagrams, shared.datagrams.take_all());
  auto events = shared.events.take_all();
  const bool was_full = events.size() >= shared.events.capacity();
  append(state_->events, std::move(events));
  if (was_full) {
    for (const auto& inbox : shared.inboxes) inbox->wakeup.signal();  // a worker may hold more and sleep
  }
  append(state_->faults, shared.faults.take_all());
  for (const model::Spi spi : shared.released.take_all()) {
    if (const auto left = state_->placement.gone(spi)) state_->tell_home(*left);
    state_->release(spi);
  }
}

std::optional<IkeDatagram> UserspaceDataPlane::poll_datagram() { return take_front(state_->datagrams); }
std::optional<ipsec::DataPlaneEvent> UserspaceDataPlane::poll_event() { return take_front(state_->events); }
std::optional<std::string> UserspaceDataPlane::poll_fault() { return take_front(state_->faults); }

int UserspaceDataPlane::send_ike(const net::Path& path, ByteView message) {
  const int error =
      path.over_tcp() ? state_->streams->send_ike(path, message) : state_->sockets.front().send_ike(path, message);
  if (error != 0) state_->shared.counters.count(IoDrop::outer_refused);
  return error;
}

int UserspaceDataPlane::send_keepalive(const net::Path& path) {
  const int error = state_->sockets.front().send_keepalive(path);
  if (error != 0) state_->shared.counters.count(IoDrop::outer_refused);
  return error;
}

TcpStreams& UserspaceDataPlane::streams() { return *state_->streams; }

io::Tun& UserspaceDataPlane::tun() { return state_->tun; }

DataPlaneFacts UserspaceDataPlane::facts() const {
  DataPlaneFacts facts;
  facts.tun_name = state_->tun.name();
  facts.tun_offload = io::name_of(state_->tun.offload());
  facts.longest_tcp = state_->options.engine.coalesce ? state_->longest_tcp : 0;
  for (const OuterSockets::Entry& entry : state_->sockets.front().entries()) {
    facts.udp_segmentation |= entry.socket.sends_trains();
    facts.udp_receive_offload |= entry.socket.receives_trains();
    facts.raw_esp |= entry.kind == OuterSockets::Kind::esp;
    facts.ipv6 |= entry.socket.family() == net::Family::v6;
  }
  facts.xdp = state_->sockets.front().xdp_facts();
  facts.workers = state_->workers.size();
  return facts;
}

void UserspaceDataPlane::read_addresses() { state_->sockets.front().read_addresses(); }

// Where nothing is forwarded, what TUN takes is for this host's own TCP, or for nobody. Elsewhere it may leave by an
// interface that cannot send longer ones: the kernel would cut them first.
void UserspaceDataPlane::read_forwarding() {
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    ipsec::TcpJoining joining;
    joining.over_push = !state_->tun.forwards(family);
    if (joining.over_push && family == net::Family::v4 && state_->tun.takes_big_tcp()) {
      joining.longest = ipsec::kMaxSuperPacket;
    }
    if (family == net::Family::v4) state_->longest_tcp = joining.longest;
    state_->order_all([&] { return SetJoiningCommand{family, joining}; });
  }
}

std::optional<std::uint32_t> UserspaceDataPlane::worker_of(model::ChildSaId child) const {
  return state_->placement.worker_of(child);
}

void UserspaceDataPlane::settle() { state_->ask_all(false); }

Result<model::Spi, ipsec::DataPlaneError> UserspaceDataPlane::allocate_spi(std::optional<std::uint32_t> /*resource*/) {
  auto spi = state_->spis.allocate();
  if (spi) {
    state_->early.expect(*spi);
    state_->shared.owners.expect(*spi);
  }
  return spi;
}
Result<void, ipsec::DataPlaneError> UserspaceDataPlane::reserve_spi(model::Spi spi) {
  return state_->spis.reserve(spi);
}
void UserspaceDataPlane::release_spi(model::Spi spi) { state_->release(spi); }

Result<void, ipsec::DataPlaneError> UserspaceDataPlane::install(model::ChildSaParams params) {
  const model::Spi spi = params.spi_inbound;
  auto installed = state_->install(std::move(params));
  if (!installed) state_->release(spi);
  return installed;
}

void UserspaceDataPlane::use_outbound(model::ChildSaId child) { state_->order_for(child, UseOutboundCommand{child}); }
void UserspaceDataPlane::remove(model::ChildSaId child, Duration linger) {
  state_->order_for(child, RemoveCommand{child, linger});
}
void UserspaceDataPlane::update_path(model::ChildSaId child, const net::Path& path,
                                     model::Encapsulation encapsulation) {
  state_->order_for(child, UpdatePathCommand{child, path, encapsulation});
}
void UserspaceDataPlane::grant_sequence(model::ChildSaId child, std::uint64_t granted) {
  state_->order_for(child, GrantSequenceCommand{child, granted});
}
void UserspaceDataPlane::skip_sequence(model::ChildSaId child, std::uint64_t count) {
  state_->order_for(child, SkipSequenceCommand{child, count});
}
void UserspaceDataPlane::set_policies(std::vector<ipsec::Policy> policies) {
  // Making a long list ready, and taking one apart, are work for this thread: packets do not wait for it. So an old
  // table is kept until the workers have let go of it.
  std::erase_if(state_->policies, [](const auto& table) { return table.use_count() == 1; });
  state_->policies.push_back(std::make_shared<const ipsec::PolicyTable>(std::move(policies)));
  state_->order_all([&] { return SetPoliciesCommand{state_->policies.back()}; });
}

std::optional<ipsec::SaCounters> UserspaceDataPlane::counters(model::ChildSaId child) const {
  const auto& children = state_->fresh_snapshot().children;
  const auto found = std::ranges::lower_bound(children, child, {}, [](const auto& entry) { return entry.first; });
  if (found == children.end() || found->first != child) return {};
  return found->second;
}

std::vector<std::pair<std::string, std::uint64_t>> UserspaceDataPlane::drop_counters() const {
  auto drops = state_->fresh_snapshot().drops;
  state_->shared.counters.append_to(drops);
  // Before they were ours: more came than the workers took.
  drops.emplace_back(kTunQueueFull, state_->tun.queue_drops());
  return drops;
}

}  // namespace culvert::datapath
