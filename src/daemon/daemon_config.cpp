// The daemon's configuration: making one what runs, and the secrets and records that belong to it. What reads it again
// stands in daemon_api.cpp (`apply`).
#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "config/load.hpp"
#include "daemon/cipher_choice.hpp"
#include "daemon/daemon.hpp"
#include "daemon/endpoint_secret.hpp"
#include "daemon/ticket_keys.hpp"
#include "ike/secrets.hpp"

namespace culvert::daemon {

using Level = control::Notice::Level;

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
  CHECK(network_);
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

}  // namespace culvert::daemon
