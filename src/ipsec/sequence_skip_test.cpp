// Sequence numbers that are skipped (RFC 6311 5.2): forward only, so that no number, and no IV, comes twice.
#include <set>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/use_meter.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

TEST(SequenceCounter, SkipsForward) {
  SequenceCounter counter(true);
  EXPECT_EQ(counter.take(1), 1u);
  counter.skip(10);
  EXPECT_EQ(counter.take(2), 12u);
  counter.skip(0);
  EXPECT_EQ(counter.take(1), 14u);
  counter.skip(~std::uint64_t{0});
  EXPECT_FALSE(counter.take(1));
  EXPECT_TRUE(counter.running_out());
  SequenceCounter narrow(false, 0xffff'fff0);
  narrow.skip(8);
  EXPECT_EQ(narrow.take(1), 0xffff'fff9u);
  narrow.skip(std::uint64_t{1} << 40);
  EXPECT_FALSE(narrow.take(1));
  EXPECT_EQ(narrow.last(), 0xffff'ffffu);
}

class SequenceSkip : public ::testing::TestWithParam<bool> {
 protected:
  SequenceSkip() {
    kit.set_policies();
    model::EspSuite suite;
    suite.esn = GetParam() ? model::EsnId::esn : model::EsnId::no_esn;
    kit.install(1, suite);
  }
  std::uint64_t send() {
    const CollectingWire wire = kit.alice_sends({udp_packet(kit.v4, Bytes(9))});
    for (const Bytes& packet : wire.packets()) {
      EXPECT_TRUE(numbers.insert(load_be32(packet.data() + 4)).second);
      EXPECT_TRUE(ivs.insert(load_be64(packet.data() + kEspHeaderSize)).second);
      arrived += kit.bob_receives({packet}).packets.size();
    }
    return kit.alice.counters(model::ChildSaId{1})->outbound_sequence;
  }
  TwoEngines kit;
  std::set<std::uint32_t> numbers;
  std::set<std::uint64_t> ivs;
  std::size_t arrived = 0;
};
INSTANTIATE_TEST_SUITE_P(Esn, SequenceSkip, ::testing::Bool());

TEST_P(SequenceSkip, ThePeerTakesWhatComesAfter) {
  EXPECT_EQ(send(), 1u);
  kit.alice.skip_sequence(model::ChildSaId{1}, 100'000);
  EXPECT_EQ(send(), 100'002u);
  kit.alice.skip_sequence(model::ChildSaId{1}, std::uint64_t{1} << 30);
  EXPECT_EQ(send(), 100'003u + (std::uint64_t{1} << 30));
  kit.alice.skip_sequence(model::ChildSaId{2}, 5);  // there is none
  EXPECT_EQ(arrived, 3u);
  EXPECT_TRUE(kit.events(kit.alice).empty());
}

TEST_P(SequenceSkip, WhereFewAreLeftANewSaIsDue) {
  EXPECT_EQ(send(), 1u);
  const std::uint64_t all = GetParam() ? ~std::uint64_t{0} : 0xffff'ffffU;
  kit.alice.skip_sequence(model::ChildSaId{1}, all - all / 32);
  const auto told = kit.events(kit.alice);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(std::get<SaExpired>(told[0]).hard);
  EXPECT_EQ(send(), all - all / 32 + 2);
  // None is left, and none begins again.
  kit.alice.skip_sequence(model::ChildSaId{1}, all);
  EXPECT_EQ(send(), all);
  EXPECT_EQ(drops(kit.alice, "sequence_exhausted"), 1u);
}

}  // namespace
}  // namespace culvert::ipsec
