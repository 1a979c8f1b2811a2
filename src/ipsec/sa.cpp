#include "ipsec/sa.hpp"

#include <algorithm>
#include <array>

#include "ipsec/event_queue.hpp"
#include "ipsec/sa_lengths.hpp"
#include "model/proposal.hpp"

namespace culvert::ipsec {
namespace {

UseBounds bounds_of(const model::Lifetime& soft, const model::Lifetime& hard) {
  const auto bound = [](std::uint64_t value) { return value == 0 ? UseBounds::kNone : value; };
  return {.soft_packets = bound(soft.packets),
          .soft_bytes = bound(soft.bytes),
          .hard_packets = bound(hard.packets),
          .hard_bytes = bound(hard.bytes)};
}

bool is_one_address(const model::TrafficSelectors& selectors) {
  return selectors.size() == 1 && selectors[0].addresses.first == selectors[0].addresses.last;
}

// RFC 4303 2.6, 2.7: padding behind a packet needs one that says how long it is itself, as in tunnel mode; TCP in
// transport mode does not. AH has neither padding nor dummies.
bool confidentiality_fits(const model::ChildSaParams& params) {
  const model::TrafficFlowConfidentiality& wanted = params.treatment.confidentiality;
  if (wanted.pad_to == 0 && !wanted.dummy_after) return true;
  return params.protocol == model::ProtocolId::esp && params.mode == model::Mode::tunnel;
}

bool keys_fit(const crypto::PacketSuite& suite, const model::SaKeys& keys) {
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  return keys.encryption.size() == sizes.encryption_key && keys.integrity.size() == sizes.integrity_key;
}

// RFC 9347 5.1: AGGFRAG is for ESP tunnels, and what is in them is not compressed.
bool aggfrag_fits(const model::ChildSaParams& params) {
  const auto& aggfrag = params.treatment.aggfrag;
  if (!aggfrag) return true;
  return params.protocol == model::ProtocolId::esp && params.mode == model::Mode::tunnel && !params.ipcomp &&
         !params.treatment.confidentiality.dummy_after &&
         (aggfrag->packet_size == 0 || aggfrag->packet_size >= AggfragSa::kLeastPacketSize);
}

// RFC 3173 3.3: to compress takes the peer's CPI.
bool ipcomp_fits(const model::ChildSaParams& params) {
  if (params.treatment.compress && !params.ipcomp) return false;
  return !params.ipcomp || (cpi_is_usable(params.ipcomp->cpi_inbound) && cpi_is_usable(params.ipcomp->cpi_outbound));
}

}  // namespace

EspLayout layout_of(const crypto::PacketSuite& suite, model::EsnId esn) {
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  return {.iv = static_cast<std::uint8_t>(sizes.iv),
          .icv = static_cast<std::uint8_t>(sizes.icv),
          // RFC 4303 2.4: the trailer ends on a 4-octet boundary, whatever the cipher's block.
          .alignment = static_cast<std::uint8_t>(std::max<std::size_t>(4, sizes.block)),
          .aead = suite.is_aead(),
          .random_iv = sizes.iv != 0 && !suite.counter_iv(),
          .implicit_iv = suite.implicit_iv(),
          .extended = esn == model::EsnId::esn};
}

bool goes_together(const model::ChildSaParams& params) {
  const net::Path& path = params.path;
  const bool ah = params.protocol == model::ProtocolId::ah;
  // RFC 3948 1: only ESP travels in UDP.
  if (ah ? params.encapsulation != model::Encapsulation::none : params.protocol != model::ProtocolId::esp) return false;
  if (path.local.address.family() != path.remote.address.family()) return false;
  if (params.mode != model::Mode::beet) return true;
  return is_one_address(params.local) && is_one_address(params.remote) &&
         params.local[0].addresses.family() == params.remote[0].addresses.family();
}

Framing framing_of(model::ProtocolId protocol, model::Mode mode, model::Encapsulation encapsulation) {
  const bool ah = protocol == model::ProtocolId::ah;
  switch (mode) {
    case model::Mode::tunnel: return ah ? Framing::ah_tunnel : Framing::esp_tunnel;
    case model::Mode::beet: return ah ? Framing::ah_beet : Framing::esp_beet;
    case model::Mode::transport: break;
  }
  if (ah) return Framing::ah_transport;
  return encapsulation == model::Encapsulation::udp ? Framing::esp_transport_in_udp : Framing::esp_transport;
}

OutboundSa::OutboundSa(const SaKeyPair& keys, const SaProfile& profile, const model::ChildSaParams& params)
    : cipher(keys, KeyDirection::outbound),
      spi(params.spi_outbound.value()),
      sequence(params.suite.esn == model::EsnId::esn, params.sequence_used, params.sequence_granted),
      framing(framing_of(params.protocol, params.mode, params.encapsulation)),
      layout(layout_of(profile.suite, params.suite.esn)),
      meter(profile.bounds) {}

void OutboundSa::set_outer(const SaProfile& profile, const net::Path& path, model::Encapsulation encapsulation) {
  cipher.set_owners_half(0);
  if (profile.number == 0 || !path.local.address.is_v4() || !path.remote.address.is_v4()) return;
  static_assert(ProfileTable::kMostNumbers <= 0xffff >> 2);
  const bool bare = encapsulation == model::Encapsulation::none;
  if (path.local.transport != path.remote.transport) return;
  cipher.set_owners_half(
      static_cast<std::uint16_t>(profile.number << 2 | unsigned{path.over_tcp()} << 1 | unsigned{bare}));
  const std::array ports_of{path.local.port, path.remote.port};
  std::array<std::uint8_t, sizeof addresses> octets{};
  std::ranges::copy(path.local.address.bytes(), octets.begin());
  std::ranges::copy(path.remote.address.bytes(), octets.begin() + 4);
  addresses = std::bit_cast<std::uint64_t>(octets);
  ports = std::bit_cast<std::uint32_t>(ports_of);
}

InboundSa::InboundSa(const SaKeyPair& keys, const SaProfile& profile, const model::ChildSaParams& params)
    : meter(profile.bounds),
      layout(layout_of(profile.suite, params.suite.esn)),
      window(params.replay_window, params.suite.esn == model::EsnId::esn),
      peer(PeerWord::of(params.path.remote, params.encapsulation)),
      ah(params.protocol == model::ProtocolId::ah),
      in_place(params.mode == model::Mode::tunnel),
      cipher(keys, KeyDirection::inbound) {}

SaParams::SaParams(const model::ChildSaParams& params, std::shared_ptr<const SaProfile> shared)
    : profile(std::move(shared)),
      path(params.path),
      encapsulation(params.encapsulation),
      protocol(params.protocol),
      mode(params.mode),
      non_first_fragments(params.non_first_fragments),
      spi_inbound(params.spi_inbound),
      id(params.id),
      connection(params.connection),
      local(params.local),
      remote(params.remote),
      ipcomp(params.ipcomp) {
  if (params.original_local || params.original_remote) {
    original = std::make_unique<OriginalAddresses>(params.original_local, params.original_remote);
  }
}

SaPair::SaPair(const model::ChildSaParams& all, std::shared_ptr<const SaProfile> profile, CipherPool& ciphers)
    : params(all, std::move(profile)),
      names_ports(ipsec::names_ports(all.local) || ipsec::names_ports(all.remote)),
      held(all.hold_outbound),
      path_mtu(all.path_mtu),
      keys_(ciphers, params.profile->suite, all.outbound, all.inbound),
      outbound(keys_, *params.profile, all),
      inbound(keys_, *params.profile, all) {
  const auto from = params.remote.range_v4();
  const auto to = params.local.range_v4();
  outbound.set_outer(*params.profile, params.path, params.encapsulation);
  inbound.has_ranges = from && to;
  if (!inbound.has_ranges) return;
  inbound.remote = *from;
  inbound.local = *to;
}

Result<std::unique_ptr<SaPair>, DataPlaneError> SaPair::make(const model::ChildSaParams& params, SaShared& shared) {
  const auto suite = model::packet_suite(params.protocol, params.suite);
  if (!suite) return err(DataPlaneError::unsupported_suite);
  if (!goes_together(params) || !confidentiality_fits(params)) return err(DataPlaneError::unsupported_mode);
  if (!keys_fit(*suite, params.inbound) || !keys_fit(*suite, params.outbound) ||
      shared.suites.library(*suite) == nullptr) {
    return err(DataPlaneError::unsupported_suite);
  }
  if (!aggfrag_fits(params) || !ipcomp_fits(params)) return err(DataPlaneError::unsupported_mode);
  auto profile = shared.profiles.share({*suite, bounds_of(params.soft, params.hard), params.treatment});
  std::unique_ptr<SaPair> pair(new SaPair(params, std::move(profile), shared.ciphers));
  const model::PacketTreatment& treatment = pair->params.treatment();
  if (treatment.aggfrag) {
    pair->aggfrag = std::make_unique<AggfragSa>(*treatment.aggfrag);
    pair->aggfrag->replaces = params.replaces;
  }
  if (treatment.compress) pair->compression = std::make_unique<CompressionBackoff>();
  pair->settle(pair->held);
  return pair;
}

void SaPair::move_to(const net::Path& path, model::Encapsulation encapsulation) {
  const bool udp = encapsulation == model::Encapsulation::udp;
  if (udp && params.protocol == model::ProtocolId::ah) return;
  params.path = path;
  params.encapsulation = encapsulation;
  inbound.peer = PeerWord::of(path.remote, encapsulation);
  outbound.framing = framing_of(params.protocol, params.mode, encapsulation);
  outbound.set_outer(*params.profile, path, encapsulation);
  // Until the lengths are known again.
  outbound.straight = Straight::no;
  outbound.longest_usual = 0;
}

void SaPair::settle(bool hold) {
  held = hold;
  const bool straight =
      !hold && !inbound.ah && inbound.in_place && aggfrag == nullptr && !params.treatment().outer.dscp_inward;
  inbound.straight = straight_of(straight, inbound.layout);
  inbound.forget_usual();
}

void SaPair::tell_expiry(EventQueue& events) {
  for (UseMeter* const meter : {&outbound.meter, &inbound.meter}) {
    if (meter->news() == ExpiryNews::none) continue;
    if (events.push(SaExpired{params.id, meter->news() == ExpiryNews::hard})) {
      meter->told();
    } else {
      events.defer_expiry();
    }
  }
}

SaCounters SaPair::counters() const {
  return {.inbound_packets = inbound.packets(),
          .inbound_bytes = inbound.bytes(),
          .outbound_packets = outbound.packets(),
          .outbound_bytes = outbound.bytes(),
          .outbound_sequence = outbound.sequence.last(),
          .replay_drops = replay_drops,
          .integrity_drops = integrity_drops};
}

}  // namespace culvert::ipsec
