// As esp_exchange_test, for every combination of protocol, mode and families: random packets with options and extension
// headers, over a network that loses, repeats, reorders and forges. What arrives is what the model says, in order.
#include <deque>
#include <set>

#include <gtest/gtest.h>

#include "ipsec/modes_test_kit.hpp"
#include "plain_window.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

constexpr std::uint64_t kWindow = 1024;  // ChildSaParams' default

struct InFlight {
  Arrived packet;
  Bytes inner;
};

class World {
 public:
  World(const ModeCase& mode, std::uint64_t seed) : random_(seed), world_(mode, {}, seed) {
    world_.install(1, world_.suite());
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      if (random_.below(2) == 0) {
        send();
      } else {
        deliver();
      }
    }
  }
  [[nodiscard]] std::uint64_t arrived() const { return arrived_; }

 private:
  [[nodiscard]] bool ah() const { return world_.mode.protocol == model::ProtocolId::ah; }
  // Transport mode in UDP cannot carry options.
  [[nodiscard]] bool plain_only() const {
    return world_.mode.mode == model::Mode::transport && world_.mode.encapsulation == model::Encapsulation::udp;
  }

  Bytes make_packet() {
    Flow flow = world_.flow;
    flow.tos = static_cast<std::uint8_t>(random_.below(256));
    flow.dont_fragment = random_.below(2) == 0;
    flow.identification = static_cast<std::uint16_t>(1 + random_.below(65535));
    Bytes packet = udp_packet(flow, random_bytes(random_, random_.below(1400)));
    net::set_ttl(packet, static_cast<std::uint8_t>(1 + random_.below(255)));
    if (plain_only() || random_.below(3) != 0) return packet;
    if (flow.source.is_v4()) {
      Bytes options;
      const std::size_t size = 4 * (1 + random_.below(10));
      while (options.size() < size) {
        const std::size_t left = size - options.size();
        const std::size_t length = std::min<std::size_t>(left, 2 + random_.below(10));
        if (length < 2) {
          options.push_back(1);
          continue;
        }
        static constexpr std::uint8_t kTypes[] = {7, 68, 130, 133, 148, 82, 222};
        options.push_back(kTypes[random_.below(std::size(kTypes))]);
        options.push_back(static_cast<std::uint8_t>(length));
        for (std::size_t i = 2; i < length; ++i) options.push_back(static_cast<std::uint8_t>(random_.below(256)));
      }
      return with_options(packet, options);
    }
    if (random_.below(2) == 0) packet = with_extension(packet, net::IpProtocol::destination_options, make_extension());
    if (random_.below(2) == 0) packet = with_extension(packet, net::IpProtocol::hop_by_hop, make_extension());
    return packet;
  }

  Bytes make_extension() {
    Bytes extension(8 * (1 + random_.below(4)));
    extension[1] = static_cast<std::uint8_t>(extension.size() / 8 - 1);
    for (std::size_t at = 2; at < extension.size();) {
      const std::size_t left = extension.size() - at;
      if (left == 1) break;  // Pad1
      const std::size_t length = random_.below(std::min<std::size_t>(left - 1, 12));
      extension[at] = random_.below(2) == 0 ? 0x1e : 0x3e;
      extension[at + 1] = static_cast<std::uint8_t>(length);
      for (std::size_t i = 0; i < length; ++i) extension[at + 2 + i] = static_cast<std::uint8_t>(random_.below(256));
      at += 2 + length;
    }
    return extension;
  }

  void send() {
    std::vector<Bytes> packets;
    for (std::size_t i = 1 + random_.below(6); i > 0; --i) packets.push_back(make_packet());
    const CollectingWire wire = world_.pair.alice_sends(packets);
    std::vector<Arrived> sent = arrive(wire);
    ASSERT_EQ(sent.size(), packets.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      if (random_.below(10) != 0) in_flight_.push_back({sent[i], packets[i]});
    }
  }

  void deliver() {
    std::vector<Arrived> batch;
    std::vector<Bytes> expected;
    for (std::size_t i = 1 + random_.below(30); i > 0 && !in_flight_.empty(); --i) {
      const std::size_t at = random_.below(5) == 0 ? random_.below(in_flight_.size()) : 0;
      const InFlight chosen = in_flight_[at];
      if (random_.below(10) == 0) batch.push_back(forged(chosen.packet));
      batch.push_back(chosen.packet);
      if (window_.accept(load_be32(chosen.packet.bytes.data() + (ah() ? 8 : 4)))) expected.push_back(chosen.inner);
      if (random_.below(10) != 0) in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    const CollectingInner inner = receive(world_.pair.bob, batch, world_.pair.now);
    ASSERT_EQ(inner.packets.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(to_hex(world_.comparable(inner.packets[i])), to_hex(world_.comparable(expected[i])));
    }
    arrived_ += expected.size();
  }

  Arrived forged(const Arrived& packet) {
    Arrived bad = packet;
    // Not the SPI: another SPI is another counter, and no forgery.
    const std::size_t from = ah() ? 8 : 4;
    bad.bytes[from + random_.below(bad.bytes.size() - from)] ^= static_cast<std::uint8_t>(1 << random_.below(8));
    return bad;
  }

  SeededRandom random_;
  ModeWorld world_;
  std::deque<InFlight> in_flight_;
  PlainWindow window_{kWindow};  // one direction and one SA: what the receiver has to accept
  std::uint64_t arrived_ = 0;
};

class ModesExchange : public testing::TestWithParam<ModeCase> {};
INSTANTIATE_TEST_SUITE_P(All, ModesExchange, testing::ValuesIn(all_mode_cases()),
                         [](const auto& one) { return one.param.name(); });

TEST_P(ModesExchange, ArrivesAsTheModelSays) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World world(GetParam(), seed);
    world.run(400);
    if (HasFatalFailure()) return;
    EXPECT_GT(world.arrived(), 300U);
  }
}

}  // namespace
}  // namespace culvert::ipsec
