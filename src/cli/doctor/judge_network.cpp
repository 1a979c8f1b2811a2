// The network of this host: who holds IKE's ports, what a firewall or the kernel's own IPsec would take away, and the
// settings of the kernel that decide whether packets get through.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/doctor/firewall.hpp"
#include "cli/doctor/judge.hpp"
#include "cli/text.hpp"

namespace culvert::cli::doctor {
namespace {

constexpr const char* kGroup = "network";
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kEsp = 50;

// ---------------------------------------------------------------- ports

/// How the daemons that are known by name are stopped.
std::string stop_text(const std::string& name, int pid) {
  struct Known {
    std::string_view name;
    std::string_view text;
  };
  constexpr Known kKnown[] = {
      {"charon", "stop strongSwan: systemctl stop strongswan-starter (or: strongswan), or: ipsec stop"},
      {"charon-systemd", "stop strongSwan: systemctl stop strongswan"},
      {"pluto", "stop Libreswan: systemctl stop ipsec"},
      {"iked", "stop OpenIKED: systemctl stop iked"},
      {"racoon", "stop racoon: systemctl stop racoon"},
      {"isakmpd", "stop isakmpd"}};
  const auto known = std::ranges::find(kKnown, std::string_view(name), &Known::name);
  if (known != std::end(kKnown)) return std::string(known->text);
  return fmt::format("stop it (ps -p {} says what it is)", pid);
}

void judge_port(const Facts& facts, std::uint16_t port, const char* setting, Findings& out) {
  const std::string what = fmt::format("UDP port {}", port);
  const auto found = facts.host.ports.find(port);
  const std::vector<io::PortHolder> none;
  const std::vector<io::PortHolder>& holders = found == facts.host.ports.end() ? none : found->second;
  const auto& status = facts.daemon.status;
  for (const io::PortHolder& holder : holders) {
    if (status && holder.pid != 0 && static_cast<std::uint64_t>(holder.pid) == status->daemon.pid) continue;
    const std::string name = escaped(holder.name, 32);
    if (holder.pid == 0) {
      if (status) continue;  // of whom it is cannot be seen, and culvertd says that it has it
      out.push_back({kGroup, what, State::problem,
                     fmt::format("a process that is not to be seen from here holds {}", holder.local.to_string()),
                     fmt::format("sudo ss -ulpn sport = :{}, then stop it or set {}", port, setting)});
    } else if (holder.name == "culvertd") {
      out.push_back({kGroup, what, State::problem,
                     fmt::format("another culvertd (pid {}) holds {}", holder.pid, holder.local.to_string()),
                     "name its control socket (culvert --socket PATH doctor), or stop it"});
    } else {
      out.push_back(
          {kGroup, what, State::problem,
           fmt::format("{} (pid {}) holds {}", name, holder.pid, holder.local.to_string()),
           fmt::format("{}; or choose another port: [daemon] {}", stop_text(holder.name, holder.pid), setting)});
    }
    return;
  }
  if (status) {
    out.push_back({kGroup, what, State::ok, fmt::format("held by culvertd (pid {})", status->daemon.pid), ""});
  } else {
    out.push_back({kGroup, what, State::ok, "free", ""});
  }
}

// ---------------------------------------------------------------- kernel IPsec and filters

bool wants_protocol_50(const Facts& facts) {
  const auto& config = facts.config.config;
  if (!config) return false;
  return std::ranges::any_of(config->tunnels,
                             [](const config::TunnelConfig& tunnel) {
                               return tunnel.connection.encapsulation == model::EncapsulationPolicy::esp;
                             }) ||
         std::ranges::any_of(config->manual, [](const config::ManualConfig& manual) {
           return manual.sa.encapsulation == model::Encapsulation::none;
         });
}

void judge_kernel_ipsec(const Facts& facts, Findings& out) {
  const io::KernelIpsec& kernel = facts.host.kernel_ipsec;
  constexpr const char* kWayOut = "ip xfrm state; ip xfrm policy; then stop the program that made them";
  if (!kernel.in_use()) {
    out.push_back({kGroup, "kernel IPsec", State::ok,
                   kernel.available ? "no SAs, no policies" : "not in this kernel, or not to be seen", ""});
    return;
  }
  const std::string counts =
      fmt::format("{} and {} of another program", plural(kernel.sas, "SA"),
                  kernel.policies == 1 ? "1 policy" : fmt::format("{} policies", kernel.policies));
  if (kernel.policies != 0) {
    out.push_back({kGroup, "kernel IPsec", State::problem,
                   counts + ": the kernel may encrypt or drop culvertd's own packets by them", kWayOut});
  } else if (wants_protocol_50(facts)) {
    out.push_back({kGroup, "kernel IPsec", State::problem,
                   counts + ": the kernel takes packets of protocol 50 and 51 first, and tunnels here use them",
                   kWayOut});
  } else {
    out.push_back({kGroup, "kernel IPsec", State::note,
                   counts + ": the kernel takes packets of protocol 50 and 51 first; ESP in UDP is not touched",
                   kWayOut});
  }
}

struct Question {
  std::string what;
  ProbePacket packet;
  std::string allow;  // the match of a rule that lets it through
};

ProbePacket probe(Hook hook, std::optional<std::uint8_t> protocol, std::optional<std::uint16_t> port = {}) {
  ProbePacket packet;
  packet.hook = hook;
  packet.protocol = protocol;
  packet.source_port = packet.destination_port = port;
  return packet;
}

std::vector<Question> questions(const Facts& facts) {
  std::vector<Question> list;
  const std::string ports = fmt::format("{{ {}, {} }}", facts.ike_port, facts.nat_port);
  for (const std::uint16_t port : {facts.ike_port, facts.nat_port}) {
    list.push_back({fmt::format("UDP {} in", port), probe(Hook::input, kUdp, port), "udp dport " + ports});
    list.push_back({fmt::format("UDP {} out", port), probe(Hook::output, kUdp, port), "udp sport " + ports});
  }
  if (wants_protocol_50(facts)) {
    list.push_back({"ESP in", probe(Hook::input, kEsp), "meta l4proto esp"});
    list.push_back({"ESP out", probe(Hook::output, kEsp), "meta l4proto esp"});
  }
  if (facts.host.forward_v4.value_or(0) != 0 && facts.config.config && !facts.config.config->tunnels.empty()) {
    ProbePacket through = probe(Hook::forward, {});
    through.output_interface = facts.tun_name;
    list.push_back({"forwarding into tunnels", through, fmt::format("oifname \"{}\"", facts.tun_name)});
    std::swap(through.input_interface, through.output_interface);
    list.push_back({"forwarding out of tunnels", through, fmt::format("iifname \"{}\"", facts.tun_name)});
  }
  return list;
}

/// What one rule drops.
struct Drop {
  FilterAnswer answer;
  bool answers_pass = false;  // the first packets of flows that others begin are dropped, answers are not
  std::vector<std::string> what;
  std::string allow;
};

std::vector<Drop> find_drops(const Facts& facts) {
  std::vector<Drop> drops;
  for (Question& question : questions(facts)) {
    FilterAnswer answer = ask_filters(*facts.host.filters, question.packet);
    if (answer.kind == FilterAnswer::Kind::passes) continue;
    bool answers_pass = false;
    if (question.packet.hook == Hook::input) {
      question.packet.answer = true;
      answers_pass = ask_filters(*facts.host.filters, question.packet).kind == FilterAnswer::Kind::passes;
    }
    const auto same = std::ranges::find_if(
        drops, [&](const Drop& drop) { return drop.answer == answer && drop.answers_pass == answers_pass; });
    if (same != drops.end()) {
      same->what.push_back(question.what);
    } else {
      drops.push_back({std::move(answer), answers_pass, {question.what}, question.allow});
    }
  }
  return drops;
}

Finding judge_drop(const Facts& facts, const Drop& drop) {
  const bool sure = drop.answer.kind == FilterAnswer::Kind::dropped;
  const std::string place =
      fmt::format("{} {} {}", drop.answer.family, escaped(drop.answer.table, 40), escaped(drop.answer.chain, 40));
  std::string found = fmt::format("{} {} {} ({})", place, sure ? "drops" : "may drop", joined(drop.what),
                                  escaped(drop.answer.rule, 80));
  std::string way_out = fmt::format("nft 'insert rule {} {} accept'", place, drop.allow);
  const auto& config = facts.config.config;
  const bool answers_only = config && std::ranges::any_of(config->tunnels, [](const config::TunnelConfig& tunnel) {
                              return tunnel.peer_kind == config::PeerKind::any;
                            });
  if (!drop.answers_pass || answers_only) {
    return {kGroup, "packet filters", sure ? State::problem : State::note, std::move(found), std::move(way_out)};
  }
  // Whoever calls gets the answers; but either side may have to begin: a rekey after silence, a peer that restarts.
  return {kGroup, "packet filters", State::note, found + "; this side can begin, the peer cannot", std::move(way_out)};
}

void judge_filters(const Facts& facts, Findings& out) {
  const HostFacts& host = facts.host;
  constexpr const char* kWhat = "packet filters";
  if (host.filters) {
    const std::vector<Drop> drops = find_drops(facts);
    for (const Drop& drop : drops) out.push_back(judge_drop(facts, drop));
    if (drops.empty()) out.push_back({kGroup, kWhat, State::ok, "let IKE, ESP and the tunnels' traffic through", ""});
  } else if (host.filters_not_permitted) {
    out.push_back({kGroup, kWhat, State::note, "cannot be seen without root", ""});
  } else {
    out.push_back({kGroup, kWhat, State::note, host.filters_refused, "iptables-save shows those of iptables, if any"});
  }
  if (!host.legacy_filters.empty()) {
    out.push_back({kGroup, "old iptables", State::note,
                   fmt::format("tables in use that are not looked into: {}", joined(host.legacy_filters)),
                   fmt::format("iptables-legacy -S: UDP {} and {} must pass", facts.ike_port, facts.nat_port)});
  }
}

// ---------------------------------------------------------------- settings of the kernel

void judge_reverse_paths(const Facts& facts, Findings& out) {
  std::vector<std::string> strict;
  std::vector<std::string> heeded;
  for (const io::ReversePathFilter& filter : facts.host.reverse_paths) {
    if (filter.interface == facts.tun_name) {
      if (filter.strict) strict.push_back(escaped(filter.interface, 20));
    } else if (filter.strict) {
      (filter.mark_counts ? heeded : strict).push_back(escaped(filter.interface, 20));
    }
  }
  if (strict.empty()) {
    out.push_back({kGroup, "reverse path", State::ok,
                   heeded.empty() ? "no strict filter"
                                  : fmt::format("strict on {}, with src_valid_mark, which suffices", joined(heeded)),
                   ""});
    return;
  }
  out.push_back({kGroup, "reverse path", State::note,
                 fmt::format("rp_filter is strict on {}; culvertd switches src_valid_mark on there while it has "
                             "tunnels that need it",
                             joined(strict, 4)),
                 "if packets of peers vanish all the same: sysctl -w net.ipv4.conf.all.rp_filter=2"});
}

void judge_congestion(const Facts& facts, Findings& out) {
  const std::string name = escaped(facts.host.congestion_control, 20);
  if (name.empty()) return;
  if (!name.starts_with("bbr")) {
    out.push_back({kGroup, "TCP congestion", State::ok, name, ""});
    return;
  }
  out.push_back({kGroup, "TCP congestion", State::note,
                 fmt::format("{}: it paces what this host sends itself. Speed tests over short paths then show the "
                             "pacing and not the tunnel",
                             name),
                 "to measure: sysctl -w net.ipv4.tcp_congestion_control=reno before anything connects"});
}

void judge_guards(const Facts& facts, Findings& out) {
  if (facts.daemon.status || facts.host.guards.empty()) return;
  std::vector<std::string> blocked;
  for (const net::Prefix& prefix : facts.host.guards) blocked.push_back(prefix.to_string());
  out.push_back({kGroup, "left behind", State::problem,
                 fmt::format("culvertd did not end in order; so that nothing leaves in clear, these stay blocked: {}",
                             joined(blocked, 4)),
                 fmt::format("start culvertd again, or give them up: ip route flush table {0}; ip -6 route flush table "
                             "{0}",
                             facts.routing_table)});
}

}  // namespace

void judge_network(const Facts& facts, Findings& findings) {
  judge_port(facts, facts.ike_port, "ike_port", findings);
  judge_port(facts, facts.nat_port, "nat_port", findings);
  judge_kernel_ipsec(facts, findings);
  judge_filters(facts, findings);
  judge_reverse_paths(facts, findings);
  judge_congestion(facts, findings);
  judge_guards(facts, findings);
}

}  // namespace culvert::cli::doctor
