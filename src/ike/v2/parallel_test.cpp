// Windows of more than one request (RFC 7296 2.3): what goes side by side, what does not, and what loss and reordering
// do.
#include "ike/v2/parallel.hpp"

#include <set>

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using model::ExchangeType;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kGuests = 12;

model::ConnectionConfig guest_of(bool first, std::uint32_t number, std::uint32_t window, const char* esp) {
  model::ConnectionConfig config = config_of(first);
  config.id = model::ConnectionId(number);
  config.credential_group = 1;
  config.ike_window = window;
  config.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, esp)};
  const auto net = [&](bool one) { return subnet("10." + std::to_string(10 * number + (one ? 1 : 2)) + ".0.0/16"); };
  if (number != kConnection.value()) {
    config.local = net(first);
    config.remote = net(!first);
  }
  return config;
}

/// How many requests of one side were under way at the same time, at the most.
class Meter {
 public:
  void sent(const Datagram& one) {
    const auto header = one.header();
    if (header.exchange == ExchangeType::ike_sa_init) return;
    if (!header.response) {
      open_[one.from_a].insert(header.message_id);
      most[one.from_a] = std::max(most[one.from_a], open_[one.from_a].size());
    }
  }
  void arrived(const Datagram& one) {
    if (one.header().response) open_[!one.from_a].erase(one.header().message_id);
  }
  std::map<bool, std::size_t> most;

 private:
  std::map<bool, std::set<model::MessageId>> open_;
};

class ParallelTest : public ::testing::Test {
 protected:
  void start(std::uint32_t window_a, std::uint32_t window_b, std::uint64_t seed = 1,
             const char* esp = "aes128gcm16-esn") {
    pair.emplace(seed);
    for (std::uint32_t n = 1; n <= kGuests; ++n)
      configure(*pair, guest_of(true, n, window_a, esp), guest_of(false, n, window_b, esp));
    pair->command(pair->a, Initiate{.connection = kConnection, .path = path_from(true)});
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
  }
  void begin_all() {
    for (std::uint32_t n = 2; n <= kGuests; ++n)
      pair->command(pair->a, Initiate{.connection = model::ConnectionId(n), .path = path_from(true)});
  }
  [[nodiscard]] bool all_stand(std::size_t count = kGuests) {
    std::set<model::ConnectionId> up;
    for (const auto& [id, child] : pair->b.children) up.insert(child.params.connection);
    return pair->a.ike_sas.size() == 1 && pair->b.ike_sas.size() == 1 && pair->a.children.size() == count &&
           pair->b.children.size() == count && up.size() == count && no_leaks(*pair);
  }
  void rekey_all(Host& who) {
    std::vector<model::ChildSaId> all;
    for (const auto& [id, child] : who.children) all.push_back(id);
    for (const auto id : all) pair->command(who, RekeyChildSa{id});
  }
  /// From now on nothing arrives; how many requests `who` sends then.
  [[nodiscard]] std::size_t under_way_of(Host& who) {
    std::set<model::MessageId> seen;
    const std::size_t from = pair->wire.size();
    pair->fate = [](const Datagram&) { return std::vector<Duration>(); };
    rekey_all(who);
    for (std::size_t n = from; n < pair->wire.size(); ++n) {
      if (!pair->wire[n].header().response) seen.insert(pair->wire[n].header().message_id);
    }
    return seen.size();
  }

  std::optional<Pair> pair;
};

TEST_F(ParallelTest, AsManyAsThePeerGrantsAndWeWant) {
  using Row = std::array<std::uint32_t, 3>;
  for (const auto& [ours, theirs, most] :
       {Row{1, 1, 1}, Row{8, 1, 1}, Row{1, 8, 1}, Row{4, 8, 4}, Row{8, 4, 4}, Row{8, 8, 8}}) {
    start(ours, theirs);
    begin_all();
    pair->settle();
    ASSERT_TRUE(all_stand()) << ours << ", " << theirs;
    EXPECT_EQ(under_way_of(pair->a), most) << ours << ", " << theirs;
  }
}

// The two directions do not wait for each other, and the granted size does not go when the IKE SA is rekeyed: it is
// said again with the first message there.
TEST_F(ParallelTest, BothDirectionsAndAfterARekey) {
  start(8, 8);
  begin_all();
  pair->settle();
  pair->command(pair->a, RekeyIkeSa{pair->a.ike_sa().ike_sa});
  pair->settle();
  // And a request of the initiator's there proves that it has all of them.
  for (Host* host : {&pair->a, &pair->b}) {
    pair->command(*host, CheckLiveness{host->ike_sa().ike_sa});
    pair->settle();
  }
  ASSERT_TRUE(all_stand());
  EXPECT_EQ(under_way_of(pair->b), 8u);
}

// RFC 9370 2.2.4: what follows a CREATE_CHILD_SA has its place in the window beforehand.
TEST_F(ParallelTest, AdditionalKeyExchangesKeepToTheWindow) {
  for (const std::uint32_t window : {2U, 3U, 4U, 8U}) {
    start(window, window, window, "aes128gcm16-x25519-ke1_ecp256-esn");
    std::map<bool, std::set<model::MessageId>> open;
    pair->fate = [&](const Datagram& one) {
      const auto id = one.header().message_id;
      if (!one.header().response) {
        open[one.from_a].insert(id);
        EXPECT_LT(id.value() - open[one.from_a].begin()->value(), window);
      } else {
        open[!one.from_a].erase(id);
      }
      return std::vector<Duration>{Pair::kLatency};
    };
    begin_all();
    pair->advance(seconds(5));
    EXPECT_TRUE(all_stand()) << window;
  }
}

TEST_F(ParallelTest, WhatIsAboutTheIkeSaGoesAlone) {
  start(8, 8);
  begin_all();
  pair->settle();
  std::set<model::MessageId> open;
  std::optional<model::MessageId> alone;
  const model::IkeSpi spi = pair->a.ike_sa().spi_i;
  bool overlapped = false;
  bool rekeys = false;
  pair->fate = [&](const Datagram& one) {
    const auto header = one.header();
    if (header.spi_i != spi) return std::vector<Duration>{Pair::kLatency};
    if (one.from_a && !header.response) {
      if (rekeys && !alone) alone = header.message_id;
      // Neither before those in front of it are answered, nor with any beside it.
      overlapped = overlapped || (header.message_id == alone && !open.empty()) || (alone && open.contains(*alone));
      open.insert(header.message_id);
    }
    if (!one.from_a && header.response) open.erase(header.message_id);
    return std::vector<Duration>{Pair::kLatency};
  };
  // Only the IKE SA's rekey has a key exchange: it is known by that.
  pair->a.postpones = [](const Request& request) { return std::holds_alternative<KeyExchangeRequest>(request); };
  rekey_all(pair->a);
  pair->command(pair->a, RekeyIkeSa{pair->a.ike_sa().ike_sa});
  const auto standing = pair->a.children.size();
  ASSERT_TRUE(pair->run_until([&] { return !pair->a.postponed.empty(); }, seconds(5)));
  rekey_all(pair->a);
  pair->a.postpones = nullptr;
  rekeys = true;
  pair->answer_postponed(pair->a);
  ASSERT_TRUE(alone);
  rekey_all(pair->a);
  pair->settle();
  EXPECT_FALSE(overlapped);
  EXPECT_EQ(pair->a.children.size(), standing);
  EXPECT_TRUE(all_stand());
  EXPECT_NE(pair->a.ike_sa().spi_i, spi);
}

// Requests and responses overtake each other, come twice or not at all, from both ends, with rekeys of all of it: in
// the end each pair stands once.
TEST_F(ParallelTest, LossAndReordering) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SeededRandom random(seed);
    const std::uint32_t ours = 1 + static_cast<std::uint32_t>(random.below(8));
    const std::uint32_t theirs = 1 + static_cast<std::uint32_t>(random.below(8));
    const std::string windows = ", windows " + std::to_string(ours) + " and " + std::to_string(theirs);
    start(ours, theirs, seed,
          seed % 3 == 0   ? "aes128gcm16-x25519-ke1_ecp256-esn"
          : seed % 3 == 1 ? "aes128gcm16-x25519-esn"
                          : "aes128gcm16-esn");
    begin_all();
    pair->settle();
    ASSERT_TRUE(all_stand()) << seed;
    pair->fate = [&random](const Datagram&) {
      std::vector<Duration> copies;
      for (std::uint64_t n = random.below(10) == 0 ? 2 : 1; n > 0; --n) {
        if (random.below(10) > 1) copies.push_back(Duration(random.below(300'000'000)));
      }
      return copies;
    };
    for (int turn = 0; turn < 6; ++turn) {
      Host& who = pair->host(random.below(2) == 0);
      if (!who.ike_sas.empty() && random.below(4) == 0) {
        pair->command(who, RekeyIkeSa{who.ike_sas.begin()->first});
      } else {
        rekey_all(who);
      }
      pair->advance(milliseconds(random.below(3000)));
    }
    pair->fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
    pair->advance(minutes(2));
    EXPECT_TRUE(all_stand()) << seed << ": " << pair->a.children.size() << " and " << pair->b.children.size()
                             << windows;
  }
}

// A request that comes while the key exchange of another is computed has its turn when that is answered.
TEST_F(ParallelTest, WhatComesWhileAnotherWaitsIsHeld) {
  start(8, 8, 1, "aes128gcm16-x25519-esn");
  pair->b.postpones = [](const Request& request) { return std::holds_alternative<KeyExchangeRequest>(request); };
  begin_all();
  pair->advance(milliseconds(50));
  EXPECT_EQ(pair->b.children.size(), 1u);
  for (int turn = 0; turn < 200 && !all_stand(); ++turn) {
    if (!pair->b.postponed.empty()) pair->answer_postponed(pair->b);
    pair->advance(milliseconds(30));
  }
  EXPECT_TRUE(all_stand());
}

}  // namespace
}  // namespace culvert::ike::v2
