#include "datapath/io_counters.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

namespace culvert::datapath {
namespace {

TEST(IoDrop, ListStandsInOrderWithDistinctNames) {
  std::set<std::string_view> names{kTunQueueFull, kOuterQueueFull};
  for (std::size_t i = 0; i < kIoDrops.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kIoDrops[i].drop), i) << kIoDrops[i].name;
    EXPECT_TRUE(names.insert(kIoDrops[i].name).second) << kIoDrops[i].name;
  }
}

// CULVERT_UPDATE_DOCS=1 writes the page instead of comparing it.
TEST(IoDrop, DocumentationIsThisList) {
  const char* const path = "docs/drop-reasons-io.md";
  if (std::getenv("CULVERT_UPDATE_DOCS") != nullptr) std::ofstream(path) << io_drops_markdown();
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; run this test with CULVERT_UPDATE_DOCS=1 in the root of the checkout";
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, io_drops_markdown()) << "run this test with CULVERT_UPDATE_DOCS=1 to write " << path << " anew";
}

}  // namespace
}  // namespace culvert::datapath
