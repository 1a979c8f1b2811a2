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
    {"listen_tcp", ""},
    {"export_keys", ""},
    {"routing_table", "4500"},
    {"fwmark", "4500"},
    {"state", "\"/var/lib/culvert\""},
    {"workers", ""},
    {"xdp", ""},
    {"ike_threads", ""},
    {"measure_ciphers", "true"},
    {"cookie_threshold", "64"},
    {"half_open_limit", "1024"},
    {"half_open_per_address", "128"},
    {"half_open_per_network", "256"},
    {"puzzle_threshold", "512"},
    {"puzzle_bits", "16"},
    {"flow_cache_entries", "65536"},
    {"expanded_keys", "16384"},
    {"icmp_path_mtu", "true"},
    {"min_pmtu", "576"},
    {"min_pmtu_ipv6", "1280"},
    {"mtu_expires", "\"10m\""},
    {"fragment_packets", "1024"},
    {"fragment_time", "\"30s\""},
    {"early_fragments", "64"},
    {"early_fragment_bytes", "131072"},
    {"early_fragment_time", "\"1s\""},
    {"reassembly_packets", "64"},
    {"reassembly_fragments", "64"},
    {"reassembly_bytes", "1048576"},
    {"reassembly_time", "\"30s\""},
});

inline constexpr std::array kTunnelFields = std::to_array<FieldInfo>({
    {"peer", ""},
    {"peer_choice", "\"order\""},
    {"peer_port", "500"},
    {"local_address", ""},
    {"share_ike_sa", "true"},
    {"local_id", ""},
    {"remote_id", ""},
    {"auth", ""},
    {"peer_auth", ""},
    {"secret", ""},
    {"secret_file", ""},
    {"certificate", ""},
    {"certificate_chain", ""},
    {"certificate_url", ""},
    {"private_key", ""},
    {"private_key_password", ""},
    {"private_key_password_file", ""},
    {"ca", ""},
    {"crl", ""},
    {"revocation", "\"off\""},
    {"ocsp_url", ""},
    {"crl_url", ""},
    {"fetch_certificates", ""},
    {"peer_key", ""},
    {"eap", ""},
    {"eap_identity", ""},
    {"eap_secret", ""},
    {"eap_secret_file", ""},
    {"radius", ""},
    {"eap_inner", ""},
    {"eap_outer_identity", ""},
    {"eap_server_id", ""},
    {"eap_only", "false"},
    {"ppk", ""},
    {"ppk_id", ""},
    {"ppk_required", "true"},
    {"ppk_exchange", "\"auto\""},
    {"local", ""},
    {"remote", ""},
    {"security_label", ""},
    {"pool", ""},
    {"sessions", "0"},
    {"more_sessions", "\"replace\""},
    {"groups", ""},
    {"address", ""},
    {"only_peer_subnets", "false"},
    {"start", "\"auto\""},
    {"ike", ""},
    {"esp", ""},
    {"compat", ""},
    {"mode", "\"tunnel\""},
    {"encapsulation", "\"auto\""},
    {"tcp", "\"never\""},
    {"tcp_port", "4500"},
    {"ike_fragmentation", "\"yes\""},
    {"ike_fragment_size", "1280"},
    {"mobike", "true"},
    {"ike_window", "4"},
    {"counter_sync", "true"},
    {"ike_lifetime", "\"4h\""},
    {"child_lifetime", "\"1h\""},
    {"rekey_margin", "\"10%\""},
    {"child_idle", "\"10m\""},
    {"liveness", "\"30s\""},
    {"childless", "\"allow\""},
    {"crash_detection", "true"},
    {"reauthentication", "0"},
    {"resumption", "0"},
    {"follow_redirect", "false"},
    {"redirect_to", ""},
    {"redirect_above", "0"},
    {"redirect_grace", "\"60s\""},
    {"keepalive", "\"20s\""},
    {"replay_window", "1024"},
    {"per_resource_sas", ""},
    {"mtu", ""},
});

/// PacketTreatment's settings, in [tunnel.NAME] and [manual.NAME] alike.
inline constexpr std::array kTreatmentFields = std::to_array<FieldInfo>({
    {"df", "\"copy\""},
    {"fragmentation", "\"before\""},
    {"dscp", "\"copy\""},
    {"dscp_inward", "false"},
    {"ecn", "true"},
    {"hop_limit", "64"},
    {"tfc_pad_to", "0"},
    {"dummy_after", "0"},
    {"compress", "false"},
    {"aggfrag", ""},
    {"mss_clamp", "\"path\""},
    {"icmp_errors", "\"quoted\""},
});

inline constexpr std::array kAggfragFields = std::to_array<FieldInfo>({
    {"packet_size", "0"},
    {"rate", "0"},
    {"hold", "0"},
    {"dont_fragment", "false"},
    {"congestion_control", "false"},
    {"reorder_window", "3"},
});

inline constexpr std::array kManualFields = std::to_array<FieldInfo>({
    {"protocol", "\"esp\""},
    {"mode", "\"tunnel\""},
    {"local_address", ""},
    {"peer", ""},
    {"encapsulation", ""},
    {"local_port", ""},
    {"peer_port", "4500"},
    {"spi_in", ""},
    {"spi_out", ""},
    {"suite", ""},
    {"compat", ""},
    {"encryption_key_in", ""},
    {"encryption_key_out", ""},
    {"integrity_key_in", ""},
    {"integrity_key_out", ""},
    {"local", ""},
    {"remote", ""},
    {"policy", "true"},
    {"address", ""},
    {"mtu", ""},
    {"replay_window", "1024"},
    {"soft_lifetime", ""},
    {"hard_lifetime", ""},
    {"cpi_in", ""},
    {"cpi_out", ""},
    {"non_first_fragments", "false"},
});

inline constexpr std::array kPoolFields = std::to_array<FieldInfo>({
    {"addresses", ""},
    {"dns", ""},
    {"dns_over_tls", ""},
    {"domains", ""},
    {"subnets", ""},
    {"fixed", ""},
});

inline constexpr std::array kGroupFields = std::to_array<FieldInfo>({
    {"members", ""},
    {"refuse", "false"},
    {"pool", ""},
    {"local", ""},
    {"sessions", ""},
});

inline constexpr std::array kManualLifetimeFields = std::to_array<FieldInfo>({
    {"time", ""},
    {"bytes", ""},
    {"packets", ""},
});

inline constexpr std::array kLifetimeFields = std::to_array<FieldInfo>({
    {"time", "\"1h\""},
    {"bytes", ""},
    {"packets", ""},
});

inline constexpr std::array kUserFields = std::to_array<FieldInfo>({
    {"secret", ""},
    {"secret_file", ""},
});

inline constexpr std::array kRadiusFields = std::to_array<FieldInfo>({
    {"servers", ""},
    {"secret", ""},
    {"secret_file", ""},
    {"nas_identifier", "\"culvert\""},
    {"timeout", "\"2s\""},
    {"tries", "3"},
    {"accounting", ""},
    {"interim", ""},
    {"dynamic_clients", ""},
    {"dynamic_port", "3799"},
});

inline constexpr std::array kPolicyFields = std::to_array<FieldInfo>({
    {"action", ""},
    {"local", ""},
    {"remote", ""},
    {"name", ""},
    {"sa", ""},
    {"direction", "\"both\""},
    {"position", ""},
    {"before", ""},
    {"after", ""},
    {"populate", ""},
});

}  // namespace culvert::config
