#include "tests/sim/sim_host.hpp"

#include <utility>

#include "base/check.hpp"
#include "config/diff.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/key_exchange.hpp"
#include "ike/puzzle.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/eap_sessions.hpp"
#include "ike/v2/ike_endpoint.hpp"
#include "ike/v2/ppk.hpp"
#include "model/proposal.hpp"

namespace culvert::sim {
namespace {

// More than any run needs at a time; what grows past it grows without bound.
constexpr std::size_t kMostSas = 32;
constexpr std::size_t kMostIkeSas = 12;
constexpr unsigned kMostWakesAtOneInstant = 100;

control::ControlSettings control_settings(const ike::EndpointSettings& ike) {
  return {
      .ike_port = ike.ike_port, .nat_port = ike.nat_port, .export_keys = ike.export_keys, .resources = ike.resources};
}

}  // namespace

struct SimHost::Machine {
  Machine(SimHost& host, std::uint64_t seed, DataPlaneOutputs outputs)
      : random(seed),
        work_random(seed ^ 0x5bd1e995U),
        eap(work_random),
        data_plane(host.side_, host.queue_, host.monitor_, random, host.options_.ike.resources, std::move(outputs)),
        ike(host.options_.ike, random, data_plane),
        control(control_settings(host.options_.ike), ike, data_plane, random) {}

  SeededRandom random;
  SeededRandom work_random;  // of the threads that a daemon has beside its loop
  ike::v2::EapSessions eap;
  SimDataPlane data_plane;
  ike::v2::IkeEndpoint ike;
  control::ControlPlane control;
};

SimHost::SimHost(Side side, EventQueue& queue, SimNetwork& network, SimStreams& streams, WireMonitor& monitor,
                 Ledger& ledger, RunLog& log, HostOptions options)
    : side_(side),
      queue_(queue),
      network_(network),
      streams_(streams),
      monitor_(monitor),
      ledger_(ledger),
      log_(log),
      options_(std::move(options)) {
  network_.attach(side_, options_.address, [this](Packet&& packet) { receive(std::move(packet)); });
  streams_.attach(side_, [this](const control::StreamNews& news) {
    machine_->control.handle_stream(news, queue_.now());
    turn();
  });
}

SimHost::~SimHost() = default;

// ---------------------------------------------------------------- life

void SimHost::start(std::uint64_t seed) {
  CHECK(!machine_);
  ++boots_;
  DataPlaneOutputs outputs;
  outputs.esp = [this](const net::Path& path, model::Encapsulation kind, ByteView esp, std::optional<InnerId> id) {
    send(Packet{path.local, path.remote, kind, to_bytes(esp), id});
  };
  outputs.inner = [this](ByteView inner) { ledger_.delivered(side_, inner); };
  outputs.ike = [this](const net::Path& path, ByteView message) {
    machine_->control.handle_datagram(path, message, queue_.now());
  };
  machine_ = std::make_unique<Machine>(*this, seed, std::move(outputs));
  network_.set_up(side_, true);
  log_.line("{} starts", name_of(side_));
  // What the state folder has of the last boot.
  auto secrets = std::make_shared<ike::EndpointSecrets>();
  secrets->crash_tokens = SecretBytes::copy_of(as_bytes(name_of(side_)));
  ike::TicketKey key{.id = {static_cast<std::uint8_t>(side_)}, .made = 0, .key = SecretBytes(32)};
  secrets->ticket_keys.push_back(std::move(key));
  const auto calendar = std::chrono::duration_cast<std::chrono::seconds>(queue_.now().time_since_epoch()).count();
  machine_->control.use_secrets({.secrets = std::move(secrets), .calendar = calendar}, queue_.now());
  const config::Config config = options_.config();
  machine_->control.handle_network_change(network_.addresses(side_), queue_.now());
  machine_->control.apply(config, config::diff(config::Config{}, config), queue_.now());
  turn();
}

void SimHost::crash() {
  if (!machine_) return;
  log_.line("{} crashes", name_of(side_));
  network_.set_up(side_, false);
  streams_.forget(side_);
  machine_.reset();
  monitor_.crashed(side_);
  wake_at_.reset();
}

void SimHost::shut_down() {
  if (!machine_) return;
  log_.line("{} shuts down", name_of(side_));
  monitor_.shutting_down(side_, true);
  machine_->control.shutdown(queue_.now());
  drain();
  monitor_.shutting_down(side_, false);
  crash();
}

// ---------------------------------------------------------------- what users and applications do

void SimHost::up(const char* tunnel) {
  if (!machine_) return;
  log_.line("{}: up{}", name_of(side_), tunnel == kTunnel ? "" : " second");
  CHECK(machine_->control.up(tunnel, queue_.now()));
  turn();
}

void SimHost::down(const char* tunnel) {
  if (!machine_) return;
  log_.line("{}: down{}", name_of(side_), tunnel == kTunnel ? "" : " second");
  CHECK(machine_->control.down(tunnel, queue_.now()));
  turn();
}

void SimHost::rekey(bool ike_sas, bool child_sas, const char* tunnel) {
  if (!machine_) return;
  log_.line("{}: rekey{}{}", name_of(side_), ike_sas ? " IKE" : "", child_sas ? " child" : "");
  CHECK(machine_->control.rekey(tunnel, ike_sas, child_sas, queue_.now()));
  turn();
}

void SimHost::redirect(const std::string& gateway) {
  if (!machine_) return;
  log_.line("{}: redirect to {}", name_of(side_), gateway);
  CHECK(machine_->control.redirect(kTunnel, gateway, queue_.now()));
  turn();
}

void SimHost::ike_command(ike::Command command) {
  if (!machine_) return;
  log_.line("{}: IKE command {}", name_of(side_), command.index());
  machine_->ike.handle_command(std::move(command), queue_.now());
  machine_->control.handle_data_plane(queue_.now());
  turn();
}

void SimHost::send_inner(ByteView packet, InnerId id) {
  if (!machine_) return;
  machine_->data_plane.send_inner(packet, id);
  turn();
}

void SimHost::set_addresses(std::vector<net::IpAddress> addresses) {
  network_.set_addresses(side_, addresses);
  if (!machine_) return;
  log_.line("{} has the address {} now", name_of(side_), addresses.front().to_string());
  machine_->control.handle_network_change(std::move(addresses), queue_.now());
  turn();
}

// ---------------------------------------------------------------- the daemon's turn

void SimHost::receive(Packet&& packet) {
  CHECK(machine_);
  const net::Path path{packet.destination, packet.source};
  if (packet.kind == model::Encapsulation::udp && path.local.port == options_.ike.ike_port) {
    machine_->control.handle_datagram(path, packet.bytes, queue_.now());
  } else {
    machine_->data_plane.receive(path, packet.kind, std::move(packet.bytes));
  }
  turn();
}

void SimHost::turn() {
  drain();
  check_bounds();
  plan_wake();
}

void SimHost::drain() {
  control::ControlPlane& control = machine_->control;
  machine_->data_plane.handle_time();
  control.handle_data_plane(queue_.now());
  machine_->data_plane.handle_time();
  while (auto request = control.poll_request()) handle(std::move(*request));
  while (auto notice = control.poll_notice()) log_.line("{}: {}", name_of(side_), notice->text);
  while (auto transmit = control.poll_transmit()) send_ike(std::move(*transmit));
}

void SimHost::handle(control::Request&& request) {
  if (const auto* find = std::get_if<control::FindPath>(&request)) return answer_path(*find);
  if (const auto* find = std::get_if<control::FindPaths>(&request)) return answer_paths(*find);
  if (auto* mac = std::get_if<ike::SharedKeyMacRequest>(&request)) return answer_mac(std::move(*mac));
  if (auto* exchange = std::get_if<ike::KeyExchangeRequest>(&request)) return answer_key_exchange(std::move(*exchange));
  if (auto* puzzle = std::get_if<ike::PuzzleRequest>(&request)) return answer_puzzle(std::move(*puzzle));
  if (auto* eap = std::get_if<ike::EapRequest>(&request)) return answer_eap(std::move(*eap));
  if (const auto* ppk = std::get_if<ike::PpkRequest>(&request)) return answer_ppk(*ppk);
  if (const auto* hold = std::get_if<control::HoldStream>(&request))
    return streams_.hold(side_, hold->path, hold->held);
  if (const auto* keepalive = std::get_if<control::SendKeepalive>(&request)) {
    network_.send(side_,
                  Packet{keepalive->path.local, keepalive->path.remote, model::Encapsulation::udp, Bytes{0xff}, {}});
  }
}

void SimHost::answer_path(const control::FindPath& request) {
  const auto remote = net::IpAddress::parse(request.peer);
  CHECK(remote);
  net::Path path{{network_.addresses(side_).front(), 0}, {*remote, 0}};
  if (request.tcp_port) path = streams_.open(side_, path.local.address, {*remote, *request.tcp_port});
  later([this, path, connection = request.connection, attempt = request.attempt] {
    machine_->control.handle_path(connection, attempt, path, queue_.now());
  });
}

void SimHost::answer_paths(const control::FindPaths& request) {
  std::vector<net::Path> paths;
  const auto& own = network_.addresses(side_);
  for (const net::IpAddress& peer : request.peers) paths.push_back({{own.front(), 0}, {peer, 0}});
  for (const net::IpAddress& peer : request.peers) {
    for (std::size_t i = 1; i < own.size(); ++i) paths.push_back({{own[i], 0}, {peer, 0}});
  }
  later([this, paths, id = request.ike_sa] { machine_->control.handle_paths(id, paths, queue_.now()); });
}

void SimHost::answer_mac(ike::SharedKeyMacRequest&& request) {
  const auto prf = model::prf_function(request.prf);
  CHECK(prf);
  later([this, prf, token = request.token, octets = std::move(request.octets)] {
    ike::SharedKeyMacResult result{ike::auth::shared_key_mac(*prf, as_bytes(options_.secret), octets)};
    machine_->control.handle_completion(token, std::move(result), queue_.now());
  });
}

void SimHost::answer_eap(ike::EapRequest&& request) {
  auto parties = std::make_shared<ike::v2::EapParties>();
  for (const auto& [user, secret] : options_.users) {
    parties->users.emplace(user, SecretBytes::copy_of(as_bytes(secret)));
    if (user == request.settings.identity) parties->own_secret = SecretBytes::copy_of(as_bytes(secret));
  }
  const bool ends = request.step == ike::EapRequest::Step::end;
  const ike::RequestToken token = request.token;
  auto result =
      std::make_shared<ike::EapResult>(machine_->eap.carry_out(std::move(request), std::move(parties), /*now=*/0));
  if (ends) return;
  later([this, token, result] { machine_->control.handle_completion(token, std::move(*result), queue_.now()); });
}

void SimHost::answer_key_exchange(ike::KeyExchangeRequest&& request) {
  // What is queued must be copyable.
  const ike::RequestToken token = request.token;
  auto result = std::make_shared<ike::KeyExchangeResult>(ike::carry_out(std::move(request), machine_->work_random));
  later([this, token, result] { machine_->control.handle_completion(token, std::move(*result), queue_.now()); });
}

void SimHost::answer_puzzle(ike::PuzzleRequest&& request) {
  later([this, token = request.token, result = ike::carry_out(request)] {
    machine_->control.handle_completion(token, result, queue_.now());
  });
}

void SimHost::answer_ppk(const ike::PpkRequest& request) {
  const auto prf = model::prf_function(request.prf);
  CHECK(prf);
  // What is queued must be copyable.
  auto result = std::make_shared<ike::PpkResult>();
  if (!options_.ppk.empty()) *result = ike::v2::carry_out(*prf, as_bytes(options_.ppk), request);
  later([this, token = request.token, result] {
    machine_->control.handle_completion(token, std::move(*result), queue_.now());
  });
}

void SimHost::later(std::function<void()> action) {
  Duration delay = options_.answer_delay;
  if (options_.answer_spread > Duration::zero())
    delay += Duration(machine_->work_random.below(static_cast<std::uint64_t>(options_.answer_spread.count())));
  queue_.after(delay, [this, boot = boots_, action = std::move(action)] {
    if (!machine_ || boot != boots_) return;
    action();
    turn();
  });
}

void SimHost::send_ike(ike::Transmit&& transmit) {
  Packet packet{transmit.path.local, transmit.path.remote, model::Encapsulation::udp, std::move(transmit.message), {}};
  if (transmit.path.over_tcp() || packet.source.port == options_.ike.nat_port) {
    static constexpr std::array<std::uint8_t, 4> kNonEspMarker{};
    packet.bytes.insert(packet.bytes.begin(), kNonEspMarker.begin(), kNonEspMarker.end());
  } else if (packet.source.port != options_.ike.ike_port) {
    return log_.fail("{} sends IKE from port {}", name_of(side_), packet.source.port);
  }
  send(std::move(packet));
}

void SimHost::send(Packet packet) {
  if (packet.source.transport == net::Transport::tcp) return streams_.send(side_, std::move(packet));
  network_.send(side_, std::move(packet));
}

// ---------------------------------------------------------------- timers

void SimHost::plan_wake() {
  const auto next = earliest(machine_->control.poll_timeout(), machine_->data_plane.next_deadline());
  if (!next || (wake_at_ && *wake_at_ <= *next && *wake_at_ > queue_.now())) return;
  wake_at_ = std::max(*next, queue_.now());
  queue_.at(*wake_at_, [this, boot = boots_, number = ++wakes_planned_] {
    if (machine_ && boot == boots_ && number == wakes_planned_) wake();
  });
}

void SimHost::wake() {
  wake_at_.reset();
  wakes_in_a_row_ = last_wake_ == queue_.now() ? wakes_in_a_row_ + 1 : 0;
  last_wake_ = queue_.now();
  if (wakes_in_a_row_ > kMostWakesAtOneInstant) {
    const auto control = machine_->control.poll_timeout();
    return log_.fail("{} has a timer that is always due ({})", name_of(side_),
                     control && *control <= queue_.now() ? "control or IKE" : "the engine");
  }
  machine_->control.handle_timeout(queue_.now());
  turn();
}

void SimHost::check_bounds() {
  const std::size_t sas = machine_->data_plane.sa_count();
  const std::size_t most = kMostSas * options_.ike.resources;
  if (sas > most) log_.fail("{} holds {} Child SA pairs", name_of(side_), sas);
  if (machine_->data_plane.spis_in_use() > most)
    log_.fail("{} holds {} SPIs", name_of(side_), machine_->data_plane.spis_in_use());
  const std::uint64_t half_open = machine_->ike.counters().half_open;
  if (half_open > kMostIkeSas) log_.fail("{} holds {} half-open IKE SAs", name_of(side_), half_open);
}

// ---------------------------------------------------------------- views

control::TunnelView SimHost::view(const char* tunnel) const {
  CHECK(machine_);
  auto view = machine_->control.tunnel(tunnel);
  CHECK(view);
  return std::move(*view);
}

const SimDataPlane& SimHost::data_plane() const {
  CHECK(machine_);
  return machine_->data_plane;
}

ike::EndpointCounters SimHost::ike_counters() const {
  CHECK(machine_);
  return machine_->ike.counters();
}

}  // namespace culvert::sim
