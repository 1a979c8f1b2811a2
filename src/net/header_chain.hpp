// The chain of headers in front of an upper-layer packet: IPv4 with its options, IPv6 with its extension headers. Where
// ESP and AH go in transport mode, and how the chain is closed again once they are in or out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "net/address.hpp"

namespace culvert::net {

/// A place behind some of a packet's headers.
struct ChainEnd {
  std::size_t length = 0;          // octets of the headers in front of it
  std::size_t next_header_at = 0;  // the octet among them that names what follows
};

/// Where ESP or AH goes in transport mode, in a packet that `parse_packet` accepted: behind IPv4's options; behind
/// IPv6's hop-by-hop, routing and fragment headers, and such destination options as a routing header follows.
[[nodiscard]] ChainEnd transport_insertion_point(ByteView packet);

/// The end of a chain of headers that fills `headers` exactly: an IPv4 header with options, or an IPv6 header with
/// hop-by-hop, routing, destination options and fragment headers. Nothing when it is not one.
[[nodiscard]] std::optional<ChainEnd> chain_end(ByteView headers);

/// Makes `headers` the front of a packet of `total_length` octets in which `protocol` follows them: length, next header
/// and, for IPv4, the checksum. IPv4 takes up to 65,535 octets, IPv6 40 more.
void close_chain(MutableByteView headers, std::size_t next_header_at, std::uint8_t protocol, std::size_t total_length);

/// Where the packet goes in the end: the last address of a source route or routing header (type 0 or 2) that has not
/// been used up, else the destination field. `headers` is a chain as `chain_end` takes it, or a packet that
/// `parse_packet` accepted.
[[nodiscard]] IpAddress final_destination(ByteView headers);

}  // namespace culvert::net
