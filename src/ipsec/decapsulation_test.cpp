// What a peer that holds the keys may still get wrong: everything behind the ICV.
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

class Decapsulation : public testing::TestWithParam<NamedSuite> {
 protected:
  Decapsulation() {
    pair_.set_policies();
    auto [a, b] = pair_.make_pair(1, GetParam().suite);
    sealer_ = std::make_unique<RawSealer>(b.spi_inbound, b.suite, b.inbound);
    CHECK(pair_.bob.install(std::move(b), pair_.now).has_value());
  }

  // Bob's answer to one more packet with this plaintext.
  std::vector<Bytes> receive_text(ByteView text) {
    return pair_.bob_receives({sealer_->seal(++sequence_, text)}).packets;
  }
  std::vector<Bytes> receive_inner(ByteView inner, net::IpProtocol next_header) {
    return pair_.bob_receives({sealer_->seal_inner(++sequence_, inner, next_header)}).packets;
  }
  std::uint64_t count(std::string_view reason) { return drops(pair_.bob, reason); }

  TwoEngines pair_;
  std::unique_ptr<RawSealer> sealer_;
  std::uint64_t sequence_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Suites, Decapsulation, testing::ValuesIn(all_suites()),
                         [](const auto& suite) { return std::string(suite.param.name); });

TEST_P(Decapsulation, RightPacketsOfBothFamiliesArrive) {
  const Bytes v4 = udp_packet(pair_.v4, as_bytes("four"));
  const Bytes v6 = udp_packet(pair_.v6, as_bytes("six"));
  EXPECT_EQ(receive_inner(v4, net::IpProtocol::ipv4), std::vector<Bytes>{v4});
  EXPECT_EQ(receive_inner(v6, net::IpProtocol::ipv6), std::vector<Bytes>{v6});
}

// RFC 4303 2.4.
TEST_P(Decapsulation, WrongPaddingIsDropped) {
  const Bytes packet = udp_packet(pair_.v4, Bytes(20));
  Bytes text = packet;
  text.resize(sealer_->layout().padded(packet.size() + 10));
  const std::size_t padding = text.size() - packet.size() - kEspTrailerSize;
  for (std::size_t i = 0; i < padding; ++i) text[packet.size() + i] = static_cast<std::uint8_t>(i + 1);
  text[text.size() - 2] = static_cast<std::uint8_t>(padding);
  text[text.size() - 1] = 4;
  EXPECT_EQ(receive_text(text).size(), 1U);
  Bytes wrong = text;
  wrong[packet.size() + 1] = 0;
  EXPECT_EQ(receive_text(wrong).size(), 0U);
  wrong = text;
  wrong[packet.size() + padding - 1] ^= 1;
  EXPECT_EQ(receive_text(wrong).size(), 0U);
  wrong = text;
  wrong[wrong.size() - 2] = static_cast<std::uint8_t>(text.size() - 1);
  EXPECT_EQ(receive_text(wrong).size(), 0U);
  wrong[wrong.size() - 2] = 255;
  EXPECT_EQ(receive_text(wrong).size(), 0U);
  EXPECT_EQ(count("bad_padding"), 4U);
}

// RFC 4303 2.6.
TEST_P(Decapsulation, DummyPacketsAreDroppedWithoutPrejudice) {
  EXPECT_TRUE(receive_inner(Bytes(100), net::IpProtocol::no_next).empty());
  EXPECT_TRUE(receive_inner({}, net::IpProtocol::no_next).empty());
  EXPECT_EQ(count("dummy"), 2U);
  EXPECT_EQ(all_drops(pair_.bob), 2U);
}

// RFC 4303 2.7: the inner packet's own length decides; what follows is TFC padding.
TEST_P(Decapsulation, TrafficFlowPaddingIsCutOff) {
  for (const bool six : {false, true}) {
    const Bytes packet = udp_packet(six ? pair_.v6 : pair_.v4, as_bytes("short"));
    Bytes padded = packet;
    padded.resize(1200, 0xaa);
    EXPECT_EQ(receive_inner(padded, six ? net::IpProtocol::ipv6 : net::IpProtocol::ipv4), std::vector<Bytes>{packet});
  }
}

TEST_P(Decapsulation, OtherNextHeadersAreDropped) {
  const Bytes v4 = udp_packet(pair_.v4, {});
  const Bytes v6 = udp_packet(pair_.v6, {});
  EXPECT_TRUE(receive_inner(v4, net::IpProtocol::ipv6).empty());
  EXPECT_TRUE(receive_inner(v6, net::IpProtocol::ipv4).empty());
  EXPECT_TRUE(receive_inner(v4, net::IpProtocol::udp).empty());  // transport mode was not agreed
  EXPECT_TRUE(receive_inner(v4, net::IpProtocol::hop_by_hop).empty());
  EXPECT_EQ(count("bad_next_header"), 4U);
}

TEST_P(Decapsulation, InnerGarbageIsDropped) {
  Bytes cut = udp_packet(pair_.v4, Bytes(40));
  cut.resize(50);
  Bytes short_header = udp_packet(pair_.v4, {});
  short_header[0] = 0x44;
  EXPECT_TRUE(receive_inner({}, net::IpProtocol::ipv4).empty());
  EXPECT_TRUE(receive_inner(Bytes(60), net::IpProtocol::ipv4).empty());
  EXPECT_TRUE(receive_inner(cut, net::IpProtocol::ipv4).empty());
  EXPECT_TRUE(receive_inner(short_header, net::IpProtocol::ipv4).empty());
  EXPECT_EQ(count("decapsulated_malformed"), 4U);
}

// RFC 4303 3.4.3: a packet that passed the ICV has used its number, whatever was inside.
TEST_P(Decapsulation, DroppedBehindTheIcvStillCountsForReplay) {
  const Bytes sealed = sealer_->seal_inner(++sequence_, Bytes(60), net::IpProtocol::ipv4);
  EXPECT_TRUE(pair_.bob_receives({sealed, sealed}).packets.empty());
  EXPECT_EQ(count("decapsulated_malformed"), 1U);
  EXPECT_EQ(count("replayed"), 1U);
}

// RFC 4303 2.2.1, A2: numbers beyond 2^32 are reconstructed, or, without ESN, do not exist.
TEST_P(Decapsulation, HighSequenceNumbers) {
  const Bytes packet = udp_packet(pair_.v4, as_bytes("late"));
  const bool extended = GetParam().suite.esn == model::EsnId::esn;
  sequence_ = 0x8000'0000;  // on the way: from 0 the last numbers of the subspace would lie left of the window
  ASSERT_EQ(receive_inner(packet, net::IpProtocol::ipv4).size(), 1U);
  sequence_ = 0xffff'fff0;
  std::size_t arrived = 0;
  for (int i = 0; i < 32; ++i) arrived += receive_inner(packet, net::IpProtocol::ipv4).size();
  EXPECT_EQ(arrived, extended ? 32U : 15U);
}

}  // namespace
}  // namespace culvert::ipsec
