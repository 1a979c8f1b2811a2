// InboundPath: a received packet's way out of ESP (RFC 4301 5.2, RFC 4303 3.4).
//
//   1 sort        keepalive, IKE or ESP (RFC 3948 2)
//   2 find        the SA by its SPI
//   3 check       lengths, then the replay window
//   4 open        all packets of the batch, gathered by SA
//   5 admit       replay window again, now moved; lifetime; the peer's address
//   6 unwrap      padding, next header, the inner packet's headers, ECN
//   7 match       the SA's selectors
//   8 deliver     to TUN, TCP segments joined to super-packets where it takes them
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "ipsec/drop_reason.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/event_queue.hpp"
#include "ipsec/job_batch.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/tcp_coalescer.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

class InboundPath {
 public:
  InboundPath(const EngineOptions& options, const Sad& sad, EventQueue& events, DropCounters& drops);

  void run(std::span<const WireInput> inputs, Instant now, InboundSink& sink);
  /// True once after a held pair was released by its first authenticated packet (RFC 7296 2.8).
  [[nodiscard]] bool take_sending_changed();

 private:
  // One packet between stages 3 and 8.
  struct Item {
    SaPair* sa = nullptr;
    const WireInput* input = nullptr;
    MutableByteView packet;
    std::uint64_t sequence = 0;
  };

  void sort(const WireInput& input, MutableByteView segment, Instant now, InboundSink& sink);
  void enqueue(const WireInput& input, MutableByteView packet, Instant now, InboundSink& sink);
  void finish_batch(Instant now, InboundSink& sink);
  [[nodiscard]] bool admit(const Item& item, Instant now);
  void note_traffic(const Item& item, bool newest, Instant now);
  // An inner packet on its way to TUN. The facts are those before the ECN field was merged.
  struct Decapsulated {
    MutableByteView packet;
    net::PacketInfo info;
  };
  /// The inner packet, ECN merged and selectors checked, or why there is none.
  [[nodiscard]] Result<Decapsulated, DropReason> unwrap(const Item& item);
  void count_replay(SaPair& sa, ReplayWindow::Verdict verdict);

  const EngineOptions& options_;
  const Sad& sad_;
  EventQueue& events_;
  DropCounters& drops_;
  RateLimit unknown_spi_hints_{8};
  bool sending_changed_ = false;

  JobBatch<InboundSa> batch_;
  std::array<Item, JobBatch<InboundSa>::kCapacity> items_;
  TcpCoalescer coalescer_;
  std::vector<InnerPacket> delivery_;
};

}  // namespace culvert::ipsec
