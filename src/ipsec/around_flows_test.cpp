// Fragments and ICMP errors in the engine: they go the way of the packets that they are parts of, or speak of.
#include <gtest/gtest.h>

#include "ipsec/icmp_error.hpp"
#include "ipsec/spd.hpp"
#include "ipsec/testing/around.hpp"

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;
using namespace test_kit;

class AroundFlows : public Around {};

// RFC 4301 7.3: later fragments follow the first, over an SA that both sides agreed to carry them.
TEST_F(AroundFlows, FragmentsFollowTheirFirst) {
  restrict_to_ports();
  install([](model::ChildSaParams& params) { params.non_first_fragments = true; });
  const Bytes packet = udp_packet(pair.v4, Bytes(3000, 3));
  const std::vector<Bytes> fragments = cut(packet, 1000);
  EXPECT_EQ(join(over(fragments)), packet);

  // Others, to a port that no rule knows, do not pass, nor does a late one whose first did not.
  Flow closed = pair.v4;
  closed.destination_port = 23;
  closed.identification = 2;
  EXPECT_TRUE(over(cut(udp_packet(closed, Bytes(3000, 3)), 1000)).empty());
  EXPECT_EQ(drops(pair.alice, "no_rule"), 4U);
}

TEST_F(AroundFlows, EarlyFragmentsWaitForTheirFirst) {
  restrict_to_ports();
  install([](model::ChildSaParams& params) { params.non_first_fragments = true; });
  const Bytes packet = udp_packet(pair.v4, Bytes(3000, 3));
  std::vector<Bytes> fragments = cut(packet, 1000);
  std::rotate(fragments.begin(), fragments.begin() + 1, fragments.end());
  const std::vector<Bytes> received = over(fragments);
  EXPECT_EQ(received.size(), 4U);
  EXPECT_EQ(join(received), packet);

  // Without it they are dropped after a while.
  Flow other = pair.v4;
  other.identification = 9;
  EXPECT_TRUE(over({cut(udp_packet(other, Bytes(3000, 3)), 1000)[1]}).empty());
  ASSERT_EQ(pair.alice.next_deadline(), pair.now + 1s);
  wait(1s);
  CollectingWire wire;
  pair.alice.handle_time(pair.now, wire);
  EXPECT_EQ(drops(pair.alice, "fragment_early"), 1U);
}

// RFC 4301 7.3: without agreement none leaves, and none is taken.
TEST_F(AroundFlows, LaterFragmentsNeedAgreement) {
  restrict_to_ports();
  install([](model::ChildSaParams&) {});
  const std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  EXPECT_EQ(over(fragments), std::vector<Bytes>{fragments[0]});
  EXPECT_EQ(drops(pair.alice, "fragment_not_agreed"), 3U);
}

TEST(AroundFragments, TheReceiverChecksForItself) {
  for (const bool agreed : {false, true}) {
    TwoEngines pair;
    pair.set_policies();
    auto [a, b] = pair.make_pair(1, {});
    b.remote = {selector("10.1.0.0/16[udp]")};
    b.local = {selector("10.2.0.0/16[udp/2000]")};
    b.non_first_fragments = agreed;
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
    const auto over = [&](const std::vector<Bytes>& packets) {
      return pair.bob_receives(pair.alice_sends(packets).packets()).packets;
    };
    const std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
    EXPECT_TRUE(over({fragments[1]}).empty());
    EXPECT_EQ(over(fragments).size(), agreed ? 4U : 1U);
    EXPECT_EQ(drops(pair.bob, "inner_fragment_early"), agreed ? 1U : 0U);
    EXPECT_EQ(drops(pair.bob, "inner_fragment_not_agreed"), agreed ? 0U : 4U);

    Flow closed = pair.v4;
    closed.destination_port = 23;
    closed.identification = 2;
    EXPECT_TRUE(over(cut(udp_packet(closed, Bytes(3000, 3)), 1000)).empty());
    EXPECT_EQ(drops(pair.bob, "selector_mismatch"), 1U) << "the first one";

    // RFC 1858: a rewritten start.
    Bytes rewrite = fragments[1];
    store_be16(rewrite.data() + 6, 0x2000 | 2);
    store_be16(rewrite.data() + 10, 0);
    store_be16(rewrite.data() + 10, net::ipv4_header_checksum({rewrite.data(), 20}));
    EXPECT_TRUE(over({rewrite}).empty());
    EXPECT_EQ(drops(pair.bob, "inner_fragment_overlap"), agreed ? 1U : 0U);
  }
}

// RFC 4301 7.1: selectors for any port carry fragments one by one, in whatever order.
TEST_F(AroundFlows, AnyPortCarriesFragments) {
  install([](model::ChildSaParams&) {});
  std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  std::reverse(fragments.begin(), fragments.end());
  EXPECT_EQ(over(fragments), fragments);
}

// RFC 4301 7.2: an SA for OPAQUE ports carries what shows none.
TEST_F(AroundFlows, OpaqueRulesTakeLaterFragments) {
  const model::TrafficSelector opaque{selector("10.2.0.0/16").addresses, 17, 0xffff, 0};
  pair.alice.set_policies(
      {{PolicyId{1}, PolicyAction::discard, pair.alice_side, {selector("10.2.0.0/16[udp/2000]")}, {}},
       {PolicyId{2}, PolicyAction::protect, pair.alice_side, {opaque}, TwoEngines::kConnection}});
  install(
      [&](model::ChildSaParams& params) {
        (params.local == pair.alice_side ? params.remote : params.local) = {opaque};
      },
      false);
  const std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  EXPECT_EQ(over(fragments), std::vector<Bytes>(fragments.begin() + 1, fragments.end()));
  EXPECT_EQ(drops(pair.alice, "discard_rule"), 1U);
}

// RFC 4301 7.4: what follows a bypassed first fragment is bypassed, what follows a protected one is not.
TEST_F(AroundFlows, BypassFollowsTheFirstFragment) {
  // As a table made ready elsewhere, which is how the data plane brings them.
  std::vector<Policy> rules{{PolicyId{1},
                             PolicyAction::protect,
                             pair.alice_side,
                             {selector("10.2.0.0/16[udp/2000]")},
                             TwoEngines::kConnection},
                            {PolicyId{2}, PolicyAction::bypass, pair.alice_side, pair.bob_side, {}}};
  pair.alice.set_policies(std::make_shared<const PolicyTable>(std::move(rules)));
  install([](model::ChildSaParams&) {}, false);
  Flow open = pair.v4;
  open.destination_port = 119;
  open.identification = 2;
  std::vector<Bytes> packets = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  const std::vector<Bytes> in_clear = cut(udp_packet(open, Bytes(3000, 4)), 1000);
  packets.insert(packets.end(), in_clear.begin(), in_clear.end());
  Flow unknown = open;
  unknown.identification = 3;
  packets.push_back(cut(udp_packet(unknown, Bytes(3000, 4)), 1000)[2]);
  std::vector<InnerBuffer> buffers(packets.begin(), packets.end());
  std::vector<InnerPacket> views;
  for (InnerBuffer& buffer : buffers) views.push_back(buffer.view());
  CollectingWire wire;
  wire.bypass_allowed = true;
  pair.alice.outbound(views, pair.now, wire);
  EXPECT_EQ(wire.bypassed, in_clear) << "not the one whose first was not seen";
  EXPECT_EQ(wire.packets().size(), 4U);
}

// The first packets wait for their SA, fragments too.
TEST_F(AroundFlows, FragmentsWaitForTheirSa) {
  restrict_to_ports();
  pair.set_policies();
  const Bytes packet = udp_packet(pair.v4, Bytes(3000, 3));
  EXPECT_TRUE(pair.alice_sends(cut(packet, 1000)).trains.empty());
  install([](model::ChildSaParams& params) { params.non_first_fragments = true; });
  CollectingWire wire;
  pair.alice.handle_time(pair.now, wire);
  EXPECT_EQ(join(pair.bob_receives(wire.packets()).packets), packet);
  EXPECT_EQ(all_drops(pair.alice), 0U);
}

// RFC 4301 6.2: an error from a router takes the SA of the flow that it speaks of, both ways, and no other error does.
TEST_F(AroundFlows, IcmpErrorsTravelWithTheirFlow) {
  restrict_to_ports();
  install([](model::ChildSaParams&) {});
  const net::IpAddress router = address("172.16.0.9");
  const Bytes from_bob = udp_packet(pair.v4.reversed(), Bytes(100, 1));
  const Bytes error = icmp_error(router, pair.v4.destination, 3, ByteView(from_bob).first(28));
  EXPECT_EQ(over({error}), std::vector<Bytes>{error});

  Flow other = pair.v4.reversed();
  other.source_port = 23;
  EXPECT_TRUE(over({icmp_error(router, other.source, 3, udp_packet(other, {}))}).empty());
  EXPECT_TRUE(over({icmp_error(router, pair.v4.destination, 3, Bytes(8, 0))}).empty());
  EXPECT_EQ(drops(pair.alice, "icmp_error_unmatched"), 2U);
  EXPECT_TRUE(over({icmp_error(router, pair.v4.destination, 8, from_bob)}).empty());
  EXPECT_EQ(drops(pair.alice, "no_rule"), 1U) << "an echo request is no error";
}

// A rule that lets out what others leave lets out no error that quotes what they take.
TEST_F(AroundFlows, ErrorsAboutProtectedPacketsDoNotLeaveByTheBypassOfTheRest) {
  restrict_to_ports();
  pair.alice.set_policies({{.id = PolicyId{1},
                            .action = PolicyAction::protect,
                            .local = pair.alice_side,
                            .remote = pair.bob_side,
                            .connection = TwoEngines::kConnection},
                           {.id = PolicyId{2},
                            .action = PolicyAction::bypass,
                            .local = {selector("10.1.0.0/16")},
                            .remote = {selector("10.2.0.0/16")},
                            .errors_follow_quoted = true}});
  const Bytes from_bob = udp_packet(pair.v4.reversed(), Bytes(100, 1));
  Flow in_clear = pair.v4.reversed();
  in_clear.source_port = 23;
  const auto about = [&](ByteView quoted) { return icmp_error(pair.v4.source, pair.v4.destination, 3, quoted); };
  const auto bypassed = [&](const Bytes& packet) {
    CollectingWire wire;
    wire.bypass_allowed = true;
    InnerBuffer buffer(packet);
    const InnerPacket view = buffer.view();
    pair.alice.outbound(std::span(&view, 1), pair.now, wire);
    return std::pair(wire.bypassed.size(), wire.packets().size());
  };
  using Counts = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(bypassed(about(from_bob)), Counts(0, 0)) << "there is no SA yet";
  install([](model::ChildSaParams&) {}, false);
  EXPECT_EQ(bypassed(about(from_bob)), Counts(0, 1));
  EXPECT_EQ(bypassed(about(udp_packet(in_clear, {}))), Counts(1, 0));
  EXPECT_EQ(bypassed(about(ByteView(from_bob).first(22))), Counts(0, 0)) << "whose ports are not quoted";
  EXPECT_EQ(bypassed(icmp_error(pair.v4.source, pair.v4.destination, 8, from_bob)), Counts(1, 0)) << "no error";
}

// Behind Destination Options a later IPv6 fragment does not even show its protocol.
TEST_F(AroundFlows, LaterFragmentsThatHideTheirProtocolFollowTheFirst) {
  pair.alice_side = {selector("::/0[udp]")};
  pair.bob_side = {selector("::/0[udp]")};
  pair.alice.set_policies(
      {{.id = PolicyId{1},
        .action = PolicyAction::protect,
        .local = pair.alice_side,
        .remote = pair.bob_side,
        .connection = TwoEngines::kConnection},
       {.id = PolicyId{2}, .action = PolicyAction::bypass, .local = {selector("::/0")}, .remote = {selector("::/0")}}});
  install([](model::ChildSaParams&) {}, false);
  Bytes packet = udp_packet(pair.v6, Bytes(3000, 3));
  const Bytes options{17, 0, 1, 4, 0, 0, 0, 0};
  packet.insert(packet.begin() + net::kIpv6HeaderSize, options.begin(), options.end());
  packet[6] = 60;
  store_be16(packet.data() + 4, static_cast<std::uint16_t>(packet.size() - net::kIpv6HeaderSize));
  const std::vector<Bytes> pieces = cut(packet, 1000);
  CollectingWire wire;
  wire.bypass_allowed = true;
  for (const Bytes& piece : pieces) {
    InnerBuffer buffer(piece);
    const InnerPacket view = buffer.view();
    pair.alice.outbound(std::span(&view, 1), pair.now, wire);
  }
  EXPECT_EQ(wire.bypassed.size(), 0U);
  EXPECT_EQ(wire.packets().size(), pieces.size());
}

TEST(AroundIcmp, TheReceiverChecksWhatAnErrorSpeaksOf) {
  using model::IcmpErrors;
  for (const IcmpErrors policy : {IcmpErrors::selectors, IcmpErrors::quoted, IcmpErrors::checked}) {
    TwoEngines pair;
    pair.set_policies();
    auto [a, b] = pair.make_pair(1, {});
    RawSealer sealer(b.spi_inbound, b.suite, b.inbound);
    b.treatment.icmp_errors = policy;
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
    std::uint64_t sequence = 0;
    const auto passes = [&](const Bytes& packet) {
      return pair.bob_receives({sealer.seal_inner(++sequence, packet, net::IpProtocol::ipv4)}).packets.size() == 1;
    };
    const Bytes own = udp_packet(pair.v4.reversed(), {});
    const Bytes foreign = udp_packet({pair.v4.destination, address("10.3.0.1")}, {});
    const net::IpAddress router = address("172.16.0.9");
    const net::IpAddress& bob = pair.v4.destination;
    EXPECT_EQ(passes(icmp_error(router, bob, 11, own)), policy != IcmpErrors::selectors);
    EXPECT_FALSE(passes(icmp_error(router, bob, 11, foreign)));
    EXPECT_TRUE(passes(icmp_error(pair.v4.source, bob, 11, own)));
    EXPECT_EQ(passes(icmp_error(pair.v4.source, bob, 11, foreign)), policy != IcmpErrors::checked);
    EXPECT_EQ(drops(pair.bob, "icmp_error_mismatch") + drops(pair.bob, "selector_mismatch"),
              policy == IcmpErrors::quoted ? 1U : 2U);
    EXPECT_EQ(drops(pair.bob, "selector_mismatch"), policy == IcmpErrors::selectors ? 2U : 0U);
  }
}

}  // namespace
}  // namespace culvert::ipsec
