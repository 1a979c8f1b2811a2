// What the gateway's or the user's word, and what was kept from the last run, change in the life of IKE SAs:
// redirection (RFC 5685) and the secret of crash tokens (RFC 6290).
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "control/control_plane.hpp"

namespace culvert::control {

using Level = Notice::Level;

// ---------------------------------------------------------------- redirection

// An attempt of its own, to another peer: should it fail, the next one goes where the configuration says.
void ControlPlane::on(ike::Redirected&& event, Instant) {
  Tunnel* tunnel = find(event.connection);
  if (tunnel == nullptr || !tunnel->can_initiate()) return;
  notice(Level::info, event.connection, fmt::format("{} redirects us to {}", event.from.to_string(), event.gateway));
  const std::uint64_t attempt = tunnel->begin_attempt();
  tunnel->lead = Tunnel::Lead{.from = event.from, .ike_sa = event.ike_sa, .gateway = std::move(event.gateway)};
  follow_lead(*tunnel, attempt, tunnel->config().tcp == model::TcpPolicy::always);
}

// RFC 9329 5.1: over the transport that the way to any other gateway would have.
void ControlPlane::follow_lead(const Tunnel& tunnel, std::uint64_t attempt, bool over_tcp) {
  CHECK(tunnel.lead);
  FindPath wish = path_wish(tunnel, attempt, over_tcp);
  wish.peer = tunnel.lead->gateway;
  requests_.emplace_back(std::move(wish));
}

std::optional<std::size_t> ControlPlane::redirect(std::string_view name, std::string_view gateway, Instant now) {
  const Tunnel* tunnel = find(name);
  if (tunnel == nullptr) return std::nullopt;
  const model::ConnectionId id = tunnel->config().id;
  const std::size_t count = standing(id).ike_sas.size();
  notice(Level::info, id, fmt::format("sending peers to {} on request", gateway));
  ike_.handle_command(ike::RedirectPeers{.connection = id, .gateway = std::string(gateway)}, now);
  settle(now);
  return count;
}

// ---------------------------------------------------------------- kept from the last run

void ControlPlane::use_secrets(ike::UseSecrets secrets, Instant now) {
  ike_.handle_command(std::move(secrets), now);
  settle(now);
}

}  // namespace culvert::control
