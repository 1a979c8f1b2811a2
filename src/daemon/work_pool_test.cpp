#include "daemon/work_pool.hpp"

#include <atomic>
#include <latch>
#include <set>

#include <poll.h>

#include <gtest/gtest.h>

#include "crypto/random.hpp"
#include "crypto/testing/issuer.hpp"
#include "ike/key_exchange.hpp"
#include "ike/v2/credentials.hpp"
#include "model/identity.hpp"

namespace culvert::daemon {
namespace {

ike::Completion nothing() { return ike::VerifyResult{}; }

/// Waits for the descriptor as the loop does, at most ten seconds for each wake-up.
std::vector<WorkPool::Answer> take(WorkPool& pool, std::size_t count) {
  std::vector<WorkPool::Answer> answers;
  while (answers.size() < count) {
    pollfd ready{.fd = pool.wakeup_fd(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 10'000) != 1) return answers;
    pool.handle_wakeup();
    while (auto answer = pool.poll_answer()) answers.push_back(std::move(*answer));
  }
  return answers;
}

bool is_readable(const WorkPool& pool) {
  pollfd ready{.fd = pool.wakeup_fd(), .events = POLLIN, .revents = 0};
  return ::poll(&ready, 1, 0) == 1;
}

TEST(WorkPool, EveryRequestGetsItsOwnAnswerOnce) {
  auto pool = WorkPool::open(3);
  ASSERT_TRUE(pool);
  constexpr std::uint64_t kCount = 2000;
  for (std::uint64_t n = 1; n <= kCount; ++n) {
    (*pool)->submit(ike::RequestToken(n), [n]() -> ike::Completion {
      return ike::SharedKeyMacResult{SecretBytes::copy_of(Bytes(n % 7 + 1, static_cast<std::uint8_t>(n)))};
    });
  }
  std::set<ike::RequestToken> seen;
  for (const WorkPool::Answer& answer : take(**pool, kCount)) {
    EXPECT_TRUE(seen.insert(answer.token).second);
    const auto& mac = std::get<ike::SharedKeyMacResult>(answer.completion).mac;
    const std::uint64_t n = answer.token.value();
    EXPECT_TRUE(equal(mac->view(), Bytes(n % 7 + 1, static_cast<std::uint8_t>(n))));
  }
  EXPECT_EQ(seen.size(), kCount);
  EXPECT_TRUE((*pool)->is_idle());
  EXPECT_FALSE((*pool)->poll_answer());
  EXPECT_LE((*pool)->thread_count(), 3u);
}

TEST(WorkPool, ThreadsAreBegunOnlyForWork) {
  auto pool = WorkPool::open(4);
  ASSERT_TRUE(pool);
  EXPECT_EQ((*pool)->thread_count(), 0u);
  EXPECT_TRUE((*pool)->is_idle());
  EXPECT_FALSE(is_readable(**pool));
  (*pool)->submit(ike::RequestToken(1), nothing);
  EXPECT_FALSE((*pool)->is_idle());
  EXPECT_EQ(take(**pool, 1).size(), 1u);
  EXPECT_EQ((*pool)->thread_count(), 1u);
  EXPECT_TRUE((*pool)->is_idle());
}

TEST(WorkPool, SlowWorkKeepsOneThreadOnly) {
  auto pool = WorkPool::open(2);
  ASSERT_TRUE(pool);
  std::latch go(1);
  (*pool)->submit(ike::RequestToken(1), [&go] {
    go.wait();
    return nothing();
  });
  for (std::uint64_t n = 2; n <= 11; ++n) (*pool)->submit(ike::RequestToken(n), nothing);
  const auto quick = take(**pool, 10);
  ASSERT_EQ(quick.size(), 10u);
  for (const WorkPool::Answer& answer : quick) EXPECT_NE(answer.token, ike::RequestToken(1));
  EXPECT_FALSE((*pool)->is_idle());
  go.count_down();
  const auto slow = take(**pool, 1);
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_EQ(slow[0].token, ike::RequestToken(1));
}

TEST(WorkPool, TheEndWaitsForWhatRunsAndDropsTheRest) {
  std::atomic<bool> finished = false;
  std::atomic<int> begun = 0;
  const auto secret = std::make_shared<int>(1);
  {
    auto pool = WorkPool::open(1);
    ASSERT_TRUE(pool);
    std::latch running(1);
    (*pool)->submit(ike::RequestToken(1), [&] {
      running.count_down();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      finished = true;
      return nothing();
    });
    for (std::uint64_t n = 2; n <= 100; ++n) {
      (*pool)->submit(ike::RequestToken(n), [&begun, secret] {
        ++begun;
        return nothing();
      });
    }
    running.wait();
  }
  EXPECT_TRUE(finished);
  EXPECT_EQ(begun, 0);
  EXPECT_EQ(secret.use_count(), 1) << "what was not begun is still held by somebody";
}

TEST(WorkPool, KeyExchangesOfManyThreadsAgree) {
  auto pool = WorkPool::open(3);
  ASSERT_TRUE(pool);
  crypto::SystemRandom random;
  auto peer = std::move(*crypto::make_key_exchange(crypto::KeyExchangeId::x25519, random));
  constexpr std::uint64_t kCount = 200;
  for (std::uint64_t n = 1; n <= kCount; ++n) {
    ike::KeyExchangeRequest request{.token = ike::RequestToken(n),
                                    .method = crypto::KeyExchangeId::x25519,
                                    .own = nullptr,
                                    .peer_value = to_bytes(peer->public_value())};
    const ike::RequestToken token = request.token;
    (*pool)->submit(token, [request = std::move(request)]() mutable -> ike::Completion {
      crypto::SystemRandom own;
      return ike::carry_out(std::move(request), own);
    });
  }
  std::set<Bytes> secrets;
  for (WorkPool::Answer& answer : take(**pool, kCount)) {
    const auto& result = std::get<ike::KeyExchangeResult>(answer.completion);
    ASSERT_TRUE(result.own && !result.fault);
    const auto theirs = peer->derive(result.own->public_value());
    ASSERT_TRUE(theirs);
    EXPECT_TRUE(equal(theirs->view(), result.shared_secret.view()));
    secrets.insert(to_bytes(result.shared_secret.view()));
  }
  EXPECT_EQ(secrets.size(), kCount) << "no private value may come twice";
}

// One key and one trust store, used by all threads at once.
TEST(WorkPool, SignaturesAndVerdictsShareTheirKeys) {
  using namespace crypto::testing;
  const TestKey key = TestKey::make("RSA:2048");
  const TestCertificate root = TestCertificate::make(TestKey::make("P-256"), authority("root"));
  const TestCertificate own = TestCertificate::make(key, peer("gw.example", "DNS:gw.example"), &root);
  const auto held = std::make_shared<const ike::v2::Credentials>(
      ike::v2::Credentials{.certificates = {own.der()},
                           .key = key.private_key(),
                           .peer = crypto::TrustStore::make(std::vector{root.certificate()}, {}),
                           .sha1_allowed = false});
  auto pool = WorkPool::open(3);
  ASSERT_TRUE(pool);
  constexpr std::uint64_t kCount = 60;
  model::SignatureHashes hashes;
  hashes.add(model::SignatureHash::sha2_256);
  const auto octets = [](std::uint64_t n) { return Bytes(800, static_cast<std::uint8_t>(n)); };
  for (std::uint64_t n = 1; n <= kCount; ++n) {
    (*pool)->submit(ike::RequestToken(n), [=]() -> ike::Completion {
      return carry_out(ike::SignRequest{.token = {}, .connection = {}, .peer_hashes = hashes, .octets = octets(n)},
                       *held);
    });
  }
  const auto signatures = take(**pool, kCount);
  ASSERT_EQ(signatures.size(), kCount);
  for (const WorkPool::Answer& answer : signatures) {
    const auto& proof = std::get<ike::SignResult>(answer.completion).proof;
    ASSERT_TRUE(proof) << proof.error();
    // Every third is for other octets than were signed.
    const std::uint64_t n = answer.token.value();
    ike::VerifyRequest request{.token = {},
                               .connection = {},
                               .identity = model::Identity::parse("gw.example"),
                               .method = proof->method,
                               .auth = proof->auth,
                               .octets = octets(n % 3 == 0 ? n + 1 : n),
                               .certificates = proof->certificates};
    (*pool)->submit(ike::RequestToken(kCount + n),
                    [=]() -> ike::Completion { return carry_out(request, *held, kToday); });
  }
  const auto verdicts = take(**pool, kCount);
  ASSERT_EQ(verdicts.size(), kCount);
  for (const WorkPool::Answer& answer : verdicts) {
    const auto& refusal = std::get<ike::VerifyResult>(answer.completion).refusal;
    const bool other_octets = (answer.token.value() - kCount) % 3 == 0;
    EXPECT_EQ(refusal.has_value(), other_octets);
    if (refusal) {
      EXPECT_EQ(refusal->check, "signature");
    }
  }
}

}  // namespace
}  // namespace culvert::daemon
