#include "net/checksum.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "net/checksum_sums.hpp"

namespace culvert::net {
namespace {

/// The definition, word by word.
std::uint16_t plain_checksum(ByteView bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

TEST(Checksum, Rfc1071Example) {
  // RFC 1071 3: the sum of 0001 f203 f4f5 f6f7 is ddf2.
  const Bytes data = *from_hex("0001f203f4f5f6f7");
  EXPECT_EQ(checksum_finish(checksum_add(0, data)), static_cast<std::uint16_t>(~0xddf2));
}

TEST(Checksum, AgreesWithTheDefinitionAtEverySizeAndOffset) {
  SeededRandom random(1);
  Bytes data(400);
  random.fill(data);
  for (std::size_t offset = 0; offset < 9; ++offset) {
    for (std::size_t size = 0; size < 380; ++size) {
      const ByteView view = ByteView(data).subspan(offset, size);
      ASSERT_EQ(checksum_finish(checksum_add(0, view)), plain_checksum(view)) << offset << " " << size;
    }
  }
}

// All ways to sum, also those that this CPU would not choose.
TEST(Checksum, EveryWayAgreesAndCopiesNothingElse) {
  SeededRandom random(3);
  Bytes data(ChecksumSums::kMost + 8);
  random.fill(data);
  std::vector<std::size_t> sizes{4096, 4097, 65000, ChecksumSums::kMost - 1, ChecksumSums::kMost};
  for (std::size_t size = 0; size < 400; ++size) sizes.push_back(size);
  for (const bool ones : {false, true}) {
    if (ones) data.assign(data.size(), 0xff);
    for (const ChecksumSums& way : checksum_sums()) {
      for (const std::size_t size : sizes) {
        const ByteView view = ByteView(data).subspan(size % 8, size);
        const std::uint16_t sum = checksum_finish(way.sum(view.data(), size));
        ASSERT_EQ(sum, __builtin_bswap16(plain_checksum(view))) << way.name << " " << size;
        Bytes out(size + 2, 0xee);
        EXPECT_EQ(checksum_finish(way.copy(view.data(), size, out.data() + 1)), sum) << way.name << " " << size;
        ASSERT_TRUE(std::ranges::equal(ByteView(out).subspan(1, size), view)) << way.name << " " << size;
        ASSERT_TRUE(out.front() == 0xee && out.back() == 0xee) << way.name << " " << size;
        for (const std::size_t distance : {1UL, 36UL, 88UL}) {
          Bytes moved(size + distance);
          std::ranges::copy(view, moved.begin() + static_cast<std::ptrdiff_t>(distance));
          EXPECT_EQ(checksum_finish(way.copy(moved.data() + distance, size, moved.data())), sum) << way.name << size;
          ASSERT_TRUE(std::ranges::equal(ByteView(moved).first(size), view)) << way.name << size << " by " << distance;
        }
      }
    }
  }
}

TEST(Checksum, CopyIsAddAndCopy) {
  SeededRandom random(4);
  Bytes data(150'000);
  random.fill(data);
  for (const std::size_t size : {0UL, 1UL, 63UL, 64UL, 1348UL, 65535UL, 65537UL, 150'000UL}) {
    Bytes out(size);
    const ByteView view = ByteView(data).first(size);
    EXPECT_EQ(checksum_finish(checksum_copy(77, view, out.data())), checksum_finish(checksum_add(77, view))) << size;
    EXPECT_EQ(out, to_bytes(view));
  }
}

TEST(Checksum, CarriesOfAllOnesAreNotLost) {
  const Bytes ones(65535, 0xff);
  EXPECT_EQ(checksum_finish(checksum_add(0, ones)), plain_checksum(ones));
  const Bytes even(65534, 0xff);
  EXPECT_EQ(checksum_finish(checksum_add(0, even)), 0);
  const Bytes zeros(64, 0);
  EXPECT_EQ(checksum_finish(checksum_add(0, zeros)), 0xffff);
}

TEST(Checksum, PartsAddUp) {
  SeededRandom random(2);
  Bytes data(101);
  random.fill(data);
  const ByteView view(data);
  const std::uint64_t sum = checksum_add(checksum_add(0, view.first(34)), view.subspan(34));
  EXPECT_EQ(checksum_finish(sum), plain_checksum(view));
}

TEST(Checksum, Ipv4Header) {
  Bytes header = *from_hex(
      "45000073000040004011"
      "0000"
      "c0a80001c0a800c7");
  EXPECT_EQ(ipv4_header_checksum(header), 0xb861);
  store_be16(header.data() + 10, 0xb861);
  EXPECT_EQ(ipv4_header_checksum(header), 0);
}

TEST(Checksum, PseudoHeaders) {
  const IpAddress a = *IpAddress::parse("192.0.2.1");
  const IpAddress b = *IpAddress::parse("198.51.100.7");
  EXPECT_EQ(checksum_finish(pseudo_header_sum(a, b, 17, 20)), plain_checksum(*from_hex("c0000201c633640700110014")));
  const IpAddress c = *IpAddress::parse("2001:db8::1");
  const IpAddress d = *IpAddress::parse("2001:db8::2");
  EXPECT_EQ(checksum_finish(pseudo_header_sum(c, d, 6, 0x12345)),
            plain_checksum(concat({c.bytes(), d.bytes(), *from_hex("0001234500000006")})));
}

}  // namespace
}  // namespace culvert::net
