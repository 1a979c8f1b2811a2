#include "base/boxed.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Boxed, TakesTheRoomOfAPointer) { EXPECT_EQ(sizeof(Boxed<std::string>), sizeof(void*)); }

TEST(Boxed, IsThereOnlyAfterAValue) {
  Boxed<std::string> boxed;
  EXPECT_FALSE(boxed);
  EXPECT_EQ(std::optional<std::string>(boxed), std::nullopt);
  boxed = std::string("here");
  ASSERT_TRUE(boxed);
  EXPECT_EQ(*boxed, "here");
  EXPECT_EQ(std::optional<std::string>(boxed), "here");
  boxed = std::nullopt;
  EXPECT_FALSE(boxed);
  EXPECT_FALSE(Boxed<std::string>(std::optional<std::string>()));
}

TEST(Boxed, CopiesTheValueAndMovesTheBox) {
  Boxed<std::string> one = std::string("one");
  Boxed<std::string> copy = one;
  *copy += " more";
  EXPECT_EQ(*one, "one");
  one = copy;
  EXPECT_EQ(*one, "one more");
  const Boxed<std::string> moved = std::move(one);
  EXPECT_EQ(*moved, "one more");
  EXPECT_FALSE(one);  // NOLINT: a moved box is empty
}

}  // namespace
}  // namespace culvert
