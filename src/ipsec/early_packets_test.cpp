// RFC 7296 2.8: the peer may send by a new SA as soon as it has answered.
#include "ipsec/early_packets.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

// Alice has the pair and sends; Bob has told her his SPI and nothing else.
class EarlyPacketsTest : public ::testing::Test {
 protected:
  EarlyPacketsTest() : pair(with(early)) {
    pair.set_policies();
    auto [a, b] = pair.make_pair(1, {});
    CHECK(pair.alice.install(std::move(a), pair.now).has_value());
    of_bob = std::move(b);
    early.expect(of_bob.spi_inbound);
  }
  static EngineOptions with(EarlyPackets& early) {
    EngineOptions options;
    options.early_packets = &early;
    return options;
  }
  std::vector<Bytes> sealed(std::size_t count) {
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < count; ++i) {
      packets.push_back(udp_packet(pair.v4, as_bytes("packet " + std::to_string(i))));
    }
    sent.insert(sent.end(), packets.begin(), packets.end());
    return pair.alice_sends(packets).packets();
  }
  CollectingInner install_and_release() {
    CHECK(pair.bob.install(std::move(of_bob), pair.now).has_value());
    CollectingInner inner;
    pair.bob.release(pair.now, inner);
    return inner;
  }

  EarlyPackets early{SpiLayout{}};
  TwoEngines pair;
  model::ChildSaParams of_bob;
  std::vector<Bytes> sent;
};

TEST_F(EarlyPacketsTest, WaitForTheirSaAndComeInOrder) {
  const std::vector<Bytes> packets = sealed(3);
  EXPECT_TRUE(pair.bob_receives(packets).packets.empty());
  EXPECT_TRUE(only<UnknownSpi>(pair.events(pair.bob)).empty()) << "the peer has not lost its way";
  EXPECT_EQ(pair.bob.next_deadline(), pair.now + EarlyPackets::kMaxAge);
  ASSERT_TRUE(pair.bob.install(std::move(of_bob), pair.now).has_value());
  EXPECT_EQ(pair.bob.next_deadline(), Instant::min());
  CollectingInner inner;
  pair.bob.release(pair.now, inner);
  EXPECT_EQ(inner.packets, sent);
  EXPECT_EQ(drops(pair.bob, "spi_unknown"), 0U);

  EXPECT_TRUE(pair.bob_receives(packets).packets.empty()) << "no packet twice";
  EXPECT_EQ(drops(pair.bob, "replayed"), 3U);
  pair.bob.release(pair.now, inner);
  EXPECT_EQ(inner.packets.size(), 3U);
}

TEST_F(EarlyPacketsTest, OutOfATrainToo) {
  const auto trains = [&] {
    std::vector<Bytes> packets;
    for (int i = 0; i < 4; ++i) packets.push_back(udp_packet(pair.v4, Bytes(100, static_cast<std::uint8_t>(i))));
    sent = packets;
    return pair.alice_sends(packets).trains;
  }();
  ASSERT_EQ(trains.size(), 1U);
  EXPECT_TRUE(pair.bob_receives_trains(trains).packets.empty());
  EXPECT_EQ(install_and_release().packets, sent);
}

// A held pair is the responder's: the first packet of the peer's ends that, also an early one.
TEST_F(EarlyPacketsTest, EndTheHoldOfTheirPair) {
  EXPECT_TRUE(pair.bob_receives(sealed(1)).packets.empty());
  of_bob.hold_outbound = true;
  EXPECT_EQ(install_and_release().packets, sent);
  EXPECT_TRUE(pair.bob.take_hold_ended());
}

TEST_F(EarlyPacketsTest, ForgedOnesAreRefusedWhenTheSaIsThere) {
  std::vector<Bytes> packets = sealed(2);
  packets[0].back() ^= 1;
  EXPECT_TRUE(pair.bob_receives(packets).packets.empty());
  EXPECT_EQ(install_and_release().packets, std::vector<Bytes>{sent[1]});
  EXPECT_EQ(drops(pair.bob, "bad_icv"), 1U);
}

TEST_F(EarlyPacketsTest, AreDroppedAndCountedWhenTheirSaDoesNotCome) {
  EXPECT_TRUE(pair.bob_receives(sealed(3)).packets.empty());
  CollectingWire wire;
  pair.now += EarlyPackets::kMaxAge - std::chrono::nanoseconds(1);
  pair.bob.handle_time(pair.now, wire);
  EXPECT_EQ(drops(pair.bob, "spi_unknown"), 0U);
  pair.now += std::chrono::nanoseconds(1);
  pair.bob.handle_time(pair.now, wire);
  EXPECT_EQ(drops(pair.bob, "spi_unknown"), 3U);
  EXPECT_FALSE(pair.bob.next_deadline());
  EXPECT_TRUE(install_and_release().packets.empty());
}

TEST_F(EarlyPacketsTest, AreNotKeptForAnSpiThatIsGivenUp) {
  early.forget(of_bob.spi_inbound);
  EXPECT_TRUE(pair.bob_receives(sealed(3)).packets.empty());
  EXPECT_EQ(drops(pair.bob, "spi_unknown"), 3U);
  EXPECT_EQ(only<UnknownSpi>(pair.events(pair.bob)).size(), 3U);
}

TEST_F(EarlyPacketsTest, AreNotKeptOnceTheSaWasThere) {
  (void)install_and_release();
  pair.bob.remove(model::ChildSaId{1}, Duration::zero(), pair.now);
  EXPECT_TRUE(pair.bob_receives(sealed(1)).packets.empty());
  EXPECT_EQ(drops(pair.bob, "spi_unknown"), 1U);
}

TEST_F(EarlyPacketsTest, AreBounded) {
  const model::Spi spi = of_bob.spi_inbound;
  const WireInput input;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < 2 * EarlyPackets::kMaxPackets; ++i) kept += early.keep(spi, input, Bytes(8), {}) ? 1 : 0;
  EXPECT_EQ(kept, EarlyPackets::kMaxPackets);
  EXPECT_EQ(early.expire(Instant{} + EarlyPackets::kMaxAge), kept);
  const Bytes longest(65'000);
  while (early.keep(spi, input, longest, {})) ++kept;
  EXPECT_EQ(kept - EarlyPackets::kMaxPackets, EarlyPackets::kMaxOctets / longest.size());
  EXPECT_EQ(early.take(spi).size(), EarlyPackets::kMaxOctets / longest.size());
  early.expect(spi);
  EXPECT_TRUE(early.keep(spi, input, longest, {})) << "what was taken leaves room";
}

// RFC 4302 3.3.3.1: AH covers the header in front of it.
TEST_F(EarlyPacketsTest, KeepTheHeaderInFrontOfThem) {
  Bytes header(20, 0x45);
  const Bytes packet(40, 7);
  WireInput input{.encapsulation = model::Encapsulation::none, .tos = 3, .protocol = 51, .ip_header = header};
  ASSERT_TRUE(early.keep(of_bob.spi_inbound, input, packet, {}));
  const Bytes as_it_was = header;
  header.assign(20, 0);
  auto taken = early.take(of_bob.spi_inbound);
  ASSERT_EQ(taken.size(), 1U);
  const WireInput view = taken[0].view();
  EXPECT_TRUE(equal(view.ip_header, as_it_was));
  EXPECT_TRUE(equal(view.bytes, packet));
  EXPECT_EQ(view.protocol, 51);
  EXPECT_EQ(view.tos, 3);
}

}  // namespace
}  // namespace culvert::ipsec
