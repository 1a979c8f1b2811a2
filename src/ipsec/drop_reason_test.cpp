#include "ipsec/drop_reason.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

TEST(DropReason, ListStandsInOrderWithDistinctNames) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDropReasons.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kDropReasons[i].reason), i) << kDropReasons[i].name;
    EXPECT_TRUE(names.insert(kDropReasons[i].name).second) << kDropReasons[i].name;
  }
  EXPECT_EQ(static_cast<std::size_t>(DropReason::unprotected_error_doubtful) + 1, kDropReasons.size());
}

// CULVERT_UPDATE_DOCS=1 writes the page instead of comparing it.
TEST(DropReason, DocumentationIsThisList) {
  const char* const path = "docs/drop-reasons.md";
  if (std::getenv("CULVERT_UPDATE_DOCS") != nullptr) std::ofstream(path) << drop_reasons_markdown();
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; run this test with CULVERT_UPDATE_DOCS=1 in the root of the checkout";
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, drop_reasons_markdown()) << "run this test with CULVERT_UPDATE_DOCS=1 to write " << path << " anew";
}

}  // namespace
}  // namespace culvert::ipsec
