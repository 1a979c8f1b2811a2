// Lengths in every mode: what the path takes leaves in one piece, the rest is refused with the right figure, or cut
// outside and whole again at the other end.
#include <gtest/gtest.h>

#include "ipsec/modes_test_kit.hpp"
#include "ipsec/reassembler.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using model::Mode;
using net::Family;

class AroundModes : public testing::TestWithParam<ModeCase> {
 protected:
  static void install(ModeWorld& world, std::uint16_t mtu) {
    auto [a, b] = world.make_pair(1, world.suite());
    a.path_mtu = b.path_mtu = mtu;
    a.treatment.outer.fragmentation = model::Fragmentation::after;
    ASSERT_TRUE(world.pair.alice.install(std::move(a), world.pair.now).has_value());
    ASSERT_TRUE(world.pair.bob.install(std::move(b), world.pair.now).has_value());
  }
  static Bytes of_length(const Flow& flow, std::size_t length) {
    return udp_packet(flow, Bytes(length - net::ip_header_size(flow.source.family()) - net::kUdpHeaderSize, 0x5a));
  }
  /// Octets of the outer packet that a train's only packet becomes.
  static std::size_t outer_length(const SentTrain& sent) {
    if (sent.train.with_ip_header) return sent.bytes.size();
    const bool udp = sent.train.encapsulation == model::Encapsulation::udp;
    return sent.bytes.size() + net::ip_header_size(sent.train.path.remote.address.family()) + (udp ? 8 : 0);
  }
};
INSTANTIATE_TEST_SUITE_P(All, AroundModes, testing::ValuesIn(all_mode_cases()),
                         [](const auto& one) { return one.param.name(); });

// RFC 4301 8.2.1: the answer names the longest packet that goes, exactly.
TEST_P(AroundModes, AnswersNameTheLongestThatFits) {
  ModeWorld world(GetParam());
  install(world, 1400);
  world.flow.dont_fragment = true;
  const CollectingWire refused = world.pair.alice_sends({of_length(world.flow, 1400)});
  EXPECT_TRUE(refused.trains.empty());
  ASSERT_EQ(refused.answers.size(), 1U);
  const net::PacketInfo info = net::parse_packet(refused.answers[0]).value();
  const std::size_t longest = load_be16(refused.answers[0].data() + info.header_length + 6);

  const CollectingWire fits = world.pair.alice_sends({of_length(world.flow, longest)});
  ASSERT_EQ(fits.trains.size(), 1U) << longest;
  EXPECT_LE(outer_length(fits.trains[0]), 1400U);
  EXPECT_GT(outer_length(fits.trains[0]), 1400U - 16U);
  EXPECT_EQ(world.pair.alice_sends({of_length(world.flow, longest + 1)}).answers.size(), 1U);
}

TEST_P(AroundModes, OuterPacketsAreCutAndWholeAgain) {
  ModeWorld world(GetParam());
  const bool six = GetParam().inner == Family::v6;
  const std::uint16_t mtu = six ? 1280 : 1400;
  install(world, mtu);
  const Bytes packet = of_length(world.flow, six ? 1280 : 3000);
  const CollectingWire wire = world.pair.alice_sends({packet});
  EXPECT_TRUE(wire.answers.empty());
  Reassembler reassembler{ReassemblyBounds{}};
  std::vector<Arrived> arrived;
  for (const SentTrain& sent : wire.trains) {
    if (!sent.train.with_ip_header) {
      EXPECT_FALSE(sent.train.dont_fragment) << "the kernel has to cut it";
      for (Arrived& one : arrive(sent)) arrived.push_back(std::move(one));
      continue;
    }
    EXPECT_LE(sent.bytes.size(), mtu);
    const auto info = net::parse_packet(sent.bytes);
    ASSERT_TRUE(info.has_value());
    ASSERT_TRUE(info->is_fragment);
    const auto whole =
        reassembler.add(sent.bytes, *info, fragment_fields(sent.bytes, *info).value(), world.pair.now).value();
    if (whole) arrived.push_back(arrive_whole(sent.train.path, *whole));
  }
  const std::vector<Bytes> came = receive(world.pair.bob, arrived, world.pair.now).packets;
  ASSERT_EQ(came.size(), 1U);
  EXPECT_EQ(to_hex(world.comparable(came[0])), to_hex(world.comparable(packet)));
  EXPECT_EQ(all_drops(world.pair.alice) + all_drops(world.pair.bob), 0U);
}

// A path that takes nothing: everything is refused or lost, nothing breaks.
TEST_P(AroundModes, APathThatTakesNothing) {
  for (const std::uint16_t mtu : {std::uint16_t{1}, std::uint16_t{40}, std::uint16_t{75}, std::uint16_t{100}}) {
    ModeWorld world(GetParam());
    install(world, mtu);
    for (const std::size_t length : {60U, 200U, 3000U, 60000U}) {
      for (const SentTrain& sent : world.pair.alice_sends({of_length(world.flow, length)}).trains) {
        if (sent.train.with_ip_header) {
          EXPECT_LE(sent.train.segment_size, mtu);
        }
      }
    }
  }
}

}  // namespace
}  // namespace culvert::ipsec
