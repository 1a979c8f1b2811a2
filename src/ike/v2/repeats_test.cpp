// Requests in an IKE SA that stands and their retransmissions (RFC 7296 2.1, 2.4): each is repeated octet for octet, at
// growing intervals, until it is answered, and then no more.
#include <algorithm>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using std::chrono::seconds;

struct Kind {
  const char* name;
  ExchangeType exchange;
  std::function<void(Pair&, Host&)> begin;
};

std::vector<Kind> kinds() {
  return {{"RekeyOfTheChildSa", ExchangeType::create_child_sa,
           [](Pair& pair, Host& host) { pair.command(host, RekeyChildSa{host.child().id}); }},
          {"RekeyOfTheIkeSa", ExchangeType::create_child_sa,
           [](Pair& pair, Host& host) { pair.command(host, RekeyIkeSa{host.ike_sa().ike_sa}); }},
          {"DeleteOfTheChildSa", ExchangeType::informational,
           [](Pair& pair, Host& host) { pair.command(host, DeleteChildSa{host.child().id}); }},
          {"LivenessCheck", ExchangeType::informational, [](Pair& pair, Host& host) {
             const Instant began = pair.now;
             while (pair.wire.empty() && pair.now < began + seconds(120)) pair.advance(std::chrono::milliseconds(100));
             CHECK(pair.wire.front().from_a == (&host == &pair.a));
           }}};
}

class Repeats : public ::testing::TestWithParam<std::tuple<bool, Kind>> {
 protected:
  bool by_a() const { return std::get<0>(GetParam()); }
  const Kind& kind() const { return std::get<1>(GetParam()); }
  /// Up; the other side asks for nothing by itself. Whole messages: fragments become smaller when nothing is heard.
  void bring_up_one_that_is_quiet() {
    auto a = config_of(true);
    auto b = config_of(false);
    (by_a() ? b : a).liveness_interval = std::chrono::hours(10);
    a.ike_fragmentation = b.ike_fragmentation = model::IkeFragmentation::off;
    configure(pair, a, b);
    initiate(pair);
    pair.settle();
    pair.wire.clear();
  }
  /// The copies of the first request of the kind that were sent.
  std::vector<Bytes> copies() const {
    std::vector<Bytes> all;
    for (const Datagram& one : pair.wire) {
      if (is_first(one)) all.push_back(one.message);
    }
    return all;
  }
  bool is_first(const Datagram& one) const {
    const codec::Header header = one.header();
    return one.from_a == by_a() && !header.response && header.exchange == kind().exchange &&
           (!first || (header.message_id == first->message_id && header.spi_i == first->spi_i));
  }
  Pair pair;
  std::optional<codec::Header> first;
  std::vector<Instant> sent_at;
};
INSTANTIATE_TEST_SUITE_P(Of, Repeats, ::testing::Combine(::testing::Bool(), ::testing::ValuesIn(kinds())),
                         [](const auto& one) {
                           return std::string(std::get<1>(one.param).name) + (std::get<0>(one.param) ? "ByA" : "ByB");
                         });

TEST_P(Repeats, OctetForOctetAtGrowingIntervalsUntilTheAnswer) {
  bring_up_one_that_is_quiet();
  ASSERT_TRUE(in_step(pair));
  constexpr std::size_t kLost = 4;
  pair.fate = [&](const Datagram& one) {
    if (!is_first(one)) return std::vector<Duration>{Pair::kLatency};
    if (!first) first = one.header();
    sent_at.push_back(pair.now);
    return sent_at.size() <= kLost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  kind().begin(pair, pair.host(by_a()));
  ASSERT_TRUE(pair.run_until([&] { return sent_at.size() == kLost + 1; }));
  pair.advance(std::chrono::minutes(10));
  const auto all = copies();
  ASSERT_EQ(all.size(), kLost + 1) << "once it is answered it is not sent again";
  for (const Bytes& one : all) EXPECT_EQ(to_hex(one), to_hex(all.front()));
  for (std::size_t n = 2; n < sent_at.size(); ++n)
    EXPECT_GT(sent_at[n] - sent_at[n - 1], sent_at[n - 1] - sent_at[n - 2]) << n;
  EXPECT_EQ(pair.a.ike_sas.size(), 1u) << "four that were lost end nothing";
  EXPECT_EQ(pair.b.ike_sas.size(), 1u);
}

// RFC 7296 2.1: a request that comes again brings the answer that it brought before, and nothing is done twice.
TEST_P(Repeats, TheSameAnswerEachTime) {
  bring_up_one_that_is_quiet();
  ASSERT_TRUE(in_step(pair));
  const std::size_t made = pair.host(!by_a()).children_made;
  std::vector<Bytes> answers;
  pair.fate = [&](const Datagram& one) {
    if (!first && is_first(one)) first = one.header();
    const codec::Header header = one.header();
    const bool answer = first && one.from_a != by_a() && header.response && header.exchange == kind().exchange &&
                        header.message_id == first->message_id && header.spi_i == first->spi_i;
    if (!answer) return std::vector<Duration>{Pair::kLatency};
    answers.push_back(one.message);
    return answers.size() <= 3 ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  kind().begin(pair, pair.host(by_a()));
  ASSERT_TRUE(pair.run_until([&] { return answers.size() == 4; }));
  pair.advance(seconds(5));
  for (const Bytes& one : answers) EXPECT_EQ(to_hex(one), to_hex(answers.front()));
  const bool child_rekey = std::string(kind().name) == "RekeyOfTheChildSa";
  EXPECT_EQ(pair.host(!by_a()).children_made, made + (child_rekey ? 1 : 0));
  EXPECT_EQ(pair.host(!by_a()).ike_sas.size(), 1u);
  EXPECT_EQ(copies().size(), 4u);
  EXPECT_TRUE(no_leaks(pair));
}

}  // namespace
}  // namespace culvert::ike::v2
