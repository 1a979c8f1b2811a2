#include "net/header_writer.hpp"

#include <cstring>

#include "base/check.hpp"
#include "net/checksum.hpp"

namespace culvert::net {
namespace {

/// RFC 1624 3: the new checksum is ~(~old checksum + ~old word + new word).
void replace_word(std::uint8_t* header, std::size_t offset, std::uint16_t value) {
  const std::uint16_t old = load_be16(header + offset);
  const std::uint16_t old_checksum = load_be16(header + 10);
  const std::uint64_t sum =
      std::uint64_t{static_cast<std::uint16_t>(~old_checksum)} + static_cast<std::uint16_t>(~old) + value;
  store_be16(header + offset, value);
  store_be16(header + 10, checksum_finish(sum));
}

bool is_v4_packet(MutableByteView packet) {
  CHECK(packet.size() >= kIpv4HeaderSize);
  return packet[0] >> 4 == 4;
}

}  // namespace

void write_ip_header(std::uint8_t* at, const IpHeader& header) {
  if (header.source.is_v4()) {
    at[0] = 0x45;
    at[1] = header.tos;
    store_be16(at + 2, static_cast<std::uint16_t>(kIpv4HeaderSize + header.payload_length));
    store_be16(at + 4, header.identification);
    store_be16(at + 6, header.dont_fragment ? 0x4000 : 0);
    at[8] = header.ttl;
    at[9] = header.protocol;
    store_be16(at + 10, 0);
    std::memcpy(at + 12, header.source.bytes().data(), 4);
    std::memcpy(at + 16, header.destination.bytes().data(), 4);
    store_be16(at + 10, ipv4_header_checksum({at, kIpv4HeaderSize}));
    return;
  }
  store_be32(at, 0x60000000u | std::uint32_t{header.tos} << 20);
  store_be16(at + 4, header.payload_length);
  at[6] = header.protocol;
  at[7] = header.ttl;
  std::memcpy(at + 8, header.source.bytes().data(), 16);
  std::memcpy(at + 24, header.destination.bytes().data(), 16);
}

void write_udp_header(std::uint8_t* at, std::uint16_t source_port, std::uint16_t destination_port,
                      std::uint16_t payload_length, std::uint16_t checksum) {
  store_be16(at, source_port);
  store_be16(at + 2, destination_port);
  store_be16(at + 4, static_cast<std::uint16_t>(kUdpHeaderSize + payload_length));
  store_be16(at + 6, checksum);
}

std::uint16_t udp_checksum(const IpAddress& source, const IpAddress& destination, ByteView datagram) {
  const auto length = static_cast<std::uint32_t>(datagram.size());
  const std::uint64_t sum = pseudo_header_sum(source, destination, static_cast<std::uint8_t>(IpProtocol::udp), length);
  const std::uint16_t checksum = checksum_finish(checksum_add(sum, datagram));
  return checksum == 0 ? 0xffff : checksum;
}

void set_tos(MutableByteView packet, std::uint8_t tos) {
  std::uint8_t* at = packet.data();
  if (is_v4_packet(packet)) {
    replace_word(at, 0, static_cast<std::uint16_t>(at[0] << 8 | tos));
  } else {
    store_be16(at, static_cast<std::uint16_t>((load_be16(at) & 0xf00f) | tos << 4));
  }
}

void set_ttl(MutableByteView packet, std::uint8_t ttl) {
  std::uint8_t* at = packet.data();
  if (is_v4_packet(packet)) {
    replace_word(at, 8, static_cast<std::uint16_t>(ttl << 8 | at[9]));
  } else {
    at[7] = ttl;
  }
}

}  // namespace culvert::net
