// WireSender: gives the engine memory to seal into and brings the finished trains to the sockets, many per system call.
#pragma once

#include <vector>

#include "datapath/io_counters.hpp"
#include "datapath/outer_sockets.hpp"
#include "io/datagram_socket.hpp"
#include "io/tun.hpp"
#include "ipsec/packet_io.hpp"

namespace culvert::datapath {

class WireSender final : public ipsec::OutboundSink {
 public:
  WireSender(const OuterSockets& sockets, io::TunQueue& tun, IoCounters& counters);

  MutableByteView region() override;
  void send(std::span<const ipsec::WireTrain> trains) override;
  /// There is no way out in clear here: rules for whole networks are routed around TUN instead
  /// (io::TunnelRoute::Kind::around).
  [[nodiscard]] bool bypass(const ipsec::InnerPacket& packet) override;
  void answer(ByteView packet) override;

  /// Sends all that is gathered. To be called before waiting.
  void flush();

 private:
  static constexpr std::size_t kSlab = 512 * 1024;
  static constexpr std::size_t kMostMessages = 1024;
  static_assert(kSlab >= 2 * ipsec::kMinWireRegion);

  const OuterSockets& sockets_;
  io::TunQueue& tun_;
  IoCounters& counters_;
  std::vector<std::uint8_t> slab_;
  std::size_t used_ = 0;
  std::vector<io::OutgoingMessage> messages_;
  std::vector<const io::DatagramSocket*> by_;  // which socket each message leaves by
  io::SendScratch scratch_;
};

}  // namespace culvert::datapath
