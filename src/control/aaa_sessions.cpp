#include "control/aaa_sessions.hpp"

#include <algorithm>
#include <utility>

namespace culvert::control {
namespace {

using model::SessionTraffic;
using model::TerminateCause;
using Kind = model::SessionRecord::Kind;

SessionTraffic sum(const SessionTraffic& a, const SessionTraffic& b) {
  return {.input_octets = a.input_octets + b.input_octets,
          .output_octets = a.output_octets + b.output_octets,
          .input_packets = a.input_packets + b.input_packets,
          .output_packets = a.output_packets + b.output_packets};
}

SessionTraffic traffic_of(const ipsec::SaCounters& counters) {
  return {.input_octets = counters.inbound_bytes,
          .output_octets = counters.outbound_bytes,
          .input_packets = counters.inbound_packets,
          .output_packets = counters.outbound_packets};
}

std::uint64_t packets_of(const SessionTraffic& traffic) { return traffic.input_packets + traffic.output_packets; }

// RFC 2866 5.10.
TerminateCause cause_of(ike::CloseReason reason) {
  using enum ike::CloseReason;
  switch (reason) {
    case local_request: return TerminateCause::admin_reset;
    case peer_deleted: return TerminateCause::user_request;
    case peer_restarted:
    case peer_dead: return TerminateCause::lost_service;
    case reauthenticated:
    case redirected:
    case superseded: return TerminateCause::port_preempted;
    case protocol_error: return TerminateCause::nas_error;
    case rekeyed:
    case lifetime_expired:
    case negotiation_failed: return TerminateCause::nas_request;
  }
  return TerminateCause::nas_error;
}

OptionalInstant after(Instant now, const std::optional<Duration>& time) {
  return time ? OptionalInstant(now + *time) : OptionalInstant();
}

/// The same for what comes again and again: zero switches it off.
OptionalInstant each(Instant now, const std::optional<Duration>& time) {
  return time && *time > Duration::zero() ? OptionalInstant(now + *time) : OptionalInstant();
}

}  // namespace

void AaaSessions::begin(model::IkeSaId sa, Authorization authorization, std::string tunnel, const net::Path& path,
                        std::vector<net::IpAddress> addresses, Instant now) {
  if (!authorization) return;
  Session session{.authorization = std::move(authorization),
                  .tunnel = std::move(tunnel),
                  .path = path,
                  .addresses = std::move(addresses),
                  .begun = now,
                  .gone = {},
                  .expires_at = {},
                  .idle_at = {},
                  .interim_at = {}};
  session.expires_at = after(now, session.authorization->session_timeout);
  session.idle_at = each(now, session.authorization->idle_timeout);
  if (session.authorization->accounting) session.interim_at = each(now, session.authorization->interim_interval);
  record(session, Kind::start, {}, TerminateCause::none, now);
  set_timer(sa, session);
  sessions_.insert_or_assign(sa, std::move(session));
}

void AaaSessions::move(model::IkeSaId from, model::IkeSaId to) {
  auto node = sessions_.extract(from);
  if (node.empty()) return;
  timers_.set(from, std::nullopt);
  set_timer(to, node.mapped());
  node.key() = to;
  sessions_.insert(std::move(node));
}

void AaaSessions::set_path(model::IkeSaId sa, const net::Path& path) {
  if (const auto found = sessions_.find(sa); found != sessions_.end()) found->second.path = path;
}

void AaaSessions::add(model::IkeSaId sa, const ipsec::SaCounters& carried) {
  const auto found = sessions_.find(sa);
  if (found != sessions_.end()) found->second.gone = sum(found->second.gone, traffic_of(carried));
}

void AaaSessions::end(model::IkeSaId sa, ike::CloseReason reason, Instant now) {
  const auto node = sessions_.extract(sa);
  if (node.empty()) return;
  timers_.set(sa, std::nullopt);
  const Session& session = node.mapped();
  TerminateCause cause = session.cause;
  if (cause == TerminateCause::none) cause = shutting_down_ ? TerminateCause::nas_reboot : cause_of(reason);
  record(session, Kind::stop, session.gone, cause, now);
}

std::vector<model::IkeSaId> AaaSessions::handle_time(const Meter& meter, Instant now) {
  std::vector<model::IkeSaId> over;
  while (const auto sa = timers_.due(now)) {
    Session& session = sessions_.at(*sa);
    const SessionTraffic traffic = sum(session.gone, meter(*sa));
    const auto is_due = [&](const OptionalInstant& at) { return at && *at <= now; };
    TerminateCause cause = TerminateCause::none;
    if (is_due(session.expires_at)) {
      cause = TerminateCause::session_timeout;
    } else if (is_due(session.idle_at)) {
      // Looked at once in each span: it ends one to two spans after its last packet, and costs nothing per packet.
      if (std::exchange(session.packets, packets_of(traffic)) == packets_of(traffic))
        cause = TerminateCause::idle_timeout;
      session.idle_at = each(now, session.authorization->idle_timeout);
    }
    if (cause != TerminateCause::none) {
      note_cause(*sa, cause);
      over.push_back(*sa);
      // It has been told to end: nothing more is due.
      timers_.set(*sa, std::nullopt);
      continue;
    }
    if (is_due(session.interim_at)) {
      record(session, Kind::interim, traffic, TerminateCause::none, now);
      session.interim_at = each(now, session.authorization->interim_interval);
    }
    set_timer(*sa, session);
  }
  return over;
}

std::vector<model::IkeSaId> AaaSessions::find(const model::SessionQuery& query) const {
  std::vector<model::IkeSaId> found;
  if (!query.names_session()) return found;
  for (const auto& [sa, session] : sessions_) {
    if (matches(session, query)) found.push_back(sa);
  }
  return found;
}

bool AaaSessions::matches(const Session& session, const model::SessionQuery& query) {
  const model::Authorization& known = *session.authorization;
  if (known.radius != query.radius) return false;
  if (query.user && *query.user != known.user) return false;
  if (query.session_id && *query.session_id != known.session_id) return false;
  if (query.calling_station && *query.calling_station != session.path.remote.address.to_string()) return false;
  if (query.called_station && *query.called_station != session.path.local.address.to_string()) return false;
  if (query.gateway && *query.gateway != session.path.local.address) return false;
  if (query.tunnel && *query.tunnel != session.tunnel) return false;
  return std::ranges::all_of(query.addresses, [&](const net::IpAddress& address) {
    return std::ranges::find(session.addresses, address) != session.addresses.end();
  });
}

void AaaSessions::note_cause(model::IkeSaId sa, TerminateCause cause) {
  const auto found = sessions_.find(sa);
  if (found != sessions_.end() && found->second.cause == TerminateCause::none) found->second.cause = cause;
}

void AaaSessions::change(model::IkeSaId sa, const model::SessionChange& change, const Meter& meter, Instant now) {
  const auto found = sessions_.find(sa);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  model::Authorization changed = *session.authorization;
  if (change.session_timeout) {
    changed.session_timeout = change.session_timeout;
    session.expires_at = after(now, change.session_timeout);
  }
  if (change.idle_timeout) {
    changed.idle_timeout = change.idle_timeout;
    session.idle_at = each(now, change.idle_timeout);
    session.packets = packets_of(sum(session.gone, meter(sa)));
  }
  if (change.interim_interval && changed.accounting) {
    changed.interim_interval = change.interim_interval;
    session.interim_at = each(now, change.interim_interval);
  }
  if (!change.classes.empty()) changed.classes = change.classes;
  session.authorization = std::make_shared<const model::Authorization>(std::move(changed));
  set_timer(sa, session);
}

void AaaSessions::record(const Session& session, Kind kind, const SessionTraffic& traffic, TerminateCause cause,
                         Instant now) {
  if (!session.authorization->accounting) return;
  records_.push_back({.kind = kind,
                      .authorization = session.authorization,
                      .tunnel = session.tunnel,
                      .path = session.path,
                      .addresses = session.addresses,
                      .lasted = now - session.begun,
                      .traffic = traffic,
                      .cause = cause});
}

void AaaSessions::set_timer(model::IkeSaId sa, const Session& session) {
  timers_.set(sa, earliest(earliest(session.expires_at, session.idle_at), session.interim_at));
}

}  // namespace culvert::control
