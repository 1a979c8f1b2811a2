#include "cli/render.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/text.hpp"

namespace culvert::cli {
namespace {

Color color_of(api::TunnelState state) {
  switch (state) {
    case api::TunnelState::up: return Color::green;
    case api::TunnelState::connecting:
    case api::TunnelState::closing: return Color::yellow;
    case api::TunnelState::retrying: return Color::red;
    case api::TunnelState::down:
    case api::TunnelState::waiting: return Color::none;
  }
  return Color::none;
}

std::string plain_tunnels(const std::vector<std::string>& local, const std::vector<std::string>& remote,
                          std::size_t most = 1000) {
  return fmt::format("{} <-> {}", joined(local, most), joined(remote, most));
}

std::string rekey_text(const std::optional<std::uint64_t>& rekey_in) {
  return rekey_in ? fmt::format(", rekey in {}", duration_text(*rekey_in)) : "";
}

/// "reason 3, other 4", most first.
std::string counts_text(const std::map<std::string, std::uint64_t>& counts) {
  std::vector<std::pair<std::string, std::uint64_t>> sorted(counts.begin(), counts.end());
  std::ranges::stable_sort(sorted, std::ranges::greater{}, &std::pair<std::string, std::uint64_t>::second);
  std::vector<std::string> parts;
  for (const auto& [name, count] : sorted) parts.push_back(fmt::format("{} {}", name, count_text(count)));
  return joined(parts);
}

std::string render_child(const api::ChildSa& child) {
  const api::Counters& c = child.counters;
  std::string out =
      wrapped(fmt::format("Child SA {}{}: {}{}, {}, ESP in {}, {} old{}", child.id,
                          child.resource ? fmt::format(" for worker {}", *child.resource) : "", child.suite,
                          child.backend.empty() ? "" : fmt::format(" by {}", child.backend), child.mode,
                          child.encapsulation == "udp"   ? "UDP"
                          : child.encapsulation == "tcp" ? "TCP"
                                                         : "IP",
                          duration_text(child.age), rekey_text(child.rekey_in)),
              4);
  out += wrapped(plain_tunnels(child.local, child.remote), 6);
  if (child.security_label) out += wrapped(fmt::format("security label {}", *child.security_label), 6);
  const auto direction = [](const char* name, const std::string& spi, std::uint64_t packets, std::uint64_t bytes) {
    return fmt::format("      {:<4} SPI {:<10} {:>15} packets {:>9}\n", name, spi, count_text(packets),
                       size_text(bytes));
  };
  out += direction("in", child.spi_inbound, c.inbound_packets, c.inbound_bytes);
  out += direction("out", child.spi_outbound, c.outbound_packets, c.outbound_bytes);
  if (c.replay_drops + c.integrity_drops > 0) {
    out += wrapped(fmt::format("dropped: {} replayed, {} with a wrong integrity check", count_text(c.replay_drops),
                               count_text(c.integrity_drops)),
                   6);
  }
  return out;
}

std::string render_ike(const api::IkeSa& sa) {
  std::string out = wrapped(fmt::format("IKE SA {}: {}, {}, {} old{}", sa.id, sa.role, sa.suite, duration_text(sa.age),
                                        rekey_text(sa.rekey_in)),
                            2);
  out += wrapped(fmt::format("{} ({}) <-> {} ({})", sa.local, sa.local_id, sa.remote, sa.remote_id), 4);
  out += fmt::format("    SPIs {} {}\n", sa.spi_i, sa.spi_r);
  if (!sa.of_tunnel.empty()) out += fmt::format("    shared, of tunnel {}\n", sa.of_tunnel);
  if (sa.transport == "tcp") out += fmt::format("    over TCP for {}\n", duration_text(sa.transport_age));
  // A peer that wants ESP in UDP claims a NAT of its own, as we do (`encapsulation = "udp"`): its word proves nothing.
  if (sa.local_behind_nat) out += "    this side is behind a NAT\n";
  if (sa.remote_behind_nat) out += "    the peer is behind a NAT, or says so to have ESP in UDP\n";
  if (sa.counter_sync) out += "    survives a failover of the peer, if that is a cluster (RFC 6311)\n";
  if (sa.resumed) out += "    resumed by a ticket: no new proof of the identities since\n";
  if (sa.ppk == "intermediate") out += "    a PPK is in the keys since before IKE_AUTH (RFC 9867)\n";
  if (sa.ppk == "auth") out += "    a PPK is in the keys since IKE_AUTH (RFC 8784)\n";
  if (sa.mobike) out += "    MOBIKE: the tunnel stays up when addresses change\n";
  if (!sa.eap_identity.empty()) out += wrapped("proved by EAP: " + sa.eap_identity, 4);
  if (!sa.group.empty()) out += fmt::format("    the peer is of group {}\n", sa.group);
  if (!sa.leased.empty())
    out += wrapped("the peer has the address " + fmt::format("{}", fmt::join(sa.leased, ", ")), 4);
  for (const api::ChildSa& child : sa.children) out += render_child(child);
  return out;
}

std::string render_given(const api::Given& given) {
  if (given.addresses.empty()) return {};
  std::string text = fmt::format("our address is {}", fmt::join(given.addresses, ", "));
  if (!given.dns_servers.empty()) text += fmt::format("; name servers {}", fmt::join(given.dns_servers, ", "));
  if (!given.encrypted_dns.empty())
    text += fmt::format("; encrypted name servers {}", fmt::join(given.encrypted_dns, ", "));
  if (!given.domains.empty()) text += fmt::format(" for {}", fmt::join(given.domains, ", "));
  return wrapped(text, 2);
}

std::string render_daemon(const api::DaemonStatus& daemon, const Look& look) {
  std::string out = wrapped(fmt::format("culvertd {}, up {}, pid {}, configuration {}", daemon.version,
                                        duration_text(daemon.uptime), daemon.pid, daemon.config),
                            0);
  out += wrapped(fmt::format("interface {}, UDP ports {} and {}", daemon.tun, daemon.ike_port, daemon.nat_port), 0);
  // A daemon that is older than this command does not tell.
  if (const api::DataPath& path = daemon.data_path; !path.io_engine.empty()) {
    const auto with = [](bool there) { return there ? "with" : "without"; };
    out += wrapped(
        fmt::format("packets: {}, {} worker{}; TUN super-packets {}{}; {} UDP_SEGMENT, {} UDP_GRO, {} raw ESP "
                    "and AH, {} IPv6",
                    path.io_engine, path.workers, path.workers == 1 ? "" : "s", path.tun_offload,
                    path.longest_tcp > 65535 ? fmt::format(", TCP up to {} KiB", path.longest_tcp / 1024) : "",
                    with(path.udp_segmentation), with(path.udp_receive_offload), with(path.raw_esp), with(path.ipv6)),
        0);
    for (const api::XdpInterface& one : path.xdp) {
      out += wrapped(fmt::format("AF_XDP at {}: {}{}", one.interface, one.in_use ? "" : "not in use: ", one.text), 0);
    }
  }
  if (!daemon.export_keys.empty()) {
    out += colored(fmt::format("ALL KEYS ARE WRITTEN to {}", daemon.export_keys), Color::red, look.color) + '\n';
  }
  return out;
}

std::string render_changes(const std::vector<std::string>& added, const std::vector<std::string>& removed,
                           const std::vector<api::TunnelChange>& changed, const std::string& kind, const Look& look) {
  std::string out;
  for (const std::string& name : added) out += colored("+ " + kind + name, Color::green, look.color) + "  new\n";
  for (const std::string& name : removed) out += colored("- " + kind + name, Color::red, look.color) + "  removed\n";
  for (const api::TunnelChange& change : changed) {
    out += colored("~ " + kind + change.name, Color::yellow, look.color) +
           (change.restarts ? "  is set up anew\n" : "  its SAs stay\n");
    for (const std::string& line : change.changes) out += wrapped(line, 4);
  }
  return out;
}

std::uint64_t value(const std::map<std::string, std::uint64_t>& counts, const char* name) {
  const auto found = counts.find(name);
  return found == counts.end() ? 0 : found->second;
}

std::string age_text(std::int64_t then, const Look& look) {
  return duration_text(static_cast<std::uint64_t>(std::max<std::int64_t>(0, look.now - then) / 1000));
}

}  // namespace

std::string render(const api::TunnelStatus& tunnel, const Look& look) {
  std::string out = fmt::format("{}  {}  peer {}  start {}  ({})\n", colored(tunnel.name, Color::bold, look.color),
                                colored(api::name_of(tunnel.state), color_of(tunnel.state), look.color), tunnel.peer,
                                tunnel.start, tunnel.place);
  out += wrapped(plain_tunnels(tunnel.local, tunnel.remote), 2);
  if (!tunnel.progress.empty() && tunnel.state != api::TunnelState::up) out += wrapped(tunnel.progress, 2);
  out += render_given(tunnel.given);
  for (const api::IkeSa& sa : tunnel.ike_sas) out += render_ike(sa);
  if (tunnel.last_failure && tunnel.state != api::TunnelState::up) {
    out += wrapped(
        fmt::format("failed {} ago: {}", age_text(tunnel.last_failure->time, look), tunnel.last_failure->message), 2);
    out += wrapped(tunnel.last_failure->hint, 4);
  }
  if (tunnel.retry_in) out += fmt::format("  next attempt in {}\n", duration_text(*tunnel.retry_in));
  return out;
}

std::string render_head(const api::Status& status, const Look& look) { return render_daemon(status.daemon, look); }

std::string render_rest(const api::Status& status, bool any_tunnels, const Look& look) {
  std::string out;
  for (const api::ManualSa& sa : status.manual) out += '\n' + render(sa, look);
  if (!any_tunnels && status.manual.empty()) out += "\nno tunnels\n";
  out += '\n';
  out += wrapped(fmt::format("IKE: {} datagrams in, {} out, {} sent again, {} half-open",
                             count_text(value(status.ike_counters, "datagrams_in")),
                             count_text(value(status.ike_counters, "datagrams_out")),
                             count_text(value(status.ike_counters, "retransmissions")),
                             count_text(value(status.ike_counters, "half_open"))),
                 0);
  if (const auto cookies = value(status.ike_counters, "cookies"); cookies != 0)
    out += wrapped(fmt::format("cookies were asked for {} times, with {} puzzles, {} of them solved: many set-ups are "
                               "begun and not gone on with",
                               count_text(cookies), count_text(value(status.ike_counters, "puzzles")),
                               count_text(value(status.ike_counters, "puzzles_solved"))),
                   0);
  if (const auto puzzles = value(status.ike_counters, "auth_puzzles"); puzzles != 0)
    out += wrapped(fmt::format("{} of who solved one got another before IKE_AUTH, {} solved that: what came then was "
                               "garbage too often",
                               count_text(puzzles), count_text(value(status.ike_counters, "auth_puzzles_solved"))),
                   0);
  const auto tickets = value(status.ike_counters, "tickets_given");
  const auto resumed = value(status.ike_counters, "resumed");
  if (tickets + resumed != 0)
    out += wrapped(
        fmt::format("tickets: {} given, {} IKE SAs resumed by one", count_text(tickets), count_text(resumed)), 0);
  if (const auto repeated = value(status.ike_counters, "repeated"); repeated != 0)
    out += wrapped(
        fmt::format("{} requests of peers came again: they, or our answers, were lost or late", count_text(repeated)),
        0);
  if (!status.ike_drops.empty()) out += wrapped("IKE datagrams dropped: " + counts_text(status.ike_drops), 0);
  if (!status.ike_refusals.empty()) out += wrapped("IKE messages refused: " + counts_text(status.ike_refusals), 0);
  if (!status.packet_drops.empty()) out += wrapped("packets dropped: " + counts_text(status.packet_drops), 0);
  return out;
}

std::string render(const api::TunnelList& list, const Look& look) {
  if (list.tunnels.empty()) return "no tunnels\n";
  std::vector<std::vector<std::string>> rows = {{"NAME", "STATE", "START", "PEER", "LOCAL <-> REMOTE"}};
  for (const api::TunnelSummary& tunnel : list.tunnels) {
    rows.push_back({tunnel.name, std::string(api::name_of(tunnel.state)), tunnel.start, tunnel.peer,
                    plain_tunnels(tunnel.local, tunnel.remote, 1)});
  }
  std::string out = columns(rows);
  if (!look.color) return out;
  // Colours come after the alignment, which counts columns.
  const std::size_t state_column =
      std::ranges::max(rows, {}, [](const auto& row) { return row[0].size(); })[0].size() + 2;
  std::string colorful;
  std::size_t start = 0;
  for (std::size_t i = 0; start < out.size(); ++i) {
    const std::size_t end = out.find('\n', start) + 1;
    std::string line = out.substr(start, end - start);
    if (i > 0)
      line.replace(state_column, rows[i][1].size(), colored(rows[i][1], color_of(list.tunnels[i - 1].state), true));
    colorful += line;
    start = end;
  }
  return colorful;
}

std::string render(const api::LeaseList& list, const Look& /*look*/) {
  if (list.leases.empty()) return "no leases\n";
  std::vector<std::vector<std::string>> rows = {{"ADDRESS", "IDENTITY", "POOL", "SESSIONS"}};
  for (const api::Lease& lease : list.leases) {
    rows.push_back({lease.address, lease.identity, lease.pool.empty() ? "(gone)" : lease.pool,
                    lease.sessions == 0 ? "none" : std::to_string(lease.sessions)});
  }
  return columns(rows);
}

std::string render(const api::FailureList& list, const Look& look) {
  if (list.failures.empty()) return "nothing that went wrong is known\n";
  std::string out;
  for (const api::PeerFailure& one : list.failures) {
    if (!out.empty()) out += '\n';
    std::string title = colored(one.tunnel.empty() ? "no tunnel" : one.tunnel, Color::bold, look.color);
    const bool is_named = !one.identity.empty() && one.identity != one.peer;
    title += fmt::format("  {}{}  {} ago", one.peer, is_named ? ", " + one.identity : "", age_text(one.time, look));
    if (one.times > 1) title += fmt::format(", {} times in {}", one.times, age_text(one.since, look));
    out += title + '\n';
    out += wrapped(fmt::format("the {} {}: {}", one.what,
                               one.began == "we" ? "that we began failed" : "that it began failed", one.message),
                   2);
    out += wrapped(one.hint, 4);
  }
  return out;
}

std::string render(const api::ApplyResult& result, const Look& look) {
  std::string out = render_changes(result.added, result.removed, result.changed, "", look);
  out += render_changes(result.manual_added, result.manual_removed, result.manual_changed, "manual SA ", look);
  if (result.pools_changed) out += "~ the [pool.NAME] sections\n";
  if (result.radius_changed) out += "~ the [radius.NAME] sections\n";
  if (result.policies_changed) out += "~ the [[policy]] rules\n";
  for (const std::string& line : result.daemon) out += wrapped("~ [daemon] " + line, 0);
  if (result.daemon_restart_needed) out += "the changes of [daemon] need a restart of culvertd\n";
  for (const api::Problem& warning : result.warnings) out += render(warning, look);
  out += fmt::format(
      "{}: {} new, {} removed, {} changed, {} as before\n",
      result.applied ? "applied" : "nothing was applied (dry run)", result.added.size() + result.manual_added.size(),
      result.removed.size() + result.manual_removed.size(), result.changed.size() + result.manual_changed.size(),
      result.unchanged.size() + result.manual_unchanged.size());
  return out;
}

std::string render(const api::LogEntry& entry, const Look& look) {
  const Color color = entry.level == api::LogLevel::error     ? Color::red
                      : entry.level == api::LogLevel::warning ? Color::yellow
                      : entry.level == api::LogLevel::debug   ? Color::dim
                                                              : Color::none;
  return fmt::format("{} {} {}{}\n", time_text(entry.time),
                     colored(fmt::format("{:<7}", api::name_of(entry.level)), color, look.color),
                     entry.tunnel.empty() ? "" : colored(entry.tunnel, Color::bold, look.color) + ": ", entry.text);
}

std::string render(const api::Problem& problem, const Look& look) {
  std::string place = problem.file;
  if (problem.line != 0) place += fmt::format(":{}", problem.line);
  if (problem.column != 0) place += fmt::format(":{}", problem.column);
  const bool is_error = problem.severity == "error";
  std::string out = fmt::format("{}: {} ", colored(place, Color::bold, look.color),
                                colored(problem.severity + ":", is_error ? Color::red : Color::yellow, look.color));
  if (!problem.field.empty()) out += problem.field + ": ";
  out += problem.message + '\n';
  return out + wrapped(problem.hint, 2);
}

std::string render(const api::Error& error, const Look& look) {
  std::string out = fmt::format("{} {}\n", colored("culvert:", Color::red, look.color), error.message);
  out += wrapped(error.hint, 2);
  for (const api::Problem& problem : error.problems) out += render(problem, look);
  return out;
}

}  // namespace culvert::cli
