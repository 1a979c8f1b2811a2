// Traffic in both directions of which every packet is asked for at the end. `first` is where each side's began.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {

using FirstPackets = std::array<std::size_t, 2>;

inline FirstPackets begin_traffic(World& world, const Traffic& traffic) {
  FirstPackets first{};
  for (const Side side : {Side::alice, Side::bob}) {
    first[index_of(side)] = world.ledger().count(side);
    world.set_traffic(side, traffic);
  }
  return first;
}

/// Ends it; of at least `least` packets of each side all must have come out but what the network took.
inline void expect_nothing_lost(World& world, const FirstPackets& first, std::size_t least = 1) {
  const auto why = [&] { return "\n" + world.report(120) + world.amiss().value_or("all is well") + "\n"; };
  for (const Side side : {Side::alice, Side::bob}) world.set_traffic(side, std::nullopt);
  ASSERT_TRUE(world.run_for(std::chrono::seconds(8))) << why();
  for (const Side side : {Side::alice, Side::bob}) {
    const Ledger::Totals totals = world.ledger().totals(side, first[index_of(side)]);
    EXPECT_GE(totals.made, least);
    EXPECT_EQ(totals.delivered + totals.lost_by_network, totals.made) << "from " << name_of(side) << why();
  }
}

}  // namespace culvert::sim
