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
#include "ipsec/plain_facts.hpp"
#include "ipsec/reassembler.hpp"
#include "ipsec/sa_timers.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/segmenter.hpp"
#include "ipsec/spd.hpp"
#include "ipsec/wire_trains.hpp"

namespace culvert::ipsec {

class OutboundPath final : private AggfragFrames {
 public:
  /// How many packets are classified ahead of those in work, so that the flow cache's memory is there when asked; and
  /// of how many the SAs are found, and their memory asked for, before the first is worked on.
  static constexpr std::size_t kLookahead = 64;

  OutboundPath(const EngineOptions& options, const Spd& spd, const Sad& sad, NatFlows& nat, EventQueue& events,
               DropCounters& drops, RandomSource& random);

  void run(std::span<const InnerPacket> packets, Instant now, OutboundSink& sink);
  /// After the SPD was replaced: all packets that wait are tried again before any other.
  void retry_waiting() { retry_all_ = true; }
  /// The SPD was replaced.
  void invalidate_flows() { flows_.invalidate(); }
  /// The set of sending SAs changed; packets that wait for one of the connection are tried again.
  void sas_changed(model::ConnectionId connection);
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

  /// Whether packets of SAs in turn go the way of outbound_turns.cpp: the CPU decides, and tests may want it not to.
  /// Answers what was so before; while no packet is in work.
  static bool take_turns(bool wanted);
  [[nodiscard]] static bool takes_turns();

 private:
  using Info = Result<net::PacketInfo, net::PacketError>;
  // A packet ahead of its turn.
  struct Ahead {
    FlowKey key;  // not set for twins
    PlainFacts facts;
    SaPair* sa = nullptr;  // of a plain packet of a known flow that is to be protected
  };
  static_assert(sizeof(Ahead) == kCacheLine);
  // Two rounds of them: while one is in work, the flow cache's memory for the next is on its way.
  struct Round {
    std::span<const InnerPacket> packets;
    bool has_v6 = false;
    std::uint32_t longest = 0;     // octets of a plain packet
    std::uint32_t generation = 0;  // of the flow cache when the first SA was looked up
    // A bit for each packet, the first one's the lowest.
    std::uint64_t parsed = 0;   // there is an Info
    std::uint64_t halts = 0;    // twins, and packets without an SA
    std::uint64_t changes = 0;  // an SA that the packet in front has not
    std::uint64_t fresh = 0;    // PlainFacts::Kind::fresh, of IPv4
    std::uint64_t twins = 0;    // PlainFacts::Kind::twin
    std::uint64_t shapes = 0;   // facts that the packet in front has not, or may not have
    std::array<Ahead, kLookahead> ahead;
    std::array<Info, kLookahead> infos;
  };
  static_assert(kLookahead <= 64);
  void classify(std::span<const InnerPacket>& packets, Round& round);
  void peek(const Round& round) const;
  void look_up(Round& round);
  [[nodiscard]] std::size_t look_up_fresh(Round& round, std::size_t from, std::size_t end, SaPair*& before) const;
  [[nodiscard]] std::size_t look_up_alike(Round& round, std::size_t from, std::size_t end, SaPair*& before) const;
  [[nodiscard]] SaPair* look_up_one(Round& round, std::size_t index, SaPair* before);
  void process(Round& round, Instant now, OutboundSink& sink);
  // Packets of one shape: what follows from it, and which are a new flow's.
  struct Alikes {
    PlainFacts facts;
    std::uint64_t rest = 0;  // of the flow key
    bool tcp = false;
    std::uint64_t fresh = 0;          // a bit for each packet
    const FlowKey* before = nullptr;  // the last flow's
  };
  [[nodiscard]] std::size_t classify_alike(Round& round, std::size_t from, Alikes& alikes) const;
  void classify_other(Round& round, std::size_t index, const net::PlainPacket* plain) const;
  [[nodiscard]] static const Info& parse(Round& round, std::size_t index);
  static void complete(Ahead& twin);
  [[nodiscard]] SaPair* known_sa(Round& round, const Ahead& one);
  void look_up_unknown(Round& round, std::size_t index);
  static void prefetch(const SaPair& sa);
  // outbound_plain.cpp
  // Where `protect_usual` stands, and where the next packet's parts go.
  struct Stretch {
    const Ahead* one;
    const InnerPacket* packet;
    std::uint8_t* at;
    crypto::EspJob* job;
    WireTrain* train;
    const SaPair* train_sa;  // of the last one, if the next packet may join it
    const crypto::EspJob* keys_end;
    std::uint64_t state;  // that SAs must have
  };
  [[nodiscard]] std::size_t protect_usual(const Round& round, std::size_t from, std::size_t end, OutboundSink& sink);
  [[nodiscard]] static std::size_t turns_from(const Round& round, std::size_t from);
  void protect_rest(Stretch& stretch, const Ahead* end);
  void protect_turns(Stretch& stretch, const Ahead* end);
  [[nodiscard]] std::size_t protect_twins(const InnerPacket* packet, std::size_t count, const PlainFacts& facts,
                                          SaPair& sa);
  void process_one(Round& round, std::size_t index, bool& decided, Instant now, OutboundSink& sink);
  template <typename Layout>
  void protect_plain(const InnerPacket& packet, const PlainFacts& facts, SaPair& sa, const Layout& layout,
                     OutboundSink& sink);
  /// The flow cache's key, with its place worked out.
  [[nodiscard]] FlowKey key_of(const net::PacketInfo& info) const;
  void process(const InnerPacket& packet, const Info& info, const FlowKey& key, Instant now, Instant since,
               OutboundSink& sink);
  void process(const InnerPacket& packet, Instant now, Instant since, OutboundSink& sink);
  void route(const InnerPacket& packet, const net::PacketInfo& info, const FlowKey& key, Instant now, Instant since,
             OutboundSink& sink);
  [[nodiscard]] FlowVerdict decide(ByteView packet, const net::PacketInfo& info, const FlowKey& key);
  void remember(const FlowKey& key, const FlowVerdict& verdict);
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
  // The last ones worked out in the running call; after it the profile may be gone.
  struct OuterMemo {
    const SaProfile* profile = nullptr;
    std::uint16_t outer = 0;  // PlainFacts::outer
    OuterFields fields;
    TrainWord word;
  };
  // As `outer_fields`; SAs of the same profile and packets with the same fields mostly come in a row.
  [[nodiscard, gnu::always_inline]] const OuterMemo& outer_of(const SaProfile& profile, const PlainFacts& facts) {
    if (outer_memo_.profile != &profile || outer_memo_.outer != facts.outer()) [[unlikely]]
      learn_outer(profile, facts);
    return outer_memo_;
  }
  void learn_outer(const SaProfile& profile, const PlainFacts& facts);
  [[nodiscard]] static OuterFields outer_fields(const model::OuterHeader& outer, net::Family inner, std::uint8_t tos,
                                                bool dont_fragment);
  [[nodiscard]] static OuterFields outer_fields(const SaPair& sa, net::Family inner, std::uint8_t tos,
                                                bool dont_fragment);
  void protect_wrapped(const InnerPacket& packet, const net::PacketInfo& info, SaPair& sa, const Segmenter& plan,
                       OutboundSink& sink);
  [[nodiscard]] bool ah_can_cover(ByteView headers);
  void open_region(OutboundSink& sink);
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
  [[nodiscard]] static TrainWord word_of(const OuterFields& outer) {
    return TrainWord({.with_ip_header = outer.whole_packet,
                      .hop_limit = outer.hop_limit,
                      .tos = outer.tos,
                      .dont_fragment = outer.dont_fragment});
  }
  [[nodiscard]] std::size_t most_in_train(std::size_t segment) const {
    return std::min(options_.max_train_bytes, segment * options_.max_train_segments);
  }
  // Whether a packet behind the train's last one, with the same fields, joined it.
  [[nodiscard]] bool grows(WireTrain& train, std::size_t length) const {
    const std::size_t segment = train.segment_size;
    if (length > segment || train.bytes.size() + length > most_in_train(segment)) return false;
    train.bytes = {train.bytes.data(), train.bytes.size() + length};
    return true;
  }
  [[gnu::always_inline]] static void begin_train(WireTrain& train, const SaPair& sa, const TrainWord& word,
                                                 std::uint8_t* at, std::size_t length) {
    train.path = sa.params.path;
    word.with_segment(length).write_to(train);
    train.bytes = {at, length};
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
  bool retry_all_ = false;
  std::vector<model::ConnectionId> retry_;  // for whose SAs packets wait
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
  WireTrains trains_;
  std::vector<OuterCut> cuts_;
  // Of the last train, as long as it may grow.
  const SaPair* train_sa_ = nullptr;
  OuterFields train_fields_;
  const std::uint8_t* train_end_ = nullptr;  // where the next packet has to stand; null: it is closed
  OuterMemo outer_memo_;
  bool wants_params_ = true;  // the last packets of SAs in turn needed them
};

}  // namespace culvert::ipsec
