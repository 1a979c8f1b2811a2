#include "ike/message_reasons.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace culvert::ike {
namespace {

template <typename Entries>
void expect_whole(const Entries& entries, std::set<std::string_view>& names) {
  for (std::size_t n = 0; n < entries.size(); ++n) {
    EXPECT_EQ(static_cast<std::size_t>(entries[n].reason), n) << entries[n].name;
    EXPECT_TRUE(names.insert(entries[n].name).second) << entries[n].name;
    EXPECT_FALSE(entries[n].text.empty()) << entries[n].name;
    EXPECT_FALSE(entries[n].advice.empty()) << entries[n].name;
  }
}

TEST(MessageReasons, EachStandsInOrderWithANameATextAndAdvice) {
  std::set<std::string_view> names;
  expect_whole(datagram_drops(), names);
  expect_whole(refusals(), names);
}

// CULVERT_UPDATE_DOCS=1 writes the page instead of comparing it.
TEST(MessageReasons, DocumentationIsThisList) {
  const char* const path = "docs/message-reasons.md";
  if (std::getenv("CULVERT_UPDATE_DOCS") != nullptr) std::ofstream(path) << message_reasons_markdown();
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; run this test with CULVERT_UPDATE_DOCS=1 in the root of the checkout";
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, message_reasons_markdown())
      << "run this test with CULVERT_UPDATE_DOCS=1 to write " << path << " anew";
}

}  // namespace
}  // namespace culvert::ike
