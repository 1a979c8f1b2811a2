#include "ike/eap/packet.hpp"

#include <fmt/format.h>

namespace culvert::ike::eap {
namespace {

constexpr std::size_t kHeader = 4;
constexpr std::size_t kMost = 0xffff;

}  // namespace

using model::EapCode;
using model::EapType;

Result<Packet, std::string> parse_packet(ByteView octets) {
  ByteReader reader(octets);
  const std::uint8_t code = reader.u8();
  Packet packet;
  packet.identifier = reader.u8();
  const std::size_t length = reader.u16();
  if (!reader.ok()) return err(fmt::format("{} octets are no EAP packet", octets.size()));
  if (length < kHeader || length > octets.size())
    return err(fmt::format("the EAP packet says it has {} octets, and has {}", length, octets.size()));
  if (code < 1 || code > 4) return err(fmt::format("there is no EAP code {}", code));
  packet.code = static_cast<EapCode>(code);
  // RFC 3748 4.2: these have no data; what some senders put behind them says nothing.
  if (packet.code == EapCode::success || packet.code == EapCode::failure) return packet;
  if (length == kHeader) return err(std::string("the EAP packet has no type"));
  packet.type = static_cast<EapType>(reader.u8());
  // RFC 3748 4.1: what is behind the length is padding.
  packet.data = octets.subspan(kHeader + 1, length - kHeader - 1);
  return packet;
}

Bytes make_packet(EapCode code, std::uint8_t identifier, EapType type, ByteView data) {
  const ByteView kept = data.first(std::min(data.size(), kMost - kHeader - 1));
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(code));
  out.u8(identifier);
  out.u16(static_cast<std::uint16_t>(kHeader + 1 + kept.size()));
  out.u8(static_cast<std::uint8_t>(type));
  out.bytes(kept);
  return out.take();
}

Bytes make_end(EapCode code, std::uint8_t identifier) {
  return {static_cast<std::uint8_t>(code), identifier, 0, kHeader};
}

}  // namespace culvert::ike::eap
