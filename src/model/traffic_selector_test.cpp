#include "model/traffic_selector.hpp"

#include <gtest/gtest.h>

namespace culvert::model {
namespace {

TrafficSelector ts(std::string_view text) {
  const auto parsed = TrafficSelector::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(TrafficSelector{});
}

TEST(TrafficSelector, TextRoundTrips) {
  for (const auto* text :
       {"10.0.0.0/8", "10.0.0.1-10.0.0.9[tcp/80-90]", "2001:db8::/32[udp]", "0.0.0.0/0[icmp/8]", "0.0.0.0/0[icmp/3.4]",
        "192.0.2.1[gre]", "10.0.0.0/8[99]", "10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/443]"}) {
    EXPECT_EQ(ts(text).to_string(), text);
  }
}

TEST(TrafficSelector, RefusesWhatItCannotMean) {
  for (const auto* text :
       {"", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.0/8[tcp", "10.0.0.0/8[nosuch]", "10.0.0.0/8[tcp/90-80]",
        "10.0.0.0/8[tcp/70000]", "10.0.0.0/8[icmp/300]", "10.0.0.1-2001:db8::1", "10.0.0.0/8[tcp/]"}) {
    EXPECT_FALSE(TrafficSelector::parse(text)) << text;
  }
}

TEST(TrafficSelector, MatchesAddressProtocolAndPort) {
  const auto web = ts("10.0.0.0/8[tcp/80-90]");
  const auto inside = *net::IpAddress::parse("10.1.2.3");
  EXPECT_TRUE(web.matches(inside, 6, true, 80));
  EXPECT_FALSE(web.matches(inside, 6, true, 79));
  EXPECT_FALSE(web.matches(inside, 17, true, 80));
  EXPECT_FALSE(web.matches(*net::IpAddress::parse("11.0.0.1"), 6, true, 80));
  // RFC 4301 4.4.1.1: a packet whose ports cannot be seen matches ANY and OPAQUE, never a port range.
  EXPECT_FALSE(web.matches(inside, 6, false, 0));
  EXPECT_TRUE(ts("10.0.0.0/8[tcp]").matches(inside, 6, false, 0));
  EXPECT_TRUE(ts("10.0.0.0/8[tcp/opaque]").matches(inside, 6, false, 0));
  EXPECT_FALSE(ts("10.0.0.0/8[tcp/opaque]").matches(inside, 6, true, 80));
}

TEST(Narrow, GivesTheIntersection) {  // RFC 7296 2.9
  const TrafficSelectors policy = {ts("10.1.0.0/16"), ts("192.0.2.0/24[udp]")};
  EXPECT_EQ(to_string(narrow({ts("0.0.0.0/0")}, policy)), "10.1.0.0/16, 192.0.2.0/24[udp]");
  EXPECT_EQ(to_string(narrow({ts("10.1.2.0/24[tcp/80]")}, policy)), "10.1.2.0/24[tcp/80]");
  EXPECT_EQ(to_string(narrow({ts("192.0.0.0/16[udp/53]")}, policy)), "192.0.2.0/24[udp/53]");
  EXPECT_TRUE(narrow({ts("172.16.0.0/12")}, policy).empty());
  EXPECT_TRUE(narrow({ts("192.0.2.0/24[tcp]")}, policy).empty());
  EXPECT_TRUE(narrow({ts("::/0")}, policy).empty());
}

TEST(Narrow, DropsWhatAnotherCoversAndKeepsTheBound) {
  // An initiator first names the packet that triggered it, then the whole policy (RFC 7296 2.9).
  EXPECT_EQ(to_string(narrow({ts("10.1.2.3"), ts("10.1.0.0/16")}, {ts("10.0.0.0/8")})), "10.1.0.0/16");
  TrafficSelectors many;
  for (unsigned i = 0; i < 200; ++i) many.push_back(ts("10.1.0." + std::to_string(i)));
  EXPECT_EQ(narrow(many, {ts("10.0.0.0/8")}, 16).size(), 16u);
}

TEST(IsSubset, EachMustLieInOne) {
  EXPECT_TRUE(is_subset({ts("10.1.2.0/24[tcp/80]")}, {ts("10.1.0.0/16[tcp]")}));
  EXPECT_FALSE(is_subset({ts("10.1.2.0/24")}, {ts("10.1.0.0/16[tcp]")}));
  EXPECT_TRUE(is_subset({ts("10.1.0.0/16[tcp/opaque]")}, {ts("10.1.0.0/16[tcp]")}));
}

TEST(Protects, WhatASelectorIsAbout) {
  const auto address = [](const char* text) { return *net::IpAddress::parse(text); };
  const TrafficSelectors local = {ts("0.0.0.0/0"), ts("10.1.0.0/16[tcp]"), ts("2001:db8::/32")};
  EXPECT_TRUE(protects(local, address("10.1.2.3")));
  EXPECT_FALSE(protects(local, address("10.2.2.3"))) << "all addresses are no network of this end";
  EXPECT_TRUE(protects(local, address("2001:db8::1")));
  EXPECT_FALSE(protects({ts("::/0")}, address("2001:db8::1")));
}

}  // namespace
}  // namespace culvert::model
