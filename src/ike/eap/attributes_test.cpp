#include "ike/eap/attributes.hpp"

#include <gtest/gtest.h>

namespace culvert::ike::eap {
namespace {

TEST(TtlsAttributes, WrittenAndRead) {  // RFC 5281 10.1, 10.2
  ByteWriter out;
  add_attribute(out, AttributeCode::user_name, as_bytes("carol"));
  add_attribute(out, MicrosoftCode::chap_challenge, Bytes(16, 7));
  EXPECT_EQ(to_hex(out.view()),
            "000000014000000d6361726f6c000000"
            "0000000bc000001c0000013707070707070707070707070707070707");
  const auto read = parse_attributes(out.view());
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 2u);
  EXPECT_TRUE(read->at(0).is(AttributeCode::user_name) && read->at(0).mandatory);
  EXPECT_TRUE(equal(read->at(0).data, as_bytes("carol")));
  EXPECT_TRUE(read->at(1).is(MicrosoftCode::chap_challenge));
  EXPECT_EQ(read->at(1).data.size(), 16u);
}

TEST(TtlsAttributes, WrongLengths) {  // CVE-2026-25075
  for (std::uint32_t length = 0; length < 40; ++length) {
    for (const unsigned flags : {0x40U, 0xc0U}) {
      ByteWriter out;
      out.u32(79);
      out.u32(flags << 24 | length);
      out.zeros(16);
      const auto read = parse_attributes(out.view());
      const std::size_t header = flags == 0x40 ? 8 : 12;
      EXPECT_EQ(read.has_value() && read->size() == 1, length > 20 && length <= 24) << length;
      if (read) {
        for (const Attribute& one : *read) EXPECT_LE(one.data.size(), 24 - header);
      }
    }
  }
  EXPECT_FALSE(parse_attributes(Bytes(7)));
  Bytes many;
  for (int n = 0; n < 65; ++n) many.insert(many.end(), {0, 0, 0, 1, 0, 0, 0, 8});
  EXPECT_FALSE(parse_attributes(many));
}

}  // namespace
}  // namespace culvert::ike::eap
