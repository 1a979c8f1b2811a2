#include "config/diff.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "config/words.hpp"

namespace culvert::config {
namespace {

std::string text_of(model::StartMode start) {
  switch (start) {
    case model::StartMode::automatic: return "auto";
    case model::StartMode::on_demand: return "on-demand";
    case model::StartMode::manual: return "manual";
  }
  return "unknown";
}
std::string text_of(const std::optional<net::IpAddress>& address) { return address ? address->to_string() : "none"; }
std::string text_of(const std::optional<model::Identity>& identity) {
  return identity ? identity->to_string() : "default";
}
std::string text_of(const std::vector<model::Proposal>& proposals) {
  std::string out;
  for (const model::Proposal& proposal : proposals) out += (out.empty() ? "" : ", ") + model::to_string(proposal);
  return out;
}
std::string text_of(const model::Lifetime& lifetime) {
  std::string out = lifetime.time ? duration_text(*lifetime.time) : "no time";
  if (lifetime.bytes != 0) out += fmt::format(", {} bytes", lifetime.bytes);
  if (lifetime.packets != 0) out += fmt::format(", {} packets", lifetime.packets);
  return out;
}
std::string text_of(const model::TrafficSelectors& selectors) {
  std::string out;
  for (const auto& selector : selectors) out += (out.empty() ? "" : ", ") + selector.to_string();
  return out;
}
std::string text_of(const std::vector<model::InnerAddress>& addresses) {
  std::string out;
  for (const auto& one : addresses)
    out += fmt::format("{}{}/{}", out.empty() ? "" : ", ", one.address.to_string(), one.prefix_length);
  return out.empty() ? "none" : out;
}
std::string text_of(const std::vector<model::SecurityLabel>& labels) {
  std::string out;
  for (const auto& one : labels) out += (out.empty() ? "" : ", ") + one.to_string();
  return out.empty() ? "none" : out;
}
std::string text_of(Duration duration) { return duration_text(duration); }
std::string text_of(const std::string& text) { return text; }
std::string text_of(model::EncapsulationPolicy policy) {
  return policy == model::EncapsulationPolicy::udp ? "udp" : "esp";
}
std::string text_of(model::TcpPolicy policy) {
  switch (policy) {
    case model::TcpPolicy::never: return "never";
    case model::TcpPolicy::fallback: return "fallback";
    case model::TcpPolicy::always: return "always";
  }
  return "unknown";
}
std::string text_of(const std::vector<std::uint16_t>& ports) {
  return ports.empty() ? "none" : fmt::format("{}", fmt::join(ports, ", "));
}
std::string text_of(model::IkeFragmentation fragmentation) {
  switch (fragmentation) {
    case model::IkeFragmentation::offered: return "yes";
    case model::IkeFragmentation::off: return "no";
    case model::IkeFragmentation::required: return "force";
  }
  return "unknown";
}
std::string text_of(model::Mode mode) {
  return mode == model::Mode::tunnel ? "tunnel" : mode == model::Mode::transport ? "transport" : "beet";
}
std::string text_of(double share) { return fmt::format("{:g}%", share * 100); }
template <typename Number>
  requires std::is_integral_v<Number>
std::string text_of(Number number) {
  return std::to_string(number);
}
template <typename Number>
  requires std::is_integral_v<Number>
std::string text_of(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : "none";
}
std::string text_of(const std::optional<std::string>& text) { return text.value_or("none"); }

std::string text_of(const std::optional<model::EapSettings>& eap) {
  if (!eap) return "none";
  std::string out = eap->client ? fmt::format("as {}:", in_quotes(eap->identity)) : "of the peer:";
  if (!eap->radius.empty()) out += " by RADIUS " + eap->radius;
  for (const model::EapType method : eap->methods) out += fmt::format(" {}", name_of(method));
  for (const model::EapInner inner : eap->inner) {
    const auto* const name = std::ranges::find(model::kEapInnerNames, inner, &model::EapInnerName::inner);
    out += fmt::format(" ({})", name->name);
  }
  if (!eap->outer_identity.empty()) out += fmt::format(", openly as {}", in_quotes(eap->outer_identity));
  if (eap->server) out += fmt::format(", of the server {}", eap->server->to_string());
  if (eap->only) out += ", alone";
  return out;
}
/// The rounds behind the first.
std::string text_of(const std::vector<model::AuthRound>& rounds) {
  std::string out;
  for (const model::AuthRound& round : rounds) {
    out += fmt::format("{}{}", out.empty() ? "" : ", ", round.by ? model::name_of(*round.by) : "eap");
    if (round.id) out += fmt::format(" as {}", round.id->to_string());
    if (round.pattern) out += fmt::format(" as {}", round.pattern->to_string());
  }
  return out.empty() ? "none" : out;
}
std::string text_of(const std::optional<model::IdentityPattern>& pattern) {
  return pattern ? pattern->to_string() : "one identity";
}
std::string text_of(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out.empty() ? "none" : out;
}
std::string_view more_sessions(const model::ConnectionConfig& config) {
  return config.refuse_more_sessions ? "refuse" : "replace";
}
std::string requested(const model::ConnectionConfig& config) {
  return config.request_addresses.empty() ? "of our own" : "requested";
}

class Comparison {
 public:
  template <typename T>
  bool field(std::string_view name, const T& before, const T& after) {
    if (before == after) return false;
    lines_.push_back(fmt::format("{}: {} -> {}", name, text_of(before), text_of(after)));
    return true;
  }
  void say(std::string line) { lines_.push_back(std::move(line)); }
  [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

std::string text_of(model::Encapsulation encapsulation) {
  return encapsulation == model::Encapsulation::udp ? "udp" : "none";
}
std::string text_of(model::DontFragment df) {
  return df == model::DontFragment::copy ? "copy" : df == model::DontFragment::clear ? "clear" : "set";
}
std::string text_of(model::Fragmentation cut) { return cut == model::Fragmentation::before ? "before" : "after"; }
std::string text_of(const std::optional<model::Aggfrag>& aggfrag) {
  if (!aggfrag) return "none";
  return fmt::format(
      "{{ packet_size = {}, rate = {}, hold = {}, dont_fragment = {}, congestion_control = {}, "
      "reorder_window = {} }}",
      aggfrag->packet_size, aggfrag->rate, duration_text(aggfrag->hold), aggfrag->dont_fragment,
      aggfrag->congestion_control, aggfrag->reorder_window);
}
std::string text_of(model::IcmpErrors errors) {
  return errors == model::IcmpErrors::selectors ? "selectors"
         : errors == model::IcmpErrors::quoted  ? "quoted"
                                                : "checked";
}
std::string truth(bool value) { return value ? "true" : "false"; }

/// What counts from the next IKE SA on.
template <typename Compare>
void compare_life(const Compare& compare, const model::SaLife& a, const model::SaLife& b) {
  compare("childless", std::string(name_of(a.childless)), std::string(name_of(b.childless)));
  compare("crash_detection", truth(a.crash_detection), truth(b.crash_detection));
  compare("reauthentication", a.reauthentication, b.reauthentication);
  compare("resumption", a.resumption, b.resumption);
  compare("follow_redirect", truth(a.follow_redirect), truth(b.follow_redirect));
  compare("redirect_to", a.redirect_to, b.redirect_to);
  compare("redirect_above", a.redirect_above, b.redirect_above);
  compare("redirect_grace", a.redirect_grace, b.redirect_grace);
}

void compare_treatment(Comparison& comparison, const model::PacketTreatment& a, const model::PacketTreatment& b,
                       bool& restarts) {
  const auto hard = [&](std::string_view name, const auto& x, const auto& y) {
    restarts |= comparison.field(name, x, y);
  };
  const auto dscp = [](const std::optional<std::uint8_t>& value) { return value ? std::to_string(*value) : "copy"; };
  const auto pad = [](std::uint16_t value) {
    return value == model::TrafficFlowConfidentiality::kPadToPath ? "path" : std::to_string(value);
  };
  const auto mss = [](const std::optional<std::uint16_t>& value) {
    return !value ? "off" : *value == 0 ? "path" : std::to_string(*value);
  };
  const auto dummy = [](const std::optional<Duration>& value) {
    return duration_text(value.value_or(Duration::zero()));
  };
  hard("df", text_of(a.outer.dont_fragment), text_of(b.outer.dont_fragment));
  hard("fragmentation", text_of(a.outer.fragmentation), text_of(b.outer.fragmentation));
  hard("dscp", std::string(dscp(a.outer.dscp)), std::string(dscp(b.outer.dscp)));
  hard("dscp_inward", truth(a.outer.dscp_inward), truth(b.outer.dscp_inward));
  hard("ecn", truth(a.outer.ecn), truth(b.outer.ecn));
  hard("hop_limit", a.outer.hop_limit, b.outer.hop_limit);
  hard("tfc_pad_to", std::string(pad(a.confidentiality.pad_to)), std::string(pad(b.confidentiality.pad_to)));
  hard("dummy_after", dummy(a.confidentiality.dummy_after), dummy(b.confidentiality.dummy_after));
  hard("compress", truth(a.compress), truth(b.compress));
  hard("aggfrag", text_of(a.aggfrag), text_of(b.aggfrag));
  hard("mss_clamp", std::string(mss(a.mss_clamp)), std::string(mss(b.mss_clamp)));
  hard("icmp_errors", text_of(a.icmp_errors), text_of(b.icmp_errors));
}

bool same_users(const Config& a, const Config& b) {
  return std::ranges::equal(a.users, b.users, [](const UserConfig& x, const UserConfig& y) {
    return x.name == y.name && constant_time_equal(x.secret.view(), y.secret.view());
  });
}

/// Who is in stays in, as before; what a group gets and may reach changes for them, too.
bool same_rights(const model::GroupPolicy& a, const model::GroupPolicy& b) {
  return a.name == b.name && a.refused == b.refused && a.pools == b.pools && a.local == b.local;
}

void compare_groups(const model::ConnectionConfig& a, const model::ConnectionConfig& b, Comparison& comparison,
                    bool& restarts) {
  if (a.groups == b.groups) return;
  const bool soft = std::ranges::equal(a.groups, b.groups, same_rights);
  comparison.say(soft ? "groups: members or sessions changed" : "groups: changed");
  restarts |= !soft;
}

TunnelChange compare(const TunnelConfig& before, const TunnelConfig& after, bool same_users) {
  const model::ConnectionConfig& a = before.connection;
  const model::ConnectionConfig& b = after.connection;
  Comparison comparison;
  bool restarts = false;
  const auto hard = [&](std::string_view name, const auto& x, const auto& y) {
    restarts |= comparison.field(name, x, y);
  };
  const auto soft = [&](std::string_view name, const auto& x, const auto& y) { comparison.field(name, x, y); };
  hard("peer", a.peer_name, b.peer_name);
  hard("further peers", text_of(a.further_peers), text_of(b.further_peers));
  soft("peer_choice", std::string(a.random_peer ? "random" : "order"), std::string(b.random_peer ? "random" : "order"));
  hard("peer_port", a.peer_port, b.peer_port);
  hard("local_address", a.local_address, b.local_address);
  soft("share_ike_sa", truth(a.share_ike_sa), truth(b.share_ike_sa));
  hard("local_id", a.local_id, b.local_id);
  hard("remote_id", a.remote_id, b.remote_id);
  hard("remote_id", text_of(a.remote_pattern), text_of(b.remote_pattern));
  hard("pool", text_of(a.pools), text_of(b.pools));
  soft("sessions", a.sessions, b.sessions);
  soft("more_sessions", std::string(more_sessions(a)), std::string(more_sessions(b)));
  compare_groups(a, b, comparison, restarts);
  hard("address", requested(a), requested(b));
  if (!constant_time_equal(before.secret.view(), after.secret.view())) {
    comparison.say("secret: changed");
    restarts = true;
  }
  hard("authentication", std::string(model::name_of(a.authentication)), std::string(model::name_of(b.authentication)));
  hard("peer_auth", std::string(model::name_of(a.expected())), std::string(model::name_of(b.expected())));
  hard("further rounds of auth", a.own_rounds, b.own_rounds);
  hard("further rounds of peer_auth", a.peer_rounds, b.peer_rounds);
  hard("compat", std::string(a.sha1_signatures ? "sha1" : ""), std::string(b.sha1_signatures ? "sha1" : ""));
  // Who is authenticated stays so; the next one is judged by the new files.
  if (before.credentials && after.credentials) {
    if (before.credentials->own_fingerprint != after.credentials->own_fingerprint)
      comparison.say(before.credentials->certificates.empty() ? "private_key: changed" : "certificate: changed");
    const auto revocation = [](const TunnelConfig& one) {
      return one.credentials->revocation ? text_of(*one.credentials->revocation) : std::string("off");
    };
    soft("revocation", revocation(before), revocation(after));
    soft("fetch_certificates", text_of(before.credentials->fetch_from), text_of(after.credentials->fetch_from));
    if (before.credentials->trust_fingerprint != after.credentials->trust_fingerprint) {
      comparison.say(b.peer_by_key ? "peer_key: changed" : "ca, crl: changed");
      // Another key is another peer.
      restarts = restarts || a.peer_by_key || b.peer_by_key;
    }
  }
  if (a.ppk != b.ppk || !constant_time_equal(before.ppk.view(), after.ppk.view())) {
    comparison.say("ppk: changed");
    restarts = true;
  }
  hard("eap", a.eap, b.eap);
  if (!constant_time_equal(before.eap_secret.view(), after.eap_secret.view())) comparison.say("eap_secret: changed");
  if (!same_users && b.eap && !b.eap->client) comparison.say("user: changed");
  hard("local", a.local, b.local);
  hard("remote", a.remote, b.remote);
  soft("only_peer_subnets", truth(before.only_peer_subnets), truth(after.only_peer_subnets));
  soft("address", a.addresses, b.addresses);
  soft("start", a.start, b.start);
  hard("ike", a.ike_proposals, b.ike_proposals);
  hard("esp", a.esp_proposals, b.esp_proposals);
  hard("security_label", a.security_labels, b.security_labels);
  hard("mode", a.mode, b.mode);
  hard("encapsulation", a.encapsulation, b.encapsulation);
  soft("mobike", truth(a.mobike), truth(b.mobike));
  hard("tcp", text_of(a.tcp), text_of(b.tcp));
  hard("tcp_port", a.tcp_port, b.tcp_port);
  soft("ike_fragmentation", text_of(a.ike_fragmentation), text_of(b.ike_fragmentation));
  soft("ike_fragment_size", a.ike_fragment_size, b.ike_fragment_size);
  soft("ike_window", a.ike_window, b.ike_window);
  soft("counter_sync", truth(a.counter_sync), truth(b.counter_sync));
  soft("ike_lifetime", a.ike_lifetime, b.ike_lifetime);
  soft("child_lifetime", a.child_lifetime, b.child_lifetime);
  soft("rekey_margin", a.rekey_margin, b.rekey_margin);
  soft("child_idle", a.child_idle, b.child_idle);
  soft("liveness", a.liveness_interval, b.liveness_interval);
  compare_life(soft, a.life, b.life);
  soft("keepalive", a.nat_keepalive_interval, b.nat_keepalive_interval);
  hard("replay_window", a.replay_window, b.replay_window);
  soft("per_resource_sas", a.resource_sas, b.resource_sas);
  hard("mtu", a.inner_mtu, b.inner_mtu);
  compare_treatment(comparison, a.treatment, b.treatment, restarts);
  return {b.name, comparison.take(), restarts};
}

/// A manual entry has no SAs to come: whatever changes, changes the SAs that stand.
TunnelChange compare(const ManualConfig& before, const ManualConfig& after) {
  const model::ChildSaParams& a = before.sa;
  const model::ChildSaParams& b = after.sa;
  Comparison comparison;
  comparison.field("protocol", std::string(model::name_of(a.protocol)), std::string(model::name_of(b.protocol)));
  comparison.field("mode", a.mode, b.mode);
  comparison.field("local_address", a.path.local.to_string(), b.path.local.to_string());
  comparison.field("peer", a.path.remote.to_string(), b.path.remote.to_string());
  comparison.field("encapsulation", text_of(a.encapsulation), text_of(b.encapsulation));
  comparison.field("spi_in", fmt::format("0x{:x}", a.spi_inbound.value()),
                   fmt::format("0x{:x}", b.spi_inbound.value()));
  comparison.field("spi_out", fmt::format("0x{:x}", a.spi_outbound.value()),
                   fmt::format("0x{:x}", b.spi_outbound.value()));
  comparison.field("suite", model::to_string(a.suite), model::to_string(b.suite));
  const auto key = [&](std::string_view name, const SecretBytes& x, const SecretBytes& y) {
    if (!constant_time_equal(x.view(), y.view())) comparison.say(fmt::format("{}: changed", name));
  };
  key("encryption_key_in", a.inbound.encryption, b.inbound.encryption);
  key("encryption_key_out", a.outbound.encryption, b.outbound.encryption);
  key("integrity_key_in", a.inbound.integrity, b.inbound.integrity);
  key("integrity_key_out", a.outbound.integrity, b.outbound.integrity);
  comparison.field("local", a.local, b.local);
  comparison.field("remote", a.remote, b.remote);
  comparison.field("policy", truth(before.policy), truth(after.policy));
  comparison.field("address", before.addresses, after.addresses);
  comparison.field("mtu", before.inner_mtu, after.inner_mtu);
  comparison.field("replay_window", a.replay_window, b.replay_window);
  comparison.field("soft_lifetime", a.soft, b.soft);
  comparison.field("hard_lifetime", a.hard, b.hard);
  if (a.ipcomp != b.ipcomp) comparison.say("cpi_in, cpi_out: changed");
  comparison.field("non_first_fragments", truth(a.non_first_fragments), truth(b.non_first_fragments));
  bool restarts = true;
  compare_treatment(comparison, a.treatment, b.treatment, restarts);
  return {after.name, comparison.take(), true};
}

void compare_daemon(const DaemonConfig& a, const DaemonConfig& b, Diff& diff) {
  Comparison comparison;
  comparison.field("log_level", std::string(name_of(a.log_level)), std::string(name_of(b.log_level)));
  const auto hard = [&](std::string_view name, const auto& x, const auto& y) {
    diff.daemon_restart_needed |= comparison.field(name, x, y);
  };
  hard("socket", a.socket, b.socket);
  hard("tun_name", a.tun_name, b.tun_name);
  hard("ike_port", a.ike_port, b.ike_port);
  hard("nat_port", a.nat_port, b.nat_port);
  hard("listen_tcp", text_of(a.listen_tcp), text_of(b.listen_tcp));
  hard("export_keys", a.export_keys, b.export_keys);
  hard("routing_table", a.routing_table, b.routing_table);
  hard("fwmark", a.fwmark, b.fwmark);
  hard("state", a.state, b.state);
  hard("workers", a.workers, b.workers);
  hard("xdp", text_of(a.xdp), text_of(b.xdp));
  hard("ike_threads", a.ike_threads, b.ike_threads);
  hard("measure_ciphers", truth(a.measure_ciphers), truth(b.measure_ciphers));
  const PacketBounds& x = a.packets;
  const PacketBounds& y = b.packets;
  hard("flow_cache_entries", x.flow_cache_entries, y.flow_cache_entries);
  hard("expanded_keys", x.expanded_keys, y.expanded_keys);
  hard("icmp_path_mtu", truth(x.icmp_path_mtu), truth(y.icmp_path_mtu));
  hard("min_pmtu", x.min_pmtu, y.min_pmtu);
  hard("min_pmtu_ipv6", x.min_pmtu_ipv6, y.min_pmtu_ipv6);
  hard("mtu_expires", x.mtu_expires, y.mtu_expires);
  hard("fragment_packets", x.fragment_packets, y.fragment_packets);
  hard("fragment_time", x.fragment_time, y.fragment_time);
  hard("early_fragments", x.early_fragments, y.early_fragments);
  hard("early_fragment_bytes", x.early_fragment_bytes, y.early_fragment_bytes);
  hard("early_fragment_time", x.early_fragment_time, y.early_fragment_time);
  hard("reassembly_packets", x.reassembly_packets, y.reassembly_packets);
  hard("reassembly_fragments", x.reassembly_fragments, y.reassembly_fragments);
  hard("reassembly_bytes", x.reassembly_bytes, y.reassembly_bytes);
  hard("reassembly_time", x.reassembly_time, y.reassembly_time);
  hard("cookie_threshold", a.set_ups.cookie_threshold, b.set_ups.cookie_threshold);
  hard("half_open_limit", a.set_ups.half_open_limit, b.set_ups.half_open_limit);
  hard("half_open_per_address", a.set_ups.half_open_per_address, b.set_ups.half_open_per_address);
  hard("half_open_per_network", a.set_ups.half_open_per_network, b.set_ups.half_open_per_network);
  hard("puzzle_threshold", a.set_ups.puzzle_threshold, b.set_ups.puzzle_threshold);
  hard("puzzle_bits", a.set_ups.puzzle_bits, b.set_ups.puzzle_bits);
  diff.daemon = comparison.take();
}

/// Nothing: there was none of that name before.
void sort_out(std::optional<TunnelChange> change, const std::string& name, std::vector<std::string>& added,
              std::vector<TunnelChange>& changed, std::vector<std::string>& unchanged) {
  if (!change) {
    added.push_back(name);
  } else if (change->changes.empty()) {
    unchanged.push_back(name);
  } else {
    changed.push_back(std::move(*change));
  }
}

}  // namespace

DaemonConfig in_force(const DaemonConfig& running, const DaemonConfig& wanted) {
  DaemonConfig out = running;
  out.log_level = wanted.log_level;
  return out;
}

Diff diff(const Config& running, const Config& wanted) {
  Diff out;
  const TunnelsByName tunnels_before = by_name(running);
  const TunnelsByName tunnels_after = by_name(wanted);
  const bool same = same_users(running, wanted);
  for (const TunnelConfig& tunnel : wanted.tunnels) {
    const auto before = tunnels_before.find(tunnel.connection.name);
    sort_out(before == tunnels_before.end() ? std::nullopt : std::optional(compare(*before->second, tunnel, same)),
             tunnel.connection.name, out.added, out.changed, out.unchanged);
  }
  for (const TunnelConfig& tunnel : running.tunnels) {
    if (!tunnels_after.contains(tunnel.connection.name)) out.removed.push_back(tunnel.connection.name);
  }
  for (const ManualConfig& entry : wanted.manual) {
    const ManualConfig* before = running.find_manual(entry.name);
    sort_out(before == nullptr ? std::nullopt : std::optional(compare(*before, entry)), entry.name, out.manual_added,
             out.manual_changed, out.manual_unchanged);
  }
  for (const ManualConfig& entry : running.manual) {
    if (wanted.find_manual(entry.name) == nullptr) out.manual_removed.push_back(entry.name);
  }
  out.pools_changed = running.pools != wanted.pools;
  out.radius_changed = running.radius != wanted.radius;
  out.policies_changed = running.policies != wanted.policies;
  compare_daemon(running.daemon, wanted.daemon, out);
  return out;
}

}  // namespace culvert::config
