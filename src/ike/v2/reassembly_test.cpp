#include "ike/v2/reassembly.hpp"

#include <gtest/gtest.h>

namespace culvert::ike::v2 {
namespace {

using model::PayloadType;
using State = Reassembly::State;
using Verdict = Reassembly::Verdict;

SecretBytes part(std::size_t size, std::uint8_t value) { return SecretBytes::copy_of(Bytes(size, value)); }

State add(Reassembly& parts, std::uint16_t number, std::uint16_t total, std::size_t size = 1,
          PayloadType first = PayloadType::none) {
  const codec::SealedPayload sealed{
      .offset = codec::kHeaderSize, .first_inner = first, .fragment = codec::FragmentPlace{number, total}, .flags = 0};
  return parts.add(sealed, part(size, static_cast<std::uint8_t>(number)), 100 + size);
}

// RFC 7383 2.6: in any order, and only when all are there.
TEST(Reassembly, AnyOrderGivesTheMessage) {
  Reassembly parts;
  EXPECT_EQ(add(parts, 3, 3, 2), State::incomplete);
  EXPECT_EQ(add(parts, 1, 3, 5, PayloadType::id_i), State::incomplete);
  EXPECT_EQ(add(parts, 2, 3, 5), State::complete);
  EXPECT_EQ(to_bytes(parts.content().chain.view()), (Bytes{1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3}));
  EXPECT_EQ(parts.content().first, PayloadType::id_i);
  EXPECT_EQ(parts.largest(), 105U);
  EXPECT_EQ(parts.total(), 3);
}

TEST(Reassembly, OneFragmentIsAMessage) {
  Reassembly parts;
  EXPECT_EQ(add(parts, 1, 1, 4, PayloadType::notify), State::complete);
  EXPECT_EQ(parts.content().chain.size(), 4U);
}

TEST(Reassembly, RepeatedAndOutdatedAreTold) {  // RFC 7383 2.6
  Reassembly parts;
  EXPECT_EQ(parts.judge({1, 2}), Verdict::wanted);
  EXPECT_EQ(add(parts, 1, 3), State::incomplete);
  EXPECT_EQ(parts.judge({1, 3}), Verdict::repeated);
  EXPECT_EQ(parts.judge({2, 3}), Verdict::wanted);
  EXPECT_EQ(parts.judge({2, 2}), Verdict::outdated);
  EXPECT_EQ(parts.judge({1, 2}), Verdict::outdated);
  EXPECT_EQ(parts.judge({1, 4}), Verdict::wanted);
}

// RFC 7383 2.6: those of a larger total push all others out, the type of the first payload with them.
TEST(Reassembly, ALargerTotalStartsOver) {
  Reassembly parts;
  EXPECT_EQ(add(parts, 1, 2, 9, PayloadType::id_i), State::incomplete);
  EXPECT_EQ(add(parts, 2, 3, 4), State::incomplete);
  EXPECT_EQ(parts.content().first, PayloadType::none);
  EXPECT_EQ(add(parts, 3, 3, 4), State::incomplete);
  EXPECT_EQ(add(parts, 1, 3, 4, PayloadType::auth), State::complete);
  EXPECT_EQ(to_bytes(parts.content().chain.view()), (Bytes{1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}));
  EXPECT_EQ(parts.content().first, PayloadType::auth);
  EXPECT_EQ(parts.largest(), 104U);
}

// RFC 7383 5, CVE-2016-10396, CVE-2016-1287: a bound on their number and on all their octets together.
TEST(Reassembly, Bounds) {
  Reassembly parts;
  EXPECT_EQ(add(parts, 1, kMostFragments + 1), State::too_much);
  for (std::uint16_t number = 1; number < kMostFragments; ++number)
    ASSERT_EQ(add(parts, number, kMostFragments, 0), State::incomplete);
  EXPECT_EQ(add(parts, kMostFragments, kMostFragments, kMostReassembled), State::complete);
  EXPECT_EQ(parts.content().chain.size(), kMostReassembled);

  Reassembly large;
  EXPECT_EQ(add(large, 1, 3, kMostReassembled / 2), State::incomplete);
  EXPECT_EQ(add(large, 2, 3, kMostReassembled / 2), State::incomplete);
  EXPECT_EQ(add(large, 3, 3, 1), State::too_much);
  EXPECT_EQ(large.total(), 0) << "nothing is kept";
}

}  // namespace
}  // namespace culvert::ike::v2
