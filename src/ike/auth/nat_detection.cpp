#include "ike/auth/nat_detection.hpp"

#include "crypto/prf.hpp"

namespace culvert::ike::auth {

Bytes nat_detection_digest(model::IkeSpi spi_i, model::IkeSpi spi_r, const net::Endpoint& endpoint) {
  ByteWriter spis;
  spis.u64(spi_i.value());
  spis.u64(spi_r.value());
  ByteWriter port;
  port.u16(endpoint.port);
  return crypto::hash(crypto::HashId::sha1, {spis.view(), endpoint.address.bytes(), port.view()});
}

}  // namespace culvert::ike::auth
