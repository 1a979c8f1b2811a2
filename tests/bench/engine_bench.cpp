// The engine without I/O: ns per packet to seal and to open, by suite, packet size and number of SAs used in turn, ESN
// and replay window on. The raw cipher stands beside it as the baseline of the same run. "time per item" is per packet.
#include <string>

#include <benchmark/benchmark.h>

#include "ipsec/engine_test_kit.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;

constexpr std::size_t kPacketsPerCall = 128;

// Gives the same memory again and again and remembers nothing.
class DiscardingWire final : public OutboundSink {
 public:
  MutableByteView region() override { return memory_; }
  void send(std::span<const WireTrain> trains) override {
    for (const WireTrain& train : trains) benchmark::DoNotOptimize(train.bytes.back());
  }
  bool bypass(const InnerPacket&) override { return false; }
  void answer(ByteView) override {}

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

// Engines with `count` SAs, SA i for the destination number i, and one packet for each.
struct Fleet {
  Fleet(const model::EspSuite& suite, std::size_t count, std::size_t size, const EngineOptions& options = {})
      : pair(options) {
    // One rule and one connection per SA would measure the rules; one rule for all measures the engine.
    pair.alice.set_policies(
        {{TwoEngines::kPolicy, PolicyAction::protect, pair.alice_side, pair.bob_side, TwoEngines::kConnection}});
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t octets[] = {10, 2, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
      Flow flow = pair.v4;
      flow.destination = net::IpAddress::from_bytes(octets).value();
      auto [a, b] = pair.make_pair(i + 1, suite);
      a.remote = b.local = {{net::AddressRange::of(flow.destination)}};
      CHECK(pair.alice.install(std::move(a), pair.now).has_value());
      CHECK(pair.bob.install(std::move(b), pair.now).has_value());
      const std::size_t headers = net::kIpv4HeaderSize + net::kUdpHeaderSize;
      buffers.emplace_back(udp_packet(flow, Bytes(size - headers)));
    }
    for (std::size_t i = 0; i < kPacketsPerCall * std::max<std::size_t>(1, count / kPacketsPerCall + 1); ++i) {
      packets.push_back(buffers[i % count].view());
    }
  }

  // The next packets in turn.
  std::span<const InnerPacket> next() {
    const std::span<const InnerPacket> all(packets);
    if (at + kPacketsPerCall > all.size()) at = 0;
    const auto some = all.subspan(at, kPacketsPerCall);
    at += kPacketsPerCall;
    return some;
  }

  TwoEngines pair;
  std::vector<InnerBuffer> buffers;
  std::vector<InnerPacket> packets;
  std::size_t at = 0;
};

EngineOptions bench_options() {
  EngineOptions options;
  options.flow_cache_entries = 16384;
  return options;
}

void seal(benchmark::State& state, const model::EspSuite& suite) {
  Fleet fleet(suite, static_cast<std::size_t>(state.range(1)), static_cast<std::size_t>(state.range(0)),
              bench_options());
  DiscardingWire wire;
  for (auto _ : state) fleet.pair.alice.outbound(fleet.next(), fleet.pair.now, wire);
  CHECK(all_drops(fleet.pair.alice) == 0);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPacketsPerCall));
}

// Opening uses the packets up, so each round seals new ones first, with the clock stopped.
void open(benchmark::State& state, const model::EspSuite& suite) {
  constexpr std::size_t kCallsPerRound = 16;
  Fleet fleet(suite, static_cast<std::size_t>(state.range(1)), static_cast<std::size_t>(state.range(0)),
              bench_options());
  DiscardingInner inner;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Bytes> sealed;
    for (std::size_t i = 0; i < kCallsPerRound; ++i) {
      CollectingWire wire;
      fleet.pair.alice.outbound(fleet.next(), fleet.pair.now, wire);
      for (Bytes& packet : wire.packets()) sealed.push_back(std::move(packet));
    }
    std::vector<WireInput> inputs;
    for (Bytes& packet : sealed) {
      inputs.push_back({.path = {fleet.pair.path.remote, fleet.pair.path.local}, .bytes = packet});
    }
    state.ResumeTiming();
    for (std::size_t i = 0; i < kCallsPerRound; ++i) {
      fleet.pair.bob.inbound(std::span(inputs).subspan(i * kPacketsPerCall, kPacketsPerCall), fleet.pair.now, inner);
    }
  }
  CHECK(all_drops(fleet.pair.bob) == 0);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPacketsPerCall * kCallsPerRound));
}

// The cipher alone on as many packets of the same size, in place; reads the ICV, as the engine's open does.
void raw_seal(benchmark::State& state, const model::EspSuite& suite) {
  SeededRandom random(1);
  const crypto::PacketSuite packet_suite =
      model::packet_suite(suite.encryption, suite.key_bits, suite.integrity).value();
  const crypto::SuiteSizes sizes = crypto::sizes_of(packet_suite);
  auto cipher = crypto::make_packet_cipher(packet_suite, random_bytes(random, sizes.encryption_key),
                                           random_bytes(random, sizes.integrity_key))
                    .value();
  state.SetLabel(cipher->backend());
  const std::size_t alignment = std::max<std::size_t>(4, sizes.block);
  const std::size_t text = (static_cast<std::size_t>(state.range(0)) + 2 + alignment - 1) / alignment * alignment;
  const std::size_t whole = kEspHeaderSize + sizes.iv + text + sizes.icv;
  Bytes memory(whole * kPacketsPerCall);
  std::vector<crypto::PacketJob> jobs(kPacketsPerCall);
  std::uint64_t sequence = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kPacketsPerCall; ++i) {
      std::uint8_t* const packet = memory.data() + i * whole;
      if (sizes.iv != 0) store_be64(packet + kEspHeaderSize, ++sequence);
      crypto::PacketJob& job = jobs[i];
      job.iv = sizes.iv == 0 ? nullptr : packet + kEspHeaderSize;
      job.aad = {packet, kEspHeaderSize};
      job.input = job.output = packet + kEspHeaderSize + sizes.iv;
      job.length = text;
      job.icv = packet + whole - sizes.icv;
    }
    cipher->seal(jobs);
    benchmark::DoNotOptimize(memory.back());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPacketsPerCall));
}

// A 64 KB TCP super-packet, cut at 1360: per segment.
void seal_super(benchmark::State& state) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  const Bytes packet = tcp_packet(pair.v4, 1, 0x10, Bytes(1360 * 44));
  InnerBuffer buffer(packet,
                     {.segmentation = Offload::Segmentation::tcp4, .segment_size = 1360, .checksum_partial = true});
  const InnerPacket view = buffer.view();
  DiscardingWire wire;
  for (auto _ : state) pair.alice.outbound({&view, 1}, pair.now, wire);
  state.SetItemsProcessed(state.iterations() * 44);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(packet.size()));
}

void open_train(benchmark::State& state) {
  EngineOptions options;
  options.coalesce = state.range(0) != 0;
  TwoEngines pair(options);
  pair.set_policies();
  pair.install(1);
  const Bytes packet = tcp_packet(pair.v4, 1, 0x10, Bytes(1360 * 44));
  const Offload offload{.segmentation = Offload::Segmentation::tcp4, .segment_size = 1360, .checksum_partial = true};
  DiscardingInner inner;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<SentTrain> trains;
    for (int i = 0; i < 16; ++i) trains.push_back(pair.alice_sends({packet}, offload).trains.at(0));
    std::vector<WireInput> inputs;
    for (SentTrain& train : trains) {
      inputs.push_back({.path = {pair.path.remote, pair.path.local},
                        .segment_size = train.train.segment_size,
                        .bytes = train.bytes});
    }
    state.ResumeTiming();
    pair.bob.inbound(inputs, pair.now, inner);
  }
  state.SetItemsProcessed(state.iterations() * 44 * 16);
}

}  // namespace

int main(int argc, char** argv) {
  for (const NamedSuite& named : all_suites()) {
    if (named.suite.esn != model::EsnId::esn) continue;
    const std::string name = named.name;
    const model::EspSuite suite = named.suite;
    for (const std::int64_t size : {64, 512, 1400}) {
      benchmark::RegisterBenchmark(("cipher/" + name).c_str(), [suite](auto& state) {
        raw_seal(state, suite);
      })->Args({size, 1});
      for (const std::int64_t sas : {1, 100, 1000}) {
        benchmark::RegisterBenchmark(("seal/" + name).c_str(), [suite](auto& state) {
          seal(state, suite);
        })->Args({size, sas});
        benchmark::RegisterBenchmark(("open/" + name).c_str(), [suite](auto& state) {
          open(state, suite);
        })->Args({size, sas});
      }
    }
  }
  benchmark::RegisterBenchmark("seal_super", seal_super);
  benchmark::RegisterBenchmark("open_train", open_train)->Arg(0)->Arg(1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
