// AGGFRAG with known keys. The first octet sets the SA up (congestion control, DF of inner packets, reorder window);
// then records
//
//   kind, length (2 octets), data
//
// follow: data as an AGGFRAG payload behind a right ICV (its first octet moves the sequence number), time that passes,
// payloads straight into a receiver, whose memory is bounded, or inner packets on their way out, which then come in at
// the other side. What comes out is a whole IP packet that the SA may carry, and what was sent is what arrives.
#include <algorithm>
#include <cstdint>

#include "base/check.hpp"
#include "ipsec/aggfrag_receiver.hpp"
#include "ipsec/engine_test_kit.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;

enum Kind : std::uint8_t { sealed, pause, received, outbound, kinds };

class Checked final : public AggfragOutput {
 public:
  void inner_packet(MutableByteView packet, bool) override {
    CHECK(!packet.empty() && packet.size() <= kMaxAggfragBlock);
    octets += packet.size();
  }
  void dropped(DropReason) override {}
  void lost(std::uint64_t outer_packets) override { CHECK(outer_packets != 0); }
  std::size_t octets = 0;
};

class Run {
 public:
  explicit Run(std::uint8_t choice) : receiver_(static_cast<std::uint16_t>(choice & 7)) {
    model::Aggfrag aggfrag;
    aggfrag.packet_size = 600;
    aggfrag.congestion_control = (choice & 0x40) != 0;
    aggfrag.dont_fragment = (choice & 0x20) != 0;
    aggfrag.reorder_window = choice & 7;
    model::PacketTreatment treatment;
    treatment.aggfrag = aggfrag;
    treatment.mss_clamp.reset();
    EngineOptions options;
    options.coalesce = (choice & 0x80) != 0;
    options.flow_cache_entries = 16;
    pair_.emplace(options);
    pair_->set_policies();
    pair_->install(1, {}, treatment);
    // A second pair, whose keys a peer like no other has.
    auto [a, b] = pair_->make_pair(2, {});
    b.treatment = treatment;
    sealer_.emplace(b.spi_inbound, b.suite, b.inbound);
    CHECK(pair_->bob.install(std::move(b), pair_->now).has_value());
  }

  void step(std::uint8_t kind, ByteView data) {
    switch (kind % kinds) {
      case sealed: return seal(data);
      case pause: return wait(data);
      case received: return take(data);
      default: return send(data);
    }
  }

 private:
  // Most numbers follow each other; some leave a gap, some come late.
  static std::uint64_t moved(std::uint64_t number, std::uint8_t by) {
    if (by < 0xc0) return number + 1;
    if (by < 0xe0) return number + 1 + (by & 0x1f);
    return number - std::min<std::uint64_t>(number - 1, by & 0x1f);
  }

  void seal(ByteView data) {
    if (data.empty()) return;
    number_ = moved(number_, data[0]);
    const CollectingInner inner =
        pair_->bob_receives({sealer_->seal_inner(number_, data.subspan(1), net::IpProtocol::aggfrag)});
    for (const Bytes& packet : inner.packets) check_inner(packet);
  }

  void wait(ByteView data) {
    pair_->now += std::chrono::milliseconds(data.empty() ? 1 : data[0]);
    CollectingInner inner;
    pair_->bob.release(pair_->now, inner);
    for (const Bytes& packet : inner.packets) check_inner(packet);
    CollectingWire wire;
    pair_->alice.handle_time(pair_->now, wire);
    (void)pair_->bob_receives(wire.packets());
    Checked output;
    receiver_.expire(pair_->now, output);
    const auto due = receiver_.next_deadline();
    CHECK(!due || *due > pair_->now);
  }

  void take(ByteView data) {
    if (data.empty()) return;
    const std::uint64_t next = moved(taken_, data[0]);
    if (next <= taken_) return;  // the replay window has seen to that
    taken_ = next;
    Bytes payload = to_bytes(data.subspan(1));
    Checked output;
    receiver_.receive(next, payload.empty() ? std::nullopt : std::optional<MutableByteView>(payload), pair_->now,
                      output);
    held_ += payload.size();
    CHECK(output.octets <= held_);  // nothing is made of nothing
  }

  // All packets of the record share one call, and none is lost on the way.
  void send(ByteView data) {
    std::vector<Bytes> packets;
    ByteReader reader(data);
    while (reader.ok() && reader.remaining() >= 3) {
      const bool six = (reader.u8() & 1) != 0;
      const std::size_t size = reader.u16() % 3000;
      packets.push_back(udp_packet(six ? pair_->v6 : pair_->v4, Bytes(size, static_cast<std::uint8_t>(size))));
    }
    const std::uint64_t refused = drops(pair_->alice, "too_long");
    const CollectingWire wire = pair_->alice_sends(packets);
    const std::uint64_t dropped = drops(pair_->alice, "too_long") - refused;
    for (const Bytes& outer : wire.packets()) CHECK(outer.size() <= 600);
    const CollectingInner inner = pair_->bob_receives(wire.packets());
    CHECK(inner.packets.size() + dropped == packets.size());
    auto sent = packets.begin();
    for (const Bytes& packet : inner.packets) {
      sent = std::find(sent, packets.end(), packet);
      CHECK(sent != packets.end());
      ++sent;
    }
  }

  void check_inner(const Bytes& packet) {
    const auto info = net::parse_packet(packet);
    CHECK(info.has_value());
    CHECK(info->total_length == packet.size());
    CHECK(selectors_match(pair_->alice_side, pair_->bob_side, *info) || info->protocol == 1 || info->protocol == 58);
  }

  std::optional<TwoEngines> pair_;
  std::optional<RawSealer> sealer_;
  AggfragReceiver receiver_;
  std::uint64_t number_ = 100;
  std::uint64_t taken_ = 100;
  std::size_t held_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader reader({data, size});
  Run run(reader.u8());
  for (int steps = 0; steps < 64 && reader.ok() && reader.remaining() >= 3; ++steps) {
    const std::uint8_t kind = reader.u8();
    const std::size_t length = std::min<std::size_t>(reader.u16(), reader.remaining());
    run.step(kind, reader.bytes(length));
  }
  return 0;
}
