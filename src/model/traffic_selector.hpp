// TrafficSelector: which packets an SA may carry (RFC 7296 2.9 and 3.13, RFC 4301 4.4.1.1), and the set operations of
// narrowing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.hpp"

namespace culvert::model {

/// ICMP, ICMPv6 and the Mobility Header have one selector field, type and code or type, in place of two ports (RFC 4301
/// 4.4.1.3).
[[nodiscard]] constexpr bool has_one_port_field(std::uint8_t protocol) {
  return protocol == 1 || protocol == 58 || protocol == 135;
}
/// Protocols whose ports, or what stands in their place, are selectors (RFC 4301 4.4.1.1), as net::parse_packet reads
/// them: those, TCP, UDP, DCCP, SCTP and UDP-Lite.
[[nodiscard]] constexpr bool has_port_fields(std::uint8_t protocol) {
  return has_one_port_field(protocol) || protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 ||
         protocol == 136;
}

/// One rectangle of addresses, protocol and ports. Protocol 0 is ANY. For ICMP and ICMPv6 a port is
/// type << 8 | code, for the Mobility Header type << 8.
struct TrafficSelector {
  net::AddressRange addresses;
  std::uint8_t protocol = 0;
  std::uint16_t start_port = 0;
  std::uint16_t end_port = 0xffff;

  [[nodiscard]] static TrafficSelector of(const net::Prefix& prefix) { return {net::AddressRange::of(prefix)}; }
  [[nodiscard]] static TrafficSelector of(const net::AddressRange& range) { return {range}; }
  [[nodiscard]] static TrafficSelector all(net::Family family) { return {net::AddressRange::all(family)}; }
  /// OPAQUE (RFC 7296 3.13.1): start 65535, end 0: packets whose ports cannot be seen.
  [[nodiscard]] bool is_opaque() const { return start_port == 0xffff && end_port == 0; }
  [[nodiscard]] bool any_port() const { return start_port == 0 && end_port == 0xffff; }
  /// `ports_visible` false (a later fragment, a protocol without ports) matches only selectors for any port or OPAQUE.
  [[nodiscard]] bool matches(const net::IpAddress& address, std::uint8_t packet_protocol, bool ports_visible,
                             std::uint16_t port) const {
    return addresses.contains(address) && matches_above(packet_protocol, ports_visible, port);
  }
  /// As `matches`, for the selector that stands for the packet's destination. RFC 4301 4.4.1.3: of a protocol with one
  /// field in place of two ports the sender's selector says what it may be; the destination's does not count.
  [[nodiscard]] bool matches_destination(const net::IpAddress& address, std::uint8_t packet_protocol,
                                         bool ports_visible, std::uint16_t port) const {
    return addresses.contains(address) && matches_destination_above(packet_protocol, ports_visible, port);
  }
  /// The same of both without the address: what stands above IP.
  [[nodiscard]] bool matches_above(std::uint8_t packet_protocol, bool ports_visible, std::uint16_t port) const {
    if (protocol != 0 && protocol != packet_protocol) return false;
    if (any_port()) return true;
    if (!ports_visible) return is_opaque();
    return start_port <= port && port <= end_port;
  }
  [[nodiscard]] bool matches_destination_above(std::uint8_t packet_protocol, bool ports_visible,
                                               std::uint16_t port) const {
    // RFC 4301 4.4.1.3: the local "port" of ICMP and the Mobility Header says what may be sent, the remote one what may
    // be received. Where the field is not to be seen (a later fragment) both have to be ANY or OPAQUE.
    if (!ports_visible || !has_one_port_field(packet_protocol)) {
      return matches_above(packet_protocol, ports_visible, port);
    }
    return protocol == 0 || protocol == packet_protocol;
  }
  /// Whether packets without visible ports lie within: ANY encompasses OPAQUE (RFC 4301 4.4.1.1).
  [[nodiscard]] bool covers_opaque() const { return any_port() || is_opaque(); }
  [[nodiscard]] bool contains(const TrafficSelector& other) const;
  [[nodiscard]] std::optional<TrafficSelector> intersection(const TrafficSelector& other) const;
  /// "10.0.0.0/8", "10.0.0.1-10.0.0.9[tcp/80-90]", "2001:db8::/32[udp]"; ICMP by type and code: "0.0.0.0/0[icmp/8]",
  /// "[icmp/3.4]".
  [[nodiscard]] std::string to_string() const;
  /// The same form; protocol by name (tcp, udp, icmp, icmpv6, sctp, gre, ...) or number.
  [[nodiscard]] static std::optional<TrafficSelector> parse(std::string_view text);
  friend auto operator<=>(const TrafficSelector&, const TrafficSelector&) = default;
};

using TrafficSelectors = std::vector<TrafficSelector>;

/// What of `proposed` the `policy` allows, in the order of `proposed`, without selectors contained in others; empty
/// when nothing. RFC 7296 2.9: the responder narrows to the intersection. At most `limit` selectors come back.
[[nodiscard]] TrafficSelectors narrow(const TrafficSelectors& proposed, const TrafficSelectors& policy,
                                      std::size_t limit = 64);
/// True when every selector of `inner` lies within one of `outer`.
[[nodiscard]] bool is_subset(const TrafficSelectors& inner, const TrafficSelectors& outer);
/// An address of this host that the selectors of its own end are about, and more closely than about all addresses: what
/// they protect is no way to the peer.
[[nodiscard]] bool protects(const TrafficSelectors& local, const net::IpAddress& address);
[[nodiscard]] std::string to_string(const TrafficSelectors& selectors);

}  // namespace culvert::model
