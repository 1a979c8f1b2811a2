#include "base/secret.hpp"

#include <type_traits>

#include <gtest/gtest.h>

namespace culvert {
namespace {

static_assert(!std::is_copy_constructible_v<SecretBytes>, "a secret is never copied by accident");

TEST(SecretBytes, MoveLeavesTheSourceEmpty) {
  SecretBytes a = SecretBytes::copy_of(Bytes{1, 2, 3});
  const SecretBytes b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): the moved-from state is what is tested
  EXPECT_TRUE(equal(b.view(), Bytes{1, 2, 3}));
}

TEST(SecretBytes, AssignmentWipesWhatWasThere) {
  SecretBytes a = SecretBytes::copy_of(Bytes{1, 2, 3});
  a = SecretBytes::copy_of(Bytes{9});
  EXPECT_EQ(a.size(), 1u);
}

TEST(Wipe, ZeroesInPlace) {
  Bytes data{1, 2, 3};
  wipe(data);
  EXPECT_EQ(data, (Bytes{0, 0, 0}));
}

TEST(ConstantTimeEqual, AgreesWithEqual) {
  EXPECT_TRUE(constant_time_equal(Bytes{1, 2}, Bytes{1, 2}));
  EXPECT_FALSE(constant_time_equal(Bytes{1, 2}, Bytes{1, 3}));
  EXPECT_FALSE(constant_time_equal(Bytes{1, 2}, Bytes{1, 2, 3}));
  EXPECT_TRUE(constant_time_equal({}, {}));
}

}  // namespace
}  // namespace culvert
