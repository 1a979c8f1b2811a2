// WireSender: gives the engine memory to seal into and brings the finished trains to the sockets, many per system call.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "datapath/connected_peers.hpp"
#include "datapath/exchange.hpp"
#include "datapath/io_counters.hpp"
#include "datapath/outer_sockets.hpp"
#include "datapath/tcp_streams.hpp"
#include "io/datagram_socket.hpp"
#include "io/poller.hpp"
#include "io/tun.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/icmp_error.hpp"
#include "ipsec/packet_io.hpp"

namespace culvert::datapath {

/// What one message may hold, whichever SAs its packets are of: as ipsec::EngineOptions has it for a train.
struct MessageBounds {
  std::size_t segments = ipsec::EngineOptions{}.max_train_segments;
  std::size_t bytes = ipsec::EngineOptions{}.max_train_bytes;
};

class WireSender final : public ipsec::OutboundSink {
 public:
  /// `poller` is what the worker waits with.
  WireSender(const OuterSockets& sockets, ConnectedPeers& connected, TcpStreams& streams, io::TunQueue& tun,
             Exchange& exchange, io::Poller& poller, IoCounters& counters, const MessageBounds& bounds = {});

  MutableByteView region() override;
  void send(std::span<const ipsec::WireTrain> trains) override;
  /// Sends it as it is, by a socket with our mark, so that it does not come back to TUN; a super-packet in pieces.
  /// False without raw sockets or mark, and for what is no IP packet. Rules for whole networks never come here: they
  /// are routed around TUN (io::TunnelRoute::Kind::around).
  [[nodiscard]] bool bypass(const ipsec::InnerPacket& packet) override;
  void answer(ByteView packet) override;
  void elsewhere(const ipsec::InnerPacket& packet, std::uint32_t worker) override;
  /// Whether packets come from another worker: those are not handed over once more.
  void set_second_hand(bool second_hand) { second_hand_ = second_hand; }

  /// Sends all that is gathered. To be called before waiting.
  void flush();
  /// What `flush` would send.
  [[nodiscard]] std::span<const io::OutgoingMessage> gathered() const { return messages_; }

  /// A packet of ours that the interface refused because of its length.
  struct TooLong {
    net::Path path;
    model::Encapsulation encapsulation = model::Encapsulation::udp;
    Bytes quoted;  // its beginning, from ESP or AH on
  };
  /// Those seen since the last call, a few of each flush at most.
  [[nodiscard]] std::vector<TooLong> take_too_long() { return std::exchange(too_long_, {}); }

 private:
  static constexpr std::size_t kSlab = std::size_t{512} * 1024;
  static constexpr std::size_t kMostMessages = 1024;
  static_assert(kSlab >= 2 * ipsec::kMinWireRegion);

  const OuterSockets& sockets_;
  ConnectedPeers& connected_;
  TcpStreams& streams_;
  io::TunQueue& tun_;
  Exchange& exchange_;
  io::Poller& poller_;
  IoCounters& counters_;
  MessageBounds bounds_;
  bool second_hand_ = false;
  // Not set to zero: what no packet has needed stays the system's.
  std::unique_ptr<std::uint8_t[]> slab_;
  std::size_t used_ = 0;
  std::vector<io::OutgoingMessage> messages_;
  /// The way that each message leaves by.
  struct Way {
    const io::DatagramSocket* socket;
    model::Encapsulation encapsulation;
    bool whole;
    bool dont_fragment;
    friend bool operator==(const Way&, const Way&) = default;
  };
  std::vector<Way> by_;
  std::vector<TooLong> too_long_;

  /// As `flush`, but the memory stays used: trains that were not looked at yet are in it.
  void send_gathered();
  [[nodiscard]] Way way_of(const ipsec::WireTrain& train);
  [[nodiscard]] bool joins_last(const ipsec::WireTrain& train) const;
  void note_too_long(const io::OutgoingMessage& message, const Way& way);
  void flush_bypassed();
  /// Those of `bypassed_` that the interface refused for their length: cut where they may be, or told to the first
  /// one's source. How many went after all.
  std::size_t bypass_too_long(const net::Path& path);
  bool send_in_pieces(const io::OutgoingMessage& message, const net::PacketInfo& info, std::uint16_t mtu);
  // Room for the longest super-packet in pieces, each with its headers.
  static constexpr std::size_t kBypassSlab = std::size_t{512} * 1024;
  std::vector<std::uint8_t> bypass_slab_;  // made at the first use
  std::size_t bypass_used_ = 0;
  std::vector<io::OutgoingMessage> bypassed_;  // of one family
  io::SendScratch scratch_;
  std::array<std::uint8_t, ipsec::kMaxIcmpError> answer_;
};

}  // namespace culvert::datapath
