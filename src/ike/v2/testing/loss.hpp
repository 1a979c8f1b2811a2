// What becomes of datagrams on a bad network, for Pair::fate. Header only; never part of the product.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

/// One of five is lost, some come twice, and all in any order within `spread` milliseconds.
inline auto bad_network(std::uint64_t seed, std::uint64_t spread) {
  return [dice = std::make_shared<SeededRandom>(seed), spread](const Datagram&) {
    std::vector<Duration> copies;
    for (const unsigned chance : {75U, 20U}) {
      if (dice->below(100) < chance) copies.emplace_back(std::chrono::milliseconds(5 + dice->below(spread)));
    }
    return copies;
  };
}

}  // namespace culvert::ike::v2::testing
