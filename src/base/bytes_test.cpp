#include "base/bytes.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(ByteReader, ReadsBigEndianAndKnowsItsEnd) {
  const Bytes data = *from_hex("0102030405060708090a0b0c0d0e0f");
  ByteReader reader(data);
  EXPECT_EQ(reader.u8(), 0x01);
  EXPECT_EQ(reader.u16(), 0x0203);
  EXPECT_EQ(reader.u32(), 0x04050607u);
  EXPECT_EQ(reader.u64(), 0x08090a0b0c0d0e0fu);
  EXPECT_TRUE(reader.at_end());
}

TEST(ByteReader, AShortReadFailsForGood) {
  const Bytes data = {1, 2, 3};
  ByteReader reader(data);
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0) << "a failed reader must not go on with what was left";
  EXPECT_FALSE(reader.at_end());
}

TEST(ByteReader, SubReaderIsBoundedByItsSlice) {
  const Bytes data = {1, 2, 3, 4};
  ByteReader reader(data);
  ByteReader sub = reader.sub(2);
  EXPECT_EQ(sub.u16(), 0x0102);
  EXPECT_EQ(sub.u8(), 0);
  EXPECT_FALSE(sub.ok());
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.u16(), 0x0304);
  EXPECT_FALSE(reader.sub(1).ok());
}

TEST(ByteWriter, WritesBigEndianAndPatchesLengths) {
  ByteWriter writer;
  writer.u16(0);
  writer.u32(0x01020304);
  writer.zeros(1);
  writer.patch_u16(0, static_cast<std::uint16_t>(writer.size()));
  EXPECT_EQ(to_hex(writer.view()), "00070102030400");
}

TEST(Hex, RefusesOddAndForeignText) {
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("zz"));
  EXPECT_EQ(*from_hex("AbcD"), (Bytes{0xab, 0xcd}));
}

}  // namespace
}  // namespace culvert
