// What single modes have of their own: SAs inside each other, NATs, BEET's pseudo header, AH's padding and GMAC.
#include <gtest/gtest.h>

#include "ipsec/ah_mutable_fields.hpp"
#include "ipsec/encapsulation.hpp"
#include "ipsec/modes_test_kit.hpp"
#include "ipsec/transport_checksum.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using model::Encapsulation;
using model::Mode;
using model::ProtocolId;
using net::Family;

constexpr ModeCase kAhTransport{ProtocolId::ah, Mode::transport, Encapsulation::none, Family::v4, Family::v4};

// A whole IP packet out of `world`'s Alice.
Bytes sealed(ModeWorld& world, const Bytes& packet) {
  const CollectingWire wire = world.pair.alice_sends({packet});
  CHECK(wire.trains.size() == 1 && wire.trains[0].train.with_ip_header);
  return wire.trains[0].bytes;
}

// The peer of several SAs of Alices, one inside the other; its SPIs are those of the Alices.
class Nest {
 public:
  // `count` SAs, the first innermost.
  explicit Nest(const std::vector<ModeCase>& cases) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      worlds_.push_back(std::make_unique<ModeWorld>(cases[i], EngineOptions{}, 200 + i));
      ModeWorld& world = *worlds_.back();
      if (i == 0) flow = world.flow;
      auto [a, b] = world.make_pair(i + 1, world.suite());
      if (cases[i].mode == Mode::transport && i != 0) {
        world.pair.alice_side = world.pair.bob_side = {model::TrafficSelector::all(Family::v4)};
        world.pair.set_policies();
        a.local = a.remote = b.local = b.remote = world.pair.alice_side;
      }
      CHECK(world.pair.alice.install(std::move(a), {}).has_value());
      CHECK(bob.install(std::move(b), {}).has_value());
    }
  }
  std::vector<Bytes> carry(Bytes packet) {
    const net::Path path = worlds_[0]->pair.path;
    for (const auto& world : worlds_) packet = sealed(*world, packet);
    std::vector<Arrived> arrived{arrive_whole(path, packet)};
    return receive(bob, arrived).packets;
  }

  Flow flow;
  SeededRandom random{3};
  Engine bob{EngineOptions{}, random};

 private:
  std::vector<std::unique_ptr<ModeWorld>> worlds_;
};

// RFC 4301 4.1, 5.2: ESP inside AH, both in transport mode, between the same two hosts.
TEST(Nested, EspInsideAh) {
  Nest nest({{ProtocolId::esp, Mode::transport, Encapsulation::none, Family::v4, Family::v4}, kAhTransport});
  const Bytes packet = udp_packet(nest.flow, Bytes(100, 7));
  EXPECT_EQ(nest.carry(packet), std::vector<Bytes>{packet});
  EXPECT_EQ(all_drops(nest.bob), 0U);
}

TEST(Nested, ToABoundedDepth) {
  for (std::size_t count = 1; count <= 7; ++count) {
    Nest nest(std::vector<ModeCase>(count, kAhTransport));
    const Bytes packet = udp_packet(nest.flow, Bytes(50, 9));
    const bool followed = count <= 5;  // four further ones behind the first
    EXPECT_EQ(nest.carry(packet).size(), followed ? 1U : 0U) << count;
    EXPECT_EQ(drops(nest.bob, "nested_too_deep"), followed ? 0U : 1U) << count;
  }
}

// The outer SA is for certain ports only; behind ESP nobody sees them, so the packet that comes out has to match.
TEST(Nested, OuterSelectorsHoldForWhatComesOut) {
  for (const bool fits : {true, false}) {
    ModeWorld esp({ProtocolId::esp, Mode::transport, Encapsulation::none, Family::v4, Family::v4}, {}, 1);
    ModeWorld ah(kAhTransport, {}, 2);
    SeededRandom random(3);
    Engine bob(EngineOptions{}, random);
    auto [inner_a, inner_b] = esp.make_pair(1, esp.suite());
    auto [outer_a, outer_b] = ah.make_pair(2, ah.suite());
    ah.pair.alice_side = ah.pair.bob_side = {model::TrafficSelector::all(Family::v4)};
    ah.pair.set_policies();
    outer_a.local = outer_a.remote = ah.pair.alice_side;
    outer_b.local = {model::TrafficSelector::all(Family::v4)};
    outer_b.remote = outer_b.local;
    outer_b.local[0].protocol = 17;
    outer_b.local[0].start_port = outer_b.local[0].end_port = fits ? esp.flow.destination_port : 7;
    ASSERT_TRUE(esp.pair.alice.install(std::move(inner_a), {}).has_value());
    ASSERT_TRUE(ah.pair.alice.install(std::move(outer_a), {}).has_value());
    ASSERT_TRUE(bob.install(std::move(inner_b), {}).has_value());
    ASSERT_TRUE(bob.install(std::move(outer_b), {}).has_value());
    const Bytes packet = sealed(ah, sealed(esp, udp_packet(esp.flow, Bytes(30))));
    std::vector<Arrived> arrived{arrive_whole(esp.pair.path, packet)};
    EXPECT_EQ(receive(bob, arrived).packets.size(), fits ? 1U : 0U);
    EXPECT_EQ(drops(bob, "selector_mismatch"), fits ? 0U : 1U);
  }
}

TEST(Transport, OnlyBetweenItsOwnHosts) {
  ModeWorld world(kAhTransport);
  auto [a, b] = world.make_pair(1, world.suite());
  world.pair.alice_side = world.pair.bob_side = {model::TrafficSelector::all(Family::v4)};
  world.pair.set_policies();
  a.local = a.remote = world.pair.alice_side;
  ASSERT_TRUE(world.pair.alice.install(std::move(a), {}).has_value());
  Flow elsewhere = world.flow;
  elsewhere.destination = address("192.0.2.99");
  EXPECT_TRUE(world.pair.alice_sends({udp_packet(elsewhere, Bytes(9))}).trains.empty());
  elsewhere = world.flow;
  elsewhere.source = address("192.0.2.99");
  EXPECT_TRUE(world.pair.alice_sends({udp_packet(elsewhere, Bytes(9))}).trains.empty());
  EXPECT_EQ(drops(world.pair.alice, "transport_address"), 2U);
}

TEST(Transport, FollowsTheEncapsulation) {
  ModeWorld world({ProtocolId::esp, Mode::transport, Encapsulation::udp, Family::v4, Family::v4});
  world.install(1, world.suite());
  const Bytes packet = udp_packet(world.flow, Bytes(9));
  EXPECT_FALSE(world.pair.alice_sends({packet}).trains.at(0).train.with_ip_header);
  net::Path path = world.pair.path;
  path.local.port = path.remote.port = 0;
  world.pair.alice.update_path(model::ChildSaId{1}, path, Encapsulation::none);
  EXPECT_TRUE(world.pair.alice_sends({packet}).trains.at(0).train.with_ip_header);
}

// RFC 3948 3.1.2: both hosts behind NATs. The peer made the checksum with 10.0.0.5 to 203.0.113.1; here the packet is
// from 203.0.113.9 to 10.9.9.9.
TEST(Transport, ChecksumsAcrossNat) {
  for (const net::IpProtocol protocol : {net::IpProtocol::tcp, net::IpProtocol::udp}) {
    ModeWorld world({ProtocolId::esp, Mode::transport, Encapsulation::udp, Family::v4, Family::v4});
    const net::Path here{{address("10.9.9.9"), 4500}, {address("203.0.113.9"), 31000}};
    auto [a, b] = world.make_pair(1, world.suite());
    RawSealer sealer(b.spi_inbound, b.suite, b.inbound);
    b.path = here;
    b.local = {model::TrafficSelector::of(net::AddressRange::of(here.local.address))};
    b.remote = {model::TrafficSelector::of(net::AddressRange::of(here.remote.address))};
    b.original_remote = address("10.0.0.5");
    b.original_local = address("203.0.113.1");
    ASSERT_TRUE(world.pair.bob.install(std::move(b), {}).has_value());
    const Flow theirs{address("10.0.0.5"), address("203.0.113.1")};
    const Flow seen{here.remote.address, here.local.address};
    const auto build = [&](const Flow& flow) {
      return protocol == net::IpProtocol::tcp ? tcp_packet(flow, 1, 0x10, Bytes(33, 5))
                                              : udp_packet(flow, Bytes(33, 5));
    };
    const Bytes sent = build(theirs);
    Arrived arrived;
    arrived.input = {.path = here};
    arrived.bytes = sealer.seal_inner(1, ByteView(sent).subspan(20), protocol);
    std::vector<Arrived> all{arrived};
    const std::vector<Bytes> came = receive(world.pair.bob, all).packets;
    ASSERT_EQ(came.size(), 1U);
    EXPECT_EQ(to_hex(ByteView(came[0]).subspan(20)), to_hex(ByteView(build(seen)).subspan(20)));
  }
}

TEST(TransportChecksum, WrongStaysWrongAndNoneStaysNone) {
  const Flow theirs{address("10.0.0.5"), address("10.0.0.6")};
  const Flow seen{address("192.0.2.5"), address("192.0.2.6")};
  Bytes right = udp_packet(theirs, Bytes(20, 3));
  std::copy_n(seen.source.bytes().begin(), 4, right.begin() + 12);
  std::copy_n(seen.destination.bytes().begin(), 4, right.begin() + 16);
  Bytes wrong = right;
  wrong[26] ^= 1;
  Bytes none = right;
  store_be16(none.data() + 26, 0);
  const auto moved = [&](Bytes packet) {
    move_transport_checksum(packet, net::parse_packet(packet).value(), theirs.source, theirs.destination);
    return load_be16(packet.data() + 26);
  };
  const std::uint16_t expected = load_be16(udp_packet(seen, Bytes(20, 3)).data() + 26);
  EXPECT_EQ(moved(right), expected);
  EXPECT_NE(moved(wrong), expected);
  EXPECT_EQ(moved(none), 0);
}

// draft-nikander-esp-beet-mode-09 5.4: next header 94, then next header, length, padding, reserved.
TEST(Beet, BadPseudoHeadersAreRefused) {
  for (const bool six : {false, true}) {
    ModeWorld world({ProtocolId::esp, Mode::beet, Encapsulation::udp, Family::v4, six ? Family::v6 : Family::v4});
    auto [a, b] = world.make_pair(1, world.suite());
    RawSealer sealer(b.spi_inbound, b.suite, b.inbound);
    ASSERT_TRUE(world.pair.bob.install(std::move(b), {}).has_value());
    std::uint64_t sequence = 0;
    const auto take = [&](const Bytes& payload) {
      Arrived arrived;
      arrived.input = {.path = {world.pair.path.remote, world.pair.path.local}};
      arrived.bytes = sealer.seal_inner(++sequence, payload, static_cast<net::IpProtocol>(94));
      std::vector<Arrived> all{arrived};
      return receive(world.pair.bob, all).packets;
    };
    const Bytes data(8, 1);
    // 253 is for experiments (RFC 3692).
    const std::vector<Bytes> good = take(concat({Bytes{253, 0, 0, 0, 148, 4, 0, 0}, data}));
    EXPECT_EQ(good.size(), six ? 0U : 1U);
    if (!six) {
      EXPECT_EQ(to_hex(ByteView(good[0]).subspan(20)), "940400000101010101010101");
    }
    for (const Bytes& bad : {Bytes{}, Bytes{253, 0, 0}, Bytes{253, 1, 0, 0, 1, 1, 1, 1},
                             Bytes{253, 0, 5, 0, 1, 1, 1, 1}, Bytes{253, 0, 2, 0, 1, 1, 1, 1}}) {
      EXPECT_TRUE(take(bad).empty()) << to_hex(bad);
    }
    Bytes long_options{253, 5, 0, 0};
    long_options.resize(48, 1);
    EXPECT_TRUE(take(long_options).empty());
    EXPECT_EQ(drops(world.pair.bob, "beet_malformed"), six ? 7U : 6U);
  }
}

// RFC 4302 3.3.3.2.1 pads to 4 octets over IPv4; Linux to 8. Both are right as long as the ICV covers them.
TEST(Ah, LongerPaddingIsTaken) {
  ModeWorld world(kAhTransport);
  auto [a, b] = world.make_pair(1, world.suite());
  const auto suite = model::packet_suite(ProtocolId::ah, b.suite).value();
  const EspLayout layout = layout_of(suite, b.suite.esn);
  auto cipher = crypto::make_packet_cipher(suite, {}, b.inbound.integrity.view()).value();
  const model::Spi spi = b.spi_inbound;
  ASSERT_TRUE(world.pair.bob.install(std::move(b), {}).has_value());
  const Bytes packet = udp_packet(world.flow, Bytes(12, 4));
  std::uint64_t sequence = 0;
  for (const std::size_t ah_size : {24U, 28U, 32U, 48U}) {
    Bytes whole(20 + ah_size + packet.size() - 20, 0x5a);
    std::copy_n(packet.begin(), 20, whole.begin());
    std::copy(packet.begin() + 20, packet.end(), whole.begin() + static_cast<std::ptrdiff_t>(20 + ah_size));
    net::close_chain(MutableByteView(whole).first(20), 9, 51, whole.size());
    write_ah(whole.data() + 20, ah_size, 17, spi.value(), ++sequence);
    Bytes covered(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(20 + ah_size));
    ASSERT_TRUE(zero_mutable_fields(MutableByteView(covered).first(20)).has_value());
    if (ah_size >= 28) {
      crypto::PacketJob job = make_ah_job(layout, covered, whole.data() + 20, ah_size, packet.size() - 20, sequence);
      cipher->seal({&job, 1});
    }
    std::vector<Arrived> arrived{arrive_whole(world.pair.path, whole)};
    EXPECT_EQ(receive(world.pair.bob, arrived).packets,
              ah_size >= 28 ? std::vector<Bytes>{packet} : std::vector<Bytes>{})
        << ah_size;
  }
  EXPECT_EQ(drops(world.pair.bob, "ah_malformed"), 1U);
}

TEST(Ah, EveryIntegrityAlgorithm) {
  using enum model::IntegrityId;
  for (const model::IntegrityId integrity : {hmac_md5_96, hmac_sha1_96, aes_xcbc_96, aes_cmac_96, aes_128_gmac,
                                             aes_192_gmac, aes_256_gmac, hmac_sha2_384_192, hmac_sha2_512_256}) {
    for (const Family family : {Family::v4, Family::v6}) {
      for (const model::EsnId esn : {model::EsnId::esn, model::EsnId::no_esn}) {
        ModeWorld world({ProtocolId::ah, Mode::transport, Encapsulation::none, family, family});
        const model::EspSuite suite{
            .encryption = model::EncryptionId::null, .key_bits = 0, .integrity = integrity, .esn = esn};
        world.install(1, suite);
        const Bytes packet = udp_packet(world.flow, Bytes(77, 6));
        const Bytes whole = sealed(world, packet);
        const std::size_t front = net::ip_header_size(family);
        EXPECT_EQ((whole.size() - packet.size()) % (family == Family::v4 ? 4 : 8), 0U);
        EXPECT_EQ((whole[front + 1] + 2U) * 4, whole.size() - packet.size());
        std::vector<Arrived> arrived{arrive_whole(world.pair.path, whole)};
        EXPECT_EQ(receive(world.pair.bob, arrived).packets, std::vector<Bytes>{packet});
      }
    }
  }
}

// RFC 4302 3.4.1; and lengths that the headers and AH say wrongly.
TEST(Ah, FragmentsAndBadLengthsAreRefused) {
  ModeWorld world(kAhTransport);
  world.install(1, world.suite());
  const Bytes whole = sealed(world, udp_packet(world.flow, Bytes(40)));
  const auto refused = [&](std::size_t at, std::uint8_t value) {
    std::vector<Arrived> arrived{arrive_whole(world.pair.path, whole)};
    (at < 20 ? arrived[0].headers[at] : arrived[0].bytes[at - 20]) = value;
    return receive(world.pair.bob, arrived).packets.empty();
  };
  EXPECT_TRUE(refused(6, 0x20));  // more fragments
  EXPECT_TRUE(refused(7, 1));     // an offset
  EXPECT_EQ(drops(world.pair.bob, "outer_fragment"), 2U);
  EXPECT_TRUE(refused(3, 1));   // total length
  EXPECT_TRUE(refused(9, 17));  // not AH
  EXPECT_TRUE(refused(0, 0x46));
  EXPECT_EQ(drops(world.pair.bob, "outer_malformed"), 3U);
  EXPECT_TRUE(refused(21, 0));
  EXPECT_TRUE(refused(21, 255));
  EXPECT_EQ(drops(world.pair.bob, "ah_malformed"), 2U);
}

}  // namespace
}  // namespace culvert::ipsec
