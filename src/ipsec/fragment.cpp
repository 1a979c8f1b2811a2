#include "ipsec/fragment.hpp"

#include <algorithm>
#include <cstring>

#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kUnit = 8;  // offsets count in these
constexpr std::size_t kFragmentHeaderSize = 8;
constexpr std::uint16_t kMoreV4 = 0x2000;
constexpr std::uint16_t kDontV4 = 0x4000;
constexpr std::uint16_t kOffsetV4 = 0x1fff;
constexpr std::uint8_t kOptionCopied = 0x80;
constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNoOperation = 1;

bool is_extension(std::uint8_t protocol) {
  const auto next = static_cast<net::IpProtocol>(protocol);
  return next == net::IpProtocol::hop_by_hop || next == net::IpProtocol::routing ||
         next == net::IpProtocol::destination_options;
}

// The parser has walked the same headers and found them whole.
std::optional<FragmentFields> read_v6(ByteView packet) {
  FragmentFields fields;
  std::size_t next_at = 6;
  std::size_t offset = net::kIpv6HeaderSize;
  for (unsigned followed = 0; followed < net::kMaxIpv6Extensions; ++followed) {
    const std::uint8_t next = packet[next_at];
    const bool is_fragment = static_cast<net::IpProtocol>(next) == net::IpProtocol::fragment;
    if (!is_fragment && !is_extension(next)) return std::nullopt;
    if (packet.size() - offset < kFragmentHeaderSize) return std::nullopt;
    const std::uint8_t* const extension = packet.data() + offset;
    const std::size_t size = is_fragment ? kFragmentHeaderSize : kUnit * (std::size_t{extension[1]} + 1);
    if (size > packet.size() - offset) return std::nullopt;
    const std::uint16_t word = is_fragment ? load_be16(extension + 2) : std::uint16_t{0};
    if (is_fragment && (word & 0xfff9) != 0) {
      fields.offset = word & 0xfff8;
      fields.more = (word & 1) != 0;
      fields.protocol = extension[0];
      fields.identification = load_be32(extension + 4);
      fields.header_length = static_cast<std::uint16_t>(offset);
      fields.payload_at = static_cast<std::uint16_t>(offset + size);
      fields.next_header_at = static_cast<std::uint16_t>(next_at);
      return fields;
    }
    next_at = offset;
    offset += size;
  }
  return std::nullopt;
}

FragmentFields read_v4(ByteView packet) {
  FragmentFields fields;
  const std::uint16_t word = load_be16(packet.data() + 6);
  fields.identification = load_be16(packet.data() + 4);
  fields.offset = static_cast<std::uint16_t>((word & kOffsetV4) * kUnit);
  fields.more = (word & kMoreV4) != 0;
  fields.protocol = packet[9];
  fields.header_length = static_cast<std::uint16_t>(4 * (packet[0] & 0x0f));
  fields.payload_at = fields.header_length;
  return fields;
}

}  // namespace

std::optional<FragmentFields> fragment_fields(ByteView packet, const net::PacketInfo& info) {
  packet = packet.first(info.total_length);
  const bool v4 = info.family == net::Family::v4;
  std::optional<FragmentFields> fields = v4 ? read_v4(packet) : read_v6(packet);
  if (!fields) return std::nullopt;
  const std::size_t length = packet.size() - fields->payload_at;
  if (length == 0 || (fields->more && length % kUnit != 0)) return std::nullopt;
  // RFC 8200 4.5: what would become longer than a packet can be is discarded. RFC 791 likewise has no such packet.
  const std::size_t fixed = v4 ? 0 : net::kIpv6HeaderSize;
  if (fields->header_length - fixed + fields->offset + length > 65535) return std::nullopt;
  fields->length = static_cast<std::uint16_t>(length);
  if ((fields->offset != 0) != info.is_later_fragment) return std::nullopt;
  return fields;
}

bool rewrites_transport_header(const FragmentFields& fields) {
  if (fields.offset == 0) return false;
  switch (static_cast<net::IpProtocol>(fields.protocol)) {
    case net::IpProtocol::tcp: return fields.offset < net::kTcpHeaderSize;
    case net::IpProtocol::sctp:
    case net::IpProtocol::dccp: return fields.offset < 12;
    default: return false;  // eight octets, the smallest offset, hold ports, ICMP type or Mobility Header type
  }
}

std::optional<FragmentCutter> FragmentCutter::make(ByteView packet, const net::PacketInfo& info, std::size_t longest,
                                                   std::uint32_t identification) {
  if (info.total_length <= longest) return std::nullopt;
  FragmentCutter cutter;
  cutter.packet_ = packet.first(info.total_length);
  cutter.family_ = info.family;
  cutter.identification_ = identification;
  if (info.family == net::Family::v4) {
    cutter.kept_ = std::size_t{4} * (packet[0] & 0x0f);
    cutter.first_head_ = cutter.kept_;
    cutter.copy_options_for_later();
  } else {
    if (!cutter.find_unfragmentable_part()) return std::nullopt;
    cutter.first_head_ = cutter.later_head_ = cutter.kept_ + kFragmentHeaderSize;
  }
  if (!cutter.plan(longest)) return std::nullopt;
  return cutter;
}

bool FragmentCutter::plan(std::size_t longest) {
  if (longest < first_head_ + kUnit) return false;
  first_step_ = (longest - first_head_) / kUnit * kUnit;
  later_step_ = (longest - later_head_) / kUnit * kUnit;
  const std::size_t payload = packet_.size() - kept_;
  // The tail of an IPv4 packet that only just does not fit may go into one fragment all the same.
  if (payload <= first_step_) return false;
  count_ = 1 + (payload - first_step_ + later_step_ - 1) / later_step_;
  return true;
}

// RFC 791 3.1: options with the copied bit stand in every fragment, the others in the first only.
void FragmentCutter::copy_options_for_later() {
  std::memcpy(later_header_.data(), packet_.data(), net::kIpv4HeaderSize);
  std::size_t out = net::kIpv4HeaderSize;
  for (std::size_t at = net::kIpv4HeaderSize; at < kept_;) {
    const std::uint8_t type = packet_[at];
    if (type == kOptionEnd) break;
    if (type == kOptionNoOperation) {
      ++at;
      continue;
    }
    // What does not parse as an option ends the list; it stays in the first fragment as it is.
    if (at + 1 >= kept_) break;
    const std::size_t size = packet_[at + 1];
    if (size < 2 || size > kept_ - at) break;
    if ((type & kOptionCopied) != 0) {
      std::memcpy(later_header_.data() + out, packet_.data() + at, size);
      out += size;
    }
    at += size;
  }
  later_head_ = (out + 3) / 4 * 4;  // the rest is zero: end of options
  later_header_[0] = static_cast<std::uint8_t>(0x40 | (later_head_ / 4));
}

// RFC 8200 4.5: hop-by-hop options and everything up to the last Routing header stand in every fragment.
bool FragmentCutter::find_unfragmentable_part() {
  kept_ = net::kIpv6HeaderSize;
  next_header_at_ = 6;
  std::size_t next_at = 6;
  std::size_t offset = net::kIpv6HeaderSize;
  while (is_extension(packet_[next_at])) {
    const auto kind = static_cast<net::IpProtocol>(packet_[next_at]);
    if (packet_.size() - offset < kUnit) return false;
    const std::size_t size = kUnit * (std::size_t{packet_[offset + 1]} + 1);
    if (size > packet_.size() - offset) return false;
    next_at = offset;
    offset += size;
    if (kind != net::IpProtocol::destination_options) {
      kept_ = offset;
      next_header_at_ = next_at;
    }
  }
  return static_cast<net::IpProtocol>(packet_[next_at]) != net::IpProtocol::fragment;
}

std::size_t FragmentCutter::payload_of(std::size_t index) const {
  const std::size_t left = packet_.size() - kept_ - start_of(index);
  return std::min(index == 0 ? first_step_ : later_step_, left);
}

std::size_t FragmentCutter::total_length() const {
  return first_head_ + (count_ - 1) * later_head_ + packet_.size() - kept_;
}

void FragmentCutter::write(std::size_t index, std::uint8_t* out) const {
  if (family_ == net::Family::v4) {
    write_v4(index, out);
  } else {
    write_v6(index, out);
  }
  std::memcpy(out + head_of(index), packet_.data() + kept_ + start_of(index), payload_of(index));
}

void FragmentCutter::write_v4(std::size_t index, std::uint8_t* out) const {
  const std::size_t head = head_of(index);
  std::memcpy(out, index == 0 ? packet_.data() : later_header_.data(), head);
  store_be16(out + 2, static_cast<std::uint16_t>(length(index)));
  // RFC 791 3.2: offsets go on from the packet's own, and only the original's last piece says that no more follow.
  const std::uint16_t original = load_be16(packet_.data() + 6);
  const std::size_t units = (original & kOffsetV4) + start_of(index) / kUnit;
  const bool more = index + 1 < count_ || (original & kMoreV4) != 0;
  const std::uint16_t word = static_cast<std::uint16_t>((original & kDontV4) | (more ? kMoreV4 : 0) | units);
  store_be16(out + 6, word);
  store_be16(out + 10, 0);
  store_be16(out + 10, net::ipv4_header_checksum({out, head}));
}

void FragmentCutter::write_v6(std::size_t index, std::uint8_t* out) const {
  std::memcpy(out, packet_.data(), kept_);
  store_be16(out + 4, static_cast<std::uint16_t>(length(index) - net::kIpv6HeaderSize));
  std::uint8_t* const header = out + kept_;
  header[0] = packet_[next_header_at_];
  header[1] = 0;
  out[next_header_at_] = static_cast<std::uint8_t>(net::IpProtocol::fragment);
  store_be16(header + 2, static_cast<std::uint16_t>(start_of(index) | (index + 1 < count_ ? 1 : 0)));
  store_be32(header + 4, identification_);
}

}  // namespace culvert::ipsec
