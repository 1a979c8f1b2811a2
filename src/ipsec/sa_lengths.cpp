#include "ipsec/sa_lengths.hpp"

#include <algorithm>

#include "ipsec/aggfrag_outbound.hpp"
#include "ipsec/mss_clamp.hpp"
#include "ipsec/spd.hpp"
#include "net/header_writer.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::size_t kAhFixed = 12;  // next header to sequence number (RFC 4302 2)

net::PacketInfo plain_packet(net::Family family) {
  net::PacketInfo info;
  info.family = family;
  info.header_length = static_cast<std::uint16_t>(net::ip_header_size(family));
  return info;
}

// The headers that the kernel writes; none where whole packets leave.
std::size_t kernel_front(const SaPair& sa) {
  const SaParams& params = sa.params;
  const bool udp = params.encapsulation == model::Encapsulation::udp;
  if (!udp && (params.protocol == model::ProtocolId::ah || params.mode == model::Mode::transport)) return 0;
  return net::ip_header_size(params.path.remote.address.family()) + (udp ? net::kUdpHeaderSize : 0);
}

// draft-nikander-esp-beet-mode-09 5.4: IPv4 options travel behind a header of 4 octets, both filled up to 8.
std::size_t beet_options(const net::PacketInfo& info) {
  if (info.family == net::Family::v6 || info.header_length <= net::kIpv4HeaderSize) return 0;
  return (info.header_length - net::kIpv4HeaderSize + 4 + 7) / 8 * 8;
}

std::size_t longest_outer(const SaPair& sa, std::size_t max_train_bytes) {
  const std::size_t sendable = max_train_bytes + kernel_front(sa);
  const std::uint16_t mtu = sa.path_mtu.value();
  return mtu == 0 ? sendable : std::min<std::size_t>(mtu, sendable);
}

std::uint16_t mss_of(const SaPair& sa, net::Family family, std::size_t max_train_bytes) {
  const auto& clamp = sa.params.treatment().mss_clamp;
  if (!clamp) return 0;
  if (*clamp != 0) return *clamp;
  // Where AGGFRAG may not cut inner packets, a longer one goes nowhere.
  if (sa.aggfrag && sa.aggfrag->settings.dont_fragment) {
    const std::size_t room = aggfrag_capacity(sa) - sa.aggfrag->packer.header_size();
    return mss_for(static_cast<std::uint32_t>(room), family);
  }
  if (sa.path_mtu.value() == 0) return 0;
  std::size_t mtu = inner_mtu(sa, family, max_train_bytes);
  // RFC 8200 5: IPv6 takes 1280 octets everywhere; below that the outer packet is cut.
  if (family == net::Family::v6) mtu = std::max<std::size_t>(mtu, 1280);
  return mss_for(static_cast<std::uint32_t>(mtu), family);
}

}  // namespace

PathRoom path_room(const SaPair& sa, const net::PacketInfo& info) {
  const SaParams& params = sa.params;
  const EspLayout& layout = sa.outbound.layout;
  const net::Family outer = params.path.remote.address.family();
  PathRoom room;
  room.around = kernel_front(sa);
  std::size_t pseudo = 0;
  if (params.mode != model::Mode::tunnel) {
    room.stripped = info.header_length;
    if (params.mode == model::Mode::beet) pseudo = beet_options(info);
  }
  if (room.around == 0) {
    room.around = params.mode == model::Mode::transport ? info.header_length : net::ip_header_size(outer);
  }
  if (params.protocol == model::ProtocolId::ah) {
    // RFC 4302 3.3.3.2.1: AH is a multiple of 4 octets over IPv4, of 8 over IPv6.
    const std::size_t mask = outer == net::Family::v4 ? 3 : 7;
    room.around += ((kAhFixed + layout.iv + layout.icv + mask) & ~mask) + pseudo;
    return room;
  }
  room.around += layout.head() + layout.icv;
  room.alignment = layout.alignment;
  room.trailer = kEspTrailerSize + pseudo;
  return room;
}

std::size_t longest_inner(const SaPair& sa, const net::PacketInfo& info, std::size_t max_train_bytes) {
  return path_room(sa, info).longest_inner(longest_outer(sa, max_train_bytes));
}

std::size_t inner_mtu(const SaPair& sa, net::Family family, std::size_t max_train_bytes) {
  return longest_inner(sa, plain_packet(family), max_train_bytes);
}

void update_lengths(SaPair& sa, std::size_t max_train_bytes) {
  OutboundSa& out = sa.outbound;
  const model::PacketTreatment& treatment = sa.params.treatment();
  std::size_t longest =
      std::min(inner_mtu(sa, net::Family::v4, max_train_bytes), inner_mtu(sa, net::Family::v6, max_train_bytes));
  // Where the packet's own headers stand in front, their length moves the padding; the exact look comes when a packet
  // is near the bound. BEET's pseudo header has at most 48 octets.
  if (sa.params.mode != model::Mode::tunnel) longest -= std::min(longest, out.layout.alignment + std::size_t{48});
  // RFC 9347: AGGFRAG cuts inner packets itself.
  if (treatment.aggfrag) longest = kMaxInnerPacket;
  out.longest_inner = static_cast<std::uint16_t>(std::min(longest, kMaxInnerPacket));

  const std::uint16_t pad_to = treatment.confidentiality.pad_to;
  const bool known = sa.path_mtu.value() != 0;
  if (pad_to == model::TrafficFlowConfidentiality::kPadToPath) {
    sa.pad_to = known ? out.longest_inner : 0;
  } else {
    sa.pad_to = std::min(pad_to, out.longest_inner);
  }
  // Who sends dummies must know just when the last packet left.
  const bool straight = out.framing == Framing::esp_tunnel && sa.pad_to == 0 && sa.aggfrag == nullptr &&
                        sa.compression == nullptr && !treatment.confidentiality.dummy_after;
  out.straight = straight_of(straight, out.layout);
  out.longest_usual = out.straight == Straight::usual_layout ? out.longest_inner : 0;
  sa.mss_v4 = mss_of(sa, net::Family::v4, max_train_bytes);
  sa.mss_v6 = mss_of(sa, net::Family::v6, max_train_bytes);
}

bool names_ports(const model::TrafficSelectors& selectors) {
  return std::any_of(selectors.begin(), selectors.end(), [](const auto& selector) { return !selector.any_port(); });
}

bool later_fragments_hide(const model::TrafficSelectors& selectors) {
  return names_ports(selectors) ||
         std::any_of(selectors.begin(), selectors.end(), [](const model::TrafficSelector& selector) {
           return selector.protocol != 0 && selector.addresses.family() == net::Family::v6;
         });
}

bool takes_later_fragments(const SaPair& sa, const net::PacketInfo& info) {
  if (!sa.names_ports || sa.params.non_first_fragments) return true;
  net::PacketInfo blind = info;
  blind.ports_visible = false;
  blind.source_port = blind.destination_port = 0;
  return selectors_match(sa.params.local, sa.params.remote, blind);
}

}  // namespace culvert::ipsec
