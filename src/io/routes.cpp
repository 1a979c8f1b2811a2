#include "io/routes.hpp"

#include <algorithm>

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <fmt/format.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "io/socket_address.hpp"

namespace culvert::io {

/// The fields by which the kernel tells routes apart.
struct TunnelRoutes::Place {
  net::Prefix destination;
  std::uint8_t type = RTN_UNICAST;
  std::uint32_t metric = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

/// One route as the kernel keeps it.
struct TunnelRoutes::KernelRoute {
  [[nodiscard]] Place place() const { return {destination, type, metric}; }
  net::Prefix destination;
  std::uint8_t type = RTN_UNICAST;
  std::uint32_t metric = 0;
  std::optional<net::IpAddress> preferred_source;
  unsigned interface_index = 0;
};

namespace {

constexpr std::uint32_t kMainTable = RT_TABLE_MAIN;
constexpr net::Family kFamilies[] = {net::Family::v4, net::Family::v6};

struct RuleFacts {
  std::uint32_t table = 0;
  std::uint32_t priority = 0;
  std::uint32_t mark = 0;
  std::uint8_t protocol = 0;
};

std::optional<RuleFacts> parse_rule(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWRULE || !nlmsg_valid_hdr(message, sizeof(fib_rule_hdr))) return {};
  auto* header = static_cast<const fib_rule_hdr*>(nlmsg_data(message));
  RuleFacts facts{header->table, 0, 0, 0};
  auto read = [&](int type, std::uint32_t& value) {
    const nlattr* at = find_attribute(message, sizeof(fib_rule_hdr), type);
    if (at != nullptr) value = nla_get_u32(at);
  };
  read(FRA_TABLE, facts.table);
  read(FRA_PRIORITY, facts.priority);
  read(FRA_FWMARK, facts.mark);
  const nlattr* protocol = find_attribute(message, sizeof(fib_rule_hdr), FRA_PROTOCOL);
  if (protocol != nullptr) facts.protocol = nla_get_u8(protocol);
  return facts;
}

}  // namespace

std::set<TunnelRoutes::Place> TunnelRoutes::places_of(const std::vector<KernelRoute>& routes) {
  std::set<Place> places;
  for (const KernelRoute& route : routes) places.insert(route.place());
  return places;
}

Result<TunnelRoutes, IoError> TunnelRoutes::open(const RoutingOptions& options, unsigned interface_index) {
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return err(std::move(netlink.error()));
  return TunnelRoutes(std::move(*netlink), options, interface_index);
}

TunnelRoutes::TunnelRoutes(TunnelRoutes&& other) noexcept
    : netlink_(std::move(other.netlink_)),
      options_(other.options_),
      interface_index_(other.interface_index_),
      current_(std::move(other.current_)),
      failed_(std::move(other.failed_)),
      rules_(std::move(other.rules_)),
      adopted_(other.adopted_) {
  other.moved_from_ = true;
}

TunnelRoutes::~TunnelRoutes() {
  if (moved_from_) return;
  for (const net::Family family : rules_) (void)remove_rules(family);
  for (const TunnelRoute& route : current_) remove(route);
  for (const TunnelRoute& route : failed_) remove(route);
}

std::vector<TunnelRoutes::KernelRoute> TunnelRoutes::kernel_routes(const TunnelRoute& route) const {
  switch (route.kind) {
    case TunnelRoute::Kind::tunnel:
      // The guard first: there is no moment in which the better route is gone and the guard not yet there.
      return {{route.destination, RTN_UNREACHABLE, options_.guard_metric, {}, 0},
              {route.destination, RTN_UNICAST, options_.metric, route.preferred_source, interface_index_}};
    case TunnelRoute::Kind::around: return {{route.destination, RTN_THROW, options_.metric, {}, 0}};
    case TunnelRoute::Kind::block: return {{route.destination, RTN_UNREACHABLE, options_.metric, {}, 0}};
  }
  return {};
}

Result<void, IoError> TunnelRoutes::change(const KernelRoute& route, bool add) {
  // NLM_F_REPLACE: a leftover of an earlier run may stand in the same place.
  NetlinkRequest request(add ? RTM_NEWROUTE : RTM_DELROUTE, NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_REPLACE : 0));
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(socket_family(route.destination.address.family()));
  header.rtm_dst_len = route.destination.length;
  header.rtm_protocol = options_.protocol;
  header.rtm_type = route.type;
  header.rtm_scope = route.type == RTN_UNICAST ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  if (!add) header.rtm_scope = RT_SCOPE_NOWHERE;  // any
  request.body(header).u32(RTA_TABLE, options_.table).u32(RTA_PRIORITY, route.metric);
  if (route.destination.length != 0) request.address(RTA_DST, route.destination.address);
  if (route.interface_index != 0) request.u32(RTA_OIF, route.interface_index);
  if (add && route.preferred_source) request.address(RTA_PREFSRC, *route.preferred_source);
  return netlink_.request(request, fmt::format("cannot {} the route to {} in table {}", add ? "add" : "remove",
                                               route.destination.to_string(), options_.table));
}

Result<void, IoError> TunnelRoutes::add(const TunnelRoute& route) {
  if (auto rule = ensure_rule(route.destination.address.family()); !rule) return rule;
  for (const KernelRoute& part : kernel_routes(route)) {
    // A guard whose better route cannot be set stays: it stops what would leave in clear.
    if (auto done = change(part, true); !done) return done;
  }
  return {};
}

void TunnelRoutes::remove(const TunnelRoute& route) {
  auto parts = kernel_routes(route);
  // TUN's route first, the guard last. What is gone already (with the interface, or by hand) is no error.
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) (void)change(*part, false);
}

Result<void, IoError> TunnelRoutes::ensure_rule(net::Family family) {
  if (options_.table == kMainTable || rules_.contains(family)) return {};
  auto found = rule_marks(family);
  if (!found) return err(std::move(found.error()));
  // A rule that an earlier run left as we want it stays: without it, for a moment, its guards would guard nothing.
  const bool stands = std::erase(*found, options_.mark) != 0;
  if (!stands) {
    if (auto added = add_rule(family); !added) return added;
  }
  rules_.insert(family);
  for (const std::uint32_t mark : *found) {
    if (auto removed = remove_rule(family, mark); !removed) return removed;
  }
  return {};
}

Result<void, IoError> TunnelRoutes::add_rule(net::Family family) {
  NetlinkRequest request(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  fib_rule_hdr header{};
  header.family = static_cast<__u8>(socket_family(family));
  header.action = FR_ACT_TO_TBL;
  header.table = RT_TABLE_UNSPEC;
  if (options_.mark != 0) header.flags = FIB_RULE_INVERT;
  request.body(header).u32(FRA_TABLE, options_.table).u32(FRA_PRIORITY, options_.rule_priority);
  if (options_.mark != 0) request.u32(FRA_FWMARK, options_.mark).u32(FRA_FWMASK, 0xffffffff);
  request.u8(FRA_PROTOCOL, options_.protocol);
  return netlink_.request(request, fmt::format("cannot add the routing rule with priority {} for table {}",
                                               options_.rule_priority, options_.table));
}

Result<std::vector<std::uint32_t>, IoError> TunnelRoutes::rule_marks(net::Family family) {
  std::vector<std::uint32_t> found;
  NetlinkRequest list(RTM_GETRULE, NLM_F_DUMP);
  fib_rule_hdr header{};
  header.family = static_cast<__u8>(socket_family(family));
  list.body(header);
  auto listed = netlink_.query(list, "cannot list the routing rules", [&](const nlmsghdr* message) {
    const auto rule = parse_rule(message);
    // Someone else's rule may lead to the same table, even from the same place.
    if (rule && rule->table == options_.table && rule->priority == options_.rule_priority &&
        rule->protocol == options_.protocol) {
      found.push_back(rule->mark);
    }
  });
  if (!listed) return err(std::move(listed.error()));
  return found;
}

Result<void, IoError> TunnelRoutes::remove_rule(net::Family family, std::uint32_t mark) {
  NetlinkRequest request(RTM_DELRULE, NLM_F_ACK);
  fib_rule_hdr which{};
  which.family = static_cast<__u8>(socket_family(family));
  which.action = FR_ACT_TO_TBL;
  request.body(which).u32(FRA_TABLE, options_.table).u32(FRA_PRIORITY, options_.rule_priority);
  if (mark != 0) request.u32(FRA_FWMARK, mark);
  return netlink_.request(request,
                          fmt::format("cannot remove the routing rule with priority {}", options_.rule_priority));
}

Result<std::size_t, IoError> TunnelRoutes::remove_rules(net::Family family) {
  if (options_.table == kMainTable) return 0;
  const auto found = rule_marks(family);
  if (!found) return err(found.error());
  for (const std::uint32_t mark : *found) {
    if (auto done = remove_rule(family, mark); !done) return err(std::move(done.error()));
  }
  return found->size();
}

Result<std::vector<TunnelRoutes::KernelRoute>, IoError> TunnelRoutes::list() {
  std::vector<KernelRoute> found;
  for (const net::Family family : kFamilies) {
    NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP);
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(socket_family(family));
    request.body(header);
    auto listed = netlink_.query(request, "cannot list the routes", [&](const nlmsghdr* message) {
      if (message->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(message, sizeof(rtmsg))) return;
      auto* route = static_cast<const rtmsg*>(nlmsg_data(message));
      auto attribute = [&](int type) { return find_attribute(message, sizeof(rtmsg), type); };
      const nlattr* table = attribute(RTA_TABLE);
      if (route->rtm_protocol != options_.protocol) return;
      if ((table != nullptr ? nla_get_u32(table) : route->rtm_table) != options_.table) return;
      net::IpAddress address = net::IpAddress::any(family);
      if (const nlattr* destination = attribute(RTA_DST)) {
        address = net::IpAddress::from_bytes({static_cast<const std::uint8_t*>(nla_data(destination)),
                                              static_cast<std::size_t>(nla_len(destination))})
                      .value_or(address);
      }
      KernelRoute entry;
      entry.destination = {address, route->rtm_dst_len};
      entry.type = route->rtm_type;
      if (const nlattr* metric = attribute(RTA_PRIORITY)) entry.metric = nla_get_u32(metric);
      if (const nlattr* interface = attribute(RTA_OIF); interface != nullptr && route->rtm_type == RTN_UNICAST) {
        entry.interface_index = nla_get_u32(interface);
      }
      found.push_back(entry);
    });
    if (!listed) return err(std::move(listed.error()));
  }
  return found;
}

Result<std::size_t, IoError> TunnelRoutes::remove_leftovers(const std::set<TunnelRoute>& keep) {
  auto present = list();
  if (!present) return err(std::move(present.error()));
  std::set<Place> wanted;
  for (const TunnelRoute& route : keep) {
    for (const KernelRoute& part : kernel_routes(route)) wanted.insert(part.place());
  }
  std::size_t removed = 0;
  for (const KernelRoute& route : *present) {
    if (wanted.contains(route.place())) continue;
    if (auto done = change(route, false); !done) return err(std::move(done.error()));
    ++removed;
  }
  return removed;
}

bool TunnelRoutes::stands(const TunnelRoute& route, const std::set<Place>& present) const {
  return std::ranges::all_of(kernel_routes(route),
                             [&](const KernelRoute& part) { return present.contains(part.place()); });
}

Result<void, IoError> TunnelRoutes::apply(const std::vector<TunnelRoute>& routes) {
  const std::set<TunnelRoute> wanted(routes.begin(), routes.end());
  const auto listed = list();
  if (!listed) return err(listed.error());
  const std::set<Place> present = places_of(*listed);
  std::set<net::Prefix> destinations;
  std::set<TunnelRoute> standing;
  std::set<TunnelRoute> failed;
  Result<void, IoError> outcome;
  for (const TunnelRoute& route : wanted) {
    destinations.insert(route.destination);
    // The kernel takes routes away when TUN goes down; then they are added again.
    const bool untouched = current_.contains(route) && stands(route, present);
    auto done = untouched ? Result<void, IoError>{} : add(route);
    (done ? standing : failed).insert(route);
    if (!done && outcome) outcome = std::move(done);
  }
  std::vector<TunnelRoute> removed;
  std::ranges::set_difference(current_, wanted, std::back_inserter(removed));
  std::ranges::set_difference(failed_, wanted, std::back_inserter(removed));
  current_ = std::move(standing);
  failed_ = std::move(failed);
  for (const TunnelRoute& route : removed) {
    if (!destinations.contains(route.destination)) remove(route);
  }
  if (!adopted_ || !removed.empty()) {
    // Clears what an earlier run left, and what a route that changed its kind left behind.
    if (auto cleared = remove_leftovers(wanted); !cleared) return err(std::move(cleared.error()));
    if (auto cleared = remove_leftover_rules(); !cleared) return err(std::move(cleared.error()));
    adopted_ = true;
  }
  return outcome;
}

Result<std::size_t, IoError> TunnelRoutes::remove_leftover_rules() {
  std::size_t removed = 0;
  for (const net::Family family : kFamilies) {
    if (rules_.contains(family)) continue;
    const auto rules = remove_rules(family);
    if (rules) removed += *rules;
    // A kernel without IPv6 has no such rules.
    if (!rules && rules.error().system_error != EAFNOSUPPORT) return rules;
  }
  return removed;
}

Result<std::size_t, IoError> TunnelRoutes::purge(const RoutingOptions& options) {
  auto routes = open(options, 0);
  if (!routes) return err(std::move(routes.error()));
  auto rules = routes->remove_leftover_rules();
  if (!rules) return rules;
  auto cleared = routes->remove_leftovers({});
  if (!cleared) return cleared;
  return *rules + *cleared;
}

Result<std::vector<net::Prefix>, IoError> TunnelRoutes::guarded(const RoutingOptions& options) {
  auto routes = open(options, 0);
  if (!routes) return err(std::move(routes.error()));
  auto present = routes->list();
  if (!present) return err(std::move(present.error()));
  std::vector<net::Prefix> found;
  for (const KernelRoute& route : *present) {
    if (route.type == RTN_UNREACHABLE && route.metric == options.guard_metric) found.push_back(route.destination);
  }
  return found;
}

}  // namespace culvert::io
