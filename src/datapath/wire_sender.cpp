#include "datapath/wire_sender.hpp"

#include <algorithm>

#include "io/clock.hpp"
#include "ipsec/fragment.hpp"
#include "ipsec/segmenter.hpp"
#include "net/packet.hpp"

namespace culvert::datapath {

WireSender::WireSender(const OuterSockets& sockets, ConnectedPeers& connected, TcpStreams& streams, io::TunQueue& tun,
                       Exchange& exchange, io::Poller& poller, IoCounters& counters, const MessageBounds& bounds)
    : sockets_(sockets),
      connected_(connected),
      streams_(streams),
      tun_(tun),
      exchange_(exchange),
      poller_(poller),
      counters_(counters),
      bounds_(bounds),
      slab_(std::make_unique_for_overwrite<std::uint8_t[]>(kSlab)) {
  messages_.reserve(kMostMessages);
  by_.reserve(kMostMessages);
}

MutableByteView WireSender::region() {
  if (kSlab - used_ < ipsec::kMinWireRegion) flush();
  return {slab_.get() + used_, kSlab - used_};
}

void WireSender::send(std::span<const ipsec::WireTrain> trains) {
  XdpLane* const lane = sockets_.xdp();
  const Instant now = lane != nullptr ? io::MonotonicClock::now() : Instant{};
  for (const ipsec::WireTrain& train : trains) {
    // The memory counts as used in any case: the next region must not begin inside a train of this call.
    const std::size_t end = static_cast<std::size_t>(train.bytes.data() + train.bytes.size() - slab_.get());
    constexpr std::size_t kLine = 64;
    // Trains need not come in the order of their places: an AGGFRAG payload stays open while others are framed behind
    // it.
    used_ = std::max(used_, std::min((end + kLine - 1) / kLine * kLine, kSlab));
    if (train.path.over_tcp()) {
      streams_.send_esp(train.path, train.bytes, train.segment_size, counters_);
      continue;
    }
    if (lane != nullptr) {
      // What waits for the sockets leaves before what waits in the lane (flush), so order holds as long as nothing
      // comes to wait for a socket behind frames of the same flow, and no frames leave alone because they are too many.
      // ESP in UDP, and whole packets, are of other SAs than the lane's: they pass.
      const XdpLane::Sent sent = lane->send(train, now, [this] { send_gathered(); });
      counters_.count(IoDrop::outer_buffer_full, sent.buffer_full);
      if (sent.taken) continue;
      const bool plain = train.encapsulation == model::Encapsulation::none && !train.with_ip_header;
      if (plain && lane->pending()) send_gathered();
    }
    if (joins_last(train)) {
      ByteView& bytes = messages_.back().bytes;
      bytes = {bytes.data(), bytes.size() + train.bytes.size()};
      continue;
    }
    const Way way = way_of(train);
    if (way.socket == nullptr) {
      counters_.count(IoDrop::outer_no_socket, train.segments());
      continue;
    }
    messages_.push_back({train.path, train.tos, train.segment_size, train.bytes, train.hop_limit});
    by_.push_back(way);
    // Its header says all of that.
    if (way.whole) messages_.back().tos = 0, messages_.back().hop_limit = io::kDefaultHopLimit;
  }
  if (messages_.size() >= kMostMessages / 2) flush();
}

// Trains of several SAs to one peer, as those of many subnets are: UDP_SEGMENT cuts by length and knows nothing of
// SPIs. A train that ends with a shorter packet can be the last part only.
bool WireSender::joins_last(const ipsec::WireTrain& train) const {
  if (messages_.empty() || train.encapsulation != model::Encapsulation::udp) return false;
  const Way& way = by_.back();
  const io::OutgoingMessage& last = messages_.back();
  const bool behind = last.bytes.data() + last.bytes.size() == train.bytes.data();
  if (!behind || way.encapsulation != model::Encapsulation::udp || way.dont_fragment != train.dont_fragment ||
      last.path != train.path || last.tos != train.tos || last.hop_limit != train.hop_limit)
    return false;
  const std::size_t segment = last.segment_size;
  const bool fits = train.segment_size == segment || (train.segment_size < segment && train.segments() == 1);
  const std::size_t length = last.bytes.size() + train.bytes.size();
  return fits && last.bytes.size() % segment == 0 && length <= bounds_.bytes && length <= bounds_.segments * segment;
}

WireSender::Way WireSender::way_of(const ipsec::WireTrain& train) {
  if (train.with_ip_header) {
    return {sockets_.for_whole(train.path.remote.address.family()), train.encapsulation, true, false};
  }
  const auto* socket = sockets_.for_esp(train.path, train.encapsulation, train.dont_fragment);
  if (socket != nullptr && train.encapsulation == model::Encapsulation::udp) {
    if (const auto* own = connected_.for_esp(train.path, train.dont_fragment); own != nullptr) socket = own;
  }
  return {socket, train.encapsulation, false, train.dont_fragment};
}

bool WireSender::bypass(const ipsec::InnerPacket& packet) {
  const auto info = net::parse_packet(packet.bytes);
  if (!info) return false;
  const auto segmenter = ipsec::Segmenter::make(packet, *info);
  if (!segmenter || sockets_.for_whole(info->family) == nullptr || !sockets_.marked()) return false;
  if (segmenter->total_length() > kBypassSlab) return false;
  const bool other_family = !bypassed_.empty() && bypassed_.front().path.remote.address.family() != info->family;
  if (other_family || segmenter->total_length() > kBypassSlab - bypass_used_) flush_bypassed();
  if (bypass_slab_.empty()) bypass_slab_.resize(kBypassSlab);
  for (std::uint32_t i = 0; i < segmenter->count(); ++i) {
    std::uint8_t* const at = bypass_slab_.data() + bypass_used_;
    const std::size_t length = segmenter->length(i);
    segmenter->write(i, at);
    bypass_used_ += length;
    bypassed_.push_back({.path = {{info->source, 0}, {info->destination, 0}}, .bytes = {at, length}});
  }
  return true;
}

void WireSender::flush_bypassed() {
  if (bypassed_.empty()) return;
  const auto counts = sockets_.for_whole(bypassed_.front().path.remote.address.family())->send(bypassed_, scratch_);
  counters_.count(IoDrop::outer_buffer_full, counts.buffer_full);
  const std::size_t cut = counts.too_long ? bypass_too_long(counts.too_long->path) : 0;
  counters_.count(IoDrop::bypass_refused, counts.refused - std::min<std::size_t>(cut, counts.refused));
  bypassed_.clear();
  bypass_used_ = 0;
}

// RFC 4301 8.2 does not reach packets in clear: what a router does with them (RFC 1812 5.2.7.1, RFC 8200 5) is ours to
// do, since the kernel cuts no packet that brings its own header, and tells nobody.
std::size_t WireSender::bypass_too_long(const net::Path& path) {
  const std::uint16_t mtu = sockets_.mtu_towards(path);
  if (mtu == 0) return 0;
  std::size_t cut = 0;
  bool answered = false;
  for (const io::OutgoingMessage& message : bypassed_) {
    if (message.bytes.size() <= mtu || message.path != path) continue;
    const auto info = net::parse_packet(message.bytes);
    if (!info) continue;
    if (info->family == net::Family::v4 && !info->dont_fragment) {
      if (send_in_pieces(message, *info, mtu)) ++cut;
    } else if (!std::exchange(answered, true)) {
      const auto size = ipsec::make_too_long_error(message.bytes, *info, mtu, answer_);
      if (size) answer({answer_.data(), *size});
    }
  }
  return cut;
}

bool WireSender::send_in_pieces(const io::OutgoingMessage& message, const net::PacketInfo& info, std::uint16_t mtu) {
  const auto cutter = ipsec::FragmentCutter::make(message.bytes, info, mtu, 0);
  if (!cutter) return false;
  Bytes bytes(cutter->total_length());
  std::vector<io::OutgoingMessage> pieces;
  std::size_t used = 0;
  for (std::size_t i = 0; i < cutter->count(); ++i) {
    const MutableByteView piece = MutableByteView(bytes).subspan(used, cutter->length(i));
    cutter->write(i, piece.data());
    pieces.push_back({.path = message.path, .bytes = piece});
    used += piece.size();
  }
  return sockets_.for_whole(info.family)->send(pieces, scratch_).refused == 0;
}

void WireSender::answer(ByteView packet) {
  if (tun_.write({}, packet) != 0) counters_.count(IoDrop::tun_write_refused);
}

void WireSender::elsewhere(const ipsec::InnerPacket& packet, std::uint32_t worker) {
  // Only while rules or SAs change may two workers each hold the other for the right one.
  if (second_hand_) return counters_.count(IoDrop::handover_lost);
  exchange_.hand_over(worker, packet);
}

void WireSender::flush() {
  send_gathered();
  used_ = 0;
}

void WireSender::send_gathered() {
  // Where looking away from a socket, and back, costs less than being told of each packet that has left it.
  constexpr std::size_t kManyPackets = 32;
  for (std::size_t first = 0; first < messages_.size();) {
    std::size_t end = first + 1;
    while (end < messages_.size() && by_[end] == by_[first]) ++end;
    const auto group = std::span(messages_).subspan(first, end - first);
    std::size_t packets = 0;
    for (const io::OutgoingMessage& message : group) {
      packets += message.segment_size == 0 ? 1 : message.bytes.size() / message.segment_size;
    }
    if (packets >= kManyPackets) poller_.rest(by_[first].socket->fd());
    const auto counts = by_[first].socket->send(group, scratch_);
    counters_.count(IoDrop::outer_refused, counts.refused);
    counters_.count(IoDrop::outer_buffer_full, counts.buffer_full);
    if (counts.too_long) note_too_long(*counts.too_long, by_[first]);
    first = end;
  }
  flush_bypassed();
  // Behind those of the same peers that went before the lane was open to them.
  if (XdpLane* const lane = sockets_.xdp(); lane != nullptr) (void)lane->flush();
  messages_.clear();
  by_.clear();
}

void WireSender::note_too_long(const io::OutgoingMessage& message, const Way& way) {
  constexpr std::size_t kMostNotes = 16;
  constexpr std::size_t kQuoted = 64;
  if (too_long_.size() >= kMostNotes) return;
  ByteView packet = message.bytes;
  if (way.whole) {
    const auto info = net::parse_packet(packet);
    if (!info) return;
    packet = packet.subspan(info->header_length);
  }
  too_long_.push_back({message.path, way.encapsulation, to_bytes(packet.first(std::min(packet.size(), kQuoted)))});
}

}  // namespace culvert::datapath
