// Facts: all that `culvert doctor` has seen of the host, the configuration and the daemon, before anybody judges it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/client.hpp"
#include "api/schema.hpp"
#include "config/config.hpp"
#include "crypto/cpu_features.hpp"
#include "io/addresses.hpp"
#include "io/clock.hpp"
#include "io/kernel_ipsec.hpp"
#include "io/packet_facilities.hpp"
#include "io/port_holders.hpp"
#include "io/process_rights.hpp"
#include "io/reverse_path.hpp"

namespace culvert::cli::doctor {

struct HostFacts {
  io::ProcessRights rights;
  io::PacketFacilities packets;
  std::map<std::uint16_t, std::vector<io::PortHolder>> ports;  // the two that IKE needs
  io::KernelIpsec kernel_ipsec;
  std::optional<std::string> filters;  // io::packet_filter_text
  std::string filters_refused;         // why not
  bool filters_not_permitted = false;
  std::vector<std::string> legacy_filters;
  std::vector<io::ReversePathFilter> reverse_paths;
  std::optional<std::int64_t> forward_v4;
  std::optional<std::int64_t> forward_v6;
  std::string congestion_control;
  std::vector<io::InterfaceAddress> addresses;
  std::map<unsigned, std::string> interfaces;  // by index
  std::vector<net::Prefix> guards;             // io::TunnelRoutes::guarded
  io::WallClock clock;
  std::vector<crypto::CpuFeature> cpu;
  std::vector<std::pair<std::string, std::string>> ciphers;  // word of a suite's cipher, who computes it; empty: nobody
};

/// The way to one tunnel's peer.
struct PeerFacts {
  std::vector<net::IpAddress> addresses;  // of the configuration, or by name
  std::string lookup_error;
  /// Of the first address that routing knows a way to.
  std::optional<net::IpAddress> reached;
  std::optional<net::IpAddress> from;
  std::string route_error;  // when there is none
  std::optional<std::uint16_t> mtu;
};

struct ConfigFacts {
  std::string path;
  bool exists = false;
  bool readable = true;  // false: a lack of rights, nothing was looked at
  std::optional<config::Config> config;
  config::Problems problems;               // errors, or the warnings of a good one
  std::map<std::string, PeerFacts> peers;  // by tunnel; without those whose peer is any
};

struct DaemonFacts {
  std::string socket;
  std::optional<api::Status> status;
  std::optional<api::Error> error;  // why there is no status
  /// What `apply` would change; nothing when that could not be asked.
  std::optional<api::ApplyResult> pending;
};

struct Facts {
  HostFacts host;
  ConfigFacts config;
  DaemonFacts daemon;
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  std::string tun_name = "culvert0";
  std::uint32_t routing_table = 4500;
};

}  // namespace culvert::cli::doctor
