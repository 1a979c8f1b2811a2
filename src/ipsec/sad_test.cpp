#include "ipsec/sad.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/outbound_path.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using namespace std::chrono_literals;

// The parts of an engine, so that a test may reach into an SA.
class Parts : public testing::Test {
 protected:
  SaPair& install(std::uint64_t id, const model::EspSuite& suite = {}, model::TrafficSelectors remote = {}) {
    auto [a, b] = kit_.make_pair(id, suite);
    if (!remote.empty()) a.remote = std::move(remote);
    auto pair = SaPair::make(a, shared_);
    CHECK(pair.has_value());
    SaPair& reference = **pair;
    CHECK(sad_.install(std::move(*pair)).has_value());
    return reference;
  }
  net::PacketInfo info(const Bytes& packet) { return net::parse_packet(packet).value(); }
  CollectingWire send(const Bytes& packet, const Offload& offload = {}) {
    InnerBuffer buffer(packet, offload);
    const InnerPacket view = buffer.view();
    CollectingWire wire;
    path_.run({&view, 1}, kit_.now, wire);
    return wire;
  }
  std::vector<DataPlaneEvent> events() {
    std::vector<DataPlaneEvent> all;
    while (auto event = events_.pop()) all.push_back(std::move(*event));
    return all;
  }

  TwoEngines kit_;
  EngineOptions options_;
  Spd spd_;
  SaShared shared_{crypto::Backend::automatic, options_.expanded_keys};
  EventQueue events_{100};
  SeededRandom nat_random_{1};
  NatFlows nat_{events_, nat_random_};
  Sad sad_{options_.spi_layout};
  DropCounters drops_;
  OutboundPath path_{options_, spd_, sad_, nat_, events_, drops_, kit_.random};
};

TEST_F(Parts, InboundIsFoundByTheWholeSpiOnly) {
  std::vector<SaPair*> pairs;
  for (std::uint64_t id = 1; id <= 300; ++id) pairs.push_back(&install(id));
  for (SaPair* const pair : pairs) {
    const std::uint32_t spi = pair->params.spi_inbound.value();
    EXPECT_EQ(sad_.find_inbound(spi), pair);
    EXPECT_EQ(sad_.find_inbound(spi ^ 0x0010'0000U), nullptr);  // another generation
    EXPECT_EQ(sad_.find_inbound(spi ^ 0x8000'0000U), nullptr);  // another node
  }
  EXPECT_EQ(sad_.find_inbound(0), nullptr);
  EXPECT_EQ(sad_.find_inbound(0xffff'ffff), nullptr);
}

TEST_F(Parts, OutboundIsTheNewestThatMayCarryThePacket) {
  SaPair& all = install(1);
  SaPair& narrow = install(2, {}, {selector("10.2.0.0/24[udp]")});
  const net::PacketInfo udp = info(udp_packet(kit_.v4, {}));
  const net::PacketInfo tcp = info(tcp_packet(kit_.v4, 1, 0x10, {}));
  EXPECT_EQ(sad_.find_outbound(TwoEngines::kConnection, udp), &narrow);
  EXPECT_EQ(sad_.find_outbound(TwoEngines::kConnection, tcp), &all);
  EXPECT_EQ(sad_.find_outbound(model::ConnectionId{99}, udp), nullptr);
  narrow.outbound.meter.shut();
  EXPECT_EQ(sad_.find_outbound(TwoEngines::kConnection, udp), &all);
  sad_.retire(model::ChildSaId{1}, kit_.now + 1s);
  EXPECT_EQ(sad_.find_outbound(TwoEngines::kConnection, udp), nullptr);
}

// Thousands of pairs of one connection, among them wide, narrow, overlapping, held and retired ones: the index answers
// what a walk from the newest to the oldest would, also while pairs go.
TEST_F(Parts, OutboundAgreesWithAWalkOverThousandsOfPairs) {
  const auto below = [this](std::uint64_t bound) { return static_cast<unsigned>(kit_.random.below(bound)); };
  const auto random_selector = [&]() -> std::string {
    static constexpr const char* kProtocols[] = {"", "", "[udp]", "[tcp]", "[udp/2000]", "[udp/1990-2010]", "[tcp/80]"};
    const char* const protocol = kProtocols[below(std::size(kProtocols))];
    switch (below(6)) {
      case 0: return fmt::format("10.2.{}.0/24{}", below(8), protocol);
      case 1: return fmt::format("10.2.{}.{}-10.2.{}.{}{}", below(4), below(200), 4 + below(4), below(200), protocol);
      case 2: return fmt::format("2001:db8:2:{:x}::/64{}", below(8), protocol);
      case 3: return fmt::format("2001:db8:2:{:x}::{:x}{}", below(8), below(8), protocol);
      default: return fmt::format("10.2.{}.{}{}", below(8), below(256), protocol);
    }
  };
  std::vector<SaPair*> oldest_first;
  const auto walk = [&](const net::PacketInfo& packet) -> SaPair* {
    SaPair* held = nullptr;
    for (auto at = oldest_first.rbegin(); at != oldest_first.rend(); ++at) {
      SaPair& pair = **at;
      if (!pair.sends() || !selectors_match(pair.params.local, pair.params.remote, packet)) continue;
      if (!pair.held) return &pair;
      if (held == nullptr) held = &pair;
    }
    return held;
  };
  int found = 0;
  int held = 0;
  const auto compare = [&](int packets) {
    for (int i = 0; i < packets; ++i) {
      Flow flow = below(4) == 0 ? kit_.v6 : kit_.v4;
      flow.destination = flow.destination.is_v4() ? address(fmt::format("10.2.{}.{}", below(8), below(256)))
                                                  : address(fmt::format("2001:db8:2:{:x}::{:x}", below(8), below(9)));
      flow.destination_port = static_cast<std::uint16_t>(below(2) == 0 ? 80 : 1985 + below(30));
      const net::PacketInfo packet = info(below(2) == 0 ? udp_packet(flow, {}) : tcp_packet(flow, 1, 0x10, {}));
      SaPair* const expected = walk(packet);
      ASSERT_EQ(sad_.find_outbound(TwoEngines::kConnection, packet), expected);
      found += expected != nullptr ? 1 : 0;
      held += expected != nullptr && expected->held ? 1 : 0;
    }
  };
  constexpr std::uint64_t kPairs = 2500;
  for (std::uint64_t id = 1; id <= kPairs; ++id) {
    model::TrafficSelectors remote;
    for (unsigned i = below(3) + 1; i > 0; --i) remote.push_back(selector(random_selector()));
    if (id % 700 == 0) {
      for (unsigned i = 0; i < 40; ++i) remote.push_back(selector(random_selector()));  // too many for the tables
    }
    SaPair& pair = install(id, {}, remote);
    pair.held = below(10) == 0;
    oldest_first.push_back(&pair);
    if (id <= 12 || id % 250 == 0) {
      ASSERT_NO_FATAL_FAILURE(compare(200));
    }
  }
  // Away they go, in any order: at once for sending, later for good.
  std::vector<model::Spi> released;
  while (oldest_first.size() > 2) {
    const auto goes = oldest_first.begin() + below(oldest_first.size());
    sad_.retire((*goes)->params.id, kit_.now);
    if (oldest_first.size() % 300 == 0) {
      ASSERT_NO_FATAL_FAILURE(compare(100));
    }
    oldest_first.erase(goes);
    if (oldest_first.size() % 2 == 0) sad_.expire(kit_.now, released);
    if (oldest_first.size() % 300 == 0 || oldest_first.size() < 12) {
      ASSERT_NO_FATAL_FAILURE(compare(100));
    }
  }
  EXPECT_GT(found, 2000);
  EXPECT_GT(held, 10);
}

TEST_F(Parts, RetiredPairsEndInOrderAndGiveTheirSpisBack) {
  const model::Spi first = install(1).params.spi_inbound;
  const model::Spi second = install(2).params.spi_inbound;
  sad_.retire(model::ChildSaId{1}, kit_.now + 3s);
  sad_.retire(model::ChildSaId{2}, kit_.now + 2s);
  sad_.retire(model::ChildSaId{1}, kit_.now + 4s);  // again: the later word counts
  EXPECT_EQ(sad_.next_expiry(), kit_.now + 2s);
  std::vector<model::Spi> released;
  sad_.expire(kit_.now + 3s, released);
  EXPECT_EQ(released, std::vector<model::Spi>{second});
  EXPECT_NE(sad_.find_inbound(first.value()), nullptr);
  sad_.expire(kit_.now + 4s, released);
  EXPECT_EQ(released.size(), 2U);
  EXPECT_EQ(sad_.find_inbound(first.value()), nullptr);
  EXPECT_EQ(sad_.find_outbound(TwoEngines::kConnection, info(udp_packet(kit_.v4, {}))), nullptr);
  EXPECT_FALSE(sad_.next_expiry().has_value());
  EXPECT_TRUE(sad_.all().empty());
}

// RFC 4303 3.3.3: numbers never cycle, with 32 bits or 64; a rekey is asked for long before, and in the end nothing
// leaves.
TEST_F(Parts, SequenceNumbersRunOutWithoutWrapping) {
  spd_.replace({{TwoEngines::kPolicy, PolicyAction::protect, kit_.alice_side, kit_.bob_side, TwoEngines::kConnection}});
  for (const model::EsnId esn : {model::EsnId::no_esn, model::EsnId::esn}) {
    const bool wide = esn == model::EsnId::esn;
    const std::uint64_t id = wide ? 2 : 1;
    model::EspSuite suite;
    suite.esn = esn;
    SaPair& sa = install(id, suite);
    path_.invalidate_flows();
    const std::uint64_t limit = wide ? 0xffff'ffff'ffff'ffff : 0xffff'ffff;
    sa.outbound.sequence = SequenceCounter(wide, limit - 3);
    const Bytes packet = udp_packet(kit_.v4, as_bytes("x"));
    for (std::uint64_t i = 1; i <= 2; ++i) {
      const CollectingWire wire = send(packet);
      ASSERT_EQ(wire.packets().size(), 1U);
      // The AEAD's IV is the number itself (RFC 4106 3.1).
      EXPECT_EQ(load_be64(wire.packets()[0].data() + kEspHeaderSize), limit - 3 + i);
    }
    const auto asked = only<SaExpired>(events());
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_FALSE(asked[0].hard);
    // One number is left, a super-packet of three does not go at all.
    const Offload offload{.segmentation = Offload::Segmentation::tcp4, .segment_size = 100, .checksum_partial = true};
    EXPECT_TRUE(send(tcp_packet(kit_.v4, 1, 0x10, Bytes(300)), offload).trains.empty());
    EXPECT_EQ(drops_.of(DropReason::sequence_exhausted), wide ? 6U : 3U);
    const auto ended = only<SaExpired>(events());
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_TRUE(ended[0].hard);
    EXPECT_EQ(ended[0].child, model::ChildSaId{id});
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(send(packet).trains.empty());  // they wait for another SA
    EXPECT_EQ(only<Acquire>(events()).size(), wide ? 0U : 1U);
  }
}

// Manual keys name any SPI: one whose slot an allocated SPI has, and one that is taken before the allocator wants it.
TEST_F(Parts, GivenSpisStandBesideAllocatedOnes) {
  const auto given = [&](std::uint64_t id, std::uint32_t spi) {
    auto params = kit_.make_pair(id, {}).first;
    params.spi_inbound = model::Spi{spi};
    auto pair = SaPair::make(params, shared_);
    CHECK(pair.has_value());
    return sad_.install(std::move(*pair));
  };
  const std::uint32_t ours = install(1).params.spi_inbound.value();
  const std::uint32_t rival = ours ^ 0x0100'0000U;  // the same slot
  ASSERT_TRUE(given(2, rival));
  ASSERT_TRUE(given(3, 0x1234'ffffU)) << "a slot far beyond those in use";
  ASSERT_TRUE(given(4, 256));
  EXPECT_EQ(given(5, rival).error(), DataPlaneError::no_free_spi);
  EXPECT_EQ(given(5, ours).error(), DataPlaneError::no_free_spi);
  EXPECT_EQ(given(5, 256).error(), DataPlaneError::no_free_spi);
  EXPECT_EQ(given(5, 255).error(), DataPlaneError::no_free_spi);
  EXPECT_EQ(sad_.find_inbound(ours), sad_.find(model::ChildSaId{1}));
  EXPECT_EQ(sad_.find_inbound(rival), sad_.find(model::ChildSaId{2}));
  EXPECT_EQ(sad_.find_inbound(0x1234'ffffU), sad_.find(model::ChildSaId{3}));
  EXPECT_EQ(sad_.find_inbound(256), sad_.find(model::ChildSaId{4}));
  EXPECT_EQ(sad_.find_inbound(0x0034'ffffU), nullptr);
  // Allocated SPIs come into slots that given ones have.
  for (std::uint64_t id = 10; id <= 300; ++id) {
    const std::uint32_t spi = install(id).params.spi_inbound.value();
    EXPECT_EQ(sad_.find_inbound(spi), sad_.find(model::ChildSaId{id}));
  }
  EXPECT_EQ(sad_.find_inbound(256), sad_.find(model::ChildSaId{4}));
  std::vector<model::Spi> released;
  for (const std::uint64_t id : {1, 2, 3, 4}) sad_.retire(model::ChildSaId{id}, kit_.now);
  sad_.expire(kit_.now, released);
  EXPECT_EQ(released.size(), 4U);
  for (const std::uint32_t spi : {ours, rival, 0x1234'ffffU, 256U}) EXPECT_EQ(sad_.find_inbound(spi), nullptr);
  EXPECT_EQ(sad_.find_inbound(sad_.find(model::ChildSaId{10})->params.spi_inbound.value()),
            sad_.find(model::ChildSaId{10}));
}

// A grant that is used up stops the sending, not the SA.
TEST_F(Parts, SequenceNumbersAreUsedWithinTheirGrant) {
  spd_.replace({{TwoEngines::kPolicy, PolicyAction::protect, kit_.alice_side, kit_.bob_side, TwoEngines::kConnection}});
  auto params = kit_.make_pair(1, {}).first;
  params.sequence_used = 1000;
  params.sequence_granted = 1004;
  auto pair = SaPair::make(params, shared_);
  ASSERT_TRUE(pair);
  SaPair& sa = **pair;
  ASSERT_TRUE(sad_.install(std::move(*pair)));
  const Bytes packet = udp_packet(kit_.v4, as_bytes("x"));
  for (std::uint64_t i = 1001; i <= 1004; ++i) {
    const CollectingWire wire = send(packet);
    ASSERT_EQ(wire.packets().size(), 1U);
    EXPECT_EQ(load_be64(wire.packets()[0].data() + kEspHeaderSize), i);
    const auto wanted = only<SequenceGrantWanted>(events());
    EXPECT_EQ(wanted.size(), i == 1003 ? 1U : 0U) << i;
    if (!wanted.empty()) {
      EXPECT_EQ(wanted[0].used, 1003U);
    }
  }
  EXPECT_TRUE(send(packet).trains.empty());
  EXPECT_EQ(drops_.of(DropReason::sequence_not_granted), 1U);
  EXPECT_TRUE(events().empty()) << "neither told again nor expired";
  EXPECT_TRUE(sa.sends());
  sa.outbound.sequence.grant(1010);
  const CollectingWire wire = send(packet);
  ASSERT_EQ(wire.packets().size(), 1U);
  EXPECT_EQ(load_be64(wire.packets()[0].data() + kEspHeaderSize), 1005U);
}

// RFC 3602 3: IVs of CBC must not be predictable, so certainly no counter and never twice.
TEST_F(Parts, CbcIvsAreRandom) {
  spd_.replace({{TwoEngines::kPolicy, PolicyAction::protect, kit_.alice_side, kit_.bob_side, TwoEngines::kConnection}});
  install(1, {.encryption = model::EncryptionId::aes_cbc, .integrity = model::IntegrityId::hmac_sha2_256_128});
  std::set<Bytes> ivs;
  std::array<int, 128> ones{};
  constexpr int kPackets = 1000;
  for (int i = 0; i < kPackets; ++i) {
    const Bytes packet = send(udp_packet(kit_.v4, {})).packets().at(0);
    const Bytes iv(packet.begin() + 8, packet.begin() + 24);
    for (std::size_t bit = 0; bit < 128; ++bit) ones[bit] += (iv[bit / 8] >> (bit % 8)) & 1;
    EXPECT_TRUE(ivs.insert(iv).second);
  }
  for (const int count : ones) {
    EXPECT_GT(count, kPackets / 2 - 120);
    EXPECT_LT(count, kPackets / 2 + 120);
  }
}

}  // namespace
}  // namespace culvert::ipsec
