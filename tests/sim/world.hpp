// World: two hosts, the network between them, traffic and the onlookers, driven in virtual time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "config/config.hpp"
#include "model/connection.hpp"
#include "tests/sim/event_queue.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/run_log.hpp"
#include "tests/sim/sim_host.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/wire_monitor.hpp"

namespace culvert::sim {

/// Inner packets from one host to the other, at random distances.
struct Traffic {
  Duration mean_distance = std::chrono::milliseconds(200);
  std::size_t largest_payload = 200;
};

/// What a run is made of. The connection configurations are filled in by `two_hosts` and may be changed before the
/// World is made.
struct WorldOptions {
  std::uint64_t seed = 1;
  bool log = false;
  /// Each host has a second tunnel, kSecondTunnel, to the same peer for other subnets (IPv4); every other packet is for
  /// that.
  bool second_tunnel = false;
  net::Family outer = net::Family::v4;
  net::Family inner = net::Family::v4;
  std::optional<Side> nat;
  Duration nat_idle_timeout = std::chrono::seconds(40);
  std::array<LinkConditions, 2> links;
  std::array<model::ConnectionConfig, 2> connections;
  std::array<config::PeerKind, 2> peer_kinds{config::PeerKind::address, config::PeerKind::address};
  std::array<ike::EndpointSettings, 2> ike;
  std::array<Duration, 2> answer_delays{};
  std::array<Duration, 2> answer_spreads{};
  std::array<std::vector<config::PoolConfig>, 2> pools;
  std::array<std::string, 2> secrets{"a secret of the simulator", "a secret of the simulator"};
  std::string ppk = "a PPK of the simulator, known to both";
  /// Of EAP, with their secrets: the same at both hosts, and what a client proves itself by.
  std::map<std::string, std::string> users;
  /// Tunnels beside the one, to whoever comes; `connections` is what the world is judged by.
  std::array<std::vector<model::ConnectionConfig>, 2> further;
};

/// Two hosts that know each other, AES-GCM with X25519, long lifetimes, a quiet network; bob waits for alice.
[[nodiscard]] WorldOptions two_hosts();
/// Replaces the suites of both hosts; the texts are those of the configuration ("aes128gcm16-prfsha256-x25519").
void set_suites(WorldOptions& options, const std::string& ike, const std::string& esp);

class World {
 public:
  explicit World(const WorldOptions& options);

  /// Boots the host for the first time or after a crash, with a seed of its own.
  void start(Side side);
  void start_both();

  /// Runs the virtual time on; false when an invariant was violated.
  [[nodiscard]] bool run_for(Duration time);
  /// Runs until the condition holds, looked at every `step`; false when it did not within `limit` or an invariant was
  /// violated.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition, Duration limit,
                               Duration step = std::chrono::milliseconds(100));

  void set_traffic(Side from, std::optional<Traffic> traffic);
  /// One inner packet now; its id.
  InnerId send_one(Side from, std::size_t payload = 100);

  /// Nothing when both hosts have the tunnel up with one IKE SA and one Child SA pair that agree, and nothing besides
  /// but what they allow of pairs for single workers; else what is amiss.
  [[nodiscard]] std::optional<std::string> amiss() const;
  [[nodiscard]] bool settled() const { return !amiss(); }
  /// The same with two tunnels, which may be in one IKE SA or in two.
  [[nodiscard]] std::optional<std::string> amiss_of_two() const;
  /// The only Child SA of a host's tunnel; its IKE SA likewise. Fails a CHECK when there is not exactly one.
  [[nodiscard]] control::ChildSaView child(Side side) const;
  [[nodiscard]] control::IkeSaView ike_sa(Side side) const;

  /// Where the host is at home, and where else it may be: two further places.
  [[nodiscard]] net::IpAddress outer_address(Side side, unsigned place = 0) const;

  [[nodiscard]] SimHost& host(Side side) { return side == Side::alice ? alice_ : bob_; }
  [[nodiscard]] const SimHost& host(Side side) const { return side == Side::alice ? alice_ : bob_; }
  [[nodiscard]] SimNetwork& network() { return network_; }
  [[nodiscard]] SimStreams& streams() { return streams_; }
  [[nodiscard]] EventQueue& queue() { return queue_; }
  [[nodiscard]] Ledger& ledger() { return ledger_; }
  [[nodiscard]] WireMonitor& monitor() { return monitor_; }
  [[nodiscard]] RunLog& log() { return log_; }
  [[nodiscard]] const WorldOptions& options() const { return options_; }
  /// The failure and the last lines of the log, for a test's message.
  [[nodiscard]] std::string report(std::size_t lines = 60) const;

 private:
  [[nodiscard]] HostOptions host_options(Side side);
  [[nodiscard]] config::Config make_config(Side side) const;
  [[nodiscard]] net::IpAddress inner_address(Side side, bool second = false) const;
  void plan_packet(Side from, std::uint64_t generation);

  WorldOptions options_;
  SeededRandom random_;
  EventQueue queue_;
  RunLog log_;
  Ledger ledger_;
  WireMonitor monitor_;
  SimNetwork network_;
  SimStreams streams_;
  SimHost alice_;
  SimHost bob_;
  std::array<std::optional<Traffic>, 2> traffic_;
  std::array<std::uint64_t, 2> traffic_generation_{};
};

}  // namespace culvert::sim
