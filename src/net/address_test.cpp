#include "net/address.hpp"

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  EXPECT_TRUE(address) << text;
  return address.value_or(IpAddress{});
}
AddressRange range(std::string_view text) {
  const auto result = AddressRange::parse(text);
  EXPECT_TRUE(result) << text;
  return result.value_or(AddressRange{});
}

TEST(IpAddress, TextRoundTrip) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:0:0:1",
                           "::ffff:192.0.2.1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    EXPECT_EQ(ip(text).to_string(), text);
  }
  EXPECT_EQ(ip("2001:DB8:0:0:0:0:0:1").to_string(), "2001:db8::1");
}

TEST(IpAddress, RefusesOtherText) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("1.2.3"), std::string_view("1.2.3.4.5"), std::string_view("1.2.3.256"),
        std::string_view("01.2.3.4"), std::string_view(" 1.2.3.4"), std::string_view("1.2.3.4 "),
        std::string_view("1.2.3.4/8"), std::string_view("[::1]"), std::string_view("fe80::1%eth0"),
        std::string_view(":::"), std::string_view("1::2::3"), std::string_view("1.2.3.4\0", 8),
        std::string_view("0x1.2.3.4"), std::string_view("12345::")}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string(1000, '1')));
}

TEST(IpAddress, BytesRoundTrip) {
  EXPECT_EQ(to_hex(ip("192.0.2.1").bytes()), "c0000201");
  EXPECT_EQ(to_hex(ip("2001:db8::1").bytes()), "20010db8000000000000000000000001");
  EXPECT_EQ(IpAddress::from_bytes(ip("192.0.2.1").bytes()), ip("192.0.2.1"));
  EXPECT_EQ(IpAddress::from_bytes(ip("2001:db8::1").bytes()), ip("2001:db8::1"));
  EXPECT_FALSE(IpAddress::from_bytes({}));
  const Bytes five(5);
  EXPECT_FALSE(IpAddress::from_bytes(five));
  EXPECT_EQ(IpAddress::v4({192, 0, 2, 1}), ip("192.0.2.1"));
  EXPECT_EQ(IpAddress::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}), ip("2001:db8::1"));
  EXPECT_EQ(IpAddress::any(Family::v6), ip("::"));
}

TEST(IpAddress, OrderIsFamilyThenNumber) {
  EXPECT_LT(ip("9.0.0.0"), ip("10.0.0.0"));
  EXPECT_LT(ip("255.255.255.255"), ip("::"));
  EXPECT_LT(ip("2001:db8::ffff"), ip("2001:db8::1:0"));
  EXPECT_NE(ip("0.0.0.0"), ip("::"));
}

TEST(IpAddress, Kinds) {
  EXPECT_TRUE(ip("127.3.2.1").is_loopback());
  EXPECT_TRUE(ip("::1").is_loopback());
  EXPECT_FALSE(ip("::2").is_loopback());
  EXPECT_FALSE(ip("1::1").is_loopback());
  EXPECT_TRUE(ip("224.0.0.1").is_multicast());
  EXPECT_TRUE(ip("239.255.255.255").is_multicast());
  EXPECT_FALSE(ip("240.0.0.0").is_multicast());
  EXPECT_FALSE(ip("223.255.255.255").is_multicast());
  EXPECT_TRUE(ip("ff02::1").is_multicast());
  EXPECT_FALSE(ip("fe80::1").is_multicast());
  EXPECT_TRUE(ip("::").is_unspecified());
  EXPECT_TRUE(ip("0.0.0.0").is_unspecified());
  EXPECT_FALSE(ip("0.0.0.1").is_unspecified());
}

TEST(IpAddress, NextAndPreviousCarryAndStopAtTheEnds) {
  EXPECT_EQ(ip("10.0.0.255").next(), ip("10.0.1.0"));
  EXPECT_EQ(ip("10.0.1.0").previous(), ip("10.0.0.255"));
  EXPECT_EQ(ip("2001:db8::ffff:ffff").next(), ip("2001:db8::1:0:0"));
  EXPECT_FALSE(ip("255.255.255.255").next());
  EXPECT_FALSE(ip("0.0.0.0").previous());
  EXPECT_FALSE(ip("::").previous());
  EXPECT_FALSE(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").next());
}

TEST(Prefix, ParseAndPrint) {
  EXPECT_EQ(Prefix::parse("10.0.0.0/8")->to_string(), "10.0.0.0/8");
  EXPECT_EQ(Prefix::parse("10.1.2.3")->to_string(), "10.1.2.3/32");
  EXPECT_EQ(Prefix::parse("::/0")->to_string(), "::/0");
  EXPECT_EQ(Prefix::parse("2001:db8::1")->length, 128);
  EXPECT_EQ(Prefix::parse("10.1.2.3/8", true)->to_string(), "10.0.0.0/8");
  for (const char* text : {"10.1.2.3/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1",
                           "10.0.0.0/8/8", "/8", "10.0.0.0/ 8", "10.0.0.0/99999999999999999999"}) {
    EXPECT_FALSE(Prefix::parse(text)) << text;
  }
  EXPECT_FALSE(Prefix::make(ip("10.0.0.0"), 33));
}

TEST(Prefix, ContainsAndEnds) {
  const Prefix p = *Prefix::parse("10.1.128.0/17");
  EXPECT_TRUE(p.contains(ip("10.1.128.0")));
  EXPECT_TRUE(p.contains(ip("10.1.255.255")));
  EXPECT_FALSE(p.contains(ip("10.1.127.255")));
  EXPECT_FALSE(p.contains(ip("10.2.128.0")));
  EXPECT_EQ(p.last(), ip("10.1.255.255"));
  EXPECT_FALSE(Prefix::parse("0.0.0.0/0")->contains(ip("::")));
  EXPECT_TRUE(Prefix::parse("::/0")->contains(ip("ff02::1")));
  EXPECT_EQ(Prefix::parse("2001:db8::/33")->last(), ip("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
}

TEST(AddressRange, ParseAndPrint) {
  EXPECT_EQ(range("10.0.0.0-10.0.0.255").to_string(), "10.0.0.0/24");
  EXPECT_EQ(range("10.0.0.1-10.0.0.255").to_string(), "10.0.0.1-10.0.0.255");
  EXPECT_EQ(range("10.0.0.1-10.0.0.1").to_string(), "10.0.0.1");
  EXPECT_EQ(range("2001:db8::/32").to_string(), "2001:db8::/32");
  EXPECT_EQ(AddressRange::all(Family::v4).to_string(), "0.0.0.0/0");
  EXPECT_EQ(AddressRange::all(Family::v6).to_string(), "::/0");
  for (const char* text : {"10.0.0.2-10.0.0.1", "10.0.0.1-::1", "10.0.0.1-", "-10.0.0.1", "10.0.0.0/8-11.0.0.0"}) {
    EXPECT_FALSE(AddressRange::parse(text)) << text;
  }
}

TEST(AddressRange, SetOperations) {
  const AddressRange a = range("10.0.0.10-10.0.0.20");
  EXPECT_EQ(a.intersection(range("10.0.0.15-10.0.0.30")), range("10.0.0.15-10.0.0.20"));
  EXPECT_EQ(a.intersection(range("10.0.0.20-10.0.0.30")), range("10.0.0.20"));
  EXPECT_FALSE(a.intersection(range("10.0.0.21-10.0.0.30")));
  EXPECT_FALSE(AddressRange::all(Family::v4).overlaps(AddressRange::all(Family::v6)));
  EXPECT_TRUE(a.contains(range("10.0.0.10-10.0.0.20")));
  EXPECT_FALSE(a.contains(range("10.0.0.9-10.0.0.20")));
  EXPECT_FALSE(a.contains(ip("::1")));
  EXPECT_FALSE(AddressRange::all(Family::v6).contains(ip("1.2.3.4")));
}

TEST(AddressRange, PrefixListCoversExactly) {
  const auto text = [](const AddressRange& r) {
    std::string out;
    for (const Prefix& p : r.prefixes()) out += p.to_string() + " ";
    return out;
  };
  EXPECT_EQ(text(range("10.0.0.1-10.0.0.6")), "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32 ");
  EXPECT_EQ(text(AddressRange::all(Family::v4)), "0.0.0.0/0 ");
  EXPECT_EQ(text(AddressRange::all(Family::v6)), "::/0 ");
  EXPECT_EQ(text(range("255.255.255.254-255.255.255.255")), "255.255.255.254/31 ");
  EXPECT_EQ(range("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").prefixes().size(), 254u);
  // The list is gapless and ends where the range does.
  const AddressRange odd = range("9.255.3.7-192.0.2.200");
  IpAddress expected = odd.first;
  for (const Prefix& p : odd.prefixes()) {
    EXPECT_EQ(p.first(), expected);
    EXPECT_EQ(Prefix::make(p.address, p.length), p);
    if (p.last() == odd.last) return;
    expected = *p.last().next();
  }
  FAIL() << "the list does not reach the last address";
}

TEST(Endpoint, ParseAndPrint) {
  EXPECT_EQ(Endpoint::parse("192.0.2.1:500")->to_string(), "192.0.2.1:500");
  EXPECT_EQ(Endpoint::parse("[2001:db8::1]:4500")->to_string(), "[2001:db8::1]:4500");
  EXPECT_EQ(Endpoint::parse("192.0.2.1:0")->port, 0);
  for (const char* text : {"192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "2001:db8::1:500", "[192.0.2.1]:500",
                           "[::1]500", "::1", "[::1:500", "192.0.2.1:0500", ":500"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

}  // namespace
}  // namespace culvert::net
