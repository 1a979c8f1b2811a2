// A packet for the tests of what is plain and what is alike: headers as they should be, all else zeros.
#pragma once

#include "base/bytes.hpp"
#include "net/address.hpp"
#include "net/header_writer.hpp"
#include "net/headers.hpp"

namespace culvert::net::testing {

inline Bytes packet(Family family, std::uint8_t protocol, std::size_t payload) {
  const bool v4 = family == Family::v4;
  Bytes out(ip_header_size(family) + payload);
  write_ip_header(out.data(), {.source = *IpAddress::parse(v4 ? "192.0.2.1" : "2001:db8::1"),
                               .destination = *IpAddress::parse(v4 ? "198.51.100.7" : "2001:db8::2"),
                               .protocol = protocol,
                               .tos = 0xb9,
                               .ttl = 61,
                               .payload_length = static_cast<std::uint16_t>(payload)});
  if (protocol == 6 && payload >= kTcpHeaderSize) out[ip_header_size(family) + 12] = 0x60;  // 24 octets of header
  return out;
}

}  // namespace culvert::net::testing
