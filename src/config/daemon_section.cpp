#include <algorithm>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kSocketPathLimit = 107;  // sun_path without its terminating zero
constexpr std::size_t kInterfaceNameLimit = 15;
constexpr std::int64_t kMostU32 = 0xffffffff;
constexpr std::int64_t kMostWorkers = 64;
constexpr std::int64_t kFirstKernelTable = 253;
constexpr std::int64_t kLastKernelTable = 255;

constexpr std::pair<std::string_view, LogLevel> kLevels[] = {{"trace", LogLevel::trace},
                                                             {"debug", LogLevel::debug},
                                                             {"info", LogLevel::info},
                                                             {"warning", LogLevel::warning},
                                                             {"error", LogLevel::error}};

void read_socket(Section& section, DaemonConfig& daemon) {
  const auto path = section.text("socket");
  if (!path) return;
  if (!path->value.starts_with('/')) {
    section.error(path->position, "socket", fmt::format("{} is not an absolute path", in_quotes(path->value)),
                  "begin it with \"/\"");
  } else if (path->value.size() > kSocketPathLimit) {
    section.error(
        path->position, "socket",
        fmt::format("the path has {} octets; the system allows {} for a socket", path->value.size(), kSocketPathLimit),
        fmt::format("choose a shorter path, such as \"{}\"", kDefaultSocket));
  } else {
    daemon.socket = path->value;
  }
}

bool is_interface_name(std::string_view name) {
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kInterfaceNameLimit && std::ranges::all_of(name, allowed) && name != "." &&
         name != "..";
}

void read_tun_name(Section& section, DaemonConfig& daemon) {
  const auto name = section.text("tun_name");
  if (!name) return;
  if (!is_interface_name(name->value)) {
    section.error(name->position, "tun_name", fmt::format("{} cannot name a network interface", in_quotes(name->value)),
                  fmt::format("write at most {} letters, digits, '-', '_' or '.'", kInterfaceNameLimit));
    return;
  }
  daemon.tun_name = name->value;
}

void read_export_keys(Section& section, DaemonConfig& daemon) {
  const auto folder = section.text("export_keys");
  if (!folder) return;
  if (!folder->value.starts_with('/')) {
    section.error(folder->position, "export_keys", fmt::format("{} is not an absolute path", in_quotes(folder->value)),
                  "begin it with \"/\"");
    return;
  }
  daemon.export_keys = folder->value;
  section.warning(folder->position, "export_keys",
                  fmt::format("ALL SESSION KEYS ARE WRITTEN to {}: who reads them can decrypt the traffic",
                              in_quotes(folder->value)),
                  "take the setting out when you have seen what you wanted to see");
}

void read_state(Section& section, DaemonConfig& daemon) {
  const auto folder = section.text("state");
  if (!folder) return;
  if (!folder->value.starts_with('/')) {
    section.error(folder->position, "state", fmt::format("{} is not an absolute path", in_quotes(folder->value)),
                  "begin it with \"/\"");
    return;
  }
  daemon.state = folder->value;
}

void read_xdp(Section& section, DaemonConfig& daemon) {
  constexpr std::size_t kMostInterfaces = 16;
  for (const Located<std::string>& name : section.texts("xdp", kMostInterfaces)) {
    if (!is_interface_name(name.value)) {
      section.error(name.position, "xdp", fmt::format("{} is no name of an interface", in_quotes(name.value)),
                    "write interfaces as `ip link` shows them, xdp = [\"eth0\"]");
    } else if (name.value == daemon.tun_name) {
      section.error(name.position, "xdp", fmt::format("{} is the interface for inner packets", in_quotes(name.value)),
                    "name interfaces that ESP comes and goes by");
    } else if (std::ranges::find(daemon.xdp, name.value) != daemon.xdp.end()) {
      section.error(name.position, "xdp", fmt::format("{} is there twice", in_quotes(name.value)), "take one out");
    } else {
      daemon.xdp.push_back(name.value);
    }
  }
}

void read_listen_tcp(Section& section, DaemonConfig& daemon) {
  constexpr std::string_view kKey = "listen_tcp";
  constexpr std::size_t kMostPorts = 8;
  const toml::node* node = section.node(kKey);
  if (node == nullptr) return;
  const toml::array* list = node->as_array();
  const auto wrong = [&](const Position& at, std::string what) {
    section.error(at, kKey, std::move(what), "write a list of TCP ports, listen_tcp = [4500]");
  };
  if (list == nullptr)
    return wrong(section.position_of(kKey), fmt::format("a list of ports is needed, {} was found", describe(*node)));
  if (list->size() > kMostPorts) return wrong(section.position_of(kKey), fmt::format("more than {} ports", kMostPorts));
  for (const toml::node& one : *list) {
    const auto port = one.value_exact<std::int64_t>();
    if (!port || *port < 1 || *port > 0xffff) {
      wrong(section.position_of(one), describe(one) + " is no port");
    } else if (std::ranges::find(daemon.listen_tcp, *port) != daemon.listen_tcp.end()) {
      wrong(section.position_of(one), fmt::format("port {} is there twice", *port));
    } else {
      daemon.listen_tcp.push_back(static_cast<std::uint16_t>(*port));
    }
  }
}

void read_ports(Section& section, DaemonConfig& daemon) {
  if (const auto port = section.integer("ike_port", 1, 0xffff)) daemon.ike_port = static_cast<std::uint16_t>(*port);
  if (const auto port = section.integer("nat_port", 1, 0xffff)) daemon.nat_port = static_cast<std::uint16_t>(*port);
  read_listen_tcp(section, daemon);
  if (daemon.ike_port == daemon.nat_port) {
    const std::string_view key = section.has("nat_port") ? "nat_port" : "ike_port";
    section.error(section.position_of(key), key, fmt::format("ike_port and nat_port are both {}", daemon.ike_port),
                  "give them different numbers; 500 and 4500 are the standard ones");
  }
}

// Least values are what IP itself promises (RFC 791 3.2: 68 octets, RFC 8200 5: 1280); the most that a host may be
// asked to keep for strangers' fragments is a matter of its memory.
void read_bounds(Section& section, PacketBounds& bounds) {
  using std::chrono::seconds;
  constexpr std::int64_t kMostPackets = 1'000'000;
  constexpr std::uint64_t kLeastBytes = 65536;
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 32;
  constexpr seconds kLongest(600);
  const auto number = [&](std::string_view key, std::int64_t least, std::int64_t most, auto& to) {
    if (const auto value = section.integer(key, least, most)) to = static_cast<std::decay_t<decltype(to)>>(*value);
  };
  const auto time = [&](std::string_view key, Duration least, Duration most, Duration& to) {
    if (const auto value = section.duration(key, least, most)) to = *value;
  };
  const auto bytes = [&](std::string_view key, std::uint64_t& to) {
    const auto value = section.size(key, kLeastBytes);
    if (!value) return;
    if (*value > kMostBytes) {
      section.error(section.position_of(key), key, fmt::format("{} octets are more than culvertd keeps", *value),
                    fmt::format("write {} at the most", kMostBytes));
    }
    to = *value;
  };
  // The most is 1.5 GB of flows for each worker, and of keys as many as SAs may well be at work. Both are taken as they
  // come.
  number("flow_cache_entries", 64, 16'777'216, bounds.flow_cache_entries);
  number("expanded_keys", 16, 1'000'000, bounds.expanded_keys);
  if (const auto believe = section.boolean("icmp_path_mtu")) bounds.icmp_path_mtu = *believe;
  number("min_pmtu", 68, 0xffff, bounds.min_pmtu);
  number("min_pmtu_ipv6", 1280, 0xffff, bounds.min_pmtu_ipv6);
  // RFC 1191 6.3: not more often than every few minutes would be right; a test may want less.
  time("mtu_expires", seconds(1), std::chrono::hours(24), bounds.mtu_expires);
  number("fragment_packets", 1, kMostPackets, bounds.fragment_packets);
  time("fragment_time", seconds(1), kLongest, bounds.fragment_time);
  number("early_fragments", 1, kMostPackets, bounds.early_fragments);
  bytes("early_fragment_bytes", bounds.early_fragment_bytes);
  time("early_fragment_time", std::chrono::milliseconds(10), seconds(60), bounds.early_fragment_time);
  number("reassembly_packets", 1, kMostPackets, bounds.reassembly_packets);
  number("reassembly_fragments", 2, 8192, bounds.reassembly_fragments);
  bytes("reassembly_bytes", bounds.reassembly_bytes);
  time("reassembly_time", seconds(1), kLongest, bounds.reassembly_time);
}

void read_set_ups(Section& section, SetUpBounds& bounds) {
  constexpr std::int64_t kMost = 1'000'000;
  const auto number = [&](std::string_view key, std::int64_t least, std::size_t& to) {
    if (const auto value = section.integer(key, least, kMost)) to = static_cast<std::size_t>(*value);
  };
  number("cookie_threshold", 0, bounds.cookie_threshold);
  number("half_open_limit", 1, bounds.half_open_limit);
  number("half_open_per_address", 1, bounds.half_open_per_address);
  number("half_open_per_network", 1, bounds.half_open_per_network);
  number("puzzle_threshold", 0, bounds.puzzle_threshold);
  // RFC 8019 4.4: fewer are none, and of more our own initiators solve none.
  if (const auto bits = section.integer("puzzle_bits", 8, 18)) bounds.puzzle_bits = static_cast<std::uint8_t>(*bits);
  if (bounds.cookie_threshold >= bounds.half_open_limit) {
    section.error(section.position_of(section.has("cookie_threshold") ? "cookie_threshold" : "half_open_limit"),
                  "cookie_threshold", "cookies would be asked for when it is too late for them",
                  fmt::format("write less than half_open_limit, which is {}", bounds.half_open_limit));
  }
}

}  // namespace

DaemonConfig read_daemon(Section section) {
  DaemonConfig daemon;
  section.refuse_unknown(kDaemonFields);
  if (const auto level = section.choice("log_level", kLevels)) daemon.log_level = *level;
  read_socket(section, daemon);
  read_tun_name(section, daemon);
  read_xdp(section, daemon);
  read_ports(section, daemon);
  read_export_keys(section, daemon);
  read_state(section, daemon);
  if (const auto measure = section.boolean("measure_ciphers")) daemon.measure_ciphers = *measure;
  read_bounds(section, daemon.packets);
  read_set_ups(section, daemon.set_ups);
  if (const auto table = section.integer("routing_table", 1, kMostU32)) {
    if (*table >= kFirstKernelTable && *table <= kLastKernelTable) {
      section.error(section.position_of("routing_table"), "routing_table",
                    fmt::format("table {} is the kernel's own (253 default, 254 main, 255 local)", *table),
                    "write the number of a table that nothing else uses; 4500 is the default");
    } else {
      daemon.routing_table = static_cast<std::uint32_t>(*table);
    }
  }
  if (const auto workers = section.integer("workers", 1, kMostWorkers)) {
    daemon.workers = static_cast<std::uint32_t>(*workers);
  }
  if (const auto threads = section.integer("ike_threads", 0, kMostWorkers))
    daemon.ike_threads = static_cast<std::uint32_t>(*threads);
  if (const auto mark = section.integer("fwmark", 1, kMostU32)) daemon.fwmark = static_cast<std::uint32_t>(*mark);
  return daemon;
}

}  // namespace culvert::config
