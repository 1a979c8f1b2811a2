// Rekeying costs no packet: 100,000 rekeys under 10 % loss, with traffic both ways all the time and every packet
// accounted for. SIM_LOG=1 prints what happened before a failure.
#include <cstdlib>
#include <iostream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Case {
  const char* name;
  unsigned rekeys;
  std::uint32_t loss_ppm;
  std::uint32_t duplicate_ppm;
  Duration jitter;
  std::uint32_t late_ppm;
  Duration latency_there;
  Duration latency_back;
  bool additional = false;  // key exchanges, behind each CREATE_CHILD_SA (RFC 9370 2.2.4)
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class RekeyLoss : public ::testing::TestWithParam<Case> {
 protected:
  static WorldOptions options(const Case& one) {
    WorldOptions options = two_hosts();
    options.seed = 7;
    options.log = std::getenv("SIM_LOG") != nullptr;
    for (LinkConditions& link : options.links) {
      link.loss_ppm = one.loss_ppm;
      link.duplicate_ppm = one.duplicate_ppm;
      link.jitter = one.jitter;
      link.late_ppm = one.late_ppm;
      link.late_by = seconds(1);
    }
    options.links[0].latency = one.latency_there;
    options.links[1].latency = one.latency_back;
    if (one.additional)
      set_suites(options, "aes128gcm16-prfsha256-x25519-ke1_mlkem768", "aes128gcm16-x25519-ke1_mlkem512-esn");
    for (model::ConnectionConfig& connection : options.connections) {
      connection.ike_lifetime = std::chrono::hours(100);
      connection.child_lifetime.time = std::chrono::hours(100);
      // Every loss of the tunnel itself would be seen as a lost packet; so the hosts are patient.
      connection.liveness_interval = seconds(120);
    }
    for (ike::EndpointSettings& settings : options.ike) {
      settings.retransmit_tries = 12;
      settings.retransmit_factor = 1.3;
    }
    return options;
  }
};

TEST_P(RekeyLoss, NoPacketIsLostThatTheNetworkDidNotLose) {
  const Case& one = GetParam();
  World world(options(one));
  world.start_both();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(120)))
      << world.report(one.rekeys * 100) << world.amiss().value_or("");
  const std::array<std::size_t, 2> first{world.ledger().count(Side::alice), world.ledger().count(Side::bob)};
  for (const Side side : {Side::alice, Side::bob}) world.set_traffic(side, Traffic{milliseconds(25), 64});

  SeededRandom random(11);
  unsigned child_rekeys = 0;
  unsigned ike_rekeys = 0;
  while (child_rekeys + ike_rekeys < one.rekeys) {
    // The last SAs linger for some seconds; more of them than this would only show the harness's own bound.
    ASSERT_TRUE(world.run_for(milliseconds(200)));
    ASSERT_TRUE(world.run_until(
        [&] {
          return world.host(Side::alice).view().ike_sas.size() == 1 &&
                 world.host(Side::bob).view().ike_sas.size() == 1 &&
                 world.host(Side::alice).view().ike_sas[0].children.size() == 1 &&
                 world.host(Side::bob).view().ike_sas[0].children.size() == 1;
        },
        seconds(120), milliseconds(50)))
        << "after " << child_rekeys << " child and " << ike_rekeys << " IKE rekeys: " << world.report(one.rekeys * 100)
        << world.amiss().value_or("");
    const Side side = static_cast<Side>(random.below(2));
    const bool ike = random.below(5) == 0;
    const auto spi = world.child(side).spi_inbound;
    const auto ike_spi = world.ike_sa(side).sa.spi_i;
    world.host(side).rekey(ike, !ike);
    // Now and then both ends at once.
    if (random.below(8) == 0) {
      ASSERT_TRUE(
          world.run_for(Duration(random.below(static_cast<std::uint64_t>(Duration(milliseconds(60)).count())))));
      world.host(other(side)).rekey(ike, !ike);
    }
    ASSERT_TRUE(world.run_until(
        [&] {
          const auto view = world.host(side).view();
          if (view.ike_sas.size() != 1 || view.ike_sas[0].children.size() != 1) return false;
          return ike ? view.ike_sas[0].sa.spi_i != ike_spi : view.ike_sas[0].children[0].spi_inbound != spi;
        },
        seconds(120), milliseconds(50)))
        << "rekey " << child_rekeys + ike_rekeys << " did not finish: " << world.report(one.rekeys * 100)
        << world.amiss().value_or("");
    ++(ike ? ike_rekeys : child_rekeys);
  }
  for (const Side side : {Side::alice, Side::bob}) world.set_traffic(side, std::nullopt);
  ASSERT_TRUE(world.run_for(seconds(10))) << world.report(one.rekeys * 100);

  for (const Side side : {Side::alice, Side::bob}) {
    const Ledger::Totals totals = world.ledger().totals(side, first[index_of(side)]);
    std::cout << fmt::format(
        "{}: {} child and {} IKE rekeys; from {}: {} packets, {} delivered, {} lost by the network\n", one.name,
        child_rekeys, ike_rekeys, name_of(side), totals.made, totals.delivered, totals.lost_by_network);
    EXPECT_EQ(totals.lost_by_us, 0u) << "arrived at the other host, but did not come out";
    EXPECT_EQ(totals.never_sent, 0u) << "no ESP packet was made";
    EXPECT_GT(totals.delivered, one.rekeys) << "traffic flowed all the time";
    EXPECT_EQ(totals.delivered + totals.lost_by_network, totals.made);
    EXPECT_EQ(totals.lost_by_network > 0, one.loss_ppm > 0);
  }
  EXPECT_FALSE(world.log().failed()) << world.report(one.rekeys * 100);
}

INSTANTIATE_TEST_SUITE_P(
    Networks, RekeyLoss,
    ::testing::Values(
        Case{"TenPercentLoss", 100'000, 100'000, 0, {}, 0, milliseconds(10), milliseconds(10)},
        Case{"Reordering", 1'000, 100'000, 20'000, milliseconds(60), 10'000, milliseconds(10), milliseconds(10)},
        Case{"LongWay", 500, 100'000, 0, milliseconds(20), 0, milliseconds(150), milliseconds(40)},
        Case{"NoLoss", 500, 0, 0, {}, 0, milliseconds(10), milliseconds(10)},
        Case{"Additional", 1'000, 100'000, 20'000, milliseconds(60), 10'000, milliseconds(10), milliseconds(10), true}),
    [](const ::testing::TestParamInfo<Case>& test) { return test.param.name; });

}  // namespace
}  // namespace culvert::sim
