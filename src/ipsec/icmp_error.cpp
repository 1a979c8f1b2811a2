#include "ipsec/icmp_error.hpp"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "net/checksum.hpp"
#include "net/header_writer.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kIcmpHeaderSize = 8;
constexpr std::size_t kMaxIcmpV4Error = 576;
constexpr std::uint8_t kUnreachable = 3;
constexpr std::uint8_t kFragmentationNeeded = 4;
constexpr std::uint8_t kPacketTooBig = 2;

bool is_extension(std::uint8_t protocol) {
  const auto next = static_cast<net::IpProtocol>(protocol);
  return next == net::IpProtocol::hop_by_hop || next == net::IpProtocol::routing ||
         next == net::IpProtocol::destination_options || next == net::IpProtocol::fragment;
}

// The ports of a quoted upper-layer header, or what stands for them, turned round.
void read_ports(net::PacketInfo& flow, ByteView upper) {
  switch (static_cast<net::IpProtocol>(flow.protocol)) {
    case net::IpProtocol::tcp:
    case net::IpProtocol::udp:
    case net::IpProtocol::udp_lite:
    case net::IpProtocol::sctp:
    case net::IpProtocol::dccp:
      if (upper.size() < 4) return;
      flow.source_port = load_be16(upper.data() + 2);
      flow.destination_port = load_be16(upper.data());
      break;
    case net::IpProtocol::icmp:
    case net::IpProtocol::icmpv6:
      if (upper.size() < 2) return;
      flow.source_port = flow.destination_port = load_be16(upper.data());
      break;
    case net::IpProtocol::mobility:
      if (upper.size() < 3) return;
      flow.source_port = flow.destination_port = static_cast<std::uint16_t>(upper[2] << 8);
      break;
    default: return;
  }
  flow.ports_visible = true;
}

std::optional<net::PacketInfo> quoted_v4(ByteView quoted) {
  if (quoted.size() < net::kIpv4HeaderSize || (quoted[0] >> 4) != 4) return std::nullopt;
  const std::size_t header = std::size_t{4} * (quoted[0] & 0x0f);
  if (header < net::kIpv4HeaderSize) return std::nullopt;
  net::PacketInfo flow;
  flow.source = net::IpAddress::load(net::Family::v4, quoted.data() + 16);
  flow.destination = net::IpAddress::load(net::Family::v4, quoted.data() + 12);
  flow.protocol = quoted[9];
  const bool later = (load_be16(quoted.data() + 6) & 0x1fff) != 0;
  if (!later && header <= quoted.size()) read_ports(flow, quoted.subspan(header));
  return flow;
}

std::optional<net::PacketInfo> quoted_v6(ByteView quoted) {
  if (quoted.size() < net::kIpv6HeaderSize || (quoted[0] >> 4) != 6) return std::nullopt;
  net::PacketInfo flow;
  flow.family = net::Family::v6;
  flow.source = net::IpAddress::load(net::Family::v6, quoted.data() + 24);
  flow.destination = net::IpAddress::load(net::Family::v6, quoted.data() + 8);
  flow.protocol = quoted[6];
  ByteView rest = quoted.subspan(net::kIpv6HeaderSize);
  for (unsigned followed = 0; is_extension(flow.protocol); ++followed) {
    // What the packet carries stays unknown then, and only a selector for any protocol can match it.
    if (followed == net::kMaxIpv6Extensions || rest.size() < 8) return flow;
    const bool is_fragment = static_cast<net::IpProtocol>(flow.protocol) == net::IpProtocol::fragment;
    const std::size_t size = is_fragment ? 8 : std::size_t{8} * (rest[1] + std::size_t{1});
    const bool later = is_fragment && (load_be16(rest.data() + 2) & 0xfff8) != 0;
    flow.protocol = rest[0];
    if (later || size > rest.size()) return flow;
    rest = rest.subspan(size);
  }
  read_ports(flow, rest);
  return flow;
}

// Where the checksum of a quoted upper-layer header is; nothing for one without ports.
std::optional<std::size_t> checksum_place(std::uint8_t protocol) {
  switch (static_cast<net::IpProtocol>(protocol)) {
    case net::IpProtocol::tcp: return 16;
    case net::IpProtocol::udp:
    case net::IpProtocol::udp_lite: return 6;
    default: return std::nullopt;
  }
}

// RFC 1624 3.
std::uint16_t moved_sum(std::uint16_t sum, std::uint16_t before, std::uint16_t after) {
  std::uint32_t wide = static_cast<std::uint16_t>(~sum);
  wide += static_cast<std::uint16_t>(~before);
  wide += after;
  while (wide >> 16 != 0) wide = (wide & 0xffff) + (wide >> 16);
  return static_cast<std::uint16_t>(~wide);
}

// Words of an error, each with the checksums over it.
class QuoteWriter {
 public:
  QuoteWriter(std::uint8_t* icmp, bool sum_is_partial) : icmp_(icmp), fixed_(sum_is_partial) {}

  void put(std::uint8_t* at, std::uint16_t value) {
    const std::uint16_t before = load_be16(at);
    store_be16(at, value);
    if (!fixed_) store_be16(icmp_ + 2, moved_sum(load_be16(icmp_ + 2), before, value));
  }
  /// The same with a checksum in the quote that covers the word.
  void put(std::uint8_t* at, std::uint16_t value, std::initializer_list<std::uint8_t*> sums) {
    for (std::uint8_t* const sum : sums) {
      if (sum != nullptr) put(sum, moved_sum(load_be16(sum), load_be16(at), value));
    }
    put(at, value);
  }
  void put(std::uint8_t* at, const net::IpAddress& address, std::initializer_list<std::uint8_t*> sums) {
    const ByteView octets = address.bytes();
    for (std::size_t i = 0; i < octets.size(); i += 2) put(at + i, load_be16(octets.data() + i), sums);
  }

 private:
  std::uint8_t* icmp_;
  bool fixed_;
};

bool is_one_host(const net::IpAddress& address) {
  if (address.is_unspecified() || address.is_multicast() || address.is_loopback()) return false;
  return !address.is_v4() || load_be32(address.bytes().data()) != 0xffffffff;
}

}  // namespace

bool is_icmp_error(const net::PacketInfo& info) {
  if (!info.ports_visible) return false;
  const auto type = static_cast<std::uint8_t>(info.source_port >> 8);
  if (info.family == net::Family::v6) {
    return info.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmpv6) && type < 128;
  }
  if (info.protocol != static_cast<std::uint8_t>(net::IpProtocol::icmp)) return false;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

std::optional<net::PacketInfo> quoted_flow(ByteView error, const net::PacketInfo& info) {
  const std::size_t at = info.header_length + kIcmpHeaderSize;
  if (at > info.total_length) return std::nullopt;
  const ByteView quoted = error.first(info.total_length).subspan(at);
  auto flow = info.family == net::Family::v4 ? quoted_v4(quoted) : quoted_v6(quoted);
  // An error goes to the source of what it is about; another address would make it a weapon against third parties.
  if (!flow || flow->destination != info.destination) return std::nullopt;
  return flow;
}

bool change_quote(MutableByteView error, const net::PacketInfo& info, const QuoteChange& change, bool sum_is_partial) {
  const bool v4 = info.family == net::Family::v4;
  const std::size_t at = info.header_length + kIcmpHeaderSize;
  if (at + net::ip_header_size(info.family) > info.total_length) return false;
  std::uint8_t* const quoted = error.data() + at;
  const std::size_t head = v4 ? std::size_t{4} * (quoted[0] & 0x0f) : net::kIpv6HeaderSize;
  const std::uint8_t protocol = v4 ? quoted[9] : quoted[6];
  const bool first = !v4 || (load_be16(quoted + 6) & 0x1fff) == 0;
  const std::size_t upper_size = info.total_length - std::min<std::size_t>(info.total_length, at + head);
  std::uint8_t* const upper = quoted + head;
  const auto place = checksum_place(protocol);
  const bool ports = change.source_port || change.destination_port;
  if (ports && (!first || !place || upper_size < 4)) return false;
  std::uint8_t* sum = first && place && *place + 2 <= upper_size ? upper + *place : nullptr;
  // A UDP checksum of zero is none.
  if (sum != nullptr && load_be16(sum) == 0 && *place == 6) sum = nullptr;
  QuoteWriter out(error.data() + info.header_length, sum_is_partial);
  std::uint8_t* const ip_sum = v4 ? quoted + 10 : nullptr;
  const std::size_t addresses = v4 ? 12 : 8;
  if (change.source) out.put(quoted + addresses, *change.source, {ip_sum, sum});
  if (change.destination)
    out.put(quoted + addresses + change.destination->bytes().size(), *change.destination, {ip_sum, sum});
  if (change.source_port) out.put(upper, *change.source_port, {sum});
  if (change.destination_port) out.put(upper + 2, *change.destination_port, {sum});
  return true;
}

std::optional<std::size_t> make_too_long_error(ByteView packet, const net::PacketInfo& info, std::uint16_t mtu,
                                               std::array<std::uint8_t, kMaxIcmpError>& out) {
  // RFC 1122 3.2.2, RFC 4443 2.4(e): no errors about errors, later fragments, or what went to or came from many.
  if (is_icmp_error(info) || info.is_later_fragment) return std::nullopt;
  if (!is_one_host(info.source) || !is_one_host(info.destination)) return std::nullopt;
  const bool v4 = info.family == net::Family::v4;
  const std::size_t head = net::ip_header_size(info.family);
  const std::size_t room = (v4 ? kMaxIcmpV4Error : kMaxIcmpError) - head - kIcmpHeaderSize;
  const std::size_t quoted = std::min<std::size_t>(room, info.total_length);
  const std::size_t length = kIcmpHeaderSize + quoted;
  const auto protocol = v4 ? net::IpProtocol::icmp : net::IpProtocol::icmpv6;
  net::write_ip_header(out.data(), {.source = info.destination,
                                    .destination = info.source,
                                    .protocol = static_cast<std::uint8_t>(protocol),
                                    .payload_length = static_cast<std::uint16_t>(length)});
  std::uint8_t* const icmp = out.data() + head;
  std::memset(icmp, 0, kIcmpHeaderSize);
  icmp[0] = v4 ? kUnreachable : kPacketTooBig;
  icmp[1] = v4 ? kFragmentationNeeded : 0;
  store_be16(icmp + 6, mtu);  // RFC 1191 4; in ICMPv6 the low half of a field of 32 bits
  std::memcpy(icmp + kIcmpHeaderSize, packet.data(), quoted);
  // RFC 4443 2.3: the ICMPv6 checksum covers the pseudo header.
  const std::uint64_t pseudo =
      v4 ? 0
         : net::pseudo_header_sum(info.destination, info.source, static_cast<std::uint8_t>(protocol),
                                  static_cast<std::uint32_t>(length));
  store_be16(icmp + 2, net::checksum_finish(net::checksum_add(pseudo, {icmp, length})));
  return head + length;
}

}  // namespace culvert::ipsec
