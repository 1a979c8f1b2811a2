// Traffic selectors of transport mode behind NATs (RFC 7296 2.23.1): each end names addresses as it sees them, and puts
// those of the IKE SA's path in their place in what it hears. What was heard is kept for the packets' checksums.
#pragma once

#include <optional>

#include "ike/v2/ike_sa.hpp"
#include "model/traffic_selector.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

/// The selectors of the peer's TS payloads: `local` is about our end, whoever began the exchange.
struct SelectorPair {
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
};

/// What takes the place of the addresses that the peer has written; nothing where no NAT is in front of that end.
struct SeenAddresses {
  std::optional<net::IpAddress> local;
  std::optional<net::IpAddress> remote;
};
[[nodiscard]] SeenAddresses seen_addresses(const IkeSa& sa);

/// The selectors with the addresses that we see. Ranges stay: RFC 7296 2.23.1 wants one address at each end.
[[nodiscard]] SelectorPair as_seen(const SelectorPair& heard, const SeenAddresses& seen);

/// The one address that all of these have, where it is not `seen`: what the peer's checksums were made with.
[[nodiscard]] std::optional<net::IpAddress> original_address(const model::TrafficSelectors& heard,
                                                             const net::IpAddress& seen);

/// What of `selectors` is about this address; all of them where nothing is.
[[nodiscard]] model::TrafficSelectors about(const model::TrafficSelectors& selectors, const net::IpAddress& address);

}  // namespace culvert::ike::v2
