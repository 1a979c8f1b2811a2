// An IKE SA that stands, made without its set-up, for tests of single messages.
#pragma once

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

/// Its peer began it, with the connection of config_of(false), and is at address_of(true).
inline void stand_as_responder(Core& core, IkeSa& sa) {
  core.connections.put(config_of(false));
  sa.phase = Phase::established;
  sa.role = sa.origin_role = model::Role::responder;
  sa.connection = kConnection;
  sa.nat_traversal = true;
  sa.spi_i = model::IkeSpi(11);
  sa.spi_r = model::IkeSpi(22);
  sa.path = {{address_of(false), 4500}, {address_of(true), 4500}};
}

}  // namespace culvert::ike::v2::testing
