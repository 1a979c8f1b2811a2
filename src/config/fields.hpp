// Every setting there is, by section: what an unknown one is compared with, and what docs/man/culvert.toml.5.md is held
// to.
#pragma once

#include <array>
#include <string_view>

namespace culvert::config {

struct FieldInfo {
  std::string_view name;
  /// What stands when it is left out, as one would write it; empty: nothing, or it must be given.
  std::string_view default_text;
};

inline constexpr std::array kDaemonFields = std::to_array<FieldInfo>({
    {"log_level", "\"info\""},
    {"socket", "\"/run/culvert/culvertd.sock\""},
    {"tun_name", "\"culvert0\""},
    {"ike_port", "500"},
    {"nat_port", "4500"},
    {"export_keys", ""},
    {"routing_table", "4500"},
    {"fwmark", "4500"},
});

inline constexpr std::array kTunnelFields = std::to_array<FieldInfo>({
    {"peer", ""},
    {"peer_port", "500"},
    {"local_address", ""},
    {"local_id", ""},
    {"remote_id", ""},
    {"secret", ""},
    {"secret_file", ""},
    {"local", ""},
    {"remote", ""},
    {"address", ""},
    {"start", "\"auto\""},
    {"ike", ""},
    {"esp", ""},
    {"compat", ""},
    {"mode", "\"tunnel\""},
    {"encapsulation", "\"auto\""},
    {"ike_lifetime", "\"4h\""},
    {"child_lifetime", "\"1h\""},
    {"rekey_margin", "\"10%\""},
    {"liveness", "\"30s\""},
    {"keepalive", "\"20s\""},
    {"replay_window", "1024"},
    {"mtu", ""},
});

inline constexpr std::array kLifetimeFields = std::to_array<FieldInfo>({
    {"time", "\"1h\""},
    {"bytes", ""},
    {"packets", ""},
});

inline constexpr std::array kPolicyFields = std::to_array<FieldInfo>({
    {"action", ""},
    {"local", ""},
    {"remote", ""},
});

}  // namespace culvert::config
