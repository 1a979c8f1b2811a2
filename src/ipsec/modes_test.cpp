// ESP and AH in every mode, over and with both families: what goes in comes out, and the wire looks as the RFCs say.
#include <gtest/gtest.h>

#include "ipsec/fragment.hpp"
#include "ipsec/modes_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using model::Encapsulation;
using model::Mode;
using model::ProtocolId;
using net::Family;

Bytes filled(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 3);
  return bytes;
}

class Modes : public testing::TestWithParam<ModeCase> {
 protected:
  void check(ModeWorld& world, const std::vector<Bytes>& sent, const std::vector<Bytes>& came) {
    ASSERT_EQ(came.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      EXPECT_EQ(to_hex(world.comparable(came[i])), to_hex(world.comparable(sent[i]))) << i;
      // Whatever was left out of the comparison is right in itself.
      if (came[i][0] >> 4 == 4) {
        EXPECT_EQ(net::ipv4_header_checksum(ByteView(came[i]).first(std::size_t{4} * (came[i][0] & 15U))), 0);
      }
    }
    EXPECT_EQ(all_drops(world.pair.alice), 0U);
    EXPECT_EQ(all_drops(world.pair.bob), 0U);
  }
};
constexpr auto kName = [](const auto& one) { return one.param.name(); };
INSTANTIATE_TEST_SUITE_P(All, Modes, testing::ValuesIn(all_mode_cases()), kName);

std::vector<ModeCase> cases_of(Family inner) {
  std::vector<ModeCase> cases = all_mode_cases();
  std::erase_if(cases, [&](const ModeCase& one) { return one.inner != inner; });
  return cases;
}

class ModesOfIpv4 : public Modes {};
INSTANTIATE_TEST_SUITE_P(All, ModesOfIpv4, testing::ValuesIn(cases_of(Family::v4)), kName);
class ModesOfIpv6 : public Modes {};
INSTANTIATE_TEST_SUITE_P(All, ModesOfIpv6, testing::ValuesIn(cases_of(Family::v6)), kName);

TEST_P(Modes, PacketsOfAllLengthsArrive) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  std::vector<Bytes> sent;
  for (std::size_t size = 0; size < 90; ++size) sent.push_back(udp_packet(world.flow, filled(size)));
  for (const std::size_t size : {500U, 1000U, 1372U}) sent.push_back(udp_packet(world.flow, filled(size)));
  check(world, sent, world.carry(sent));
}

TEST_P(Modes, LongPacketsArrive) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  const std::vector<Bytes> sent{udp_packet(world.flow, filled(65000)), udp_packet(world.flow, filled(65200))};
  check(world, sent, world.carry(sent));
}

TEST_P(Modes, MoreThanABatchArrives) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  const std::vector<Bytes> sent(300, udp_packet(world.flow, filled(1300)));
  check(world, sent, world.carry(sent));
}

TEST_P(Modes, HeaderFieldsArrive) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  Flow flow = world.flow;
  flow.tos = 0xb8 | 2;
  flow.dont_fragment = true;
  flow.identification = 0x1234;
  Bytes packet = udp_packet(flow, filled(40));
  net::set_ttl(packet, 17);
  if (packet[0] >> 4 == 6) packet[3] = 0x99;  // flow label
  const std::vector<Bytes> came = world.carry({packet});
  check(world, {packet}, came);
  // DF was set on the way in; where the wire has none, the packet comes out with it.
  if (packet[0] >> 4 == 4) {
    EXPECT_EQ(load_be16(came[0].data() + 6), 0x4000);
  }
}

TEST_P(Modes, SuperPacketsArriveCut) {
  EngineOptions options;
  ModeWorld world(GetParam(), options);
  world.install(1, world.suite());
  const Bytes data = filled(5000);
  Bytes super = tcp_packet(world.flow, 1, 0x10, data);
  const bool six = !world.flow.source.is_v4();
  const std::vector<Bytes> came = world.carry(
      {super}, {.segmentation = six ? Offload::Segmentation::tcp6 : Offload::Segmentation::tcp4, .segment_size = 1200});
  std::vector<Bytes> expected;
  for (std::size_t at = 0; at < data.size(); at += 1200) {
    Flow piece = world.flow;
    piece.identification = static_cast<std::uint16_t>(1 + at / 1200);
    expected.push_back(tcp_packet(piece, static_cast<std::uint32_t>(1 + at), 0x10,
                                  ByteView(data).subspan(at, std::min<std::size_t>(1200, data.size() - at))));
  }
  check(world, expected, came);
}

TEST_P(Modes, SegmentsAreJoinedAgain) {
  EngineOptions options;
  options.coalesce = true;
  ModeWorld world(GetParam(), options);
  world.install(1, world.suite());
  const bool six = !world.flow.source.is_v4();
  Flow flow = world.flow;
  flow.dont_fragment = true;
  const Offload cut{.segmentation = six ? Offload::Segmentation::tcp6 : Offload::Segmentation::tcp4,
                    .segment_size = 1200};
  const CollectingWire wire = world.pair.alice_sends({tcp_packet(flow, 1, 0x10, filled(4800))}, cut);
  std::vector<Arrived> arrived = arrive(wire);
  const CollectingInner inner = receive(world.pair.bob, arrived);
  EXPECT_EQ(all_drops(world.pair.bob), 0U);
  // In tunnel mode they stay where they are, each in a receive buffer of its own, and go to TUN in pieces.
  ASSERT_EQ(inner.packets.size(), 1U);
  const ByteView joined = inner.packets[0];
  ASSERT_EQ(joined.size(), (six ? 60U : 40U) + 4800U);
  EXPECT_EQ(to_bytes(joined.last(4800)), filled(4800));
}

TEST_P(ModesOfIpv4, OptionsArrive) {
  for (std::size_t words = 1; words <= 10; ++words) {
    ModeWorld world(GetParam());
    world.install(1, world.suite());
    // Router alert, then options that are zeroed for AH: record route, padded by the end of the list.
    Bytes options{148, 4, 0, 0};
    if (words > 2) {
      const auto route = static_cast<std::uint8_t>(4 * (words - 1));
      options.insert(options.end(), {7, route, 4});
    }
    options.resize(4 * words);
    const Bytes packet = with_options(udp_packet(world.flow, filled(words * 5)), options);
    const std::vector<Bytes> came = world.carry({packet});
    if (GetParam().mode == Mode::transport && GetParam().encapsulation == Encapsulation::udp) {
      EXPECT_TRUE(came.empty());
      EXPECT_EQ(drops(world.pair.alice, "headers_unfit"), 1U);
      continue;
    }
    check(world, {packet}, came);
  }
}

TEST_P(ModesOfIpv6, ExtensionHeadersArrive) {
  const Bytes plain_options{0, 0, 1, 4, 0, 0, 0, 0};  // PadN
  const Bytes changing{0, 0, 0x3e, 4, 9, 9, 9, 9};    // RFC 8200 4.2: its data may change on the way
  Bytes atomic{0, 0, 0, 0, 1, 2, 3, 4};
  const auto build = [&](ModeWorld& world, int kind) {
    Bytes packet = udp_packet(world.flow, filled(50));
    switch (kind) {
      case 0: return with_extension(packet, net::IpProtocol::destination_options, plain_options);
      case 1: return with_extension(packet, net::IpProtocol::hop_by_hop, changing);
      case 2:
        packet = with_extension(packet, net::IpProtocol::destination_options, changing);
        return with_extension(packet, net::IpProtocol::hop_by_hop, plain_options);
      default: return with_extension(packet, net::IpProtocol::fragment, atomic);
    }
  };
  for (int kind = 0; kind < 4; ++kind) {
    SCOPED_TRACE(kind);
    ModeWorld world(GetParam());
    world.install(1, world.suite());
    const Bytes packet = build(world, kind);
    const std::vector<Bytes> came = world.carry({packet});
    if (GetParam().mode == Mode::transport && GetParam().encapsulation == Encapsulation::udp && kind != 0) {
      EXPECT_TRUE(came.empty());
      EXPECT_EQ(drops(world.pair.alice, "headers_unfit"), 1U);
      continue;
    }
    check(world, {packet}, came);
  }
}

// RFC 2784, RFC 2890, RFC 2003: nothing of this is special to an SA; routers run their protocols across it.
TEST_P(Modes, TunnelsInsideArrive) {
  for (const net::IpProtocol protocol : {net::IpProtocol::gre, net::IpProtocol::ipv4, net::IpProtocol::ipv6}) {
    ModeWorld world(GetParam());
    const auto number = static_cast<std::uint8_t>(protocol);
    for (model::TrafficSelectors* side : {&world.pair.alice_side, &world.pair.bob_side}) {
      for (model::TrafficSelector& selector : *side) selector.protocol = number;
    }
    world.pair.set_policies();
    world.install(1, world.suite());
    const Flow inside = protocol == net::IpProtocol::ipv6 ? world.pair.v6 : world.pair.v4;
    Bytes upper = udp_packet(inside, filled(77));
    if (protocol == net::IpProtocol::gre) {
      // Key and sequence number present, IPv4 inside.
      const Bytes gre{0x30, 0, 0x08, 0, 0, 0, 0, 42, 0, 0, 0, 1};
      upper = concat({gre, upper});
    }
    const Bytes packet = with_ip_header(world.flow, protocol, upper);
    check(world, {packet}, world.carry({packet}));
    // Another protocol has no business in this SA.
    EXPECT_TRUE(world.carry({udp_packet(world.flow, filled(9))}).empty());
    EXPECT_EQ(drops(world.pair.alice, "no_rule"), 1U);
  }
}

TEST_P(Modes, OuterHeaderIsAsTheModeSays) {
  ModeWorld world(GetParam());
  auto [a, b] = world.make_pair(1, world.suite());
  a.treatment.outer.hop_limit = 99;
  ASSERT_TRUE(world.pair.alice.install(std::move(a), {}).has_value());
  Flow flow = world.flow;
  flow.tos = 0x28 | 1;
  flow.dont_fragment = true;
  Bytes packet = udp_packet(flow, filled(100));
  net::set_ttl(packet, 33);
  const CollectingWire wire = world.pair.alice_sends({packet});
  ASSERT_EQ(wire.trains.size(), 1U);
  const WireTrain& train = wire.trains[0].train;
  const ModeCase& mode = GetParam();
  EXPECT_EQ(train.with_ip_header, mode.protocol == ProtocolId::ah ||
                                      (mode.mode == Mode::transport && mode.encapsulation == Encapsulation::none));
  const std::uint8_t hop_limit = mode.mode == Mode::tunnel ? 99 : 33;
  if (!train.with_ip_header) {
    EXPECT_EQ(train.tos, flow.tos);
    EXPECT_EQ(train.hop_limit, hop_limit);
    EXPECT_EQ(train.dont_fragment, mode.mode != Mode::transport || mode.inner == Family::v4);
    return;
  }
  const Bytes& whole = wire.trains[0].bytes;
  const auto info = net::parse_packet(whole);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->total_length, whole.size());
  EXPECT_EQ(info->source, world.pair.path.local.address);
  EXPECT_EQ(info->destination, world.pair.path.remote.address);
  EXPECT_EQ(info->tos, flow.tos);
  EXPECT_EQ(info->ttl, hop_limit);
  EXPECT_EQ(info->protocol, mode.protocol == ProtocolId::ah ? 51 : 50);
  if (mode.outer == Family::v4) {
    EXPECT_TRUE(info->dont_fragment);
    EXPECT_NE(load_be16(whole.data() + 4), 0);
    EXPECT_EQ(net::ipv4_header_checksum(ByteView(whole).first(20)), 0);
  }
}

TEST_P(Modes, EveryForgedOctetIsFound) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  const CollectingWire wire = world.pair.alice_sends({udp_packet(world.flow, filled(20))});
  std::vector<Arrived> genuine = arrive(wire);
  ASSERT_EQ(genuine.size(), 1U);
  const std::size_t headers = genuine[0].headers.size();
  const bool ah = GetParam().protocol == ProtocolId::ah;
  // RFC 4302 3.3.3.1.1.1, 3.3.3.1.2.1: what routers may change of the header.
  const auto may_change = [&](std::size_t at) {
    if (headers == 20) return at == 1 || at == 6 || at == 7 || at == 8 || at == 10 || at == 11;
    return at == 1 || at == 2 || at == 3 || at == 7;
  };
  for (std::size_t at = ah ? 0 : headers; at < headers + genuine[0].bytes.size(); ++at) {
    std::vector<Arrived> forged{genuine[0]};
    (at < headers ? forged[0].headers[at] : forged[0].bytes[at - headers]) ^= 0x10;
    if (at < headers && may_change(at) && !(headers == 20 && (at == 6 || at == 7))) continue;
    EXPECT_TRUE(receive(world.pair.bob, forged).packets.empty()) << at;
  }
  if (ah) {
    // DF set on the way, TTL, TOS and checksum changed: still the same packet. Of IPv6 flow label and hop limit.
    Bytes& header = genuine[0].headers;
    for (std::size_t at = 0; at < headers; ++at) {
      if (may_change(at) && at != 6 && !(headers == 20 && at == 7)) header[at] ^= 0x20;
    }
  }
  EXPECT_EQ(receive(world.pair.bob, genuine).packets.size(), 1U);
}

TEST_P(Modes, TruncatedPacketsAreRefused) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  const CollectingWire wire = world.pair.alice_sends({udp_packet(world.flow, filled(20))});
  std::vector<Arrived> genuine = arrive(wire);
  for (std::size_t size = 0; size < genuine[0].bytes.size(); ++size) {
    std::vector<Arrived> cut{genuine[0]};
    cut[0].bytes.resize(size);
    EXPECT_TRUE(receive(world.pair.bob, cut).packets.empty()) << size;
    if (GetParam().encapsulation == Encapsulation::udp) continue;
    // With a header that fits.
    std::vector<Arrived> fitting{genuine[0]};
    fitting[0].bytes.resize(size);
    Bytes& header = fitting[0].headers;
    net::close_chain(header, net::chain_end(header)->next_header_at, fitting[0].input.protocol, header.size() + size);
    EXPECT_TRUE(receive(world.pair.bob, fitting).packets.empty()) << size;
  }
  EXPECT_EQ(receive(world.pair.bob, genuine).packets.size(), 1U);
}

TEST_P(Modes, ForeignProtocolIsRefused) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  const bool ah = GetParam().protocol == ProtocolId::ah;
  const CollectingWire wire = world.pair.alice_sends({udp_packet(world.flow, filled(40))});
  std::vector<Arrived> arrived = arrive(wire);
  const std::uint32_t spi = load_be32(arrived[0].bytes.data() + (ah ? 4 : 0));
  Bytes other(64, 0);
  if (ah) {
    store_be32(other.data(), spi);
  } else {
    other[1] = 4;
    store_be32(other.data() + 4, spi);
  }
  const auto protocol = static_cast<std::uint8_t>(ah ? 50 : 51);
  const Flow outer{world.pair.path.local.address, world.pair.path.remote.address};
  std::vector<Arrived> wrong{
      arrive_whole(world.pair.path, with_ip_header(outer, static_cast<net::IpProtocol>(protocol), other))};
  EXPECT_TRUE(receive(world.pair.bob, wrong).packets.empty());
  EXPECT_EQ(drops(world.pair.bob, "protocol_mismatch"), 1U);
}

TEST_P(Modes, ReplaysAreRefused) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  const CollectingWire wire = world.pair.alice_sends({udp_packet(world.flow, filled(40))});
  std::vector<Arrived> once = arrive(wire);
  std::vector<Arrived> twice{once[0], once[0]};
  EXPECT_EQ(receive(world.pair.bob, twice).packets.size(), 1U);
  EXPECT_EQ(receive(world.pair.bob, once).packets.size(), 0U);
  EXPECT_EQ(drops(world.pair.bob, "replayed"), 2U);
}

// RFC 4303 3.3.4: outside tunnel mode whole packets are protected, so fragments are joined first.
TEST_P(Modes, FragmentsAreJoinedOutsideTunnelMode) {
  ModeWorld world(GetParam());
  world.install(1, world.suite());
  const Bytes packet = udp_packet(world.flow, filled(3000));
  const auto cutter = FragmentCutter::make(packet, net::parse_packet(packet).value(), 1000, 7).value();
  std::vector<Bytes> fragments;
  for (std::size_t i = 0; i < cutter.count(); ++i) cutter.write(i, fragments.emplace_back(cutter.length(i)).data());
  const bool tunnel = GetParam().mode == Mode::tunnel;
  check(world, tunnel ? fragments : std::vector<Bytes>{packet}, world.carry(fragments));
}

// RFC 4301 5.2: in transport mode the outer source is one of the packet's selectors. An SA for the two ends takes a
// packet that was sent on from elsewhere as little as one for other ports; one whose selectors are wider was made for
// it. AH covers the addresses, so there it does not even open.
TEST(TransportMode, TheSelectorsDecideAboutTheOuterSource) {
  for (const model::ProtocolId protocol : {model::ProtocolId::esp, model::ProtocolId::ah}) {
    for (const bool wide : {false, true}) {
      ModeWorld world({.protocol = protocol, .mode = model::Mode::transport});
      auto [a, b] = world.make_pair(1, world.suite());
      if (wide) b.remote = {selector("192.0.2.0/24")};
      ASSERT_TRUE(world.pair.alice.install(std::move(a), world.pair.now));
      ASSERT_TRUE(world.pair.bob.install(std::move(b), world.pair.now));
      const Bytes packet = udp_packet(world.flow, Bytes(50));
      std::vector<Arrived> arrived = arrive(world.pair.alice_sends({packet, packet}));
      ASSERT_EQ(arrived.size(), 2U);
      arrived[1].headers[15] = 77;  // the source's last octet
      const CollectingInner inner = receive(world.pair.bob, arrived, world.pair.now);
      const bool taken = wide && protocol == model::ProtocolId::esp;
      ASSERT_EQ(inner.packets.size(), taken ? 2U : 1U) << wide;
      if (taken) {
        EXPECT_EQ(inner.packets[1][15], 77) << "it says where it came from";
      }
      EXPECT_EQ(drops(world.pair.bob, protocol == model::ProtocolId::ah ? "bad_icv" : "selector_mismatch"),
                taken ? 0U : 1U);
    }
  }
}

}  // namespace
}  // namespace culvert::ipsec
