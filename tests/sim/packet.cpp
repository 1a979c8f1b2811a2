#include "tests/sim/packet.hpp"

#include <fmt/format.h>

namespace culvert::sim {

WireView wire_view(const Packet& packet, std::uint16_t port) {
  const ByteView all = packet.bytes;
  if (packet.kind == model::Encapsulation::none) return {WireKind::esp, all};
  if (port == kIkePort) return {WireKind::ike, all};
  // RFC 3948 2.2 and 2.3.
  if (all.size() == 1 && all[0] == 0xff) return {WireKind::keepalive, all};
  if (all.size() >= 4 && load_be32(all.data()) == 0) return {WireKind::ike, all.subspan(4)};
  return {WireKind::esp, all};
}

std::optional<IkeHeader> ike_header(ByteView message) {
  if (message.size() < 28) return std::nullopt;
  ByteReader in(message);
  IkeHeader header;
  header.spi_i = in.u64();
  header.spi_r = in.u64();
  header.next_payload = in.u8();
  in.skip(1);
  header.exchange = in.u8();
  const std::uint8_t flags = in.u8();
  header.from_initiator = (flags & 0x08) != 0;
  header.response = (flags & 0x20) != 0;
  header.message_id = in.u32();
  return header;
}

std::string describe(const WireView& view) {
  if (view.kind == WireKind::keepalive) return "NAT-keepalive";
  if (view.kind == WireKind::esp) {
    if (view.body.size() < 8) return fmt::format("ESP of {} octets", view.body.size());
    return fmt::format("ESP SPI 0x{:08x}, sequence {}, {} octets", load_be32(view.body.data()),
                       load_be32(view.body.data() + 4), view.body.size());
  }
  const auto header = ike_header(view.body);
  if (!header) return fmt::format("broken IKE message of {} octets", view.body.size());
  static constexpr std::array<const char*, 4> kNames{"IKE_SA_INIT", "IKE_AUTH", "CREATE_CHILD_SA", "INFORMATIONAL"};
  const char* name =
      header->exchange >= 34 && header->exchange < 38 ? kNames[header->exchange - 34u] : "other exchange";
  return fmt::format("{} {} {} by {}, {} octets, SPIs {:016x} {:016x}", name, header->response ? "response" : "request",
                     header->message_id, header->from_initiator ? "original initiator" : "original responder",
                     view.body.size(), header->spi_i, header->spi_r);
}

std::uint64_t digest(ByteView bytes, std::uint64_t start) {
  std::uint64_t value = start;
  const auto mix = [&](std::uint64_t word) {
    value = (value ^ word) * 0x9e3779b97f4a7c15U;
    value ^= value >> 29;
  };
  while (bytes.size() >= 8) {
    mix(load_be64(bytes.data()));
    bytes = bytes.subspan(8);
  }
  std::uint64_t rest = 0x100 + bytes.size();
  for (const std::uint8_t octet : bytes) rest = (rest << 8) | octet;
  mix(rest);
  return value;
}

}  // namespace culvert::sim
