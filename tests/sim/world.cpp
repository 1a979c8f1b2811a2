#include "tests/sim/world.hpp"

#include <algorithm>
#include <set>

#include "base/check.hpp"
#include "model/identity.hpp"
#include "model/proposal.hpp"

namespace culvert::sim {
namespace {

net::IpAddress address(const char* text) {
  const auto parsed = net::IpAddress::parse(text);
  CHECK(parsed);
  return *parsed;
}

model::TrafficSelectors selectors(std::initializer_list<const char*> texts) {
  model::TrafficSelectors list;
  for (const char* text : texts) list.push_back(*model::TrafficSelector::parse(text));
  return list;
}

std::uint64_t own_seed(std::uint64_t seed, std::uint64_t part) { return seed * 0x9e3779b97f4a7c15U + part; }

}  // namespace

WorldOptions two_hosts() {
  WorldOptions options;
  for (const Side side : {Side::alice, Side::bob}) {
    model::ConnectionConfig& connection = options.connections[index_of(side)];
    connection.name = kTunnel;
    connection.place = {"sim.toml", 1};
    connection.local_id = model::Identity::parse(name_of(side));
    connection.remote_id = model::Identity::parse(name_of(other(side)));
    connection.local = selectors({side == Side::alice ? "10.1.0.0/16" : "10.2.0.0/16",
                                  side == Side::alice ? "2001:db8:1::/48" : "2001:db8:2::/48"});
    connection.remote = selectors({side == Side::alice ? "10.2.0.0/16" : "10.1.0.0/16",
                                   side == Side::alice ? "2001:db8:2::/48" : "2001:db8:1::/48"});
    connection.start = side == Side::alice ? model::StartMode::automatic : model::StartMode::manual;
  }
  set_suites(options, "aes128gcm16-prfsha256-x25519", "aes128gcm16-esn");
  return options;
}

void set_suites(WorldOptions& options, const std::string& ike, const std::string& esp) {
  const auto ike_proposal = model::parse_proposal(model::ProtocolId::ike, ike);
  const auto esp_proposal = model::parse_proposal(model::ProtocolId::esp, esp);
  CHECK(ike_proposal && esp_proposal);
  for (model::ConnectionConfig& connection : options.connections) {
    connection.ike_proposals = {*ike_proposal};
    connection.esp_proposals = {*esp_proposal};
  }
}

World::World(const WorldOptions& options)
    : options_(options),
      random_(own_seed(options.seed, 1)),
      log_(queue_, options.log),
      ledger_(log_),
      monitor_(log_, ledger_),
      network_(queue_, monitor_, own_seed(options.seed, 2)),
      streams_(queue_, monitor_, network_, own_seed(options.seed, 3)),
      alice_(Side::alice, queue_, network_, streams_, monitor_, ledger_, log_, host_options(Side::alice)),
      bob_(Side::bob, queue_, network_, streams_, monitor_, ledger_, log_, host_options(Side::bob)) {
  // RFC 7296 2.3: as far as both sides go.
  monitor_.allow_window(std::min(options_.connections[0].ike_window, options_.connections[1].ike_window));
  if (options_.nat) network_.put_nat(*options_.nat, address("203.0.113.1"), options_.nat_idle_timeout);
  for (const Side side : {Side::alice, Side::bob}) network_.conditions(side) = options_.links[index_of(side)];
}

net::IpAddress World::outer_address(Side side, unsigned place) const {
  const bool alice = side == Side::alice;
  if (options_.outer == net::Family::v6) {
    constexpr std::array kAlice{"2001:db8:f::1", "2001:db8:e::1", "2001:db8:d::1"};
    constexpr std::array kBob{"2001:db8:f::2", "2001:db8:e::2", "2001:db8:d::2"};
    return address((alice ? kAlice : kBob).at(place));
  }
  constexpr std::array kAlice{"192.0.2.1", "198.51.100.1", "198.18.0.1"};
  constexpr std::array kBob{"192.0.2.2", "198.51.100.2", "198.18.0.2"};
  return address((alice ? kAlice : kBob).at(place));
}

net::IpAddress World::inner_address(Side side, bool second) const {
  if (second) return address(side == Side::alice ? "10.3.0.1" : "10.4.0.1");
  if (options_.inner == net::Family::v6) return address(side == Side::alice ? "2001:db8:1::1" : "2001:db8:2::1");
  return address(side == Side::alice ? "10.1.0.1" : "10.2.0.1");
}

HostOptions World::host_options(Side side) {
  HostOptions host;
  host.address = outer_address(side);
  host.config = [this, side] { return make_config(side); };
  host.ike = options_.ike[index_of(side)];
  host.secret = options_.secrets[index_of(side)];
  host.users = options_.users;
  host.ppk = options_.ppk;
  host.answer_delay = options_.answer_delays[index_of(side)];
  host.answer_spread = options_.answer_spreads[index_of(side)];
  return host;
}

config::Config World::make_config(Side side) const {
  config::Config config;
  config::TunnelConfig& tunnel = config.tunnels.emplace_back();
  tunnel.connection = options_.connections[index_of(side)];
  tunnel.peer_kind = options_.peer_kinds[index_of(side)];
  config.pools = options_.pools[index_of(side)];
  if (tunnel.peer_kind == config::PeerKind::address) {
    // At home, wherever it is just now.
    tunnel.connection.peer =
        options_.nat == other(side) ? network_.public_address(other(side)) : outer_address(other(side));
    tunnel.connection.peer_name = tunnel.connection.peer->to_string();
  }
  tunnel.secret = SecretBytes::copy_of(as_bytes(options_.secrets[index_of(side)]));
  if (options_.second_tunnel) {
    config::TunnelConfig second;
    second.connection = tunnel.connection;
    second.peer_kind = tunnel.peer_kind;
    second.secret = tunnel.secret.clone();
    second.connection.name = kSecondTunnel;
    second.connection.local = selectors({side == Side::alice ? "10.3.0.0/16" : "10.4.0.0/16"});
    second.connection.remote = selectors({side == Side::alice ? "10.4.0.0/16" : "10.3.0.0/16"});
    // Which of the two is first differs from end to end.
    config.tunnels.insert(side == Side::alice ? config.tunnels.end() : config.tunnels.begin(), std::move(second));
  }
  for (const model::ConnectionConfig& one : options_.further[index_of(side)]) {
    config::TunnelConfig& beside = config.tunnels.emplace_back();
    beside.connection = one;
    beside.peer_kind = config::PeerKind::any;
    beside.secret = SecretBytes::copy_of(as_bytes(options_.secrets[index_of(side)]));
  }
  return config;
}

// ---------------------------------------------------------------- life

void World::start(Side side) { host(side).start(random_.u64()); }

void World::start_both() {
  start(Side::alice);
  start(Side::bob);
}

bool World::run_for(Duration time) {
  const Instant until = queue_.now() + time;
  while (!log_.failed() && queue_.run_next(until)) {
  }
  return !log_.failed();
}

bool World::run_until(const std::function<bool()>& condition, Duration limit, Duration step) {
  const Instant until = queue_.now() + limit;
  while (!condition()) {
    if (queue_.now() >= until || !run_for(step)) return false;
  }
  return !log_.failed();
}

// ---------------------------------------------------------------- traffic

void World::set_traffic(Side from, std::optional<Traffic> traffic) {
  traffic_[index_of(from)] = traffic;
  const std::uint64_t generation = ++traffic_generation_[index_of(from)];
  if (traffic) plan_packet(from, generation);
}

void World::plan_packet(Side from, std::uint64_t generation) {
  const auto twice_mean = static_cast<std::uint64_t>(2 * traffic_[index_of(from)]->mean_distance.count());
  queue_.after(Duration(1 + random_.below(twice_mean)), [this, from, generation] {
    if (generation != traffic_generation_[index_of(from)]) return;
    if (host(from).running()) send_one(from, random_.below(traffic_[index_of(from)]->largest_payload));
    plan_packet(from, generation);
  });
}

InnerId World::send_one(Side from, std::size_t payload) {
  const InnerId id = ledger_.next(from);
  const bool second = options_.second_tunnel && random_.below(2) == 0;
  const Bytes packet = make_inner(id, inner_address(from, second), inner_address(other(from), second), payload);
  host(from).send_inner(packet, id);
  return id;
}

// ---------------------------------------------------------------- looking at it

std::optional<std::string> World::amiss() const {
  if (!alice_.running() || !bob_.running()) return "a host is down";
  std::array<control::TunnelView, 2> views;
  for (const Side side : {Side::alice, Side::bob}) {
    const SimHost& at = host(side);
    control::TunnelView view = at.view();
    if (view.state != control::TunnelState::up)
      return fmt::format("{}'s tunnel is in state {}", name_of(side), static_cast<int>(view.state));
    if (view.ike_sas.size() != 1) return fmt::format("{} has {} IKE SAs", name_of(side), view.ike_sas.size());
    const auto& children = view.ike_sas[0].children;
    const auto for_all = std::ranges::count_if(children, [](const auto& child) { return !child.resource; });
    const std::size_t beside = children.size() - static_cast<std::size_t>(for_all);
    // Those of its own that were under way while the peer's came are not counted: as many as the window has.
    const std::size_t most = options_.connections[index_of(side)].resource_sas.value_or(0);
    const std::size_t window = std::min(options_.connections[0].ike_window, options_.connections[1].ike_window);
    const bool carried = for_all == 1 || (for_all == 0 && beside > 0);
    if (!carried || beside > (most == 0 ? 0 : most + window))
      return fmt::format("{} has {} Child SA pairs, {} for single workers", name_of(side), children.size(), beside);
    // With many pairs there is hardly a moment in which none lingers.
    const bool exact = beside == 0;
    const std::size_t pairs = at.data_plane().sa_count();
    if (exact ? pairs != 1 : pairs < children.size())
      return fmt::format("{}'s engine has {} SA pairs", name_of(side), pairs);
    if (at.data_plane().spis_in_use() != pairs)
      return fmt::format("{} holds {} SPIs", name_of(side), at.data_plane().spis_in_use());
    if (const auto half_open = at.ike_counters().half_open; half_open != 0) {
      return fmt::format("{} has {} half-open IKE SAs", name_of(side), half_open);
    }
    views[index_of(side)] = std::move(view);
  }
  const control::IkeSaView& a = views[0].ike_sas[0];
  const control::IkeSaView& b = views[1].ike_sas[0];
  if (a.sa.spi_i != b.sa.spi_i || a.sa.spi_r != b.sa.spi_r) return "the IKE SAs of the two sides differ";
  if (a.sa.role == b.sa.role) return "both sides have the same role in the IKE SA";
  const auto has_like = [&](const control::ChildSaView& one) {
    return std::ranges::any_of(b.children, [&](const control::ChildSaView& other) {
      return one.spi_inbound == other.spi_outbound && one.spi_outbound == other.spi_inbound;
    });
  };
  if (a.children.size() != b.children.size() || !std::ranges::all_of(a.children, has_like))
    return "the Child SAs of the two sides differ";
  return std::nullopt;
}

std::optional<std::string> World::amiss_of_two() const {
  if (!alice_.running() || !bob_.running()) return "a host is down";
  for (const char* tunnel : {kTunnel, kSecondTunnel}) {
    std::array<control::TunnelView, 2> views;
    for (const Side side : {Side::alice, Side::bob}) {
      control::TunnelView view = host(side).view(tunnel);
      const auto who = [&] { return fmt::format("{}'s tunnel {}", name_of(side), tunnel); };
      if (view.state != control::TunnelState::up)
        return fmt::format("{} is in state {}", who(), static_cast<int>(view.state));
      std::erase_if(view.ike_sas, [](const control::IkeSaView& sa) { return sa.children.empty(); });
      if (view.ike_sas.size() != 1) return fmt::format("{} has Child SAs in {} IKE SAs", who(), view.ike_sas.size());
      if (view.ike_sas[0].children.size() != 1)
        return fmt::format("{} has {} Child SAs", who(), view.ike_sas[0].children.size());
      views[index_of(side)] = std::move(view);
    }
    const control::ChildSaView& a = views[0].ike_sas[0].children[0];
    const control::ChildSaView& b = views[1].ike_sas[0].children[0];
    if (a.spi_inbound != b.spi_outbound || a.spi_outbound != b.spi_inbound)
      return fmt::format("the Child SAs of {} differ", tunnel);
  }
  for (const Side side : {Side::alice, Side::bob}) {
    const SimHost& at = host(side);
    if (at.data_plane().sa_count() != 2 || at.data_plane().spis_in_use() != 2)
      return fmt::format("{}'s engine has {} SA pairs and {} SPIs", name_of(side), at.data_plane().sa_count(),
                         at.data_plane().spis_in_use());
    std::set<model::IkeSaId> all;
    for (const char* tunnel : {kTunnel, kSecondTunnel}) {
      for (const control::IkeSaView& sa : at.view(tunnel).ike_sas) all.insert(sa.sa.ike_sa);
    }
    if (all.size() > 2) return fmt::format("{} has {} IKE SAs", name_of(side), all.size());
  }
  return std::nullopt;
}

control::IkeSaView World::ike_sa(Side side) const {
  auto view = host(side).view();
  CHECK(view.ike_sas.size() == 1);
  return std::move(view.ike_sas[0]);
}

control::ChildSaView World::child(Side side) const {
  auto sa = ike_sa(side);
  CHECK(sa.children.size() == 1);
  return std::move(sa.children[0]);
}

std::string World::report(std::size_t lines) const {
  std::string text = log_.failure().value_or("no invariant was violated");
  text += "\n";
  const auto& all = log_.lines();
  for (std::size_t i = all.size() - std::min(lines, all.size()); i < all.size(); ++i) text += all[i] + "\n";
  return text;
}

}  // namespace culvert::sim
