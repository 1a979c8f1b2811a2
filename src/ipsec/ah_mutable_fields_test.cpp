#include "ipsec/ah_mutable_fields.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

Bytes ipv4(const Bytes& options) {
  Bytes header(20);
  for (std::size_t i = 0; i < header.size(); ++i) header[i] = static_cast<std::uint8_t>(0xa0 + i);
  header[0] = static_cast<std::uint8_t>(0x45 + options.size() / 4);
  header.insert(header.end(), options.begin(), options.end());
  return header;
}

Bytes ipv6(std::uint8_t next, const Bytes& extensions) {
  Bytes header(40);
  for (std::size_t i = 8; i < header.size(); ++i) header[i] = static_cast<std::uint8_t>(0xa0 + i);
  header[0] = 0x6b;
  header[1] = 0xcd;
  header[2] = 0xef;
  header[3] = 0x12;
  store_be16(header.data() + 4, static_cast<std::uint16_t>(extensions.size() + 24));
  header[6] = next;
  header[7] = 77;
  header.insert(header.end(), extensions.begin(), extensions.end());
  return header;
}

// RFC 4302 3.3.3.1.1.1.
TEST(AhMutableFields, Ipv4Header) {
  Bytes header = ipv4({});
  const Bytes before = header;
  ASSERT_EQ(zero_mutable_fields(header), 20U);
  for (std::size_t i = 0; i < 20; ++i) {
    const bool is_mutable = i == 1 || i == 6 || i == 7 || i == 8 || i == 10 || i == 11;
    EXPECT_EQ(header[i], is_mutable ? 0 : before[i]) << i;
  }
}

// RFC 4302 A1: every option type, in front of an immutable one.
TEST(AhMutableFields, Ipv4OptionsByTable) {
  for (unsigned type = 2; type < 256; ++type) {
    Bytes header = ipv4({static_cast<std::uint8_t>(type), 4, 9, 8, 148, 4, 0, 7});
    ASSERT_EQ(zero_mutable_fields(header), 28U);
    const bool immutable = type == 130 || type == 133 || type == 134 || type == 148 || type == 149;
    const Bytes expected = immutable ? Bytes{static_cast<std::uint8_t>(type), 4, 9, 8} : Bytes{0, 0, 0, 0};
    EXPECT_EQ(Bytes(header.begin() + 20, header.begin() + 24), expected) << type;
    EXPECT_EQ(Bytes(header.begin() + 24, header.end()), (Bytes{148, 4, 0, 7}));
  }
  // No operation stays; behind the end of the list everything does.
  Bytes ended = ipv4({1, 0, 7, 3});
  ASSERT_TRUE(zero_mutable_fields(ended).has_value());
  EXPECT_EQ(Bytes(ended.begin() + 20, ended.end()), (Bytes{1, 0, 7, 3}));
}

// RFC 4302 A1: an option that may change is zeroed as a whole, however many of its places routers have filled; what
// follows it is an option again.
TEST(AhMutableFields, TimestampsAreZeroedWhole) {
  const Bytes empty{68, 20, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 148, 4, 0, 7};
  const Bytes filled{68, 20, 21, 0x31, 10, 0, 0, 1, 5, 2, 133, 148, 10, 0, 0, 2, 1, 130, 2, 3, 148, 4, 0, 7};
  const Bytes expected = concat({Bytes(20), Bytes{148, 4, 0, 7}});
  for (const Bytes& options : {empty, filled}) {
    Bytes header = ipv4(options);
    ASSERT_EQ(zero_mutable_fields(header), 44U);
    EXPECT_EQ(Bytes(header.begin() + 20, header.end()), expected);
  }
}

// RFC 4302 3.3.3.1.1.1: with a source route the last destination counts.
TEST(AhMutableFields, SourceRouteIsPredicted) {
  Bytes leaving = ipv4({131, 11, 4, 10, 0, 0, 2, 10, 0, 0, 3, 0});
  Bytes arrived = ipv4({131, 11, 12, 10, 9, 9, 1, 10, 9, 9, 2, 0});
  std::copy_n(Bytes{10, 0, 0, 3}.begin(), 4, arrived.begin() + 16);
  ASSERT_TRUE(zero_mutable_fields(leaving).has_value());
  ASSERT_TRUE(zero_mutable_fields(arrived).has_value());
  EXPECT_EQ(to_hex(leaving), to_hex(arrived));
}

TEST(AhMutableFields, BadOptionsAreRefused) {
  for (const Bytes& options : {Bytes{7, 0, 0, 0}, Bytes{7, 1, 0, 0}, Bytes{7, 5, 0, 0}, Bytes{1, 1, 1, 7}}) {
    Bytes header = ipv4(options);
    EXPECT_FALSE(zero_mutable_fields(header).has_value()) << to_hex(options);
  }
  Bytes six = ipv6(0, {51, 0, 5, 5, 0, 0, 0, 0});
  EXPECT_FALSE(zero_mutable_fields(six).has_value());
}

// RFC 4302 3.3.3.1.2.1, 3.3.3.1.2.2.
TEST(AhMutableFields, Ipv6HeaderAndOptions) {
  // Pad1, an option that may change (bit 0x20), one that may not; then destination options likewise.
  Bytes header = ipv6(0, {60, 1, 0,    0x3e, 2, 7, 7, 0x1e, 3, 8, 8, 8, 1, 2, 5, 5,  //
                          51, 0, 0x21, 2,    6, 6, 0, 0});
  const Bytes before = header;
  ASSERT_EQ(zero_mutable_fields(header), header.size());
  Bytes expected = before;
  expected[0] = 0x60;
  expected[1] = expected[2] = expected[3] = expected[7] = 0;
  expected[45] = expected[46] = 0;
  expected[60] = expected[61] = 0;
  EXPECT_EQ(to_hex(header), to_hex(expected));
}

// RFC 4302 A2: a type 0 routing header is covered as it will arrive, from whichever hop on.
TEST(AhMutableFields, RoutingHeaderIsPredicted) {
  const auto at_hop = [](std::size_t hop) {
    // Addresses d, a, b, c are visited in this order; before hop n the destination is number n.
    const std::vector<Bytes> visits{Bytes(16, 0xd0), Bytes(16, 0xa0), Bytes(16, 0xb0), Bytes(16, 0xc0)};
    Bytes routing{51, 6, 0, static_cast<std::uint8_t>(3 - hop), 0, 0, 0, 0};
    for (std::size_t i = 0; i < 3; ++i) routing = concat({routing, visits[i < hop ? i : i + 1]});
    Bytes header = ipv6(43, routing);
    std::copy(visits[hop].begin(), visits[hop].end(), header.begin() + 24);
    EXPECT_TRUE(zero_mutable_fields(header).has_value());
    return header;
  };
  for (std::size_t hop = 0; hop < 3; ++hop) EXPECT_EQ(to_hex(at_hop(hop)), to_hex(at_hop(3))) << hop;

  Bytes unknown = ipv6(43, concat({Bytes{51, 2, 4, 1, 0, 0, 0, 0}, Bytes(16)}));
  EXPECT_FALSE(zero_mutable_fields(unknown).has_value());
  Bytes used_up = ipv6(43, concat({Bytes{51, 2, 4, 0, 0, 0, 0, 0}, Bytes(16)}));
  EXPECT_TRUE(zero_mutable_fields(used_up).has_value());
  Bytes too_many = ipv6(43, concat({Bytes{51, 2, 0, 2, 0, 0, 0, 0}, Bytes(16)}));
  EXPECT_FALSE(zero_mutable_fields(too_many).has_value());
}

// RFC 4302 A2: a fragment header left in place by reassembly does not count.
TEST(AhMutableFields, FragmentHeaderGoes) {
  const Bytes options{60, 0, 1, 4, 0, 0, 0, 0};
  const Bytes last{51, 0, 1, 4, 0, 0, 0, 0};
  Bytes with = ipv6(0, concat({Bytes{44, 0, 1, 4, 0, 0, 0, 0}, Bytes{60, 0, 0, 0, 1, 2, 3, 4}, last}));
  Bytes without = ipv6(0, concat({options, last}));
  ASSERT_EQ(zero_mutable_fields(with), with.size() - 8);
  ASSERT_EQ(zero_mutable_fields(without), without.size());
  with.resize(with.size() - 8);
  EXPECT_EQ(to_hex(with), to_hex(without));
}

TEST(AhMutableFields, AnyOctetsAreSafe) {
  SeededRandom random(5);
  for (int round = 0; round < 20000; ++round) {
    Bytes headers(20 + random.below(120));
    random.fill(headers);
    headers[0] = random.below(2) == 0 ? 0x60 : static_cast<std::uint8_t>(0x45 + random.below(11));
    if (headers.size() > 40 && headers[0] == 0x60) headers[6] = Bytes{0, 43, 44, 60}[random.below(4)];
    (void)zero_mutable_fields(headers);
  }
}

}  // namespace
}  // namespace culvert::ipsec
