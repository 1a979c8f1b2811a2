#include "base/der.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

std::string read(std::string_view hex) {
  const Bytes octets = *from_hex(hex);
  DerReader reader(octets);
  std::string out;
  while (!reader.at_end()) {
    const auto element = reader.next();
    if (!element) return out + "bad";
    out += to_hex(Bytes{element->tag}) + ":" + to_hex(element->content) + " ";
  }
  return out;
}

TEST(Der, OnlyTheShortestFormIsRead) {
  EXPECT_EQ(read("0500020101"), "05: 02:01 ");
  EXPECT_EQ(read("0201"), "bad");  // cut short
  EXPECT_EQ(read("02"), "bad");
  EXPECT_EQ(read("30800000"), "bad");  // without a length
  EXPECT_EQ(read("04810101"), "bad");  // a length that fits one octet
  EXPECT_EQ(read("0482000101"), "bad");
  EXPECT_EQ(read("1f0101"), "bad");  // a tag of more than one octet
  EXPECT_EQ(read("048500000000010a"), "bad");
  EXPECT_EQ(read("0484ffffffff0a"), "bad");
}

TEST(Der, WhatIsWrittenIsReadAgain) {
  for (const std::size_t size : {0U, 1U, 127U, 128U, 255U, 256U, 70'000U}) {
    const Bytes content(size, 7);
    const Bytes written = der_element(der::kUtf8String, content);
    DerReader reader(written);
    const auto back = reader.next(der::kUtf8String);
    ASSERT_TRUE(back) << size;
    EXPECT_TRUE(equal(*back, content));
    EXPECT_TRUE(reader.at_end());
    EXPECT_FALSE(DerReader(written).next(der::kSet));
  }
}

}  // namespace
}  // namespace culvert
