// What the inbound path does for AH, transport and BEET mode: AH's stages 2 and 3, and stage 6 where the inner packet
// gets its IP header back in memory of our own.
#include <cstring>

#include "ipsec/ah_mutable_fields.hpp"
#include "ipsec/encapsulation.hpp"
#include "ipsec/inbound_path.hpp"
#include "ipsec/spd.hpp"
#include "ipsec/transport_checksum.hpp"
#include "net/header_chain.hpp"
#include "net/header_writer.hpp"

namespace culvert::ipsec {
namespace {

constexpr auto kEsp = static_cast<std::uint8_t>(net::IpProtocol::esp);
constexpr auto kAh = static_cast<std::uint8_t>(net::IpProtocol::ah);
constexpr unsigned kMaxNesting = 4;
constexpr std::size_t kMaxAhPacket = 65530;  // what a PacketCipher's MAC takes, less ESN's high half
constexpr std::uint8_t kHopLimit = 64;       // where the outer one is not known
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::size_t kMaxIpv4Options = 40;

// The headers in front of ESP or AH, checked against each other and the packet's length.
Result<net::ChainEnd, DropReason> check_headers(ByteView headers, std::uint8_t protocol, std::size_t payload) {
  const auto end = net::chain_end(headers);
  if (!end || headers[end->next_header_at] != protocol) return err(DropReason::outer_malformed);
  const bool v4 = headers[0] >> 4 == 4;
  const std::size_t length = v4 ? load_be16(headers.data() + 2) : net::kIpv6HeaderSize + load_be16(headers.data() + 4);
  if (length != headers.size() + payload) return err(DropReason::outer_malformed);
  // RFC 4302 3.4.1, RFC 4303 3.4.1: reassembly comes first.
  if (v4 && (load_be16(headers.data() + 6) & 0x3fff) != 0) return err(DropReason::outer_fragment);
  return *end;
}

// What the headers say of a packet that has ESP or AH next.
net::PacketInfo info_of(ByteView headers, std::uint8_t protocol) {
  net::PacketInfo info;
  const bool v4 = headers[0] >> 4 == 4;
  info.family = v4 ? net::Family::v4 : net::Family::v6;
  info.source = net::IpAddress::load(info.family, headers.data() + (v4 ? 12 : 8));
  info.destination = net::IpAddress::load(info.family, headers.data() + (v4 ? 16 : 24));
  info.protocol = protocol;
  return info;
}

std::uint8_t hop_limit_of(const WireInput& input) { return input.hop_limit != 0 ? input.hop_limit : kHopLimit; }

// BEET's payload without its pseudo header (draft-nikander-esp-beet-mode-09 5.4).
struct BeetPayload {
  MutableByteView payload;
  ByteView options;
  std::uint8_t protocol = 0;
};

Result<BeetPayload, DropReason> read_beet(MutableByteView payload, std::uint8_t next_header, net::Family inner) {
  if (next_header != kBeetPseudoHeader) return BeetPayload{payload, {}, next_header};
  // Next header, length in units of 8 octets less one, padding in front of the options, reserved.
  if (payload.size() < 4 || inner != net::Family::v4) return err(DropReason::beet_malformed);
  const std::size_t size = (payload[1] + std::size_t{1}) * 8;
  const std::size_t options_at = std::size_t{4} + payload[2];
  if (size > payload.size() || options_at > size) return err(DropReason::beet_malformed);
  const std::size_t options = size - options_at;
  if (options > kMaxIpv4Options || options % 4 != 0) return err(DropReason::beet_malformed);
  return BeetPayload{payload.subspan(size), payload.subspan(options_at, options), payload[0]};
}

}  // namespace

// Stages 2 and 3 of AH. There is room in the batch.
void InboundPath::enqueue_ah(const WireInput& input, MutableByteView packet, const Nested* nested, Instant now) {
  if (packet.size() < kAhFixedSize) return drops_.count(DropReason::ah_malformed);
  Item item{.input = &input, .packet = packet, .nested = nested};
  const ByteView headers = item.headers();
  const auto end = check_headers(headers, kAh, packet.size());
  if (!end) return drops_.count(end.error());
  SaPair* const sa = find(load_be32(packet.data() + 4), true, input, packet, nested, now);
  if (sa == nullptr) return;
  const EspLayout& layout = sa->inbound.layout;
  // RFC 4302 2.2: in 32-bit words, minus two. Some pad to 8 octets over IPv4 too; the ICV covers the padding.
  const std::size_t ah_size = (std::size_t{packet[1]} + 2) * 4;
  const std::size_t icv_field = std::size_t{layout.iv} + layout.icv;
  if (ah_size < kAhFixedSize + icv_field || ah_size > packet.size() || headers.size() + packet.size() > kMaxAhPacket) {
    return drops_.count(DropReason::ah_malformed);
  }
  const auto sequence = check_replay(*sa, load_be32(packet.data() + 8));
  if (!sequence) return;

  // RFC 4302 3.4.4: the ICV counts as zero, and so do fields that change on the way. An IV in front of it does not (RFC
  // 4543 4).
  const MutableByteView covered = covered_.take(headers.size() + ah_size).bytes;
  std::memcpy(covered.data(), headers.data(), headers.size());
  const auto kept = zero_mutable_fields(covered.first(headers.size()));
  if (!kept) return drops_.count(DropReason::outer_malformed);
  std::uint8_t* const ah = covered.data() + *kept;
  std::memcpy(ah, packet.data(), ah_size);
  std::memset(ah + kAhFixedSize + layout.iv, 0, layout.icv);

  if (sa->inbound.resync.failing()) keep_for_trial(sa->inbound, packet, now);
  item.sa = sa;
  item.sequence = *sequence;
  item.ah_size = static_cast<std::uint16_t>(ah_size);
  items_[batch_.size()] = item;
  straight_[batch_.size()] = {};
  batch_.add(sa->inbound, make_ah_job(layout, covered.first(*kept + ah_size), packet.data(), ah_size,
                                      packet.size() - ah_size, *sequence));
}

// Stage 6 in transport mode: the packet's own headers, closed over the payload.
auto InboundPath::unwrap_transport(const Item& item, MutableByteView payload, std::uint8_t next_header)
    -> Result<Decapsulated, DropReason> {
  const SaParams& params = item.sa->params;
  const bool in_udp = item.nested == nullptr && item.input->encapsulation == model::Encapsulation::udp;
  const net::Path& path = item.input->path;
  const ByteView headers = item.headers();
  net::ChainEnd end{net::ip_header_size(path.local.address.family()), 0};
  if (!in_udp) {
    const auto checked = check_headers(headers, item.ah_size != 0 ? kAh : kEsp, item.packet.size());
    if (!checked) return err(checked.error());
    end = *checked;
  }
  const Arena::Piece piece = built_.take(end.length + payload.size());
  const MutableByteView front = piece.bytes.first(end.length);
  if (in_udp) {
    // RFC 3948 3.1.2: UDP and ESP go, and the IP header stays; what the socket did not tell of it is as for a datagram
    // that is not fragmented.
    net::write_ip_header(front.data(), {.source = path.remote.address,
                                        .destination = path.local.address,
                                        .protocol = next_header,
                                        .tos = item.input->tos,
                                        .ttl = hop_limit_of(*item.input),
                                        .dont_fragment = true,
                                        .payload_length = static_cast<std::uint16_t>(payload.size())});
  } else {
    std::memcpy(front.data(), headers.data(), headers.size());
    net::close_chain(front, end.next_header_at, next_header, piece.bytes.size());
  }
  if (next_header == kEsp || next_header == kAh) return nest(item, front, payload, next_header);

  std::memcpy(piece.bytes.data() + end.length, payload.data(), payload.size());
  auto info = net::parse_packet(piece.bytes);
  if (!info) return err(DropReason::decapsulated_malformed);
  // RFC 3948 3.1.2: the checksum was made with the addresses in front of the NATs.
  if (const OriginalAddresses* const original = params.original.get(); original != nullptr) {
    move_transport_checksum(piece.bytes, *info, original->remote.value_or(info->source),
                            original->local.value_or(info->destination));
  }
  // RFC 4301 5.2 (4, 5): in transport mode the packet's addresses are the outer ones, and the selectors decide about
  // them. ESP's ICV does not cover these: whoever can change a packet on its way can let it come from any address that
  // the selectors admit. IKE and the configuration admit the two ends only.
  if (const auto mismatch = match(item, piece.bytes, *info)) return err(*mismatch);
  if (NatPeer* const peer = nat_peer_of(*item.sa)) {
    if (const auto taken = nat_.take_in(*peer, *item.sa, spd_, piece.bytes, *info, now_)) return err(*taken);
  }
  return Decapsulated{piece.bytes, *info, piece.chunk};
}

// RFC 4301 5.2: what comes out of an SA and is ESP or AH again goes through the path once more.
auto InboundPath::nest(const Item& item, ByteView headers, MutableByteView payload, std::uint8_t next_header)
    -> Result<Decapsulated, DropReason> {
  const unsigned depth = item.nested != nullptr ? item.nested->depth + 1 : 1;
  if (depth > kMaxNesting) return err(DropReason::nested_too_deep);
  Nested nested{.input = item.input,
                .headers = to_bytes(headers),
                .packet = payload,
                .protocol = next_header,
                .unmatched = item.nested != nullptr ? item.nested->unmatched : std::vector<const SaPair*>{},
                .depth = depth};
  const net::PacketInfo info = info_of(headers, next_header);
  if (!selectors_match(item.sa->params.remote, item.sa->params.local, info)) nested.unmatched.push_back(item.sa);
  pending_.push_back(std::move(nested));
  return Decapsulated{};
}

// Stage 6 in BEET mode: a header with the inner addresses, which stand in no packet, and the fields of the outer one.
auto InboundPath::unwrap_beet(const Item& item, MutableByteView payload, std::uint8_t next_header)
    -> Result<Decapsulated, DropReason> {
  const SaParams& params = item.sa->params;
  const net::IpAddress source = params.remote.front().addresses.first;
  const net::IpAddress destination = params.local.front().addresses.first;
  const auto beet = read_beet(payload, next_header, source.family());
  if (!beet) return err(beet.error());
  net::IpHeader header{.source = source,
                       .destination = destination,
                       .protocol = beet->protocol,
                       .tos = item.input->tos,
                       .ttl = hop_limit_of(*item.input),
                       .dont_fragment = true,
                       .payload_length = static_cast<std::uint16_t>(beet->payload.size())};
  const ByteView outer = item.headers();
  if (outer.size() >= net::kIpv4HeaderSize && outer[0] >> 4 == 4) {
    header.dont_fragment = (load_be16(outer.data() + 6) & kDontFragment) != 0;
    header.identification = load_be16(outer.data() + 4);
  }
  const std::size_t fixed = net::ip_header_size(source.family());
  const std::size_t front = fixed + beet->options.size();
  const Arena::Piece piece = built_.take(front + beet->payload.size());
  std::uint8_t* const at = piece.bytes.data();
  // Shorter inner addresses than outer ones never make the packet longer than an IPv4 packet can be.
  if (source.is_v4() && piece.bytes.size() > 65535) return err(DropReason::decapsulated_malformed);
  net::write_ip_header(at, header);
  if (!beet->options.empty()) {
    std::memcpy(at + fixed, beet->options.data(), beet->options.size());
    at[0] = static_cast<std::uint8_t>(0x40 | front / 4);
    net::close_chain(piece.bytes.first(front), 9, beet->protocol, piece.bytes.size());
  }
  std::memcpy(at + front, beet->payload.data(), beet->payload.size());
  const auto info = net::parse_packet(piece.bytes);
  if (!info) return err(DropReason::decapsulated_malformed);
  if (const auto mismatch = match(item, piece.bytes, *info)) return err(*mismatch);
  return Decapsulated{piece.bytes, *info, piece.chunk};
}

}  // namespace culvert::ipsec
