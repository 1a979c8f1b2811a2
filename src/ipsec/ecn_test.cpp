#include "ipsec/ecn.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

constexpr int kDrop = -1;

// RFC 6040 4.2, figure 4; rows are the inner, columns the outer field, both in the order Not-ECT, ECT(0), ECT(1), CE.
constexpr std::uint8_t kOrder[] = {0, 2, 1, 3};
constexpr int kFigure4[4][4] = {{0, 0, 0, kDrop}, {2, 2, 1, 3}, {1, 1, 1, 3}, {3, 3, 3, 3}};
// What the figure marks with (!) or (!!!).
constexpr bool kOdd[4][4] = {
    {false, true, true, true}, {false, false, false, false}, {false, true, false, false}, {false, false, true, false}};

TEST(Ecn, DecapsulationTable) {
  for (const int dscp : {0x00, 0x2e, 0x3f}) {
    for (int row = 0; row < 4; ++row) {
      for (int column = 0; column < 4; ++column) {
        const auto inner = static_cast<std::uint8_t>(dscp << 2 | kOrder[row]);
        const auto outer = static_cast<std::uint8_t>(0x11 << 2 | kOrder[column]);  // a foreign DSCP changes nothing
        const auto result = decapsulated_tos(inner, outer);
        if (kFigure4[row][column] == kDrop) {
          EXPECT_FALSE(result.has_value());
        } else {
          EXPECT_EQ(result, dscp << 2 | kFigure4[row][column]) << row << "," << column;
          EXPECT_EQ(decapsulated_tos(inner, outer, true), 0x11 << 2 | kFigure4[row][column]) << "DSCP inward";
        }
        EXPECT_EQ(ecn_is_odd(inner, outer), kOdd[row][column]) << row << "," << column;
      }
    }
  }
}

// RFC 6040 4.1, both modes; RFC 4301 5.1.2.1 for the DSCP.
TEST(Ecn, EncapsulationCopiesOrClears) {
  for (std::uint8_t ecn = 0; ecn < 4; ++ecn) {
    const auto inner = static_cast<std::uint8_t>(0xb8 | ecn);
    EXPECT_EQ(outer_tos(inner, {}), inner);
    EXPECT_EQ(outer_tos(inner, {.ecn = false}), 0xb8);
    EXPECT_EQ(outer_tos(inner, {.dscp = std::uint8_t{10}}), 10 << 2 | ecn);
    EXPECT_EQ(outer_tos(inner, {.dscp = std::uint8_t{0}, .ecn = false}), 0);
  }
}

// RFC 4301 8.1.
TEST(Ecn, OuterDontFragment) {
  using model::DontFragment;
  EXPECT_TRUE(outer_dont_fragment(false, true, {.dont_fragment = DontFragment::copy}));
  EXPECT_FALSE(outer_dont_fragment(false, false, {.dont_fragment = DontFragment::copy}));
  EXPECT_TRUE(outer_dont_fragment(true, false, {.dont_fragment = DontFragment::copy}));
  EXPECT_TRUE(outer_dont_fragment(false, false, {.dont_fragment = DontFragment::set}));
  EXPECT_FALSE(outer_dont_fragment(true, true, {.dont_fragment = DontFragment::clear}));
}

}  // namespace
}  // namespace culvert::ipsec
