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
INSTANTIATE_TEST_SUITE_P(Seed, Storm, ::testing::Range<std::uint64_t>(1, 151));

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

}  // namespace
}  // namespace culvert::ike::v2
