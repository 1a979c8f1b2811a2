// What finding a packet's rule and SA costs, and how that grows: with the number of rules (SPD), of flows (flow cache)
// and of SAs (SAD). At the end the ratios of this run, each beside its bound.
//
// Rule sets, each from 10 rules up, the packets spread evenly over the rules:
//   sites   one prefix of /20 to /28 (IPv6: /40 to /64) for each site, any protocol
//   hosts   pairs of single hosts, a quarter of them for TCP only
//   ports   servers with about eight port ranges each, every third server's ranges overlapping
//   mixed   40 % sites, 30 % hosts, 20 % ports; the rest wildcards that overlap all of them: wide prefixes, ports of
//   any
//           host; a rule for everything at the end. One packet in ten reaches no special rule.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/check.hpp"
#include "ipsec/engine_test_kit.hpp"
#include "ipsec/flow_cache.hpp"
#include "ipsec/outbound_path.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/spd.hpp"

namespace {

using namespace culvert;
using namespace culvert::ipsec;

constexpr std::size_t kPackets = 1 << 16;
constexpr std::size_t kBatch = OutboundPath::kLookahead;

net::IpAddress inner(bool v6, std::uint8_t net, std::uint32_t number) {
  const auto octet = [number](unsigned shift) { return static_cast<std::uint8_t>(number >> shift); };
  if (!v6) return net::IpAddress::v4({static_cast<std::uint8_t>(net + octet(24) % 16), octet(16), octet(8), octet(0)});
  return net::IpAddress::v6(
      {0x20, 0x01, 0x0d, 0xb8, net, octet(24), octet(16), octet(8), 0, 0, 0, 0, 0, 0, 0, octet(0)});
}

// ---------------------------------------------------------------- rules

class RuleSet {
 public:
  RuleSet(const std::string& kind, bool v6, std::size_t count) : v6_(v6) {
    const auto one = [&](std::size_t i) {
      if (kind == "sites") return site(i);
      if (kind == "hosts") return host(i);
      if (kind == "ports") return ports(i);
      const std::size_t part = i % 10;
      return part < 4 ? site(i) : part < 7 ? host(i) : part < 9 ? ports(i) : wildcard(i);
    };
    for (std::size_t i = 0; i < count; ++i) {
      policies_.push_back(one(i));
      policies_.back().id = PolicyId{static_cast<std::uint32_t>(i + 1)};
      policies_.back().action = PolicyAction::discard;
    }
    if (kind == "mixed") policies_.back().local = policies_.back().remote = {any()};
  }

  [[nodiscard]] const std::vector<Policy>& policies() const { return policies_; }

  // Packets for rules in random order.
  [[nodiscard]] std::vector<net::PacketInfo> packets() {
    std::vector<net::PacketInfo> packets;
    for (std::size_t i = 0; i < kPackets; ++i) {
      const Policy& rule = policies_[random_.below(policies_.size())];
      net::PacketInfo info;
      info.family = v6_ ? net::Family::v6 : net::Family::v4;
      info.source = within(rule.local[0]);
      info.destination = random_.below(10) == 0 ? inner(v6_, 240, random32()) : within(rule.remote[0]);
      info.protocol = rule.remote[0].protocol != 0 ? rule.remote[0].protocol : 6;
      info.ports_visible = true;
      info.source_port = static_cast<std::uint16_t>(1024 + random_.below(60000));
      info.destination_port = static_cast<std::uint16_t>(
          rule.remote[0].start_port + random_.below(rule.remote[0].end_port - rule.remote[0].start_port + 1U));
      packets.push_back(info);
    }
    return packets;
  }

 private:
  [[nodiscard]] std::uint32_t random32() { return static_cast<std::uint32_t>(random_.u64()); }
  [[nodiscard]] model::TrafficSelector any() const {
    return model::TrafficSelector::all(v6_ ? net::Family::v6 : net::Family::v4);
  }
  [[nodiscard]] model::TrafficSelector prefix(std::uint8_t net, std::uint32_t number, unsigned length) const {
    return model::TrafficSelector::of(net::Prefix::make(inner(v6_, net, number), length).value());
  }
  [[nodiscard]] static Policy between(const model::TrafficSelector& local, const model::TrafficSelector& remote) {
    Policy policy;
    policy.local = {local};
    policy.remote = {remote};
    return policy;
  }

  // Of each place in the list its own prefix: 4096 addresses apart.
  Policy site(std::size_t i) {
    const auto number = static_cast<std::uint32_t>(i << 12);
    const unsigned length =
        v6_ ? 56 + 8 * static_cast<unsigned>(random_.below(2)) : 20 + static_cast<unsigned>(random_.below(9));
    return between(prefix(10, 0, v6_ ? 32 : 8), prefix(32, number, length));
  }
  Policy host(std::size_t i) {
    const unsigned length = v6_ ? 128 : 32;
    model::TrafficSelector remote = prefix(64, static_cast<std::uint32_t>(i * 7), length);
    if (i % 4 == 0) remote.protocol = 6;
    return between(prefix(10, static_cast<std::uint32_t>(random_.below(1 << 24)), length), remote);
  }
  Policy ports(std::size_t i) {
    const std::size_t server = i / 8;
    model::TrafficSelector remote = prefix(96, static_cast<std::uint32_t>(server * 3), v6_ ? 128 : 32);
    remote.protocol = i % 2 == 0 ? 6 : 17;
    const auto first = static_cast<std::uint16_t>(100 + (i % 8) * 1000);
    remote.start_port = first;
    remote.end_port = static_cast<std::uint16_t>(first + (server % 3 == 0 ? 2500 : random_.below(800)));
    return between(prefix(10, 0, v6_ ? 32 : 8), remote);
  }
  Policy wildcard(std::size_t i) {
    if (i % 20 == 9) {
      // A port of every host: as many as there are services.
      model::TrafficSelector remote = any();
      remote.protocol = 6;
      remote.start_port = remote.end_port = static_cast<std::uint16_t>(60000 + i / 20 % 5000);
      return between(any(), remote);
    }
    return between(
        prefix(10, static_cast<std::uint32_t>(i << 9), v6_ ? 56 : 24),
        prefix(static_cast<std::uint8_t>(32 + 32 * (i / 10 % 3)), static_cast<std::uint32_t>(i << 10), v6_ ? 48 : 16));
  }
  net::IpAddress within(const model::TrafficSelector& selector) {
    // Prefixes of the family: the first address with random low bits, as far as they lie within.
    const net::AddressRange& range = selector.addresses;
    net::IpAddress address = range.first;
    for (int tries = 0; tries < 20; ++tries) {
      Bytes octets(range.first.bytes().begin(), range.first.bytes().end());
      const std::size_t changed = random_.below(octets.size());
      octets[changed] = static_cast<std::uint8_t>(octets[changed] | random_.below(256));
      const net::IpAddress other = net::IpAddress::from_bytes(octets).value();
      if (range.contains(other)) address = other;
    }
    return address;
  }

  SeededRandom random_{4301};
  bool v6_;
  std::vector<Policy> policies_;
};

// Made once for all benchmarks of it.
struct Rules {
  std::shared_ptr<const PolicyTable> table;
  std::vector<net::PacketInfo> packets;
};
const Rules& rules(const std::string& kind, bool v6, std::size_t count) {
  static std::map<std::string, Rules> made;
  Rules& entry = made[fmt::format("{} {} {}", kind, v6, count)];
  if (entry.table == nullptr) {
    RuleSet set(kind, v6, count);
    entry.packets = set.packets();
    entry.table = std::make_shared<PolicyTable>(set.policies());
  }
  return entry;
}

// The lookup alone.
void lookup(benchmark::State& state, const std::string& kind, bool v6) {
  const Rules& in = rules(kind, v6, static_cast<std::size_t>(state.range(0)));
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      benchmark::DoNotOptimize(in.table->find_outbound(in.packets[at + i]));
    }
    at = (at + kBatch) % kPackets;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
  const PolicyTable::Shape shape = in.table->outbound_shape(v6 ? net::Family::v6 : net::Family::v4);
  state.SetLabel(fmt::format("{} KiB, {}+{} tables, {} cuts, longest list {}", in.table->bytes() / 1024,
                             shape.root_tables, shape.tables - shape.root_tables, shape.cuts, shape.longest_list));
}

// What a packet of a new flow costs: key, a look into the flow cache in vain, the lookup, the entry.
void miss(benchmark::State& state, const std::string& kind, bool v6) {
  const Rules& in = rules(kind, v6, static_cast<std::size_t>(state.range(0)));
  FlowCache cache(EngineOptions{}.flow_cache_entries, 1);
  std::size_t at = 0;
  for (auto _ : state) {
    std::array<FlowKey, kBatch> keys;
    for (std::size_t i = 0; i < kBatch; ++i) {
      keys[i] = FlowKey::of(in.packets[at + i]);
      cache.locate(keys[i]);
    }
    for (std::size_t i = 0; i < kBatch; ++i) {
      if (cache.find_entry(keys[i]) == nullptr) in.table->prefetch_outbound(in.packets[at + i]);
    }
    for (std::size_t i = 0; i < kBatch; ++i) {
      CHECK(!cache.find(keys[i]));
      const std::uint32_t rule = in.table->find_outbound(in.packets[at + i]);
      FlowVerdict verdict;
      if (rule != PolicyTable::kNone) verdict = {rule, in.table->verdict(rule).action, nullptr};
      cache.insert(keys[i], verdict);
    }
    // Packets of one batch may be of one flow: the entries are of a generation that is over with it.
    cache.invalidate();
    at = (at + kBatch) % kPackets;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

void build(benchmark::State& state, const std::string& kind, bool v6) {
  const std::vector<Policy> policies = RuleSet(kind, v6, static_cast<std::size_t>(state.range(0))).policies();
  for (auto _ : state) {
    const PolicyTable table(policies);
    benchmark::DoNotOptimize(table.bytes());
  }
}

// ---------------------------------------------------------------- flows

// Flow number `i`: a key without a pattern, made of numbers only. (A packet's key comes from headers just read; keys
// out of a table would measure that table.)
FlowKey flow_key(bool v6, std::uint64_t i) {
  const auto word = [i](std::uint64_t salt) {
    std::uint64_t x = (i + salt) * 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93U;
    return x ^ (x >> 32);
  };
  FlowKey key;
  key.words[0] = word(1);
  const std::uint64_t ports = word(2) << 32 | 6U << 16 | 1U << 8;
  key.words[4] = ports | static_cast<std::uint64_t>(v6 ? net::Family::v6 : net::Family::v4);
  // Prefixes are alike in real flows, hosts are not.
  if (v6) key.words = {0x20010db8'0000'0001, word(1), 0x20010db8'0000'0002, word(1) >> 7, key.words[4]};
  return key;
}

// A known flow's lookup, flows in random order, with room for twice as many.
void hit(benchmark::State& state, bool v6) {
  const auto flows = static_cast<std::uint64_t>(state.range(0));
  FlowCache cache(2 * flows, 1);
  for (std::uint64_t i = 0; i < flows; ++i) {
    FlowKey key = flow_key(v6, i);
    cache.locate(key);
    cache.insert(key, {static_cast<std::uint32_t>(i & 0xffff), PolicyAction::bypass, nullptr});
  }
  std::uint64_t hits = 0;
  std::uint64_t lookups = 0;
  std::uint64_t turn = 0;
  // As OutboundPath::run does it: the next packets are located before those in hand are looked up.
  using Keys = std::array<FlowKey, OutboundPath::kLookahead>;
  std::array<Keys, 2> ahead;
  const auto locate = [&](Keys& keys) {
    for (FlowKey& key : keys) {
      // The high half of the product: any of the flows.
      key = flow_key(v6, static_cast<std::uint64_t>(Uint128{++turn * 0xda942042e4dd58b5U} * flows >> 64));
      cache.locate(key);
    }
  };
  locate(ahead[0]);
  std::size_t now = 0;
  for (auto _ : state) {
    if (v6) {
      for (const FlowKey& key : ahead[now]) cache.peek(key);
    }
    locate(ahead[1 - now]);
    for (const FlowKey& key : ahead[now]) hits += cache.find_entry(key) != nullptr ? 1 : 0;
    lookups += ahead[now].size();
    now = 1 - now;
  }
  // Some find their set full at two places for each flow.
  CHECK(static_cast<double>(hits) > 0.94 * static_cast<double>(lookups));
  state.SetItemsProcessed(static_cast<std::int64_t>(lookups));
  state.SetLabel(fmt::format("{:.1f} % found", 100.0 * static_cast<double>(hits) / static_cast<double>(lookups)));
}

// ---------------------------------------------------------------- SAs

// SAs of one connection, each for one remote host, as a rule makes that takes the address from its packets.
struct SaFleet {
  explicit SaFleet(std::size_t count) : sad(EngineOptions{}.spi_layout) {
    test_kit::TwoEngines kit;
    for (std::size_t i = 0; i < count; ++i) {
      auto [ours, theirs] = kit.make_pair(i + 1, {});
      const net::IpAddress host = inner(false, 32, static_cast<std::uint32_t>(i));
      ours.remote = {model::TrafficSelector::of(net::AddressRange::of(host))};
      auto pair = SaPair::make(ours, shared);
      CHECK(pair.has_value());
      spis.push_back((*pair)->params.spi_inbound.value());
      CHECK(sad.install(std::move(*pair)).has_value());
    }
    SeededRandom random(5);
    for (std::size_t i = 0; i < kPackets; ++i) {
      const std::size_t which = random.below(count);
      net::PacketInfo info;
      info.source = net::IpAddress::v4({10, 1, 0, 1});
      info.destination = inner(false, 32, static_cast<std::uint32_t>(which));
      info.protocol = 17;
      info.ports_visible = true;
      packets.push_back(info);
      order.push_back(spis[which]);
    }
  }
  SaShared shared{crypto::Backend::automatic, EngineOptions{}.expanded_keys};
  Sad sad;
  std::vector<std::uint32_t> spis;
  std::vector<std::uint32_t> order;
  std::vector<net::PacketInfo> packets;
};
const SaFleet& sas(std::size_t count) {
  static std::map<std::size_t, std::unique_ptr<SaFleet>> made;
  auto& entry = made[count];
  if (entry == nullptr) entry = std::make_unique<SaFleet>(count);
  return *entry;
}

void sad_outbound(benchmark::State& state) {
  const SaFleet& fleet = sas(static_cast<std::size_t>(state.range(0)));
  std::size_t at = 0;
  for (auto _ : state) {
    CHECK(fleet.sad.find_outbound(test_kit::TwoEngines::kConnection, fleet.packets[at]) != nullptr);
    at = (at + 1) % kPackets;
  }
  state.SetItemsProcessed(state.iterations());
}

void sad_inbound(benchmark::State& state) {
  const SaFleet& fleet = sas(static_cast<std::size_t>(state.range(0)));
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      const SaPair* const pair = fleet.sad.find_inbound(fleet.order[at + i]);
      CHECK(pair != nullptr);
      benchmark::DoNotOptimize(pair);
    }
    at = (at + kBatch) % kPackets;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

// ---------------------------------------------------------------- the table

// Remembers nanoseconds per item by name, to compare the first and the last of each kind.
class Ratios final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto items = run.counters.find("items_per_second");
      if (items == run.counters.end()) continue;
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name != "median") continue;
      const std::string name = run.run_name.str();
      const std::size_t slash = name.rfind('/');
      // With repetitions the median comes last, and stays.
      times_[name.substr(0, slash)][std::stoull(name.substr(slash + 1))] = 1e9 / items->second.value;
    }
  }

  // The table as JSON, to be kept beside a commit; false when the file cannot be written.
  [[nodiscard]] bool write(const std::string& path) const {
    std::string rows;
    for (const auto& [name, by_size] : times_) {
      std::string costs;
      for (const auto& [size, cost] : by_size)
        costs += fmt::format(R"({}"{}": {:.1f})", costs.empty() ? "" : ", ", size, cost);
      const double ratio = by_size.rbegin()->second / by_size.begin()->second;
      rows +=
          fmt::format("{}    {{\"name\": \"{}\", \"ns_per_packet\": {{{}}}, \"ratio\": {:.2f}, \"verdict\": \"{}\"}}",
                      rows.empty() ? "" : ",\n", name, costs, ratio, verdict(name, by_size.rbegin()->second, ratio));
    }
    std::FILE* const file = std::fopen(path.c_str(), "w");
    if (file == nullptr) return false;
    fmt::print(file, "{{\n  \"benchmark\": \"spd_bench\",\n  \"rows\": [\n{}\n  ]\n}}\n", rows);
    return std::fclose(file) == 0;
  }

  void print() const {
    fmt::print("\n{:<20} {:>9} {:>10} {:>9} {:>10} {:>7}\n", "ns per packet", "of", "", "of", "", "ratio");
    for (const auto& [name, by_size] : times_) {
      if (by_size.size() < 2) continue;
      const auto [few, fast] = *by_size.begin();
      const auto [many, slow] = *by_size.rbegin();
      fmt::print("{:<20} {:>9} {:>10.1f} {:>9} {:>10.1f} {:>7.2f}  {}\n", name, few, fast, many, slow, slow / fast,
                 verdict(name, slow, slow / fast));
    }
  }

 private:
  static std::string verdict(const std::string& name, double slow, double ratio) {
    const auto says = [](bool holds, const char* bound) {
      return fmt::format("{} {}", holds ? "within" : "BEYOND", bound);
    };
    if (name.starts_with("miss/")) return says(ratio <= 3, "3");
    if (name.starts_with("hit/")) return says(ratio < 2 || slow < 20, "2, or 20 ns");
    return "";
  }
  std::map<std::string, std::map<std::uint64_t, double>> times_;
};

}  // namespace

int main(int argc, char** argv) {
  for (const std::string kind : {"sites", "hosts", "ports", "mixed"}) {
    for (const bool v6 : {false, true}) {
      const std::string name = kind + (v6 ? "/v6" : "/v4");
      benchmark::RegisterBenchmark(("lookup/" + name).c_str(), [=](auto& state) { lookup(state, kind, v6); })
          ->Arg(10)
          ->Arg(1000)
          ->Arg(100'000);
      benchmark::RegisterBenchmark(("miss/" + name).c_str(), [=](auto& state) { miss(state, kind, v6); })
          ->Arg(10)
          ->Arg(1000)
          ->Arg(100'000);
      benchmark::RegisterBenchmark(("build/" + name).c_str(), [=](auto& state) { build(state, kind, v6); })
          ->Arg(100'000)
          ->Unit(benchmark::kMillisecond);
    }
  }
  for (const bool v6 : {false, true}) {
    benchmark::RegisterBenchmark(v6 ? "hit/v6" : "hit/v4", [=](auto& state) { hit(state, v6); })
        ->Arg(10)
        ->Arg(1000)
        ->Arg(100'000)
        ->Arg(1'000'000);
  }
  benchmark::RegisterBenchmark("sad_outbound", sad_outbound)->Arg(1)->Arg(1000)->Arg(1'000'000);
  benchmark::RegisterBenchmark("sad_inbound", sad_inbound)->Arg(1)->Arg(1000)->Arg(1'000'000);
  benchmark::Initialize(&argc, argv);
  Ratios ratios;
  benchmark::RunSpecifiedBenchmarks(&ratios);
  ratios.print();
  // Where the ratios shall be kept, as JSON.
  const char* const kept = std::getenv("CULVERT_BENCH_RATIOS");  // NOLINT(concurrency-mt-unsafe): one thread
  if (kept != nullptr && !ratios.write(kept)) {
    fmt::print(stderr, "spd_bench: cannot write {}\n", kept);
    return 1;
  }
  return 0;
}
