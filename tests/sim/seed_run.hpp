// A seeded run: the seed chooses a network, two configurations and what happens to them; then everything calms down and
// must be well.
#pragma once

#include <cstdint>
#include <string>

namespace culvert::sim {

struct SeedResult {
  bool ok = false;
  std::string report;        // what was wrong, with the log's end when there was one
  std::string log;           // all of it
  std::uint64_t digest = 0;  // of all octets on the wire and of what was delivered
  std::uint64_t packets = 0;
  std::uint64_t child_rekeys = 0;  // pairs that stood at some time, beyond the first of each set-up
};

/// Runs one seed from the beginning to the end, or to the first violated invariant.
[[nodiscard]] SeedResult run_seed(std::uint64_t seed, bool log);

}  // namespace culvert::sim
