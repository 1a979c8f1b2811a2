// Packet: what travels over the simulated network, and how an onlooker reads it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "model/child_sa.hpp"
#include "net/address.hpp"

namespace culvert::sim {

inline constexpr std::uint16_t kIkePort = 500;
inline constexpr std::uint16_t kNatPort = 4500;

/// Names an inner packet for the harness; never on the wire outside of the encrypted payload.
using InnerId = std::uint64_t;

struct Packet {
  net::Endpoint source;  // with protocol 50 the ports are 0
  net::Endpoint destination;
  model::Encapsulation kind = model::Encapsulation::udp;
  Bytes bytes;                   // of UDP's or protocol 50's payload
  std::optional<InnerId> inner;  // the inner packet that this ESP packet carries, where the harness knows it
};

enum class WireKind : std::uint8_t { ike, esp, keepalive };

/// What a packet carries. `port` is the UDP port on the side of the host that sends or receives it: NATs change the
/// other one.
struct WireView {
  WireKind kind = WireKind::ike;
  ByteView body;  // the IKE message or ESP packet, without non-ESP marker
};
[[nodiscard]] WireView wire_view(const Packet& packet, std::uint16_t port);

/// The fixed header of an IKE message (RFC 7296 3.1).
struct IkeHeader {
  std::uint64_t spi_i = 0;
  std::uint64_t spi_r = 0;
  std::uint8_t next_payload = 0;
  std::uint8_t exchange = 0;
  bool from_initiator = false;
  bool response = false;
  std::uint32_t message_id = 0;
};
[[nodiscard]] std::optional<IkeHeader> ike_header(ByteView message);

/// "IKE_AUTH request 1, 280 octets, SPIs ..." or "ESP SPI 0x..., sequence 7, 120 octets".
[[nodiscard]] std::string describe(const WireView& view);

/// 64 bits that stand for some octets in comparisons.
[[nodiscard]] std::uint64_t digest(ByteView bytes, std::uint64_t start = 0xcbf29ce484222325U);

}  // namespace culvert::sim
