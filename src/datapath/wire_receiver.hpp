// WireReceiver: batches from the sockets to the engine; inner packets on to TUN, IKE messages on to the control thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "datapath/exchange.hpp"
#include "datapath/long_packets.hpp"
#include "datapath/outer_sockets.hpp"
#include "datapath/shared.hpp"
#include "io/datagram_socket.hpp"
#include "io/tun.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/packet_io.hpp"

namespace culvert::datapath {

class WireReceiver final : public ipsec::InboundSink, public TcpStreamSink {
 public:
  WireReceiver(ipsec::Engine& engine, io::TunQueue& tun, Exchange& exchange, Shared& shared);

  /// One batch. False when the socket was empty.
  bool receive(const OuterSockets::Entry& entry, Instant now);
  /// One batch of frames of a port; false when there was none.
  bool receive(XdpLane& lane, std::size_t port, Instant now);
  /// Messages of a TCP stream, at the time set before.
  void stream_messages(const net::Path& path, std::span<const MutableByteView> messages) override;
  void set_now(Instant now) { now_ = now; }
  /// ICMP errors that wait at the socket, to the engine; all of them, up to a bound.
  void receive_errors(const OuterSockets::Entry& entry, Instant now);

  /// As Engine::set_joining, as far as the kernel has memory for such packets.
  void set_joining(net::Family family, const ipsec::TcpJoining& joining);

  /// One that this or another worker got; only one of them can know the SA that it is about.
  void take_error(const OuterError& error, Instant now);

  void deliver(std::span<const ipsec::InnerPacket> packets) override;
  void ike_message(const net::Path& path, ByteView message) override;
  /// True once after something was put into the control thread's queues.
  [[nodiscard]] bool take_control_wanted() { return std::exchange(control_wanted_, false); }

 private:
  // The buffers' touched parts stay in the L2 cache; more of them carried no more.
  static constexpr std::size_t kBuffers = 16;
  static constexpr std::size_t kSmallMessages = 64;

  /// To this worker's engine or to the workers whose SAs the packets are for.
  void distribute(const ipsec::WireInput& input);
  [[nodiscard]] std::uint32_t look_for_owner(const ipsec::WireInput& input, ByteView segment) const;
  /// The next packet is the first of its SA: what came before it goes first, wherever it is.
  [[nodiscard]] std::uint32_t begin_sa(const ipsec::WireInput& input, ByteView segment);

  ipsec::Engine& engine_;
  io::TunQueue& tun_;
  Exchange& exchange_;
  Shared& shared_;
  io::ReceiveBuffers buffers_;
  io::ErrorBuffers error_buffers_;
  std::vector<ipsec::WireInput> inputs_;
  Instant now_{};
  LongPackets long_packets_;
  bool control_wanted_ = false;
};

}  // namespace culvert::datapath
