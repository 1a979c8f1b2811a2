#include "ipsec/selector_list.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using test_kit::address;
using test_kit::selector;

TEST(SelectorList, KeepsWhatItWasGiven) {
  const model::TrafficSelectors selectors{selector("10.0.0.0/8"), selector("2001:db8::/32[tcp/80-90]"),
                                          selector("192.0.2.7-192.0.2.9[udp]"), selector("::/0")};
  const SelectorList list(selectors);
  EXPECT_EQ(list.all(), selectors);
  EXPECT_EQ(list.front(), selectors.front());
  EXPECT_FALSE(list.empty());
  EXPECT_TRUE(SelectorList(model::TrafficSelectors{}).empty());
  EXPECT_TRUE(SelectorList().all().empty());
}

// Against the lists of the model, with random packets near the selectors' edges.
TEST(SelectorList, MatchesAsItsSelectorsDo) {
  SeededRandom random(11);
  const auto some_address = [&](bool v6) {
    const auto low = static_cast<std::uint8_t>(random.below(6));
    return v6 ? net::IpAddress::v6({0x20, 1, 0xd, 0xb8, static_cast<std::uint8_t>(random.below(2) * 255), 0, 0, 0, 0, 0,
                                    0, 0, 0, 0, 0, low})
              : net::IpAddress::v4({static_cast<std::uint8_t>(random.below(2) * 200), 0, 0, low});
  };
  const auto some_protocol = [&] {
    constexpr std::uint8_t kProtocols[] = {0, 1, 6, 17, 58};
    return kProtocols[random.below(5)];
  };
  const auto some_list = [&] {
    model::TrafficSelectors list;
    for (std::uint64_t i = random.below(4); i > 0; --i) {
      model::TrafficSelector one;
      const bool v6 = random.below(2) == 0;
      one.addresses = {some_address(v6), some_address(v6)};
      if (one.addresses.last < one.addresses.first) std::swap(one.addresses.first, one.addresses.last);
      one.protocol = some_protocol();
      const auto kind = random.below(3);
      if (kind == 0) one.start_port = 0xffff, one.end_port = 0;
      if (kind == 1) one.start_port = static_cast<std::uint16_t>(random.below(4)), one.end_port = 3;
      list.push_back(one);
    }
    return list;
  };
  std::size_t matches = 0;
  for (int i = 0; i < 200'000; ++i) {
    const model::TrafficSelectors source = some_list();
    const model::TrafficSelectors destination = some_list();
    net::PacketInfo packet;
    const bool v6 = random.below(2) == 0;
    packet.family = v6 ? net::Family::v6 : net::Family::v4;
    packet.source = some_address(v6);
    packet.destination = some_address(v6);
    packet.protocol = some_protocol();
    packet.ports_visible = random.below(3) != 0;
    packet.source_port = static_cast<std::uint16_t>(random.below(5));
    packet.destination_port = static_cast<std::uint16_t>(random.below(5));
    const bool expected = selectors_match(source, destination, packet);
    ASSERT_EQ(selectors_match(SelectorList(source), SelectorList(destination), packet), expected) << i;
    matches += expected ? 1 : 0;
  }
  EXPECT_GT(matches, 1000U);
}

}  // namespace
}  // namespace culvert::ipsec
