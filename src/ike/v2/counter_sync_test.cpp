// Failover in a cluster (RFC 6311). A member that takes over is the same host, run from the same seed to an earlier
// moment: what it knows is right, but old.
#include "ike/v2/counter_sync.hpp"

#include <deque>
#include <set>

#include <gtest/gtest.h>

#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<Duration> lost() { return {}; }

class Failover : public ::testing::TestWithParam<bool> {
 protected:
  // What goes between the new member and the peer.
  struct Flying {
    bool to_b;
    net::Path path;
    Bytes message;
  };

  // The parameter: the cluster has begun the IKE SA.
  void set_up(const model::ConnectionConfig& a = config_of(true), const model::ConnectionConfig& b = config_of(false)) {
    for (Pair* pair : {&live, &copy}) {
      configure(*pair, a, b);
      initiate(*pair, GetParam());
      pair->settle();
      ASSERT_TRUE(in_step(*pair));
    }
    ASSERT_EQ(live.wire.size(), copy.wire.size());
    for (std::size_t i = 0; i < live.wire.size(); ++i) ASSERT_EQ(live.wire[i].message, copy.wire[i].message);
  }
  // Exchanges that the member has not heard of.
  void go_on(int by_a, int by_b) {
    for (int i = 0; i < by_a; ++i) ask(live, live.a);
    for (int i = 0; i < by_b; ++i) ask(live, live.b);
  }
  static void ask(Pair& pair, Host& host) {
    pair.command(host, CheckLiveness{host.ike_sa().ike_sa});
    pair.settle();
  }

  // a is gone, and `copy.a` in its place.
  void fail_over(std::uint32_t requests, std::uint64_t packets = 0) {
    watch(copy.a, skips_a);
    watch(live.b, skips_b);
    live.fate = [this](const Datagram& d) {
      if (!d.from_a) flying.push_back({false, {d.path.remote, d.path.local}, d.message});
      return lost();
    };
    copy.fate = [this](const Datagram& d) {
      if (d.from_a) {
        flying.push_back({true, {d.path.remote, d.path.local}, d.message});
        if (syncs.empty()) first_sync_path = {d.path.remote, d.path.local};
        if (codec::parse_header(d.message)->message_id.value() == 0) syncs.push_back(d.message);
      }
      return lost();
    };
    sent_before = live.wire.size();
    copy.command(copy.a, TakeOver{copy.a.ike_sa().ike_sa, requests, packets});
  }
  static void watch(Host& host, std::vector<std::uint64_t>& skips) {
    host.on_event = [&skips](const Event& event) {
      if (const auto* skip = std::get_if<ChildSaSkipSequence>(&event)) skips.push_back(skip->count);
    };
  }
  // `fate` says how often each arrives.
  void deliver(
      const std::function<unsigned(const Flying&)>& times = [](const Flying&) { return 1U; },
      Duration during = seconds(5)) {
    const Instant end = live.now + during;
    while (live.now < end) {
      while (!flying.empty()) {
        const Flying one = std::move(flying.front());
        flying.pop_front();
        for (unsigned n = times(one); n != 0; --n)
          one.to_b ? live.inject(live.b, one.path, one.message) : copy.inject(copy.a, one.path, one.message);
      }
      live.advance(milliseconds(10));
      copy.advance(milliseconds(10));
    }
  }
  // Either end can make requests.
  void expect_in_step() {
    for (const bool by_a : {true, false, true}) {
      Host& host = by_a ? copy.a : live.b;
      ASSERT_EQ(host.children.size(), 1u);
      (by_a ? copy : live).command(host, RekeyChildSa{host.child().id});
      deliver();
      ASSERT_EQ(copy.a.children.size(), 1u);
      ASSERT_EQ(live.b.children.size(), 1u);
      ASSERT_TRUE(mirrored(copy.a.child(), live.b.child()));
    }
    EXPECT_TRUE(live.b.failures.empty() && copy.a.failures.empty() && live.b.closed.empty() && copy.a.closed.empty());
  }

  Pair live{7};
  Pair copy{7};
  std::deque<Flying> flying;
  std::vector<Bytes> syncs;
  net::Path first_sync_path;
  std::size_t sent_before = 0;
  std::vector<std::uint64_t> skips_a;
  std::vector<std::uint64_t> skips_b;
};
INSTANTIATE_TEST_SUITE_P(EitherRole, Failover, ::testing::Bool());

TEST_P(Failover, BothEndsGoOnFromTheHigherNumbers) {  // RFC 6311 5
  set_up();
  EXPECT_TRUE(live.a.ike_sa().counter_sync && live.b.ike_sa().counter_sync);
  go_on(5, 3);
  fail_over(8, 1000);
  deliver();
  EXPECT_EQ(skips_a, std::vector<std::uint64_t>{1000});
  EXPECT_EQ(skips_b, std::vector<std::uint64_t>{1000});
  EXPECT_EQ(syncs.size(), 1u);
  expect_in_step();
}

TEST_P(Failover, WithoutItTheIkeSaDies) {
  set_up();
  go_on(5, 3);
  fail_over(8);
  flying.clear();
  const auto forgotten = syncs;
  // Nothing was agreed on: what the peer sends next has a number that the member has no use for.
  live.command(live.b, CheckLiveness{live.b.ike_sa().ike_sa});
  deliver([](const Flying& one) { return one.to_b ? 0U : 1U; }, std::chrono::minutes(3));
  EXPECT_EQ(live.b.closed.size(), 1u);
}

// Of the exchange that sets the numbers, the first so many requests or answers are lost, or all come twice.
class LossyFailover : public Failover {
 protected:
  void run(unsigned lost_ones, bool of_requests, unsigned copies) {
    set_up();
    go_on(4, 2);
    fail_over(6, 9);
    unsigned seen = 0;
    deliver(
        [&](const Flying& one) {
          if (one.to_b == of_requests && seen < lost_ones) return ++seen, 0U;
          return copies;
        },
        seconds(40));
    EXPECT_FALSE(skips_b.empty());
    EXPECT_EQ(syncs.size(), lost_ones + 1);
    expect_in_step();
  }
};
INSTANTIATE_TEST_SUITE_P(EitherRole, LossyFailover, ::testing::Bool());
TEST_P(LossyFailover, FirstRequest) { run(1, true, 1); }
TEST_P(LossyFailover, FirstAnswer) { run(1, false, 1); }
TEST_P(LossyFailover, ThreeRequests) { run(3, true, 2); }
TEST_P(LossyFailover, ThreeAnswers) { run(3, false, 2); }
TEST_P(LossyFailover, AllTwice) { run(0, true, 2); }

TEST_P(Failover, ARequestThatWaitedIsMadeAgain) {  // RFC 6311 8.1, RFC 6311 9: its answer can come no more
  set_up();
  go_on(2, 2);
  live.fate = [](const Datagram&) { return lost(); };
  live.command(live.b, RekeyChildSa{live.b.child().id});
  live.advance(milliseconds(700));
  copy.advance(live.now - copy.now);
  fail_over(4);
  deliver();
  // Under its new number it has come to its end.
  ASSERT_EQ(copy.a.children.size(), 1u);
  EXPECT_TRUE(mirrored(copy.a.child(), live.b.child()));
  EXPECT_EQ(live.b.children_made, 2u);
  expect_in_step();
}

TEST_P(Failover, ReplaysSetNothing) {  // RFC 6311 5.1
  set_up();
  go_on(4, 4);
  fail_over(6, 50);
  deliver();
  expect_in_step();
  const Bytes old = syncs.at(0);
  const auto skipped = skips_b.size();
  const std::size_t sent = live.wire.size();
  for (int i = 0; i < 3; ++i) live.inject(live.b, first_sync_path, old);
  EXPECT_EQ(live.wire.size(), sent);
  EXPECT_EQ(skips_b.size(), skipped);
  expect_in_step();
}

TEST_P(Failover, ANumberThatWasUsedIsNoBeginning) {  // RFC 6311 5.1
  auto a = config_of(true);
  auto b = config_of(false);
  a.liveness_interval = b.liveness_interval = {};
  set_up(a, b);
  go_on(40, 0);
  fail_over(0);
  deliver([](const Flying&) { return 1U; }, std::chrono::minutes(2));
  // Each try has a higher number, but none is high enough; the peer says nothing, and loses nothing.
  EXPECT_GT(syncs.size(), 3u);
  EXPECT_TRUE(copy.a.ike_sas.empty());
  EXPECT_EQ(live.b.ike_sas.size(), 1u);
}

// It ends without waiting for numbers: the peer may take the DELETE, or find out by itself.
TEST_P(Failover, EndsBeforeTheAnswer) {
  set_up();
  fail_over(2);
  flying.clear();
  copy.command(copy.a, Terminate{kConnection});
  EXPECT_FALSE(flying.empty()) << "the DELETE waits for nothing";
  deliver([](const Flying&) { return 1U; }, std::chrono::minutes(2));
  EXPECT_TRUE(copy.a.ike_sas.empty());
  EXPECT_TRUE(live.b.ike_sas.empty());
  EXPECT_FALSE(copy.a.endpoint().poll_timeout());
}

TEST_P(Failover, ASecondFailover) {
  set_up();
  go_on(3, 3);
  fail_over(4);
  deliver();
  expect_in_step();
  // From the same old state as the first; it has to know what the one before it said.
  copy.command(copy.a, TakeOver{copy.a.ike_sa().ike_sa, 16, 7});
  deliver();
  EXPECT_EQ(skips_b, std::vector<std::uint64_t>{7});
  expect_in_step();
}

// An IKE SA that came of a rekey counts from 0, as this exchange always does.
TEST_P(Failover, BehindARekey) {
  set_up();
  for (Pair* pair : {&live, &copy}) {
    pair->command(pair->host(GetParam()), RekeyIkeSa{pair->host(GetParam()).ike_sa().ike_sa});
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
  }
  EXPECT_TRUE(live.b.ike_sa().counter_sync);
  live.b.closed.clear();
  copy.a.closed.clear();
  fail_over(1, 3);
  deliver();
  EXPECT_EQ(skips_b, std::vector<std::uint64_t>{3});
  expect_in_step();
}

TEST_P(Failover, NotWhereEitherDoesNotWantIt) {
  for (const bool of_a : {true, false}) {
    SCOPED_TRACE(of_a);
    Pair pair(3, exporting());
    auto a = config_of(true);
    auto b = config_of(false);
    (of_a ? a : b).counter_sync = false;
    configure(pair, a, b);
    initiate(pair, GetParam());
    pair.settle();
    ASSERT_TRUE(in_step(pair));
    EXPECT_FALSE(pair.a.ike_sa().counter_sync || pair.b.ike_sa().counter_sync);
    pair.command(pair.a, TakeOver{pair.a.ike_sa().ike_sa, 5, 0});
    pair.settle();
    EXPECT_FALSE(pair.b.logged("another member"));
    EXPECT_TRUE(pair.a.logged("knows nothing of failovers"));
    EXPECT_TRUE(in_step(pair));
  }
}

// The keys are the same, so no IV may be.
TEST_P(Failover, NoIvTwice) {
  set_up();
  go_on(6, 2);
  const auto iv_of = [](const Bytes& message) { return load_be64(message.data() + codec::kHeaderSize + 4); };
  std::set<std::uint64_t> ivs;
  for (const Datagram& d : live.wire) {
    if (!d.from_a || d.header().exchange == ExchangeType::ike_sa_init) continue;
    EXPECT_TRUE(ivs.insert(iv_of(d.message)).second);
  }
  ASSERT_GT(ivs.size(), 6u);
  const std::size_t before = copy.wire.size();
  fail_over(8);
  deliver();
  expect_in_step();
  for (std::size_t i = before; i < copy.wire.size(); ++i) {
    if (!copy.wire[i].from_a) continue;
    EXPECT_TRUE(ivs.insert(iv_of(copy.wire[i].message)).second);
  }
}

// What somebody with the keys may say; b is the responder.
class Announced : public ::testing::Test {
 protected:
  Announced() {
    configure(pair);
    initiate(pair);
    pair.settle();
    CHECK(in_step(pair));
    pair.b.on_event = [this](const Event& event) {
      if (const auto* skip = std::get_if<ChildSaSkipSequence>(&event)) skips.push_back(skip->count);
    };
  }
  static codec::NotifyPayload notify(NotifyType type, std::string_view hex) {
    return {.protocol = model::ProtocolId::none, .spi = {}, .type = type, .data = *from_hex(hex)};
  }
  static codec::NotifyPayload ids(std::string_view hex) { return notify(NotifyType::ikev2_message_id_sync, hex); }
  static codec::NotifyPayload counters(std::string_view hex) {
    return notify(NotifyType::ipsec_replay_counter_sync, hex);
  }
  // With message id 0; nothing: there is no answer.
  std::optional<codec::Message> say(std::vector<codec::Payload> payloads) {
    Forger forger(pair.a.exported.at(0), 0);
    const std::size_t before = pair.wire.size();
    pair.inject(pair.b, path_from(false, 4500), forger.request(ExchangeType::informational, std::move(payloads)));
    if (pair.wire.size() == before) return std::nullopt;
    return forger.open(pair.wire.at(before).message);
  }

  Pair pair{3, exporting()};
  std::vector<std::uint64_t> skips;
};

TEST_F(Announced, TheAnswerSaysTheHigherNumbers) {  // RFC 6311 5.1, RFC 6311 6.3
  const auto answer =
      say({ids("01020304"
               "00000010"
               "00000000")});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.message_id.value(), 0u);
  ASSERT_EQ(answer->payloads.size(), 1u);
  // Its own next request has a number already that is higher.
  const std::string own = to_hex(answer->notify(NotifyType::ikev2_message_id_sync)->data);
  EXPECT_EQ(own.substr(0, 8), "01020304");
  EXPECT_EQ(own.substr(16), "00000010");
  const auto second =
      say({ids("01020305"
               "00000011"
               "00000100")});
  ASSERT_TRUE(second);
  EXPECT_EQ(to_hex(second->notify(NotifyType::ikev2_message_id_sync)->data), "010203050000010000000011");
  // Not above the last one.
  EXPECT_FALSE(say({ids("010203060000001100000100")}));
  EXPECT_FALSE(say({ids("010203060000001000000100")}));
  // From there on numbers count as ever.
  Forger forger(pair.a.exported.at(0), 0x11);
  EXPECT_TRUE(forger.ask(pair, ExchangeType::informational, {}).payloads.empty());
  EXPECT_FALSE(say({ids("010203060000001100000100")}));
  EXPECT_TRUE(say({ids("010203060000001200000100")}));
}

TEST_F(Announced, NothingElseMayBeSaidWithIt) {
  const std::string good = "010203040000001000000010";
  EXPECT_FALSE(say({ids(good), notify(NotifyType::initial_contact, "")}));
  EXPECT_FALSE(say({ids(good), ids(good)}));
  EXPECT_FALSE(say({ids(good), codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}}}));
  EXPECT_FALSE(say({ids("0102030400000010000000")}));
  EXPECT_FALSE(say({ids(good + "00")}));
  // No number would be left.
  EXPECT_FALSE(say({ids("01020304ffffffff00000010")}));
  EXPECT_FALSE(say({ids("0102030400000010ffffffff")}));
  EXPECT_TRUE(skips.empty());
  EXPECT_TRUE(say({ids(good)}));
  EXPECT_TRUE(in_step(pair));
}

TEST_F(Announced, SequenceNumbersSkipWhatWasAskedFor) {  // RFC 6311 5.2, RFC 6311 6.4
  EXPECT_TRUE(say({ids("010203040000001000000010"), counters("0000000000010000")}));
  EXPECT_EQ(skips, std::vector<std::uint64_t>{65536});
  // A replay of the numbers is one of the counters.
  EXPECT_FALSE(say({ids("010203040000001000000010"), counters("0000000000010000")}));
  Forger forger(pair.a.exported.at(0), 0x10);
  EXPECT_TRUE(forger.ask(pair, ExchangeType::informational, {counters("0000000000000005")}).payloads.empty());
  EXPECT_EQ(skips, (std::vector<std::uint64_t>{65536, 5}));
  // These Child SAs have 64-bit numbers.
  for (const char* wrong : {"00000005", "", "000000000000000500"})
    EXPECT_TRUE(forger.ask(pair, ExchangeType::informational, {counters(wrong)}).payloads.empty());
  EXPECT_EQ(skips.size(), 2u);
}

}  // namespace
}  // namespace culvert::ike::v2
