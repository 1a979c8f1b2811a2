#include "ipsec/tcp_coalescer.hpp"

#include <algorithm>
#include <cstring>

#include "base/bytes.hpp"
#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kTcpSequenceAt = 4;
constexpr std::size_t kTcpAcknowledgmentAt = 8;
constexpr std::size_t kTcpFlagsAt = 13;
constexpr std::size_t kTcpWindowAt = 14;
constexpr std::size_t kTcpChecksumAt = 16;
constexpr std::size_t kTcpUrgentAt = 18;
constexpr std::uint8_t kTcpPush = 0x08;
constexpr std::uint8_t kTcpAck = 0x10;

bool same(const std::uint8_t* a, const std::uint8_t* b, std::size_t from, std::size_t to) {
  return std::memcmp(a + from, b + from, to - from) == 0;
}

bool same_ipv4_header(const std::uint8_t* a, const std::uint8_t* b) {
  // Version, length and TOS; flags and offset, TTL and protocol; addresses.
  return same(a, b, 0, 2) && same(a, b, 6, 10) && same(a, b, 12, 20);
}

bool same_ipv6_header(const std::uint8_t* a, const std::uint8_t* b) { return same(a, b, 0, 4) && same(a, b, 6, 40); }

bool same_tcp_header(const std::uint8_t* a, const std::uint8_t* b, std::size_t size) {
  return same(a, b, 0, kTcpSequenceAt) && same(a, b, kTcpAcknowledgmentAt, kTcpFlagsAt) &&
         ((a[kTcpFlagsAt] ^ b[kTcpFlagsAt]) & ~kTcpPush) == 0 && same(a, b, kTcpWindowAt, kTcpChecksumAt) &&
         same(a, b, kTcpUrgentAt, size);
}

std::uint64_t pseudo_sum(const net::IpAddress& source, const net::IpAddress& destination, std::size_t length) {
  return net::pseudo_header_sum(source, destination, static_cast<std::uint8_t>(net::IpProtocol::tcp),
                                static_cast<std::uint32_t>(length));
}

// A plain data segment whose checksums are right: only such may be joined, or damage done before the tunnel would be
// covered up.
bool is_candidate(ByteView packet, const net::PacketInfo& info) {
  if (info.protocol != static_cast<std::uint8_t>(net::IpProtocol::tcp) || info.is_fragment) return false;
  const std::size_t plain = info.family == net::Family::v4 ? net::kIpv4HeaderSize : net::kIpv6HeaderSize;
  const std::size_t headers = std::size_t{info.header_length} + info.payload_header_length;
  if (info.header_length != plain || info.payload_header_length == 0 || packet.size() <= headers) return false;
  const std::uint8_t flags = packet[info.header_length + kTcpFlagsAt];
  if ((flags & ~kTcpPush) != kTcpAck) return false;
  if (info.family == net::Family::v4 && net::ipv4_header_checksum(packet.first(plain)) != 0) return false;
  const ByteView segment = packet.subspan(info.header_length);
  return net::checksum_finish(net::checksum_add(pseudo_sum(info.source, info.destination, segment.size()), segment)) ==
         0;
}

}  // namespace

void TcpCoalescer::add(MutableByteView packet, const net::PacketInfo& info, const void* buffer,
                       std::vector<InnerPacket>& list) {
  if (!is_candidate(packet, info)) {
    finish(list);
    list.push_back({packet, {}});
    return;
  }
  const std::size_t headers = std::size_t{info.header_length} + info.payload_header_length;
  if (joins(packet, headers, buffer)) {
    join(packet, headers, list.back());
    return;
  }
  finish(list);
  list.push_back({packet, {.checksum_valid = true}});
  const std::uint8_t* const tcp = packet.data() + info.header_length;
  open_ = (tcp[kTcpFlagsAt] & kTcpPush) == 0;
  buffer_ = buffer;
  first_ = packet.data();
  length_ = packet.size();
  ip_header_ = info.header_length;
  headers_ = static_cast<std::uint16_t>(headers);
  step_ = static_cast<std::uint16_t>(packet.size() - headers);
  segments_ = 1;
  next_sequence_ = load_be32(tcp + kTcpSequenceAt) + step_;
  source_ = info.source;
  destination_ = info.destination;
}

bool TcpCoalescer::joins(MutableByteView packet, std::size_t headers, const void* buffer) const {
  if (!open_ || buffer != buffer_ || headers != headers_) return false;
  const std::size_t payload = packet.size() - headers;
  if (payload > step_ || length_ + payload > kMaxInnerPacket) return false;
  const std::uint8_t* const other = packet.data();
  if ((other[0] >> 4) != (first_[0] >> 4)) return false;
  if ((other[0] >> 4) == 4) {
    if (!same_ipv4_header(first_, other)) return false;
    const bool dont_fragment = (first_[6] & 0x40) != 0;
    const auto expected = static_cast<std::uint16_t>(load_be16(first_ + 4) + segments_);
    if (!dont_fragment && load_be16(other + 4) != expected) return false;
  } else if (!same_ipv6_header(first_, other)) {
    return false;
  }
  return load_be32(other + ip_header_ + kTcpSequenceAt) == next_sequence_ &&
         same_tcp_header(first_ + ip_header_, other + ip_header_, headers - ip_header_);
}

void TcpCoalescer::join(MutableByteView packet, std::size_t headers, InnerPacket& super) {
  const std::size_t payload = packet.size() - headers;
  const std::uint8_t push = packet[ip_header_ + kTcpFlagsAt] & kTcpPush;
  std::memmove(first_ + length_, packet.data() + headers, payload);
  length_ += payload;
  super.bytes = {first_, length_};
  ++segments_;
  next_sequence_ += static_cast<std::uint32_t>(payload);
  // Only the last segment may push or be shorter. PSH in the super-packet's header means its last segment.
  std::uint8_t& flags = first_[ip_header_ + kTcpFlagsAt];
  flags |= push;
  if (push != 0 || payload != step_) complete(super);
}

void TcpCoalescer::finish(std::vector<InnerPacket>& list) {
  if (open_ && segments_ > 1) complete(list.back());
  open_ = false;
}

void TcpCoalescer::complete(InnerPacket& super) {
  open_ = false;
  if ((first_[0] >> 4) == 4) {
    store_be16(first_ + 2, static_cast<std::uint16_t>(length_));
    store_be16(first_ + 10, 0);
    store_be16(first_ + 10, net::ipv4_header_checksum({first_, ip_header_}));
  } else {
    store_be16(first_ + 4, static_cast<std::uint16_t>(length_ - net::kIpv6HeaderSize));
  }
  const std::uint64_t pseudo = pseudo_sum(source_, destination_, length_ - ip_header_);
  store_be16(first_ + ip_header_ + kTcpChecksumAt, static_cast<std::uint16_t>(~net::checksum_finish(pseudo)));
  super.offload = {.segmentation = (first_[0] >> 4) == 4 ? Offload::Segmentation::tcp4 : Offload::Segmentation::tcp6,
                   .segment_size = step_,
                   .header_length = headers_,
                   .checksum_partial = true,
                   .checksum_start = ip_header_,
                   .checksum_offset = kTcpChecksumAt};
}

}  // namespace culvert::ipsec
