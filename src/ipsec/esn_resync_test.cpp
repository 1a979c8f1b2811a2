// RFC 4303 Appendix A3, RFC 4302 Appendix B3: the sequence numbers are found again after 2^32 lost packets.
#include "ipsec/esn_resync.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/modes_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

TEST(EsnResync, OneTrialPerIntervalAfterManyFailures) {
  EsnResync resync;
  Instant now{};
  for (std::uint32_t i = 1; i < EsnResync::kTrigger; ++i) resync.note_failure();
  EXPECT_FALSE(resync.wants_trial(now));
  resync.note_failure();
  EXPECT_TRUE(resync.wants_trial(now));
  EXPECT_FALSE(resync.wants_trial(now + EsnResync::kInterval / 2));
  EXPECT_TRUE(resync.wants_trial(now + EsnResync::kInterval));
  resync.note_success();
  EXPECT_FALSE(resync.wants_trial(now + 2 * EsnResync::kInterval));
}

// Alice goes on behind a hole of several times 2^32 numbers, as if Bob had missed them all.
class Resynchronisation : public testing::TestWithParam<ModeCase> {};
INSTANTIATE_TEST_SUITE_P(All, Resynchronisation, testing::ValuesIn(all_mode_cases()),
                         [](const auto& one) { return one.param.name(); });

TEST_P(Resynchronisation, FindsTheHighHalfAgain) {
  ModeWorld world(GetParam());
  model::EspSuite suite = world.suite();
  suite.esn = model::EsnId::esn;
  auto [a, b] = world.make_pair(1, suite);
  a.sequence_used = (std::uint64_t{3} << 32) + 7;
  ASSERT_TRUE(world.pair.alice.install(std::move(a), world.pair.now));
  ASSERT_TRUE(world.pair.bob.install(std::move(b), world.pair.now));
  const Bytes packet = udp_packet(world.flow, Bytes(100));
  for (std::uint32_t i = 0; i < EsnResync::kTrigger; ++i) EXPECT_TRUE(world.carry({packet}).empty());
  EXPECT_TRUE(world.carry({packet}).empty()) << "the packet that it was tried with is given up";
  EXPECT_EQ(world.carry({packet, packet}).size(), 2U);
  EXPECT_EQ(drops(world.pair.bob, "bad_icv"), EsnResync::kTrigger + 1U);
}

TEST_P(Resynchronisation, GivesUpBeyondItsTries) {
  ModeWorld world(GetParam());
  model::EspSuite suite = world.suite();
  suite.esn = model::EsnId::esn;
  auto [a, b] = world.make_pair(1, suite);
  a.sequence_used = (std::uint64_t{EsnResync::kTries + 1} << 32) + 7;
  ASSERT_TRUE(world.pair.alice.install(std::move(a), world.pair.now));
  ASSERT_TRUE(world.pair.bob.install(std::move(b), world.pair.now));
  const Bytes packet = udp_packet(world.flow, Bytes(100));
  for (std::uint32_t i = 0; i < 2 * EsnResync::kTrigger; ++i) EXPECT_TRUE(world.carry({packet}).empty());
}

// There is one trial in a batch. Who does not get it has its turn in the next one, not a second later.
TEST(ResynchronisationOfTwo, WhoDoesNotGetTheTrialKeepsItsTurn) {
  TwoEngines pair;
  pair.set_policies();
  std::vector<std::vector<Bytes>> sent;
  for (const std::uint64_t id : {1, 2}) {
    auto [a, b] = pair.make_pair(id, {});
    a.sequence_used = std::uint64_t{1} << 32;
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now));
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now));
    sent.emplace_back();
    for (std::uint32_t i = 0; i < EsnResync::kTrigger + 3; ++i)
      sent.back().push_back(pair.alice_sends({udp_packet(pair.v4, Bytes(10))}).packets().at(0));
  }
  for (std::uint32_t i = 0; i < EsnResync::kTrigger; ++i)
    EXPECT_TRUE(pair.bob_receives({sent[0][i], sent[1][i]}).packets.empty());
  const auto next = [&](std::uint32_t i) {
    return pair.bob_receives({sent[0][EsnResync::kTrigger + i], sent[1][EsnResync::kTrigger + i]}).packets.size();
  };
  EXPECT_EQ(next(0), 0U) << "the first one's trial";
  EXPECT_EQ(next(1), 1U) << "the second one's trial";
  EXPECT_EQ(next(2), 2U);
}

}  // namespace
}  // namespace culvert::ipsec
