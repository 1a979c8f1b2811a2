#include "ike/v2/nat.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ike/auth/nat_detection.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

void add_nat_detection(codec::Message& message, const net::Path& path, model::EncapsulationPolicy policy) {
  const auto& header = message.header;
  net::Endpoint source = path.local;
  if (policy == model::EncapsulationPolicy::udp) {
    // Nobody sends from the unspecified address and port 0: the peer concludes that there is a NAT in front of us, and
    // only then do stock peers wrap ESP in UDP.
    source = {net::IpAddress::any(path.local.address.family()), 0};
  }
  message.add_notify(NotifyType::nat_detection_source_ip,
                     auth::nat_detection_digest(header.spi_i, header.spi_r, source));
  message.add_notify(NotifyType::nat_detection_destination_ip,
                     auth::nat_detection_digest(header.spi_i, header.spi_r, path.remote));
}

void judge_nat_detection(IkeSa& sa, const codec::Message& message, const net::Path& path) {
  const Bytes from = auth::nat_detection_digest(message.header.spi_i, message.header.spi_r, path.remote);
  const Bytes to = auth::nat_detection_digest(message.header.spi_i, message.header.spi_r, path.local);
  bool source_seen = false;
  bool source_matches = false;
  bool destination_seen = false;
  bool destination_matches = false;
  for (const auto* notify : message.all<codec::NotifyPayload>()) {
    if (notify->type == NotifyType::nat_detection_source_ip) {
      // RFC 7296 2.23: there may be several; none of them matching means that the sender is behind a NAT.
      source_seen = true;
      source_matches = source_matches || equal(notify->data, from);
    } else if (notify->type == NotifyType::nat_detection_destination_ip) {
      destination_seen = true;
      destination_matches = destination_matches || equal(notify->data, to);
    }
  }
  sa.nat_traversal = source_seen && destination_seen;
  sa.remote_behind_nat = sa.nat_traversal && !source_matches;
  sa.local_behind_nat = sa.nat_traversal && !destination_matches;
}

net::Path path_after_init(const Core& core, const IkeSa& sa, model::EncapsulationPolicy policy) {
  net::Path path = sa.path;
  const bool nat = sa.local_behind_nat || sa.remote_behind_nat;
  if (!sa.nat_traversal || path.local.port == core.settings.nat_port) return path;
  // RFC 7296 2.23: with a NAT between, everything after IKE_SA_INIT must go over port 4500; without one it may.
  if (!nat && policy != model::EncapsulationPolicy::udp) return path;
  path.local.port = core.settings.nat_port;
  if (path.remote.port == core.settings.ike_port) path.remote.port = core.settings.nat_port;
  return path;
}

model::Encapsulation encapsulation_of(const Core& core, const IkeSa& sa, model::EncapsulationPolicy policy) {
  const bool nat = sa.local_behind_nat || sa.remote_behind_nat;
  // RFC 7296 2.23: UDP encapsulation must not be done on port 500, and must be done when a NAT was detected.
  if (!sa.nat_traversal || sa.path.local.port == core.settings.ike_port) return model::Encapsulation::none;
  return nat || policy == model::EncapsulationPolicy::udp ? model::Encapsulation::udp : model::Encapsulation::none;
}

void follow_peer(Core& core, IkeSa& sa, const net::Path& path) {
  if (path == sa.path || path.local.port == core.settings.ike_port) return;
  // RFC 7296 2.23: a host that is not behind a NAT itself follows the peer's new mapping; one that is must not, for
  // then a single stray packet could break the connection.
  if (!sa.remote_behind_nat || sa.local_behind_nat) return;
  if (sa.phase != Phase::established) return;
  core.progress(sa, fmt::format("the peer moved from {} to {}", sa.path.remote.to_string(), path.remote.to_string()));
  sa.path = path;
  core.emit(PathChanged{.ike_sa = sa.id, .path = path});
}

}  // namespace culvert::ike::v2
