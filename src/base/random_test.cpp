#include "base/random.hpp"

#include <array>

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(SeededRandom, SameSeedSameBytes) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom c(8);
  std::array<std::uint8_t, 32> x{};
  std::array<std::uint8_t, 32> y{};
  std::array<std::uint8_t, 32> z{};
  a.fill(x);
  b.fill(y);
  c.fill(z);
  EXPECT_EQ(x, y);
  EXPECT_NE(x, z);
}

TEST(RandomSource, BelowStaysBelowAndReachesAll) {
  SeededRandom random(1);
  std::array<int, 5> seen{};
  for (int i = 0; i < 1000; ++i) {
    const auto value = random.below(5);
    ASSERT_LT(value, 5u);
    ++seen[value];
  }
  for (const int count : seen) EXPECT_GT(count, 100);
}

}  // namespace
}  // namespace culvert
