// Outgoing: one message of ours as it goes out, in one datagram or in fragments (RFC 7383), kept for as long as it may
// have to be sent again.
#pragma once

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
  /// RFC 7383 2.5.2: from which smaller fragments can be made; null when there are none, or never will be.
  std::unique_ptr<codec::MessageContent> content;
  std::uint16_t size = 0;  // with `content`: octets of an IP datagram that these datagrams were made for at the most
};

}  // namespace culvert::ike::v2
