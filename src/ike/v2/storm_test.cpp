// Rekeys and deletes from both sides at random times over a network that loses, doubles and reorders: whatever the
// order, both ends agree again, and at no moment does a sender use a pair that its peer has not (RFC 7296 2.8, 2.25).
#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Which SPIs a host accepts, with those that linger; fed by its events.
class Acceptance {
 public:
  Acceptance(Host& host, const Instant& now) : now_(now) {
    host.on_event = [this](const Event& event) {
      if (const auto* made = std::get_if<ChildSaEstablished>(&event)) {
        spis_[made->params.id] = made->params.spi_inbound;
        until_[made->params.spi_inbound] = Instant::max();
      } else if (const auto* removed = std::get_if<ChildSaRemoved>(&event)) {
        until_[spis_.at(removed->child)] = now_ + removed->linger;
      }
    };
  }
  [[nodiscard]] bool accepts(model::Spi spi) const {
    const auto found = until_.find(spi);
    return found != until_.end() && found->second >= now_;
  }

 private:
  const Instant& now_;
  std::map<model::ChildSaId, model::Spi> spis_;
  std::map<model::Spi, Instant> until_;
};

class Storm : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seed, Storm, ::testing::Range<std::uint64_t>(1, 101));

TEST_P(Storm, NoInnerPacketIsLostAndBothEndsAgreeInTheEnd) {
  SeededRandom weather(GetParam());
  Pair pair(GetParam());
  Acceptance at_a(pair.a, pair.now);
  Acceptance at_b(pair.b, pair.now);
  bring_up(pair, GetParam() % 2 == 0);
  ASSERT_TRUE(in_step(pair));
  pair.fate = [&](const Datagram&) {
    std::vector<Duration> copies;
    if (weather.below(10) != 0) copies.push_back(milliseconds(5 + weather.below(60)));
    if (weather.below(10) == 0) copies.push_back(milliseconds(5 + weather.below(2000)));
    return copies;
  };
  for (int round = 0; round < 40; ++round) {
    // Bursts, so that collisions are the rule.
    const auto burst = 1 + weather.below(3);
    for (std::uint64_t n = 0; n < burst; ++n) {
      Host& who = pair.host(weather.below(2) == 0);
      if (who.ike_sas.empty() || who.children.empty()) continue;
      if (weather.below(3) == 0) {
        pair.command(who, RekeyIkeSa{who.ike_sas.rbegin()->first});
      } else {
        pair.command(who, RekeyChildSa{who.children.rbegin()->first});
      }
      pair.advance(milliseconds(weather.below(40)));
    }
    const Instant until = pair.now + milliseconds(weather.below(9000));
    while (pair.now < until) {
      pair.advance(milliseconds(20));
      ASSERT_NE(pair.a.outbound(), nullptr) << "round " << round;
      ASSERT_NE(pair.b.outbound(), nullptr) << "round " << round;
      ASSERT_TRUE(at_b.accepts(pair.a.outbound()->spi_outbound)) << "round " << round;
      ASSERT_TRUE(at_a.accepts(pair.b.outbound()->spi_outbound)) << "round " << round;
    }
  }
  pair.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
  ASSERT_TRUE(pair.run_until([&] { return in_step(pair); }, std::chrono::minutes(5)));
  pair.advance(std::chrono::minutes(6));
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(no_leaks(pair));
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
  for (const Host* host : {&pair.a, &pair.b}) {
    for (const IkeSaClosed& closed : host->closed) EXPECT_EQ(closed.reason, CloseReason::rekeyed);
    for (const ChildSaRemoved& removed : host->removed) EXPECT_EQ(removed.reason, CloseReason::rekeyed);
  }
}

class SetUpStorm : public ::testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seed, SetUpStorm, ::testing::Range<std::uint64_t>(1, 101));

// Both sides initiate, terminate and crash as they like; afterwards one tunnel is left and nothing else.
TEST_P(SetUpStorm, OneTunnelIsLeftInTheEnd) {
  SeededRandom weather(GetParam());
  Pair pair(GetParam());
  configure(pair);
  pair.fate = [&](const Datagram&) {
    std::vector<Duration> copies;
    if (weather.below(5) != 0) copies.push_back(milliseconds(5 + weather.below(100)));
    if (weather.below(10) == 0) copies.push_back(milliseconds(5 + weather.below(3000)));
    return copies;
  };
  for (int round = 0; round < 30; ++round) {
    const bool first = weather.below(2) == 0;
    Host& who = pair.host(first);
    switch (weather.below(8)) {
      case 0: pair.command(who, Terminate{kConnection}); break;
      case 1:
        who.allocator().in_use.clear();
        who.restart();
        pair.command(who, ConfigureConnection{config_of(first)});
        break;
      default: initiate(pair, first);
    }
    pair.advance(milliseconds(weather.below(weather.below(4) == 0 ? 20000 : 300)));
  }
  pair.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
  // Control would initiate again whenever nothing is up.
  for (int n = 0; n < 20 && !in_step(pair); ++n) {
    for (const bool first : {true, false}) {
      if (pair.host(first).children.empty()) initiate(pair, first);
    }
    pair.advance(seconds(20));
  }
  ASSERT_TRUE(in_step(pair)) << pair.a.ike_sas.size() << " " << pair.b.ike_sas.size() << " " << pair.a.children.size()
                             << " " << pair.b.children.size();
  pair.advance(std::chrono::minutes(10));
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(no_leaks(pair));
}

}  // namespace
}  // namespace culvert::ike::v2
