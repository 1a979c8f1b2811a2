#include "net/packet.hpp"

namespace culvert::net {
namespace {

/// Reads what selectors need of the upper-layer header; `header` runs to the end of the packet.
std::optional<PacketError> read_upper_layer(PacketInfo& info, ByteView header) {
  const auto ports_from = [&](std::size_t minimum) {
    if (header.size() < minimum) return false;
    info.source_port = load_be16(header.data());
    info.destination_port = load_be16(header.data() + 2);
    info.ports_visible = true;
    return true;
  };
  const auto type_as_port = [&](std::uint16_t value) {
    info.source_port = value;
    info.destination_port = value;
    info.ports_visible = true;
  };
  switch (static_cast<IpProtocol>(info.protocol)) {
    case IpProtocol::tcp: {
      if (!ports_from(kTcpHeaderSize)) return PacketError::truncated;
      const std::size_t size = std::size_t{4} * (header[12] >> 4);
      if (size < kTcpHeaderSize) return PacketError::bad_header_length;
      if (size > header.size()) return PacketError::truncated;
      info.payload_header_length = static_cast<std::uint16_t>(size);
      return std::nullopt;
    }
    case IpProtocol::udp:
      if (!ports_from(kUdpHeaderSize)) return PacketError::truncated;
      info.payload_header_length = kUdpHeaderSize;
      return std::nullopt;
    case IpProtocol::udp_lite: return ports_from(kUdpHeaderSize) ? std::nullopt : std::optional(PacketError::truncated);
    case IpProtocol::sctp:
    case IpProtocol::dccp: return ports_from(12) ? std::nullopt : std::optional(PacketError::truncated);
    case IpProtocol::icmp:
    case IpProtocol::icmpv6:
      if (header.size() < 4) return PacketError::truncated;
      type_as_port(load_be16(header.data()));
      return std::nullopt;
    case IpProtocol::mobility:
      // RFC 4301 4.4.1.1: the Mobility Header's type, its third octet, stands in the high octet of the port selector.
      if (header.size() < 8) return PacketError::truncated;
      type_as_port(static_cast<std::uint16_t>(header[2] << 8));
      return std::nullopt;
    default: return std::nullopt;
  }
}

std::optional<PacketError> finish(PacketInfo& info, ByteView packet, std::size_t header_length) {
  info.header_length = static_cast<std::uint16_t>(header_length);
  if (info.is_later_fragment) return std::nullopt;
  return read_upper_layer(info, packet.subspan(header_length, info.total_length - header_length));
}

std::optional<PacketError> parse_ipv4(ByteView packet, PacketInfo& info) {
  if (packet.size() < kIpv4HeaderSize) return PacketError::truncated;
  const std::uint8_t* at = packet.data();
  const std::size_t header_length = std::size_t{4} * (at[0] & 15);
  if (header_length < kIpv4HeaderSize) return PacketError::bad_header_length;
  if (header_length > packet.size()) return PacketError::truncated;

  info.family = Family::v4;
  info.tos = at[1];
  info.total_length = load_be16(at + 2);
  if (info.total_length > packet.size() || info.total_length < header_length) return PacketError::bad_total_length;
  const std::uint16_t fragment = load_be16(at + 6);
  info.dont_fragment = (fragment & 0x4000) != 0;
  info.is_fragment = (fragment & 0x3fff) != 0;
  info.is_later_fragment = (fragment & 0x1fff) != 0;
  info.ttl = at[8];
  info.protocol = at[9];
  info.source = IpAddress::load(Family::v4, at + 12);
  info.destination = IpAddress::load(Family::v4, at + 16);
  return finish(info, packet, header_length);
}

std::optional<PacketError> parse_ipv6(ByteView packet, PacketInfo& info) {
  if (packet.size() < kIpv6HeaderSize) return PacketError::truncated;
  const std::uint8_t* at = packet.data();
  info.family = Family::v6;
  info.tos = static_cast<std::uint8_t>(load_be16(at) >> 4);
  info.total_length = static_cast<std::uint32_t>(kIpv6HeaderSize + load_be16(at + 4));
  if (info.total_length > packet.size()) return PacketError::bad_total_length;
  info.protocol = at[6];
  info.ttl = at[7];
  info.source = IpAddress::load(Family::v6, at + 8);
  info.destination = IpAddress::load(Family::v6, at + 24);

  // RFC 4301 4.4.1.1: the next layer protocol is found behind these headers; AH and ESP are not among those skipped.
  std::size_t offset = kIpv6HeaderSize;
  for (unsigned followed = 0;; ++followed) {
    const auto next = static_cast<IpProtocol>(info.protocol);
    const bool is_options =
        next == IpProtocol::hop_by_hop || next == IpProtocol::routing || next == IpProtocol::destination_options;
    if (!is_options && next != IpProtocol::fragment) break;
    if (followed == kMaxIpv6Extensions) return PacketError::too_many_extensions;
    if (info.total_length - offset < 8) return PacketError::truncated;
    const std::uint8_t* extension = at + offset;
    const std::size_t size = is_options ? std::size_t{8} * (extension[1] + 1u) : 8;
    if (size > info.total_length - offset) return PacketError::truncated;
    info.protocol = extension[0];
    offset += size;
    if (!is_options) {
      const std::uint16_t fragment = load_be16(extension + 2);
      info.is_fragment = info.is_fragment || (fragment & 0xfff9) != 0;
      info.is_later_fragment = (fragment & 0xfff8) != 0;
      // What follows in a later fragment is payload, whatever its next header field says.
      if (info.is_later_fragment) break;
    }
  }
  return finish(info, packet, offset);
}

}  // namespace

// The facts are written where they stay: copying what was just stored in small pieces would wait for the stores.
Result<PacketInfo, PacketError> parse_packet(ByteView packet) {
  Result<PacketInfo, PacketError> result(std::in_place);
  std::optional<PacketError> error;
  switch (packet.empty() ? 0 : packet[0] >> 4) {
    case 4: error = parse_ipv4(packet, *result); break;
    case 6: error = parse_ipv6(packet, *result); break;
    default: error = packet.empty() ? PacketError::truncated : PacketError::bad_version;
  }
  if (error) result = err(*error);
  return result;
}

const char* to_string(PacketError error) {
  switch (error) {
    case PacketError::truncated: return "truncated";
    case PacketError::bad_version: return "bad IP version";
    case PacketError::bad_header_length: return "bad header length";
    case PacketError::bad_total_length: return "bad total length";
    case PacketError::too_many_extensions: return "too many IPv6 extension headers";
  }
  return "unknown packet error";
}

}  // namespace culvert::net
