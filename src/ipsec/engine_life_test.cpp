// The life of SAs in the engine: rekeys, pairs that wait, lifetimes, peers that move or fall silent.
#include <gtest/gtest.h>

#include "ipsec/engine.hpp"
#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using namespace std::chrono_literals;

// RFC 7296 2.8: after a rekey traffic moves to the new pair; the old one still receives for a while.
TEST(Engine, RekeyMovesTrafficAndOldPacketsStillArrive) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  const CollectingWire before = pair.alice_sends({udp_packet(pair.v4, as_bytes("old"))});
  pair.install(2);
  const CollectingWire after = pair.alice_sends({udp_packet(pair.v4, as_bytes("new"))});
  EXPECT_NE(load_be32(before.packets()[0].data()), load_be32(after.packets()[0].data()));
  pair.bob.remove(model::ChildSaId{1}, 5s, pair.now);
  EXPECT_EQ(pair.bob_receives(after.packets()).packets.size(), 1U);
  pair.now += 4s;
  CollectingWire none;
  pair.bob.handle_time(pair.now, none);
  EXPECT_EQ(pair.bob_receives(before.packets()).packets.size(), 1U);
  ASSERT_EQ(pair.bob.next_deadline(), pair.now + 1s);
  pair.now += 1s;
  pair.bob.handle_time(pair.now, none);
  EXPECT_EQ(pair.bob.take_released_spis().size(), 1U);
  EXPECT_FALSE(pair.bob.counters(model::ChildSaId{1}).has_value());
  EXPECT_TRUE(pair.bob_receives(before.packets()).packets.empty());
  EXPECT_EQ(drops(pair.bob, "spi_unknown"), 1U);
}

TEST(Engine, RemovedPairDoesNotSend) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  EXPECT_EQ(pair.alice_sends({udp_packet(pair.v4, {})}).packets().size(), 1U);
  pair.alice.remove(model::ChildSaId{1}, 10s, pair.now);
  pair.alice.remove(model::ChildSaId{99}, 10s, pair.now);
  EXPECT_EQ(pair.alice_sends({udp_packet(pair.v4, {})}).packets().size(), 0U);
  EXPECT_EQ(only<Acquire>(pair.events(pair.alice)).size(), 1U);
}

// RFC 7296 2.8: the responder of a rekey goes on with the old pair until it knows that the initiator has the new one.
TEST(Engine, HeldPairWaitsForCommandProofOrTheEndOfTheOld) {
  const auto spi_of_next = [](TwoEngines& pair) {
    return load_be32(pair.alice_sends({udp_packet(pair.v4, {})}).packets().at(0).data());
  };
  for (const std::string_view way : {"command", "proof", "end of the old"}) {
    TwoEngines pair;
    pair.set_policies();
    pair.install(1);
    auto [a, b] = pair.make_pair(2, {});
    a.hold_outbound = true;
    a.replaces = model::ChildSaId{1};
    const std::uint32_t new_spi = a.spi_outbound.value();
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now) && pair.bob.install(std::move(b), pair.now));
    EXPECT_NE(spi_of_next(pair), new_spi) << way;
    if (way == "command") {
      pair.alice.use_outbound(model::ChildSaId{2});
    } else if (way == "proof") {
      const CollectingWire wire = pair.sends(pair.bob, {udp_packet(pair.v4.reversed(), {})});
      EXPECT_EQ(pair.receives(pair.alice, pair.path, wire.packets()).packets.size(), 1U);
    } else {
      pair.alice.remove(model::ChildSaId{1}, 5s, pair.now);
    }
    EXPECT_EQ(spi_of_next(pair), new_spi) << way;
  }
}

TEST(Engine, LifetimesAreToldOnceAndHardOnesEndTheSa) {
  TwoEngines pair;
  pair.set_policies();
  auto [a, b] = pair.make_pair(1, {});
  a.soft.packets = 3;
  a.hard.packets = 5;
  b.soft.packets = 2;
  b.hard.packets = 4;
  ASSERT_TRUE(pair.alice.install(std::move(a), pair.now) && pair.bob.install(std::move(b), pair.now));
  std::vector<Bytes> sealed;
  for (int i = 0; i < 7; ++i) {
    for (Bytes& packet : pair.alice_sends({udp_packet(pair.v4, {})}).packets()) sealed.push_back(std::move(packet));
  }
  EXPECT_EQ(sealed.size(), 5U);
  const auto told = only<SaExpired>(pair.events(pair.alice));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_FALSE(told[0].hard);
  EXPECT_TRUE(told[1].hard);
  // The others ask for a new SA and wait.
  EXPECT_EQ(all_drops(pair.alice), 0U);

  EXPECT_EQ(pair.bob_receives(sealed).packets.size(), 4U);
  EXPECT_EQ(drops(pair.bob, "lifetime_over"), 1U);
  const auto told_by_bob = only<SaExpired>(pair.events(pair.bob));
  ASSERT_EQ(told_by_bob.size(), 2U);
  EXPECT_FALSE(told_by_bob[0].hard);
  EXPECT_TRUE(told_by_bob[1].hard);
}

// Hints may be lost when control does not listen; the end of an SA never.
TEST(Engine, ExpiryIsToldEvenAfterTheEventQueueWasFull) {
  TwoEngines pair;
  std::vector<Policy> policies;
  std::vector<Bytes> packets;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const std::uint8_t octets[] = {10, 2, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    Flow flow = pair.v4;
    flow.destination = net::IpAddress::from_bytes(octets).value();
    // Only the last rule's connection has an SA.
    policies.push_back({PolicyId{i},
                        PolicyAction::protect,
                        pair.alice_side,
                        {{net::AddressRange::of(flow.destination)}},
                        model::ConnectionId{i == 1999 ? 7U : 8U}});
    packets.push_back(udp_packet(flow, {}));
  }
  pair.alice.set_policies(std::move(policies));
  auto [a, b] = pair.make_pair(1, {});
  a.hard.packets = 1;
  ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
  EXPECT_EQ(pair.alice_sends(packets).packets().size(), 1U);
  const auto events = pair.events(pair.alice);
  EXPECT_LT(only<Acquire>(events).size(), 1999U);  // or the queue was never full
  const auto expired = only<SaExpired>(events);
  ASSERT_EQ(expired.size(), 1U);
  EXPECT_TRUE(expired[0].hard);
  EXPECT_TRUE(pair.events(pair.alice).empty());
}

// RFC 7296 2.23: only an authenticated packet, the newest, tells of a new address.
TEST(Engine, PeerMovedIsSeenAfterAuthenticationOnly) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  const std::vector<Bytes> sealed =
      pair.alice_sends({udp_packet(pair.v4, {}), udp_packet(pair.v4, {}), udp_packet(pair.v4, {})}).packets();
  const net::Path moved{pair.path.remote, {address("198.51.100.9"), 31337}};
  Bytes forged = sealed[2];
  forged.back() ^= 1;
  EXPECT_TRUE(pair.receives(pair.bob, moved, {forged}).packets.empty());
  EXPECT_EQ(pair.receives(pair.bob, {pair.path.remote, pair.path.local}, {sealed[1]}).packets.size(), 1U);
  EXPECT_EQ(pair.receives(pair.bob, moved, {sealed[0]}).packets.size(), 1U);  // late: an older packet tells nothing
  EXPECT_TRUE(only<PeerMovedSeen>(pair.events(pair.bob)).empty());
  EXPECT_EQ(pair.receives(pair.bob, moved, {sealed[2]}).packets.size(), 1U);
  const auto seen = only<PeerMovedSeen>(pair.events(pair.bob));
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].remote, moved.remote);

  pair.bob.update_path(model::ChildSaId{1}, moved, model::Encapsulation::udp);
  const CollectingWire wire = pair.sends(pair.bob, {udp_packet(pair.v4.reversed(), {})});
  ASSERT_EQ(wire.trains.size(), 1U);
  EXPECT_EQ(wire.trains[0].train.path, moved);
}

TEST(Engine, InboundActivityAtMostOnceASecond) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  std::size_t told = 0;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(pair.bob_receives(pair.alice_sends({udp_packet(pair.v4, {})}).packets()).packets.size(), 1U);
    told += only<InboundActivity>(pair.events(pair.bob)).size();
    pair.now += 100ms;
  }
  EXPECT_EQ(told, 5U);
}

TEST(Engine, TellsWhenNothingComesBack) {  // RFC 7296 2.4
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  const auto talk = [&](bool answers) {
    std::size_t told = 0;
    for (int i = 0; i < 14; ++i) {
      (void)pair.alice_sends({udp_packet(pair.v4, {})});
      if (answers) {
        const auto back = pair.sends(pair.bob, {udp_packet(pair.v4.reversed(), {})}).packets();
        EXPECT_EQ(pair.receives(pair.alice, pair.path, back).packets.size(), 1U);
      }
      told += only<NothingComesBack>(pair.events(pair.alice)).size();
      pair.now += 100ms;
    }
    return told;
  };
  EXPECT_EQ(talk(true), 0U);
  EXPECT_EQ(talk(false), 1U);
  EXPECT_EQ(talk(true), 0U);
}

// Of thousands of connections that wait for their SAs each gets its own at its time: the others' packets are not tried
// each time again. A try without success asks again, when the last question is a second old, and so can be counted.
TEST(Engine, AnSaTriesThosePacketsAloneThatWaitForItsConnection) {
  constexpr std::uint32_t kConnections = 8;
  TwoEngines pair;
  std::vector<Policy> rules;
  std::vector<Bytes> packets;
  for (std::uint32_t i = 0; i < kConnections; ++i) {
    Flow flow = pair.v4;
    flow.destination = net::IpAddress::v4({10, 2, 0, static_cast<std::uint8_t>(i)});
    packets.push_back(udp_packet(flow, Bytes{static_cast<std::uint8_t>(i)}));
    rules.push_back({PolicyId{i},
                     PolicyAction::protect,
                     pair.alice_side,
                     {model::TrafficSelector::of(net::AddressRange::of(flow.destination))},
                     model::ConnectionId{100 + i}});
  }
  pair.alice.set_policies(rules);
  EXPECT_TRUE(pair.alice_sends(packets).trains.empty());
  EXPECT_EQ(only<Acquire>(pair.events(pair.alice)).size(), kConnections);
  std::size_t asked = 0;
  for (std::uint32_t i = 0; i < kConnections; ++i) {
    pair.now += std::chrono::milliseconds(1100);
    auto [a, b] = pair.make_pair(i + 1, {});
    a.connection = model::ConnectionId{100 + i};
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    CollectingWire wire;
    pair.alice.handle_time(pair.now, wire);
    EXPECT_EQ(wire.packets().size(), 1U) << i;
    asked += only<Acquire>(pair.events(pair.alice)).size();
  }
  EXPECT_EQ(asked, 0U) << "tries of packets that wait for another SA";
  EXPECT_EQ(all_drops(pair.alice), 0U);
}

}  // namespace
}  // namespace culvert::ipsec
