#include "daemon/engine_settings.hpp"

namespace culvert::daemon {

ipsec::EngineOptions engine_options(const config::PacketBounds& bounds) {
  ipsec::EngineOptions options;
  options.flow_cache_entries = bounds.flow_cache_entries;
  options.expanded_keys = bounds.expanded_keys;
  options.path_mtu = {.believe_errors = bounds.icmp_path_mtu,
                      .floor_v4 = bounds.min_pmtu,
                      .floor_v6 = bounds.min_pmtu_ipv6,
                      .age = bounds.mtu_expires};
  options.fragments = {.packets = bounds.fragment_packets,
                       .age = bounds.fragment_time,
                       .early_fragments = bounds.early_fragments,
                       .early_bytes = bounds.early_fragment_bytes,
                       .early_age = bounds.early_fragment_time};
  options.reassembly = {.packets = bounds.reassembly_packets,
                        .fragments = bounds.reassembly_fragments,
                        .bytes = bounds.reassembly_bytes,
                        .age = bounds.reassembly_time};
  return options;
}

}  // namespace culvert::daemon
