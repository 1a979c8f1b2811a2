#include "datapath/wire_receiver.hpp"

#include <algorithm>
#include <array>

#include "datapath/offload.hpp"
#include "net/headers.hpp"

namespace culvert::datapath {

WireReceiver::WireReceiver(ipsec::Engine& engine, io::TunQueue& tun, Shared& shared)
    : engine_(engine), tun_(tun), shared_(shared), buffers_(kBuffers) {
  inputs_.reserve(kBuffers);
}

bool WireReceiver::receive(const OuterSockets::Entry& entry, Instant now) {
  const auto outcome = entry.socket.receive(buffers_);
  shared_.counters.count(IoDrop::receive_truncated, outcome.dropped);
  if (entry.kind == OuterSockets::Kind::ike) {
    for (const io::ReceivedMessage& message : outcome.messages) receive_ike(message);
  } else if (!outcome.messages.empty()) {
    inputs_.clear();
    const auto encapsulation =
        entry.kind == OuterSockets::Kind::nat ? model::Encapsulation::udp : model::Encapsulation::none;
    const auto protocol = entry.kind == OuterSockets::Kind::ah ? net::IpProtocol::ah : net::IpProtocol::esp;
    for (const io::ReceivedMessage& message : outcome.messages) {
      inputs_.push_back({.path = message.path,
                         .encapsulation = encapsulation,
                         .tos = message.tos,
                         .hop_limit = message.hop_limit,
                         .protocol = static_cast<std::uint8_t>(protocol),
                         .ip_header = message.ip_header,
                         .segment_size = message.segment_size,
                         .bytes = message.bytes});
    }
    engine_.inbound(inputs_, now, *this);
  }
  return outcome.error == 0;
}

void WireReceiver::receive_errors(const OuterSockets::Entry& entry, Instant now) {
  if (entry.kind == OuterSockets::Kind::ike) return;
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
      if (!ike) engine_.unprotected_error(error.path, encapsulation, error.mtu, error.quoted, now);
    }
  }
}

// RFC 3948 2.2: the marker exists on the NAT port only; what comes to the IKE port is IKE as a whole.
void WireReceiver::receive_ike(const io::ReceivedMessage& message) {
  const std::size_t step = message.segment_size != 0 ? message.segment_size : message.bytes.size();
  MutableByteView rest = message.bytes;
  // At least once: IKE counts an empty datagram too.
  do {
    const std::size_t length = std::min(step, rest.size());
    ike_message(message.path, rest.first(length));
    rest = rest.subspan(length);
  } while (!rest.empty());
}

void WireReceiver::deliver(std::span<const ipsec::InnerPacket> packets) {
  std::uint64_t refused = 0;
  std::array<ByteView, ipsec::kMaxPieces> pieces;
  for (std::size_t i = 0; i < packets.size(); i += packets[i].pieces) {
    for (std::size_t piece = 0; piece < packets[i].pieces; ++piece) pieces[piece] = packets[i + piece].bytes;
    if (tun_.write(encode_offload(packets[i].offload), std::span(pieces).first(packets[i].pieces)) != 0) ++refused;
  }
  shared_.counters.count(IoDrop::tun_write_refused, refused);
}

void WireReceiver::ike_message(const net::Path& path, ByteView message) {
  if (!shared_.datagrams.push({path, to_bytes(message)})) shared_.counters.count(IoDrop::ike_queue_full);
  control_wanted_ = true;
}

}  // namespace culvert::datapath
