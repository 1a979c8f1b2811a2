#include "cli/text.hpp"

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

TEST(Text, Units) {
  EXPECT_EQ(duration_text(59), "59s");
  EXPECT_EQ(duration_text(3600), "1h");
  EXPECT_EQ(duration_text(90061), "1d1h");
  EXPECT_EQ(size_text(999), "999 B");
  EXPECT_EQ(size_text(1000), "1.0 kB");
  EXPECT_EQ(size_text(999'999), "1.0 MB");
  EXPECT_EQ(size_text(~0ull), "18 EB");
  EXPECT_EQ(count_text(1000), "1,000");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(time_text(-1).size(), 23u);
}

}  // namespace
}  // namespace culvert::cli
