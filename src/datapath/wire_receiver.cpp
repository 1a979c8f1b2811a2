#include "datapath/wire_receiver.hpp"

#include <algorithm>
#include <array>

#include "datapath/offload.hpp"
#include "net/headers.hpp"

namespace culvert::datapath {

namespace {

/// 0: there is none.
std::uint32_t spi_of(const ipsec::WireInput& input, ByteView segment) {
  // RFC 4302 2.4: in AH the SPI stands behind four other octets.
  const bool ah = input.protocol == static_cast<std::uint8_t>(net::IpProtocol::ah);
  const std::size_t at = ah ? 4 : 0;
  constexpr std::size_t kSpiSize = 4;
  return segment.size() < at + kSpiSize ? 0 : load_be32(segment.data() + at);
}

}  // namespace

WireReceiver::WireReceiver(ipsec::Engine& engine, io::TunQueue& tun, Exchange& exchange, Shared& shared)
    : engine_(engine), tun_(tun), exchange_(exchange), shared_(shared), buffers_(kBuffers, kSmallMessages) {
  inputs_.reserve(kSmallMessages);
}

bool WireReceiver::receive(const OuterSockets::Entry& entry, Instant now) {
  now_ = now;
  const auto outcome = entry.socket.receive(buffers_);
  shared_.counters.count(IoDrop::receive_truncated, outcome.dropped);
  if (!outcome.messages.empty()) {
    inputs_.clear();
    const auto encapsulation =
        entry.kind == OuterSockets::Kind::nat ? model::Encapsulation::udp : model::Encapsulation::none;
    const auto protocol = entry.kind == OuterSockets::Kind::ah ? net::IpProtocol::ah : net::IpProtocol::esp;
    for (const io::ReceivedMessage& message : outcome.messages) {
      distribute({.path = message.path,
                  .encapsulation = encapsulation,
                  .tos = message.tos,
                  .hop_limit = message.hop_limit,
                  .protocol = static_cast<std::uint8_t>(protocol),
                  .ip_header = message.ip_header,
                  .segment_size = message.segment_size,
                  .bytes = message.bytes});
    }
    if (!inputs_.empty()) engine_.inbound(inputs_, now, *this);
  }
  return outcome.error == 0;
}

bool WireReceiver::receive(XdpLane& lane, std::size_t port, Instant now) {
  now_ = now;
  const auto frames = lane.receive(port);
  if (frames.empty()) return false;
  inputs_.clear();
  for (const MutableByteView frame : frames) {
    if (const auto input = read_esp_frame(frame)) {
      distribute(*input);
    } else {
      shared_.counters.count(IoDrop::receive_truncated);
    }
  }
  if (!inputs_.empty()) engine_.inbound(inputs_, now, *this);
  lane.give_back(port);
  return true;
}

// RFC 9329 3: what tells IKE, ESP and keepalives apart is the same as in UDP.
void WireReceiver::stream_messages(const net::Path& path, std::span<const MutableByteView> messages) {
  while (!messages.empty()) {
    const auto some = messages.first(std::min(messages.size(), kBuffers));
    messages = messages.subspan(some.size());
    inputs_.clear();
    for (const MutableByteView message : some) distribute({.path = path, .bytes = message});
    if (!inputs_.empty()) engine_.inbound(inputs_, now_, *this);
  }
}

// A flow may come by this SA from here on that came by another one, whose owner is another worker: what waits there, or
// for the engine here, would be overtaken. Once for an SA, so a packet pays no more for it than its look for the owner;
// and for SPIs of ours only, so nobody who makes SPIs up holds this worker up.
//
// Order does not follow from the home of a connection being the worker that receives what its peer sends: an interface
// with AF_XDP gives its packets to whoever has the queue, TCP streams are the first worker's, a peer may move; and at
// home, too, packets of this batch wait for the engine while those of other owners are handed over at once.
std::uint32_t WireReceiver::begin_sa(const ipsec::WireInput& input, ByteView segment) {
  if (!inputs_.empty()) engine_.inbound(inputs_, now_, *this);
  inputs_.clear();
  (void)exchange_.settle(Exchange::kLongestSettling);
  return exchange_.seen(spi_of(input, segment));
}

// A train may hold packets of several SAs: each run of one owner's goes its way in one piece.
void WireReceiver::distribute(const ipsec::WireInput& input) {
  if (exchange_.alone()) return inputs_.push_back(input);
  const std::size_t step = input.segment_size == 0 ? input.bytes.size() : input.segment_size;
  MutableByteView rest = input.bytes;
  do {
    std::uint32_t owner = look_for_owner(input, rest);
    if ((owner & SpiOwners::kUnseen) != 0) owner = begin_sa(input, rest);
    std::size_t length = std::min(step, rest.size());
    while (length < rest.size() && look_for_owner(input, rest.subspan(length)) == owner) {
      length = std::min(length + step, rest.size());
    }
    ipsec::WireInput run = input;
    run.bytes = rest.first(length);
    rest = rest.subspan(length);
    if (owner == exchange_.worker()) {
      inputs_.push_back(run);
    } else {
      exchange_.hand_over(owner, run);
    }
  } while (!rest.empty());
}

// Of the packet at the beginning of `segment`, as SpiOwners::look. What has no SPI, or an unknown one, is for whoever
// has it in hand.
std::uint32_t WireReceiver::look_for_owner(const ipsec::WireInput& input, ByteView segment) const {
  const std::uint32_t spi = spi_of(input, segment);
  return spi == 0 ? exchange_.worker() : exchange_.look_for_owner(spi);
}

void WireReceiver::receive_errors(const OuterSockets::Entry& entry, Instant now) {
  const auto encapsulation =
      entry.kind == OuterSockets::Kind::nat ? model::Encapsulation::udp : model::Encapsulation::none;
  // Whoever sends us errors without end shall not hold up packets.
  constexpr int kMostBatches = 4;
  for (int i = 0; i < kMostBatches; ++i) {
    const auto errors = entry.socket.receive_errors(error_buffers_);
    if (errors.empty()) return;
    for (const io::ReceivedError& error : errors) {
      // RFC 3948 2.2: behind the non-ESP marker stands IKE, which has its own timers.
      const bool ike =
          encapsulation == model::Encapsulation::udp && error.quoted.size() >= 4 && load_be32(error.quoted.data()) == 0;
      if (!ike) take_error({error.path, encapsulation, error.mtu, error.quoted}, now);
    }
  }
}

void WireReceiver::take_error(const OuterError& error, Instant now) {
  const bool left = !exchange_.asked_all(error);
  const bool ours = engine_.unprotected_error(error.path, error.encapsulation, error.mtu, error.quoted, now, left);
  if (!ours && left) exchange_.pass_on(error);
}

void WireReceiver::set_joining(net::Family family, const ipsec::TcpJoining& joining) {
  if (family == net::Family::v4) long_packets_.set(joining);
  engine_.set_joining(family, joining);
}

void WireReceiver::deliver(std::span<const ipsec::InnerPacket> packets) {
  std::uint64_t refused = 0;
  std::array<ByteView, ipsec::kMaxPieces> pieces;
  for (std::size_t i = 0; i < packets.size(); i += packets[i].pieces) {
    std::size_t length = 0;
    for (std::size_t piece = 0; piece < packets[i].pieces; ++piece) {
      pieces[piece] = packets[i + piece].bytes;
      length += pieces[piece].size();
    }
    const bool written =
        tun_.write(encode_offload(packets[i].offload), std::span(pieces).first(packets[i].pieces)) == 0;
    if (!written) ++refused;
    if (const auto joining = long_packets_.written(length, !written)) engine_.set_joining(net::Family::v4, *joining);
  }
  shared_.counters.count(IoDrop::tun_write_refused, refused);
}

void WireReceiver::ike_message(const net::Path& path, ByteView message) {
  if (!shared_.datagrams.push({path, to_bytes(message)})) shared_.counters.count(IoDrop::ike_queue_full);
  control_wanted_ = true;
}

}  // namespace culvert::datapath
