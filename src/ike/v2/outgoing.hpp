// Outgoing: one message of ours as it goes out, in one datagram or in fragments (RFC 7383), kept for as long as it may
// have to be sent again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "ike/codec/seal.hpp"

namespace culvert::ike::v2 {

struct Outgoing {
  Outgoing() = default;
  explicit Outgoing(Bytes datagram) { datagrams.push_back(std::move(datagram)); }

  std::vector<Bytes> datagrams;
  /// RFC 7383 2.5.2: octets of an IP datagram that these datagrams were made for at the most, where there are smaller
  /// fragments to be made; else 0.
  std::uint16_t size = 0;
  /// From which they are made; null while a single datagram has it all, and can be opened again.
  std::unique_ptr<codec::MessageContent> content;
};

[[nodiscard]] inline std::size_t octets_in(const Outgoing& message) {
  std::size_t octets = 0;
  for (const Bytes& one : message.datagrams) octets += one.size();
  return octets;
}

}  // namespace culvert::ike::v2
