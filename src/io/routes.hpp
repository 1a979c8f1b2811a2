// TunnelRoutes: makes the host's traffic for the remote networks go into TUN, keeps our own outer packets out of it,
// and lets no plaintext out when this process is gone.
//
// The routes stand in a table of their own, which a rule for each family puts in front of the main table for all
// packets without our firewall mark. So the main table is never touched, and a tunnel may even cover its own peer's
// address. Beside each route into TUN stands an `unreachable` one with a worse metric: when the process is killed the
// kernel removes TUN and its routes, and the guard stays until the next run (or `ip route flush table N`) clears it.
// All of it carries our own routing protocol number, by which leftovers are found.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/netlink_socket.hpp"
#include "net/address.hpp"

namespace culvert::io {

struct RoutingOptions {
  std::uint32_t table = 4500;
  std::uint32_t rule_priority = 4500;
  /// The mark of our own sockets (UdpOptions::mark). 0: the rule catches all packets, ours included; only for tunnels
  /// that never cover a peer's address.
  std::uint32_t mark = 4500;
  std::uint8_t protocol = 197;  // rtm_protocol: neither in the kernel's list nor in iproute2's
  std::uint32_t metric = 100;
  std::uint32_t guard_metric = 4096;
};

struct TunnelRoute {
  enum class Kind : std::uint8_t {
    tunnel,  // into TUN, with its guard
    around,  // not into TUN: the lookup goes on in the main table (bypass policies)
    block    // unreachable for local senders (discard policies)
  };
  net::Prefix destination;
  Kind kind = Kind::tunnel;
  /// The source address that the host takes when a program leaves the choice open; must be an address of the host.
  std::optional<net::IpAddress> preferred_source;
  friend auto operator<=>(const TunnelRoute&, const TunnelRoute&) = default;
};

class TunnelRoutes {
 public:
  /// `interface_index` is TUN's. Leftovers of an earlier run stay as guards until the first `apply`.
  [[nodiscard]] static Result<TunnelRoutes, IoError> open(const RoutingOptions& options, unsigned interface_index);
  TunnelRoutes(TunnelRoutes&& other) noexcept;
  TunnelRoutes& operator=(TunnelRoutes&&) = delete;
  /// Takes everything back, rules and guards included.
  ~TunnelRoutes();

  /// Makes the table hold exactly `routes`; what is the same stays untouched, what the kernel took away comes back. A
  /// route that cannot be set does not hold up the others: the first such error is answered, the route's guard stands
  /// if it could be set, and the next call tries again.
  [[nodiscard]] Result<void, IoError> apply(const std::vector<TunnelRoute>& routes);
  /// The routes that stand.
  [[nodiscard]] const std::set<TunnelRoute>& current() const { return current_; }

  /// Removes what this or an earlier run left in the table and the rules that lead to it. How many routes and rules
  /// that were.
  [[nodiscard]] static Result<std::size_t, IoError> purge(const RoutingOptions& options);
  /// The destinations that guards block at present: of a run that goes on, or left by one that was killed.
  [[nodiscard]] static Result<std::vector<net::Prefix>, IoError> guarded(const RoutingOptions& options);

 private:
  struct Place;
  struct KernelRoute;
  TunnelRoutes(NetlinkSocket netlink, const RoutingOptions& options, unsigned interface_index)
      : netlink_(std::move(netlink)), options_(options), interface_index_(interface_index) {}

  [[nodiscard]] std::vector<KernelRoute> kernel_routes(const TunnelRoute& route) const;
  [[nodiscard]] static std::set<Place> places_of(const std::vector<KernelRoute>& routes);
  [[nodiscard]] bool stands(const TunnelRoute& route, const std::set<Place>& present) const;
  [[nodiscard]] Result<void, IoError> add(const TunnelRoute& route);
  void remove(const TunnelRoute& route);
  [[nodiscard]] Result<void, IoError> change(const KernelRoute& route, bool add);
  [[nodiscard]] Result<void, IoError> ensure_rule(net::Family family);
  [[nodiscard]] Result<void, IoError> add_rule(net::Family family);
  /// The marks of the rules that lead to our table, in the kernel's order; more than one only after a killed run.
  [[nodiscard]] Result<std::vector<std::uint32_t>, IoError> rule_marks(net::Family family);
  [[nodiscard]] Result<void, IoError> remove_rule(net::Family family, std::uint32_t mark);
  /// How many that were.
  [[nodiscard]] Result<std::size_t, IoError> remove_rules(net::Family family);
  /// Of the families for which no rule of this run stands.
  [[nodiscard]] Result<std::size_t, IoError> remove_leftover_rules();
  [[nodiscard]] Result<std::vector<KernelRoute>, IoError> list();
  [[nodiscard]] Result<std::size_t, IoError> remove_leftovers(const std::set<TunnelRoute>& keep);

  NetlinkSocket netlink_;
  RoutingOptions options_;
  unsigned interface_index_;
  std::set<TunnelRoute> current_;
  std::set<TunnelRoute> failed_;  // their guards may stand
  std::set<net::Family> rules_;
  bool adopted_ = false;  // leftovers were dealt with
  bool moved_from_ = false;
};

}  // namespace culvert::io
