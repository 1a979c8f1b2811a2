// InboundPath: a received packet's way out of ESP and AH (RFC 4301 5.2, RFC 4303 3.4, RFC 4302 3.4).
//
//   1 sort        keepalive, IKE, ESP (RFC 3948 2) or AH
//   2 find        the SA by its SPI
//   3 check       lengths, then the replay window; for AH what its ICV covers of the headers
//   4 open        all packets of the batch, gathered by SA
//   5 admit       replay window again, now moved; lifetime; the peer's address
//   6 unwrap      padding, next header, IPComp, the inner packet's headers, ECN; in transport and BEET mode a packet
//                 made anew, in inbound_wrapped.cpp, or another ESP or AH, which goes back to stage 2; in AGGFRAG mode
//                 any number of inner packets, in inbound_aggfrag.cpp
//   7 match       the SA's selectors
//   8 deliver     to TUN, segments joined to super-packets where it takes them
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ipsec/aggfrag_receiver.hpp"
#include "ipsec/arena.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/event_queue.hpp"
#include "ipsec/fragment_tracker.hpp"
#include "ipsec/ipcomp.hpp"
#include "ipsec/job_batch.hpp"
#include "ipsec/nat_flows.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/segment_coalescer.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

class Spd;

class InboundPath {
 public:
  /// Between two events of a kind that tell the same of an SA.
  static constexpr Duration kEventInterval = std::chrono::seconds(1);

  /// `random` seeds tables.
  InboundPath(const EngineOptions& options, const Spd& spd, const Sad& sad, NatFlows& nat, EventQueue& events,
              DropCounters& drops, RandomSource& random);

  void run(std::span<const WireInput> inputs, Instant now, InboundSink& sink);
  void set_joining(net::Family family, const TcpJoining& joining) { coalescer_.set_joining(family, joining); }
  /// Takes what has waited too long for an earlier packet of its AGGFRAG SA.
  void release(Instant now, InboundSink& sink);
  [[nodiscard]] std::optional<Instant> next_release() const;
  /// Since the last call: the connections of held pairs that their first authenticated packet released (RFC 7296 2.8).
  [[nodiscard]] std::vector<model::ConnectionId> take_sending_changed();

 private:
  // What came out of an SA in transport mode and is ESP or AH again.
  struct Nested {
    const WireInput* input = nullptr;
    Bytes headers;           // as if it had come with these
    MutableByteView packet;  // in the input's buffer
    std::uint8_t protocol = 0;
    // The SAs whose selectors do not name ESP or AH and so have to match what comes out in the end.
    std::vector<const SaPair*> unmatched;
    unsigned depth = 0;
  };
  // One packet between stages 3 and 8.
  struct Item {
    SaPair* sa = nullptr;
    const WireInput* input = nullptr;
    MutableByteView packet;
    std::uint64_t sequence = 0;
    const Nested* nested = nullptr;
    std::uint16_t ah_size = 0;  // octets of AH in front; 0: it is ESP
    [[nodiscard]] ByteView headers() const { return nested != nullptr ? ByteView(nested->headers) : input->ip_header; }
  };

  // inbound_plain.cpp
  [[nodiscard]] static std::uint32_t spi_of(const WireInput& input) {
    return input.bytes.size() >= kEspHeaderSize ? load_be32(input.bytes.data()) : 0;
  }
  // Inputs are looked at ahead of their turn, some at a time, so that the memory of their SAs is there when it comes.
  static constexpr std::size_t kLookahead = 16;
  struct Ahead {
    std::span<const WireInput> inputs;
    std::array<std::uint32_t, kLookahead> spis;  // 0: it has none
    std::array<SaPair*, kLookahead> sas;         // null where the straight way is out of the question
    bool mixed = false;                          // they are not all the same
  };
  void begin(std::span<const WireInput>& inputs, Ahead& ahead) const;
  void look_up(Ahead& ahead) const;
  void process(const Ahead& ahead, Instant now, InboundSink& sink);
  void process_other(const WireInput& input, SaPair* sa, Instant now, InboundSink& sink);
  void process_train(const WireInput& input, SaPair* sa, Instant now, InboundSink& sink);
  template <typename Layout>
  [[nodiscard]] bool enqueue_straight(const WireInput& input, MutableByteView packet, SaPair& sa, const Layout& layout);
  [[nodiscard]] std::size_t enqueue_usual(const Ahead& ahead, std::size_t first);
  [[nodiscard]] bool enqueue_straight(const WireInput& input, MutableByteView packet, SaPair& sa);
  // inbound_opened.cpp
  struct Opened {
    std::int32_t length;        // of the inner packet and what stands behind it, padding and trailer taken off
    std::int32_t total_length;  // of the inner packet
  };
  [[nodiscard]] std::size_t take_straight(std::size_t first);
  [[nodiscard]] std::size_t take_usual(std::size_t first);
  [[nodiscard]] std::size_t take_others(std::size_t first);
  [[nodiscard]] static bool looks_usual(const InboundSa& in, std::uint8_t tos, const std::uint8_t* inner,
                                        std::size_t text, Opened& opened);
  [[nodiscard]] static bool looks_right(const SaPair& sa, std::uint8_t tos, const std::uint8_t* inner, std::size_t text,
                                        Opened& opened);
  void deliver_straight(const SaPair& sa, const WireInput& input, std::uint8_t* inner, const Opened& opened);
  void complete(std::size_t index);
  void finish_full_batch(Instant now, InboundSink& sink);
  void sort(const WireInput& input, MutableByteView segment, Instant now, InboundSink& sink);
  void enqueue(const WireInput& input, MutableByteView packet, const Nested* nested, Instant now);
  void enqueue_ah(const WireInput& input, MutableByteView packet, const Nested* nested, Instant now);
  [[nodiscard]] SaPair* find(std::uint32_t spi, bool ah, const WireInput& input, ByteView packet, const Nested* nested,
                             Instant now);
  [[nodiscard]] std::optional<std::uint64_t> check_replay(SaPair& sa, std::uint32_t low);
  // inbound_resync.cpp
  void keep_for_trial(InboundSa& in, ByteView packet, Instant now);
  void resynchronise(std::size_t index);
  void open_batch(Instant now);
  void finish_batch(Instant now);
  [[nodiscard]] bool admit(const Item& item, Instant now);
  void note_traffic(const Item& item, bool newest, Instant now);
  // What ESP or AH carries, the trailer taken off.
  struct Content {
    MutableByteView payload;
    std::uint8_t next_header = 0;
    const void* buffer = nullptr;  // what the payload lies in
  };
  [[nodiscard]] static std::optional<DropReason> content_of(const Item& item, Content& content);
  [[nodiscard]] Result<Content, DropReason> decompress(const Item& item, const Content& content);
  // An inner packet on its way to TUN. The facts are those before the ECN field was merged.
  struct Decapsulated {
    MutableByteView packet;  // empty: it waits to go through the path again
    net::PacketInfo info;
    const void* buffer = nullptr;  // what it lies in
    bool as_it_came = false;       // in tunnel mode, not compressed, nothing merged into its header
  };
  void take(const Item& item);
  /// The inner packet, ECN merged and selectors checked, or why there is none.
  [[nodiscard]] Result<Decapsulated, DropReason> unwrap(const Item& item, Content content);
  [[nodiscard]] Result<Decapsulated, DropReason> unwrap_tunnel(const Item& item, const Content& content);
  [[nodiscard]] Result<Decapsulated, DropReason> unwrap_transport(const Item& item, MutableByteView payload,
                                                                  std::uint8_t next_header);
  [[nodiscard]] Result<Decapsulated, DropReason> unwrap_beet(const Item& item, MutableByteView payload,
                                                             std::uint8_t next_header);
  [[nodiscard]] Result<Decapsulated, DropReason> nest(const Item& item, ByteView headers, MutableByteView payload,
                                                      std::uint8_t next_header);
  // inbound_around.cpp
  /// Stage 7; also lowers the MSS of a SYN that may go on.
  [[nodiscard]] std::optional<DropReason> match(const Item& item, MutableByteView packet, const net::PacketInfo& info);
  [[nodiscard]] std::optional<DropReason> match_sa(const SaPair& sa, ByteView packet, const net::PacketInfo& info);
  [[nodiscard]] std::optional<DropReason> match_fragment(const SaPair& sa, ByteView packet, net::PacketInfo info);
  static void clamp(const SaPair& sa, MutableByteView packet, const net::PacketInfo& info);
  void note_ecn(const SaPair& sa, std::uint8_t inner, std::uint8_t outer);
  void hand_over(const Decapsulated& inner);
  void deliver_settled(InboundSink& sink);
  void finish_delivery(InboundSink& sink);

  // In AGGFRAG mode instead of unwrap.
  class AggfragDelivery;
  void take_aggfrag(const Item& item, Instant now);

  void count_replay(SaPair& sa, ReplayWindow::Verdict verdict);

  const EngineOptions& options_;
  const Spd& spd_;
  const Sad& sad_;
  NatFlows& nat_;
  EventQueue& events_;
  DropCounters& drops_;
  RateLimit unknown_spi_hints_{8};
  Instant now_{};  // of the running call
  RateLimit ecn_events_{1};
  FragmentTracker fragments_;
  std::vector<model::ConnectionId> sending_changed_;

  std::array<Ahead, 3> ahead_;

  Arena covered_;  // what the ICVs of AH packets cover of their headers
  Arena built_;    // inner packets that do not lie in their outer ones
  std::vector<Nested> pending_;
  std::vector<Nested> nested_;  // those of the batch
  JobBatch<InboundSa> batch_;
  // RFC 4303 A3.2: one packet of the batch as it came, to be tried with other sequence numbers.
  std::optional<std::size_t> trial_;
  Bytes trial_packet_;
  std::array<Item, JobBatch<InboundSa>::kCapacity> items_;
  // Of packets of the batch that came in by the straight way; null of others. With the usual layout `batch_` has the
  // rest of their item, see `complete`.
  struct Straightly {
    SaPair* sa = nullptr;
    const WireInput* input = nullptr;
    std::uint8_t tos = 0;  // the input's, which nobody else of the straight way reads once more
  };
  std::array<Straightly, JobBatch<InboundSa>::kCapacity> straight_;
  IpComp ipcomp_;
  Bytes decompressed_;                         // one payload
  std::vector<model::ChildSaId> gap_watched_;  // AGGFRAG SAs with a packet that waits for an earlier one
  SegmentCoalescer coalescer_;
  std::vector<InnerPacket> delivery_;  // where super-packets are wanted
  // Where they are not: items differ in their octets only, so all else is written once.
  class Singles {
   public:
    void add(MutableByteView packet) {
      next(1)->bytes = packet;
      ++count_;
    }
    /// Places for so many more; `added` tells how far they were used.
    [[nodiscard]] InnerPacket* next(std::size_t count) {
      if (list_.size() < count_ + count) list_.resize(count_ + count);
      return list_.data() + count_;
    }
    void added(const InnerPacket* end) { count_ = static_cast<std::size_t>(end - list_.data()); }
    [[nodiscard]] std::span<const InnerPacket> all() const { return {list_.data(), count_}; }
    void clear() { count_ = 0; }

   private:
    std::vector<InnerPacket> list_;
    std::size_t count_ = 0;
  };
  Singles singles_;
  // Where the packet last joined, or begun with, came from, unless something was special about it.
  struct Followed {
    const SaPair* sa = nullptr;
    std::uint8_t tos = 0;
    std::uint8_t next_header = 0;
  };
  Followed followed_;
};

}  // namespace culvert::ipsec
