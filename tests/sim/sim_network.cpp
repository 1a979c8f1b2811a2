#include "tests/sim/sim_network.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace culvert::sim {

std::string_view name_of(DropCause cause) {
  switch (cause) {
    case DropCause::loss: return "lost";
    case DropCause::cut: return "link cut";
    case DropCause::nat: return "stopped by the NAT";
    case DropCause::no_route: return "no such address";
    case DropCause::host_down: return "host is down";
  }
  return "";
}

void SimNetwork::attach(Side side, const net::IpAddress& address, Receiver receiver) {
  port(side).addresses = {address};
  port(side).receiver = std::move(receiver);
}

void SimNetwork::set_addresses(Side side, std::vector<net::IpAddress> addresses) {
  CHECK(!port(side).nat && !addresses.empty());
  port(side).addresses = std::move(addresses);
}

void SimNetwork::put_nat(Side side, const net::IpAddress& outside, Duration idle_timeout) {
  port(side).nat.emplace(port(side).addresses.front(), outside, idle_timeout, random_);
}

const net::IpAddress& SimNetwork::public_address(Side side) const {
  return port(side).nat ? port(side).nat->outside() : port(side).addresses.front();
}

Duration SimNetwork::up_to(Duration bound) {
  return bound <= Duration::zero() ? Duration::zero()
                                   : Duration(random_.below(static_cast<std::uint64_t>(bound.count())));
}

void SimNetwork::send(Side from, Packet packet) {
  observer_.sent(from, packet);
  const LinkConditions& conditions = port(from).conditions;
  if (filter_ && filter_(from, packet)) return observer_.dropped(from, packet, DropCause::loss);
  if (std::ranges::find(port(from).addresses, packet.source.address) == port(from).addresses.end())
    return observer_.dropped(from, packet, DropCause::no_route);
  if (dead_.contains(packet.source.address) || dead_.contains(packet.destination.address))
    return observer_.dropped(from, packet, DropCause::cut);
  Nat* translator = nat(from);
  if (translator != nullptr && !translator->outbound(packet, queue_.now()))
    return observer_.dropped(from, packet, DropCause::nat);
  if (port(from).cut) return observer_.dropped(from, packet, DropCause::cut);

  const std::size_t copies = chance(conditions.duplicate_ppm) ? 2 : 1;
  if (copies == 2) observer_.duplicated(from, packet);
  for (std::size_t copy = 0; copy < copies; ++copy) {
    const std::size_t fragments = 1 + packet.bytes.size() / (conditions.mtu - 40);
    bool lost = fragments > 1 && conditions.drops_fragments;
    for (std::size_t i = 0; i < fragments; ++i) lost = chance(conditions.loss_ppm) || lost;
    if (lost) {
      observer_.dropped(from, packet, DropCause::loss);
      continue;
    }
    Duration delay = conditions.latency + up_to(conditions.jitter);
    if (chance(conditions.late_ppm)) delay += up_to(conditions.late_by);
    queue_.after(delay, [this, from, moved = copy + 1 == copies ? std::move(packet) : packet]() mutable {
      deliver(from, std::move(moved));
    });
  }
}

bool SimNetwork::passes(Side from, const net::IpAddress& local, const net::IpAddress& remote) const {
  const auto has = [&](Side side, const net::IpAddress& address) {
    return std::ranges::find(port(side).addresses, address) != port(side).addresses.end() ||
           (port(side).nat && port(side).nat->outside() == address);
  };
  return has(from, local) && has(other(from), remote) && !dead_.contains(local) && !dead_.contains(remote) &&
         !port(from).cut && !port(other(from)).cut;
}

Duration SimNetwork::stream_delay(Side from, RandomSource& random) const {
  const LinkConditions& conditions = port(from).conditions;
  Duration delay = conditions.latency;
  if (conditions.jitter > Duration::zero())
    delay += Duration(random.below(static_cast<std::uint64_t>(conditions.jitter.count())));
  for (Duration wait = std::chrono::milliseconds(200); random.below(1'000'000) < conditions.loss_ppm; wait *= 2)
    delay += wait;
  return delay;
}

void SimNetwork::hand_over(Side to, Packet packet) {
  observer_.arrived(to, packet);
  port(to).receiver(std::move(packet));
}

void SimNetwork::deliver(Side from, Packet packet) {
  const Side to = other(from);
  Nat* translator = nat(to);
  if (translator != nullptr && !translator->inbound(packet, queue_.now()))
    return observer_.dropped(from, packet, DropCause::nat);
  if (std::ranges::find(port(to).addresses, packet.destination.address) == port(to).addresses.end())
    return observer_.dropped(from, packet, DropCause::no_route);
  if (!port(to).up) return observer_.dropped(from, packet, DropCause::host_down);
  observer_.arrived(to, packet);
  port(to).receiver(std::move(packet));
}

}  // namespace culvert::sim
