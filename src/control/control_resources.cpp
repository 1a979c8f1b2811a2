// A Child SA for each worker of the data plane, beside the one for all of them (RFC 9611): asked for when the worker
// has packets for it, given up where the peer does not want it. Whatever happens here, the one for all goes on.
#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "control/advice.hpp"
#include "control/control_plane.hpp"

namespace culvert::control {

using Level = Notice::Level;

namespace {

// An IKE SA has 64 Child SAs at the most; that is what `per_resource_sas` allows, too.
constexpr std::uint32_t kMostResourceSas = 60;

}  // namespace

// Deviates from RFC 9611 7: they are taken by default, where there are several workers and the peer is one that the
// user named; its advice is about peers that nobody knows.
std::uint32_t ControlPlane::resource_sas_of(const Tunnel& tunnel) const {
  if (const auto& wanted = tunnel.config().resource_sas) return *wanted;
  if (settings_.resources < 2 || !tunnel.can_initiate()) return 0;
  // RFC 9611 6: at the very least double the number of CPUs.
  return std::min<std::uint32_t>(2 * settings_.resources, kMostResourceSas);
}

// RFC 9611 6: on demand, by the packets of a worker that has none of its own.
bool ControlPlane::ask_for_resource(const Tunnel& tunnel, const ipsec::Acquire& acquire, Instant now) {
  CHECK(acquire.resource);
  auto wish = wish_of(acquire, tunnel.config());
  if (!wish) return true;
  // Of several the newest, as the data plane has it.
  const auto& ours = standing(tunnel.config().id).children;
  const auto fallback = std::ranges::find_if(ours.rbegin(), ours.rend(), [&](model::ChildSaId id) {
    const ChildSaFacts& view = children_.at(id).view;
    return !view.resource && fulfils(view.local, view.remote, *wish);
  });
  // Then that comes first.
  if (fallback == ours.rend()) return false;
  const Child& child = children_.at(*fallback);
  const auto& [local, remote] = std::tie(child.view.local, child.view.remote);
  if (child.per_resource && tunnel.resources.may_ask(local, remote, *acquire.resource, now))
    ike_.handle_command(ike::CreateChildSa{tunnel.config().id, {local, remote, acquire.packet, acquire.resource}}, now);
  return true;
}

void ControlPlane::resource_ended(const Child& child, ike::CloseReason reason, Instant now) {
  Tunnel* tunnel = find(child.connection);
  if (tunnel == nullptr || !child.for_wish || !child.view.resource) return;
  const bool by_us = reason == ike::CloseReason::local_request;
  // What ends with its IKE SA, or for another one, says nothing.
  if (!by_us && reason != ike::CloseReason::peer_deleted && reason != ike::CloseReason::lifetime_expired) return;
  tunnel->resources.ended(child.view.local, child.view.remote, *child.view.resource, by_us, now);
}

bool ControlPlane::has_beside(const Child& fallback) const {
  return std::ranges::any_of(standing(fallback.connection).children, [&](model::ChildSaId id) {
    const ChildSaFacts& view = children_.at(id).view;
    return view.resource && view.local == fallback.view.local && view.remote == fallback.view.remote;
  });
}

void ControlPlane::resource_refused(Tunnel& tunnel, ike::NegotiationFailed&& event, const std::string& text,
                                    Instant now) {
  CHECK(event.wish);
  const ike::ChildWish& wish = *event.wish;
  CHECK(wish.resource);
  const std::uint32_t resource = *wish.resource;
  if (event.notify == model::NotifyType::ts_max_queue) {
    // RFC 9611 5.2: nothing is wrong; there are as many as the peer has use for.
    if (tunnel.resources.full(wish.local, wish.remote))
      notice(Level::info, tunnel.config().id, "the peer takes no further Child SAs for single workers");
    return;
  }
  const Duration rest = tunnel.resources.refuse(wish.local, wish.remote, resource, now);
  std::string hint = advice(event, tunnel.config());
  notice(
      Level::warning, tunnel.config().id,
      fmt::format("{}; it was for worker {} alone, whose packets go over the Child SA for all of them. Not asked for "
                  "again within {} s. {}",
                  text, resource, std::chrono::duration_cast<std::chrono::seconds>(rest).count(), hint));
  tunnel.peer_failed(now, std::string(ike::name_of(event.kind)), std::move(event.detail), std::move(hint));
}

}  // namespace culvert::control
