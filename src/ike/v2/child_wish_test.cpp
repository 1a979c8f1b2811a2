// Child SAs for what packets ask for, beside a connection's first (RFC 4301 4.4.1.2, RFC 7296 1.3.1 and 2.9).
#include "ike/v2/child_wish.hpp"

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

model::TrafficSelectors selectors(std::string_view text) { return {*model::TrafficSelector::parse(text)}; }

net::PacketInfo tcp(bool from_a, std::uint16_t source_port, std::uint16_t destination_port) {
  net::PacketInfo packet;
  packet.source = *net::IpAddress::parse(from_a ? "10.1.0.9" : "10.2.0.9");
  packet.destination = *net::IpAddress::parse(from_a ? "10.2.0.9" : "10.1.0.9");
  packet.protocol = 6;
  packet.ports_visible = true;
  packet.source_port = source_port;
  packet.destination_port = destination_port;
  return packet;
}

/// TCP to one port of the other side, as a rule that takes remote_port from the packet wants it.
ChildWish to_port(bool from_a, std::uint16_t port) {
  const std::string here = from_a ? "10.1.0.0/16[tcp]" : "10.2.0.0/16[tcp]";
  const std::string there = fmt::format("{}[tcp/{}]", from_a ? "10.2.0.0/16" : "10.1.0.0/16", port);
  return {selectors(here), selectors(there), tcp(from_a, 40000, port)};
}

void ask(Pair& pair, const ChildWish& wish, bool first = true) {
  pair.command(pair.host(first), CreateChildSa{kConnection, wish});
}

/// The pairs of both sides, each with its like on the other.
bool all_mirrored(Pair& pair) {
  if (pair.a.children.size() != pair.b.children.size()) return false;
  for (const auto& [id, one] : pair.a.children) {
    const auto like = [&](const auto& entry) { return mirrored(one.params, entry.second.params); };
    if (std::ranges::none_of(pair.b.children, like)) return false;
  }
  return true;
}

/// The host's pair with these remote selectors.
const model::ChildSaParams* pair_to(Host& host, const std::string& remote) {
  for (const auto& [id, child] : host.children) {
    if (model::to_string(child.params.remote) == remote) return &child.params;
  }
  return nullptr;
}

class ChildWishes : public ::testing::TestWithParam<bool> {
 protected:
  /// Up, begun by a; who wishes is the parameter.
  ChildWishes() { bring_up(pair); }
  bool actor() const { return GetParam(); }
  Host& us() { return pair.host(actor()); }
  std::string there(unsigned port) const {
    return fmt::format("{}[tcp/{}]", actor() ? "10.2.0.0/16" : "10.1.0.0/16", port);
  }
  Pair pair;
};

TEST_P(ChildWishes, EachGetsAPairOfItsOwnBesideTheFirst) {  // RFC 4301 4.4.1.2
  const model::ChildSaId first = us().child().id;
  ask(pair, to_port(actor(), 80), actor());
  ask(pair, to_port(actor(), 443), actor());
  pair.settle();
  EXPECT_EQ(us().children.size(), 3u);
  EXPECT_TRUE(all_mirrored(pair));
  EXPECT_TRUE(us().children.contains(first));
  ASSERT_NE(pair_to(us(), there(80)), nullptr) << "as narrow as it was wished, the packet's selector merged into it";
  EXPECT_EQ(model::to_string(pair_to(us(), there(80))->local), actor() ? "10.1.0.0/16[tcp]" : "10.2.0.0/16[tcp]");
  EXPECT_NE(pair_to(us(), there(443)), nullptr);
  EXPECT_TRUE(us().logged(fmt::format("[tcp/40000], {}[tcp] === 10.{}.0.9[tcp/80], ",
                                      actor() ? "10.1.0.0/16" : "10.2.0.0/16", actor() ? 2 : 1)))
      << "RFC 7296 2.9: the packet's own selectors come first";
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ChildWishes, TheSameWishIsAskedForOnce) {
  for (int n = 0; n < 5; ++n) ask(pair, to_port(actor(), 80), actor());
  pair.settle();
  ask(pair, to_port(actor(), 80), actor());
  pair.settle();
  EXPECT_EQ(us().children_made, 2u);
}

TEST_P(ChildWishes, ARekeyKeepsTheSelectors) {  // RFC 7296 2.9.2
  ask(pair, to_port(actor(), 80), actor());
  pair.settle();
  for (const bool by_actor : {true, false}) {
    Host& rekeyer = pair.host(by_actor == actor());
    const std::string remote = by_actor ? there(80) : (actor() ? "10.1.0.0/16[tcp]" : "10.2.0.0/16[tcp]");
    const model::ChildSaParams* old = pair_to(rekeyer, remote);
    ASSERT_NE(old, nullptr);
    const model::Spi spi = old->spi_inbound;
    pair.command(rekeyer, RekeyChildSa{old->id});
    pair.advance(seconds(10));
    ASSERT_EQ(us().children.size(), 2u);
    ASSERT_NE(pair_to(rekeyer, remote), nullptr) << "neither more nor less than before";
    EXPECT_NE(pair_to(rekeyer, remote)->spi_inbound, spi);
  }
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ChildWishes, TheyOutliveARekeyOfTheIkeSaAndDaysOfTheirOwn) {
  ask(pair, to_port(actor(), 80), actor());
  pair.settle();
  pair.command(us(), RekeyIkeSa{us().ike_sa().ike_sa});
  // Planned while the IKE SA goes over to its successor.
  ask(pair, to_port(actor(), 443), actor());
  pair.advance(hours(30));
  EXPECT_EQ(us().children.size(), 3u);
  EXPECT_TRUE(all_mirrored(pair));
  EXPECT_EQ(us().ike_sas.size(), 1u);
  EXPECT_TRUE(us().closed.size() > 5) << "the IKE SA was rekeyed over and over";
  EXPECT_NE(pair_to(us(), there(80)), nullptr);
  EXPECT_NE(pair_to(us(), there(443)), nullptr);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ChildWishes, OneOfThemEndsAndTheOthersStay) {
  ask(pair, to_port(actor(), 80), actor());
  ask(pair, to_port(actor(), 443), actor());
  pair.settle();
  pair.command(us(), DeleteChildSa{pair_to(us(), there(80))->id});
  pair.settle();
  EXPECT_EQ(us().children.size(), 2u);
  EXPECT_EQ(pair_to(us(), there(80)), nullptr);
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ChildWishes, LostAnswersCostNothingButTime) {
  SeededRandom chance(5);
  pair.fate = [&](const Datagram&) {
    return chance.below(3) == 0 ? std::vector<Duration>{} : std::vector{Pair::kLatency};
  };
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{80, 443, 22})
    ask(pair, to_port(actor(), port), actor());
  pair.advance(minutes(3));
  EXPECT_EQ(us().children.size(), 4u);
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ChildWishes, BothSidesWishTheSameAtOnceAndOnePairRemains) {
  ChildWish ours{selectors("10.1.0.0/16[tcp/22]"), selectors("10.2.0.0/16[tcp/80]"), tcp(true, 22, 80)};
  ChildWish theirs{selectors("10.2.0.0/16[tcp/80]"), selectors("10.1.0.0/16[tcp/22]"), tcp(false, 80, 22)};
  ask(pair, actor() ? ours : theirs, actor());
  ask(pair, actor() ? theirs : ours, !actor());
  pair.advance(seconds(20));
  EXPECT_EQ(us().children.size(), 2u);
  EXPECT_TRUE(all_mirrored(pair));
  EXPECT_TRUE(us().closed.empty());
}

TEST_P(ChildWishes, DifferentWishesOfBothSidesAreNoTwins) {
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{80, 81, 82}) {
    ask(pair, to_port(actor(), port), actor());
    ask(pair, to_port(!actor(), port), !actor());
  }
  pair.advance(seconds(20));
  EXPECT_EQ(us().children.size(), 7u);
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ChildWishes, ARefusalHarmsNobodyAndSaysWhatItWasFor) {
  // The peer has no TCP any more.
  auto config = config_of(!actor());
  config.local.front().protocol = config.remote.front().protocol = 17;
  pair.command(pair.host(!actor()), ConfigureConnection{config});
  ask(pair, to_port(actor(), 80), actor());
  pair.settle();
  EXPECT_EQ(us().children.size(), 1u);
  EXPECT_TRUE(all_mirrored(pair));
  ASSERT_EQ(us().failures.size(), 1u);
  const NegotiationFailed& failure = us().failures.front();
  EXPECT_TRUE(failure.child_only);
  EXPECT_EQ(failure.kind, FailureKind::traffic_selectors);
  EXPECT_EQ(failure.notify, model::NotifyType::ts_unacceptable);
  EXPECT_EQ(failure.detail.find("aes"), std::string::npos) << "it is not the suites: " << failure.detail;
  ASSERT_TRUE(failure.wish);
  EXPECT_TRUE(same_wish(*failure.wish, to_port(actor(), 80)));
  const std::size_t messages = pair.wire.size();
  pair.advance(seconds(20));
  EXPECT_EQ(pair.wire.size(), messages) << "IKE does not try again by itself";
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ChildWishes, APairThatLeavesThePacketOutIsOfNoUse) {  // RFC 7296 2.9
  // The peer has but one host that ours is not talking to.
  auto config = config_of(!actor());
  config.local = selectors(actor() ? "10.2.0.1" : "10.1.0.1");
  pair.command(pair.host(!actor()), ConfigureConnection{config});
  ask(pair, to_port(actor(), 80), actor());
  pair.advance(seconds(2));
  EXPECT_EQ(us().children.size(), 1u);
  EXPECT_TRUE(all_mirrored(pair)) << "the peer was told to forget it";
  ASSERT_EQ(us().failures.size(), 1u);
  EXPECT_EQ(us().failures.front().kind, FailureKind::traffic_selectors);
  EXPECT_NE(us().failures.front().detail.find("leaves out the packet"), std::string::npos)
      << us().failures.front().detail;
  EXPECT_TRUE(us().failures.front().wish);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(ChildWishes, ThereIsAMostOfThem) {  // RFC 7296 1.3
  const auto limit = static_cast<std::uint16_t>(us().settings.children_limit);
  for (std::uint16_t n = 0; n < limit + 20; ++n)
    ask(pair, to_port(actor(), static_cast<std::uint16_t>(1000 + n)), actor());
  pair.advance(seconds(60));
  EXPECT_EQ(us().children.size(), limit);
  EXPECT_TRUE(all_mirrored(pair));
  ASSERT_FALSE(us().failures.empty());
  EXPECT_EQ(us().failures.front().notify, model::NotifyType::no_additional_sas);
  // A full house can still be rekeyed.
  pair.advance(hours(3));
  EXPECT_EQ(us().children.size(), limit);
  EXPECT_TRUE(us().closed.empty());
  EXPECT_TRUE(all_mirrored(pair));
}

TEST_P(ChildWishes, ThePeersMostIsARefusal) {  // RFC 7296 1.3: NO_ADDITIONAL_SAS
  EndpointSettings few;
  few.children_limit = 2;
  Pair small(1, {});
  (actor() ? small.b : small.a).settings = few;
  small.a.restart();
  small.b.restart();
  bring_up(small);
  Host& who = small.host(actor());
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{80, 443, 22})
    ask(small, to_port(actor(), port), actor());
  small.advance(seconds(20));
  EXPECT_EQ(who.children.size(), 2u);
  ASSERT_EQ(who.failures.size(), 2u);
  EXPECT_EQ(who.failures[0].notify, model::NotifyType::no_additional_sas);
  EXPECT_TRUE(who.closed.empty());
  EXPECT_TRUE(no_leaks(small));
}

INSTANTIATE_TEST_SUITE_P(BothRoles, ChildWishes, ::testing::Bool());

TEST(ChildWishesFirst, TheFirstPairCanBeForAWish) {
  Pair pair;
  configure(pair);
  pair.command(pair.a, Initiate{.connection = kConnection, .path = path_from(true), .wish = to_port(true, 80)});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(model::to_string(pair.a.child().remote), "10.2.0.0/16[tcp/80]");
  // Another packet, with the selectors of the whole connection.
  ask(pair, {config_of(true).local, config_of(true).remote, tcp(true, 1, 2)});
  pair.settle();
  EXPECT_EQ(pair.a.children.size(), 2u);
  EXPECT_NE(pair_to(pair.a, "10.2.0.0/16"), nullptr);
  pair.advance(hours(5));
  EXPECT_NE(pair_to(pair.a, "10.2.0.0/16[tcp/80]"), nullptr);
  EXPECT_TRUE(all_mirrored(pair));
}

TEST(ChildWishesFirst, TwoSetUpsForDifferentPacketsLeaveOneIkeSaAndNoHalves) {  // RFC 7296 2.8
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Pair pair(seed);
    configure(pair);
    pair.command(pair.a, Initiate{.connection = kConnection, .path = path_from(true), .wish = to_port(true, 80)});
    pair.command(pair.b, Initiate{.connection = kConnection, .path = path_from(false), .wish = to_port(false, 443)});
    pair.advance(seconds(20));
    ASSERT_EQ(pair.a.ike_sas.size(), 1u) << seed;
    ASSERT_EQ(pair.b.ike_sas.size(), 1u) << seed;
    EXPECT_EQ(pair.a.children.size(), 1u) << "what the loser was for is asked for again" << seed;
    EXPECT_TRUE(all_mirrored(pair)) << seed;
    for (const bool first : {true, false}) ask(pair, to_port(first, first ? 80 : 443), first);
    pair.advance(seconds(5));
    EXPECT_EQ(pair.a.children.size(), 2u) << seed;
    EXPECT_TRUE(all_mirrored(pair)) << seed;
    EXPECT_TRUE(no_leaks(pair)) << seed;
  }
}

TEST(ChildWishesFirst, SelectorsOfIcmpAndFragmentsAreLeftOpen) {  // RFC 4301 4.4.1.3
  ChildWish wish{selectors("10.1.0.0/16"), selectors("10.2.0.0/16"), tcp(true, 7, 9)};
  wish.packet.ports_visible = false;
  EXPECT_EQ(model::to_string(selectors_to_offer(wish).first), "10.1.0.9[tcp], 10.1.0.0/16");
  wish.packet.protocol = 1;
  wish.packet.ports_visible = true;
  EXPECT_EQ(model::to_string(selectors_to_offer(wish).second), "10.2.0.9[icmp], 10.2.0.0/16");
}

}  // namespace
}  // namespace culvert::ike::v2
