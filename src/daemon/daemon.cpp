// Starting, turning and stopping. What the control protocol asks for stands in daemon_api.cpp.
#include "daemon/daemon.hpp"

#include <algorithm>
#include <csignal>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "config/load.hpp"
#include "daemon/cipher_choice.hpp"
#include "daemon/endpoint_secret.hpp"
#include "daemon/engine_settings.hpp"
#include "daemon/notify.hpp"
#include "daemon/start_memory.hpp"
#include "daemon/ticket_keys.hpp"
#include "ike/key_exchange.hpp"
#include "ike/puzzle.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/ike_endpoint.hpp"
#include "io/addresses.hpp"
#include "io/kernel_ipsec.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;
using Level = control::Notice::Level;

std::optional<model::Spi> Daemon::Spis::allocate(std::optional<std::uint32_t> resource) {
  const auto spi = data_plane_.allocate_spi(resource);
  return spi ? std::optional(*spi) : std::nullopt;
}

Daemon::Daemon(asio::io_context& io, Log& log, Options options, config::Config config)
    : io_(io),
      log_(log),
      options_(std::move(options)),
      config_(std::move(config)),
      started_(clock_.now()),
      work_ready_(io),
      data_plane_ready_(io),
      monitor_ready_(io),
      timer_(io),
      quiet_timer_(io),
      look_timer_(io),
      secret_timer_(io),
      signals_(io, SIGTERM, SIGINT, SIGHUP) {}

Daemon::~Daemon() {
  // The descriptors belong to others.
  if (work_ready_.is_open()) work_ready_.release();
  if (data_plane_ready_.is_open()) data_plane_ready_.release();
  if (monitor_ready_.is_open()) monitor_ready_.release();
}

// ---------------------------------------------------------------- start

Result<std::unique_ptr<Daemon>, std::string> Daemon::start(asio::io_context& io, Log& log, Options options,
                                                           config::Config config) {
  auto daemon = std::unique_ptr<Daemon>(new Daemon(io, log, std::move(options), std::move(config)));
  if (auto opened = daemon->open(); !opened) return err(std::move(opened.error()));
  daemon->begin();
  return daemon;
}

Result<void, std::string> Daemon::open() {
  const config::DaemonConfig& wanted = config_.daemon;
  if (options_.socket.empty()) options_.socket = wanted.socket;
  ledger_.emplace(state_folder());
  if (wanted.export_keys) {
    auto exporter = KeyExport::open(*wanted.export_keys);
    if (!exporter) return err(std::move(exporter.error()));
    key_export_ = std::move(*exporter);
    log_.write(
        Level::warning, "",
        fmt::format("session keys are exported to {}: whoever reads them reads all traffic", *wanted.export_keys));
  }
  // The control socket first: a second daemon with the same one must not touch the network of the first.
  auto server = api::Server::listen(io_, options_.socket, *this, log_.ring());
  if (!server) return err(server.error().message + (server.error().hint.empty() ? "" : ". " + server.error().hint));
  server_ = std::move(*server);

  datapath::SocketOptions sockets;
  sockets.ike_port = wanted.ike_port;
  sockets.nat_port = wanted.nat_port;
  sockets.mark = wanted.fwmark;
  sockets.xdp = wanted.xdp;
  const std::uint32_t workers = wanted.workers.value_or(std::clamp(std::thread::hardware_concurrency() / 2, 1U, 8U));
  auto outer = datapath::OuterSockets::open(sockets, workers);
  if (!outer) return err(std::move(outer.error().text));
  io::TunOptions tun_options;
  tun_options.name = wanted.tun_name;
  tun_options.queues = workers;
  auto tun = io::Tun::open(tun_options);
  if (!tun) return err(std::move(tun.error().text));
  datapath::DataPlaneOptions data_plane_options;
  data_plane_options.engine = engine_options(wanted.packets);
  data_plane_options.engine.coalesce = true;
  auto streams = datapath::TcpStreams::open({.listen = wanted.listen_tcp, .mark = wanted.fwmark});
  if (!streams) return err(std::move(streams.error().text));
  auto data_plane = datapath::UserspaceDataPlane::start(data_plane_options, std::move(*tun), std::move(*outer), random_,
                                                        std::move(*streams));
  if (!data_plane) return err(std::move(data_plane.error().text));
  data_plane_ = std::move(*data_plane);

  io::RoutingOptions routing;
  routing.table = wanted.routing_table;
  routing.mark = wanted.fwmark;
  const io::ClearPacketOptions clear_packets{.tun_name = data_plane_->tun().name(),
                                             .tun_index = data_plane_->tun().index(),
                                             .ike_port = wanted.ike_port,
                                             .nat_port = wanted.nat_port,
                                             .listen_tcp = wanted.listen_tcp,
                                             .mark = wanted.fwmark};
  auto network = HostNetwork::open(routing, clear_packets, data_plane_->tun());
  if (!network) return err(std::move(network.error().text));
  network_.emplace(std::move(*network));
  name_servers_.emplace(HostNameServers::Options{.link = data_plane_->tun().name(), .folder = state_folder()},
                        [this](std::string problem) {
                          asio::post(io_, [this, text = std::move(problem)] { log_.write(Level::warning, "", text); });
                        });
  auto monitor = io::NetworkMonitor::open();
  if (!monitor) return err(std::move(monitor.error().text));
  monitor_.emplace(std::move(*monitor));

  spis_ = std::make_unique<Spis>(*data_plane_);
  ike::EndpointSettings settings;
  settings.ike_port = wanted.ike_port;
  settings.nat_port = wanted.nat_port;
  settings.export_keys = key_export_.has_value();
  settings.cookie_threshold = wanted.set_ups.cookie_threshold;
  settings.half_open_limit = wanted.set_ups.half_open_limit;
  settings.half_open_per_address = wanted.set_ups.half_open_per_address;
  settings.half_open_per_network = wanted.set_ups.half_open_per_network;
  settings.puzzle_threshold = wanted.set_ups.puzzle_threshold;
  settings.puzzle_bits = wanted.set_ups.puzzle_bits;
  // In the loop it would keep all tunnels waiting for seconds, for anybody who answers our IKE_SA_INIT.
  settings.solve_puzzles = wanted.ike_threads.value_or(usual_work_threads()) > 0;
  settings.resources = static_cast<std::uint32_t>(data_plane_->facts().workers);
  ike_ = std::make_unique<ike::v2::IkeEndpoint>(settings, random_, *spis_);
  control_ = std::make_unique<control::ControlPlane>(control::ControlSettings{.ike_port = wanted.ike_port,
                                                                              .nat_port = wanted.nat_port,
                                                                              .export_keys = settings.export_keys,
                                                                              .resources = settings.resources},
                                                     *ike_, *data_plane_, random_);
  paths_ = std::make_unique<PathFinder>(io_, wanted.fwmark);
  radius_ = std::make_unique<RadiusService>(io_, random_, radius_hooks());
  if (const unsigned threads = wanted.ike_threads.value_or(usual_work_threads()); threads > 0) {
    auto pool = WorkPool::open(threads);
    if (!pool) return err(std::move(pool.error()));
    pool_ = std::move(*pool);
  }
  desk_ = std::make_unique<ProofDesk>(
      io_, state_folder() / "crl",
      [this](ike::RequestToken token, WorkPool::Work work) {
        compute(token, std::move(work));
        // Without a pool the answer is there already, and nobody else turns the loop for it.
        if (!pool_) asio::post(io_, [this] { stopping_ ? void() : pump(); });
      },
      [this](const std::string& note) { log_.write(Level::warning, "", note); });
  return {};
}

void Daemon::begin() {
  const datapath::DataPlaneFacts facts = data_plane_->facts();
  log_.write(
      Level::info, "",
      fmt::format(
          "listening on UDP {} and {}{}{}, packets through {} (offload {}), control socket {}", config_.daemon.ike_port,
          config_.daemon.nat_port,
          config_.daemon.listen_tcp.empty() ? "" : fmt::format(", TCP {}", fmt::join(config_.daemon.listen_tcp, ", ")),
          facts.ipv6 ? ", IPv4 and IPv6" : ", IPv4 only", facts.tun_name, facts.tun_offload, options_.socket));
  if (const auto kernel = io::kernel_ipsec(); kernel.in_use()) {
    log_.write(Level::warning, "",
               fmt::format("the kernel has {} IPsec SAs and {} policies of another program; they take ESP away from "
                           "culvertd (see: ip xfrm "
                           "state, ip xfrm policy)",
                           kernel.sas, kernel.policies));
  }
  for (const datapath::XdpPorts::Fact& one : data_plane_->facts().xdp) {
    log_.write(one.in_use ? Level::info : Level::warning, "",
               one.in_use
                   ? fmt::format("ESP without UDP goes by AF_XDP at {}: {}", one.interface, one.text)
                   : fmt::format("no AF_XDP at {}, ESP goes by the kernel's sockets: {}", one.interface, one.text));
  }
  data_plane_ready_.assign(data_plane_->wakeup_fd());
  monitor_ready_.assign(monitor_->fd());
  if (pool_) {
    work_ready_.assign(pool_->wakeup_fd());
    wait_for_work();
  }
  wait_for_data_plane();
  wait_for_network_changes();
  wait_for_signals();
  look_at_network();
  config::Config wanted = std::move(config_);
  config_ = {};
  config_.daemon = wanted.daemon;
  use_endpoint_secret();
  const config::Diff diff = config::diff(config_, wanted);
  run_config(std::move(wanted), diff);
  notify_ready(fmt::format("{} tunnels", config_.tunnels.size()));
  release_memory_later();
}

void Daemon::choose_ciphers(const config::Config& wanted) {
  if (!wanted.daemon.measure_ciphers) return;
  const auto before = meter_.left();
  std::size_t settled = 0;
  // On a thread of its own: what the libraries keep for each thread that computes packets goes with it.
  std::thread([&] {
    for (const crypto::PacketSuite& suite : packet_suites(wanted)) settled += meter_.settle(suite) ? 1U : 0U;
  }).join();
  if (settled == 0) return;
  const std::chrono::duration<double, std::milli> taken = before - meter_.left();
  log_.write(Level::debug, "",
             fmt::format("measured who computes {} suites fastest, in {:.1f} ms", settled, taken.count()));
}

namespace {
bool gives_tickets(const config::Config& config) {
  return std::ranges::any_of(config.tunnels, [](const config::TunnelConfig& tunnel) {
    return tunnel.connection.life.resumption > Duration::zero();
  });
}
}  // namespace

void Daemon::run_config(config::Config wanted, const config::Diff& diff) {
  secrets_.load(wanted);
  log_.set_level(options_.log_level.value_or(wanted.daemon.log_level));
  // What the daemon shows, and compares the next configuration with, is what it does.
  wanted.daemon = config::in_force(config_.daemon, wanted.daemon);
  choose_ciphers(wanted);
  config_ = std::move(wanted);
  for (const config::Problem& warning : config_.warnings) log_.write(Level::warning, "", warning.to_string());
  if (diff.radius_changed) radius_->configure(config_.radius);
  if (config_.tunnels.empty() && config_.manual.empty())
    log_.write(Level::warning, "", fmt::format("{} has no tunnel", options_.config));
  network_->set_own_streams(std::ranges::any_of(config_.tunnels, [](const config::TunnelConfig& tunnel) {
    return tunnel.connection.tcp != model::TcpPolicy::never;
  }));
  const bool first = !std::exchange(configured_, true);
  if (first || secrets_of_tickets_ != gives_tickets(config_)) use_endpoint_secret();
  control_->apply(config_, diff, now());
  if (diff.pools_changed) load_leases();
  for (const auto& [name, id] : control_->connection_ids()) secrets_.name_connection(id, name);
  pump();
}

// ---------------------------------------------------------------- the loop

void Daemon::wait_for_data_plane() {
  data_plane_ready_.async_wait(asio::posix::stream_descriptor::wait_read,
                               [this](const boost::system::error_code& error) {
                                 if (error) return;
                                 data_plane_->handle_wakeup();
                                 while (auto datagram = data_plane_->poll_datagram())
                                   control_->handle_datagram(datagram->path, datagram->message, now());
                                 tell_stream_news();
                                 control_->handle_data_plane(now());
                                 if (const auto fault = data_plane_->poll_fault()) fail(*fault);
                                 pump();
                                 if (!stopping_) wait_for_data_plane();
                               });
}

void Daemon::wait_for_network_changes() {
  monitor_ready_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    const auto changes = monitor_->take(io::RoutingOptions{}.protocol);
    if (changes.addresses) {
      log_problems(network_->addresses_changed());
      data_plane_->read_addresses();
    }
    if (changes.links) log_problems(network_->links_changed());
    if (changes.any() && !stopping_) look_at_network_soon(!changes.addresses && !changes.links);
    if (!stopping_) wait_for_network_changes();
  });
}

// Changes come in bursts; and those of a router's routes come all the time.
void Daemon::look_at_network_soon(bool only_routes) {
  constexpr auto kFirst = std::chrono::milliseconds(100);
  constexpr auto kDistance = std::chrono::seconds(2);
  Instant at = now() + kFirst;
  if (only_routes) at = std::max(at, looked_at_ + kDistance);
  if (look_at_ && *look_at_ <= at) return;
  look_at_ = at;
  look_timer_.expires_after(at - now());
  look_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    look_at_.reset();
    look_at_network();
    pump();
  });
}

void Daemon::look_at_network() {
  looked_at_ = now();
  const auto found = io::local_addresses();
  if (!found) return log_.write(Level::error, "", found.error().text);
  auto addresses = io::addresses_for_peers(*found, io::working_interfaces(), data_plane_->tun().index());
  paths_->set_addresses(addresses);
  control_->handle_network_change(std::move(addresses), now());
}

void Daemon::wait_for_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) return stop();
    notify_reloading();
    log_.write(Level::info, "", "SIGHUP: reading the configuration again");
    (void)apply(api::ApplyRequest{});  // says itself what was wrong
    notify_ready(fmt::format("{} tunnels", config_.tunnels.size()));
    wait_for_signals();
  });
}

void Daemon::pump() {
  do {
    answer_reservations();
    while (auto request = control_->poll_request()) {
      std::visit([this](auto&& one) { carry_out(std::forward<decltype(one)>(one)); }, std::move(*request));
    }
  } while (!reservations_.empty());
  while (const auto notice = control_->poll_notice()) log_.write(*notice);
  while (const auto transmit = control_->poll_transmit()) {
    const int error = data_plane_->send_ike(transmit->path, transmit->message);
    // The data plane counts it; a lost message is sent again by IKE's own timers.
    if (error != 0) {
      log_.write(Level::debug, "",
                 fmt::format("an IKE message to {} was refused: {}", transmit->path.remote.to_string(),
                             io::errno_text(error)));
    }
  }
  set_timer();
}

void Daemon::set_timer() {
  // With very many IKE SAs something is due all the time. One turn then does what has come together since the last, so
  // that neither this thread nor the peers' answers wake up for each by itself; no timer of IKE's is that exact.
  constexpr auto kDistance = std::chrono::milliseconds(20);
  const auto next = control_->poll_timeout();
  if (!next || stopping_) {
    timer_at_.reset();
    timer_.cancel();
    return;
  }
  const Instant at = std::max(*next, timers_turned_ + kDistance);
  if (timer_at_ == at) return;
  timer_at_ = at;
  timer_.expires_after(std::max(Duration::zero(), at - now()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    timer_at_.reset();
    timers_turned_ = now();
    control_->handle_timeout(timers_turned_);
    pump();
  });
}

void Daemon::carry_out(control::FindPath&& request) {
  const auto connection = request.connection;
  const auto attempt = request.attempt;
  paths_->find(request,
               [this, connection, attempt, tcp_port = request.tcp_port](const Result<net::Path, std::string>& path) {
                 if (stopping_) return;
                 control_->handle_path(connection, attempt, with_stream(path, tcp_port), now());
                 tell_stream_news();
                 pump();
               });
}

Result<net::Path, std::string> Daemon::with_stream(const Result<net::Path, std::string>& path,
                                                   std::optional<std::uint16_t> tcp_port) {
  if (!path || !tcp_port) return path;
  auto stream = data_plane_->streams().open_stream(path->local.address,
                                                   {path->remote.address, *tcp_port, net::Transport::tcp}, now());
  if (!stream) return err(std::move(stream.error().text));
  return *stream;
}

void Daemon::tell_stream_news() {
  using Kind = datapath::TcpStreamEvent::Kind;
  for (datapath::TcpStreamEvent& event : data_plane_->streams().take_events()) {
    const auto kind =
        event.kind == Kind::opened_again ? control::StreamNews::Kind::opened_again : control::StreamNews::Kind::failed;
    control_->handle_stream({event.path, kind, std::move(event.text)}, now());
  }
}

void Daemon::carry_out(control::HoldStream&& request) {
  data_plane_->streams().hold(request.path, request.held, now());
}

void Daemon::carry_out(control::FindPaths&& request) {
  paths_->find_all(request, [this, id = request.ike_sa](const std::vector<net::Path>& paths) {
    if (stopping_) return;
    control_->handle_paths(id, paths, now());
    pump();
  });
}

void Daemon::carry_out(control::SetNetwork&& request) {
  log_problems(network_->apply(request.wish));
  name_servers_->apply(request.wish.name_servers);
  release_memory_later();
}

// A start, and a tunnel that comes or goes, are over when the network has stayed as it is.
void Daemon::release_memory_later() {
  constexpr auto kQuiet = std::chrono::seconds(3);
  quiet_timer_.expires_after(kQuiet);
  quiet_timer_.async_wait([](const boost::system::error_code& error) {
    if (!error) release_start_memory();
  });
}

std::filesystem::path Daemon::state_folder() const {
  return options_.state.empty() ? config_.daemon.state : options_.state;
}

// Tunnels go on without: a peer then notices our restart by our silence.
void Daemon::use_endpoint_secret() {
  auto secrets = std::make_shared<ike::EndpointSecrets>();
  if (auto secret = load_endpoint_secret(state_folder(), random_)) {
    secrets->crash_tokens = std::move(*secret);
  } else {
    log_.write(Level::warning, "", secret.error());
  }
  const std::int64_t calendar = io::wall_clock().seconds;
  secrets_of_tickets_ = gives_tickets(config_);
  // Without a tunnel that has them, nothing that could open one is on the disk. Before the first configuration is there
  // nobody knows that.
  if (secrets_of_tickets_) {
    if (auto keys = load_ticket_keys(state_folder(), random_, calendar)) {
      secrets->ticket_keys = std::move(*keys);
    } else {
      log_.write(Level::warning, "", keys.error());
    }
  } else if (configured_) {
    if (const auto removed = remove_ticket_keys(state_folder()); !removed)
      log_.write(Level::warning, "", removed.error());
  }
  control_->use_secrets({.secrets = std::move(secrets), .calendar = calendar}, now());
  // A day has come to its end by then, or the clock was set.
  constexpr auto kAgain = std::chrono::hours(1);
  secret_timer_.expires_after(kAgain);
  secret_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    use_endpoint_secret();
    pump();
  });
}

void Daemon::load_leases() {
  if (config_.pools.empty()) return;
  if (!leases_) {
    auto opened = LeaseStore::open(state_folder());
    if (!opened) return log_.write(Level::error, "", opened.error());
    leases_.emplace(std::move(*opened));
  }
  const auto records = leases_->load();
  if (!records) return log_.write(Level::error, "", records.error());
  control_->restore_leases(*records);
  log_.write(Level::debug, "", fmt::format("{} leases are known from before", records->size()));
}

// Clients get their addresses all the same: that they get the same ones again is a convenience.
void Daemon::carry_out(control::StoreLeases&& request) {
  if (!leases_) return;
  const auto stored = leases_->store(request.records);
  if (!stored && !leases_failed_) log_.write(Level::error, "", stored.error());
  leases_failed_ = !stored;
}

void Daemon::carry_out(control::AccountSession&& request) { radius_->carry_out(std::move(request.record)); }

RadiusService::Hooks Daemon::radius_hooks() {
  return {.answer =
              [this](ike::RequestToken token, ike::EapResult result) {
                if (stopping_) return;
                control_->handle_completion(token, std::move(result), now());
                pump();
              },
          .end_sessions =
              [this](const model::SessionQuery& query) {
                if (stopping_) return std::size_t{0};
                const std::size_t count = control_->end_sessions(query, now());
                pump();
                return count;
              },
          .change_sessions =
              [this](const model::SessionQuery& query, const model::SessionChange& change) {
                if (stopping_) return std::size_t{0};
                const std::size_t count = control_->change_sessions(query, change, now());
                pump();
                return count;
              },
          .log = [this](Level level, const std::string& text) { log_.write(level, "", text); }};
}

void Daemon::carry_out(control::SendKeepalive&& request) { (void)data_plane_->send_keepalive(request.path); }

void Daemon::carry_out(control::ExportIkeKeys&& request) {
  if (key_export_) key_export_->add(request);
}

void Daemon::carry_out(control::ExportEspKeys&& request) {
  if (key_export_) key_export_->add(request);
}

void Daemon::carry_out(control::ReserveSequence&& request) { reservations_.push_back(std::move(request)); }

// All at once: with many manual SAs a write to disk for each would be most of a start.
void Daemon::answer_reservations() {
  if (reservations_.empty()) return;
  const auto requests = std::exchange(reservations_, {});
  const auto answers = ledger_->reserve(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) control_->handle_reservation(requests[i].child, answers[i], now());
}

void Daemon::carry_out(ike::SharedKeyMacRequest&& request) {
  control_->handle_completion(request.token, secrets_.compute(request), now());
}

void Daemon::carry_out(ike::PpkRequest&& request) {
  const ike::RequestToken token = request.token;
  control_->handle_completion(token, secrets_.compute(request), now());
}

void Daemon::carry_out(ike::PuzzleRequest&& request) {
  const ike::RequestToken token = request.token;
  compute(token, [request = std::move(request)]() -> ike::Completion { return ike::carry_out(request); });
}

void Daemon::carry_out(ike::SignRequest&& request) {
  const ike::RequestToken token = request.token;
  auto held = secrets_.credentials_of(request.connection);
  if (ProofDesk::concerns(request, held)) return desk_->begin(std::move(request), std::move(held));
  compute(token, secrets_.work_for(std::move(request)));
}

void Daemon::carry_out(ike::VerifyRequest&& request) {
  const ike::RequestToken token = request.token;
  auto held = secrets_.credentials_of(request.connection);
  if (ProofDesk::concerns(request, held)) return desk_->begin(std::move(request), std::move(held));
  compute(token, secrets_.work_for(std::move(request), io::wall_clock().seconds));
}

void Daemon::carry_out(ike::KeyExchangeRequest&& request) {
  const ike::RequestToken token = request.token;
  // X25519 is about as short as the way to another thread and back: not while nothing longer keeps the loop waiting.
  const bool is_short = request.method == crypto::KeyExchangeId::x25519;
  if (is_short && pool_ && pool_->is_idle())
    return control_->handle_completion(token, ike::carry_out(std::move(request), random_), now());
  compute(token, [request = std::move(request)]() mutable -> ike::Completion {
    crypto::SystemRandom random;
    return ike::carry_out(std::move(request), random);
  });
}

void Daemon::compute(ike::RequestToken token, WorkPool::Work work) {
  if (pool_) return pool_->submit(token, std::move(work));
  deliver({.token = token, .completion = work()});
}

void Daemon::deliver(WorkPool::Answer answer) {
  if (desk_->keeps(answer)) return control_->handle_wait(answer.token);
  control_->handle_completion(answer.token, std::move(answer.completion), now());
}

void Daemon::wait_for_work() {
  work_ready_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    pool_->handle_wakeup();
    while (auto answer = pool_->poll_answer()) deliver(std::move(*answer));
    pump();
    if (!stopping_) wait_for_work();
  });
}

void Daemon::carry_out(ike::EapRequest&& request) {
  if (!request.settings.radius.empty()) {
    const std::string tunnel = secrets_.tunnel_of(request.connection);
    return radius_->carry_out(std::move(request), tunnel);
  }
  if (request.step == ike::EapRequest::Step::end) radius_->forget(request.ike_sa);
  const ike::RequestToken token = request.token;
  const bool ends = request.step == ike::EapRequest::Step::end;
  // Signatures and certificates take their time; what else there is in EAP is shorter than the way to another thread.
  const bool is_short = !request.settings.with_tls();
  auto work = secrets_.work_for(std::move(request), io::wall_clock().seconds);
  if (ends) return;
  if (is_short) return control_->handle_completion(token, work(), now());
  compute(token, [work = std::move(work)]() mutable -> ike::Completion { return work(); });
}

void Daemon::log_problems(const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) log_.write(Level::error, "", problem);
}

// ---------------------------------------------------------------- end

void Daemon::stop() {
  if (stopping_) return;
  log_.write(Level::info, "", "ending on request: telling the peers, taking back routes and addresses");
  notify_stopping();
  control_->shutdown(now());
  stopping_ = true;
  // RFC 5723 6.2: the tickets end with their IKE SAs, also for a peer that hears nothing of it.
  if (const auto removed = remove_ticket_keys(state_folder()); !removed)
    log_.write(Level::warning, "", removed.error());
  pump();
  radius_->shut_down();
  paths_->cancel();
  server_->close();
  signals_.cancel();
  look_timer_.cancel();
  secret_timer_.cancel();
  if (work_ready_.is_open()) work_ready_.release();
  data_plane_ready_.release();
  monitor_ready_.release();
  // What is on its way out of the loop ends by itself; the destructors take everything back.
  io_.stop();
}

void Daemon::fail(const std::string& problem) {
  log_.write(Level::error, "", problem);
  exit_code_ = kExitFailed;
  stop();
}

}  // namespace culvert::daemon
