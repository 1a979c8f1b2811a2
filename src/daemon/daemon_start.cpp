// Starting: everything that can be refused is opened first, then the daemon begins.
#include <algorithm>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.hpp"
#include "daemon/daemon.hpp"
#include "daemon/engine_settings.hpp"
#include "daemon/notify.hpp"
#include "ike/v2/ike_endpoint.hpp"
#include "io/kernel_ipsec.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;
using Level = control::Notice::Level;

std::optional<model::Spi> Daemon::Spis::allocate(std::optional<std::uint32_t> resource) {
  const auto spi = data_plane_.allocate_spi(resource);
  return spi ? std::optional(*spi) : std::nullopt;
}

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
  if (auto opened = open_data_plane(); !opened) return opened;
  if (auto opened = open_network(); !opened) return opened;
  return open_control();
}

Result<void, std::string> Daemon::open_data_plane() {
  const config::DaemonConfig& wanted = config_.daemon;
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
  return {};
}

Result<void, std::string> Daemon::open_network() {
  const config::DaemonConfig& wanted = config_.daemon;
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
  paths_ = std::make_unique<PathFinder>(io_, wanted.fwmark);
  return {};
}

Result<void, std::string> Daemon::open_control() {
  const config::DaemonConfig& wanted = config_.daemon;
  const unsigned threads = wanted.ike_threads.value_or(usual_work_threads());
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
  settings.solve_puzzles = threads > 0;
  settings.resources = static_cast<std::uint32_t>(data_plane_->facts().workers);
  ike_ = std::make_unique<ike::v2::IkeEndpoint>(settings, random_, *spis_);
  control_ = std::make_unique<control::ControlPlane>(control::ControlSettings{.ike_port = wanted.ike_port,
                                                                              .nat_port = wanted.nat_port,
                                                                              .export_keys = settings.export_keys,
                                                                              .resources = settings.resources},
                                                     *ike_, *data_plane_, random_);
  radius_ = std::make_unique<RadiusService>(io_, random_, radius_hooks());
  if (threads > 0) {
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
  CHECK(monitor_);
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

}  // namespace culvert::daemon
