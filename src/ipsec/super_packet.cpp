#include "ipsec/super_packet.hpp"

#include <array>
#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kTcpSequenceAt = 4;
constexpr std::size_t kTcpFlagsAt = 13;
constexpr std::size_t kTcpChecksumAt = 16;
constexpr std::size_t kUdpLengthAt = 4;
constexpr std::size_t kUdpChecksumAt = 6;
constexpr std::uint8_t kDontFragment = 0x40;  // in the octet where IPv4's flags begin
constexpr std::uint8_t kTcpPush = 0x08;
constexpr std::uint8_t kTcpAck = 0x10;

std::uint64_t word(const std::uint8_t* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

bool ip_checksum_right(ByteView packet, std::size_t ip_header) {
  return packet[0] >> 4 != 4 || net::ipv4_header_checksum(packet.first(ip_header)) == 0;
}

// A copy of so many octets, at least a piece. In pieces of one length, of which the last overlaps the one in front.
class KeptHeaders {
 public:
  KeptHeaders(const std::uint8_t* from, std::size_t size) { copy(octets_.data(), from, size); }
  void put_back(std::uint8_t* to, std::size_t size) const { copy(to, octets_.data(), size); }

 private:
  static constexpr std::size_t kPiece = 16;
  static void copy(std::uint8_t* to, const std::uint8_t* from, std::size_t size) {
    for (std::size_t at = 0; at + kPiece < size; at += kPiece) std::memcpy(to + at, from + at, kPiece);
    std::memcpy(to + size - kPiece, from + size - kPiece, kPiece);
  }
  std::array<std::uint8_t, 128> octets_;
};

std::uint64_t pseudo_sum_of(const net::PacketInfo& info) {
  return net::pseudo_header_sum(info.source, info.destination, info.protocol, 0);
}

}  // namespace

bool SuperPacket::is_candidate(ByteView packet, const net::PacketInfo& info, bool udp) {
  const auto protocol = static_cast<net::IpProtocol>(info.protocol);
  const bool datagram = protocol == net::IpProtocol::udp;
  if ((protocol != net::IpProtocol::tcp && !(datagram && udp)) || info.is_fragment) return false;
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
  // Only such may be joined whose checksums are right, or damage done before the tunnel would be covered up.
  const ByteView segment = packet.subspan(plain);
  return ip_checksum_right(packet, plain) &&
         net::checksum_finish(net::checksum_add(pseudo_sum_of(info) + segment.size(), segment)) == 0;
}

void SuperPacket::begin(MutableByteView packet, const net::PacketInfo& info, const void* buffer,
                        const TcpJoining& joining) {
  const std::uint8_t* const transport = packet.data() + info.header_length;
  datagrams_ = info.protocol == static_cast<std::uint8_t>(net::IpProtocol::udp);
  over_push_ = !datagrams_ && joining.over_push;
  open_ = datagrams_ || over_push_ || (transport[kTcpFlagsAt] & kTcpPush) == 0;
  longest_ = datagrams_ ? kMaxInnerPacket : joining.longest;
  v4_ = info.family == net::Family::v4;
  buffer_ = buffer;
  first_ = packet.data();
  length_ = packet.size();
  ip_header_ = info.header_length;
  headers_ = static_cast<std::uint16_t>(info.header_length + info.payload_header_length);
  step_ = static_cast<std::uint16_t>(packet.size() - headers_);
  segments_ = 1;
  pieces_[0] = packet;
  piece_count_ = 1;
  next_sequence_ = datagrams_ ? 0 : load_be32(transport + kTcpSequenceAt) + step_;
  pseudo_sum_ = pseudo_sum_of(info);
  remember_headers();
}

// All has to be the same but what may differ from packet to packet, and is looked at by itself: lengths, checksums,
// IPv4's identification, TCP's sequence number and PSH.
void SuperPacket::remember_headers() {
  CHECK(headers_ <= kMostHeaders && headers_ >= net::kIpv4HeaderSize);
  std::memcpy(like_.data(), first_, headers_);
  std::memset(mask_.data(), 0xff, headers_);
  const auto differs = [this](std::size_t at, std::size_t octets) { std::memset(mask_.data() + at, 0, octets); };
  if (v4_) {
    differs(2, 4);
    differs(10, 2);
  } else {
    differs(4, 2);
  }
  if (datagrams_) {
    differs(ip_header_ + kUdpLengthAt, 4);
  } else {
    differs(ip_header_ + kTcpSequenceAt, 4);
    differs(ip_header_ + kTcpChecksumAt, 2);
    mask_[ip_header_ + kTcpFlagsAt] = static_cast<std::uint8_t>(~kTcpPush);
  }
  std::array<std::uint8_t, kMostHeaders> shared;
  for (std::size_t at = 0; at < headers_; ++at) shared[at] = like_[at] & mask_[at];
  ip_sum_ = net::checksum_add(0, ByteView(shared).first(ip_header_));
  transport_sum_ = net::checksum_add(pseudo_sum_, ByteView(shared).subspan(ip_header_, headers_ - ip_header_));
}

bool SuperPacket::follow(MutableByteView text, const void* buffer) {
  if (!open_ || text.size() <= headers_) return false;
  const std::size_t length = v4_ ? load_be16(text.data() + 2) : net::kIpv6HeaderSize + load_be16(text.data() + 4);
  return length <= text.size() && append(text.first(length), buffer, true);
}

bool SuperPacket::has_same_headers(const std::uint8_t* packet) const {
  std::uint64_t differs = 0;
  const auto look = [&](std::size_t at) {
    differs |= (word(packet + at) ^ word(like_.data() + at)) & word(mask_.data() + at);
  };
  // The last word overlaps the one before: what stands behind the headers is none of them.
  for (std::size_t at = 0; at + sizeof(std::uint64_t) < headers_; at += sizeof(std::uint64_t)) look(at);
  look(headers_ - sizeof(std::uint64_t));
  return differs == 0;
}

// Whether what may differ is what it has to be in the packet behind; the transport's checksum apart.
bool SuperPacket::continues(ByteView packet) const {
  const std::uint8_t* const transport = packet.data() + ip_header_;
  if (v4_) {
    const std::uint16_t identification = load_be16(packet.data() + 4);
    const bool counts = (like_[6] & kDontFragment) == 0;
    if (counts && identification != static_cast<std::uint16_t>(load_be16(like_.data() + 4) + segments_)) return false;
    const std::uint64_t sum = ip_sum_ + load_be16(packet.data() + 2) + identification + load_be16(packet.data() + 10);
    if (net::checksum_finish(sum) != 0) return false;
  }
  if (!datagrams_) return load_be32(transport + kTcpSequenceAt) == next_sequence_;
  return load_be16(transport + kUdpLengthAt) == packet.size() - ip_header_ &&
         load_be16(transport + kUdpChecksumAt) != 0;
}

// Of pseudo header and transport header, where the packet has the same headers and continues.
std::uint64_t SuperPacket::sum_of_headers(ByteView packet) const {
  const std::uint8_t* const transport = packet.data() + ip_header_;
  const std::uint64_t sum = transport_sum_ + (packet.size() - ip_header_);
  if (datagrams_) return sum + load_be16(transport + kUdpLengthAt) + load_be16(transport + kUdpChecksumAt);
  return sum + (next_sequence_ >> 16) + (next_sequence_ & 0xffff) + (transport[kTcpFlagsAt] & kTcpPush) +
         load_be16(transport + kTcpChecksumAt);
}

bool SuperPacket::append(MutableByteView packet, const void* buffer, bool behind) {
  if (!open_ || packet.size() <= headers_) return false;
  const std::size_t payload = packet.size() - headers_;
  if (payload > step_ || length_ + payload > longest_) return false;
  if (!has_same_headers(packet.data()) || !continues(packet)) return false;
  // The last segment's PSH is the super-packet's.
  const auto push = static_cast<std::uint8_t>(datagrams_ ? 0 : packet[ip_header_ + kTcpFlagsAt] & kTcpPush);
  if (!take_payload(packet, buffer, behind && buffer == buffer_)) return false;
  if (!datagrams_) {
    first_[ip_header_ + kTcpFlagsAt] |= push;
    next_sequence_ += static_cast<std::uint32_t>(payload);
  }
  length_ += payload;
  ++segments_;
  const bool most = datagrams_ && segments_ == kMostDatagrams;
  if ((push != 0 && !over_push_) || payload != step_ || most) open_ = false;
  return true;
}

// The payload comes to stand behind that in front; false, and all is as it was, when a checksum is wrong, or there is
// no piece left. Summed while it moves: one pass over it instead of two.
bool SuperPacket::take_payload(MutableByteView packet, const void* buffer, bool behind) {
  const MutableByteView payload = packet.subspan(headers_);
  const std::uint64_t sum = sum_of_headers(packet);
  if (!behind) {
    if (piece_count_ == kMaxPieces || net::checksum_finish(net::checksum_add(sum, payload)) != 0) return false;
    buffer_ = buffer;
    pieces_[piece_count_++] = payload;
    return true;
  }
  // The packet's own headers may go under.
  const KeptHeaders headers(packet.data(), headers_);
  MutableByteView& piece = pieces_[piece_count_ - 1U];
  std::uint8_t* const to = piece.data() + piece.size();
  if (net::checksum_finish(net::checksum_copy(sum, payload, to)) != 0) [[unlikely]] {
    std::memmove(payload.data(), to, payload.size());
    headers.put_back(packet.data(), headers_);
    return false;
  }
  piece = {piece.data(), piece.size() + payload.size()};
  return true;
}

bool SuperPacket::is_of_flow(ByteView packet, const net::PacketInfo& info) const {
  if (v4_ != (info.family == net::Family::v4)) return false;
  const std::size_t at = v4_ ? 12 : 8;
  const std::size_t octets = v4_ ? 8 : 32;
  if (std::memcmp(packet.data() + at, first_ + at, octets) != 0) return false;
  const auto protocol = datagrams_ ? net::IpProtocol::udp : net::IpProtocol::tcp;
  const auto its = static_cast<net::IpProtocol>(info.protocol);
  if (info.is_fragment || (its != net::IpProtocol::tcp && its != net::IpProtocol::udp)) return true;
  return its == protocol && std::memcmp(packet.data() + info.header_length, first_ + ip_header_, 4) == 0;
}

void SuperPacket::deliver(std::vector<InnerPacket>& list) {
  open_ = false;
  const Offload offload = segments_ > 1 ? complete() : Offload{.checksum_valid = true};
  list.push_back({pieces_[0], offload, piece_count_});
  for (std::uint16_t i = 1; i < piece_count_; ++i) list.push_back({pieces_[i], {}});
}

Offload SuperPacket::complete() {
  const std::size_t transport_length = length_ - ip_header_;
  if (v4_) {
    store_be16(first_ + 2, static_cast<std::uint16_t>(length_ > kMaxInnerPacket ? 0 : length_));
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
  return {.segmentation = datagrams_ ? Segmentation::udp
                          : v4_      ? Segmentation::tcp4
                                     : Segmentation::tcp6,
          .segment_size = step_,
          .header_length = headers_,
          .checksum_partial = true,
          .checksum_start = ip_header_,
          .checksum_offset = static_cast<std::uint16_t>(checksum_at)};
}

}  // namespace culvert::ipsec
