// The straight way of received packets beside the other one: the same packets, odd ones among them, come to two
// engines with the same SA, one of which looks at every packet by itself. Nothing may tell them apart.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/inbound_path.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

// Packets of one SA, sealed with its keys; what is in them is up to chance.
class Mixture {
 public:
  Mixture(const model::ChildSaParams& sa, const TwoEngines& pair, RandomSource& random)
      : sealer_(sa.spi_inbound, sa.suite, sa.inbound), v4_(pair.v4), v6_(pair.v6), random_(random) {}

  Bytes next() {
    const std::uint64_t chance = random_.below(40);
    // Replays, old ones, gaps.
    if (chance == 0 && !sent_.empty()) return sent_[random_.below(sent_.size())];
    if (chance == 1) sequence_ += random_.below(3000);
    Bytes packet = sealer_.seal(sequence_++, text());
    if (chance == 2) packet[random_.below(packet.size())] ^= 1;
    if (chance == 3) packet.resize(random_.below(packet.size() + 1));
    sent_.push_back(packet);
    return packet;
  }

 private:
  Bytes inner() {
    Flow flow = random_.below(2) == 0 ? v4_ : v6_;
    const std::uint64_t chance = random_.below(30);
    if (chance == 0) flow.source = address(flow.source.is_v4() ? "10.3.0.1" : "2001:db8:3::1");
    if (chance == 1) flow.destination = address(flow.source.is_v4() ? "10.3.0.1" : "2001:db8:3::1");
    if (chance == 2) flow.tos = static_cast<std::uint8_t>(random_.below(4));
    const Bytes payload = random_bytes(random_, random_.below(200));
    if (chance == 3) return with_ip_header(flow, static_cast<net::IpProtocol>(99), payload);
    if (chance == 4) return tcp_packet(flow, 1, 0x02, payload);
    if (chance == 5) return random_bytes(random_, random_.below(100));
    Bytes packet =
        random_.below(2) == 0 ? tcp_packet(flow, sequence_number(payload), 0x10, payload) : udp_packet(flow, payload);
    if (chance == 6) packet.resize(random_.below(packet.size()));
    if (chance == 7 && flow.source.is_v4()) packet[6] |= 0x20;  // a first fragment
    // RFC 4303 2.7: padding behind the packet.
    if (chance == 8) packet.resize(packet.size() + random_.below(100));
    return packet;
  }
  // Segments that follow each other, mostly.
  std::uint32_t sequence_number(const Bytes& payload) {
    const std::uint32_t number = tcp_;
    tcp_ += static_cast<std::uint32_t>(payload.size());
    return number;
  }
  // With a trailer, right or not.
  Bytes text() {
    Bytes text = inner();
    const bool v4 = !text.empty() && text[0] >> 4 == 4;
    const std::uint64_t chance = random_.below(30);
    const std::size_t block = sealer_.layout().alignment;
    std::size_t padding = sealer_.layout().padded(text.size()) - text.size() - kEspTrailerSize;
    if (chance == 0) padding += block * random_.below((255 - padding) / block + 1);
    for (std::size_t i = 1; i <= padding; ++i) text.push_back(static_cast<std::uint8_t>(i));
    if (chance == 1 && padding != 0) text[text.size() - 1 - random_.below(padding)] ^= 1;
    if (chance == 2) padding = random_.below(256);
    auto next_header = static_cast<std::uint8_t>(v4 ? net::IpProtocol::ipv4 : net::IpProtocol::ipv6);
    if (chance == 3) next_header = static_cast<std::uint8_t>(net::IpProtocol::no_next);
    if (chance == 4) next_header = v4 ? 41 : 4;
    if (chance == 5) next_header = static_cast<std::uint8_t>(random_.below(256));
    text.push_back(static_cast<std::uint8_t>(padding));
    text.push_back(next_header);
    return text;
  }

  RawSealer sealer_;
  Flow v4_, v6_;
  RandomSource& random_;
  std::uint64_t sequence_ = 1;
  std::uint32_t tcp_ = 1;
  std::vector<Bytes> sent_;
};

model::ChildSaParams copy_of(const model::ChildSaParams& params) {
  model::ChildSaParams copy;
  copy.id = params.id;
  copy.connection = params.connection;
  copy.spi_inbound = params.spi_inbound;
  copy.spi_outbound = params.spi_outbound;
  copy.suite = params.suite;
  copy.inbound = {SecretBytes::copy_of(params.inbound.encryption.view()),
                  SecretBytes::copy_of(params.inbound.integrity.view())};
  copy.outbound = {SecretBytes::copy_of(params.outbound.encryption.view()),
                   SecretBytes::copy_of(params.outbound.integrity.view())};
  copy.path = params.path;
  copy.local = params.local;
  copy.remote = params.remote;
  return copy;
}

std::vector<std::string> described(const std::vector<DataPlaneEvent>& events) {
  std::vector<std::string> all;
  for (const DataPlaneEvent& event : events) {
    const auto* const moved = std::get_if<PeerMovedSeen>(&event);
    all.push_back(fmt::format("{} {}", event.index(), moved == nullptr ? "" : moved->remote.to_string()));
  }
  return all;
}

struct Case {
  const char* name;
  model::EspSuite suite;
  bool coalesce = false;
  bool narrow = false;  // selectors that name a protocol and ports
  bool v6_path = false;
};

class InboundWays : public testing::TestWithParam<Case> {};

TEST_P(InboundWays, ComeToTheSame) {
  const Case& chosen = GetParam();
  SeededRandom random(20);
  EngineOptions options;
  options.coalesce = options.coalesce_udp = chosen.coalesce;
  TwoEngines pair(options);
  if (chosen.v6_path) pair.path = {{address("2001:db8::1"), 4500}, {address("2001:db8::2"), 4500}};
  auto [a, straight] = pair.make_pair(1, chosen.suite);
  if (chosen.narrow) {
    straight.local = {selector("10.2.0.0/16[tcp/2000]"), selector("2001:db8:2::/48[udp/2000]")};
  }
  straight.soft.packets = 2500;
  straight.hard.packets = 5000;
  model::ChildSaParams around = copy_of(straight);
  around.soft = straight.soft;
  around.hard = straight.hard;
  // With all outer DSCPs and all inner ones the same this changes nothing but the way.
  around.treatment.outer.dscp_inward = true;
  Mixture mixture(straight, pair, random);
  ASSERT_TRUE(pair.bob.install(std::move(straight), pair.now).has_value());
  ASSERT_TRUE(pair.alice.install(std::move(around), pair.now).has_value());
  for (int round = 0; round < 100; ++round) {
    std::vector<Bytes> packets;
    std::vector<net::Path> paths;
    std::vector<std::uint8_t> tos;
    const std::size_t count = 1 + random.below(200);
    for (std::size_t i = 0; i < count; ++i) {
      packets.push_back(mixture.next());
      paths.push_back({pair.path.remote, pair.path.local});
      if (random.below(100) == 0) paths.back().remote.port = 1234;
      if (random.below(200) == 0) paths.back().remote.address = address("192.0.2.77");
      tos.push_back(static_cast<std::uint8_t>(random.below(20) == 0 ? random.below(4) : 0));
    }
    // Now and then a train.
    if (random.below(4) == 0 && packets.size() > 2 && packets[0].size() == packets[1].size()) {
      packets[0].insert(packets[0].end(), packets[1].begin(), packets[1].end());
      packets[1].clear();
    }
    const std::size_t segment = packets[0].size() / 2;
    const auto received = [&](Engine& engine) {
      std::vector<Bytes> memory = packets;
      std::vector<WireInput> inputs;
      for (std::size_t i = 0; i < memory.size(); ++i) {
        inputs.push_back({.path = paths[i], .tos = tos[i], .bytes = memory[i]});
      }
      if (memory.size() > 2 && memory[1].empty()) inputs[0].segment_size = static_cast<std::uint16_t>(segment);
      CollectingInner inner;
      engine.inbound(inputs, pair.now, inner);
      return inner;
    };
    const CollectingInner one = received(pair.bob);
    const CollectingInner other = received(pair.alice);
    ASSERT_EQ(one.packets, other.packets) << "round " << round;
    ASSERT_EQ(one.ike, other.ike);
    ASSERT_EQ(pair.bob.drop_counters(), pair.alice.drop_counters()) << "round " << round;
    ASSERT_EQ(described(pair.events(pair.bob)), described(pair.events(pair.alice))) << "round " << round;
    const SaCounters of_one = pair.bob.counters(model::ChildSaId{1}).value();
    const SaCounters of_other = pair.alice.counters(model::ChildSaId{1}).value();
    ASSERT_EQ(of_one.inbound_packets, of_other.inbound_packets);
    ASSERT_EQ(of_one.inbound_bytes, of_other.inbound_bytes);
    ASSERT_EQ(of_one.replay_drops, of_other.replay_drops);
    ASSERT_EQ(of_one.integrity_drops, of_other.integrity_drops);
    pair.now += std::chrono::milliseconds(random.below(300));
  }
  EXPECT_GE(pair.bob.counters(model::ChildSaId{1})->inbound_packets, 3000U);
  for (const char* const reason : {"replayed", "bad_icv", "bad_padding", "dummy", "bad_next_header",
                                   "decapsulated_malformed", "selector_mismatch", "esp_truncated", "lifetime_over"}) {
    EXPECT_NE(drops(pair.bob, reason), 0U) << reason;
  }
}

model::EspSuite suite_named(std::string_view name) {
  for (const NamedSuite& named : all_suites()) {
    if (named.name == name) return named.suite;
  }
  CHECK(false);
  return {};
}

INSTANTIATE_TEST_SUITE_P(Cases, InboundWays,
                         testing::Values(Case{"gcm", suite_named("aes128gcm16_esn")},
                                         Case{"gcm_short_numbers", suite_named("aes128gcm16")},
                                         Case{"cbc", suite_named("aes128_sha256_esn")},
                                         Case{"implicit_iv", suite_named("aes256gcm16iiv_esn")},
                                         Case{"coalesced", suite_named("aes128gcm16_esn"), true},
                                         Case{"ports", suite_named("aes128gcm16_esn"), false, true},
                                         Case{"ports_coalesced", suite_named("aes128gcm16_esn"), true, true},
                                         Case{"ipv6_outside", suite_named("aes128gcm16_esn"), false, false, true}),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

// What an SA notes for a while, so that it is not asked for with each packet, must not make an event late: it comes
// with the first packet that lies a second behind, however short before that one the last look was.
TEST(InboundWay, TellsActivityWhenItIsDue) {
  TwoEngines pair;
  pair.set_policies();
  pair.install(1);
  std::optional<Instant> last;
  std::size_t told = 0;
  for (int i = 0; i < 600; ++i) {
    ASSERT_EQ(pair.bob_receives(pair.alice_sends({udp_packet(pair.v4, {})}).packets()).packets.size(), 1U);
    const std::size_t now = only<InboundActivity>(pair.events(pair.bob)).size();
    // The engine counts in 2^20 ns, about a millisecond.
    const Duration since = last ? pair.now - *last : std::chrono::hours(1);
    ASSERT_EQ(now, since > InboundPath::kEventInterval ? 1U : 0U) << i;
    told += now;
    if (now != 0) last = pair.now;
    pair.now += std::chrono::milliseconds(7);
  }
  EXPECT_EQ(told, 5U);
}

// RFC 4303 A3.1: failures are counted in a row. Packets in between start the count anew, whatever the SA had noted.
TEST(InboundWay, PacketsBetweenFailuresStartTheirCountAnew) {
  TwoEngines pair;
  pair.set_policies();
  auto [a, b] = pair.make_pair(1, {});
  RawSealer sealer(b.spi_inbound, b.suite, b.inbound);
  ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
  const Bytes inner = udp_packet(pair.v4, {});
  std::uint64_t sequence = 1;
  for (std::uint32_t i = 0; i < 3 * EsnResync::kTrigger; ++i) {
    // Authentic, but for the next numbers of 64 bits, which nobody looks for yet.
    const Bytes beyond = sealer.seal_inner((std::uint64_t{1} << 32) + sequence, inner, net::IpProtocol::ipv4);
    const Bytes good = sealer.seal_inner(sequence++, inner, net::IpProtocol::ipv4);
    ASSERT_EQ(pair.bob_receives({beyond, good}).packets.size(), 1U) << i;
  }
  EXPECT_EQ(drops(pair.bob, "bad_icv"), 3 * EsnResync::kTrigger);
}

}  // namespace
}  // namespace culvert::ipsec
