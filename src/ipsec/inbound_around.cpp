// What InboundPath does off the straight way when it compares a packet with the selectors of its SA: fragments (RFC
// 4301 7), ICMP errors (RFC 4301 6.2); and the odd ECN fields (RFC 6040 4.2).
#include <algorithm>

#include "ipsec/ecn.hpp"
#include "ipsec/fragment.hpp"
#include "ipsec/icmp_error.hpp"
#include "ipsec/inbound_path.hpp"
#include "ipsec/mss_clamp.hpp"
#include "ipsec/spd.hpp"

namespace culvert::ipsec {

// Stage 7, match. RFC 4301 5.2: the packet must be one that this SA was negotiated for; with SAs inside each other,
// each of them.
std::optional<DropReason> InboundPath::match(const Item& item, MutableByteView packet, const net::PacketInfo& info) {
  if (const auto mismatch = match_sa(*item.sa, packet, info)) return mismatch;
  if (item.nested != nullptr) {
    const bool all = std::ranges::all_of(item.nested->unmatched, [&](const SaPair* outer) {
      return selectors_match(outer->params.remote, outer->params.local, info);
    });
    if (!all) return DropReason::selector_mismatch;
  }
  clamp(*item.sa, packet, info);
  return std::nullopt;
}

void InboundPath::clamp(const SaPair& sa, MutableByteView packet, const net::PacketInfo& info) {
  if (!is_tcp_syn(packet, info)) return;
  const std::uint16_t limit = info.family == net::Family::v4 ? sa.mss_v4 : sa.mss_v6;
  if (limit != 0) clamp_mss(packet, info, limit, false);
}

std::optional<DropReason> InboundPath::match_sa(const SaPair& sa, ByteView packet, const net::PacketInfo& info) {
  if (info.is_fragment) return match_fragment(sa, packet, info);
  const bool admitted = selectors_match(sa.params.remote, sa.params.local, info);
  const model::IcmpErrors policy = sa.params.treatment().icmp_errors;
  if (admitted && policy != model::IcmpErrors::checked) return std::nullopt;
  if (!is_icmp_error(info)) return admitted ? std::nullopt : std::optional(DropReason::selector_mismatch);
  if (policy == model::IcmpErrors::selectors) return DropReason::selector_mismatch;
  // RFC 4301 6.2: an error whose headers the selectors do not know, or all of them where that is wanted, must be about
  // a packet that went out over this SA.
  const auto flow = quoted_flow(packet, info);
  if (!flow || !selectors_match(sa.params.remote, sa.params.local, *flow)) return DropReason::icmp_error_mismatch;
  return std::nullopt;
}

std::optional<DropReason> InboundPath::match_fragment(const SaPair& sa, ByteView packet, net::PacketInfo info) {
  const auto fields = fragment_fields(packet, info);
  if (!fields) return DropReason::decapsulated_malformed;
  // RFC 4301 7.2: a least offset guards the transport header of the first fragment.
  if (rewrites_transport_header(*fields)) return DropReason::inner_fragment_overlap;
  const bool admitted = selectors_match(sa.params.remote, sa.params.local, info);
  // RFC 4301 7.1, 7.2: selectors for any port, or OPAQUE ones, admit fragments by themselves.
  if (!sa.names_ports || (admitted && info.is_later_fragment)) {
    return admitted ? std::nullopt : std::optional(DropReason::selector_mismatch);
  }
  // RFC 4301 7.3: others are not taken unless that was agreed, and then they follow the first of their packet.
  if (info.is_later_fragment && !sa.params.non_first_fragments) return DropReason::inner_fragment_not_agreed;
  if (!info.is_later_fragment && !admitted) return DropReason::selector_mismatch;
  const FragmentKey key = FragmentKey::of(info, *fields, sa.params.id.value());
  switch (fragments_.see(key, *fields, info, now_)) {
    case FragmentTracker::Verdict::overlap:
    case FragmentTracker::Verdict::duplicate: return DropReason::inner_fragment_overlap;
    case FragmentTracker::Verdict::early: return DropReason::inner_fragment_early;
    case FragmentTracker::Verdict::known: break;
  }
  return selectors_match(sa.params.remote, sa.params.local, info) ? std::nullopt
                                                                  : std::optional(DropReason::selector_mismatch);
}

// RFC 6040 4.2: these should be logged, at a bounded rate.
void InboundPath::note_ecn(const SaPair& sa, std::uint8_t inner, std::uint8_t outer) {
  if (!ecn_is_odd(inner, outer) || !ecn_events_.allow(now_)) return;
  events_.push(EcnAnomaly{sa.params.id, static_cast<std::uint8_t>(inner & kEcnMask),
                          static_cast<std::uint8_t>(outer & kEcnMask)});
}

}  // namespace culvert::ipsec
