// Packets of SAs in turn go several at a time, with AVX-512 through wide registers. Whatever comes together has to
// leave as if each came alone, by either way.
#include <array>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

// Two engines with the same keys: one gets packets many at a time, the other one by one. The parameter says whether
// wide registers may be used.
class Turns : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::size_t kSas = 8;

  void SetUp() override {
    before_ = OutboundPath::take_turns(GetParam());
    for (TwoEngines* const pair : {&together_, &apart_}) {
      pair->set_policies();
      for (std::size_t i = 0; i < kSas; ++i) {
        auto [a, b] = pair->make_pair(i + 1, model::EspSuite{});
        a.remote = {selector(fmt::format("10.2.{}.0/24", i)), selector(fmt::format("2001:db8:2:{:x}::/64", i))};
        a.path.remote.port = static_cast<std::uint16_t>(4500 + i / 2);  // two to a peer
        change(i, a);
        ASSERT_TRUE(pair->alice.install(std::move(a), pair->now).has_value());
      }
    }
  }
  void TearDown() override { OutboundPath::take_turns(before_); }

  // What makes one SA's packets another matter than the others'.
  static void change(std::size_t i, model::ChildSaParams& a) {
    if (i == 2) a.encapsulation = model::Encapsulation::none;
    if (i == 3) a.treatment.outer.hop_limit = 99;
    if (i == 4) a.sequence_used = 0xffff'fff0;
    if (i == 4) a.path_mtu = 700;
    if (i == 5) a.hard.packets = 250;
    if (i == 6) a.treatment.confidentiality.pad_to = 300;
    if (i == 7) a.path.remote.address = address("203.0.113.77");
  }

  // Those SAs in turn, and now and then something else.
  std::vector<Bytes> packets(std::size_t count, const std::vector<std::size_t>& among) {
    std::vector<Bytes> all;
    Flow flow = together_.v4;
    std::size_t size = 40;
    bool tcp = false;
    while (all.size() < count) {
      std::uint8_t flags = 0x10;
      std::size_t sa = among[all.size() % among.size()];
      switch (random_.below(150)) {
        case 0: size = random_.below(1300); break;
        case 1: size = random_.below(90); break;
        case 2: flow.tos ^= 0x08; break;
        case 3: flow.dont_fragment = !flow.dont_fragment; break;
        case 4: tcp = !tcp; break;
        case 5: flags ^= 0x02; break;
        case 6: ++flow.source_port; break;
        case 7: sa = among[random_.below(among.size())]; break;
        case 8: all.push_back(udp_packet(together_.v6, random_bytes(random_, size))); break;
        case 9: all.push_back(with_ip_header(flow, static_cast<net::IpProtocol>(99), Bytes(size))); break;
        default: break;
      }
      ++flow.identification;
      flow.destination = address(fmt::format("10.2.{}.1", sa));
      const Bytes payload = random_bytes(random_, size);
      all.push_back(tcp ? tcp_packet(flow, 1, flags, payload) : udp_packet(flow, payload));
      if (random_.below(200) == 0) all.back().push_back(0xaa);  // no part of it
    }
    return all;
  }

  // A packet as it leaves, and how.
  using Sent = std::tuple<Bytes, net::Path, model::Encapsulation, bool, unsigned, unsigned, bool>;
  static void add(std::vector<Sent>& all, const CollectingWire& wire) {
    for (const SentTrain& train : wire.trains) {
      const WireTrain& how = train.train;
      for (Bytes& packet : train.packets()) {
        all.emplace_back(std::move(packet), how.path, how.encapsulation, how.with_ip_header, how.hop_limit, how.tos,
                         how.dont_fragment);
      }
    }
  }
  static std::array<std::uint64_t, 3> counters(const Engine& engine, std::size_t i) {
    const SaCounters counters = engine.counters(model::ChildSaId{i + 1}).value();
    return {counters.outbound_packets, counters.outbound_bytes, counters.outbound_sequence};
  }

  TwoEngines together_;
  TwoEngines apart_;
  SeededRandom random_{11};
  bool before_ = false;
};
INSTANTIATE_TEST_SUITE_P(Registers, Turns, testing::Bool());

TEST_P(Turns, LeaveAsIfEachCameAlone) {
  for (int round = 0; round < 40; ++round) {
    // All SAs, and such as differ in nothing but keys, or paths as well.
    static const std::array<std::vector<std::size_t>, 4> kTurns{
        {{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1}, {0, 4}, {0, 1, 0, 1, 5, 4, 0, 1, 0, 4, 1}}};
    const std::vector<Bytes> inner = packets(300, kTurns.at(static_cast<std::size_t>(round) % kTurns.size()));
    std::vector<Sent> at_once;
    std::vector<Sent> one_by_one;
    add(at_once, together_.alice_sends(inner));
    for (const Bytes& packet : inner) add(one_by_one, apart_.alice_sends({packet}));
    ASSERT_EQ(at_once.size(), one_by_one.size()) << round;
    for (std::size_t i = 0; i < at_once.size(); ++i) ASSERT_EQ(at_once[i], one_by_one[i]) << round << ' ' << i;
    for (std::size_t i = 0; i < kSas; ++i) ASSERT_EQ(counters(together_.alice, i), counters(apart_.alice, i)) << i;
    // Silence is asked for from time to time.
    together_.now += std::chrono::milliseconds(20);
    apart_.now += std::chrono::milliseconds(20);
  }
  EXPECT_EQ(together_.alice.drop_counters(), apart_.alice.drop_counters());
  EXPECT_EQ(counters(together_.alice, 5)[0], 250U);
}

// Packets over several SAs to one peer share trains where wide registers work on them, up to what a train may have.
TEST_P(Turns, SasToOnePeerShareTrains) {
  const bool wide = OutboundPath::take_turns(GetParam());
  EngineOptions options;
  options.max_train_segments = 20;
  TwoEngines pair(options);
  pair.set_policies();
  std::vector<Bytes> inner;
  for (std::size_t i = 0; i < 4; ++i) {
    auto [a, b] = pair.make_pair(i + 1, model::EspSuite{});
    a.remote = b.local = {selector(fmt::format("10.2.{}.0/24", i))};
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
  }
  for (std::size_t i = 0; i < 50; ++i) {
    Flow flow = pair.v4;
    flow.destination = address(fmt::format("10.2.{}.1", i % 4));
    inner.push_back(udp_packet(flow, random_bytes(random_, 36)));
  }
  const auto sizes = [&] {
    const CollectingWire wire = pair.alice_sends(inner);
    EXPECT_EQ(pair.bob_receives(wire.packets()).packets, inner);
    std::vector<std::size_t> segments;
    segments.reserve(wire.trains.size());
    for (const SentTrain& train : wire.trains) segments.push_back(train.packets().size());
    return segments;
  };
  sizes();  // the flows become known, the keys expanded
  sizes();  // silence has been asked for
  EXPECT_EQ(sizes(), wide ? std::vector<std::size_t>({20, 20, 10}) : std::vector<std::size_t>(50, 1));
  // One peer has moved.
  net::Path path = pair.path;
  path.remote.port = 40'000;
  pair.alice.update_path(model::ChildSaId{3}, path, model::Encapsulation::udp);
  sizes();
  sizes();
  EXPECT_GE(sizes().size(), 25U);
  for (const SentTrain& train : pair.alice_sends(inner).trains) {
    if (train.train.path == path) {
      EXPECT_EQ(train.packets().size(), 1U);
    }
  }
}

// A pool for few keys takes marks of use away, and keys.
TEST_P(Turns, LeaveAlthoughTheirKeysTakeEachOthersPlace) {
  EngineOptions options;
  options.expanded_keys = 5;
  TwoEngines pair(options);
  pair.set_policies();
  for (std::size_t i = 0; i < kSas; ++i) {
    auto [a, b] = pair.make_pair(i + 1, model::EspSuite{});
    a.remote = b.local = {selector(fmt::format("10.2.{}.0/24", i))};
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
  }
  for (int round = 0; round < 30; ++round) {
    std::vector<Bytes> inner;
    const std::size_t among = 2 + random_.below(kSas - 1);
    for (std::size_t i = 0; i < 200; ++i) {
      Flow flow = pair.v4;
      flow.destination = address(fmt::format("10.2.{}.1", i % among));
      inner.push_back(udp_packet(flow, random_bytes(random_, 36)));
    }
    ASSERT_EQ(pair.bob_receives(pair.alice_sends(inner).packets()).packets, inner);
  }
  EXPECT_EQ(all_drops(pair.bob), 0U);
}

}  // namespace
}  // namespace culvert::ipsec
