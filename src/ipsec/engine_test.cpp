#include "ipsec/engine.hpp"

#include <gtest/gtest.h>

#include "ipsec/ecn.hpp"
#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using namespace std::chrono_literals;

TEST(Engine, PacketGoesThroughAndComesOut) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  const Bytes packet = udp_packet(pair.v4, as_bytes("hello"));
  const CollectingWire wire = pair.alice_sends({packet});
  ASSERT_EQ(wire.trains.size(), 1U);
  const WireTrain& train = wire.trains[0].train;
  EXPECT_EQ(train.path, pair.path);
  EXPECT_EQ(train.encapsulation, model::Encapsulation::udp);
  EXPECT_EQ(train.segment_size, wire.trains[0].bytes.size());
  const CollectingInner inner = pair.bob_receives(wire.packets());
  ASSERT_EQ(inner.packets.size(), 1U);
  EXPECT_EQ(inner.packets[0], packet);
  EXPECT_EQ(all_drops(pair.alice) + all_drops(pair.bob), 0U);

  const auto sent = pair.alice.counters(model::ChildSaId{1});
  const auto received = pair.bob.counters(model::ChildSaId{1});
  ASSERT_TRUE(sent && received);
  EXPECT_EQ(sent->outbound_packets, 1U);
  EXPECT_EQ(sent->outbound_bytes, packet.size());
  EXPECT_EQ(sent->outbound_sequence, 1U);
  EXPECT_EQ(received->inbound_packets, 1U);
  EXPECT_EQ(received->inbound_bytes, packet.size());
}

// Of several engines one has the SAs; the others hand their packets over, flow by flow in order, and wait only where
// nobody has an SA.
TEST(Engine, PacketsOfAConnectionWithAHomeElsewhereAreHandedOver) {
  TwoEngines pair;
  pair.set_policies();
  const Bytes waits = udp_packet(pair.v4, as_bytes("before"));
  EXPECT_TRUE(pair.alice_sends({waits}).packets().empty());
  ASSERT_EQ(only<Acquire>(pair.events(pair.alice)).size(), 1U);

  pair.alice.set_home(TwoEngines::kConnection, SaHome{3});
  CollectingWire freed;
  pair.alice.handle_time(pair.now, freed);
  ASSERT_EQ(freed.handed_over.size(), 1U) << "what waited goes there, too";
  EXPECT_EQ(freed.handed_over[0], (std::pair<std::uint32_t, Bytes>{3, waits}));

  std::vector<Bytes> packets;
  for (char c = 'a'; c < 'k'; ++c) packets.push_back(udp_packet(pair.v4, Bytes(10, static_cast<std::uint8_t>(c))));
  for (int round = 0; round < 2; ++round) {  // the second round by the flow cache
    const CollectingWire wire = pair.alice_sends(packets);
    EXPECT_TRUE(wire.trains.empty());
    ASSERT_EQ(wire.handed_over.size(), packets.size());
    for (std::size_t i = 0; i < packets.size(); ++i) EXPECT_EQ(wire.handed_over[i].second, packets[i]);
  }
  EXPECT_FALSE(pair.alice.poll_event()) << "nobody asked for an SA of its own";

  pair.install(1);
  EXPECT_EQ(pair.alice_sends(packets).packets().size(), packets.size()) << "an SA here comes first";
  pair.alice.remove(model::ChildSaId{1}, 0s, pair.now);
  EXPECT_EQ(pair.alice_sends(packets).handed_over.size(), packets.size());
  pair.alice.set_home(TwoEngines::kConnection, std::nullopt);
  const CollectingWire nowhere = pair.alice_sends({waits});
  EXPECT_TRUE(nowhere.handed_over.empty() && nowhere.trains.empty());
  EXPECT_EQ(all_drops(pair.alice), 0U);
}

// RFC 7296 2.8: a pair whose peer may not be ready is no reason to leave the one in use, wherever that is.
TEST(Engine, AHeldPairHereDoesNotTakeOverFromTheHome) {
  TwoEngines pair;
  pair.set_policies();
  pair.alice.set_home(TwoEngines::kConnection, SaHome{3, true});
  auto [a, b] = pair.make_pair(1, {});
  a.hold_outbound = true;
  ASSERT_TRUE(pair.alice.install(std::move(a), pair.now));
  ASSERT_TRUE(pair.bob.install(std::move(b), pair.now));
  const Bytes packet = udp_packet(pair.v4, {});
  EXPECT_EQ(pair.alice_sends({packet}).handed_over.size(), 1U);
  EXPECT_TRUE(only<Acquire>(pair.events(pair.alice)).empty()) << "it is on its way";
  EXPECT_FALSE(pair.alice.take_hold_ended());
  const CollectingWire from_bob = pair.sends(pair.bob, {udp_packet({pair.v4.destination, pair.v4.source}, {})});
  ASSERT_EQ(from_bob.packets().size(), 1U);
  (void)pair.receives(pair.alice, pair.path, from_bob.packets());
  EXPECT_TRUE(pair.alice.take_hold_ended());
  EXPECT_FALSE(pair.alice.take_hold_ended());
  const CollectingWire own = pair.alice_sends({packet});
  EXPECT_TRUE(own.handed_over.empty());
  EXPECT_EQ(own.packets().size(), 1U);
}

// RFC 9611 3: asked for once, with the engine's number; the packets go on over the SA for all.
TEST(Engine, AnEngineAsksForAnSaOfItsOwnWherePeersTakeThem) {
  Engine::Options options;
  options.worker = 2;
  TwoEngines pair(options);
  pair.set_policies();
  pair.alice.set_home(TwoEngines::kConnection, SaHome{0, true});
  const Bytes packet = udp_packet(pair.v4, {});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pair.alice_sends({packet}).handed_over.size(), 1U);
  const auto wanted = only<Acquire>(pair.events(pair.alice));
  ASSERT_EQ(wanted.size(), 1U);
  EXPECT_EQ(wanted[0].resource, 2U);
  EXPECT_EQ(wanted[0].connection, TwoEngines::kConnection);
}

// RFC 4301 5.1: what no rule matches is discarded; RFC 4301 4.4.1: the first rule that matches decides.
TEST(Engine, RulesDecideInOrder) {
  TwoEngines pair;
  pair.alice.set_policies({
      {PolicyId{1}, PolicyAction::discard, pair.alice_side, {selector("10.2.0.0/16[udp/2000]")}, {}},
      {PolicyId{2}, PolicyAction::bypass, pair.alice_side, {selector("10.2.9.0/24")}, {}},
      {PolicyId{3}, PolicyAction::protect, pair.alice_side, pair.bob_side, TwoEngines::kConnection},
  });
  pair.install(1);
  Flow dns = pair.v4;
  dns.destination_port = 53;
  Flow aside = dns;
  aside.destination = address("10.2.9.1");
  Flow nowhere = dns;
  nowhere.destination = address("10.3.0.1");
  for (int round = 0; round < 2; ++round) {  // the second round takes its verdicts from the flow cache
    const CollectingWire wire = pair.alice_sends(
        {udp_packet(pair.v4, {}), udp_packet(dns, {}), udp_packet(aside, {}), udp_packet(nowhere, {})});
    EXPECT_EQ(wire.packets().size(), 1U);
  }
  EXPECT_EQ(drops(pair.alice, "discard_rule"), 2U);
  EXPECT_EQ(drops(pair.alice, "bypass_unavailable"), 2U);
  EXPECT_EQ(drops(pair.alice, "no_rule"), 2U);
}

TEST(Engine, BypassLeavesInClearWhereTheDatapathHasAWay) {
  TwoEngines pair;
  pair.alice.set_policies({{PolicyId{2}, PolicyAction::bypass, pair.alice_side, pair.bob_side, {}}});
  InnerBuffer buffer(udp_packet(pair.v4, as_bytes("clear")));
  const InnerPacket view = buffer.view();
  CollectingWire wire;
  wire.bypass_allowed = true;
  pair.alice.outbound({&view, 1}, pair.now, wire);
  EXPECT_EQ(wire.bypassed.size(), 1U);
  EXPECT_TRUE(wire.trains.empty());
  EXPECT_EQ(all_drops(pair.alice), 0U);
}

TEST(Engine, NewPoliciesTakeEffectAtOnceDespiteTheFlowCache) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  EXPECT_EQ(pair.alice_sends({udp_packet(pair.v4, {})}).packets().size(), 1U);
  pair.alice.set_policies({{PolicyId{1}, PolicyAction::discard, pair.alice_side, pair.bob_side, {}}});
  EXPECT_EQ(pair.alice_sends({udp_packet(pair.v4, {})}).packets().size(), 0U);
  EXPECT_EQ(drops(pair.alice, "discard_rule"), 1U);
}

// RFC 4301 5.1: the first packets ask for an SA; here they also wait for it.
TEST(Engine, FirstPacketsWaitForTheSa) {
  TwoEngines pair;
  pair.set_policies();
  std::vector<Bytes> packets;
  for (std::uint8_t i = 0; i < 5; ++i) packets.push_back(udp_packet(pair.v4, Bytes{i}));
  EXPECT_TRUE(pair.alice_sends(packets).trains.empty());
  const auto acquires = only<Acquire>(pair.events(pair.alice));
  ASSERT_EQ(acquires.size(), 1U);
  EXPECT_EQ(acquires[0].policy, TwoEngines::kPolicy);
  EXPECT_EQ(acquires[0].connection, TwoEngines::kConnection);
  EXPECT_EQ(acquires[0].packet.destination, pair.v4.destination);

  pair.install(1);
  ASSERT_TRUE(pair.alice.next_deadline().has_value());
  EXPECT_LE(*pair.alice.next_deadline(), pair.now);
  CollectingWire wire;
  pair.alice.handle_time(pair.now, wire);
  EXPECT_EQ(pair.bob_receives(wire.packets()).packets, packets);
  EXPECT_FALSE(pair.alice.next_deadline().has_value());
  EXPECT_EQ(all_drops(pair.alice), 0U);
}

// RFC 4301 4.4.1.2: the SA of a rule that takes selectors from the packet is for that packet's flow alone; another flow
// of the same rule asks for its own, whatever the flow cache knows.
TEST(Engine, PopulatedSelectorsMakeAnSaForEachFlow) {
  TwoEngines kit;
  Policy rule{TwoEngines::kPolicy, PolicyAction::protect, kit.alice_side, kit.bob_side, TwoEngines::kConnection};
  rule.populate = {.remote_address = true, .remote_port = true};
  kit.alice.set_policies({rule});
  kit.bob.set_policies({{TwoEngines::kPolicy, PolicyAction::protect, kit.bob_side, kit.alice_side, {}}});
  Flow second = kit.v4;
  second.destination = address("10.2.0.2");
  const Bytes packets[] = {udp_packet(kit.v4, as_bytes("first")), udp_packet(second, as_bytes("second"))};
  const model::TrafficSelectors wanted[] = {{selector("10.2.0.1[udp/2000]")}, {selector("10.2.0.2[udp/2000]")}};
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(kit.alice_sends({packets[i]}).trains.empty()) << "the other flow's SA must not carry it";
    const auto asked = only<Acquire>(kit.events(kit.alice));
    ASSERT_EQ(asked.size(), 1U) << i;
    EXPECT_EQ(asked[0].remote, wanted[i]);
    EXPECT_TRUE(model::is_subset(asked[0].local, kit.alice_side));
    for (const model::TrafficSelector& local : asked[0].local) EXPECT_EQ(local.protocol, 17);
    auto [a, b] = kit.make_pair(i + 1, {});
    a.local = b.remote = asked[0].local;
    a.remote = b.local = asked[0].remote;
    ASSERT_TRUE(kit.alice.install(std::move(a), kit.now).has_value());
    ASSERT_TRUE(kit.bob.install(std::move(b), kit.now).has_value());
    EXPECT_EQ(kit.alice_sends({packets[i]}).packets().size(), 2U) << "the one that waited and this one";
  }
  // Each goes over its own pair, and another port of a host that has one asks again.
  for (std::uint64_t id = 1; id <= 2; ++id) {
    EXPECT_EQ(kit.alice.counters(model::ChildSaId{id})->outbound_packets, 2U);
  }
  const auto both = kit.alice_sends({packets[0], packets[1]}).packets();
  ASSERT_EQ(both.size(), 2U);
  EXPECT_NE(load_be32(both[0].data()), load_be32(both[1].data()));
  second.destination_port = 2001;
  EXPECT_TRUE(kit.alice_sends({udp_packet(second, {})}).trains.empty());
  EXPECT_EQ(only<Acquire>(kit.events(kit.alice)).size(), 1U);
}

// RFC 4301 5.1: the SA is one of the rule that the packet matched. The connection's wide one belongs to the rule
// behind, also when it is the newer one.
TEST(Engine, PopulatedSelectorsAreNotServedByAWiderSa) {
  TwoEngines kit;
  Policy narrow{TwoEngines::kPolicy,
                PolicyAction::protect,
                kit.alice_side,
                {selector("10.2.0.0/16[udp/2000]")},
                TwoEngines::kConnection};
  narrow.populate = {.remote_address = true};
  const Policy wide{PolicyId{4}, PolicyAction::protect, kit.alice_side, kit.bob_side, TwoEngines::kConnection};
  kit.alice.set_policies({narrow, wide});
  kit.bob.set_policies({{TwoEngines::kPolicy, PolicyAction::protect, kit.bob_side, kit.alice_side, {}}});
  kit.install(1);
  Flow other = kit.v4;
  other.destination_port = 2001;
  EXPECT_EQ(kit.alice_sends({udp_packet(other, {})}).packets().size(), 1U);
  EXPECT_TRUE(kit.alice_sends({udp_packet(kit.v4, {})}).packets().empty());
  const auto asked = only<Acquire>(kit.events(kit.alice));
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].policy, TwoEngines::kPolicy);
  EXPECT_EQ(asked[0].remote, model::TrafficSelectors{selector("10.2.0.1[udp/2000]")});
  auto [a, b] = kit.make_pair(2, {});
  a.local = b.remote = asked[0].local;
  a.remote = b.local = asked[0].remote;
  ASSERT_TRUE(kit.alice.install(std::move(a), kit.now));
  ASSERT_TRUE(kit.bob.install(std::move(b), kit.now));
  kit.install(3);
  EXPECT_EQ(kit.alice_sends({udp_packet(kit.v4, {}), udp_packet(other, {})}).packets().size(), 3U);
  EXPECT_EQ(kit.alice.counters(model::ChildSaId{2})->outbound_packets, 2U) << "the one that waited and this one";
  EXPECT_EQ(kit.alice.counters(model::ChildSaId{3})->outbound_packets, 1U);
}

TEST(Engine, WaitingPacketsLeaveBeforeLaterOnes) {
  TwoEngines pair;
  pair.set_policies();
  EXPECT_TRUE(pair.alice_sends({udp_packet(pair.v4, as_bytes("first"))}).trains.empty());
  pair.install(1);
  const CollectingWire wire = pair.alice_sends({udp_packet(pair.v4, as_bytes("second"))});
  const CollectingInner inner = pair.bob_receives(wire.packets());
  ASSERT_EQ(inner.packets.size(), 2U);
  EXPECT_EQ(inner.packets[0], udp_packet(pair.v4, as_bytes("first")));
}

TEST(Engine, WaitingIsBoundedInNumberAndTimeAndAsksOnceASecond) {
  EngineOptions options;
  options.acquire_packets = 10;
  TwoEngines pair(options);
  pair.set_policies();
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(pair.alice_sends({udp_packet(pair.v4, {})}).trains.empty());
  EXPECT_EQ(drops(pair.alice, "acquire_overflow"), 20U);
  EXPECT_EQ(only<Acquire>(pair.events(pair.alice)).size(), 1U);
  pair.now += 1s;
  EXPECT_TRUE(pair.alice_sends({udp_packet(pair.v4, {})}).trains.empty());
  EXPECT_EQ(only<Acquire>(pair.events(pair.alice)).size(), 1U);
  ASSERT_EQ(pair.alice.next_deadline(), Instant{} + options.acquire_age);
  pair.now = *pair.alice.next_deadline();
  CollectingWire wire;
  pair.alice.handle_time(pair.now, wire);
  EXPECT_EQ(drops(pair.alice, "acquire_timeout"), 10U);
  pair.install(1);
  pair.alice.handle_time(pair.now, wire);
  EXPECT_TRUE(wire.trains.empty());
}

// RFC 3948 2.2, 2.3.
TEST(Engine, KeepalivesAndIkeAreToldFromEsp) {
  TwoEngines pair;
  const Bytes message = concat({Bytes{0, 0, 0, 0}, as_bytes("an IKE message")});
  const CollectingInner inner = pair.bob_receives({{0xff}, message, {0, 0, 0, 0}, {1, 2, 3}, {}});
  ASSERT_EQ(inner.ike.size(), 2U);
  EXPECT_EQ(inner.ike[0], to_bytes(as_bytes("an IKE message")));
  EXPECT_TRUE(inner.ike[1].empty());
  EXPECT_EQ(inner.ike_paths[0].remote, pair.path.local);
  EXPECT_EQ(drops(pair.bob, "keepalive"), 1U);
  EXPECT_EQ(drops(pair.bob, "esp_truncated"), 2U);
}

TEST(Engine, UnknownSpisAreDroppedAndHintedSparsely) {
  TwoEngines pair;
  std::vector<Bytes> packets;
  for (std::uint8_t i = 0; i < 100; ++i) packets.push_back(Bytes{0x12, 0x34, 0x56, i, 0, 0, 0, 1, 9, 9, 9, 9});
  packets.push_back({0, 0, 0, 200, 0, 0, 0, 1});
  EXPECT_TRUE(pair.bob_receives(packets).packets.empty());
  EXPECT_EQ(drops(pair.bob, "spi_unknown"), 100U);
  EXPECT_EQ(drops(pair.bob, "spi_reserved"), 1U);
  const auto hints = only<UnknownSpi>(pair.events(pair.bob));
  ASSERT_EQ(hints.size(), 8U);
  EXPECT_EQ(hints[0].spi, model::Spi{0x12345600});
  EXPECT_EQ(hints[0].path.remote, pair.path.local);
}

// RFC 4303 3.4.3, 3.4.4: no packet twice, none that was changed.
TEST(Engine, ReplayedForgedAndTruncatedPacketsAreDropped) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  const Bytes sealed = pair.alice_sends({udp_packet(pair.v4, as_bytes("payload"))}).packets().at(0);

  for (std::size_t i = 4; i < sealed.size(); ++i) {
    Bytes forged = sealed;
    forged[i] ^= 0x40;
    EXPECT_TRUE(pair.bob_receives({forged}).packets.empty()) << i;
  }
  for (std::size_t length = 0; length < sealed.size(); ++length) {
    const Bytes cut(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_TRUE(pair.bob_receives({cut}).packets.empty()) << length;
  }
  // All of that has not moved the window: the packet itself is still welcome, once.
  EXPECT_EQ(pair.bob_receives({sealed, sealed}).packets.size(), 1U);
  EXPECT_EQ(pair.bob_receives({sealed}).packets.size(), 0U);
  EXPECT_EQ(drops(pair.bob, "replayed"), 2U);
  EXPECT_EQ(drops(pair.bob, "bad_icv") + drops(pair.bob, "esp_truncated") + drops(pair.bob, "esp_misaligned") +
                drops(pair.bob, "replay_too_old"),
            sealed.size() - 4 + sealed.size());
  EXPECT_EQ(pair.bob.counters(model::ChildSaId{1})->replay_drops, 2U);
  EXPECT_GT(pair.bob.counters(model::ChildSaId{1})->integrity_drops, 40U);
}

// RFC 4301 5.2: an SA carries only what it was negotiated for.
TEST(Engine, OneBadPacketOfABatchCostsNoOther) {
  for (std::size_t bad = 0; bad < 8; ++bad) {
    for (const bool cut : {false, true}) {
      TwoEngines pair;
      pair.set_policies();
      pair.install(1);
      std::vector<Bytes> sealed = pair.alice_sends(std::vector(8, udp_packet(pair.v4, Bytes(100, 7)))).packets();
      ASSERT_EQ(sealed.size(), 8U);
      if (cut) {
        sealed[bad].resize(5);
      } else {
        sealed[bad].back() ^= 1;
      }
      EXPECT_EQ(pair.bob_receives(sealed).packets.size(), 7U) << bad;
    }
  }
}

TEST(Engine, SelectorsAreCheckedBehindTheSa) {
  TwoEngines pair;
  pair.set_policies();
  auto [a, b] = pair.make_pair(1, {});
  b.remote = {selector("10.1.0.0/24[udp]")};
  ASSERT_TRUE(pair.alice.install(std::move(a), pair.now) && pair.bob.install(std::move(b), pair.now));
  Flow inside = pair.v4;
  Flow outside = pair.v4;
  outside.source = address("10.1.1.1");
  const CollectingWire wire = pair.alice_sends(
      {udp_packet(inside, {}), udp_packet(outside, {}), tcp_packet(inside, 1, 0x10, {}), udp_packet(pair.v6, {})});
  EXPECT_EQ(pair.bob_receives(wire.packets()).packets.size(), 1U);
  EXPECT_EQ(drops(pair.bob, "selector_mismatch"), 3U);
}

// RFC 6040 4.1, 4.2 through the whole path.
TEST(Engine, EcnCrossesTheTunnel) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  Flow flow = pair.v4;
  flow.tos = 0xb8 | 2;  // EF, ECT(0)
  Flow flow6 = pair.v6;
  flow6.tos = 0x28 | 2;
  const CollectingWire wire = pair.alice_sends(
      {udp_packet(flow, as_bytes("x")), udp_packet(flow6, as_bytes("x")), udp_packet(pair.v4, as_bytes("x"))});
  ASSERT_EQ(wire.trains.size(), 3U);
  EXPECT_EQ(wire.trains[0].train.tos, 0xb8 | 2);
  EXPECT_EQ(wire.trains[1].train.tos, 0x28 | 2);
  EXPECT_EQ(wire.trains[2].train.tos, 0);
  const CollectingInner inner = pair.bob_receives(wire.packets(), 3);  // a router marked them
  ASSERT_EQ(inner.packets.size(), 2U);
  flow.tos = 0xb8 | 3;
  flow6.tos = 0x28 | 3;
  EXPECT_EQ(inner.packets[0], udp_packet(flow, as_bytes("x")));
  EXPECT_EQ(inner.packets[1], udp_packet(flow6, as_bytes("x")));
  EXPECT_EQ(drops(pair.bob, "ecn_not_capable"), 1U);
}

TEST(Engine, DontFragmentFollowsTheOption) {
  for (const auto mode : {model::DontFragment::clear, model::DontFragment::copy, model::DontFragment::set}) {
    TwoEngines pair;
    pair.set_policies();
    pair.install(1, {}, {.outer = {.dont_fragment = mode}});
    Flow with = pair.v4;
    with.dont_fragment = true;
    const CollectingWire wire = pair.alice_sends({udp_packet(with, {}), udp_packet(pair.v4, {})});
    EXPECT_EQ(wire.trains.front().train.dont_fragment, mode != model::DontFragment::clear);
    EXPECT_EQ(wire.trains.back().train.dont_fragment, mode == model::DontFragment::set);
  }
}

TEST(Engine, RefusesWhatItCannotCarry) {
  TwoEngines pair;
  auto [a, b] = pair.make_pair(1, {});
  // BEET has one inner address on each side; AH travels neither in UDP nor with a cipher; GMAC as integrity is AH's.
  const auto refused = [&](auto change, DataPlaneError why) {
    auto [mine, theirs] = pair.make_pair(1, {});
    change(mine);
    const auto result = pair.alice.install(std::move(mine), pair.now);
    return !result && result.error() == why;
  };
  constexpr auto kMode = DataPlaneError::unsupported_mode;
  EXPECT_TRUE(refused([](auto& params) { params.mode = model::Mode::beet; }, kMode));
  EXPECT_TRUE(refused(
      [](auto& params) {
        params.protocol = model::ProtocolId::ah;
        params.suite = {
            .encryption = model::EncryptionId::null, .key_bits = 0, .integrity = model::IntegrityId::hmac_sha2_256_128};
      },
      kMode));
  EXPECT_TRUE(refused(
      [](auto& params) {
        params.protocol = model::ProtocolId::ah;
        params.encapsulation = model::Encapsulation::none;
        params.suite.esn = model::EsnId::no_esn;
      },
      DataPlaneError::unsupported_suite));
  EXPECT_TRUE(refused(
      [](auto& params) {
        params.suite = {.encryption = model::EncryptionId::null,
                        .key_bits = 0,
                        .integrity = model::IntegrityId::aes_128_gmac,
                        .esn = model::EsnId::no_esn};
      },
      DataPlaneError::unsupported_suite));
  EXPECT_TRUE(refused([](auto& params) { params.path.local.address = address("2001:db8::1"); }, kMode));
  b.suite.encryption = model::EncryptionId::triple_des;
  EXPECT_EQ(pair.bob.install(std::move(b), pair.now).error(), DataPlaneError::unsupported_suite);
  auto [c, d] = pair.make_pair(2, {});
  c.outbound.encryption = SecretBytes(3);
  EXPECT_EQ(pair.alice.install(std::move(c), pair.now).error(), DataPlaneError::unsupported_suite);
  // After a refusal nothing is left: the same ids and SPIs go in.
  auto [e, f] = pair.make_pair(2, {});
  e.spi_inbound = d.spi_outbound;
  EXPECT_TRUE(pair.alice.install(std::move(e), pair.now).has_value());
  auto [g, h] = pair.make_pair(3, {});
  g.spi_inbound = d.spi_outbound;
  EXPECT_EQ(pair.alice.install(std::move(g), pair.now).error(), DataPlaneError::no_free_spi);
}

TEST(Engine, TooLongForOneOuterPacket) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  Flow whole = pair.v4;
  whole.dont_fragment = true;
  EXPECT_TRUE(pair.alice_sends({udp_packet(whole, Bytes(65500))}).trains.empty());
  EXPECT_EQ(drops(pair.alice, "too_long"), 1U);
}

TEST(Engine, InnerGarbageIsCounted) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  Bytes long_field = udp_packet(pair.v4, {});
  store_be16(long_field.data() + 2, 2000);
  EXPECT_TRUE(pair.alice_sends({{}, {0x45}, Bytes(40, 0), long_field}).trains.empty());
  EXPECT_EQ(drops(pair.alice, "inner_malformed"), 4U);
}

}  // namespace
}  // namespace culvert::ipsec
