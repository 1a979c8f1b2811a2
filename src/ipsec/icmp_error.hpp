// ICMP and ICMPv6 errors on the protected side: which packet one speaks of (RFC 4301 6.2), and the one that we make
// ourselves, "too long" (RFC 1191 4, RFC 4443 3.2, RFC 4301 8.2.1).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// True for ICMP types 3, 4, 5, 11 and 12 (RFC 1122 3.2.2), and ICMPv6 types below 128 (RFC 4443 2.1).
[[nodiscard]] bool is_icmp_error(const net::PacketInfo& info);

/// The packet that an ICMP error quotes, turned round (RFC 4301 6.2: addresses and ports reversed): one that the same
/// SA would carry in the direction of the error. Addresses, protocol and ports are set, nothing else. Only as much is
/// quoted as the router liked, so ports may be missing; nothing when not even the addresses can be read, or when the
/// error is not addressed to the sender of what it quotes.
[[nodiscard]] std::optional<net::PacketInfo> quoted_flow(ByteView error, const net::PacketInfo& info);

/// What is to stand in the packet that an ICMP error quotes, in place of what does. Ports only of protocols that have
/// two.
struct QuoteChange {
  std::optional<net::IpAddress> source = {};
  std::optional<net::IpAddress> destination = {};
  std::optional<std::uint16_t> source_port = {};
  std::optional<std::uint16_t> destination_port = {};
};
/// Changes the quoted packet, with its checksums as far as they are quoted, and the error's own unless it
/// `sum_is_partial`: as a NAT on the way would have to. False, and nothing changed, where the quote is too short
/// for that or has headers in between.
[[nodiscard]] bool change_quote(MutableByteView error, const net::PacketInfo& info, const QuoteChange& change,
                                bool sum_is_partial);

/// The longest error that we make: RFC 4443 2.4(c); for ICMP RFC 1812 4.3.2.3 says 576.
inline constexpr std::size_t kMaxIcmpError = 1280;

/// "Fragmentation needed" or "Packet Too Big" about `packet`, with `mtu` octets as the longest packet that goes. The
/// octets written to `out`; nothing when there is to be no error about such a packet (RFC 1122 3.2.2, RFC 4443 2.4(e)):
/// an ICMP error itself, a fragment other than the first, a packet to or from other than one host.
///
/// The error comes from the address that the packet was going to: an address of ours could be one that this very host
/// has, and a packet from TUN with its own address is refused; the destination is routed into the tunnel for certain.
[[nodiscard]] std::optional<std::size_t> make_too_long_error(ByteView packet, const net::PacketInfo& info,
                                                             std::uint16_t mtu,
                                                             std::array<std::uint8_t, kMaxIcmpError>& out);

}  // namespace culvert::ipsec
