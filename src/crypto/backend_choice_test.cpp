#include "crypto/backend_choice.hpp"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "crypto/backend_meter.hpp"

namespace culvert::crypto {
namespace {

using Costs = std::array<double, kMeasuredBatches.size()>;

constexpr Costs kEven = {100, 100, 100, 100, 100, 100};
constexpr BackendPlan kOwn{Backend::own, Backend::own, 1};
constexpr BackendPlan kMb{Backend::ipsec_mb, Backend::ipsec_mb, 1};
constexpr BackendPlan kOpenssl{Backend::openssl, Backend::openssl, 1};

// ---------------------------------------------------------------- what costs mean

TEST(JudgeCosts, TheFasterOneWins) {
  EXPECT_EQ(judge_costs({{Backend::own, {200, 200, 200, 200, 200, 200}}, {Backend::ipsec_mb, kEven}}, kOwn), kMb);
  EXPECT_EQ(judge_costs({{Backend::own, {80, 80, 80, 80, 80, 80}}, {Backend::ipsec_mb, kEven}}, kMb), kOwn);
  EXPECT_EQ(judge_costs({{Backend::openssl, {50, 50, 50, 50, 50, 50}}, {Backend::ipsec_mb, kEven}}, kMb), kOpenssl);
}

TEST(JudgeCosts, ANearTieStays) {
  const Costs better = {92, 92, 92, 92, 92, 92};
  EXPECT_EQ(judge_costs({{Backend::own, kEven}, {Backend::ipsec_mb, better}}, kOwn), kOwn);
  EXPECT_EQ(judge_costs({{Backend::own, better}, {Backend::ipsec_mb, kEven}}, kMb), kMb);
  EXPECT_EQ(judge_costs({{Backend::own, kEven}, {Backend::ipsec_mb, {100, 100, 100, 100, 100, 80}}}, kOwn).many,
            Backend::ipsec_mb)
      << "not a tie for large batches";
}

// One packet takes as long as sixteen: 1600 ns a call, against 250 ns for each.
TEST(JudgeCosts, FindsTheNumberFromWhichManyAreFaster) {
  const Costs lanes = {1600, 800, 400, 200, 100, 100};
  const BackendCosts costs = {{Backend::openssl, {250, 250, 250, 250, 250, 250}}, {Backend::ipsec_mb, lanes}};
  const BackendPlan found = judge_costs(costs, kMb);
  EXPECT_EQ(found, (BackendPlan{Backend::openssl, Backend::ipsec_mb, 7}));
  // A plan that is off by little enough to matter nowhere stays; one that is not does not.
  const BackendPlan near{Backend::openssl, Backend::ipsec_mb, 7};
  EXPECT_EQ(judge_costs(costs, near), near);
  const BackendPlan far{Backend::openssl, Backend::ipsec_mb, 3};
  EXPECT_EQ(judge_costs(costs, far), found);
}

TEST(JudgeCosts, APreferenceThatWasNotMeasuredStays) {
  EXPECT_EQ(judge_costs({{Backend::openssl, kEven}}, kMb), kMb);
  EXPECT_EQ(judge_costs({}, kOwn), kOwn);
}

// Whatever the costs: for no number of packets is the plan more than a tenth worse than the best implementation at the
// numbers that were measured, if one threshold can do that at all.
TEST(JudgeCosts, NeverMuchWorseThanTheBest) {
  SeededRandom random(5);
  for (int i = 0; i < 2000; ++i) {
    const double one = 50 + static_cast<double>(random.below(1000));
    const double call = 50 + static_cast<double>(random.below(4000));
    const double each = 5 + static_cast<double>(random.below(300));
    Costs many{};
    Costs few{};
    for (std::size_t n = 0; n < many.size(); ++n) {
      many[n] = (call + each * kMeasuredBatches[n]) / kMeasuredBatches[n];
      few[n] = one;
    }
    const BackendPlan plan = judge_costs({{Backend::openssl, few}, {Backend::ipsec_mb, many}}, kMb);
    for (std::size_t n = 0; n < many.size(); ++n) {
      const Backend used = kMeasuredBatches[n] < plan.enough ? plan.few : plan.many;
      const double cost = used == Backend::openssl ? few[n] : many[n];
      EXPECT_LE(cost, 1.1 * std::min(few[n], many[n]) + 1e-9) << one << " " << call << " " << each << " at " << n;
    }
  }
}

// ---------------------------------------------------------------- what is settled

TEST(BackendPlans, AreSettledOnce) {
  // A suite of its own, that no other test of this process asks for.
  const PacketSuite suite{CipherId::camellia_cbc, 192, IntegrityId::hmac_md5_96};
  if (plans_settled(suite)) GTEST_SKIP() << "it was, by an earlier round of this process";
  EXPECT_EQ(plans_for(suite), plans_by_rule(suite));
  EXPECT_TRUE(plans_settled(suite));
  EXPECT_FALSE(settle_plans(suite, {kMb, kMb}));
  BackendMeter meter;
  EXPECT_FALSE(meter.settle(suite)) << "too late";
  EXPECT_EQ(plans_for(suite), plans_by_rule(suite));

  const PacketSuite other{CipherId::aes_cbc, 192, IntegrityId::hmac_md5_96};
  // One that every machine can follow: the tests of the whole process get it.
  const BackendPlans wanted{{kOpenssl, {Backend::openssl, Backend::openssl, 1}}};
  EXPECT_TRUE(settle_plans(other, wanted));
  EXPECT_EQ(plans_for(other), wanted);
}

TEST(BackendPlans, AreOneForAllThreads) {
  const PacketSuite suite{CipherId::aes_ctr, 192, IntegrityId::hmac_md5_96};
  const BackendPlans mine{kOpenssl, kOpenssl};
  std::array<BackendPlans, 8> seen;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    threads.emplace_back([&, i] {
      if (i % 2 == 0) (void)settle_plans(suite, mine);
      seen[i] = plans_for(suite);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const BackendPlans& plans : seen) EXPECT_EQ(plans, seen[0]);
}

TEST(BackendMeter, KeepsToItsTimeAndToTheRulesAfterIt) {
  const PacketSuite suite{CipherId::aes_cbc, 256, IntegrityId::hmac_md5_96};
  BackendMeter none(std::chrono::nanoseconds(0));
  EXPECT_FALSE(none.settle(suite));
  EXPECT_FALSE(none.measure(suite));
  BackendMeter short_of_time(std::chrono::nanoseconds(1));
  EXPECT_FALSE(short_of_time.settle(suite)) << "one round is none";
  EXPECT_EQ(short_of_time.left(), std::chrono::nanoseconds(0));
  EXPECT_EQ(plans_for(suite), plans_by_rule(suite));
}

TEST(BackendMeter, MeasuresEveryOneThatServes) {
  if (!ipsec_mb_available())
    GTEST_SKIP()
        << "this CPU can do without ipsec-mb only (it wants x86-64 with AES-NI): one implementation is no choice";
  BackendMeter meter(std::chrono::seconds(20));
  const auto costs = meter.measure({CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128});
  ASSERT_TRUE(costs);
  for (const BackendCosts& of_class : *costs) {
    ASSERT_EQ(of_class.size(), 2U);
    for (const auto& [backend, figures] : of_class) {
      for (const double figure : figures) EXPECT_TRUE(figure > 0 && figure < 1e6) << figure;
    }
  }
  // Of lanes that are empty nobody has anything: 32 packets are cheaper by the packet than one.
  EXPECT_LT((*costs)[1].at(Backend::ipsec_mb).back(), (*costs)[1].at(Backend::ipsec_mb).front());
}

// The engine hands it single packets in jobs of their own (EspJob), so that what a call by PacketJobs costs beside them
// must not tip the scales.
TEST(BackendMeter, MeasuresOurOwnByFullBatchesAlone) {
  EXPECT_EQ(measured_batch(Backend::own), 32);
  EXPECT_EQ(measured_batch(Backend::openssl), 1) << "it takes them one by one whatever their number";
  EXPECT_FALSE(measured_batch(Backend::ipsec_mb));
}

TEST(BackendMeter, TakesOurOwnByWhatFullBatchesCost) {
  if (!own_available()) GTEST_SKIP() << "this CPU lacks what Culvert's own AES-GCM needs (AVX-512 with VAES)";
  BackendMeter meter(std::chrono::seconds(20));
  const auto costs = meter.measure({CipherId::aes_gcm_16, 128, IntegrityId::none});
  ASSERT_TRUE(costs);
  for (const BackendCosts& of_class : *costs) {
    const Costs& own = of_class.at(Backend::own);
    EXPECT_EQ(std::ranges::count(own, own.back()), std::ssize(own));
    EXPECT_LT(own.back(), 1e6);
  }
}

// ---------------------------------------------------------------- what follows a plan

// Each plan gives the same octets as OpenSSL, whatever the number and the lengths.
TEST(PlannedCipher, GivesTheSameOctetsByEveryPlan) {
  if (!ipsec_mb_available())
    GTEST_SKIP()
        << "this CPU can do without ipsec-mb only (it wants x86-64 with AES-NI): one implementation is no choice";
  const PacketSuite suite{CipherId::aes_cbc, 128, IntegrityId::hmac_sha1_96};
  const SuiteSizes sizes = sizes_of(suite);
  SeededRandom random(6);
  Bytes encryption(sizes.encryption_key);
  Bytes integrity(sizes.integrity_key);
  random.fill(encryption);
  random.fill(integrity);
  const auto reference = std::move(make_packet_cipher(suite, encryption, integrity, Backend::openssl).value());
  const BackendPlans all[] = {
      {kMb, kMb},
      {kOpenssl, kMb},
      {BackendPlan{Backend::openssl, Backend::ipsec_mb, 5}, kOpenssl},
      {BackendPlan{Backend::ipsec_mb, Backend::openssl, 3}, BackendPlan{Backend::openssl, Backend::ipsec_mb, 32}}};
  for (const BackendPlans& plans : all) {
    const auto cipher = std::move(make_planned(suite, plans, encryption, integrity).value());
    for (const std::size_t count : {1U, 2U, 4U, 5U, 31U, 32U, 33U, 37U, 70U}) {
      for (const std::size_t length : {16U, 240U, 256U, 1008U}) {
        std::vector<Bytes> packets(count, Bytes(8 + sizes.iv + length + sizes.icv));
        std::vector<PacketJob> jobs(count);
        for (std::size_t i = 0; i < count; ++i) {
          random.fill(packets[i]);
          std::uint8_t* const at = packets[i].data();
          jobs[i].aad = ByteView(at, 8);
          jobs[i].iv = at + 8;
          jobs[i].input = jobs[i].output = at + 8 + sizes.iv;
          jobs[i].length = length;
          jobs[i].icv = at + 8 + sizes.iv + length;
        }
        const std::vector<Bytes> plain = packets;
        cipher->seal(jobs);
        const std::vector<Bytes> sealed = packets;
        reference->open(jobs);
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_TRUE(jobs[i].ok) << count << " " << length;
          ASSERT_TRUE(std::equal(packets[i].begin(), packets[i].end() - static_cast<std::ptrdiff_t>(sizes.icv),
                                 plain[i].begin()));
        }
        packets = sealed;
        for (std::size_t i = 0; i < count; ++i) {
          std::uint8_t* const at = packets[i].data();
          jobs[i].aad = ByteView(at, 8);
          jobs[i].iv = at + 8;
          jobs[i].input = jobs[i].output = at + 8 + sizes.iv;
          jobs[i].icv = at + 8 + sizes.iv + length;
        }
        cipher->open(jobs);
        EXPECT_TRUE(std::ranges::all_of(jobs, &PacketJob::ok)) << count << " " << length;
      }
    }
  }
}

}  // namespace
}  // namespace culvert::crypto
