#include "net/plain_shape.hpp"

#include <algorithm>
#include <type_traits>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "net/testing/plain_packets.hpp"

namespace culvert::net {
namespace {

using testing::packet;

template <typename T>
class Likeness : public ::testing::Test {
 public:
  static constexpr bool kOfOneFlow = std::is_same_v<T, PlainLikeness>;
};

using Likenesses = ::testing::Types<PlainShape, PlainLikeness>;
TYPED_TEST_SUITE(Likeness, Likenesses);

// What is like a plain packet is plain, and nothing that an outer header may ask for differs; nor, where that counts,
// anything that a selector may ask for.
TYPED_TEST(Likeness, FindsOnlyPacketsOfWhichTheSameIsTrue) {
  SeededRandom random(42);
  int alike = 0;
  for (int round = 0; round < 300'000; ++round) {
    const auto protocol = static_cast<std::uint8_t>(random.below(2) == 0 ? 6 : 17);
    const std::size_t size = kIpv4HeaderSize + (protocol == 6 ? 24 : 8) + random.below(12);
    Bytes first = packet(Family::v4, protocol, size - kIpv4HeaderSize);
    const std::size_t before = random.below(3);
    // What stands behind the packet says nothing.
    first.resize(std::max(size, TypeParam::kReads) + 4);
    if (random.below(2) == 0) first[33] = static_cast<std::uint8_t>(random.u64());
    Bytes second = first;
    for (std::size_t changes = before; changes > 0; --changes) {
      second[random.below(second.size())] ^= static_cast<std::uint8_t>(1U << random.below(8));
    }
    const std::size_t second_size = random.below(50) == 0 ? size - 1 : size;
    PlainPacket plain;
    ASSERT_TRUE(read_plain(ByteView(first).first(size), plain));
    TypeParam likeness;
    ASSERT_FALSE(likeness.of(ByteView(second).first(second_size)));
    likeness.set(ByteView(first).first(size), plain);
    if (second == first) {
      ASSERT_EQ(likeness.of(ByteView(second).first(second_size)), second_size == size);
    }
    // Who compares all at once comes to the same.
    const auto bits = TypeParam::bits(protocol == 6).octets;
    bool unlike = second_size != size;
    for (std::size_t i = 0; i < bits.size(); ++i) {
      unlike |= bits[i] != 0 && ((first.at(i) ^ second.at(i)) & bits[i]) != 0;
    }
    ASSERT_EQ(likeness.of(ByteView(second).first(second_size)), !unlike);
    if (!likeness.of(ByteView(second).first(second_size))) continue;
    ++alike;
    PlainPacket other;
    ASSERT_TRUE(read_plain(ByteView(second).first(second_size), other)) << to_hex(first) << '\n' << to_hex(second);
    ASSERT_EQ(other.total_length, plain.total_length);
    ASSERT_EQ(other.outer, plain.outer);
    ASSERT_EQ(other.protocol, plain.protocol);
    ASSERT_EQ(other.syn, plain.syn);
    if (TestFixture::kOfOneFlow) {
      ASSERT_TRUE(std::equal(first.begin() + 12, first.begin() + 24, second.begin() + 12));
    }
  }
  EXPECT_GT(alike, 100'000);
}

TYPED_TEST(Likeness, DiffersInNothingButNumbersAndText) {
  const Bytes first = packet(Family::v4, 6, 40);
  PlainPacket plain;
  ASSERT_TRUE(read_plain(first, plain));
  TypeParam likeness;
  likeness.set(first, plain);
  Bytes second = first;
  second[4] ^= 1;    // identification
  second[8] ^= 1;    // TTL
  second[11] ^= 1;   // checksum
  second[27] ^= 1;   // TCP's sequence number
  second[33] ^= 8;   // PSH
  second[45] ^= 99;  // payload
  EXPECT_TRUE(likeness.of(second));
  for (const std::size_t of_the_flow : {15U, 19U, 21U, 23U}) {  // source, destination, their ports
    Bytes third = second;
    third[of_the_flow] ^= 1;
    EXPECT_EQ(likeness.of(third), !TestFixture::kOfOneFlow) << of_the_flow;
  }
  second[33] ^= 2;  // SYN
  EXPECT_FALSE(likeness.of(second));
  likeness.clear();
  EXPECT_FALSE(likeness.of(first));
}

}  // namespace
}  // namespace culvert::net
