#include "base/text.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Escaped, ControlBytesCannotForgeALogLine) {
  EXPECT_EQ(escaped("a\nb\x1b[2J\\"), "a\\x0ab\\x1b[2J\\x5c");
  EXPECT_EQ(escaped("\xff"), "\\xff");
  EXPECT_EQ(escaped("abcdef", 3), "abc...");
}

TEST(ParseDecimal, WholeTextOrNothing) {
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  EXPECT_FALSE(parse_decimal("18446744073709551616"));
  EXPECT_FALSE(parse_decimal(""));
  EXPECT_FALSE(parse_decimal("+1"));
  EXPECT_FALSE(parse_decimal("-1"));
  EXPECT_FALSE(parse_decimal("1 "));
}

}  // namespace
}  // namespace culvert
