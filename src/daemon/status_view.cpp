#include "daemon/status_view.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.hpp"

namespace culvert::daemon {
namespace {

std::uint64_t seconds_until(Instant later, Instant now) {
  if (later <= now) return 0;
  return static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::seconds>(later - now).count());
}

std::uint64_t seconds_since(Instant earlier, Instant now) {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(now - earlier).count()));
}

std::int64_t time_of_day(Instant then, Instant now) {
  const auto ago = std::chrono::duration_cast<std::chrono::milliseconds>(now - then);
  const auto wall =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  return (wall - ago).count();
}

std::optional<api::Refusal> to_refusal(const std::optional<model::AuthenticationRefusal>& refusal) {
  if (!refusal) return std::nullopt;
  return api::Refusal{refusal->subject, refusal->serial, refusal->check, refusal->found};
}

std::vector<std::string> texts(const model::TrafficSelectors& selectors) {
  std::vector<std::string> list;
  for (const model::TrafficSelector& selector : selectors) list.push_back(selector.to_string());
  return list;
}

std::vector<std::string> texts(const std::vector<net::IpAddress>& addresses) {
  std::vector<std::string> list;
  for (const net::IpAddress& address : addresses) list.push_back(address.to_string());
  return list;
}

std::string_view mode_name(model::Mode mode) {
  switch (mode) {
    case model::Mode::tunnel: return "tunnel";
    case model::Mode::transport: return "transport";
    case model::Mode::beet: return "beet";
  }
  return "unknown";
}

api::ChildSa to_child(const control::ChildSaView& view, model::ProtocolId protocol, Instant now,
                      ipsec::SuiteSupport& ciphers) {
  api::ChildSa child;
  child.id = view.id.value();
  child.spi_inbound = fmt::format("0x{:08x}", view.spi_inbound.value());
  child.spi_outbound = fmt::format("0x{:08x}", view.spi_outbound.value());
  child.resource = view.resource;
  child.suite = model::to_string(view.suite);
  child.mode = mode_name(view.mode);
  if (const auto suite = model::packet_suite(protocol, view.suite)) {
    if (const std::string* library = ciphers.library(*suite)) child.backend = *library;
  }
  child.encapsulation = view.encapsulation == model::Encapsulation::udp ? "udp" : "esp";
  child.local = texts(view.local);
  child.remote = texts(view.remote);
  if (!view.security_label.empty()) child.security_label = view.security_label;
  child.age = seconds_since(view.established, now);
  if (view.rekey_at) child.rekey_in = seconds_until(*view.rekey_at, now);
  if (view.expires_at) child.expires_in = seconds_until(*view.expires_at, now);
  child.counters = {.inbound_packets = view.counters.inbound_packets,
                    .inbound_bytes = view.counters.inbound_bytes,
                    .outbound_packets = view.counters.outbound_packets,
                    .outbound_bytes = view.counters.outbound_bytes,
                    .outbound_sequence = view.counters.outbound_sequence,
                    .replay_drops = view.counters.replay_drops,
                    .integrity_drops = view.counters.integrity_drops};
  return child;
}

api::IkeSa to_ike_sa(const control::IkeSaView& view, Instant now, ipsec::SuiteSupport& ciphers) {
  api::IkeSa sa;
  sa.id = view.sa.ike_sa.value();
  sa.role = view.sa.role == model::Role::initiator ? "initiator" : "responder";
  sa.spi_i = fmt::format("0x{:016x}", view.sa.spi_i.value());
  sa.spi_r = fmt::format("0x{:016x}", view.sa.spi_r.value());
  sa.local = view.sa.path.local.to_string();
  sa.remote = view.sa.path.remote.to_string();
  sa.transport = view.sa.path.over_tcp() ? "tcp" : "udp";
  sa.transport_age = seconds_since(view.transport_since, now);
  sa.local_id = view.sa.local_id.to_string();
  sa.remote_id = view.sa.remote_id.to_string();
  sa.suite = model::to_string(view.sa.suite);
  sa.local_behind_nat = view.sa.local_behind_nat;
  sa.remote_behind_nat = view.sa.remote_behind_nat;
  sa.mobike = view.sa.mobike;
  sa.resumed = view.sa.resumed;
  if (view.sa.ppk != ike::PpkUse::none) sa.ppk = view.sa.ppk == ike::PpkUse::intermediate ? "intermediate" : "auth";
  sa.counter_sync = view.sa.counter_sync;
  sa.age = seconds_since(view.established, now);
  sa.eap_identity = escaped(view.sa.admission.eap_identity(), 253);
  sa.group = view.sa.admission.group();
  sa.of_tunnel = view.of_tunnel;
  sa.leased = texts(view.leased);
  if (view.sa.rekey_at) sa.rekey_in = seconds_until(*view.sa.rekey_at, now);
  for (const control::ChildSaView& child : view.children)
    sa.children.push_back(to_child(child, model::ProtocolId::esp, now, ciphers));
  // RFC 9329 5: all that the IKE SA has goes over its stream.
  if (view.sa.path.over_tcp())
    for (api::ChildSa& child : sa.children) child.encapsulation = "tcp";
  return sa;
}

}  // namespace

api::TunnelState to_state(control::TunnelState state) {
  switch (state) {
    case control::TunnelState::down: return api::TunnelState::down;
    case control::TunnelState::waiting: return api::TunnelState::waiting;
    case control::TunnelState::connecting: return api::TunnelState::connecting;
    case control::TunnelState::up: return api::TunnelState::up;
    case control::TunnelState::retrying: return api::TunnelState::retrying;
    case control::TunnelState::closing: return api::TunnelState::closing;
  }
  return api::TunnelState::down;
}

std::string_view state_name(control::ManualState state) {
  switch (state) {
    case control::ManualState::waiting: return "waiting";
    case control::ManualState::up: return "up";
    case control::ManualState::refused: return "refused";
    case control::ManualState::ended: return "ended";
  }
  return "unknown";
}

std::vector<api::Problem> to_problems(const config::Problems& problems) {
  std::vector<api::Problem> list;
  for (const config::Problem& problem : problems) {
    list.push_back({problem.severity == config::Severity::error ? "error" : "warning", problem.position.file,
                    problem.position.line, problem.position.column, problem.field, problem.message, problem.hint});
  }
  return list;
}

std::vector<std::string> lines_of(const api::Error& error) {
  constexpr std::size_t kLongest = 512;
  constexpr std::size_t kMost = 32;
  std::vector<std::string> lines{escaped(error.message, kLongest)};
  for (const api::Problem& problem : error.problems) {
    if (lines.size() > kMost) {
      lines.push_back(fmt::format("and {} more", error.problems.size() - kMost));
      break;
    }
    const config::Position place{.file = problem.file, .line = problem.line, .column = problem.column};
    lines.push_back(escaped(
        fmt::format("{}: {}{}{}", place.to_string(), problem.field, problem.field.empty() ? "" : ": ", problem.message),
        kLongest));
  }
  return lines;
}

std::string escaped_name(std::string_view name) { return escaped(name, 60); }

api::ManualSa to_manual(const control::ManualView& view, Instant now, ipsec::SuiteSupport& ciphers) {
  api::ManualSa sa;
  sa.name = view.name;
  sa.state = state_name(view.state);
  sa.reason = view.reason;
  sa.place = view.place;
  sa.protocol = view.protocol == model::ProtocolId::ah ? "ah" : "esp";
  const bool ports = view.child.encapsulation == model::Encapsulation::udp;
  sa.local_address = ports ? view.path.local.to_string() : view.path.local.address.to_string();
  sa.peer = ports ? view.path.remote.to_string() : view.path.remote.address.to_string();
  sa.policy = view.own_rule;
  sa.replay_window = view.replay_window;
  if (view.ipcomp) {
    sa.cpi_in = view.ipcomp->cpi_inbound;
    sa.cpi_out = view.ipcomp->cpi_outbound;
  }
  sa.sequence_granted = view.sequence_granted;
  sa.sa = to_child(view.child, view.protocol, now, ciphers);
  if (view.state != control::ManualState::up) sa.sa.age = 0;
  if (!ports) sa.sa.encapsulation = "none";
  return sa;
}

api::PolicyEntry to_policy(const control::SpdEntry& entry) {
  const ipsec::Policy& policy = entry.policy;
  api::PolicyEntry out;
  out.position = policy.id.value();
  out.name = policy.name;
  out.action = policy.action == ipsec::PolicyAction::protect  ? "protect"
               : policy.action == ipsec::PolicyAction::bypass ? "bypass"
                                                              : "discard";
  out.direction = policy.direction == ipsec::PolicyDirection::both       ? "both"
                  : policy.direction == ipsec::PolicyDirection::outbound ? "out"
                                                                         : "in";
  out.local = texts(policy.local);
  out.remote = texts(policy.remote);
  const std::pair<const char*, bool> taken[] = {{"local_address", policy.populate.local_address},
                                                {"remote_address", policy.populate.remote_address},
                                                {"protocol", policy.populate.protocol},
                                                {"local_port", policy.populate.local_port},
                                                {"remote_port", policy.populate.remote_port}};
  for (const auto& [name, set] : taken) {
    if (set) out.populate.emplace_back(name);
  }
  for (const model::SecurityLabel& label : entry.security_labels) out.security_labels.push_back(label.to_string());
  out.sa = entry.sa;
  out.origin = control::name_of(entry.origin);
  out.place = entry.place;
  return out;
}

std::string_view start_name(model::StartMode start) {
  switch (start) {
    case model::StartMode::automatic: return "auto";
    case model::StartMode::on_demand: return "on-demand";
    case model::StartMode::manual: return "manual";
  }
  return "unknown";
}

api::PeerFailure to_failure(const control::FailureRecord& record, Instant now) {
  return {.time = time_of_day(record.last, now),
          .since = time_of_day(record.first, now),
          .times = record.times,
          .tunnel = record.tunnel,
          .peer = record.peer.to_string(),
          .identity = record.identity,
          .began = record.we_began ? "we" : "peer",
          .what = record.child_only ? "Child SA" : "IKE SA",
          .kind = record.kind,
          .message = record.message,
          .hint = record.hint,
          .refusal = to_refusal(record.refusal)};
}

api::TunnelStatus to_status(const control::TunnelView& view, const model::ConnectionConfig& config, Instant now,
                            ipsec::SuiteSupport& ciphers) {
  api::TunnelStatus status;
  status.name = view.name;
  status.state = to_state(view.state);
  status.start = start_name(config.start);
  status.peer = config.peer_name;
  status.local = texts(config.local);
  status.remote = texts(config.remote);
  status.place = config.place.to_string();
  status.progress = view.progress;
  status.attempts = view.attempts;
  if (view.last_failure) {
    status.last_failure = api::Failure{view.last_failure->attempt, time_of_day(view.last_failure->at, now),
                                       view.last_failure->kind,    view.last_failure->message,
                                       view.last_failure->hint,    to_refusal(view.last_failure->refusal)};
  }
  status.given.addresses = texts(view.given.addresses);
  status.given.dns_servers = texts(view.given.dns_servers);
  for (const model::EncryptedDns& resolver : view.given.encrypted_dns) {
    for (const net::IpAddress& address : resolver.addresses) {
      const std::string place =
          resolver.port ? net::Endpoint{address, *resolver.port}.to_string() : address.to_string();
      status.given.encrypted_dns.push_back(
          fmt::format("{}#{} {}", place, resolver.name, fmt::join(resolver.protocols, " ")));
    }
  }
  status.given.domains = view.given.domains;
  for (const net::Prefix& prefix : view.given.subnets) status.given.subnets.push_back(prefix.to_string());
  if (view.retry_at) status.retry_in = seconds_until(*view.retry_at, now);
  for (const control::IkeSaView& sa : view.ike_sas) status.ike_sas.push_back(to_ike_sa(sa, now, ciphers));
  return status;
}

api::TunnelSummary to_summary(const api::TunnelStatus& status) {
  return {status.name, status.state, status.start, status.peer, status.local, status.remote, status.place};
}

}  // namespace culvert::daemon
