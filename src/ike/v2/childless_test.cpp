// IKE SAs without a Child SA in IKE_AUTH (RFC 6023), and the first one behind them.
#include "ike/v2/childless.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/life_state.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::Childless;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

class ChildlessTest : public ::testing::Test {
 protected:
  void start(Childless a, Childless b) {
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    config_a.life.childless = a;
    config_b.life.childless = b;
    configure(*pair, std::move(config_a), std::move(config_b));
    initiate(*pair);
    pair->settle();
  }
  [[nodiscard]] std::size_t sent(model::ExchangeType exchange) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        pair->wire, [&](const Datagram& one) { return one.from_a && one.header().exchange == exchange; }));
  }
  /// CHILDLESS_IKEV2_SUPPORTED in the IKE_SA_INIT response.
  [[nodiscard]] bool announced() const {
    for (const Datagram& one : pair->wire) {
      if (one.from_a || one.header().exchange != model::ExchangeType::ike_sa_init) continue;
      const auto parsed = codec::parse_message(one.message);
      for (const codec::Payload& payload : parsed->payloads) {
        const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
        if (notify == nullptr || notify->type != model::NotifyType::childless_ikev2_supported) continue;
        EXPECT_EQ(notify->protocol, model::ProtocolId::ike);  // RFC 6023 4
        EXPECT_TRUE(notify->spi.empty() && notify->data.empty());
        return true;
      }
    }
    return false;
  }

  std::unique_ptr<Pair> pair = std::make_unique<Pair>();
};

TEST_F(ChildlessTest, IsTakenButNotBegunByDefault) {  // RFC 6023 3
  start(Childless::allow, Childless::allow);
  ASSERT_TRUE(in_step(*pair));
  EXPECT_TRUE(announced());
  EXPECT_EQ(sent(model::ExchangeType::create_child_sa), 0u);
}

// RFC 6023 5: the first Child SA comes by CREATE_CHILD_SA, and so has a key exchange of its own.
TEST_F(ChildlessTest, TheFirstChildSaHasItsOwnKeyExchange) {
  for (const Childless wanted : {Childless::prefer, Childless::force}) {
    pair = std::make_unique<Pair>(3);
    start(wanted, Childless::allow);
    ASSERT_TRUE(in_step(*pair));
    EXPECT_EQ(sent(model::ExchangeType::ike_auth), 1u);
    EXPECT_EQ(sent(model::ExchangeType::create_child_sa), 1u);
    EXPECT_NE(pair->a.child().suite.key_exchange, model::KeyExchangeMethod::none);
    EXPECT_TRUE(pair->b.logged("without a Child SA"));
    EXPECT_TRUE(pair->a.failures.empty() && pair->b.failures.empty());
    EXPECT_TRUE(no_leaks(*pair));
  }
}

TEST_F(ChildlessTest, RekeysGoOn) {
  start(Childless::prefer, Childless::allow);
  ASSERT_TRUE(in_step(*pair));
  for (const bool first : {true, false}) {
    Host& who = pair->host(first);
    pair->command(who, RekeyIkeSa{who.ike_sa().ike_sa});
    pair->settle();
    pair->command(who, RekeyChildSa{who.child().id});
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
  }
}

// RFC 6023 3: who is configured not to take them does not say that it does, and is not asked.
TEST_F(ChildlessTest, IsLeftOutWhereThePeerDoesNotTakeIt) {
  start(Childless::prefer, Childless::never);
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(announced());
  EXPECT_EQ(sent(model::ExchangeType::create_child_sa), 0u);
}

TEST_F(ChildlessTest, WhoInsistsEndsWhereThePeerDoesNotTakeIt) {
  start(Childless::force, Childless::never);
  pair->advance(seconds(30));
  EXPECT_TRUE(pair->a.ike_sas.empty() && pair->b.ike_sas.empty());
  ASSERT_FALSE(pair->a.failures.empty());
  EXPECT_EQ(pair->a.failures[0].kind, FailureKind::peer_refused);
  EXPECT_THAT(pair->a.failures[0].detail, HasSubstr("RFC 6023"));
  EXPECT_EQ(sent(model::ExchangeType::ike_auth), 0u) << "who we are is not for a peer that does not know it";
}

// The responder insists: what comes in IKE_AUTH has no key exchange, and is refused for that; the IKE SA stands.
TEST_F(ChildlessTest, AResponderThatInsistsTakesTheChildSaOnlyBehindIt) {
  start(Childless::allow, Childless::force);
  EXPECT_EQ(pair->a.ike_sas.size(), 1u);
  EXPECT_TRUE(pair->a.children.empty() && pair->b.children.empty());
  ASSERT_FALSE(pair->b.failures.empty());
  EXPECT_TRUE(pair->b.failures[0].child_only);
  ASSERT_FALSE(pair->a.failures.empty());
  EXPECT_EQ(pair->a.failures[0].notify, model::NotifyType::no_proposal_chosen);
  initiate(*pair);  // as control does again and again
  pair->settle();
  EXPECT_TRUE(in_step(*pair));
  EXPECT_NE(pair->a.child().suite.key_exchange, model::KeyExchangeMethod::none);
}

// RFC 6023 3: INVALID_SYNTAX for who sends such a request all the same. Our own initiator never would: the connection
// changes between the two exchanges.
TEST_F(ChildlessTest, ARequestThatIsNotAllowedIsRefused) {
  auto config_a = config_of(true);
  config_a.life.childless = Childless::prefer;
  configure(*pair, std::move(config_a), config_of(false));
  initiate(*pair);
  ASSERT_TRUE(pair->run_until([&] {
    return std::ranges::any_of(pair->wire, [](const Datagram& one) {
      return !one.from_a && one.header().exchange == model::ExchangeType::ike_sa_init;
    });
  }));
  auto never = config_of(false);
  never.life.childless = Childless::never;
  pair->command(pair->b, ConfigureConnection{never});
  pair->settle();
  pair->advance(seconds(5));
  ASSERT_FALSE(pair->a.failures.empty());
  EXPECT_EQ(pair->a.failures[0].notify, model::NotifyType::invalid_syntax);
  ASSERT_FALSE(pair->b.failures.empty());
  EXPECT_THAT(pair->b.failures[0].detail, HasSubstr("without a Child SA"));
  EXPECT_TRUE(pair->a.ike_sas.empty() && pair->b.ike_sas.empty());
}

// The set-up goes on under loss of each message in turn.
TEST_F(ChildlessTest, ComesUpWhateverMessageIsLost) {
  for (std::size_t lost = 0; lost < 8; ++lost) {
    pair = std::make_unique<Pair>(11 + lost);
    pair->fate = [count = std::size_t{0}, lost](const Datagram&) mutable {
      return count++ == lost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    start(Childless::force, Childless::allow);
    pair->advance(seconds(10));
    EXPECT_TRUE(in_step(*pair)) << "without message " << lost;
    EXPECT_TRUE(no_leaks(*pair));
  }
}

}  // namespace
}  // namespace culvert::ike::v2
