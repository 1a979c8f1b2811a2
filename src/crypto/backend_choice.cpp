#include "crypto/backend_choice.hpp"

#include <algorithm>
#include <atomic>

#include "base/check.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"

namespace culvert::crypto {
namespace {

constexpr std::size_t kBackends = 4;  // of the enum, `automatic` with them

/// How many packets a burst needs before ipsec-mb beats OpenSSL. Where blocks are chained it computes up to 16 messages
/// at once, and one alone takes as long as all of them: measured with AVX-512, one packet costs 1.1 (CMAC) to 6
/// (SHA-256) times OpenSSL's time, a burst of 32 a half (CCM) to a tenth (CMAC) of it.
std::uint8_t enough_for_a_burst(const PacketSuite& suite) {
  switch (suite.integrity) {
    case IntegrityId::hmac_sha1_96: return 4;
    case IntegrityId::hmac_sha2_256_128: return 7;
    case IntegrityId::hmac_sha2_384_192:
    case IntegrityId::hmac_sha2_512_256: return 3;
    case IntegrityId::hmac_md5_96:
    case IntegrityId::aes_xcbc_96: return 2;
    default: break;
  }
  switch (suite.cipher) {
    case CipherId::aes_ccm_8:
    case CipherId::aes_ccm_8_iiv:
    case CipherId::aes_ccm_12:
    case CipherId::aes_ccm_16: return 2;
    default: return 1;
  }
}

bool serves(Backend backend, const PacketSuite& suite) {
  const SuiteSizes sizes = sizes_of(suite);
  return make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key), backend).has_value();
}

class Planned final : public PacketCipher {
 public:
  using Ciphers = std::array<std::unique_ptr<PacketCipher>, kBackends>;

  Planned(Ciphers ciphers, const BackendPlans& plans) : ciphers_(std::move(ciphers)) {
    for (std::size_t i = 0; i < kPacketClasses; ++i) {
      uses_[i] = {ciphers_[static_cast<std::size_t>(plans[i].few)].get(),
                  ciphers_[static_cast<std::size_t>(plans[i].many)].get(), plans[i].enough};
    }
    alike_ = plans[0] == plans[1];
  }

  void seal(std::span<PacketJob> jobs) override {
    const Use& use = use_for(jobs);
    const std::size_t for_many = share_of_many(use, jobs.size());
    if (for_many > 0) use.many->seal(jobs.first(for_many));
    if (for_many < jobs.size()) use.few->seal(jobs.subspan(for_many));
  }

  void open(std::span<PacketJob> jobs) override {
    const Use& use = use_for(jobs);
    const std::size_t for_many = share_of_many(use, jobs.size());
    if (for_many > 0) use.many->open(jobs.first(for_many));
    if (for_many < jobs.size()) use.few->open(jobs.subspan(for_many));
  }

  [[nodiscard]] const char* backend() const override { return uses_.back().many->backend(); }

 private:
  struct Use {
    PacketCipher* few = nullptr;
    PacketCipher* many = nullptr;
    std::size_t enough = 1;
  };

  [[nodiscard]] const Use& use_for(std::span<const PacketJob> jobs) const {
    if (alike_) return uses_[0];
    std::size_t octets = 0;
    for (const PacketJob& job : jobs) octets += job.length;
    return uses_[octets < kLongText * jobs.size() ? 0 : 1];
  }
  static std::size_t share_of_many(const Use& use, std::size_t count) {
    const std::size_t rest = count % ipsec_mb::kBurst;
    return rest < use.enough ? count - rest : count;
  }

  Ciphers ciphers_;
  std::array<Use, kPacketClasses> uses_;
  bool alike_ = false;
};

// ---------------------------------------------------------------- what was settled

// One word for each suite, so that asking takes no lock: ciphers are made on the packet path too, when a key that was
// put aside is needed again.
constexpr std::size_t kCiphers = static_cast<std::size_t>(CipherId::chacha20_poly1305_iiv) + 1;
constexpr std::size_t kIntegrities = static_cast<std::size_t>(IntegrityId::aes_256_gmac) + 1;
constexpr std::size_t kKeySizes = 5;  // 0, 64, 128, 192, 256 bits
constexpr std::uint32_t kSettled = 1U << 31;
constexpr unsigned kPlanBits = 10;  // 2 and 2 for the backends, 6 for the number

std::array<std::atomic<std::uint32_t>, kCiphers * kIntegrities * kKeySizes> settled;  // NOLINT: see above

std::atomic<std::uint32_t>& place_of(const PacketSuite& suite) {
  const std::size_t key = suite.key_bits / 64;
  CHECK(key < kKeySizes);
  return settled[(static_cast<std::size_t>(suite.cipher) * kIntegrities + static_cast<std::size_t>(suite.integrity)) *
                     kKeySizes +
                 key];
}

std::uint32_t pack(const BackendPlans& plans) {
  std::uint32_t word = kSettled;
  for (std::size_t i = 0; i < kPacketClasses; ++i) {
    const std::uint32_t plan = static_cast<std::uint32_t>(plans[i].few) |
                               static_cast<std::uint32_t>(plans[i].many) << 2 |
                               static_cast<std::uint32_t>(plans[i].enough) << 4;
    word |= plan << (i * kPlanBits);
  }
  return word;
}

BackendPlans unpack(std::uint32_t word) {
  BackendPlans plans;
  for (BackendPlan& plan : plans) {
    plan = {static_cast<Backend>(word & 3), static_cast<Backend>(word >> 2 & 3),
            static_cast<std::uint8_t>(word >> 4 & 63)};
    word >>= kPlanBits;
  }
  return plans;
}

/// The cost at any number of packets up to the greatest measured: what a call takes grows evenly in between.
double cost_at(const std::array<double, kMeasuredBatches.size()>& costs, std::size_t count) {
  for (std::size_t i = 1; i < kMeasuredBatches.size(); ++i) {
    const double lower = kMeasuredBatches[i - 1];
    const double upper = kMeasuredBatches[i];
    const auto wanted = static_cast<double>(count);
    if (wanted > upper) continue;
    const double from = costs[i - 1] * lower;
    const double to = costs[i] * upper;
    return (from + (to - from) * (wanted - lower) / (upper - lower)) / wanted;
  }
  return costs.back();
}

}  // namespace

BackendPlans plans_by_rule(const PacketSuite& suite) {
  const auto always = [](Backend backend) { return BackendPlans{{{backend, backend, 1}, {backend, backend, 1}}}; };
  if (serves(Backend::own, suite)) return always(Backend::own);
  if (!serves(Backend::ipsec_mb, suite)) return always(Backend::openssl);
  const std::uint8_t enough = enough_for_a_burst(suite);
  if (enough == 1 || !serves(Backend::openssl, suite)) return always(Backend::ipsec_mb);
  const BackendPlan plan{Backend::openssl, Backend::ipsec_mb, enough};
  return {{plan, plan}};
}

BackendPlans plans_for(const PacketSuite& suite) {
  std::atomic<std::uint32_t>& place = place_of(suite);
  if (const std::uint32_t word = place.load(std::memory_order_relaxed); word != 0) return unpack(word);
  (void)settle_plans(suite, plans_by_rule(suite));
  return unpack(place.load(std::memory_order_relaxed));
}

bool plans_settled(const PacketSuite& suite) { return place_of(suite).load(std::memory_order_relaxed) != 0; }

bool settle_plans(const PacketSuite& suite, const BackendPlans& plans) {
  std::uint32_t none = 0;
  return place_of(suite).compare_exchange_strong(none, pack(plans), std::memory_order_relaxed);
}

Result<std::unique_ptr<PacketCipher>, CryptoError> make_planned(const PacketSuite& suite, const BackendPlans& plans,
                                                                ByteView encryption_key, ByteView integrity_key) {
  const Backend first = plans[0].many;
  const bool one =
      std::ranges::all_of(plans, [&](const BackendPlan& plan) { return plan.few == first && plan.many == first; });
  if (one) return make_packet_cipher(suite, encryption_key, integrity_key, first);
  Planned::Ciphers ciphers;
  for (const BackendPlan& plan : plans) {
    for (const Backend backend : {plan.few, plan.many}) {
      auto& cipher = ciphers[static_cast<std::size_t>(backend)];
      if (cipher) continue;
      auto made = make_packet_cipher(suite, encryption_key, integrity_key, backend);
      if (!made) return err(made.error());
      cipher = std::move(*made);
    }
  }
  return std::make_unique<Planned>(std::move(ciphers), plans);
}

BackendPlan judge_costs(const BackendCosts& costs, const BackendPlan& preferred) {
  if (!costs.contains(preferred.few) || !costs.contains(preferred.many)) return preferred;
  const auto best_at = [&](std::size_t count) {
    return std::ranges::min_element(costs, {}, [&](const auto& entry) { return cost_at(entry.second, count); })->first;
  };
  constexpr std::size_t kMost = kMeasuredBatches.back();
  BackendPlan best{best_at(1), best_at(kMost), 1};
  if (best.few != best.many) {
    // From the greatest number downwards as long as `many` is ahead.
    std::size_t enough = kMost;
    while (enough > 2 && cost_at(costs.at(best.many), enough - 1) < cost_at(costs.at(best.few), enough - 1)) --enough;
    best.enough = static_cast<std::uint8_t>(enough);
  }
  const auto cost_of = [&](const BackendPlan& plan, std::size_t count) {
    return cost_at(costs.at(count < plan.enough ? plan.few : plan.many), count);
  };
  constexpr double kNearTie = 1.1;
  for (std::size_t count = 1; count <= kMost; ++count) {
    if (cost_of(preferred, count) > kNearTie * cost_of(best, count)) return best;
  }
  return preferred;
}

}  // namespace culvert::crypto
