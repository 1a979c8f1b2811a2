#include "crypto/backend_meter.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace culvert::crypto {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::size_t kMost = kMeasuredBatches.back();
constexpr std::size_t kAad = 8;
constexpr std::size_t kRounds = 5;
constexpr std::size_t kFewestRounds = 2;
// Far above what reading the clock costs.
constexpr nanoseconds kShortestRun = std::chrono::microseconds(3);

/// Packets as ESP has them, sealed ones beside them, and jobs for both directions. The key is nobody's.
class Packets {
 public:
  Packets(const PacketSuite& suite, std::size_t length) : sizes_(sizes_of(suite)) {
    length = length / sizes_.block * sizes_.block;
    for (std::size_t i = 0; i < kMost; ++i) {
      packets_.emplace_back(kAad + sizes_.nonce_iv + length + sizes_.icv, static_cast<std::uint8_t>(i + 1));
      texts_.emplace_back(length + 1);
    }
    for (std::size_t i = 0; i < kMost; ++i) {
      PacketJob job;
      job.aad = ByteView(packets_[i]).first(kAad);
      job.iv = packets_[i].data() + kAad;
      job.input = job.output = packets_[i].data() + kAad + sizes_.nonce_iv;
      job.length = length;
      job.icv = packets_[i].data() + kAad + sizes_.nonce_iv + length;
      sealing_.push_back(job);
      job.output = texts_[i].data();
      opening_.push_back(job);
    }
    if (suite.cipher == CipherId::null) {
      for (PacketJob& job : opening_) job.output = const_cast<std::uint8_t*>(job.input);  // NOLINT: nothing is written
    }
  }

  void seal(PacketCipher& cipher, std::size_t count) {
    for (std::size_t i = 0; i < count && sizes_.nonce_iv >= sizeof counter_; ++i)
      store_be64(packets_[i].data() + kAad, ++counter_);
    cipher.seal(std::span(sealing_).first(count));
  }
  void open(PacketCipher& cipher, std::size_t count) { cipher.open(std::span(opening_).first(count)); }

 private:
  SuiteSizes sizes_;
  std::vector<Bytes> packets_;
  std::vector<Bytes> texts_;
  std::vector<PacketJob> sealing_;
  std::vector<PacketJob> opening_;
  std::uint64_t counter_ = 0;
};

struct Contender {
  Backend backend;
  std::unique_ptr<PacketCipher> cipher;
};

std::vector<Contender> contenders(const PacketSuite& suite) {
  const SuiteSizes sizes = sizes_of(suite);
  std::vector<Contender> list;
  for (const Backend backend : {Backend::own, Backend::ipsec_mb, Backend::openssl}) {
    auto made = make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key), backend);
    if (made) list.push_back({backend, std::move(*made)});
  }
  return list;
}

/// Nanoseconds per packet of one run: seals and opens alternately until the run is long enough.
double run(PacketCipher& cipher, Packets& packets, std::size_t count) {
  const auto begin = Clock::now();
  std::size_t done = 0;
  nanoseconds taken{};
  do {
    packets.seal(cipher, count);
    packets.open(cipher, count);
    done += 2 * count;
    taken = Clock::now() - begin;
  } while (taken < kShortestRun);
  return static_cast<double>(taken.count()) / static_cast<double>(done);
}

}  // namespace

// OpenSSL goes through packets one by one. Our own gets even single ones from the engine in jobs that cost less to hand
// over (EspJob) than those measured here, of which 32 hide what the call costs.
std::optional<std::uint8_t> measured_batch(Backend backend) {
  if (backend == Backend::openssl) return kMeasuredBatches.front();
  if (backend == Backend::own) return kMeasuredBatches.back();
  return {};
}

std::optional<SuiteCosts> BackendMeter::measure(const PacketSuite& suite) {
  const auto begin = Clock::now();
  const auto gone = [&] { return Clock::now() - begin; };
  std::vector<Contender> list = contenders(suite);
  std::array<Packets, kPacketClasses> packets{Packets(suite, kMeasuredTexts[0]), Packets(suite, kMeasuredTexts[1])};
  SuiteCosts costs;
  for (BackendCosts& of_class : costs) {
    for (const Contender& one : list) of_class[one.backend].fill(std::numeric_limits<double>::max());
  }
  std::size_t rounds = 0;
  // The first round also fetches code and tables; its times are the greatest, and do not count in the end.
  for (; rounds < kRounds + 1 && gone() < left_; ++rounds) {
    for (std::size_t size = 0; size < kPacketClasses; ++size) {
      for (std::size_t batch = 0; batch < kMeasuredBatches.size(); ++batch) {
        for (Contender& one : list) {
          if (kMeasuredBatches[batch] != measured_batch(one.backend).value_or(kMeasuredBatches[batch])) continue;
          double& cost = costs[size][one.backend][batch];
          cost = std::min(cost, run(*one.cipher, packets[size], kMeasuredBatches[batch]));
        }
      }
    }
  }
  for (BackendCosts& of_class : costs) {
    for (auto& [backend, by_batch] : of_class) {
      if (measured_batch(backend)) by_batch.fill(*std::ranges::min_element(by_batch));
    }
  }
  left_ = std::max(nanoseconds(0), left_ - std::chrono::duration_cast<nanoseconds>(gone()));
  if (list.size() < 2 || rounds < kFewestRounds) return std::nullopt;
  return costs;
}

bool BackendMeter::settle(const PacketSuite& suite) {
  if (left_ <= nanoseconds(0) || plans_settled(suite)) return false;
  const BackendPlans rule = plans_by_rule(suite);
  const auto costs = measure(suite);
  if (!costs) return false;
  BackendPlans plans;
  for (std::size_t i = 0; i < kPacketClasses; ++i) plans[i] = judge_costs((*costs)[i], rule[i]);
  return settle_plans(suite, plans);
}

}  // namespace culvert::crypto
