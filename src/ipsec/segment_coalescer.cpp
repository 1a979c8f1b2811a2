#include "ipsec/segment_coalescer.hpp"

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
constexpr std::size_t kUdpLengthAt = 4;
constexpr std::size_t kUdpChecksumAt = 6;
constexpr std::uint8_t kTcpPush = 0x08;
constexpr std::uint8_t kTcpAck = 0x10;

bool same(const std::uint8_t* a, const std::uint8_t* b, std::size_t from, std::size_t to) {
  return std::memcmp(a + from, b + from, to - from) == 0;
}

bool same_tcp_header(const std::uint8_t* a, const std::uint8_t* b, std::size_t size) {
  return same(a, b, 0, kTcpSequenceAt) && same(a, b, kTcpAcknowledgmentAt, kTcpFlagsAt) &&
         ((a[kTcpFlagsAt] ^ b[kTcpFlagsAt]) & ~kTcpPush) == 0 && same(a, b, kTcpWindowAt, kTcpChecksumAt) &&
         same(a, b, kTcpUrgentAt, size);
}

// Of a packet whose IP header has `ip_header` octets. Only such may be joined whose checksums are right, or damage done
// before the tunnel would be covered up.
bool checksums_right(ByteView packet, std::size_t ip_header, std::uint64_t pseudo_sum) {
  if (packet[0] >> 4 == 4 && net::ipv4_header_checksum(packet.first(ip_header)) != 0) return false;
  const ByteView segment = packet.subspan(ip_header);
  return net::checksum_finish(net::checksum_add(pseudo_sum + segment.size(), segment)) == 0;
}

std::uint64_t pseudo_sum_of(const net::PacketInfo& info) {
  return net::pseudo_header_sum(info.source, info.destination, info.protocol, 0);
}

}  // namespace

// A plain data segment, or datagram.
bool SegmentCoalescer::is_candidate(ByteView packet, const net::PacketInfo& info) const {
  const auto protocol = static_cast<net::IpProtocol>(info.protocol);
  const bool datagram = protocol == net::IpProtocol::udp;
  if ((protocol != net::IpProtocol::tcp && !(datagram && udp_)) || info.is_fragment) return false;
  const std::size_t plain = info.family == net::Family::v4 ? net::kIpv4HeaderSize : net::kIpv6HeaderSize;
  const std::size_t headers = std::size_t{info.header_length} + info.payload_header_length;
  if (info.header_length != plain || info.payload_header_length == 0 || packet.size() <= headers) return false;
  const std::uint8_t* const transport = packet.data() + plain;
  if (datagram) {
    if (load_be16(transport + kUdpChecksumAt) == 0) return false;
    if (load_be16(transport + kUdpLengthAt) != packet.size() - plain) return false;
  } else if ((transport[kTcpFlagsAt] & ~kTcpPush) != kTcpAck) {
    return false;
  }
  return checksums_right(packet, plain, pseudo_sum_of(info));
}

void SegmentCoalescer::add(MutableByteView packet, const net::PacketInfo& info, const void* buffer,
                           std::vector<InnerPacket>& list) {
  if (!is_candidate(packet, info)) {
    finish(list);
    list.push_back({packet, {}});
    return;
  }
  const std::size_t headers = std::size_t{info.header_length} + info.payload_header_length;
  if (joins(packet, headers, buffer)) return join(packet, buffer, list);
  finish(list);
  head_ = list.size();
  list.push_back({packet, {.checksum_valid = true}});
  const std::uint8_t* const transport = packet.data() + info.header_length;
  datagrams_ = info.protocol == static_cast<std::uint8_t>(net::IpProtocol::udp);
  open_ = datagrams_ || (transport[kTcpFlagsAt] & kTcpPush) == 0;
  v4_ = info.family == net::Family::v4;
  buffer_ = buffer;
  first_ = packet.data();
  length_ = packet.size();
  ip_header_ = info.header_length;
  headers_ = static_cast<std::uint16_t>(headers);
  step_ = static_cast<std::uint16_t>(packet.size() - headers);
  segments_ = 1;
  pieces_ = 1;
  next_sequence_ = datagrams_ ? 0 : load_be32(transport + kTcpSequenceAt) + step_;
  pseudo_sum_ = pseudo_sum_of(info);
}

bool SegmentCoalescer::follow(MutableByteView text, const void* buffer, std::vector<InnerPacket>& list) {
  if (!open_ || text.size() <= headers_) return false;
  const std::size_t length = v4_ ? load_be16(text.data() + 2) : net::kIpv6HeaderSize + load_be16(text.data() + 4);
  if (length <= headers_ || length > text.size()) return false;
  const MutableByteView packet = text.first(length);
  if (!joins(packet, headers_, buffer) || !checksums_right(packet, ip_header_, pseudo_sum_)) return false;
  join(packet, buffer, list);
  return true;
}

// Everything between version and addresses but what may differ from packet to packet.
bool SegmentCoalescer::same_ip_header(const std::uint8_t* other) const {
  if (!v4_) return same(first_, other, 0, 4) && same(first_, other, 6, net::kIpv6HeaderSize);
  // Version, length and TOS; flags and offset, TTL and protocol; addresses.
  if (!same(first_, other, 0, 2) || !same(first_, other, 6, 10) || !same(first_, other, 12, net::kIpv4HeaderSize)) {
    return false;
  }
  const bool dont_fragment = (first_[6] & 0x40) != 0;
  const auto expected = static_cast<std::uint16_t>(load_be16(first_ + 4) + segments_);
  return dont_fragment || load_be16(other + 4) == expected;
}

bool SegmentCoalescer::joins(MutableByteView packet, std::size_t headers, const void* buffer) const {
  if (!open_ || headers != headers_ || (buffer != buffer_ && pieces_ == kMaxPieces)) return false;
  const std::size_t payload = packet.size() - headers;
  if (payload > step_ || length_ + payload > kMaxInnerPacket) return false;
  if (!same_ip_header(packet.data())) return false;
  const std::uint8_t* const open = first_ + ip_header_;
  const std::uint8_t* const other = packet.data() + ip_header_;
  if (datagrams_) {
    return same(open, other, 0, kUdpLengthAt) && load_be16(other + kUdpLengthAt) == packet.size() - ip_header_ &&
           load_be16(other + kUdpChecksumAt) != 0;
  }
  return load_be32(other + kTcpSequenceAt) == next_sequence_ && same_tcp_header(open, other, headers - ip_header_);
}

void SegmentCoalescer::join(MutableByteView packet, const void* buffer, std::vector<InnerPacket>& list) {
  const MutableByteView payload = packet.subspan(headers_);
  std::uint8_t push = 0;
  if (!datagrams_) {
    // Only the last segment may push. PSH in the super-packet's header means its last segment.
    push = packet[ip_header_ + kTcpFlagsAt] & kTcpPush;
    first_[ip_header_ + kTcpFlagsAt] |= push;
    next_sequence_ += static_cast<std::uint32_t>(payload.size());
  }
  if (buffer == buffer_) {
    // The packet's own headers may go under.
    MutableByteView& piece = list.back().bytes;
    std::memmove(piece.data() + piece.size(), payload.data(), payload.size());
    piece = {piece.data(), piece.size() + payload.size()};
  } else {
    buffer_ = buffer;
    list.push_back({payload, {}});
    list[head_].pieces = ++pieces_;
  }
  length_ += payload.size();
  ++segments_;
  const bool most = datagrams_ && segments_ == kMostDatagrams;
  if (push != 0 || payload.size() != step_ || most) complete(list[head_]);
}

void SegmentCoalescer::finish(std::vector<InnerPacket>& list) {
  if (open_ && segments_ > 1) complete(list[head_]);
  open_ = false;
}

void SegmentCoalescer::complete(InnerPacket& super) {
  open_ = false;
  const std::size_t transport_length = length_ - ip_header_;
  if (v4_) {
    store_be16(first_ + 2, static_cast<std::uint16_t>(length_));
    store_be16(first_ + 10, 0);
    store_be16(first_ + 10, net::ipv4_header_checksum({first_, ip_header_}));
  } else {
    store_be16(first_ + 4, static_cast<std::uint16_t>(length_ - net::kIpv6HeaderSize));
  }
  if (datagrams_) store_be16(first_ + ip_header_ + kUdpLengthAt, static_cast<std::uint16_t>(transport_length));
  const std::size_t checksum_at = datagrams_ ? kUdpChecksumAt : kTcpChecksumAt;
  // The sum of the pseudo header, not complemented: the kernel adds the rest.
  store_be16(first_ + ip_header_ + checksum_at,
             static_cast<std::uint16_t>(~net::checksum_finish(pseudo_sum_ + transport_length)));
  using Segmentation = Offload::Segmentation;
  super.offload = {.segmentation = datagrams_ ? Segmentation::udp
                                   : v4_      ? Segmentation::tcp4
                                              : Segmentation::tcp6,
                   .segment_size = step_,
                   .header_length = headers_,
                   .checksum_partial = true,
                   .checksum_start = ip_header_,
                   .checksum_offset = static_cast<std::uint16_t>(checksum_at)};
}

}  // namespace culvert::ipsec
