// Half-open IKE SAs by sender and by network (RFC 8019 4.2).
#include "ike/v2/half_open.hpp"

#include <gtest/gtest.h>

namespace culvert::ike::v2 {
namespace {

net::IpAddress at(std::string_view text) { return *net::IpAddress::parse(text); }

TEST(HalfOpenCounts, CountIpv4ByAddressAndBy24Bits) {
  HalfOpenCounts counts;
  counts.put(model::IkeSaId(1), at("192.0.2.1"));
  counts.put(model::IkeSaId(2), at("192.0.2.1"));
  counts.put(model::IkeSaId(3), at("192.0.2.200"));
  counts.put(model::IkeSaId(4), at("192.0.3.1"));
  EXPECT_EQ(counts.size(), 4u);
  EXPECT_EQ(counts.of_sender(at("192.0.2.1")), 2u);
  EXPECT_EQ(counts.of_sender(at("192.0.2.2")), 0u);
  EXPECT_EQ(counts.of_network(at("192.0.2.2")), 3u);
  EXPECT_EQ(counts.of_network(at("192.0.3.2")), 1u);
  EXPECT_EQ(counts.of_network(at("192.0.4.2")), 0u);
}

TEST(HalfOpenCounts, CountIpv6By64And56Bits) {
  HalfOpenCounts counts;
  counts.put(model::IkeSaId(1), at("2001:db8:0:1200::1"));
  counts.put(model::IkeSaId(2), at("2001:db8:0:1200:ffff::2"));
  counts.put(model::IkeSaId(3), at("2001:db8:0:12ff::1"));
  counts.put(model::IkeSaId(4), at("2001:db8:0:1300::1"));
  EXPECT_EQ(counts.of_sender(at("2001:db8:0:1200::77")), 2u);
  EXPECT_EQ(counts.of_network(at("2001:db8:0:1234::")), 3u);
  EXPECT_EQ(counts.of_network(at("2001:db8:0:1301::")), 1u);
}

TEST(HalfOpenCounts, WhatGoesOrMovesIsCountedNoMore) {
  HalfOpenCounts counts;
  counts.put(model::IkeSaId(1), at("192.0.2.1"));
  counts.put(model::IkeSaId(1), at("192.0.2.1"));
  EXPECT_EQ(counts.of_sender(at("192.0.2.1")), 1u);
  counts.put(model::IkeSaId(1), at("198.51.100.1"));
  EXPECT_EQ(counts.of_sender(at("192.0.2.1")), 0u);
  EXPECT_EQ(counts.of_network(at("198.51.100.9")), 1u);
  counts.remove(model::IkeSaId(1));
  counts.remove(model::IkeSaId(1));
  EXPECT_EQ(counts.size(), 0u);
  EXPECT_EQ(counts.of_network(at("198.51.100.9")), 0u);
}

}  // namespace
}  // namespace culvert::ike::v2
