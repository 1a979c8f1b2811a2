#include "ike/v2/nat.hpp"

#include <algorithm>

#include "ike/auth/nat_detection.hpp"
#include "ike/v2/mobike.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

void add_nat_detection(codec::Message& message, const net::Path& path, model::EncapsulationPolicy policy) {
  const auto& header = message.header;
  net::Endpoint source = path.local;
  // RFC 9329 6.5: over TCP the notifications have what they have over UDP, with the TCP ports; nothing is to be forced.
  if (policy == model::EncapsulationPolicy::udp && !path.over_tcp()) {
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

net::Path path_after_init(const Core& core, const IkeSa& sa, const model::ConnectionConfig& config) {
  net::Path path = sa.path;
  // RFC 9329 6.5: a NAT changes nothing; there is no other port to move to.
  if (path.over_tcp()) return path;
  const bool nat = sa.local_behind_nat || sa.remote_behind_nat;
  if (!sa.nat_traversal || path.local.port == core.settings.nat_port) return path;
  // RFC 7296 2.23: with a NAT between, everything after IKE_SA_INIT must go over port 4500; without one it may.
  // RFC 4555 3.3: with MOBIKE it must as well, for there may be a NAT on the next path.
  const bool moves = nat || config.encapsulation == model::EncapsulationPolicy::udp || may_use_mobike(config);
  if (!moves) return path;
  path.local.port = core.settings.nat_port;
  if (path.remote.port == core.settings.ike_port) path.remote.port = core.settings.nat_port;
  return path;
}

model::Encapsulation encapsulation_of(const Core& core, const IkeSa& sa, model::EncapsulationPolicy policy) {
  // RFC 9329 5: all ESP of the IKE SA goes over its stream.
  if (sa.path.over_tcp()) return model::Encapsulation::udp;
  const bool nat = sa.local_behind_nat || sa.remote_behind_nat;
  // RFC 7296 2.23: UDP encapsulation must not be done on port 500, and must be done when a NAT was detected.
  if (!sa.nat_traversal || sa.path.local.port == core.settings.ike_port) return model::Encapsulation::none;
  return nat || policy == model::EncapsulationPolicy::udp ? model::Encapsulation::udp : model::Encapsulation::none;
}

}  // namespace culvert::ike::v2
