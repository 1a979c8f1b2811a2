// NAT detection (RFC 7296 2.23): the digests of NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP.
#pragma once

#include "base/bytes.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::auth {

/// SHA-1 of SPIi | SPIr | address | port, 20 octets. SPIr is zero in the request of IKE_SA_INIT.
[[nodiscard]] Bytes nat_detection_digest(model::IkeSpi spi_i, model::IkeSpi spi_r, const net::Endpoint& endpoint);

}  // namespace culvert::ike::auth
