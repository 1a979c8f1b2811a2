// What sealing and opening a packet costs, per suite, backend, size and batch; and a key exchange.
//
// The packets have a new IV each, 8 octets of additional data and lie in 32 warm buffers. Compare figures of one run
// only: at the end the ratios of this one, and of what the choice at start (crypto/backend_meter.hpp) picked to the
// best that there is. CULVERT_BENCH_RULES in the environment leaves the choice to the rules instead. With
// --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true the implementations take turns and the medians
// count. CULVERT_BENCH_RATIOS names a file for the ratios, as JSON.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/check.hpp"
#include "base/random.hpp"
#include "crypto/backend_meter.hpp"
#include "crypto/key_exchange.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/prf.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kBuffers = 32;
constexpr std::size_t kAad = 8;

struct NamedSuite {
  const char* name;
  PacketSuite suite;
};

constexpr NamedSuite kSuites[] = {
    {"aes128gcm", {CipherId::aes_gcm_16, 128, IntegrityId::none}},
    {"aes256gcm", {CipherId::aes_gcm_16, 256, IntegrityId::none}},
    {"chacha20poly1305", {CipherId::chacha20_poly1305, 256, IntegrityId::none}},
    {"aes128cbc-sha256", {CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128}},
    {"aes256cbc-sha512", {CipherId::aes_cbc, 256, IntegrityId::hmac_sha2_512_256}},
    {"aes192gcm", {CipherId::aes_gcm_16, 192, IntegrityId::none}},
    {"aes128gcm8", {CipherId::aes_gcm_8, 128, IntegrityId::none}},
    {"aes128ccm", {CipherId::aes_ccm_16, 128, IntegrityId::none}},
    {"aes256ccm8", {CipherId::aes_ccm_8, 256, IntegrityId::none}},
    {"aes128gmac", {CipherId::null_aes_gmac, 128, IntegrityId::none}},
    {"aes128cbc-xcbc", {CipherId::aes_cbc, 128, IntegrityId::aes_xcbc_96}},
    {"aes128cbc-cmac", {CipherId::aes_cbc, 128, IntegrityId::aes_cmac_96}},
    {"aes128cbc-md5", {CipherId::aes_cbc, 128, IntegrityId::hmac_md5_96}},
    {"aes128ctr-sha1", {CipherId::aes_ctr, 128, IntegrityId::hmac_sha1_96}},
    {"null-sha1", {CipherId::null, 0, IntegrityId::hmac_sha1_96}},
    {"null-sha256", {CipherId::null, 0, IntegrityId::hmac_sha2_256_128}},
};

/// Packets as ESP has them: SPI and sequence number, IV, text, ICV.
class Packets {
 public:
  Packets(const PacketSuite& suite, std::size_t length) : sizes_(sizes_of(suite)), memory_(kBuffers) {
    length_ = length / sizes_.block * sizes_.block;
    SeededRandom random(1);
    for (Bytes& packet : memory_) {
      packet.resize(kAad + sizes_.iv + length_ + sizes_.icv);
      random.fill(packet);
      PacketJob job;
      job.aad = ByteView(packet).first(kAad);
      job.iv = packet.data() + kAad;
      job.input = job.output = packet.data() + kAad + sizes_.iv;
      job.length = length_;
      job.icv = packet.data() + kAad + sizes_.iv + length_;
      jobs_.push_back(job);
    }
  }
  /// Gives each packet another IV.
  void renew() {
    for (Bytes& packet : memory_) store_be64(packet.data() + kAad, ++counter_);
  }
  std::span<PacketJob> jobs() { return jobs_; }
  [[nodiscard]] std::size_t length() const { return length_; }

 private:
  SuiteSizes sizes_;
  std::size_t length_ = 0;
  std::vector<Bytes> memory_;
  std::vector<PacketJob> jobs_;
  std::uint64_t counter_ = 0;
};

std::unique_ptr<PacketCipher> keyed(const PacketSuite& suite, Backend backend) {
  SeededRandom random(2);
  Bytes encryption(sizes_of(suite).encryption_key);
  Bytes integrity(sizes_of(suite).integrity_key);
  random.fill(encryption);
  random.fill(integrity);
  return std::move(make_packet_cipher(suite, encryption, integrity, backend).value());
}

template <typename Work>
void in_batches(std::span<PacketJob> jobs, std::size_t batch, Work&& work) {
  for (std::size_t at = 0; at < jobs.size(); at += batch) work(jobs.subspan(at, std::min(batch, jobs.size() - at)));
}

void report(benchmark::State& state, const Packets& packets) {
  const auto done = static_cast<std::int64_t>(state.iterations() * kBuffers);
  state.SetItemsProcessed(done);
  state.SetBytesProcessed(done * static_cast<std::int64_t>(packets.length()));
  state.counters["ns/packet"] =
      benchmark::Counter(static_cast<double>(done) * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void seal(benchmark::State& state, PacketSuite suite, Backend backend) {
  Packets packets(suite, static_cast<std::size_t>(state.range(0)));
  const auto cipher = keyed(suite, backend);
  for (auto _ : state) {
    if (sizes_of(suite).iv != 0) packets.renew();
    in_batches(packets.jobs(), static_cast<std::size_t>(state.range(1)), [&](std::span<PacketJob> jobs) {
      cipher->seal(jobs);
      // Without a reader of the ICV a compiler may leave out the work that makes it.
      for (const PacketJob& job : jobs) benchmark::DoNotOptimize(load_be64(job.icv));
    });
  }
  report(state, packets);
}

void open(benchmark::State& state, PacketSuite suite, Backend backend) {
  Packets packets(suite, static_cast<std::size_t>(state.range(0)));
  const auto cipher = keyed(suite, backend);
  cipher->seal(packets.jobs());
  // Opening in place would destroy the packet: the text goes to another buffer.
  std::vector<Bytes> texts(kBuffers, Bytes(packets.length() + 1));
  for (std::size_t i = 0; i < kBuffers; ++i) packets.jobs()[i].output = texts[i].data();
  for (auto _ : state) {
    in_batches(packets.jobs(), static_cast<std::size_t>(state.range(1)), [&](std::span<PacketJob> jobs) {
      cipher->open(jobs);
      for (const PacketJob& job : jobs) CHECK(job.ok);
    });
  }
  report(state, packets);
}

// A packet of each key in turn, 128 in one call; for ciphers that take many keys at once.
void seal_many_keys(benchmark::State& state, PacketSuite suite, Backend backend) {
  constexpr std::size_t kBatch = 128;
  const auto count = static_cast<std::size_t>(state.range(1));
  SeededRandom random(4);
  std::vector<std::unique_ptr<PacketCipher>> ciphers;
  for (std::size_t i = 0; i < count; ++i) {
    Bytes key(sizes_of(suite).encryption_key);
    random.fill(key);
    ciphers.push_back(std::move(make_packet_cipher(suite, key, {}, backend).value()));
  }
  std::vector<Packets> packets;
  std::vector<KeyedJob> keyed;
  for (std::size_t i = 0; i < kBatch / kBuffers; ++i)
    packets.emplace_back(suite, static_cast<std::size_t>(state.range(0)));
  for (Packets& some : packets) {
    for (PacketJob& job : some.jobs()) keyed.push_back({nullptr, &job});
  }
  const ManyKeys* const kind = ciphers[0]->many_keys();
  std::size_t next = 0;
  for (auto _ : state) {
    for (Packets& some : packets) some.renew();
    for (KeyedJob& job : keyed) {
      job.cipher = ciphers[next].get();
      next = next + 1 < count ? next + 1 : 0;
    }
    kind->seal(keyed);
    for (const KeyedJob& job : keyed) benchmark::DoNotOptimize(load_be64(job.job->icv));
  }
  state.counters["ns/packet"] = benchmark::Counter(static_cast<double>(state.iterations() * kBatch) * 1e-9,
                                                   benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void exchange(benchmark::State& state, KeyExchangeId id) {
  SeededRandom random(3);
  const auto peer = std::move(make_key_exchange(id, random).value());
  for (auto _ : state) {
    const auto mine = std::move(make_key_exchange(id, random).value());
    benchmark::DoNotOptimize(mine->derive(peer->public_value())->view()[0]);
  }
}

void prf(benchmark::State& state, HashId id) {
  const Bytes key(hash_size(id), 1);
  const Bytes message(64, 2);
  for (auto _ : state) benchmark::DoNotOptimize(hmac(id, key, {message}).view()[0]);
}

constexpr std::pair<const char*, Backend> kBackends[] = {{"openssl", Backend::openssl},
                                                         {"ipsec_mb", Backend::ipsec_mb},
                                                         {"own", Backend::own},
                                                         {"automatic", Backend::automatic}};

bool serves(Backend backend, const PacketSuite& suite) {
  const SuiteSizes sizes = sizes_of(suite);
  return make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key), backend).has_value();
}

// Remembers nanoseconds per packet, to compare the implementations.
class Ratios final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto cost = run.counters.find("ns/packet");
      if (cost == run.counters.end()) continue;
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name != "median") continue;
      // seal/aes128gcm/own/octets:64/batch:32. With repetitions the median comes last, and stays.
      std::string name = run.run_name.str();
      name.resize(std::min(name.find("/min_time:"), name.size()));
      for (const auto& [backend, id] : kBackends) {
        const std::string part = std::string("/") + backend + "/";
        if (const std::size_t at = name.find(part); at != std::string::npos) {
          times_[name.replace(at, part.size(), "/")][backend] = cost->second.value;
          break;
        }
      }
    }
  }

  void print() const {
    fmt::print("\n{:<46}", "ns per packet");
    for (const auto& [backend, id] : kBackends) fmt::print(" {:>9}", backend);
    fmt::print(" {:>13} {:>17} {:>14}\n", "own/ipsec_mb", "automatic/openssl", "automatic/best");
    for (const auto& [name, costs] : times_) {
      fmt::print("{:<46}", name);
      for (const auto& [backend, id] : kBackends) fmt::print(" {:>9}", text(costs, backend));
      fmt::print(" {:>13} {:>17} {:>14}\n", ratio(costs, "own", "ipsec_mb"), ratio(costs, "automatic", "openssl"),
                 of_best(costs));
    }
  }

  // The table as JSON, to be kept beside a commit; false when the file cannot be written.
  [[nodiscard]] bool write(const std::string& path) const {
    std::string rows;
    for (const auto& [name, costs] : times_) {
      std::string cells;
      for (const auto& [backend, cost] : costs)
        cells += fmt::format(R"({}"{}": {:.1f})", cells.empty() ? "" : ", ", backend, cost);
      rows += fmt::format(
          R"({}    {{"name": "{}", "ns_per_packet": {{{}}}, "own_of_ipsec_mb": {}, "chosen_of_openssl": {}, "chosen_of_best": {}}})",
          rows.empty() ? "" : ",\n", name, cells, ratio(costs, "own", "ipsec_mb", "null"),
          ratio(costs, "automatic", "openssl", "null"), of_best(costs));
    }
    std::FILE* const file = std::fopen(path.c_str(), "w");
    if (file == nullptr) return false;
    fmt::print(file, "{{\n  \"benchmark\": \"crypto_bench\",\n  \"rows\": [\n{}\n  ]\n}}\n", rows);
    return std::fclose(file) == 0;
  }

 private:
  using Costs = std::map<std::string, double>;
  static std::string text(const Costs& costs, const std::string& backend) {
    const auto found = costs.find(backend);
    return found == costs.end() ? "-" : fmt::format("{:.1f}", found->second);
  }
  static std::string ratio(const Costs& costs, const std::string& one, const std::string& other,
                           const char* none = "-") {
    const auto a = costs.find(one);
    const auto b = costs.find(other);
    return a == costs.end() || b == costs.end() ? none : fmt::format("{:.2f}", a->second / b->second);
  }
  static std::string of_best(const Costs& costs) {
    const auto chosen = costs.find("automatic");
    if (chosen == costs.end()) return "null";
    double best = chosen->second;
    for (const auto& [backend, cost] : costs) best = std::min(best, cost);
    return fmt::format("{:.2f}", chosen->second / best);
  }
  std::map<std::string, Costs> times_;
};

/// As culvertd does when it starts, only for more suites than its time would do for.
void choose() {
  if (std::getenv("CULVERT_BENCH_RULES") != nullptr) return;  // NOLINT(concurrency-mt-unsafe): one thread
  constexpr const char* kShort[] = {"?", "openssl", "ipsec_mb", "own"};
  const auto name = [&](Backend backend) { return kShort[static_cast<std::size_t>(backend)]; };
  for (const auto& [suite_name, suite] : kSuites) {
    BackendMeter meter(std::chrono::seconds(1));
    const auto left = meter.left();
    const bool settled = meter.settle(suite);
    fmt::print("{:<20} {:>5.1f} ms", suite_name, static_cast<double>((left - meter.left()).count()) * 1e-6);
    const BackendPlans rule = plans_by_rule(suite);
    const BackendPlans plans = plans_for(suite);
    for (std::size_t i = 0; i < kPacketClasses; ++i) {
      fmt::print("  {}: {} below {} packets, {} from there{}", i == 0 ? "short" : "long", name(plans[i].few),
                 plans[i].enough, name(plans[i].many), plans[i] == rule[i] ? "" : " (not the rule)");
    }
    fmt::print("{}\n", settled ? "" : "  (one implementation, or too little time: by rule)");
  }
}

void register_all() {
  for (const auto& [name, suite] : kSuites) {
    for (const auto& [backend_name, backend] : kBackends) {
      if (!serves(backend, suite)) continue;
      const auto add = [&](const char* verb, void (*function)(benchmark::State&, PacketSuite, Backend)) {
        const std::string full = std::string(verb) + "/" + name + "/" + backend_name;
        benchmark::RegisterBenchmark(full.c_str(), function, suite, backend)
            ->ArgNames({"octets", "batch"})
            ->ArgsProduct({{64, 512, 1420}, {1, 4, 32}})
            ->MinTime(0.05);  // some hundred of them
      };
      add("seal", seal);
      add("open", open);
    }
  }
  if (own_available()) {
    benchmark::RegisterBenchmark("seal_many_keys/aes128gcm/own", seal_many_keys,
                                 PacketSuite{CipherId::aes_gcm_16, 128, IntegrityId::none}, Backend::own)
        ->ArgNames({"octets", "keys"})
        ->ArgsProduct({{64, 1420}, {1, 100, 1000}})
        ->MinTime(0.05);
  }
  const std::pair<const char*, KeyExchangeId> methods[] = {{"x25519", KeyExchangeId::x25519},
                                                           {"ecp256", KeyExchangeId::ecp_256},
                                                           {"ecp384", KeyExchangeId::ecp_384},
                                                           {"modp2048", KeyExchangeId::modp_2048},
                                                           {"modp3072", KeyExchangeId::modp_3072}};
  for (const auto& [name, id] : methods) {
    benchmark::RegisterBenchmark((std::string("key_exchange/") + name).c_str(), exchange, id);
  }
  benchmark::RegisterBenchmark("hmac/sha2_256", prf, HashId::sha2_256);
}

}  // namespace
}  // namespace culvert::crypto

int main(int argc, char** argv) {
  culvert::crypto::choose();
  culvert::crypto::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  culvert::crypto::Ratios ratios;
  benchmark::RunSpecifiedBenchmarks(&ratios);
  ratios.print();
  const char* const kept = std::getenv("CULVERT_BENCH_RATIOS");  // NOLINT(concurrency-mt-unsafe): one thread
  if (kept != nullptr && !ratios.write(kept)) {
    fmt::print(stderr, "crypto_bench: cannot write {}\n", kept);
    return 1;
  }
  benchmark::Shutdown();
  return 0;
}
