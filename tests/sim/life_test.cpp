// How IKE SAs begin, are proved anew and end by accident, in whole hosts with traffic: without a Child SA at first
// (RFC 6023), with an authentication that runs out (RFC 4478), with a peer that was started anew (RFC 6290).
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Life : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  Life() : options_(two_hosts()) {
    options_.seed = GetParam();
    options_.log = true;
    for (ike::EndpointSettings& settings : options_.ike) settings.retransmit_tries = 12;
  }
  void lose(std::uint32_t ppm) {
    for (LinkConditions& link : options_.links) {
      link.loss_ppm = ppm;
      link.duplicate_ppm = ppm / 4;
      link.jitter = milliseconds(30);
    }
  }
  void make() {
    world_.emplace(options_);
    world_->start(Side::bob);
    world_->start(Side::alice);
    ASSERT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(120))) << why();
  }
  void begin_traffic() {
    for (const Side side : {Side::alice, Side::bob}) {
      first_[index_of(side)] = world_->ledger().count(side);
      world_->set_traffic(side, Traffic{milliseconds(20), 100});
    }
  }
  /// Ends it: every packet has come out that the network did not lose.
  void expect_nothing_lost() {
    for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, std::nullopt);
    ASSERT_TRUE(world_->run_for(seconds(10))) << why();
    for (const Side side : {Side::alice, Side::bob}) {
      const Ledger::Totals totals = world_->ledger().totals(side, first_[index_of(side)]);
      EXPECT_GT(totals.made, 100u);
      EXPECT_EQ(totals.lost_by_us, 0u) << "from " << name_of(side) << why();
      EXPECT_EQ(totals.never_sent, 0u) << "from " << name_of(side) << why();
    }
  }
  [[nodiscard]] std::string why() const {
    return "\n" + world_->report(120) + world_->amiss().value_or("all is well") + "\n";
  }
  model::ConnectionConfig& config(Side side) { return options_.connections[index_of(side)]; }

  WorldOptions options_;
  std::optional<World> world_;
  std::array<std::size_t, 2> first_{};
};

// RFC 6023: the first Child SA by CREATE_CHILD_SA, whatever the network does.
TEST_P(Life, AnIkeSaBeginsWithoutAChildSa) {
  set_suites(options_, "aes128gcm16-prfsha256-x25519", "aes128gcm16-x25519-esn");
  config(Side::alice).life.childless = model::Childless::force;
  lose(150'000);
  make();
  EXPECT_NE(world_->child(Side::alice).suite.key_exchange, model::KeyExchangeMethod::none);
  begin_traffic();
  ASSERT_TRUE(world_->run_for(seconds(10))) << why();
  expect_nothing_lost();
}

// RFC 4478: the new IKE SA stands before the old one goes, over and over.
TEST_P(Life, ProvingOurselvesAnewCostsNoPacket) {
  config(Side::bob).life.reauthentication = minutes(1);
  lose(GetParam() % 2 == 0 ? 0 : 50'000);
  make();
  const auto spi = world_->ike_sa(Side::alice).sa.spi_i;
  begin_traffic();
  ASSERT_TRUE(world_->run_for(minutes(10))) << why();
  expect_nothing_lost();
  ASSERT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(30))) << why();
  EXPECT_NE(world_->ike_sa(Side::alice).sa.spi_i, spi);
}

TEST_P(Life, RekeysMeetTheNewProof) {
  config(Side::bob).life.reauthentication = minutes(1);
  lose(20'000);
  make();
  begin_traffic();
  SeededRandom random(GetParam());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(world_->run_for(milliseconds(500) + Duration(random.below(4'000'000'000)))) << why();
    const bool ike = random.below(2) == 0;
    world_->host(static_cast<Side>(random.below(2))).rekey(ike, !ike);
  }
  expect_nothing_lost();
  EXPECT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(60))) << why();
}

// RFC 6290: within a few round trips of the first packet that meets a peer which knows nothing any more.
TEST_P(Life, APeerThatWasStartedAnewIsFoundAtOnce) {
  const Side dies = GetParam() % 2 == 0 ? Side::alice : Side::bob;
  const Side stays = other(dies);
  // The other end alone may begin, so that it must be it that notices.
  config(stays).start = model::StartMode::automatic;
  config(dies).start = model::StartMode::manual;
  make();
  world_->host(dies).crash();
  ASSERT_TRUE(world_->run_for(milliseconds(200))) << why();
  world_->start(dies);
  const auto spi = world_->ike_sa(stays).sa.spi_i;
  (void)world_->send_one(stays);
  EXPECT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(1))) << why();
  EXPECT_NE(world_->ike_sa(stays).sa.spi_i, spi);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Life, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace culvert::sim
