// [pool.NAME], and what tunnels say of pools: addresses that clients are given (RFC 7296 2.19).
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "config/draft.hpp"
#include "model/configuration.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kRangeLimit = 64;
constexpr std::size_t kServerLimit = 8;
constexpr std::size_t kNameLimit = 64;
constexpr std::size_t kFixedLimit = 8;  // addresses of one identity

constexpr std::pair<std::string_view, bool> kMoreSessions[] = {{"replace", false}, {"refuse", true}};

/// A prefix without the addresses at its ends that no host of such a network has (RFC 4291 2.6.1 for IPv6); a range as
/// it is written.
net::AddressRange hosts_of(const net::AddressRange& range, bool is_prefix) {
  const bool v4 = range.family() == net::Family::v4;
  const auto prefix = range.as_prefix();
  if (!is_prefix || !prefix || prefix->length + (v4 ? 2U : 1U) > range.first.bits()) return range;
  return {*range.first.next(), v4 ? *range.last.previous() : range.last};
}

void read_ranges(Section& section, PoolConfig& pool) {
  if (!section.has("addresses"))
    section.missing("addresses", R"(write addresses = ["10.9.0.0/16"]: the addresses that clients are given)");
  for (const Located<std::string>& written : section.texts("addresses", kRangeLimit)) {
    const auto range = net::AddressRange::parse(written.value);
    const bool usable =
        range && !range->first.is_unspecified() && !range->last.is_multicast() && !range->first.is_loopback();
    if (!usable) {
      section.error(written.position, "addresses",
                    fmt::format("{} is no range of addresses that hosts can have", in_quotes(written.value)),
                    R"(write a prefix "10.9.0.0/16", "fd00:9::/64", an address, or a range "10.9.0.10-10.9.0.99")");
      continue;
    }
    const net::AddressRange hosts = hosts_of(*range, written.value.find('-') == std::string::npos);
    const auto same = std::ranges::find_if(pool.ranges, [&](const auto& other) { return other.overlaps(hosts); });
    if (same != pool.ranges.end()) {
      section.error(written.position, "addresses",
                    fmt::format("{} overlaps {} of the same pool", range->to_string(), same->to_string()),
                    "write each address once");
      continue;
    }
    pool.ranges.push_back(hosts);
  }
}

std::optional<net::IpAddress> host(Section& section, std::string_view key, const std::string& text,
                                   const Position& at) {
  const auto address = net::IpAddress::parse(text);
  if (!address) {
    section.error(at, key, fmt::format("{} is not an address", in_quotes(text)), "write 10.1.0.53 or fd00:1::53");
    return std::nullopt;
  }
  return is_host_address(section, at, key, *address) ? address : std::nullopt;
}

/// "10.1.0.53#dns.example.org", "[fd00:1::53]:8853#dns.example.org": address, perhaps port, and the name in its
/// certificate, as systemd-resolved writes them.
std::optional<model::EncryptedDns> over_tls(std::string_view text) {
  const std::size_t hash = text.find('#');
  if (hash == std::string_view::npos) return std::nullopt;
  model::EncryptedDns resolver;
  resolver.name = text.substr(hash + 1);
  resolver.protocols = {"dot"};
  const std::string where(text.substr(0, hash));
  if (const auto address = net::IpAddress::parse(where)) {
    resolver.addresses = {*address};
  } else if (const auto endpoint = net::Endpoint::parse(where); endpoint && endpoint->port != 0) {
    resolver.addresses = {endpoint->address};
    resolver.port = endpoint->port;
  } else {
    return std::nullopt;
  }
  if (resolver.name.size() > 0xff || !model::is_domain_name(resolver.name)) return std::nullopt;
  return resolver;
}

void read_over_tls(Section& section, PoolConfig& pool) {
  for (const Located<std::string>& written : section.texts("dns_over_tls", kServerLimit)) {
    auto resolver = over_tls(written.value);
    if (!resolver) {
      section.error(written.position, "dns_over_tls",
                    fmt::format("{} is no server with the name in its certificate", in_quotes(written.value)),
                    R"(write "10.1.0.53#dns.example.org", or "[fd00:1::53]:8853#dns.example.org" with a port)");
    } else if (is_host_address(section, written.position, "dns_over_tls", resolver->addresses.front())) {
      pool.encrypted_dns.push_back(std::move(*resolver));
    }
  }
}

void read_domains(Section& section, PoolConfig& pool) {
  for (const Located<std::string>& written : section.texts("domains", kNameLimit)) {
    if (model::is_domain_name(written.value)) {
      pool.domains.push_back(written.value);
    } else {
      section.error(written.position, "domains", fmt::format("{} is not a domain name", in_quotes(written.value)),
                    "write \"example.org\": letters, digits and '-' between dots");
    }
  }
  if (!pool.domains.empty() && pool.dns_servers.empty() && pool.encrypted_dns.empty()) {
    section.error(section.position_of("domains"), "domains", "there is no server to ask for these domains",
                  "write dns = [\"ADDRESS\"] too");
  }
}

void read_subnets(Section& section, PoolConfig& pool) {
  for (const Located<std::string>& written : section.texts("subnets", kNameLimit)) {
    if (const auto prefix = net::Prefix::parse(written.value)) {
      pool.subnets.push_back(*prefix);
    } else {
      section.error(written.position, "subnets", fmt::format("{} is not a prefix", in_quotes(written.value)),
                    "write \"10.1.0.0/16\", with no bits set behind the prefix length");
    }
  }
}

void read_fixed(Section& section, PoolConfig& pool, Problems& problems) {
  const toml::node* node = section.node("fixed");
  if (node == nullptr) return;
  const std::string hint = R"(write fixed = { "amy@example.org" = "10.9.0.7" })";
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    return section.error(section.position_of("fixed"), "fixed",
                         fmt::format("a table is needed, {} was found", describe(*node)), hint);
  }
  std::set<net::IpAddress> taken;
  Section inner(*table, section.name() + ".fixed", section.file(), problems);
  for (const auto& [key, value] : *table) {
    const std::string who(key.str());
    const model::Identity identity = model::Identity::parse(who).comparable();
    if (identity.data.empty() || who.find('*') != std::string::npos) {
      inner.error(inner.position_of(value), in_quotes(who), "this is no identity", hint);
      continue;
    }
    for (const Located<std::string>& written : inner.texts(who, kFixedLimit)) {
      const auto address = host(inner, who, written.value, written.position);
      if (!address) continue;
      const auto has = [&](const net::AddressRange& range) { return range.contains(*address); };
      if (std::ranges::none_of(pool.ranges, has)) {
        inner.error(written.position, who, fmt::format("{} is not of this pool", address->to_string()),
                    "choose one within addresses, or add it there");
      } else if (!taken.insert(*address).second) {
        inner.error(written.position, who, fmt::format("{} is kept for another identity", address->to_string()),
                    "give each its own");
      } else {
        pool.fixed[identity].push_back(*address);
      }
    }
  }
}

}  // namespace

DraftPool read_pool(Section section, std::string name, Problems& problems) {
  DraftPool draft;
  draft.header = section.position();
  PoolConfig& pool = draft.config;
  pool.name = std::move(name);
  pool.place = {section.file(), section.position().line};
  section.refuse_unknown(kPoolFields);
  read_ranges(section, pool);
  for (const Located<std::string>& written : section.texts("dns", kServerLimit)) {
    if (const auto server = host(section, "dns", written.value, written.position)) pool.dns_servers.push_back(*server);
  }
  read_over_tls(section, pool);
  read_domains(section, pool);
  read_subnets(section, pool);
  read_fixed(section, pool, problems);
  return draft;
}

void read_pool_use(Section& section, DraftTunnel& draft) {
  constexpr std::size_t kPoolLimit = 16;
  constexpr std::int64_t kMostSessions = 16;  // as many IKE SAs as IKE lets one peer have
  model::ConnectionConfig& connection = draft.config.connection;
  if (const auto sessions = section.integer("sessions", 0, kMostSessions))
    connection.sessions = static_cast<std::size_t>(*sessions);
  if (const auto refuse = section.choice("more_sessions", kMoreSessions)) connection.refuse_more_sessions = *refuse;
  if (connection.refuse_more_sessions && connection.sessions == 0) {
    section.error(section.position_of("more_sessions"), "more_sessions", "there is no bound that this could be about",
                  "write sessions = 1 too");
  }
  if (!section.has("pool")) return;
  draft.pool = section.position_of("pool");
  for (const Located<std::string>& written : section.texts("pool", kPoolLimit))
    connection.pools.push_back(written.value);
  if (draft.config.peer_kind != PeerKind::any && connection.peer) {
    section.error(draft.pool, "pool",
                  "a peer at a known address begins on both sides, and a pool is for those that call",
                  "write peer = \"any\"");
  } else if (draft.config.peer_kind == PeerKind::dns_name) {
    section.error(draft.pool, "pool", "a pool is for peers that call", "write peer = \"any\"");
  }
  if (section.has("remote")) {
    section.error(section.position_of("remote"), "remote", "the pool says what the peer's addresses are",
                  "take remote out, or pool");
  }
}

namespace {

void check_overlap(const DraftPool& first, const DraftPool& second, Problems& problems) {
  if (first.config.name == second.config.name) {
    problems.push_back({Severity::error, second.header, "pool." + second.config.name,
                        fmt::format("the name is taken by the pool at {}", first.header.to_string()),
                        "give one of the two another name"});
    return;
  }
  for (const net::AddressRange& a : first.config.ranges) {
    for (const net::AddressRange& b : second.config.ranges) {
      if (!a.overlaps(b)) continue;
      problems.push_back({Severity::error, second.header, fmt::format("pool.{}.addresses", second.config.name),
                          fmt::format("{} overlaps {} of pool {} at {}", b.to_string(), a.to_string(),
                                      first.config.name, first.header.to_string()),
                          "an address can be given once only: cut one of the two"});
      return;
    }
  }
}

/// `remote` of the tunnel has these pools, too; `setting` names them, at that position.
void add_remote(Draft& draft, DraftTunnel& tunnel, const std::vector<std::string>& pools, const std::string& setting,
                const Position& position) {
  for (const std::string& name : pools) {
    const auto pool = std::ranges::find_if(draft.pools, [&](const DraftPool& one) { return one.config.name == name; });
    if (pool == draft.pools.end()) {
      draft.problems.push_back({Severity::error, position, setting, fmt::format("there is no pool {}", in_quotes(name)),
                                fmt::format("write a section [pool.{}]", can_be_name(name) ? name : "NAME")});
      continue;
    }
    for (const net::AddressRange& range : pool->config.ranges) {
      const auto selector = model::TrafficSelector::of(range);
      if (std::ranges::find(tunnel.remote.selectors, selector) != tunnel.remote.selectors.end()) continue;
      tunnel.remote.selectors.push_back(selector);
      tunnel.remote.positions.push_back(position);
    }
  }
}

}  // namespace

void check_pools(Draft& draft) {
  for (std::size_t second = 0; second < draft.pools.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first)
      check_overlap(draft.pools[first], draft.pools[second], draft.problems);
  }
  for (DraftTunnel& tunnel : draft.tunnels) {
    const model::ConnectionConfig& connection = tunnel.config.connection;
    if (connection.pools.empty()) continue;
    add_remote(draft, tunnel, connection.pools, fmt::format("tunnel.{}.pool", connection.name), tunnel.pool);
    for (const model::GroupPolicy& group : connection.groups) {
      const auto written =
          std::ranges::find_if(draft.groups, [&](const DraftGroup& one) { return one.config.name == group.name; });
      add_remote(draft, tunnel, group.pools, fmt::format("group.{}.pool", group.name), written->pool);
    }
    tunnel.config.connection.remote = tunnel.remote.selectors;
  }
}

}  // namespace culvert::config
