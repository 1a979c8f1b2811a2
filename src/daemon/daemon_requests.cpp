// What the control plane and IKE want done: each request is carried out by what it concerns.
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "daemon/daemon.hpp"
#include "daemon/start_memory.hpp"
#include "ike/key_exchange.hpp"
#include "ike/puzzle.hpp"

namespace culvert::daemon {

using Level = control::Notice::Level;

// ---------------------------------------------------------------- ways and the network

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

void Daemon::carry_out(control::FindPaths&& request) {
  paths_->find_all(request, [this, id = request.ike_sa](const std::vector<net::Path>& paths) {
    if (stopping_) return;
    control_->handle_paths(id, paths, now());
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

void Daemon::carry_out(control::HoldStream&& request) {
  data_plane_->streams().hold(request.path, request.held, now());
}

void Daemon::carry_out(control::SendKeepalive&& request) { (void)data_plane_->send_keepalive(request.path); }

void Daemon::carry_out(control::SetNetwork&& request) {
  CHECK(network_ && name_servers_);
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

// ---------------------------------------------------------------- records

// Clients get their addresses all the same: that they get the same ones again is a convenience.
void Daemon::carry_out(control::StoreLeases&& request) {
  if (!leases_) return;
  const auto stored = leases_->store(request.records);
  if (!stored && !leases_failed_) log_.write(Level::error, "", stored.error());
  leases_failed_ = !stored;
}

void Daemon::carry_out(control::AccountSession&& request) { radius_->carry_out(std::move(request.record)); }

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
  CHECK(ledger_);
  const auto answers = ledger_->reserve(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) control_->handle_reservation(requests[i].child, answers[i], now());
}

// ---------------------------------------------------------------- secrets and computations

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

}  // namespace culvert::daemon
