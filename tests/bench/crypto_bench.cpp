// What sealing and opening a packet costs, per suite, backend, size and batch; and a key exchange.
//
// The packets have a new IV each, 8 octets of additional data and lie in 32 warm buffers. Compare figures of one run
// only.
#include <algorithm>

#include <benchmark/benchmark.h>

#include "base/check.hpp"
#include "base/random.hpp"
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
    {"aes128gcm8", {CipherId::aes_gcm_8, 128, IntegrityId::none}},
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

void register_all() {
  std::vector<std::pair<const char*, Backend>> backends = {{"openssl", Backend::openssl}};
  if (ipsec_mb_available()) {
    backends.emplace_back("ipsec_mb", Backend::ipsec_mb);
    backends.emplace_back("own", Backend::own);
  }
  for (const auto& [name, suite] : kSuites) {
    for (const auto& [backend_name, backend] : backends) {
      const auto add = [&](const char* verb, void (*function)(benchmark::State&, PacketSuite, Backend)) {
        const std::string full = std::string(verb) + "/" + name + "/" + backend_name;
        benchmark::RegisterBenchmark(full.c_str(), function, suite, backend)
            ->ArgNames({"octets", "batch"})
            ->ArgsProduct({{64, 512, 1420, 8192}, {1, 32}});
      };
      add("seal", seal);
      add("open", open);
    }
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
  culvert::crypto::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
