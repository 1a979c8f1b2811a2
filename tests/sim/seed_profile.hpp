// SeedProfile: what the seed of a run stands for.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/random.hpp"
#include "base/time.hpp"
#include "tests/sim/world.hpp"

namespace culvert::sim {

struct SeedProfile {
  WorldOptions world;
  std::array<Traffic, 2> traffic;
  Duration duration{};  // of the time in which things happen
  unsigned actions = 0;
  unsigned moves = 0;   // of a host to other addresses
  Duration patience{};  // until a request that was sent in bad times has been answered or given up
  bool nat_may_change_address = false;
  std::string text;  // in words, for the log
};

[[nodiscard]] SeedProfile make_profile(std::uint64_t seed, SeededRandom& random, bool log);

}  // namespace culvert::sim
