// Two engines and a bad network between them, beside a model that knows what must arrive: exactly the packets that were
// sent, did not get lost, came for the first time, within the replay window and while their SA stood. Rekeys go on all
// the time.
//
// After every step: what arrived is what the model says, in order; no (SPI, IV) was ever used twice; nothing left that
// is not ESP of a standing SA, and no plaintext shows in it.
#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "plain_window.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using namespace std::chrono_literals;

constexpr std::string_view kMarker = "this text must not show on the wire";
constexpr std::uint32_t kWindow = 128;
constexpr Duration kLinger = 5s;

struct Datagram {
  Bytes bytes;
  Bytes inner;  // what it carries; empty when it must not be accepted
};

// One side as the model sees it.
struct Side {
  Engine* engine = nullptr;
  net::Path path;                                 // as this side sees it
  std::vector<std::uint32_t> send_spis;           // oldest first
  std::map<std::uint32_t, PlainWindow> windows;   // by inbound SPI
  std::map<std::uint32_t, Instant> ends;          // inbound SPIs that linger
  std::set<std::pair<std::uint32_t, Bytes>> ivs;  // that this side has sent
  std::deque<Datagram> in_flight;                 // towards this side
  std::uint64_t arrived = 0;
};

struct Profile {
  const char* name;
  model::EspSuite suite;
  model::Encapsulation encapsulation = model::Encapsulation::udp;
  bool outer_v6 = false;
};

std::vector<Profile> profiles() {
  std::vector<Profile> list;
  std::size_t i = 0;
  for (const NamedSuite& suite : all_suites()) {
    ++i;
    list.push_back(
        {suite.name, suite.suite, i % 3 == 0 ? model::Encapsulation::none : model::Encapsulation::udp, i % 2 == 0});
  }
  return list;
}

class World {
 public:
  World(const Profile& profile, std::uint64_t seed) : profile_(profile), random_(seed), pair_(options(), seed) {
    if (profile.outer_v6) pair_.path = {{address("2001:db8::1"), 4500}, {address("2001:db8::2"), 4500}};
    if (profile.encapsulation == model::Encapsulation::none) pair_.path.local.port = pair_.path.remote.port = 0;
    pair_.set_policies();
    sides_[0].engine = &pair_.alice;
    sides_[0].path = pair_.path;
    sides_[1].engine = &pair_.bob;
    sides_[1].path = {pair_.path.remote, pair_.path.local};
    rekey();
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      const std::uint64_t dice = random_.below(100);
      if (dice < 45) {
        send(random_.below(2));
      } else if (dice < 95) {
        deliver(random_.below(2));
      } else if (dice < 96) {
        rekey();
      } else {
        pass_time(std::chrono::milliseconds(random_.below(400)));
      }
    }
  }
  [[nodiscard]] std::uint64_t arrived() const { return sides_[0].arrived + sides_[1].arrived; }
  [[nodiscard]] std::uint64_t rekeys() const { return next_id_ - 1; }

 private:
  static EngineOptions options() {
    EngineOptions options;
    options.max_train_segments = 16;
    options.flow_cache_entries = 64;
    return options;
  }

  Bytes payload(std::size_t size) {
    Bytes bytes = random_bytes(random_, size);
    if (size >= kMarker.size()) std::copy(kMarker.begin(), kMarker.end(), bytes.begin());
    return bytes;
  }

  // Appends an item to send and the packets that it stands for.
  void make_item(std::size_t from, std::vector<InnerBuffer>& items, std::vector<Bytes>& expected) {
    Flow flow = random_.below(2) == 0 ? pair_.v4 : pair_.v6;
    if (from == 1) flow = flow.reversed();
    flow.source_port = static_cast<std::uint16_t>(random_.below(20));
    const bool six = !flow.source.is_v4();
    if (random_.below(4) != 0) {
      const Bytes packet = udp_packet(flow, payload(random_.below(1400)));
      items.emplace_back(packet);
      expected.push_back(packet);
      return;
    }
    const std::size_t step = 40 + random_.below(1400);
    const Bytes data = payload(1 + random_.below(20000));
    items.emplace_back(tcp_packet(flow, 1, 0x10, data),
                       Offload{.segmentation = six ? Offload::Segmentation::tcp6 : Offload::Segmentation::tcp4,
                               .segment_size = static_cast<std::uint16_t>(step),
                               .checksum_partial = true});
    for (std::size_t at = 0; at < data.size(); at += step) {
      Flow piece = flow;
      piece.identification = static_cast<std::uint16_t>(flow.identification + at / step);
      expected.push_back(tcp_packet(piece, static_cast<std::uint32_t>(1 + at), 0x10,
                                    ByteView(data).subspan(at, std::min(step, data.size() - at))));
    }
  }

  void send(std::size_t from) {
    Side& side = sides_[from];
    Side& peer = sides_[1 - from];
    std::vector<InnerBuffer> items;
    std::vector<Bytes> expected;
    const std::size_t count = 1 + random_.below(6);
    for (std::size_t i = 0; i < count; ++i) make_item(from, items, expected);
    std::vector<InnerPacket> views;
    for (InnerBuffer& item : items) views.push_back(item.view());
    CollectingWire wire;
    wire.bypass_allowed = true;
    side.engine->outbound(views, pair_.now, wire);
    ASSERT_TRUE(wire.bypassed.empty());
    const std::vector<Bytes> packets = wire.packets();
    ASSERT_EQ(packets.size(), expected.size());
    for (std::size_t i = 0; i < packets.size(); ++i) check_sent(side, packets[i]);
    for (const SentTrain& train : wire.trains) {
      ASSERT_EQ(train.train.path, side.path);
      ASSERT_EQ(train.train.encapsulation, profile_.encapsulation);
    }
    for (std::size_t i = 0; i < packets.size(); ++i) {
      if (random_.below(10) != 0) peer.in_flight.push_back({packets[i], expected[i]});  // else lost
    }
  }

  void check_sent(Side& side, const Bytes& packet) {
    const std::uint32_t spi = load_be32(packet.data());
    ASSERT_EQ(spi, side.send_spis.back());
    const std::size_t iv_size = crypto::sizes_of(packet_suite()).iv;
    if (iv_size != 0) {
      const Bytes iv(packet.begin() + kEspHeaderSize,
                     packet.begin() + static_cast<std::ptrdiff_t>(kEspHeaderSize + iv_size));
      // RFC 4106 3.1, RFC 7634 2: an IV used twice under one key gives both packets away.
      ASSERT_TRUE(side.ivs.insert({spi, iv}).second);
    }
    if (packet_suite().encrypts()) {
      const ByteView marker = as_bytes(kMarker);
      ASSERT_EQ(std::search(packet.begin(), packet.end(), marker.begin(), marker.end()), packet.end());
    }
  }

  void deliver(std::size_t to) {
    Side& side = sides_[to];
    std::vector<Datagram> batch;
    const std::size_t count = 1 + random_.below(40);
    for (std::size_t i = 0; i < count && !side.in_flight.empty(); ++i) {
      // Mostly in order, sometimes from further behind.
      const std::size_t at =
          random_.below(5) == 0 ? random_.below(std::min<std::size_t>(side.in_flight.size(), 200)) : 0;
      const Datagram datagram = side.in_flight[at];
      if (random_.below(12) == 0) batch.push_back(forged(datagram));
      if (random_.below(12) == 0) batch.push_back(truncated(datagram));
      batch.push_back(datagram);
      if (random_.below(12) == 0) {
        batch.push_back(datagram);  // twice; and it may come once more
      } else {
        side.in_flight.erase(side.in_flight.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    std::vector<Bytes> expected;
    for (const Datagram& datagram : batch) {
      if (!datagram.inner.empty() && accepts(side, datagram.bytes)) expected.push_back(datagram.inner);
    }
    std::vector<WireInput> inputs;
    for (Datagram& datagram : batch) {
      inputs.push_back({.path = side.path, .encapsulation = profile_.encapsulation, .bytes = datagram.bytes});
    }
    CollectingInner inner;
    side.engine->inbound(inputs, pair_.now, inner);
    ASSERT_EQ(inner.packets.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(inner.packets[i], expected[i]) << i;
    ASSERT_TRUE(inner.ike.empty());
    side.arrived += expected.size();
  }

  bool accepts(Side& side, const Bytes& packet) {
    const auto window = side.windows.find(load_be32(packet.data()));
    return window != side.windows.end() && window->second.accept(load_be32(packet.data() + 4));
  }

  Datagram forged(const Datagram& datagram) {
    Bytes bytes = datagram.bytes;
    bytes[4 + random_.below(bytes.size() - 4)] ^= static_cast<std::uint8_t>(1 << random_.below(8));
    return {bytes, {}};
  }
  Datagram truncated(const Datagram& datagram) {
    Bytes bytes = datagram.bytes;
    bytes.resize(random_.below(bytes.size()));
    return {bytes, {}};
  }

  crypto::PacketSuite packet_suite() const {
    return model::packet_suite(profile_.suite.encryption, profile_.suite.key_bits, profile_.suite.integrity).value();
  }

  void rekey() {
    const std::uint64_t id = next_id_++;
    auto [a, b] = pair_.make_pair(id, profile_.suite);
    a.replay_window = b.replay_window = kWindow;
    a.encapsulation = b.encapsulation = profile_.encapsulation;
    sides_[0].send_spis.push_back(a.spi_outbound.value());
    sides_[1].send_spis.push_back(b.spi_outbound.value());
    sides_[0].windows.emplace(a.spi_inbound.value(), PlainWindow(kWindow));
    sides_[1].windows.emplace(b.spi_inbound.value(), PlainWindow(kWindow));
    ASSERT_TRUE(pair_.alice.install(std::move(a), pair_.now).has_value());
    ASSERT_TRUE(pair_.bob.install(std::move(b), pair_.now).has_value());
    if (id == 1) return;
    for (std::size_t i = 0; i < 2; ++i) {
      sides_[i].engine->remove(model::ChildSaId{id - 1}, kLinger, pair_.now);
      const auto& others = sides_[1 - i].send_spis;
      sides_[i].ends.emplace(others[others.size() - 2], pair_.now + kLinger);
    }
  }

  void pass_time(Duration duration) {
    pair_.now += duration;
    for (Side& side : sides_) {
      CollectingWire wire;
      side.engine->handle_time(pair_.now, wire);
      ASSERT_TRUE(wire.trains.empty());
      for (auto end = side.ends.begin(); end != side.ends.end();) {
        if (end->second > pair_.now) {
          ++end;
          continue;
        }
        side.windows.erase(end->first);
        end = side.ends.erase(end);
      }
      for (const model::Spi spi : side.engine->take_released_spis()) {
        (side.engine == &pair_.alice ? pair_.alice_spis : pair_.bob_spis).release(spi);
      }
    }
  }

  Profile profile_;
  SeededRandom random_;
  TwoEngines pair_;
  Side sides_[2];
  std::uint64_t next_id_ = 1;
};

class EspExchange : public testing::TestWithParam<Profile> {};
INSTANTIATE_TEST_SUITE_P(Suites, EspExchange, testing::ValuesIn(profiles()),
                         [](const auto& profile) { return std::string(profile.param.name); });

TEST_P(EspExchange, ArrivesAsTheModelSays) {
  std::uint64_t arrived = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World world(GetParam(), seed);
    world.run(1200);
    if (HasFatalFailure()) return;
    arrived += world.arrived();
    EXPECT_GT(world.rekeys(), 3U);
  }
  EXPECT_GT(arrived, 5000U);
}

// No state of policies and SAs lets a packet of a protect or discard rule out as it is.
TEST(NoPlaintext, InAnyState) {
  SeededRandom random(77);
  TwoEngines pair;
  std::uint64_t next_id = 1;
  std::vector<std::uint64_t> installed;
  std::set<std::uint32_t> peer_spis;
  std::uint64_t sealed = 0;
  for (int step = 0; step < 5000; ++step) {
    switch (random.below(10)) {
      case 0: {
        const bool protect = random.below(3) != 0;
        pair.alice.set_policies(
            {{TwoEngines::kPolicy, protect ? PolicyAction::protect : PolicyAction::discard, pair.alice_side,
              pair.bob_side, model::ConnectionId{random.below(2) == 0 ? 7U : 8U}}});
        break;
      }
      case 1: {
        // NULL encryption shows its plaintext by design and stays out.
        auto [a, b] = pair.make_pair(next_id, all_suites()[random.below(5)].suite);
        a.hold_outbound = random.below(2) == 0;
        a.hard.packets = random.below(30);
        peer_spis.insert(a.spi_outbound.value());
        if (pair.alice.install(std::move(a), pair.now)) installed.push_back(next_id);
        ++next_id;
        break;
      }
      case 2:
        if (!installed.empty()) {
          pair.alice.remove(model::ChildSaId{installed[random.below(installed.size())]},
                            std::chrono::seconds(random.below(3)), pair.now);
        }
        break;
      case 3: pair.now += std::chrono::milliseconds(random.below(2000)); break;
      default: {
        Bytes text(64 + random.below(200));
        std::copy(kMarker.begin(), kMarker.end(), text.begin());
        InnerBuffer buffer(udp_packet(random.below(2) == 0 ? pair.v4 : pair.v6, text));
        const InnerPacket view = buffer.view();
        CollectingWire wire;
        wire.bypass_allowed = true;
        pair.alice.outbound({&view, 1}, pair.now, wire);
        pair.alice.handle_time(pair.now, wire);
        ASSERT_TRUE(wire.bypassed.empty());
        const ByteView marker = as_bytes(kMarker);
        for (const Bytes& packet : wire.packets()) {
          ++sealed;
          ASSERT_TRUE(peer_spis.contains(load_be32(packet.data())));
          ASSERT_EQ(std::search(packet.begin(), packet.end(), marker.begin(), marker.end()), packet.end()) << step;
        }
      }
    }
  }
  EXPECT_GT(sealed, 500U);
}

}  // namespace
}  // namespace culvert::ipsec
