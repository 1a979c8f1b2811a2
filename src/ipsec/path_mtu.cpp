#include "ipsec/path_mtu.hpp"

#include <algorithm>

namespace culvert::ipsec {
namespace {

constexpr std::size_t kEspQuote = 8;  // SPI, sequence number
constexpr std::size_t kAhQuote = 12;  // next header, length, reserved; SPI; sequence number (RFC 4302 2)

}  // namespace

bool PathMtu::lower(std::uint16_t reported, std::uint16_t floor, Instant until) {
  const std::uint16_t lowest = std::max(reported, floor);
  if (value_ != 0 && lowest >= value_) return false;
  value_ = lowest;
  lowered_until_ = until;
  return true;
}

bool PathMtu::age(Instant now) {
  if (!lowered_until_ || now < *lowered_until_) return false;
  reset();
  return true;
}

std::optional<QuotedHeader> quoted_header(ByteView quoted, model::ProtocolId protocol) {
  const bool ah = protocol == model::ProtocolId::ah;
  if (quoted.size() < (ah ? kAhQuote : kEspQuote)) return std::nullopt;
  const std::uint8_t* const at = quoted.data() + (ah ? 4 : 0);
  return QuotedHeader{load_be32(at), load_be32(at + 4)};
}

}  // namespace culvert::ipsec
