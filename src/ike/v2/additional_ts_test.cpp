// Traffic selectors that are left out because they belong to a further Child SA (RFC 7296 2.9): ADDITIONAL_TS_POSSIBLE,
// and what asks for them.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/resource_sas.hpp"
#include "ike/v2/testing/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;

// RFC 7296 2.9: what is asked for belongs to two of ours. The peer gets the one, hears that there is more, and asks for
// that when a packet needs it.
TEST_F(SharedIkeSaTest, WhatIsLeftOutIsForAFurtherChildSa) {
  configure(pair, two_in_one(), first_of(false));
  configure(pair, further_of(true, kThird), further_of(false, kSecond));
  begin(kConnection);
  pair.settle();
  ASSERT_EQ(up_at(pair.b), std::multiset<model::ConnectionId>{kConnection});
  EXPECT_TRUE(pair.a.logged("takes what is left out in further ones"));
  a_packet_needs_the_rest();
  EXPECT_EQ(pair.b.ike_sas.size(), 1U);
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
}

bool says_more_is_possible(Pair& pair) {
  return std::ranges::any_of(Wiretap(pair).all(pair, model::ExchangeType::ike_auth), [](const auto& one) {
    return one.notify(model::NotifyType::additional_ts_possible) != nullptr;
  });
}

// RFC 7296 2.9: it is said where something was left out that a further Child SA can be for, and nowhere else.
TEST(AdditionalTsPossible, IsSaidOnlyWhereThereIsMore) {
  for (const bool narrowed : {true, false}) {
    for (const bool more : {true, false}) {
      SCOPED_TRACE(fmt::format("{} {}", narrowed, more));
      Pair pair(1, exporting());
      configure(pair, narrowed ? two_in_one() : first_of(true), first_of(false));
      auto other = further_of(false, kSecond);
      if (!more) other.local = other.remote = subnet("10.99.0.0/16");
      configure(pair, further_of(true, kThird), other);
      initiate(pair);
      pair.settle();
      ASSERT_EQ(pair.a.children.size(), 1U);
      EXPECT_EQ(says_more_is_possible(pair), narrowed && more);
      EXPECT_EQ(pair.a.logged("takes what is left out in further ones"), narrowed && more);
    }
  }
}

// Nor where another connection would have them too: what was asked for was given.
TEST(AdditionalTsPossible, IsNotSaidOfWhatWasGiven) {
  Pair pair(1, exporting());
  configure(pair, first_of(true), first_of(false));
  auto other = further_of(false, kSecond);
  other.local = other.remote = subnet("10.0.0.0/8");
  configure(pair, further_of(true, kThird), other);
  initiate(pair);
  pair.settle();
  ASSERT_EQ(pair.a.children.size(), 1U);
  EXPECT_EQ(pair.a.child().remote, first_of(true).remote);
  EXPECT_FALSE(says_more_is_possible(pair));
}

// A peer that says it although it has left nothing out.
TEST(AdditionalTsPossible, SaidUnaskedItMeansNothing) {
  Pair pair(1, exporting());
  auto a = first_of(true);
  auto b = first_of(false);
  a.esp_proposals = b.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes256gcm16-esn")};
  configure(pair, a, b);
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
  Wiretap tap(pair);
  pair.command(pair.a, RekeyChildSa{pair.a.child().id});
  const codec::Message request = tap.open(pair.wire.back());
  codec::SaPayload sa = *request.first<codec::SaPayload>();
  sa.proposals.at(0).spi = {0, 0, 0x50, 1};
  pair.inject(pair.a, path_from(true, 4500),
              tap.answer(request, {codec::NotifyPayload{.protocol = model::ProtocolId::none,
                                                        .spi = {},
                                                        .type = model::NotifyType::additional_ts_possible,
                                                        .data = {}},
                                   sa, codec::NoncePayload{Bytes(32, 7)}, *request.ts(model::Role::initiator),
                                   *request.ts(model::Role::responder)}));
  EXPECT_EQ(pair.a.children.size(), 2U) << "the new pair stands, and the old one until it is deleted";
  EXPECT_FALSE(pair.a.logged("takes what is left out in further ones"));
  EXPECT_TRUE(pair.a.failures.empty());
}

// Who is not told asks all the same when a packet needs it: the notification promises, and its absence forbids nothing.
TEST_F(SharedIkeSaTest, WhatIsLeftOutWithoutAWordIsAskedForToo) {
  configure(pair, two_in_one(), first_of(false));
  begin(kConnection);
  pair.settle();
  ASSERT_EQ(pair.a.children.size(), 1U);
  EXPECT_FALSE(pair.a.logged("takes what is left out in further ones"));
  // The peer's configuration has it only now.
  pair.b.secrets[kSecond] = pair.b.secrets.at(kConnection);
  pair.command(pair.b, ConfigureConnection{further_of(false, kSecond)});
  a_packet_needs_the_rest();
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
}

}  // namespace
}  // namespace culvert::ike::v2
