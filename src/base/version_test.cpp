#include "base/version.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Version, HasThreeNumbers) {
  EXPECT_EQ(std::count(kVersion.begin(), kVersion.end(), '.'), 2);
  EXPECT_TRUE(kVersion.find_first_not_of("0123456789.") == std::string_view::npos) << kVersion;
}

}  // namespace
}  // namespace culvert
