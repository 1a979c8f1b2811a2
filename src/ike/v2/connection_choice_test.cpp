// Several connections for one peer (RFC 4301 4.4.3.4, RFC 7296 2.9): which of them it means.
#include "ike/v2/connection_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/codec/seal.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

constexpr model::ConnectionId kSecond{2};

/// Between the same two ends, for other subnets.
model::ConnectionConfig second_of(bool first) {
  model::ConnectionConfig config = config_of(first);
  config.id = kSecond;
  config.name += "-too";
  config.local = subnet(first ? "10.11.0.0/16" : "10.12.0.0/16");
  config.remote = subnet(first ? "10.12.0.0/16" : "10.11.0.0/16");
  return config;
}

codec::Message request_for(const model::TrafficSelectors& theirs, const model::TrafficSelectors& ours) {
  codec::Message message;
  message.add(codec::TsPayload{.side = model::Role::initiator, .selectors = theirs, .unknown = {}});
  message.add(codec::TsPayload{.side = model::Role::responder, .selectors = ours, .unknown = {}});
  return message;
}

class ConnectionChoiceTest : public ::testing::Test {
 protected:
  Pair pair;

  void configure_both(model::ConnectionConfig first_at_b = config_of(false),
                      model::ConnectionConfig second_at_b = second_of(false)) {
    configure(pair, config_of(true), std::move(first_at_b));
    configure(pair, second_of(true), std::move(second_at_b));
  }
  void begin(model::ConnectionId connection) {
    pair.command(pair.a, Initiate{.connection = connection, .path = path_from(true)});
    pair.settle();
  }
  [[nodiscard]] static std::set<model::ConnectionId> up_at(const Host& host) {
    std::set<model::ConnectionId> up;
    for (const auto& [id, child] : host.children) up.insert(child.params.connection);
    return up;
  }
};

TEST_F(ConnectionChoiceTest, TheOneWhoseSelectorsAreAskedFor) {
  configure_both();
  begin(kSecond);
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.b.child().connection, kSecond);
  EXPECT_EQ(pair.b.ike_sa().connection, kSecond);
  EXPECT_EQ(pair.b.child().local, subnet("10.12.0.0/16"));
}

TEST_F(ConnectionChoiceTest, BothStandBesideEachOther) {
  configure_both();
  begin(kConnection);
  begin(kSecond);
  const std::set<model::ConnectionId> both{kConnection, kSecond};
  EXPECT_EQ(up_at(pair.a), both);
  EXPECT_EQ(up_at(pair.b), both);
  EXPECT_TRUE(no_leaks(pair));
  for (const Host* host : {&pair.a, &pair.b}) EXPECT_TRUE(host->failures.empty());
}

// RFC 7296 2.4: it is about identities, and would end the tunnel beside it.
TEST_F(ConnectionChoiceTest, InitialContactOnlyWithTheFirst) {
  for (const bool together : {false, true}) {
    EndpointSettings settings;
    settings.export_keys = true;
    Pair both(1, settings);
    configure(both, config_of(true), config_of(false));
    configure(both, second_of(true), second_of(false));
    for (const model::ConnectionId one : {kConnection, kSecond}) {
      both.command(both.a, Initiate{.connection = one, .path = path_from(true)});
      if (!together) both.settle();
    }
    both.settle();
    ASSERT_EQ(both.b.children.size(), 2U);
    std::vector<bool> said;
    for (const Datagram& one : both.wire) {
      if (!one.from_a || one.header().exchange != model::ExchangeType::ike_auth) continue;
      const auto keys = std::ranges::find(both.a.exported, one.header().spi_i, &KeysExported::spi_i);
      ASSERT_NE(keys, both.a.exported.end());
      const auto suite = *model::packet_suite(keys->suite.encryption, keys->suite.key_bits, keys->suite.integrity);
      auto opener = codec::MessageOpener::make(suite, keys->sk_ei.view(), keys->sk_ai.view());
      const auto message = opener->open(one.message, *codec::parse_message(one.message));
      ASSERT_TRUE(message);
      said.push_back(message->notify(model::NotifyType::initial_contact) != nullptr);
    }
    EXPECT_EQ(said, (std::vector{true, false})) << (together ? "at once" : "one after the other");
  }
}

// The secret is that of the connection that was chosen: selectors give nobody what another secret is for.
TEST_F(ConnectionChoiceTest, ItsProofIsThatOfTheChosenOne) {
  configure_both();
  pair.b.secrets[kSecond] = to_bytes(as_bytes("quite another secret"));
  begin(kSecond);
  EXPECT_TRUE(pair.b.ike_sas.empty());
  ASSERT_EQ(pair.b.failures.size(), 1U);
  EXPECT_EQ(pair.b.failures.front().kind, FailureKind::authentication_failed);
  EXPECT_EQ(pair.b.failures.front().connection, kSecond);
}

TEST_F(ConnectionChoiceTest, WithoutAnyThatFitsTheFirstAnswers) {
  auto other = second_of(false);
  other.local = subnet("10.99.0.0/16");
  configure_both(config_of(false), other);
  begin(kSecond);
  EXPECT_TRUE(pair.b.children.empty());
  ASSERT_EQ(pair.b.failures.size(), 1U);
  EXPECT_EQ(pair.b.failures.front().kind, FailureKind::traffic_selectors);
  EXPECT_EQ(pair.b.failures.front().connection, kConnection);
}

// A pattern is for those whom no connection names: its selectors are not for those who are named.
TEST_F(ConnectionChoiceTest, WhoIsNamedGetsNothingOfAPattern) {
  auto pattern = second_of(false);
  pattern.peer.reset();
  pattern.remote_id.reset();
  pattern.remote_pattern = model::IdentityPattern::parse("*.example");
  configure_both(config_of(false), pattern);
  begin(kSecond);
  EXPECT_TRUE(pair.b.children.empty());
  ASSERT_EQ(pair.b.failures.size(), 1U);
  EXPECT_EQ(pair.b.failures.front().connection, kConnection);
  pair.command(pair.b, RemoveConnection{kConnection});
  pair.settle();
  begin(kSecond);
  ASSERT_EQ(pair.b.children.size(), 1U) << "whom none names any more";
  EXPECT_EQ(pair.b.child().connection, kSecond);
}

// Over the IKE SA of the first, what the second has: refused, and said how it is to be had.
TEST_F(ConnectionChoiceTest, OverTheIkeSaOfAnotherItIsRefusedWithTheWayOut) {
  auto both = config_of(true);
  both.local.push_back(second_of(true).local.front());
  both.remote.push_back(second_of(true).remote.front());
  configure(pair, both, config_of(false));
  configure(pair, second_of(true), second_of(false));
  begin(kConnection);
  ASSERT_TRUE(in_step(pair));
  const ChildWish wish{.local = second_of(true).local, .remote = second_of(true).remote, .packet = {}};
  pair.command(pair.a, CreateChildSa{kConnection, wish});
  pair.settle();
  ASSERT_FALSE(pair.b.failures.empty());
  EXPECT_TRUE(pair.b.failures.back().child_only);
  EXPECT_THAT(pair.b.failures.back().detail, HasSubstr("connection 'to-a-too' has them"));
}

TEST(SelectorFitTest, FromNothingToExactly) {
  model::ConnectionConfig config = config_of(false);
  const auto fit = [&](const char* theirs, const char* ours) {
    return selector_fit(config, request_for(subnet(theirs), subnet(ours)));
  };
  EXPECT_EQ(fit("10.1.0.0/16", "10.2.0.0/16"), SelectorFit::exactly);
  EXPECT_EQ(fit("10.1.7.0/24", "10.2.0.0/16"), SelectorFit::within);
  EXPECT_EQ(fit("10.0.0.0/8", "10.2.0.0/16"), SelectorFit::partly);
  EXPECT_EQ(fit("10.1.0.0/16", "10.3.0.0/16"), SelectorFit::none);
  EXPECT_EQ(selector_fit(config, codec::Message{}), SelectorFit::none);
  codec::Message transport = request_for(config.remote, config.local);
  transport.add_notify(model::NotifyType::use_transport_mode);
  EXPECT_EQ(selector_fit(config, transport), SelectorFit::partly);
  config.mode = model::Mode::transport;
  EXPECT_EQ(selector_fit(config, transport), SelectorFit::exactly);
  EXPECT_EQ(fit("10.1.0.0/16", "10.2.0.0/16"), SelectorFit::none);
}

TEST(ConnectionChoiceOrder, OfEquallyGoodOnesTheFirst) {
  const auto request = request_for(subnet("10.1.7.0/24"), subnet("10.2.0.0/16"));
  const model::ConnectionConfig first = config_of(false);
  model::ConnectionConfig second = config_of(false);
  model::ConnectionConfig third = config_of(false);
  third.remote = subnet("10.1.7.0/24");
  ConnectionChoice choice(request);
  EXPECT_FALSE(choice.take(first));
  EXPECT_FALSE(choice.take(second));
  EXPECT_EQ(choice.best(), &first);
  EXPECT_TRUE(choice.take(third)) << "nothing is better";
  EXPECT_EQ(choice.best(), &third);
}

}  // namespace
}  // namespace culvert::ike::v2
