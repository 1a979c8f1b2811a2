// What AGGFRAG (RFC 9347) does for small packets: ns per inner packet of 64 octets to seal and to open, in ESP packets
// of its own (plain) and packed into outer packets of 1400 octets (aggregated). The ratio of the two in one run is the
// figure. "outer" is the number of outer packets per inner one.
#include <benchmark/benchmark.h>

#include "ipsec/engine_test_kit.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;

constexpr std::size_t kPacketsPerCall = 128;
constexpr std::size_t kInner = 64;

class DiscardingWire final : public OutboundSink {
 public:
  MutableByteView region() override { return memory_; }
  void send(std::span<const WireTrain> trains) override {
    for (const WireTrain& train : trains) {
      packets += (train.bytes.size() + train.segment_size - 1) / train.segment_size;
      benchmark::DoNotOptimize(train.bytes.back());
    }
  }
  bool bypass(const InnerPacket&) override { return false; }
  void answer(ByteView) override {}
  void elsewhere(const InnerPacket&, std::uint32_t) override {}
  std::uint64_t packets = 0;

 private:
  Bytes memory_ = Bytes(kMinWireRegion * 4);
};

class DiscardingInner final : public InboundSink {
 public:
  void deliver(std::span<const InnerPacket> packets) override {
    delivered += packets.size();
    benchmark::DoNotOptimize(packets.back().bytes.back());
  }
  void ike_message(const net::Path&, ByteView) override {}
  std::uint64_t delivered = 0;
};

struct World {
  explicit World(bool aggregated) {
    pair.set_policies();
    model::PacketTreatment treatment;
    if (aggregated) treatment.aggfrag = model::Aggfrag{.packet_size = 1400};
    pair.install(1, {}, treatment);
    const Bytes packet = udp_packet(pair.v4, Bytes(kInner - net::kIpv4HeaderSize - net::kUdpHeaderSize));
    buffers.reserve(kPacketsPerCall);
    for (std::size_t i = 0; i < kPacketsPerCall; ++i) packets.push_back(buffers.emplace_back(packet).view());
  }
  TwoEngines pair;
  std::vector<InnerBuffer> buffers;
  std::vector<InnerPacket> packets;
};

void seal(benchmark::State& state, bool aggregated) {
  World world(aggregated);
  DiscardingWire wire;
  for (auto _ : state) world.pair.alice.outbound(world.packets, world.pair.now, wire);
  CHECK(all_drops(world.pair.alice) == 0);
  const auto items = state.iterations() * static_cast<std::int64_t>(kPacketsPerCall);
  state.SetItemsProcessed(items);
  state.counters["outer"] = static_cast<double>(wire.packets) / static_cast<double>(items);
}

// Opening uses the packets up, so each round seals new ones first, with the clock stopped.
void open(benchmark::State& state, bool aggregated) {
  constexpr std::size_t kCallsPerRound = 64;
  World world(aggregated);
  DiscardingInner inner;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::vector<Bytes>> calls;
    std::vector<std::vector<WireInput>> inputs(kCallsPerRound);
    calls.reserve(kCallsPerRound);
    for (std::size_t i = 0; i < kCallsPerRound; ++i) {
      CollectingWire wire;
      world.pair.alice.outbound(world.packets, world.pair.now, wire);
      for (Bytes& packet : calls.emplace_back(wire.packets())) {
        inputs[i].push_back({.path = {world.pair.path.remote, world.pair.path.local}, .bytes = packet});
      }
    }
    state.ResumeTiming();
    for (const auto& call : inputs) world.pair.bob.inbound(call, world.pair.now, inner);
  }
  CHECK(all_drops(world.pair.bob) == 0);
  const auto items = state.iterations() * static_cast<std::int64_t>(kPacketsPerCall * kCallsPerRound);
  CHECK(inner.delivered == static_cast<std::uint64_t>(items));
  state.SetItemsProcessed(items);
}

}  // namespace

BENCHMARK_CAPTURE(seal, plain, false);
BENCHMARK_CAPTURE(seal, aggregated, true);
BENCHMARK_CAPTURE(open, plain, false);
BENCHMARK_CAPTURE(open, aggregated, true);

BENCHMARK_MAIN();
