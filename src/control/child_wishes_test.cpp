#include "control/child_wishes.hpp"

#include <gtest/gtest.h>

namespace culvert::control {
namespace {

using std::chrono::seconds;

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

model::TrafficSelector tcp(const char* prefix, std::uint16_t first = 0, std::uint16_t last = 65535) {
  model::TrafficSelector selector = model::TrafficSelector::of(*net::Prefix::parse(prefix));
  selector.protocol = 6;
  selector.start_port = first;
  selector.end_port = last;
  return selector;
}

/// A packet from 10.1.0.1 to a port of `remote`, whose SA is to carry that port only.
ipsec::Acquire acquire(std::uint16_t port, const char* remote = "10.2.0.1") {
  ipsec::Acquire made;
  made.local = {tcp("10.1.0.0/16")};
  made.remote = {tcp("10.2.0.0/16", port, port)};
  made.packet.family = net::Family::v4;
  made.packet.source = ip("10.1.0.1");
  made.packet.destination = ip(remote);
  made.packet.protocol = 6;
  made.packet.ports_visible = true;
  made.packet.source_port = 40000;
  made.packet.destination_port = port;
  return made;
}

model::ConnectionConfig tunnel() {
  model::ConnectionConfig config;
  config.local = {model::TrafficSelector::of(*net::Prefix::parse("10.1.0.0/16"))};
  config.remote = {model::TrafficSelector::of(*net::Prefix::parse("10.2.0.0/24"))};
  return config;
}

class ChildWishesTest : public ::testing::Test {
 protected:
  ike::ChildWish wish(std::uint16_t port, const char* remote = "10.2.0.1") const {
    return *wish_of(acquire(port, remote), tunnel());
  }
  std::vector<std::uint16_t> due(Instant at) const {
    std::vector<std::uint16_t> ports;
    for (const ike::ChildWish& one : wishes.due(at)) ports.push_back(one.packet.destination_port);
    return ports;
  }
  using Ports = std::vector<std::uint16_t>;

  Instant now{std::chrono::hours(1)};
  ChildWishes wishes;
};

TEST_F(ChildWishesTest, AWishIsWhatTheRuleSaysWithinWhatTheTunnelHas) {
  const ike::ChildWish made = wish(80);
  EXPECT_EQ(made.remote, (model::TrafficSelectors{tcp("10.2.0.0/24", 80, 80)}));
  EXPECT_FALSE(wish_of(acquire(80, "10.2.7.1"), tunnel())) << "the packet is outside the tunnel";
  EXPECT_TRUE(fulfils({tcp("10.1.0.0/16")}, {tcp("10.2.0.0/24", 80, 80)}, made));
  EXPECT_TRUE(fulfils({tcp("10.1.0.1/32")}, {tcp("10.2.0.1/32", 80, 80)}, made)) << "narrower, and carries the packet";
  EXPECT_FALSE(fulfils({tcp("10.1.0.0/16")}, {tcp("10.2.0.0/24")}, made)) << "carries more than it may";
  EXPECT_FALSE(fulfils({tcp("10.1.0.0/16")}, {tcp("10.2.0.2/32", 80, 80)}, made)) << "not this packet";
}

TEST_F(ChildWishesTest, EachIsKnownOnceAndOnlyWhileItsPacketsWait) {
  wishes.note(wish(80), now);
  wishes.note(wish(443), now);
  wishes.note(wish(80), now + seconds(1));
  EXPECT_EQ(due(now + seconds(1)), (Ports{80, 443}));
  EXPECT_EQ(due(now + seconds(10)), (Ports{80}));
  EXPECT_EQ(due(now + seconds(11)), Ports{});
}

TEST_F(ChildWishesTest, ARefusedOneRestsEverLongerAndTheOthersDoNot) {
  const ike::ChildWish refused = wish(80);
  Instant at = now;
  Duration before{};
  for (const int rest : {2, 4, 8, 16, 32, 60, 60}) {
    wishes.note(refused, at);
    wishes.note(wish(443), at);
    EXPECT_EQ(due(at), (Ports{80, 443})) << rest;
    EXPECT_EQ(wishes.refuse(refused, false, at), seconds(rest));
    wishes.note(refused, at + seconds(rest) - seconds(1));
    wishes.note(wish(443), at + seconds(rest) - seconds(1));
    EXPECT_EQ(due(at + seconds(rest) - seconds(1)), (Ports{443})) << rest;
    at += seconds(rest);
    EXPECT_GE(seconds(rest), before);
    before = seconds(rest);
  }
}

TEST_F(ChildWishesTest, ARefusalOfAllRestsAllUntilOneComesAbout) {
  wishes.note(wish(80), now);
  wishes.note(wish(443), now);
  EXPECT_EQ(wishes.refuse(wish(80), true, now), seconds(2));
  EXPECT_EQ(due(now + seconds(1)), Ports{});
  EXPECT_EQ(due(now + seconds(2)), (Ports{80, 443}));
  EXPECT_EQ(wishes.refuse(wish(443), true, now + seconds(2)), seconds(4));
  EXPECT_EQ(due(now + seconds(3)), Ports{});
  wishes.fulfil({tcp("10.1.0.0/16")}, {tcp("10.2.0.0/24", 443, 443)});
  EXPECT_EQ(due(now + seconds(3)), (Ports{80}));
  EXPECT_EQ(wishes.refuse(wish(80), true, now + seconds(3)), seconds(2)) << "from the beginning";
}

TEST_F(ChildWishesTest, TheyAreBoundedAndRefusedOnesMakeRoom) {
  for (std::uint16_t port = 1; port <= ChildWishes::kMost; ++port) wishes.note(wish(port), now);
  wishes.note(wish(1000), now);
  EXPECT_EQ(wishes.size(), ChildWishes::kMost);
  EXPECT_EQ(due(now).back(), ChildWishes::kMost) << "the last is not there; its packet asks again";
  (void)wishes.refuse(wish(7), false, now);
  wishes.note(wish(1000), now);
  EXPECT_EQ(wishes.size(), ChildWishes::kMost);
  EXPECT_EQ(due(now).back(), 1000);
}

}  // namespace
}  // namespace culvert::control
