// A day and a night of two hosts that rekey, lose packets, lose each other and come back: at the end they hold as much
// memory, and as much of everything that can be counted, as after the first hours.
//
// Each hour runs on a thread of its own: with it goes what the allocator keeps aside for a thread, so that what is left
// is exactly what somebody holds. It is looked at in comparable moments: nothing under way, keys of the same age, and
// the onlookers of the simulation without their memories of the past. OpenSSL's memory counts, too.
#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "base/check.hpp"
#include "tests/sim/remote_access.hpp"
#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kHours = 24;
// By then whatever has a bound has reached it: queues, pools and tables keep the room that they needed once.
constexpr std::size_t kFilled = 3;
// Each host makes some 90 Child SAs an hour, and begins a dozen sessions: two octets left behind by each of those, or
// ten by each of these, would be more than this at the end. From hour to hour the same state differs by a quarter of it
// at most, in the lengths of texts and the buckets of tables.
constexpr std::size_t kBound = 2048;

std::size_t heap() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// What stands at a comparable moment.
struct Holding {
  std::size_t heap = 0;
  std::array<std::size_t, 2> ike_sas{};
  std::array<std::size_t, 2> children{};
  std::array<std::size_t, 2> sa_pairs{};
  std::array<std::size_t, 2> spis{};
  std::array<std::size_t, 2> half_open{};
  std::size_t events = 0;  // planned in the simulation: timers and packets under way

  [[nodiscard]] std::string text() const {
    return fmt::format("heap {} ike {}+{} child {}+{} pairs {}+{} spis {}+{} half-open {}+{} events {}", heap,
                       ike_sas[0], ike_sas[1], children[0], children[1], sa_pairs[0], sa_pairs[1], spis[0], spis[1],
                       half_open[0], half_open[1], events);
  }
};

WorldOptions busy() {
  WorldOptions options = two_hosts();
  options.seed = 24;
  for (model::ConnectionConfig& connection : options.connections) {
    connection.ike_lifetime = minutes(12);
    connection.child_lifetime.time = minutes(4);
    connection.liveness_interval = seconds(30);
  }
  for (LinkConditions& link : options.links) {
    link.loss_ppm = 20'000;
    link.duplicate_ppm = 10'000;
    link.jitter = milliseconds(30);
    link.late_ppm = 2'000;
    link.late_by = seconds(3);
  }
  return options;
}

/// Alice is one of many for bob, and has her address of him.
WorldOptions with_pool() {
  WorldOptions options = busy();
  give_from_pool(options);
  return options;
}

class Day {
 public:
  /// `crashes`: bob does once an hour, and comes back with nothing but his configuration.
  Day(const WorldOptions& options, bool crashes) : crashes_(crashes), world_(std::make_unique<World>(options)) {
    world_->start_both();
  }

  /// False when an invariant was violated or the tunnel did not come up; `failure` says why.
  bool run_hour() {
    const std::array<LinkConditions, 2> rough{world_->network().conditions(Side::alice),
                                              world_->network().conditions(Side::bob)};
    const bool ok = live_through() && come_to_rest();
    for (const Side side : {Side::alice, Side::bob}) world_->network().conditions(side) = rough[index_of(side)];
    return ok;
  }

  [[nodiscard]] Holding look() const {
    Holding holding;
    holding.heap = heap();
    for (const Side side : {Side::alice, Side::bob}) {
      const SimHost& host = world_->host(side);
      const std::size_t i = index_of(side);
      const control::TunnelView view = host.view();
      holding.ike_sas[i] = view.ike_sas.size();
      for (const control::IkeSaView& sa : view.ike_sas) holding.children[i] += sa.children.size();
      holding.sa_pairs[i] = host.data_plane().sa_count();
      holding.spis[i] = host.data_plane().spis_in_use();
      holding.half_open[i] = host.ike_counters().half_open;
    }
    holding.events = world_->queue().size();
    return holding;
  }
  [[nodiscard]] std::string failure() const {
    return fmt::format("{}\n{}", world_->amiss().value_or(""), world_->report());
  }
  [[nodiscard]] std::array<std::uint64_t, 4> requests() const { return world_->monitor().requests(); }

 private:
  bool live_through() {
    for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, Traffic{.mean_distance = seconds(1)});
    // Rekeys by lifetime, and by one or the other's wish in between.
    for (unsigned i = 0; i < 40; ++i) {
      world_->host(i % 3 == 0 ? Side::bob : Side::alice).rekey(i % 4 == 0, true);
      if (!world_->run_for(seconds(30))) return false;
    }
    // They lose each other until both have given up, and find each other again.
    for (const Side side : {Side::alice, Side::bob}) world_->network().set_cut(side, true);
    if (!world_->run_for(minutes(6))) return false;
    for (const Side side : {Side::alice, Side::bob}) world_->network().set_cut(side, false);
    if (!world_->run_for(minutes(10))) return false;
    // Both rekey all at once, with what collisions that has.
    world_->host(Side::alice).rekey(true, true);
    world_->host(Side::bob).rekey(true, true);
    if (!world_->run_for(minutes(3))) return false;
    // Sessions that begin and end.
    for (unsigned i = 0; i < 12; ++i) {
      world_->host(Side::alice).down();
      if (!world_->run_for(seconds(20))) return false;
      world_->host(Side::alice).up();
      if (!world_->run_for(seconds(40))) return false;
    }
    world_->host(Side::alice).down();
    if (!world_->run_for(seconds(90))) return false;
    world_->host(Side::alice).up();
    if (!world_->run_for(minutes(5))) return false;
    if (crashes_) {
      world_->host(Side::bob).crash();
      if (!world_->run_for(seconds(20))) return false;
      world_->start(Side::bob);
    }
    return world_->run_for(minutes(8));
  }

  // Everything old has ended, and the keys are new: what stands does not depend on the hour's accidents.
  bool come_to_rest() {
    for (const Side side : {Side::alice, Side::bob}) {
      LinkConditions& link = world_->network().conditions(side);
      link.loss_ppm = link.duplicate_ppm = link.late_ppm = 0;
      link.jitter = {};
      world_->set_traffic(side, std::nullopt);
      world_->host(side).up();
    }
    const auto settled = [this] { return world_->settled(); };
    if (!world_->run_for(minutes(2)) || !world_->run_until(settled, minutes(5))) return false;
    world_->host(Side::alice).rekey(true, true);
    if (!world_->run_for(seconds(5)) || !world_->run_until(settled, minutes(2))) return false;
    if (!world_->run_for(seconds(100)) || !world_->settled()) return false;
    const control::IkeSaView sa = world_->ike_sa(Side::alice);
    world_->ledger().forget();
    world_->monitor().forget_all_but(sa.sa.spi_i.value(), sa.sa.spi_r.value());
    return true;
  }

  bool crashes_;
  std::unique_ptr<World> world_;
};

void run_a_day(const WorldOptions& options, bool crashes) {
  // No block that was freed may count as held. A sanitizer's allocator tells nothing: there only the tables count.
  if (heap() != 0) {
    ASSERT_EQ(mallopt(M_MXFAST, 0), 1);
  }
  Day day(options, crashes);
  std::vector<Holding> seen;
  seen.reserve(kHours);
  for (std::size_t hour = 0; hour < kHours; ++hour) {
    bool ok = false;
    std::thread([&] { ok = day.run_hour(); }).join();
    ASSERT_TRUE(ok) << "hour " << hour << ": " << day.failure();
    seen.push_back(day.look());
    if (std::getenv("SIM_GROWTH") != nullptr) fmt::print("hour {}: {}\n", hour, seen.back().text());
  }
  // Initial exchanges and rekeys: so much happened.
  EXPECT_GE(day.requests()[0], 3 * kHours);
  EXPECT_GE(day.requests()[2], 60 * kHours);
  const Holding& early = seen[kFilled];
  const Holding& late = seen.back();
  EXPECT_EQ(late.ike_sas, early.ike_sas);
  EXPECT_EQ(late.children, early.children);
  EXPECT_EQ(late.sa_pairs, early.sa_pairs);
  EXPECT_EQ(late.spis, early.spis);
  EXPECT_EQ(late.half_open, early.half_open);
  EXPECT_LE(late.events, early.events + 2);
  EXPECT_LE(late.heap, early.heap + kBound) << early.text() << "\n" << late.text();
  if (crashes) return;
  // Where both lived through all of it, not in between either.
  for (std::size_t hour = kFilled; hour < kHours; ++hour)
    EXPECT_LE(seen[hour].heap, early.heap + kBound) << "hour " << hour << ": " << seen[hour].text();
}

TEST(Growth, ADayOfRekeysLeavesNothingBehind) { run_a_day(busy(), false); }

TEST(Growth, ADayOfCrashesLeavesNothingBehind) { run_a_day(busy(), true); }

TEST(Growth, ADayOfAPoolLeavesNothingBehind) { run_a_day(with_pool(), false); }

}  // namespace
}  // namespace culvert::sim
