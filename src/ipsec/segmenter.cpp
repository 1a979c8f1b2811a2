#include "ipsec/segmenter.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

using Segmentation = Offload::Segmentation;

constexpr std::size_t kTcpSequenceAt = 4;
constexpr std::size_t kTcpFlagsAt = 13;
constexpr std::size_t kTcpChecksumAt = 16;
constexpr std::size_t kUdpLengthAt = 4;
constexpr std::size_t kUdpChecksumAt = 6;
constexpr std::size_t kMaxTransportHeader = 60;
constexpr std::uint8_t kTcpFin = 0x01;
constexpr std::uint8_t kTcpPush = 0x08;
constexpr std::uint8_t kTcpCwr = 0x80;

bool segmentation_fits(const Offload& offload, const net::PacketInfo& info, std::size_t size) {
  if (offload.segment_size == 0 || info.is_fragment || info.total_length != size) return false;
  const auto protocol = static_cast<net::IpProtocol>(info.protocol);
  switch (offload.segmentation) {
    case Segmentation::tcp4:
      return info.family == net::Family::v4 && protocol == net::IpProtocol::tcp && info.payload_header_length != 0;
    case Segmentation::tcp6:
      return info.family == net::Family::v6 && protocol == net::IpProtocol::tcp && info.payload_header_length != 0;
    case Segmentation::udp: return protocol == net::IpProtocol::udp && info.payload_header_length != 0;
    case Segmentation::none: break;
  }
  return false;
}

// RFC 768, RFC 8200 8.1: a UDP checksum that comes out as zero is sent as all ones.
std::uint16_t udp_checksum(std::uint16_t checksum) { return checksum == 0 ? 0xffff : checksum; }

// Of an IPv4 header without length, identification and checksum: what all packets of a super-packet have in common.
// Summing each finished header again would wait for the stores that just changed it.
std::uint64_t sum_of_constant_fields(const std::uint8_t* header) {
  const std::size_t length = std::size_t{header[0] & 0x0fU} * 4;
  return net::checksum_add(net::checksum_add(net::checksum_add(0, {header, 2}), {header + 6, 4}),
                           {header + 12, length - 12});
}

// The same for the TCP or UDP header: without sequence number and flags, or length, and without checksum.
std::uint64_t sum_of_constant_transport(ByteView transport, bool udp) {
  std::array<std::uint8_t, kMaxTransportHeader> header;
  std::memcpy(header.data(), transport.data(), transport.size());
  if (udp) {
    store_be32(header.data() + kUdpLengthAt, 0);
  } else {
    store_be32(header.data() + kTcpSequenceAt, 0);
    header[kTcpFlagsAt] = 0;
    store_be16(header.data() + kTcpChecksumAt, 0);
  }
  return net::checksum_add(0, ByteView(header).first(transport.size()));
}

}  // namespace

bool partial_checksum_fits(const Offload& offload, std::size_t header_length, std::size_t total_length) {
  const std::size_t field = std::size_t{offload.checksum_start} + offload.checksum_offset;
  return offload.checksum_start >= header_length && field + 2 <= total_length;
}

void complete_checksum(MutableByteView packet, std::size_t start, std::size_t field, std::uint8_t protocol) {
  // The field already holds the pseudo header's sum and is summed with the rest.
  std::uint16_t checksum = net::checksum_finish(net::checksum_add(0, packet.subspan(start)));
  if (protocol == static_cast<std::uint8_t>(net::IpProtocol::udp)) checksum = udp_checksum(checksum);
  store_be16(packet.data() + field, checksum);
}

Result<Segmenter, DropReason> Segmenter::make(const InnerPacket& packet, const net::PacketInfo& info) {
  Segmenter plan;
  const Offload& offload = packet.offload;
  plan.source_ = packet.bytes.data();
  plan.payload_ = info.total_length;
  plan.protocol_ = info.protocol;
  plan.family_ = info.family;
  if (offload.segmentation == Segmentation::none) {
    if (!offload.checksum_partial) return plan;
    if (!partial_checksum_fits(offload, info.header_length, info.total_length)) {
      return err(DropReason::offload_mismatch);
    }
    plan.kind_ = Kind::partial_checksum;
    plan.transport_ = offload.checksum_start;
    plan.checksum_at_ = static_cast<std::uint16_t>(offload.checksum_start + offload.checksum_offset);
    return plan;
  }

  if (!segmentation_fits(offload, info, packet.bytes.size())) return err(DropReason::offload_mismatch);
  plan.kind_ = offload.segmentation == Segmentation::udp ? Kind::udp : Kind::tcp;
  plan.transport_ = info.header_length;
  plan.header_ = std::size_t{info.header_length} + info.payload_header_length;
  plan.payload_ = info.total_length - plan.header_;
  plan.step_ = offload.segment_size;
  plan.count_ = std::max<std::uint32_t>(1, static_cast<std::uint32_t>((plan.payload_ + plan.step_ - 1) / plan.step_));
  plan.checksum_at_ =
      static_cast<std::uint16_t>(info.header_length + (plan.kind_ == Kind::udp ? kUdpChecksumAt : kTcpChecksumAt));
  if (info.family == net::Family::v4) plan.ip_sum_ = sum_of_constant_fields(plan.source_);
  CHECK(info.payload_header_length <= kMaxTransportHeader);  // TCP's offset field has four bits
  plan.transport_sum_ = net::pseudo_header_sum(info.source, info.destination, info.protocol, 0) +
                        sum_of_constant_transport(packet.bytes.subspan(plan.transport_, info.payload_header_length),
                                                  plan.kind_ == Kind::udp);
  return plan;
}

std::size_t Segmenter::length(std::uint32_t index) const {
  if (step_ == 0) return payload_;
  return header_ + std::min(step_, payload_ - index * step_);
}

void Segmenter::write(std::uint32_t index, std::uint8_t* out) const {
  const std::size_t size = length(index);
  if (step_ == 0) {
    if (kind_ != Kind::partial_checksum) {
      std::memcpy(out, source_, size);
      return;
    }
    std::memcpy(out, source_, transport_);
    // The field already holds the pseudo header's sum and is summed with the rest.
    std::uint16_t checksum =
        net::checksum_finish(net::checksum_copy(0, {source_ + transport_, size - transport_}, out + transport_));
    if (protocol_ == static_cast<std::uint8_t>(net::IpProtocol::udp)) checksum = udp_checksum(checksum);
    store_be16(out + checksum_at_, checksum);
    return;
  }
  // Summed while it is copied: reading what was just written would wait for the stores.
  const std::uint64_t payload =
      net::checksum_copy(0, {source_ + header_ + index * step_, size - header_}, out + header_);
  write_headers(index, source_, payload, out);
}

std::uint64_t Segmenter::payload_sum(std::uint32_t index) const {
  return net::checksum_add(0, {source_ + header_ + index * step_, length(index) - header_});
}

[[gnu::always_inline]] inline void Segmenter::fix_ip(std::uint8_t* out, const std::uint8_t* original,
                                                     std::uint32_t index, std::size_t length) const {
  if (family_ == net::Family::v6) {
    store_be16(out + 4, static_cast<std::uint16_t>(length - net::kIpv6HeaderSize));
    return;
  }
  const auto identification = static_cast<std::uint16_t>(load_be16(original + 4) + index);
  store_be16(out + 2, static_cast<std::uint16_t>(length));
  store_be16(out + 4, identification);
  store_be16(out + 10, net::checksum_finish(ip_sum_ + length + identification));
}

[[gnu::always_inline]] inline void Segmenter::fix_transport(std::uint8_t* out, const std::uint8_t* original,
                                                            std::uint32_t index, std::size_t length,
                                                            std::uint64_t payload_sum) const {
  std::uint8_t* const header = out + transport_;
  std::uint64_t sum = transport_sum_ + payload_sum + length;
  if (kind_ == Kind::udp) {
    store_be16(header + kUdpLengthAt, static_cast<std::uint16_t>(length));
    store_be16(out + checksum_at_, udp_checksum(net::checksum_finish(sum + length)));
    return;
  }
  const std::uint32_t sequence =
      load_be32(original + transport_ + kTcpSequenceAt) + static_cast<std::uint32_t>(index * step_);
  store_be32(header + kTcpSequenceAt, sequence);
  // CWR belongs to the first segment only (RFC 3168 6.1.2), PSH and FIN to the last.
  std::uint8_t cleared = 0;
  if (index != 0) cleared |= kTcpCwr;
  if (index + 1 != count_) cleared |= kTcpFin | kTcpPush;
  const auto flags = static_cast<std::uint8_t>(original[transport_ + kTcpFlagsAt] & ~cleared);
  header[kTcpFlagsAt] = flags;
  sum += (sequence >> 16) + (sequence & 0xffff) + flags;
  store_be16(out + checksum_at_, net::checksum_finish(sum));
}

void Segmenter::write_headers(std::uint32_t index, const std::uint8_t* original, std::uint64_t payload_sum,
                              std::uint8_t* out) const {
  const std::size_t size = length(index);
  std::memcpy(out, original, header_);
  fix_ip(out, original, index, size);
  fix_transport(out, original, index, size - transport_, payload_sum);
}

}  // namespace culvert::ipsec
