// Child SAs beyond a tunnel's first: made when a packet needs one (RFC 4301 4.4.1.2 and 5.1, RFC 7296 2.9), ended when
// nobody needs them any more.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "control/advice.hpp"
#include "control/control_plane.hpp"

namespace culvert::control {

using Level = Notice::Level;

namespace {

// How the peer, or we, judge one flow says nothing about the next; all else would be refused again.
bool is_about_all(ike::FailureKind kind) { return kind != ike::FailureKind::traffic_selectors; }

}  // namespace

std::optional<ike::ChildWish> ControlPlane::first_wish(const Tunnel& tunnel, Instant now) const {
  const model::ConnectionConfig& config = tunnel.config();
  // The packet's source is not the address that there will be.
  if (!config.request_addresses.empty()) return std::nullopt;
  for (const ike::ChildWish& wish : tunnel.wishes.due(now)) {
    const bool whole = model::is_subset(config.local, wish.local) && model::is_subset(config.remote, wish.remote);
    // A tunnel that is up without being asked carries all that it has; the packet gets its own SA afterwards.
    if (whole || config.start == model::StartMode::on_demand) return wish;
  }
  return std::nullopt;
}

void ControlPlane::ask_for_children(Tunnel& tunnel, Instant now) {
  const model::ConnectionId connection = tunnel.config().id;
  for (ike::ChildWish& wish : tunnel.wishes.due(now)) {
    const bool stands = std::ranges::any_of(standing(connection).children, [&](model::ChildSaId id) {
      const ChildSaFacts& child = children_.at(id).view;
      return !child.resource && fulfils(child.local, child.remote, wish);
    });
    if (!stands) ike_.handle_command(ike::CreateChildSa{connection, std::move(wish)}, now);
  }
}

void ControlPlane::refused(Tunnel& tunnel, ike::NegotiationFailed&& event, const std::string& text, Instant now) {
  CHECK(event.wish);
  const Duration rest = tunnel.wishes.refuse(*event.wish, is_about_all(event.kind), now);
  std::string hint = advice(event, tunnel.config());
  notice(Level::warning, tunnel.config().id,
         fmt::format("{}; the other Child SAs stay, and packets for this one are dropped for the next {} s. {}", text,
                     std::chrono::duration_cast<std::chrono::seconds>(rest).count(), hint));
  tunnel.peer_failed(now, std::string(ike::name_of(event.kind)), std::move(event.detail), std::move(hint));
}

void ControlPlane::watch_use(Child& child, const model::ChildSaParams& params, Instant now) {
  const Tunnel* tunnel = find(params.connection);
  if (tunnel == nullptr || tunnel->config().child_idle <= Duration::zero()) return;
  child.idle_at = now + tunnel->config().child_idle;
  const auto old = params.replaces ? children_.find(*params.replaces) : children_.end();
  // A rekey is no use of it.
  if (old != children_.end() && old->second.idle_at && packets_of(old->first) == old->second.packets)
    child.idle_at = old->second.idle_at;
}

std::uint64_t ControlPlane::packets_of(model::ChildSaId child) const {
  const auto counters = data_plane_.counters(child).value_or(ipsec::SaCounters{});
  return counters.inbound_packets + counters.outbound_packets;
}

void ControlPlane::end_idle_children(Instant now) {
  while (const auto id = idles_.due(now)) {
    Child& child = children_.at(*id);
    const std::uint64_t packets = packets_of(*id);
    const Tunnel* tunnel = find(child.connection);
    const Duration idle = tunnel != nullptr ? tunnel->config().child_idle : Duration::zero();
    const bool used = std::exchange(child.packets, packets) != packets;
    child.idle_at = used && idle > Duration::zero() ? std::optional(now + idle) : std::nullopt;
    idles_.set(*id, child.idle_at);
    if (used || idle <= Duration::zero()) continue;
    if (!child.view.resource && has_beside(child)) {
      // RFC 9611 4: the one for all goes last.
      child.idle_at = now + idle;
      idles_.set(*id, child.idle_at);
      continue;
    }
    notice(Level::info, child.connection,
           fmt::format("Child SA {} === {}{} carried nothing for {} s: ended", model::to_string(child.view.local),
                       model::to_string(child.view.remote),
                       child.view.resource ? fmt::format(" for worker {}", *child.view.resource) : "",
                       std::chrono::duration_cast<std::chrono::seconds>(idle).count()));
    ike_.handle_command(ike::DeleteChildSa{*id}, now);
  }
}

}  // namespace culvert::control
