// OutboundPath: an inner packet's way into ESP or AH (RFC 4301 5.1).
//
//   1 classify    read the headers, some packets ahead
//   2 decide      SPD verdict and SA, by the flow cache where it knows the flow; plain packets of known flows whose SA
//                 asks for nothing special take stages 3 to 5 in outbound_plain.cpp, as many at once as have one SA
//   3 segment     plan the packets that a super-packet stands for
//   4 number      count against the lifetime, take the sequence numbers of all segments at once
//   5 frame       ESP header, IV, inner packet and trailer straight into the send region; every mode but ESP in tunnel
//                 mode by way of a Wrapping, in outbound_wrapped.cpp
//   6 seal        all framed packets, gathered by SA
//   7 send        trains of equal packets
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "ipsec/acquire_queue.hpp"
#include "ipsec/aggfrag_outbound.hpp"
#include "ipsec/arena.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/encapsulation.hpp"
#include "ipsec/engine.hpp"
#include "ipsec/event_queue.hpp"
#include "ipsec/flow_cache.hpp"
#include "ipsec/fragment_tracker.hpp"
#include "ipsec/icmp_error.hpp"
#include "ipsec/ipcomp.hpp"
#include "ipsec/iv_pool.hpp"
#include "ipsec/job_batch.hpp"
#include "ipsec/nat_flows.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/reassembler.hpp"
#include "ipsec/sa_timers.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/segmenter.hpp"
#include "ipsec/spd.hpp"

namespace culvert::ipsec {

class OutboundPath final : private AggfragFrames {
 public:
  /// How many packets are classified ahead of the one in work, so that the flow cache's memory is there when asked.
  static constexpr std::size_t kLookahead = 64;
  /// And how many of them have their SA found, and its memory asked for, before the first is worked on.
  static constexpr std::size_t kSaLookahead = 16;

  OutboundPath(const EngineOptions& options, const Spd& spd, const Sad& sad, NatFlows& nat, EventQueue& events,
               DropCounters& drops, RandomSource& random);

  void run(std::span<const InnerPacket> packets, Instant now, OutboundSink& sink);
  /// After a command: packets that wait are tried again before any other.
  void retry_waiting() { retry_ = true; }
  /// The SPD or the set of sending SAs changed.
  void invalidate_flows() { flows_.invalidate(); }
  /// NatFlows has forgotten some.
  void drop_forgotten();
  /// The SPD was replaced; before `invalidate_flows`.
  void policies_changed();
  /// As Engine::set_home, nothing standing for this engine as well. True when it is a change.
  [[nodiscard]] bool set_home(model::ConnectionId connection, std::optional<SaHome> home);
  /// A pair came into the SAD.
  void installed(const SaPair& sa, Instant now);
  void handle_time(Instant now, OutboundSink& sink);
  [[nodiscard]] std::optional<Instant> next_deadline() const;

 private:
  using Info = Result<net::PacketInfo, net::PacketError>;
  // A packet ahead of its turn.
  struct Ahead {
    FlowKey key;
    net::PlainPacket plain;
    bool is_plain = false;
    bool repeats = false;  // plain, and of the same flow as the one before
    bool twin = false;     // as well, and like it in length and all that matters: `key` and `plain` are not set then
    SaPair* sa = nullptr;  // of a plain packet of a known flow that is to be protected
    Info* info = nullptr;  // of plain packets only where it is needed
  };
  // Two rounds of them: while one is in work, the flow cache's memory for the next is on its way.
  struct Round {
    std::span<const InnerPacket> packets;
    bool has_v6 = false;
    std::uint32_t generation = 0;  // of the flow cache when the first SA was looked up
    std::array<Ahead, kLookahead> ahead;
    std::array<Info, kLookahead> infos;
  };
  void classify(std::span<const InnerPacket>& packets, Round& round);
  void peek(const Round& round) const;
  void look_up(Round& round, std::size_t from);
  void process(Round& round, std::size_t from, Instant now, OutboundSink& sink);
  static void complete(Ahead& twin);
  static void prefetch(const SaPair& sa);
  // outbound_plain.cpp
  template <typename Layout>
  void protect_plain(const InnerPacket& packet, const net::PlainPacket& plain, SaPair& sa, const Layout& layout,
                     OutboundSink& sink);
  [[nodiscard]] std::size_t protect_twins(const InnerPacket* packet, std::size_t count, const net::PlainPacket& plain,
                                          SaPair& sa);
  void protect_other_layout(const InnerPacket& packet, const net::PlainPacket& plain, SaPair& sa, OutboundSink& sink);
  void process_other(Round& round, std::size_t index, Instant now, OutboundSink& sink);
  /// The flow cache's key, with its place worked out.
  [[nodiscard]] FlowKey key_of(const net::PacketInfo& info) const;
  void process(const InnerPacket& packet, const Info& info, const FlowKey& key, Instant now, Instant since,
               OutboundSink& sink);
  void process(const InnerPacket& packet, Instant now, Instant since, OutboundSink& sink);
  void route(const InnerPacket& packet, const net::PacketInfo& info, const FlowKey& key, Instant now, Instant since,
             OutboundSink& sink);
  [[nodiscard]] FlowVerdict decide(ByteView packet, const net::PacketInfo& info, const FlowKey& key);
  // outbound_nat.cpp
  enum class NatWord : std::uint8_t { nothing, once, keep };
  [[nodiscard]] NatWord settle_nat(ByteView packet, const net::PacketInfo& info, FlowVerdict& verdict);
  [[nodiscard]] bool give_back_port(const InnerPacket& packet, net::PacketInfo& info, const SaPair& sa);
  /// Null when the connection has no home but this engine.
  [[nodiscard]] const SaHome* home_of(model::ConnectionId connection) const;
  void ask_for_own(const net::PacketInfo& info, const Policy& policy);
  void protect(const InnerPacket& packet, const net::PacketInfo& info, SaPair& sa, OutboundSink& sink);
  void protect_whole(const InnerPacket& packet, const net::PacketInfo& info, SaPair& sa, OutboundSink& sink);
  [[nodiscard]] SaPair* find_populated(const Policy& policy, const net::PacketInfo& info,
                                       const NatPeerFilter* peers) const;
  void wait_for_sa(const InnerPacket& packet, const net::PacketInfo& info, const Policy& policy, Instant now,
                   Instant since);
  // outbound_segments.cpp
  [[nodiscard]] static bool cuts_in_place(const Segmenter& plan, const SaPair& sa);
  void protect_in_place(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info, SaPair& sa,
                        OutboundSink& sink);
  template <typename Layout>
  void cut_in_place(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info, SaPair& sa,
                    const Layout& layout, std::uint64_t sequence, OutboundSink& sink);
  template <typename Layout>
  [[nodiscard]] static bool seal_alone(OutboundSa& out, const Layout& layout, const std::uint8_t* inner,
                                       std::uint8_t* at, std::size_t padded, std::uint64_t sequence);
  void protect_planned(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info, SaPair& sa,
                       OutboundSink& sink);
  [[nodiscard]] std::optional<std::uint64_t> take_numbers(SaPair& sa, std::uint32_t count, std::uint64_t bytes);
  void watch_sequence(SaPair& sa, std::uint32_t count, bool taken);
  struct Payload {
    std::size_t length = 0;
    std::uint8_t next_header = 0;
  };
  [[nodiscard]] Payload compress(const Segmenter& plan, std::uint32_t index, std::uint64_t flow, Payload plain,
                                 SaPair& sa, std::uint8_t* out);
  [[nodiscard]] Payload compress_in_place(Payload plain, std::uint64_t flow, SaPair& sa, std::uint8_t* at);
  [[nodiscard]] Payload shrink(Payload plain, std::uint64_t flow, SaPair& sa, std::uint8_t* out);
  void give_back_behind(const std::uint8_t* end) { region_used_ = static_cast<std::size_t>(end - region_.data()); }
  [[nodiscard]] std::size_t frame(Payload payload, std::uint64_t sequence, SaPair& sa, std::uint8_t* at);
  // AggfragFrames.
  [[nodiscard]] std::optional<std::uint64_t> number(SaPair& sa) override { return take_numbers(sa, 1, 0); }
  [[nodiscard]] bool admit(SaPair& sa, std::size_t octets) override;
  [[nodiscard]] std::uint8_t* reserve(std::size_t octets, OutboundSink& sink) override {
    return reserve(octets, 0, sink);
  }
  void finish(SaPair& sa, std::uint8_t* at, std::size_t length, std::uint64_t sequence) override;
  // Header and IV in front, at `at`, and what stands behind the `length` octets, at `behind`.
  template <typename Layout>
  void write_around(const OutboundSa& out, const Layout& layout, std::uint8_t* at, std::uint8_t* behind,
                    std::size_t length, std::uint8_t next_header, std::uint64_t sequence) {
    store_be64(at, std::uint64_t{out.spi} << 32 | static_cast<std::uint32_t>(sequence));
    std::uint8_t* const iv = at + kEspHeaderSize;
    if (layout.random_iv) {
      ivs_.take({iv, layout.iv});
    } else if (layout.iv != 0) {
      store_be64(iv, sequence);
    }
    // RFC 4303 2.4: padding octets count 1, 2, 3, ...
    const std::size_t padding = layout.padded(length) - length - kEspTrailerSize;
    for (std::size_t i = 0; i < padding; ++i) behind[i] = static_cast<std::uint8_t>(i + 1);
    behind[padding] = static_cast<std::uint8_t>(padding);
    behind[padding + 1] = next_header;
  }
  // What a train's packets have in common besides their SA.
  struct OuterFields {
    std::uint8_t tos = 0;
    std::uint8_t hop_limit = 64;
    bool dont_fragment = false;
    bool whole_packet = false;  // the others stand in its own header
    friend bool operator==(const OuterFields& a, const OuterFields& b) {
      return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
    }
  };
  [[nodiscard]] std::uint8_t* reserve_plain(std::size_t length, OutboundSink& sink);
  [[nodiscard]] bool continues_train(const SaPair& sa, const net::PlainPacket& plain, const std::uint8_t* at,
                                     std::size_t length);
  void begin_plain_train(const SaPair& sa, const net::PlainPacket& plain, std::uint8_t* at, std::size_t length);
  // The last ones worked out in the running call; after it the profile may be gone.
  struct OuterMemo {
    const SaProfile* profile = nullptr;
    std::uint32_t outer = 0;  // net::PlainPacket's
    OuterFields fields;
  };
  [[nodiscard]] const OuterFields& outer_fields_of(const SaProfile& profile, const net::PlainPacket& plain);
  [[nodiscard]] static OuterFields outer_fields(const model::OuterHeader& outer, net::Family inner, std::uint8_t tos,
                                                bool dont_fragment);
  [[nodiscard]] static OuterFields outer_fields(const SaPair& sa, net::Family inner, std::uint8_t tos,
                                                bool dont_fragment);
  void protect_wrapped(const InnerPacket& packet, const net::PacketInfo& info, SaPair& sa, const Segmenter& plan,
                       OutboundSink& sink);
  [[nodiscard]] bool ah_can_cover(ByteView headers);
  [[nodiscard]] std::uint8_t* reserve(std::size_t length, std::size_t in_front, OutboundSink& sink);
  [[nodiscard]] std::size_t frame_wrapped(const Segmenter& plan, std::uint32_t index, const Wrapping& wrapping,
                                          const OuterFields& outer, std::uint64_t flow, std::uint64_t sequence,
                                          SaPair& sa, std::uint8_t* at);
  void write_front(const Wrapping& wrapping, const OuterFields& outer, const SaPair& sa, MutableByteView packet);
  void frame_ah(std::size_t front, std::uint8_t next_header, std::uint64_t sequence, SaPair& sa,
                MutableByteView packet);
  void frame_esp_around(std::uint8_t* at, std::size_t length, std::uint8_t next_header, std::uint64_t sequence,
                        SaPair& sa);
  [[nodiscard]] std::uint16_t next_identification();
  void add_to_train(const SaPair& sa, const OuterFields& outer, std::uint8_t* at, std::size_t length);
  void start_train(const SaPair& sa, const OuterFields& outer, std::uint8_t* at, std::size_t length) {
    // Each part made in its place: a copy of what was just stored in smaller pieces would wait for the stores.
    WireTrain& train =
        trains_.emplace_back(sa.params.path, sa.params.encapsulation, outer.whole_packet, outer.hop_limit, outer.tos,
                             outer.dont_fragment, static_cast<std::uint16_t>(length));
    train.bytes = {at, length};
    train_sa_ = &sa;
    train_fields_ = outer;
    train_outer_ = kUnknownOuter;
    train_segment_ = length;
    train_end_ = at + length;
    train_stop_ = at + std::min(options_.max_train_bytes, length * options_.max_train_segments);
  }
  // A packet of the batch that is cut once it is sealed; `room` is what was kept free for its fragments.
  struct OuterCut {
    std::size_t train = 0;
    MutableByteView room;
    std::size_t longest = 0;
  };
  [[nodiscard]] static std::size_t room_for_cut(const SaPair& sa, std::size_t length);
  void cut_outer_packets();
  void withdraw_keyless();
  void seal();
  void flush(OutboundSink& sink);
  void tell_expiry(SaPair& sa);
  void watch_silence(SaPair& sa);
  void send_waiting(Instant now, OutboundSink& sink);

  // outbound_around.cpp
  enum class LongWay : std::uint8_t { refuse, cut_before, cut_after };
  void process_fragment(const InnerPacket& packet, net::PacketInfo info, Instant now, Instant since,
                        OutboundSink& sink);
  [[nodiscard]] bool admit_fragment(const InnerPacket& packet, const net::PacketInfo& info, const SaPair& sa,
                                    OutboundSink& sink);
  void join_fragment(const InnerPacket& packet, const net::PacketInfo& info, OutboundSink& sink);
  void route_unruled(const InnerPacket& packet, const net::PacketInfo& info, OutboundSink& sink);
  static void clamp(const InnerPacket& packet, const net::PacketInfo& info, const SaPair& sa);
  [[nodiscard]] LongWay way_of_long(const SaPair& sa, const net::PacketInfo& info, std::size_t length) const;
  void protect_long(const InnerPacket& packet, const Segmenter& plan, const net::PacketInfo& info, SaPair& sa,
                    OutboundSink& sink);
  void refuse_long(const Segmenter& plan, const net::PacketInfo& info, const SaPair& sa, OutboundSink& sink);
  void cut_before(const Segmenter& plan, SaPair& sa, OutboundSink& sink);
  void send_dummy(SaPair& sa, OutboundSink& sink);
  void send_due_dummies(Instant now, OutboundSink& sink);
  void expire_fragments(Instant now);

  const EngineOptions& options_;
  const Spd& spd_;
  const Sad& sad_;
  NatFlows& nat_;
  EventQueue& events_;
  DropCounters& drops_;
  FlowCache flows_;
  std::unordered_map<model::ConnectionId, SaHome> homes_;  // only other engines
  AcquireQueue waiting_;
  IvPool ivs_;
  AggfragOutbound aggfrag_;
  IpComp ipcomp_;
  Bytes uncompressed_;  // one payload
  bool retry_ = false;
  std::array<Round, 2> rounds_;

  // For outbound_around.cpp.
  RandomSource& random_;
  Instant now_{};  // of the running call
  FragmentTracker fragments_;
  EarlyFragments early_;
  Reassembler reassembler_;
  SaTimers dummies_;
  RateLimit long_answers_{100};
  std::array<std::uint8_t, kMaxIcmpError> answer_{};
  bool follow_fragments_ = false;  // something in the SPD or SAD asks for ports
  bool sas_name_ports_ = false;
  bool retrying_ = false;   // the packet in work has waited for its SA
  bool joined_ = false;     // it was put together from fragments
  bool cut_outer_ = false;  // its outer packet may be cut

  // The region in use and what stands in it, framed but not yet sealed and sent.
  MutableByteView region_;
  std::size_t region_used_ = 0;
  JobBatch<OutboundSa> batch_;
  Arena covered_;  // what the ICVs of AH packets cover of their headers
  std::uint16_t identification_ = 0;
  std::vector<WireTrain> trains_;
  std::vector<OuterCut> cuts_;
  // The last train, as long as it may grow.
  const SaPair* train_sa_ = nullptr;
  OuterFields train_fields_;
  // Plain packets that have this as net::PlainPacket::outer have those fields.
  static constexpr std::uint32_t kUnknownOuter = 0xffff'ffff;
  std::uint32_t train_outer_ = kUnknownOuter;
  std::size_t train_segment_ = 0;
  const std::uint8_t* train_end_ = nullptr;  // where the next packet has to stand; null: it is closed
  const std::uint8_t* train_stop_ = nullptr;
  OuterMemo outer_memo_;
};

}  // namespace culvert::ipsec
