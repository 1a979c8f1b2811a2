// Packets that are like those in front of them share what was found out about the first. So whatever comes together has
// to fare as if each came alone.
#include <array>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

// SAs of one suite, and SAs of which each has another: ciphers of two families, and one of none.
std::vector<NamedSuite> suites_and_mixed() {
  std::vector<NamedSuite> suites = all_suites();
  suites.push_back({"mixed", suites[0].suite});
  return suites;
}
model::EspSuite suite_of(const NamedSuite& named, std::size_t sa) {
  const auto suites = all_suites();
  return named.name == std::string("mixed") ? suites[std::array{0, 1, 3}[sa % 3]].suite : named.suite;
}
bool has_random_iv(const model::EspSuite& suite) {
  return suite.encryption == model::EncryptionId::aes_cbc || suite.encryption == model::EncryptionId::camellia_cbc ||
         suite.encryption == model::EncryptionId::triple_des;
}

// Two pairs of engines with the same keys: one gets packets many at a time, the other one by one.
class Twins : public testing::TestWithParam<NamedSuite> {
 protected:
  static constexpr std::size_t kSas = 3;

  Twins() {
    for (TwoEngines* const pair : {&together_, &apart_}) {
      pair->set_policies();
      for (std::size_t i = 0; i < kSas; ++i) {
        auto [a, b] = pair->make_pair(i + 1, suite_of(GetParam(), i));
        const model::TrafficSelectors far{selector(fmt::format("10.2.{}.0/24", i)), selector("2001:db8:2::/48")};
        a.remote = b.local = far;
        a.replay_window = b.replay_window = 64;
        CHECK(pair->alice.install(std::move(a), pair->now).has_value());
        CHECK(pair->bob.install(std::move(b), pair->now).has_value());
      }
    }
  }

  // Runs of packets of few flows, most of them alike.
  std::vector<Bytes> packets(std::size_t count) {
    std::vector<Bytes> all;
    Flow flow = together_.v4;
    std::size_t size = 100;
    bool tcp = false;
    std::uint8_t flags = 0x10;
    while (all.size() < count) {
      switch (random_.below(24)) {
        case 0: size = random_.below(1300); break;
        case 1: ++size; break;
        case 2: flow.tos ^= 0x08; break;
        case 3: flow.dont_fragment = !flow.dont_fragment; break;
        case 4: tcp = !tcp; break;
        case 5: flags ^= 0x02; break;
        case 6: ++flow.source_port; break;
        case 7: flow.destination = address(fmt::format("10.2.{}.1", random_.below(kSas))); break;
        case 8: all.push_back(udp_packet(together_.v6, random_bytes(random_, size))); break;
        default: break;
      }
      ++flow.identification;
      const Bytes payload = random_bytes(random_, size);
      all.push_back(tcp ? tcp_packet(flow, static_cast<std::uint32_t>(all.size()), flags, payload)
                        : udp_packet(flow, payload));
      // Octets behind the packet's own length are no part of it.
      if (random_.below(20) == 0) all.back().push_back(0xaa);
    }
    return all;
  }
  static void expect_same_counters(const TwoEngines& one, const TwoEngines& other) {
    EXPECT_EQ(one.alice.drop_counters(), other.alice.drop_counters());
    EXPECT_EQ(one.bob.drop_counters(), other.bob.drop_counters());
    for (std::size_t i = 1; i <= kSas; ++i) {
      const auto of = [i](const Engine& engine) {
        const SaCounters counters = engine.counters(model::ChildSaId{i}).value();
        return std::array{counters.inbound_packets, counters.inbound_bytes,     counters.outbound_packets,
                          counters.outbound_bytes,  counters.outbound_sequence, counters.replay_drops,
                          counters.integrity_drops};
      };
      EXPECT_EQ(of(one.alice), of(other.alice)) << i;
      EXPECT_EQ(of(one.bob), of(other.bob)) << i;
    }
  }

  // What came, and what its datagram said.
  struct Arrival {
    Bytes packet;
    std::uint8_t tos = 0;
    std::uint16_t port = 4500;
  };
  static std::vector<Bytes> receive(TwoEngines& pair, std::span<const Arrival> arrivals) {
    std::vector<Bytes> packets;
    std::vector<WireInput> inputs;
    for (const Arrival& arrival : arrivals) packets.push_back(arrival.packet);
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      const net::Endpoint remote{pair.path.local.address, arrivals[i].port};
      inputs.push_back({.path = {pair.path.remote, remote}, .tos = arrivals[i].tos, .bytes = packets[i]});
    }
    CollectingInner inner;
    pair.bob.inbound(inputs, pair.now, inner);
    return inner.packets;
  }

  TwoEngines together_;
  TwoEngines apart_;
  SeededRandom random_{9};
};
INSTANTIATE_TEST_SUITE_P(Suites, Twins, testing::ValuesIn(suites_and_mixed()),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_P(Twins, AreSealedAsIfEachCameAlone) {
  for (int round = 0; round < 6; ++round) {
    const std::vector<Bytes> inner = packets(200);
    const CollectingWire wire = together_.alice_sends(inner);
    std::vector<Bytes> one_by_one;
    std::vector<WireTrain> trains;
    for (const Bytes& packet : inner) {
      const CollectingWire alone = apart_.alice_sends({packet});
      ASSERT_EQ(alone.trains.size(), 1U);
      one_by_one.push_back(alone.trains[0].bytes);
      trains.push_back(alone.trains[0].train);
    }
    const std::vector<Bytes> sealed = wire.packets();
    ASSERT_EQ(sealed.size(), inner.size());
    for (std::size_t i = 0; i < sealed.size(); ++i) {
      ASSERT_EQ(sealed[i].size(), one_by_one[i].size()) << i;
      const bool unpredictable = has_random_iv(GetParam().suite) || GetParam().name == std::string("mixed");
      ASSERT_TRUE(unpredictable || sealed[i] == one_by_one[i]) << i;
    }
    // And each train's packets leave with the fields that each would have had.
    std::size_t at = 0;
    for (const SentTrain& train : wire.trains) {
      for (std::size_t i = 0; i < train.train.segments(); ++i, ++at) {
        ASSERT_EQ(train.train.tos, trains[at].tos);
        ASSERT_EQ(train.train.dont_fragment, trains[at].dont_fragment);
        ASSERT_EQ(train.train.hop_limit, trains[at].hop_limit);
      }
    }
  }
  expect_same_counters(together_, apart_);
}

TEST_P(Twins, AreOpenedAsIfEachCameAlone) {
  for (int round = 0; round < 6; ++round) {
    std::vector<Bytes> sealed = together_.alice_sends(packets(200)).packets();
    // Some twice, some late, some damaged anywhere, some cut.
    for (std::size_t i = 0; i < sealed.size(); ++i) {
      const std::size_t other = random_.below(sealed.size());
      switch (random_.below(40)) {
        case 0: sealed[i] = sealed[other]; break;
        case 1: std::swap(sealed[i], sealed[other]); break;
        case 2: sealed[i][random_.below(sealed[i].size())] ^= 0x40; break;
        case 3: sealed[i].resize(random_.below(sealed[i].size() + 1)); break;
        default: break;
      }
    }
    // An empty datagram is no WireInput.
    std::erase_if(sealed, [](const Bytes& packet) { return packet.empty(); });
    std::vector<Arrival> arrivals;
    for (const Bytes& packet : sealed) {
      // RFC 6040 4.2: congestion marked outside of what is not ECN-capable means a drop.
      const std::uint8_t tos = random_.below(20) == 0 ? static_cast<std::uint8_t>(random_.below(4)) : 0;
      arrivals.push_back({packet, tos, static_cast<std::uint16_t>(random_.below(20) == 0 ? 4501 : 4500)});
    }
    std::vector<Bytes> one_by_one;
    for (const Arrival& arrival : arrivals) {
      for (Bytes& alone : receive(apart_, {&arrival, 1})) one_by_one.push_back(std::move(alone));
    }
    ASSERT_EQ(receive(together_, arrivals), one_by_one);
  }
  // Whether a packet is refused for its number or for its ICV depends on what was received before it was looked at.
  for (std::size_t i = 1; i <= kSas; ++i) {
    const SaCounters one = together_.bob.counters(model::ChildSaId{i}).value();
    const SaCounters other = apart_.bob.counters(model::ChildSaId{i}).value();
    EXPECT_EQ(one.inbound_packets, other.inbound_packets);
    EXPECT_EQ(one.inbound_bytes, other.inbound_bytes);
    EXPECT_EQ(one.replay_drops + one.integrity_drops, other.replay_drops + other.integrity_drops);
  }
  EXPECT_EQ(all_drops(together_.bob), all_drops(apart_.bob));
}

// Packets that wait to be sealed have their ciphers already. A super-packet behind them is sealed at once, and in a
// small pool its key takes the place of one of theirs.
TEST(SealedTogether, AKeyMayLeaveThePoolBeforeItsPacketsAreSealed) {
  EngineOptions options;
  options.expanded_keys = 2;
  TwoEngines pair(options);
  pair.set_policies();
  for (std::size_t i = 0; i < 3; ++i) {
    auto [a, b] = pair.make_pair(i + 1, all_suites()[0].suite);
    a.remote = b.local = {selector(fmt::format("10.2.{}.0/24", i))};
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
  }
  const auto flow = [&pair](std::size_t sa) {
    Flow towards = pair.v4;
    towards.destination = address(fmt::format("10.2.{}.1", sa % 3));
    return towards;
  };
  for (std::size_t round = 0; round < 18; ++round) {
    std::vector<Bytes> two{udp_packet(flow(round), Bytes(64, 1)), udp_packet(flow(round + 1), Bytes(64, 2))};
    EXPECT_EQ(pair.bob_receives(pair.alice_sends(two).packets()).packets, two);
    // Either of them is the one whose key goes: the first of the batch, or one behind it.
    if (round >= 9) std::swap(two[0], two[1]);
    std::vector<InnerBuffer> buffers;
    for (const Bytes& packet : two) buffers.emplace_back(packet);
    buffers.emplace_back(
        tcp_packet(flow(round + 2), 1, 0x10, Bytes(3000, 3)),
        Offload{.segmentation = Offload::Segmentation::tcp4, .segment_size = 1000, .checksum_partial = true});
    std::vector<InnerPacket> views;
    for (InnerBuffer& buffer : buffers) views.push_back(buffer.view());
    CollectingWire wire;
    pair.alice.outbound(views, pair.now, wire);
    const std::vector<Bytes> received = pair.bob_receives(wire.packets()).packets;
    ASSERT_EQ(received.size(), 5U);
    EXPECT_EQ(received[0], two[0]);
    EXPECT_EQ(received[1], two[1]);
  }
  EXPECT_EQ(all_drops(pair.bob), 0U);
}

}  // namespace
}  // namespace culvert::ipsec
