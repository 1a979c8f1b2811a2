// The engine without I/O: ns of CPU time per packet to seal and to open, by suite, packet size and number of SAs used
// in turn, ESN and a replay window of 1,024 on. Each stands beside the cipher alone in the same run: as many packets
// per call, of the same length, in the same kind of memory, with one key, and with as many keys in turn as there are
// SAs. "time per item" is per packet. At the end a table, and the same as JSON where CULVERT_BENCH_RATIOS says.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "ipsec/engine_test_kit.hpp"
#include "raw_cipher.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;
using namespace culvert::ipsec::test_kit;
using namespace culvert::bench;

// What the engine is told that a call takes: 10 million packets a second.
constexpr Duration kTimePerCall = std::chrono::nanoseconds(100) * kPacketsPerCall;
constexpr std::size_t kMostSas = 100'000;

// Gives the same memory again and again and remembers nothing.
class DiscardingWire final : public OutboundSink {
 public:
  MutableByteView region() override { return memory_; }
  void send(std::span<const WireTrain> trains) override {
    for (const WireTrain& train : trains) benchmark::DoNotOptimize(train.bytes.back());
  }
  bool bypass(const InnerPacket&) override { return false; }
  void answer(ByteView) override {}
  void elsewhere(const InnerPacket&, std::uint32_t) override {}

 private:
  Bytes memory_ = Bytes(kMinWireRegion * 4);
};

// Keeps the packets of one round where they were made, one behind the other.
class KeepingWire final : public OutboundSink {
 public:
  MutableByteView region() override { return MutableByteView(memory_).subspan(used_); }
  void send(std::span<const WireTrain> trains) override {
    for (const WireTrain& train : trains) {
      for (std::size_t at = 0; at < train.bytes.size(); at += train.segment_size) {
        CHECK(train.bytes.data() + at == memory_.data() + used_);
        packets.emplace_back(memory_.data() + used_, train.segment_size);
        used_ += train.segment_size;
      }
    }
  }
  bool bypass(const InnerPacket&) override { return false; }
  void answer(ByteView) override {}
  void elsewhere(const InnerPacket&, std::uint32_t) override {}
  void clear() {
    packets.clear();
    used_ = 0;
  }

  std::vector<MutableByteView> packets;

 private:
  Bytes memory_ = Bytes(kMostPacketsPerRound * 1600 + kMinWireRegion);
  std::size_t used_ = 0;
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

// Whether all SAs have one peer, or each has its own.
enum class Peers : bool { one, each };

// Engines with `count` SAs, SA i for the destination number i. The inner packets lie in the buffers of one call, used
// again and again, as those of TUN are.
class Fleet {
 public:
  Fleet(const model::EspSuite& suite, std::size_t count, Peers peers) : pair(options(count)), count_(count) {
    // One rule and one connection per SA would measure the rules; one rule for all measures the engine.
    const model::TrafficSelectors far{selector("10.0.0.0/8")};
    pair.alice.set_policies(
        {{TwoEngines::kPolicy, PolicyAction::protect, pair.alice_side, far, TwoEngines::kConnection}});
    for (std::size_t i = 0; i < count; ++i) {
      auto [a, b] = pair.make_pair(i + 1, suite);
      a.remote = b.local = {{net::AddressRange::of(destination(i))}};
      a.replay_window = b.replay_window = 1024;
      if (peers == Peers::each) a.path.remote.address = b.path.local.address = destination(i);
      CHECK(pair.alice.install(std::move(a), pair.now).has_value());
      CHECK(pair.bob.install(std::move(b), pair.now).has_value());
    }
  }
  void set_size(std::size_t size) {
    buffers_.clear();
    views_.clear();
    const std::size_t headers = net::kIpv4HeaderSize + net::kUdpHeaderSize;
    for (std::size_t i = 0; i < kPacketsPerCall; ++i) buffers_.emplace_back(udp_packet(pair.v4, Bytes(size - headers)));
    for (InnerBuffer& buffer : buffers_) views_.push_back(buffer.view());
  }
  // The next packets, for the SAs in turn.
  std::span<const InnerPacket> next() {
    for (const InnerPacket& view : views_) write_destination(view.bytes.data(), at_, count_);
    return views_;
  }

  TwoEngines pair;

 private:
  static net::IpAddress destination(std::size_t i) {
    std::uint8_t octets[4];
    store_be32(octets, kFirstDestination + static_cast<std::uint32_t>(i));
    return net::IpAddress::from_bytes(octets).value();
  }
  static EngineOptions options(std::size_t count) {
    EngineOptions options;
    options.flow_cache_entries = 4 * std::max<std::size_t>(count, 4096);
    // As an operator would set it who has so many SAs in use at once.
    options.expanded_keys = std::max(options.expanded_keys, count);
    return options;
  }

  std::size_t count_;
  std::size_t at_ = 0;
  std::vector<InnerBuffer> buffers_;
  std::vector<InnerPacket> views_;
};

// The fleet of the benchmark in work: making one with 100,000 SAs takes seconds.
Fleet& fleet(const model::EspSuite& suite, std::size_t count, std::size_t size, Peers peers = Peers::one) {
  static std::unique_ptr<Fleet> made;
  static std::optional<std::tuple<crypto::PacketSuite, std::size_t, Peers>> made_for;
  const std::tuple wanted{model::packet_suite(suite.encryption, suite.key_bits, suite.integrity).value(), count, peers};
  if (made_for != wanted) {
    made.reset();
    made = std::make_unique<Fleet>(suite, count, peers);
    made_for = wanted;
  }
  made->set_size(size);
  return *made;
}

void seal_to(benchmark::State& state, const model::EspSuite& suite, Peers peers) {
  Fleet& sas = fleet(suite, static_cast<std::size_t>(state.range(1)), static_cast<std::size_t>(state.range(0)), peers);
  DiscardingWire wire;
  // Flows and keys are known before the clock starts.
  for (std::int64_t i = 0; i <= state.range(1); i += kPacketsPerCall) {
    sas.pair.alice.outbound(sas.next(), sas.pair.now, wire);
  }
  for (auto _ : state) {
    sas.pair.alice.outbound(sas.next(), sas.pair.now, wire);
    sas.pair.now += kTimePerCall;
  }
  CHECK(all_drops(sas.pair.alice) == 0);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPacketsPerCall));
}

void seal(benchmark::State& state, const model::EspSuite& suite) { seal_to(state, suite, Peers::one); }
void seal_peers(benchmark::State& state, const model::EspSuite& suite) { seal_to(state, suite, Peers::each); }

void open(benchmark::State& state, const model::EspSuite& suite) {
  Fleet& sas = fleet(suite, static_cast<std::size_t>(state.range(1)), static_cast<std::size_t>(state.range(0)));
  const std::size_t calls = calls_per_round(static_cast<std::size_t>(state.range(0)));
  KeepingWire wire;
  DiscardingInner inner;
  std::vector<WireInput> inputs(calls * kPacketsPerCall);
  const auto make = [&] {
    wire.clear();
    for (std::size_t i = 0; i < calls; ++i) sas.pair.alice.outbound(sas.next(), sas.pair.now, wire);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      inputs[i] = {.path = {sas.pair.path.remote, sas.pair.path.local}, .bytes = wire.packets[i]};
    }
  };
  for (std::int64_t i = 0; i <= state.range(1); i += static_cast<std::int64_t>(inputs.size())) {
    make();
    sas.pair.bob.inbound(inputs, sas.pair.now, inner);
  }
  for (auto _ : state) {
    state.PauseTiming();
    make();
    state.ResumeTiming();
    for (std::size_t i = 0; i < calls; ++i) {
      sas.pair.bob.inbound(std::span(inputs).subspan(i * kPacketsPerCall, kPacketsPerCall), sas.pair.now, inner);
      sas.pair.now += kTimePerCall;
    }
  }
  CHECK(all_drops(sas.pair.bob) == 0);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(inputs.size()));
}

void raw_seal(benchmark::State& state, const model::EspSuite& suite) {
  RawCipher raw(suite, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  for (auto _ : state) raw.seal(0);
  state.SetLabel(raw.backend());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPacketsPerCall));
}

void raw_open(benchmark::State& state, const model::EspSuite& suite) {
  const auto size = static_cast<std::size_t>(state.range(0));
  RawCipher raw(suite, size, static_cast<std::size_t>(state.range(1)));
  const std::size_t calls = calls_per_round(size);
  for (auto _ : state) {
    state.PauseTiming();
    const std::size_t turn = raw.turn();
    for (std::size_t i = 0; i < calls; ++i) raw.seal(i);
    raw.set_turn(turn);
    state.ResumeTiming();
    for (std::size_t i = 0; i < calls; ++i) raw.open(i);
  }
  state.SetLabel(raw.backend());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(calls * kPacketsPerCall));
}

// A TCP super-packet of almost 64 KB, again and again, to be cut at 1360.
class SuperPacket {
 public:
  static constexpr std::size_t kSegments = 44;

  // The engine uses its headers up, so each call writes them anew.
  void send(OutboundSink& wire) {
    std::memcpy(view_.bytes.data(), packet_.data(), kHeaders);
    pair.alice.outbound({&view_, 1}, pair.now, wire);
  }

  TwoEngines pair;

  explicit SuperPacket(const EngineOptions& options = {}) : pair(options) {
    pair.set_policies();
    pair.install(1);
  }

 private:
  static constexpr std::size_t kHeaders = net::kIpv4HeaderSize + net::kTcpHeaderSize;

  Bytes packet_ = tcp_packet(pair.v4, 1, 0x10, Bytes(1360 * kSegments));
  InnerBuffer buffer_{packet_,
                      {.segmentation = Offload::Segmentation::tcp4, .segment_size = 1360, .checksum_partial = true}};
  InnerPacket view_ = buffer_.view();
};

// Per segment.
void seal_super(benchmark::State& state) {
  SuperPacket super;
  DiscardingWire wire;
  for (auto _ : state) super.send(wire);
  CHECK(all_drops(super.pair.alice) == 0);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(super.kSegments));
}

// Likewise; trains of what one super-packet became, joined to super-packets again or not.
void open_train(benchmark::State& state) {
  EngineOptions options;
  options.coalesce = state.range(0) != 0;
  SuperPacket super(options);
  constexpr std::size_t kTrains = 4;
  KeepingWire wire;
  DiscardingInner inner;
  std::vector<WireInput> inputs(kTrains);
  for (auto _ : state) {
    state.PauseTiming();
    wire.clear();
    for (std::size_t i = 0; i < kTrains; ++i) super.send(wire);
    for (std::size_t i = 0; i < kTrains; ++i) {
      const MutableByteView first = wire.packets.at(i * super.kSegments);
      inputs[i] = {.path = {super.pair.path.remote, super.pair.path.local},
                   .segment_size = static_cast<std::uint16_t>(first.size()),
                   .bytes = {first.data(), first.size() * super.kSegments}};
    }
    state.ResumeTiming();
    super.pair.bob.inbound(inputs, super.pair.now, inner);
  }
  CHECK(all_drops(super.pair.bob) == 0);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(super.kSegments * kTrains));
}

// Collects ns per packet as the runs come in, for the table behind them. Names are what/suite/size/SAs.
class Table final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto items = run.counters.find("items_per_second");
      const std::string name = run.run_name.str();
      if (items == run.counters.end() || std::ranges::count(name, '/') != 3) continue;
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name != "median") continue;
      const std::size_t slash = name.rfind('/');
      // With repetitions the median comes last, and stays.
      costs_[name.substr(0, slash)][std::stoull(name.substr(slash + 1))] = 1e9 / items->second.value;
    }
  }

  // False when the file cannot be written.
  [[nodiscard]] bool write(const std::string& path) const {
    std::string rows;
    for (const auto& [name, by_sas] : costs_) {
      if (name.starts_with("raw_")) continue;
      std::string ciphers;
      if (const auto raw = costs_.find("raw_" + name); raw != costs_.end()) ciphers = listed(raw->second);
      rows += fmt::format(R"({}    {{"name": "{}", "ns_per_packet": {{{}}}, "cipher": {{{}}}, "ratio": {:.2f}, )"
                          R"("verdict": "{}"}})",
                          rows.empty() ? "" : ",\n", name, listed(by_sas), ciphers,
                          by_sas.rbegin()->second / by_sas.begin()->second, verdict(name, by_sas));
    }
    std::FILE* const file = std::fopen(path.c_str(), "w");
    if (file == nullptr) return false;
    fmt::print(file, "{{\n  \"benchmark\": \"engine_bench\",\n  \"rows\": [\n{}\n  ]\n}}\n", rows);
    return std::fclose(file) == 0;
  }

  void print() const {
    fmt::print("\n{:<30} {:>8} {:>8} {:>8} {:>8} {:>8}  {}\n", "ns per packet, SAs:", "1", "2", "100", "1000", "100000",
               "beside the bounds");
    for (const auto& [name, by_sas] : costs_) {
      const auto cost = [&by_sas](std::uint64_t sas) {
        const auto found = by_sas.find(sas);
        return found == by_sas.end() ? std::string("-") : fmt::format("{:.1f}", found->second);
      };
      // raw_: the cipher alone, with so many keys.
      fmt::print("{:<30} {:>8} {:>8} {:>8} {:>8} {:>8}  {}\n", name, cost(1), cost(2), cost(100), cost(1000),
                 cost(kMostSas), name.starts_with("raw_") ? "" : verdict(name, by_sas));
    }
  }

 private:
  using BySas = std::map<std::uint64_t, double>;

  [[nodiscard]] static std::string listed(const BySas& by_sas) {
    std::string costs;
    for (const auto& [sas, cost] : by_sas) {
      costs += fmt::format(R"({}"{}": {:.1f})", costs.empty() ? "" : ", ", sas, cost);
    }
    return costs;
  }
  [[nodiscard]] std::optional<double> raw_of(const std::string& name) const {
    const auto found = costs_.find("raw_" + name);
    return found == costs_.end() ? std::nullopt : std::optional(found->second.begin()->second);
  }
  // AES-128-GCM: 8 ns over the cipher with one SA; 1,000 SAs within 1.25 times of one at 64 octets; 100,000 within 1.5.
  [[nodiscard]] std::string verdict(const std::string& name, const BySas& by_sas) const {
    const auto one = by_sas.find(1);
    if (one == by_sas.end() || name.find("/aes128gcm16_esn/") == std::string::npos) return "";
    std::string text;
    const auto say = [&text](const std::string& what, bool holds, const char* bound) {
      text += fmt::format("{}{} ({} {})", text.empty() ? "" : ", ", what, holds ? "within" : "BEYOND", bound);
    };
    if (const auto raw = raw_of(name)) {
      const double over = one->second - *raw;
      say(fmt::format("{:+.1f} ns", over), over <= 8, "8");
    }
    const auto times = [&](std::uint64_t sas, double most, const char* bound) {
      const auto many = by_sas.find(sas);
      if (many == by_sas.end()) return;
      const double ratio = many->second / one->second;
      say(fmt::format("{:.2f} at {}", ratio, sas), ratio <= most, bound);
    };
    if (name.ends_with("/64")) times(1000, 1.25, "1.25");
    times(kMostSas, 1.5, "1.5");
    return text;
  }

  std::map<std::string, BySas> costs_;
};

void register_suite(const NamedSuite& named) {
  const std::string name = named.name;
  const model::EspSuite suite = named.suite;
  const auto add = [&](const char* what, auto function, std::int64_t size, std::int64_t sas) {
    benchmark::RegisterBenchmark(fmt::format("{}/{}", what, name).c_str(), [=](auto& state) {
      function(state, suite);
    })->Args({size, sas});
  };
  const bool many_keys = RawCipher::takes_many_keys(suite);
  for (const std::int64_t sas : {std::int64_t{1}, std::int64_t{100}, std::int64_t{1000}, std::int64_t{kMostSas}}) {
    for (const std::int64_t size : {64, 512, 1400}) {
      if (sas == 1 || many_keys) {
        add("raw_seal", raw_seal, size, sas);
        add("raw_open", raw_open, size, sas);
      }
    }
    for (const std::int64_t size : {64, 512, 1400}) {
      add("seal", seal, size, sas);
      add("open", open, size, sas);
    }
  }
  // What is done once for packets in a row of one SA, and here for each.
  add("seal", seal, 64, 2);
  add("open", open, 64, 2);
  // Packets to one peer share trains; those to many do not.
  for (const std::int64_t sas : {std::int64_t{1}, std::int64_t{1000}, std::int64_t{kMostSas}}) {
    add("seal_peers", seal_peers, 64, sas);
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (const NamedSuite& named : all_suites()) {
    if (named.suite.esn == model::EsnId::esn) register_suite(named);
  }
  benchmark::RegisterBenchmark("seal_super", seal_super);
  benchmark::RegisterBenchmark("open_train", open_train)->Arg(0)->Arg(1);
  benchmark::Initialize(&argc, argv);
  Table table;
  benchmark::RunSpecifiedBenchmarks(&table);
  table.print();
  // Where the table shall be kept, as JSON.
  const char* const kept = std::getenv("CULVERT_BENCH_RATIOS");  // NOLINT(concurrency-mt-unsafe): one thread
  if (kept != nullptr && !table.write(kept)) {
    fmt::print(stderr, "engine_bench: cannot write {}\n", kept);
    return 1;
  }
  return 0;
}
