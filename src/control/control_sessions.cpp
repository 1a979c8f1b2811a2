// The sessions of clients that an AAA server has allowed (control/aaa_sessions.hpp): where the control plane's events
// touch them, and what the server may ask for afterwards (RFC 5176).
#include <fmt/format.h>

#include "base/text.hpp"
#include "control/control_plane.hpp"

namespace culvert::control {

AaaSessions::Meter ControlPlane::session_meter() const {
  return [this](model::IkeSaId id) {
    model::SessionTraffic traffic;
    const auto sa = ike_sas_.find(id);
    if (sa == ike_sas_.end()) return traffic;
    for (const model::ChildSaId child : sa->second.children) {
      // A guest there has no session.
      if (children_.at(child).connection != sa->second.sa.connection) continue;
      const auto counters = data_plane_.counters(child);
      if (!counters) continue;
      traffic.input_octets += counters->inbound_bytes;
      traffic.output_octets += counters->outbound_bytes;
      traffic.input_packets += counters->inbound_packets;
      traffic.output_packets += counters->outbound_packets;
    }
    return traffic;
  };
}

void ControlPlane::begin_session(const ike::IkeSaEstablished& event, Instant now) {
  if (event.replaces) return sessions_.move(*event.replaces, event.ike_sa);
  const Tunnel* tunnel = find(event.connection);
  sessions_.begin(event.ike_sa, event.admission.authorization(),
                  tunnel == nullptr ? std::string() : tunnel->config().name, event.path,
                  leases_.of_session(event.ike_sa), now);
}

void ControlPlane::count_in_session(const Child& child) {
  if (sessions_.empty()) return;
  if (const auto counters = data_plane_.counters(child.view.id)) sessions_.add(child.ike_sa, *counters);
}

void ControlPlane::end_due_sessions(Instant now) {
  for (const model::IkeSaId sa : sessions_.handle_time(session_meter(), now)) end_session(sa, "its time is up", now);
}

void ControlPlane::end_session(model::IkeSaId id, std::string_view why, Instant now) {
  const auto sa = ike_sas_.find(id);
  if (sa == ike_sas_.end()) return;
  notice(Notice::Level::info, sa->second.sa.connection,
         fmt::format("the session of {} is ended: {}",
                     sa->second.sa.admission.eap_identity().empty()
                         ? sa->second.sa.remote_id.to_string()
                         : "'" + escaped(sa->second.sa.admission.eap_identity()) + "'",
                     why));
  ike_.handle_command(ike::TerminateIkeSa{id}, now);
}

std::size_t ControlPlane::end_sessions(const model::SessionQuery& query, Instant now) {
  const auto found = sessions_.find(query);
  for (const model::IkeSaId sa : found) {
    sessions_.note_cause(sa, model::TerminateCause::admin_reset);
    end_session(sa, "the RADIUS server disconnects it", now);
  }
  settle(now);
  return found.size();
}

std::size_t ControlPlane::change_sessions(const model::SessionQuery& query, const model::SessionChange& change,
                                          Instant now) {
  const auto found = sessions_.find(query);
  for (const model::IkeSaId sa : found) sessions_.change(sa, change, session_meter(), now);
  settle(now);
  return found.size();
}

}  // namespace culvert::control
