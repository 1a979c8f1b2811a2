// What the inbound path does for SAs in AGGFRAG mode (RFC 9347): stages 6 and 7 for each of the inner packets that an
// outer one brings, whenever its turn comes.
#include <algorithm>

#include "ipsec/ecn.hpp"
#include "ipsec/inbound_path.hpp"
#include "ipsec/spd.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {

class InboundPath::AggfragDelivery final : public AggfragOutput {
 public:
  /// `buffer`: what the payload given to the receiver lies in.
  AggfragDelivery(InboundPath& path, SaPair& sa, const void* buffer, Instant now)
      : path_(path), sa_(sa), buffer_(buffer), now_(now) {}

  void inner_packet(MutableByteView packet, bool in_place) override {
    const auto info = net::parse_packet(packet);
    if (!info) return dropped(DropReason::decapsulated_malformed);
    // RFC 4301 5.2: each packet must be one that this SA was negotiated for.
    if (const auto mismatch = path_.match_sa(sa_, packet, *info)) return dropped(*mismatch);
    UseMeter& meter = sa_.inbound.meter;
    const bool admitted = meter.admit(0, packet.size(), sa_.params.profile->bounds);
    if (meter.news() != ExpiryNews::none) sa_.tell_expiry(path_.events_);
    if (!admitted) return dropped(DropReason::lifetime_over);
    clamp(sa_, packet, *info);
    // RFC 9347 2.2.5: the outer header's DSCP and ECN fields say nothing about the packets inside.
    if (in_place) return path_.hand_over({packet, *info, buffer_});
    const Arena::Piece piece = path_.built_.take(packet.size());
    std::ranges::copy(packet, piece.bytes.begin());
    path_.hand_over({piece.bytes, *info, piece.chunk});
  }
  void dropped(DropReason reason) override { path_.drops_.count(reason); }
  void lost(std::uint64_t outer_packets) override { sa_.aggfrag->congestion.lost(outer_packets, now_); }

 private:
  InboundPath& path_;
  SaPair& sa_;
  const void* buffer_;
  Instant now_;
};

void InboundPath::take_aggfrag(const Item& item, Instant now) {
  AggfragSa& state = *item.sa->aggfrag;
  Content content;
  const auto malformed = content_of(item, content);
  std::optional<MutableByteView> payload;
  std::optional<AggfragReport> report;
  if (malformed) {
    drops_.count(*malformed);
  } else if (content.next_header != static_cast<std::uint8_t>(net::IpProtocol::aggfrag) || item.nested != nullptr) {
    // RFC 9347 2.3: nothing else travels on such an SA. Nor does it travel in another one, whose selectors would be
    // forgotten while packets wait for their turn.
    drops_.count(DropReason::bad_next_header);
  } else {
    payload = content.payload;
    if (const auto header = parse_aggfrag_header(*payload)) report = header->report;
  }
  const bool marked = (item.input->tos & kEcnMask) == static_cast<std::uint8_t>(Ecn::ce);
  state.congestion.arrived(report, marked, now);

  AggfragDelivery delivery(*this, *item.sa, item.input->bytes.data(), now);
  state.receiver.receive(item.sequence, payload, now, delivery);
  if (!state.gap_watched && state.receiver.next_deadline()) {
    state.gap_watched = true;
    gap_watched_.push_back(item.sa->params.id);
  }
}

void InboundPath::release(Instant now, InboundSink& sink) {
  now_ = now;
  std::vector<model::ChildSaId> still;
  for (const model::ChildSaId id : gap_watched_) {
    SaPair* const sa = sad_.find(id);
    if (sa == nullptr) continue;
    AggfragDelivery delivery(*this, *sa, nullptr, now);
    sa->aggfrag->receiver.expire(now, delivery);
    sa->aggfrag->gap_watched = sa->aggfrag->receiver.next_deadline().has_value();
    if (sa->aggfrag->gap_watched) still.push_back(id);
  }
  gap_watched_ = std::move(still);
  finish_delivery(sink);
}

std::optional<Instant> InboundPath::next_release() const {
  std::optional<Instant> next;
  for (const model::ChildSaId id : gap_watched_) {
    const SaPair* const sa = sad_.find(id);
    if (sa != nullptr) next = earliest(next, sa->aggfrag->receiver.next_deadline());
  }
  return next;
}

}  // namespace culvert::ipsec
