// Stages 3 to 5 of the outbound path for every mode but ESP in tunnel mode: transport and BEET mode, and AH. The inner
// packet is written so that its payload stands where it belongs; then its own headers, which came with it, move to the
// front or make way.
#include <array>
#include <cstring>

#include "base/check.hpp"
#include "ipsec/ah_mutable_fields.hpp"
#include "ipsec/outbound_path.hpp"
#include "net/header_chain.hpp"
#include "net/header_writer.hpp"

namespace culvert::ipsec {
namespace {

constexpr auto kEsp = static_cast<std::uint8_t>(net::IpProtocol::esp);
constexpr auto kAh = static_cast<std::uint8_t>(net::IpProtocol::ah);
// What a PacketCipher's MAC takes, less ESN's high half.
constexpr std::size_t kMaxAhPacket = 65530;

net::Family outer_family(const SaPair& sa) { return sa.params.path.local.address.family(); }

bool is_transport(Framing framing) {
  return framing == Framing::esp_transport || framing == Framing::esp_transport_in_udp ||
         framing == Framing::ah_transport;
}

// Octets between `front` and the payload.
std::size_t head_size(const SaPair& sa, const Wrapping& wrapping) {
  const EspLayout& layout = sa.outbound.layout;
  return (is_ah(sa.outbound.framing) ? layout.ah(outer_family(sa)) : layout.head()) + wrapping.pseudo;
}

// Octets between ESP's or AH's header and its trailer, not compressed.
std::size_t payload_length(const Wrapping& wrapping, std::size_t inner) {
  return wrapping.pseudo + inner - wrapping.strip;
}

// Octets of the finished packet around such a payload, as far as we make it.
std::size_t wrapped_length(const SaPair& sa, const Wrapping& wrapping, std::size_t payload) {
  const EspLayout& layout = sa.outbound.layout;
  const bool ah = is_ah(sa.outbound.framing);
  return wrapping.front + (ah ? layout.ah(outer_family(sa)) + payload : layout.sealed(payload));
}

}  // namespace

void OutboundPath::protect_wrapped(const InnerPacket& packet, const net::PacketInfo& info, SaPair& sa,
                                   const Segmenter& plan, OutboundSink& sink) {
  const auto wrapping = wrap(sa, packet.bytes, info);
  if (!wrapping) return drops_.count(wrapping.error());
  const Framing framing = sa.outbound.framing;
  const std::size_t longest = wrapped_length(sa, *wrapping, payload_length(*wrapping, plan.length(0)));
  if (longest > options_.max_train_bytes || (is_ah(framing) && longest > kMaxAhPacket)) {
    return drops_.count(DropReason::too_long);
  }
  if (framing == Framing::ah_transport && !ah_can_cover(packet.bytes.first(wrapping->front))) {
    return drops_.count(DropReason::headers_unfit);
  }
  const auto first = take_numbers(sa, plan.count(), plan.total_length());
  if (!first) return;

  OuterFields outer = outer_fields(sa, info.family, info.tos, info.dont_fragment);
  outer.whole_packet = is_whole_packet(framing);
  if (framing != Framing::ah_tunnel) outer.hop_limit = info.ttl;
  if (is_transport(framing)) {
    // The packet keeps its own header fields, whoever writes them.
    outer.tos = info.tos;
    outer.dont_fragment = info.dont_fragment;
  }
  outer.dont_fragment = outer.dont_fragment && !cut_outer_;
  // Where the kernel writes the header, the inner one stands for a moment where the packet before ends.
  const std::size_t head = wrapping->front + head_size(sa, *wrapping);
  const std::size_t in_front = wrapping->strip > head ? wrapping->strip - head : 0;
  const std::uint64_t flow = sa.compression ? FlowKey::of(info).mix() : 0;
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    const std::size_t most = wrapped_length(sa, *wrapping, payload_length(*wrapping, plan.length(i)));
    const bool may_cut = cut_outer_ && outer.whole_packet && most > sa.path_mtu.value();
    const std::size_t most_room = may_cut ? room_for_cut(sa, most) : 0;
    std::uint8_t* const at = reserve(most + most_room, in_front, sink);
    const std::size_t length = frame_wrapped(plan, i, *wrapping, outer, flow, *first + i, sa, at);
    const bool cut = may_cut && length > sa.path_mtu.value();
    const std::size_t room = cut ? most_room : 0;
    if (sa.compression) give_back_behind(at + length + room);
    if (cut) train_end_ = nullptr;
    add_to_train(sa, outer, at, length);
    if (cut) {
      cuts_.push_back({trains_.size() - 1, {at + length, room}, sa.path_mtu.value()});
      train_end_ = nullptr;
    }
  }
}

// AH cannot authenticate headers that change in a way unknown to it; better found out before a number is spent.
bool OutboundPath::ah_can_cover(ByteView headers) {
  const bool plain = headers.size() == net::ip_header_size(headers[0] >> 4 == 4 ? net::Family::v4 : net::Family::v6);
  if (plain) return true;
  const MutableByteView copy = covered_.take(headers.size()).bytes;
  std::memcpy(copy.data(), headers.data(), headers.size());
  return zero_mutable_fields(copy).has_value();
}

// Answers the octets of the packet.
std::size_t OutboundPath::frame_wrapped(const Segmenter& plan, std::uint32_t index, const Wrapping& wrapping,
                                        const OuterFields& outer, std::uint64_t flow, std::uint64_t sequence,
                                        SaPair& sa, std::uint8_t* at) {
  std::uint8_t* const payload = at + wrapping.front + head_size(sa, wrapping);
  std::uint8_t* const source = payload - wrapping.strip;
  if (wrapping.next_header_at != 0 && wrapping.front != 0) {
    plan.write(index, source);
    std::memmove(at, source, wrapping.strip);
  } else {
    // The headers are short here: IPv6 without extension headers or IPv4.
    std::array<std::uint8_t, kMaxIpv4HeaderSize> kept;
    std::array<std::uint8_t, kMaxIpv4HeaderSize> header;
    CHECK(wrapping.strip <= kept.size());
    std::memcpy(kept.data(), source, wrapping.strip);
    plan.write(index, source);
    std::memcpy(header.data(), source, wrapping.strip);
    std::memcpy(source, kept.data(), wrapping.strip);
    if (wrapping.pseudo != 0) write_beet_pseudo_header(payload - wrapping.pseudo, {header.data(), wrapping.strip});
  }
  Payload content{payload_length(wrapping, plan.length(index)), wrapping.next_header};
  if (sa.compression) content = compress_in_place(content, flow, sa, payload - wrapping.pseudo);
  const std::size_t length = wrapped_length(sa, wrapping, content.length);
  if (wrapping.front != 0) write_front(wrapping, outer, sa, {at, length});
  if (is_ah(sa.outbound.framing)) {
    frame_ah(wrapping.front, content.next_header, sequence, sa, {at, length});
  } else {
    frame_esp_around(at + wrapping.front, content.length, content.next_header, sequence, sa);
  }
  return length;
}

// The IP header of a packet that leaves as we make it.
void OutboundPath::write_front(const Wrapping& wrapping, const OuterFields& outer, const SaPair& sa,
                               MutableByteView packet) {
  const std::uint8_t protocol = is_ah(sa.outbound.framing) ? kAh : kEsp;
  if (wrapping.next_header_at == 0) {
    return net::write_ip_header(packet.data(),
                                {.source = sa.params.path.local.address,
                                 .destination = sa.params.path.remote.address,
                                 .protocol = protocol,
                                 .tos = outer.tos,
                                 .ttl = outer.hop_limit,
                                 .dont_fragment = outer.dont_fragment,
                                 .identification = next_identification(),
                                 .payload_length = static_cast<std::uint16_t>(packet.size() - wrapping.front)});
  }
  // The kernel fills in an identification of 0, and AH covers it.
  if (packet[0] >> 4 == 4 && load_be16(packet.data() + 4) == 0) store_be16(packet.data() + 4, next_identification());
  net::close_chain(packet.first(wrapping.front), wrapping.next_header_at, protocol, packet.size());
}

// Never 0. RFC 6864 4: fragments of two datagrams must not meet, so the numbers follow each other.
std::uint16_t OutboundPath::next_identification() {
  if (++identification_ == 0) identification_ = 1;
  return identification_;
}

void OutboundPath::frame_ah(std::size_t front, std::uint8_t next_header, std::uint64_t sequence, SaPair& sa,
                            MutableByteView packet) {
  const EspLayout& layout = sa.outbound.layout;
  const std::size_t ah_size = layout.ah(outer_family(sa));
  std::uint8_t* const ah = packet.data() + front;
  write_ah(ah, ah_size, next_header, sa.outbound.spi, sequence);
  const MutableByteView covered = covered_.take(front + ah_size).bytes;
  std::memcpy(covered.data(), packet.data(), front);
  const auto headers = zero_mutable_fields(covered.first(front));
  CHECK(headers.has_value());  // ah_can_cover said so
  // RFC 4543 4: the IV in the ICV field is authenticated as it is.
  if (layout.iv != 0) store_be64(ah + kAhFixedSize, sequence);
  std::memcpy(covered.data() + *headers, ah, ah_size);
  batch_.add(sa.outbound, make_ah_job(layout, covered.first(*headers + ah_size), ah, ah_size,
                                      packet.size() - front - ah_size, sequence));
}

}  // namespace culvert::ipsec
