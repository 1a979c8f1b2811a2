#include "ipsec/inbound_path.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "ipsec/early_packets.hpp"
#include "ipsec/ecn.hpp"
#include "ipsec/spd.hpp"
#include "net/header_writer.hpp"
#include "net/headers.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {
namespace {

constexpr auto kAh = static_cast<std::uint8_t>(net::IpProtocol::ah);
constexpr std::uint8_t kKeepalive = 0xff;
constexpr std::size_t kNonEspMarkerSize = 4;

// True at most once per interval.
bool due(OptionalInstant& last, Instant now) {
  if (last && now - *last < InboundPath::kEventInterval) return false;
  last = now;
  return true;
}
bool due(CoarseInstant& last, Instant now) {
  if (last.within(InboundPath::kEventInterval, now)) return false;
  last = now;
  return true;
}

// RFC 4303 2.4: the padding octets count 1, 2, 3, ...; a receiver should look.
bool padding_is_right(ByteView padding) {
  std::uint8_t wrong = 0;
  for (std::size_t i = 0; i < padding.size(); ++i) wrong |= static_cast<std::uint8_t>(padding[i] ^ (i + 1));
  return wrong == 0;
}

MutableByteView text_of(const EspLayout& layout, MutableByteView packet) {
  return packet.subspan(layout.head(), packet.size() - layout.head() - layout.icv);
}

// What `inner_length` answers when the pad length exceeds the packet.
constexpr std::size_t kNoLength = ~std::size_t{0};

// Octets in front of the padding of an opened packet.
std::size_t inner_length(MutableByteView text) {
  const std::size_t trailer = std::size_t{text[text.size() - 2]} + kEspTrailerSize;
  return trailer > text.size() ? kNoLength : text.size() - trailer;
}

}  // namespace

InboundPath::InboundPath(const EngineOptions& options, const Spd& spd, const Sad& sad, NatFlows& nat,
                         EventQueue& events, DropCounters& drops, RandomSource& random)
    : options_(options),
      spd_(spd),
      sad_(sad),
      nat_(nat),
      events_(events),
      drops_(drops),
      fragments_(options.fragments, random.u64()),
      coalescer_(options.coalesce_udp) {}

std::vector<model::ConnectionId> InboundPath::take_sending_changed() { return std::exchange(sending_changed_, {}); }

// Stage 1: sort.
void InboundPath::sort(const WireInput& input, MutableByteView segment, Instant now, InboundSink& sink) {
  if (input.encapsulation == model::Encapsulation::udp) {
    // RFC 3948 2.3, 4: a keepalive is one octet 0xff and never goes any further.
    if (segment.size() == 1 && segment[0] == kKeepalive) return drops_.count(DropReason::keepalive);
    // RFC 3948 2.2: four zero octets where an SPI would stand mark IKE.
    if (segment.size() >= kNonEspMarkerSize && load_be32(segment.data()) == 0) {
      return sink.ike_message(input.path, segment.subspan(kNonEspMarkerSize));
    }
  }
  if (input.encapsulation == model::Encapsulation::none && input.protocol == kAh) {
    enqueue_ah(input, segment, nullptr, now);
  } else {
    enqueue(input, segment, nullptr, now);
  }
}

void InboundPath::finish_full_batch(Instant now, InboundSink& sink) {
  finish_batch(now);
  deliver_settled(sink);
}

// Stage 2: find.
SaPair* InboundPath::find(std::uint32_t spi, bool ah, const WireInput& input, ByteView packet, const Nested* nested,
                          Instant now) {
  // RFC 4303 2.1, RFC 4302 2.4: 0 to 255 are reserved.
  if (spi <= 255) {
    drops_.count(DropReason::spi_reserved);
    return nullptr;
  }
  // RFC 4301 4.1, 5.2 (3a): a unicast SA is known by its SPI; addresses would be needed beside it for multicast groups,
  // whose SPIs somebody else chooses, and there are none here. Where the packet came from is the selectors' to judge.
  SaPair* const sa = sad_.find_inbound(spi);
  if (sa == nullptr) {
    // RFC 7296 2.8: the peer may have this SA already, and we any moment.
    EarlyPackets* const early = options_.early_packets;
    if (early != nullptr && nested == nullptr && early->keep(model::Spi{spi}, input, packet, now)) return nullptr;
    // RFC 4301 5.2: no SA, no packet.
    if (unknown_spi_hints_.allow(now)) events_.push(UnknownSpi{model::Spi{spi}, input.path});
    drops_.count(DropReason::spi_unknown);
    return nullptr;
  }
  // RFC 4301 4.1: an SA is for ESP or for AH.
  if (sa->inbound.ah != ah) {
    drops_.count(DropReason::protocol_mismatch);
    return nullptr;
  }
  return sa;
}

// RFC 4303 3.4.3, RFC 4302 3.4.3: duplicates are refused before the work of opening them, by a window that is not
// touched yet.
std::optional<std::uint64_t> InboundPath::check_replay(SaPair& sa, std::uint32_t low) {
  std::uint64_t sequence = 0;
  const ReplayWindow::Verdict verdict = sa.inbound.window.check(low, sequence);
  if (verdict == ReplayWindow::Verdict::fresh) return sequence;
  count_replay(sa, verdict);
  return std::nullopt;
}

// Stages 2 and 3 of ESP. There is room in the batch.
void InboundPath::enqueue(const WireInput& input, MutableByteView packet, const Nested* nested, Instant now) {
  if (packet.size() < kEspHeaderSize) return drops_.count(DropReason::esp_truncated);
  SaPair* const sa = find(load_be32(packet.data()), false, input, packet, nested, now);
  if (sa == nullptr) return;
  InboundSa& in = sa->inbound;
  const EspLayout& layout = in.layout;
  const std::size_t frame = layout.head() + layout.icv;
  if (packet.size() < frame + layout.alignment) return drops_.count(DropReason::esp_truncated);
  const std::size_t text_length = packet.size() - frame;
  // RFC 4303 2.4: the trailer ends on a 4-octet boundary and, where the cipher has blocks, on one of those.
  if ((text_length & (layout.alignment - std::size_t{1})) != 0) return drops_.count(DropReason::esp_misaligned);

  std::uint64_t sequence = 0;
  const ReplayWindow::Verdict verdict = in.window.check(load_be32(packet.data() + 4), sequence);
  if (verdict != ReplayWindow::Verdict::fresh) return count_replay(*sa, verdict);
  if (in.resync.failing()) keep_for_trial(in, packet, now);
  // Each member where it stays: a copy would wait for the stores.
  Item& item = items_[batch_.size()];
  item.sa = sa;
  item.input = &input;
  item.packet = packet;
  item.sequence = sequence;
  item.nested = nested;
  item.ah_size = 0;
  straight_[batch_.size()] = {};
  batch_.add(in, packet.data(), text_length, sequence);
}

void InboundPath::count_replay(SaPair& sa, ReplayWindow::Verdict verdict) {
  ++sa.replay_drops;
  drops_.count(verdict == ReplayWindow::Verdict::replayed ? DropReason::replayed : DropReason::replay_too_old);
}

// Stages 4 to 7 for all that waits, and for what comes out of it to go through the path once more.
void InboundPath::finish_batch(Instant now) {
  while (batch_.size() != 0) {
    open_batch(now);
    covered_.clear();
    nested_ = std::exchange(pending_, {});
    for (const Nested& packet : nested_) {
      if (packet.protocol == kAh) {
        enqueue_ah(*packet.input, packet.packet, &packet, now);
      } else {
        enqueue(*packet.input, packet.packet, &packet, now);
      }
    }
  }
}

void InboundPath::open_batch(Instant now) {
  batch_.open();
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (const std::size_t taken = take_straight(i); taken != 0) {
      i += taken - 1;
      continue;
    }
    if (straight_[i].sa != nullptr) complete(i);
    const Item& item = items_[i];
    if (batch_.keyless(i)) {
      drops_.count(DropReason::open_impossible);
      continue;
    }
    if (!batch_.ok(i)) {
      ++item.sa->integrity_drops;
      drops_.count(DropReason::bad_icv);
      if (item.sa->inbound.layout.extended) item.sa->inbound.resync.note_failure();
      item.sa->inbound.forget_usual();
      if (trial_ == i) resynchronise(i);
      continue;
    }
    item.sa->inbound.resync.note_success();
    if (!admit(item, now)) continue;
    if (item.sa->aggfrag) {
      followed_.sa = nullptr;
      take_aggfrag(item, now);
    } else {
      take(item);
    }
  }
  batch_.clear();
  trial_.reset();
}

// Stages 6 to 8 for one packet. One that continues the super-packet in work, over the same SA with the same outer
// header fields, has the inner header fields of the packet before, and so passes where that one passed.
void InboundPath::take(const Item& item) {
  Content content;
  if (const auto reason = content_of(item, content)) return drops_.count(*reason);
  if (item.sa == followed_.sa && item.nested == nullptr && content.next_header == followed_.next_header &&
      item.input->tos == followed_.tos && coalescer_.follow(content.payload, content.buffer)) {
    return;
  }
  followed_.sa = nullptr;
  const auto inner = unwrap(item, content);
  if (!inner) return drops_.count(inner.error());
  if (inner->packet.empty()) return;
  hand_over(*inner);
  if (inner->as_it_came && item.nested == nullptr) followed_ = {item.sa, item.input->tos, content.next_header};
}

// Stage 8: deliver.
void InboundPath::hand_over(const Decapsulated& inner) {
  if (options_.coalesce) {
    coalescer_.add(inner.packet, inner.info, inner.buffer, delivery_);
  } else {
    singles_.add(inner.packet);
  }
}

// All but super-packets that the next batch may continue: TUN copies what the cipher has just written.
void InboundPath::deliver_settled(InboundSink& sink) {
  if (!built_.empty() || !options_.coalesce) return finish_delivery(sink);
  if (!delivery_.empty()) sink.deliver(delivery_);
  delivery_.clear();
}

void InboundPath::finish_delivery(InboundSink& sink) {
  if (!singles_.all().empty()) sink.deliver(singles_.all());
  singles_.clear();
  coalescer_.finish(delivery_);
  if (!delivery_.empty()) sink.deliver(delivery_);
  delivery_.clear();
  built_.clear();
}

// Stage 5: admit.
bool InboundPath::admit(const Item& item, Instant now) {
  InboundSa& in = item.sa->inbound;
  const bool newest = item.sequence > in.window.top();
  // RFC 4303 3.4.3: only after the ICV was right. An earlier packet of this batch may have been the same one.
  const ReplayWindow::Verdict verdict = in.window.update(item.sequence);
  if (verdict != ReplayWindow::Verdict::fresh) {
    count_replay(*item.sa, verdict);
    return false;
  }
  std::size_t octets = 0;
  if (item.sa->aggfrag) {
    // The inner packets are counted as they come out.
  } else if (item.ah_size != 0) {
    octets = item.packet.size() - item.ah_size;
  } else if (const std::size_t length = inner_length(text_of(in.layout, item.packet)); length != kNoLength) {
    octets = length;
  }
  in.unwatched.end(in.meter);
  const bool admitted = in.meter.admit(1, octets, item.sa->params.profile->bounds);
  if (in.meter.news() != ExpiryNews::none) item.sa->tell_expiry(events_);
  if (!admitted) {
    drops_.count(DropReason::lifetime_over);
    return false;
  }
  note_traffic(item, newest, now);
  return true;
}

void InboundPath::note_traffic(const Item& item, bool newest, Instant now) {
  SaPair& sa = *item.sa;
  if (due(sa.inbound.last_activity_event, now)) events_.push(InboundActivity{sa.params.id});
  // RFC 7296 2.8: a packet on the new SA proves that the peer has it.
  if (sa.held) {
    sa.settle(false);
    sending_changed_.push_back(sa.params.connection);
  }
  // RFC 7296 2.23: the peer behind a NAT may move; only its newest authenticated packet says where to.
  const net::Endpoint& seen = item.input->path.remote;
  const net::Endpoint& known = sa.params.path.remote;
  const bool same_way = item.input->encapsulation == sa.params.encapsulation;
  const bool moved = same_way ? seen != known : seen.address != known.address;
  if (moved && newest && due(sa.last_moved_event, now)) events_.push(PeerMovedSeen{sa.params.id, seen});
}

// Stage 6: unwrap.
std::optional<DropReason> InboundPath::content_of(const Item& item, Content& content) {
  const InboundSa& in = item.sa->inbound;
  content.buffer = item.input->bytes.data();
  if (in.ah) {
    content.payload = item.packet.subspan(item.ah_size);
    content.next_header = item.packet[0];
  } else {
    const MutableByteView text = text_of(in.layout, item.packet);
    const std::size_t length = inner_length(text);
    if (length == kNoLength) return DropReason::bad_padding;
    const MutableByteView padding = text.subspan(length, text.size() - kEspTrailerSize - length);
    if (!padding_is_right(padding)) return DropReason::bad_padding;
    content.payload = text.first(length);
    content.next_header = text[text.size() - 1];
  }
  // RFC 4303 2.6: next header 59 is a dummy packet, to be dropped without prejudice.
  if (content.next_header == static_cast<std::uint8_t>(net::IpProtocol::no_next)) return DropReason::dummy;
  return std::nullopt;
}

// RFC 3173 2: decompression comes after all ESP and AH. Packets that were not compressed have no IPComp header.
auto InboundPath::decompress(const Item& item, const Content& content) -> Result<Content, DropReason> {
  decompressed_.resize(kMaxInnerPacket);
  const auto opened = ipcomp_.decompress(content.payload, item.sa->params.ipcomp->cpi_inbound, decompressed_);
  if (!opened) return err(opened.error());
  const auto next_header = static_cast<net::IpProtocol>(opened->next_header);
  if (next_header == net::IpProtocol::esp || next_header == net::IpProtocol::ah) {
    return err(DropReason::bad_next_header);
  }
  const Arena::Piece piece = built_.take(opened->length);
  std::copy_n(decompressed_.begin(), opened->length, piece.bytes.begin());
  return Content{piece.bytes, opened->next_header, piece.chunk};
}

// Stages 6 and 7: unwrap, match.
auto InboundPath::unwrap(const Item& item, Content content) -> Result<Decapsulated, DropReason> {
  if (item.sa->params.ipcomp && content.next_header == static_cast<std::uint8_t>(net::IpProtocol::ipcomp)) {
    const auto decompressed = decompress(item, content);
    if (!decompressed) return err(decompressed.error());
    content = *decompressed;
  }
  if (item.sa->inbound.in_place) return unwrap_tunnel(item, content);
  return item.sa->params.mode == model::Mode::beet ? unwrap_beet(item, content.payload, content.next_header)
                                                   : unwrap_transport(item, content.payload, content.next_header);
}

auto InboundPath::unwrap_tunnel(const Item& item, const Content& content) -> Result<Decapsulated, DropReason> {
  const auto protocol = static_cast<net::IpProtocol>(content.next_header);
  if (protocol != net::IpProtocol::ipv4 && protocol != net::IpProtocol::ipv6) {
    return err(DropReason::bad_next_header);
  }
  const auto info = net::parse_packet(content.payload);
  if (!info) return err(DropReason::decapsulated_malformed);
  if ((info->family == net::Family::v4) != (protocol == net::IpProtocol::ipv4)) {
    return err(DropReason::bad_next_header);
  }
  // RFC 4303 2.7: what follows the inner packet's own length is traffic flow confidentiality padding.
  const MutableByteView inner = content.payload.first(info->total_length);
  if (const auto mismatch = match(item, inner, *info)) return err(*mismatch);
  if (((info->tos ^ item.input->tos) & kEcnMask) != 0) note_ecn(*item.sa, info->tos, item.input->tos);
  const auto tos = decapsulated_tos(info->tos, item.input->tos, item.sa->params.treatment().outer.dscp_inward);
  if (!tos) return err(DropReason::ecn_not_capable);
  if (*tos != info->tos) net::set_tos(inner, *tos);
  const bool as_it_came = content.buffer == item.input->bytes.data() &&
                          ((info->tos ^ item.input->tos) & kEcnMask) == 0 && *tos == info->tos;
  return Decapsulated{inner, *info, content.buffer, as_it_came};
}

}  // namespace culvert::ipsec
