// SimNetwork: the two hosts' network in virtual time: delay, loss, duplication, late packets, MTU, a NAT, cuts; all
// from one seed.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "base/time.hpp"
#include "tests/sim/event_queue.hpp"
#include "tests/sim/nat.hpp"
#include "tests/sim/packet.hpp"

namespace culvert::sim {

/// Which of the two hosts; an index.
enum class Side : std::uint8_t { alice = 0, bob = 1 };
[[nodiscard]] constexpr std::size_t index_of(Side side) { return static_cast<std::size_t>(side); }
[[nodiscard]] constexpr Side other(Side side) { return side == Side::alice ? Side::bob : Side::alice; }
[[nodiscard]] constexpr const char* name_of(Side side) { return side == Side::alice ? "alice" : "bob"; }

/// How one direction of the link treats packets. Probabilities in parts per million.
struct LinkConditions {
  std::uint32_t loss_ppm = 0;
  std::uint32_t duplicate_ppm = 0;
  Duration latency = std::chrono::milliseconds(10);
  Duration jitter{};           // uniform on top of the latency: reorders when above the distance of two packets
  std::uint32_t late_ppm = 0;  // packets that come later still
  Duration late_by{};
  std::size_t mtu = 1500;  // longer packets travel in fragments, each with its own chance of loss
  bool drops_fragments = false;
};

enum class DropCause : std::uint8_t { loss, cut, nat, no_route, host_down };
[[nodiscard]] std::string_view name_of(DropCause cause);

/// Sees every packet: when a host hands it over (before any NAT), when the network drops it, when it reaches a host
/// (behind its NAT).
class NetworkObserver {
 public:
  virtual ~NetworkObserver() = default;
  virtual void sent(Side from, const Packet& packet) = 0;
  virtual void duplicated(Side from, const Packet& packet) = 0;
  virtual void dropped(Side from, const Packet& packet, DropCause cause) = 0;
  virtual void arrived(Side at, const Packet& packet) = 0;
};

class SimNetwork {
 public:
  /// Takes a packet at a host.
  using Receiver = std::function<void(Packet&&)>;

  SimNetwork(EventQueue& queue, NetworkObserver& observer, std::uint64_t seed)
      : queue_(queue), observer_(observer), random_(seed) {}

  void attach(Side side, const net::IpAddress& address, Receiver receiver);
  /// The addresses that the host has from now on; the first is the one that it sends from by default. What is under way
  /// to others is lost, and what it sends from others goes nowhere. Without a NAT only.
  void set_addresses(Side side, std::vector<net::IpAddress> addresses);
  [[nodiscard]] const std::vector<net::IpAddress>& addresses(Side side) const { return port(side).addresses; }
  /// A link of the host that is dead: packets between this address and any other are lost.
  void set_dead(const net::IpAddress& address, bool dead) {
    dead ? (void)dead_.insert(address) : (void)dead_.erase(address);
  }
  /// What is sent to a host that is down is dropped.
  void set_up(Side side, bool up) { port(side).up = up; }
  void put_nat(Side side, const net::IpAddress& outside, Duration idle_timeout);
  [[nodiscard]] Nat* nat(Side side) { return port(side).nat ? &*port(side).nat : nullptr; }
  /// The address at which the rest of the world knows the host.
  [[nodiscard]] const net::IpAddress& public_address(Side side) const;

  [[nodiscard]] LinkConditions& conditions(Side from) { return port(from).conditions; }
  /// While cut, packets that would begin their way are dropped.
  void set_cut(Side from, bool cut) { port(from).cut = cut; }
  /// Asked for every packet before chance is: true drops it. For directed scenarios.
  void set_filter(std::function<bool(Side from, const Packet&)> filter) { filter_ = std::move(filter); }

  void send(Side from, Packet packet);

  // For what goes over TCP (SimStreams).
  /// Whether packets from one of the host's addresses reach the other host at this address of its.
  [[nodiscard]] bool passes(Side from, const net::IpAddress& local, const net::IpAddress& remote) const;
  [[nodiscard]] bool is_up(Side side) const { return port(side).up; }
  /// How long something that is repeated until it arrives is under way.
  [[nodiscard]] Duration stream_delay(Side from, RandomSource& random) const;
  /// Changes when the host's NAT forgets by what it knows its connections.
  [[nodiscard]] std::uint64_t mapping(Side side) const { return port(side).nat ? port(side).nat->generation() + 1 : 0; }
  void hand_over(Side to, Packet packet);

 private:
  struct Port {
    std::vector<net::IpAddress> addresses;
    Receiver receiver;
    std::optional<Nat> nat;
    LinkConditions conditions;
    bool cut = false;
    bool up = false;
  };
  [[nodiscard]] Port& port(Side side) { return ports_[index_of(side)]; }
  [[nodiscard]] const Port& port(Side side) const { return ports_[index_of(side)]; }
  [[nodiscard]] bool chance(std::uint32_t ppm) { return ppm > 0 && random_.below(1'000'000) < ppm; }
  [[nodiscard]] Duration up_to(Duration bound);
  void deliver(Side from, Packet packet);

  EventQueue& queue_;
  NetworkObserver& observer_;
  SeededRandom random_;
  std::array<Port, 2> ports_;
  std::set<net::IpAddress> dead_;
  std::function<bool(Side, const Packet&)> filter_;
};

}  // namespace culvert::sim
