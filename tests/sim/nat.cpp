#include "tests/sim/nat.hpp"

#include <algorithm>

namespace culvert::sim {

bool Nat::outbound(Packet& packet, Instant now) {
  if (packet.kind == model::Encapsulation::none) return false;
  std::erase_if(mappings_, [&](const auto& entry) { return now - entry.second.used > idle_timeout_; });
  auto found = std::ranges::find_if(mappings_,
                                    [&](const auto& entry) { return entry.second.inside_port == packet.source.port; });
  while (found == mappings_.end()) {
    const auto port = static_cast<std::uint16_t>(20000 + random_.below(40000));
    const auto [added, fresh] = mappings_.try_emplace(port, Mapping{packet.source.port, now});
    if (fresh) found = added;
  }
  found->second.used = now;
  packet.source = {outside_, found->first};
  return true;
}

bool Nat::inbound(Packet& packet, Instant now) {
  if (packet.kind == model::Encapsulation::none || packet.destination.address != outside_) return false;
  const auto found = mappings_.find(packet.destination.port);
  if (found == mappings_.end() || now - found->second.used > idle_timeout_) return false;
  packet.destination = {inside_, found->second.inside_port};
  return true;
}

}  // namespace culvert::sim
