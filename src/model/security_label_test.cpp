#include "model/security_label.hpp"

#include <gtest/gtest.h>

namespace culvert::model {
namespace {

TEST(SecurityLabel, IsReadAndWritten) {
  const auto context = SecurityLabel::parse("system_u:object_r:ipsec_t:s0");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->octets.size(), 28u);
  EXPECT_EQ(context->to_string(), "system_u:object_r:ipsec_t:s0");
  const auto with_end = SecurityLabel::parse("0x610");
  EXPECT_FALSE(with_end);
  EXPECT_EQ(SecurityLabel::parse("0x6100")->octets, (Bytes{'a', 0}));
  EXPECT_EQ(SecurityLabel::parse("0x6100")->to_string(), "0x6100");
  EXPECT_NE(SecurityLabel::parse("0x6100"), SecurityLabel::parse("a")) << "the same octets or another label";
  // What would be read otherwise is written as digits.
  EXPECT_EQ((SecurityLabel{{'0', 'x', '1'}}.to_string()), "0x307831");
  EXPECT_EQ((SecurityLabel{{0x1b, '[', 'm'}}.to_string()), "0x1b5b6d");
  EXPECT_FALSE(SecurityLabel::parse(""));
  EXPECT_FALSE(SecurityLabel::parse("0x"));
  EXPECT_FALSE(SecurityLabel::parse(std::string(SecurityLabel::kLongest + 1, 'a')));
  EXPECT_TRUE(SecurityLabel::parse(std::string(SecurityLabel::kLongest, 'a')));
}

}  // namespace
}  // namespace culvert::model
