// Transport checksums across a NAT (RFC 3948 3.1.2): they cover a pseudo header with addresses that the receiver does
// not see.
#pragma once

#include "base/bytes.hpp"
#include "net/address.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// Makes the transport checksum of `packet`, which was computed with `source` and `destination`, one for the addresses
/// that its header has, by the difference alone: a wrong checksum stays wrong. Protocols without a pseudo header, UDP
/// without a checksum, and addresses of another family change nothing.
void move_transport_checksum(MutableByteView packet, const net::PacketInfo& info, const net::IpAddress& source,
                             const net::IpAddress& destination);

}  // namespace culvert::ipsec
