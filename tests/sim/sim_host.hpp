// SimHost: one machine of the simulated world: the real control plane, IKE endpoint and ESP engine, and a stand-in for
// the daemon around them that moves messages, keeps the timers and answers requests. It can crash and come back with
// nothing but its configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/random.hpp"
#include "config/config.hpp"
#include "control/control_plane.hpp"
#include "ike/face.hpp"
#include "tests/sim/event_queue.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/run_log.hpp"
#include "tests/sim/sim_data_plane.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/sim/sim_streams.hpp"
#include "tests/sim/wire_monitor.hpp"

namespace culvert::sim {

/// The name of the one tunnel that every host has.
inline constexpr const char* kTunnel = "t";
/// And of a second one, where there is one.
inline constexpr const char* kSecondTunnel = "u";

struct HostOptions {
  net::IpAddress address;
  std::function<config::Config()> config;  // with kTunnel, and perhaps kSecondTunnel
  ike::EndpointSettings ike;
  std::string secret;
  std::map<std::string, std::string> users;  // of EAP
  std::string ppk;                           // empty: none
  Duration answer_delay{};                   // that FindPath and the keys' side take
  Duration answer_spread{};                  // up to this much more, by chance: answers overtake each other
};

class SimHost {
 public:
  SimHost(Side side, EventQueue& queue, SimNetwork& network, SimStreams& streams, WireMonitor& monitor, Ledger& ledger,
          RunLog& log, HostOptions options);
  ~SimHost();

  /// Boots with a random source of its own.
  void start(std::uint64_t seed);
  /// Everything is gone at once; the peer is not told.
  void crash();
  /// Everything is ended in order (DELETE to the peer).
  void shut_down();
  [[nodiscard]] bool running() const { return machine_ != nullptr; }

  // What users and applications do. All are without effect while the host is down.
  void up(const char* tunnel = kTunnel);
  void down(const char* tunnel = kTunnel);
  void rekey(bool ike_sas, bool child_sas, const char* tunnel = kTunnel);
  /// As gateway, sends the peers elsewhere (RFC 5685).
  void redirect(const std::string& gateway);
  /// A command that no user has but control may give to IKE.
  void ike_command(ike::Command command);
  void send_inner(ByteView packet, InnerId id);
  /// The host has these addresses from now on, the best first, and notices.
  void set_addresses(std::vector<net::IpAddress> addresses);

  [[nodiscard]] control::TunnelView view(const char* tunnel = kTunnel) const;
  [[nodiscard]] const SimDataPlane& data_plane() const;
  [[nodiscard]] ike::EndpointCounters ike_counters() const;
  [[nodiscard]] const HostOptions& options() const { return options_; }
  [[nodiscard]] Side side() const { return side_; }

 private:
  struct Machine;

  void receive(Packet&& packet);
  void turn();
  void drain();
  void handle(control::Request&& request);
  void answer_path(const control::FindPath& request);
  void answer_paths(const control::FindPaths& request);
  void answer_mac(ike::SharedKeyMacRequest&& request);
  void answer_eap(ike::EapRequest&& request);
  void answer_key_exchange(ike::KeyExchangeRequest&& request);
  void answer_puzzle(ike::PuzzleRequest&& request);
  void answer_ppk(const ike::PpkRequest& request);
  void send_ike(ike::Transmit&& transmit);
  void send(Packet packet);
  void later(std::function<void()> action);
  void plan_wake();
  void wake();
  void check_bounds();

  Side side_;
  EventQueue& queue_;
  SimNetwork& network_;
  SimStreams& streams_;
  WireMonitor& monitor_;
  Ledger& ledger_;
  RunLog& log_;
  HostOptions options_;
  std::unique_ptr<Machine> machine_;
  std::uint64_t boots_ = 0;
  std::uint64_t wakes_planned_ = 0;
  std::optional<Instant> wake_at_;
  Instant last_wake_{};
  unsigned wakes_in_a_row_ = 0;
};

}  // namespace culvert::sim
