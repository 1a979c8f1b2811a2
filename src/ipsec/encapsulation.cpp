#include "ipsec/encapsulation.hpp"

#include <cstring>

#include "net/header_chain.hpp"
#include "net/header_writer.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kBeetFixedSize = 4;  // next header, length, padding, reserved
constexpr std::uint8_t kNoOperation = 1;

// draft-nikander-esp-beet-mode-09 5.4: the options start on a multiple of 8 less 4, so that the whole ends on one of 8.
std::size_t beet_padding(std::size_t options) { return 4 - (options & 4); }

Result<Wrapping, DropReason> wrap_transport(const SaPair& sa, ByteView packet, const net::PacketInfo& info) {
  // RFC 4301 4.1, RFC 4303 3.3.4, RFC 4302 3.3.4: transport mode is for whole packets.
  if (info.is_fragment) return err(DropReason::transport_fragment);
  // RFC 4301 4.1: transport mode is between the hosts that the packet's addresses name.
  const net::Path& path = sa.params.path;
  if (info.source != path.local.address || net::final_destination(packet) != path.remote.address) {
    return err(DropReason::transport_address);
  }
  const net::ChainEnd end = net::transport_insertion_point(packet);
  Wrapping wrapping{.strip = end.length,
                    .front = end.length,
                    .next_header_at = end.next_header_at,
                    .next_header = packet[end.next_header_at]};
  if (sa.outbound.framing == Framing::esp_transport_in_udp) {
    // The kernel's header in front of UDP has no options and no extension headers.
    if (end.length != net::ip_header_size(info.family)) return err(DropReason::headers_unfit);
    wrapping.front = 0;
  }
  return wrapping;
}

Result<Wrapping, DropReason> wrap_beet(ByteView packet, const net::PacketInfo& info, std::size_t front) {
  if (info.is_fragment) return err(DropReason::transport_fragment);
  // Extension headers travel behind ESP, as Linux has it.
  if (info.family == net::Family::v6) {
    return Wrapping{.strip = net::kIpv6HeaderSize, .front = front, .next_header = packet[6]};
  }
  Wrapping wrapping{.strip = info.header_length, .front = front, .next_header = info.protocol};
  const std::size_t options = wrapping.strip - net::kIpv4HeaderSize;
  if (options != 0) {
    wrapping.pseudo = kBeetFixedSize + beet_padding(options) + options;
    wrapping.next_header = kBeetPseudoHeader;
  }
  return wrapping;
}

}  // namespace

Result<Wrapping, DropReason> wrap(const SaPair& sa, ByteView packet, const net::PacketInfo& info) {
  const std::size_t outer_header = net::ip_header_size(sa.params.path.local.address.family());
  switch (sa.outbound.framing) {
    case Framing::esp_transport_in_udp:
    case Framing::esp_transport:
    case Framing::ah_transport: return wrap_transport(sa, packet, info);
    case Framing::esp_beet: return wrap_beet(packet, info, 0);
    case Framing::ah_beet: return wrap_beet(packet, info, outer_header);
    case Framing::esp_tunnel:
    case Framing::ah_tunnel: break;
  }
  const auto inner = info.family == net::Family::v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6;
  return Wrapping{.front = sa.outbound.framing == Framing::ah_tunnel ? outer_header : 0,
                  .next_header = static_cast<std::uint8_t>(inner)};
}

void write_beet_pseudo_header(std::uint8_t* at, ByteView header) {
  const ByteView options = header.subspan(net::kIpv4HeaderSize);
  const std::size_t padding = beet_padding(options.size());
  at[0] = header[9];
  at[1] = static_cast<std::uint8_t>(options.size() / 8);
  at[2] = static_cast<std::uint8_t>(padding);
  at[3] = 0;
  std::memset(at + kBeetFixedSize, kNoOperation, padding);
  std::memcpy(at + kBeetFixedSize + padding, options.data(), options.size());
}

void write_ah(std::uint8_t* at, std::size_t ah_size, std::uint8_t next_header, std::uint32_t spi,
              std::uint64_t sequence) {
  at[0] = next_header;
  // RFC 4302 2.2: in 32-bit words, minus two.
  at[1] = static_cast<std::uint8_t>(ah_size / 4 - 2);
  store_be16(at + 2, 0);
  store_be32(at + 4, spi);
  store_be32(at + 8, static_cast<std::uint32_t>(sequence));
  std::memset(at + kAhFixedSize, 0, ah_size - kAhFixedSize);
}

crypto::PacketJob make_ah_job(const EspLayout& layout, ByteView covered, std::uint8_t* ah, std::size_t ah_size,
                              std::size_t payload_length, std::uint64_t sequence) {
  crypto::PacketJob job;
  job.aad = covered;
  job.iv = layout.iv == 0 ? nullptr : ah + kAhFixedSize;
  job.icv = ah + kAhFixedSize + layout.iv;
  job.input = ah + ah_size;
  job.output = ah + ah_size;
  job.length = payload_length;
  if (layout.extended) {
    // RFC 4302 2.5.1, 3.3.3.2.2: the high half follows the payload and is not sent.
    store_be32(job.mac_suffix.data(), static_cast<std::uint32_t>(sequence >> 32));
    job.mac_suffix_length = 4;
  }
  return job;
}

}  // namespace culvert::ipsec
