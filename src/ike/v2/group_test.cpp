// Groups of peers on one connection: what they are given, what they may reach, who is refused (RFC 4301 4.4.3).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::seconds;
using ::testing::HasSubstr;

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

/// a is the client, b the gateway.
model::ConnectionConfig client(std::string_view who = "amy@example.org") {
  model::ConnectionConfig config = config_of(true);
  config.local_id = model::Identity::parse(who);
  config.request_addresses = {net::Family::v4};
  config.local = {model::TrafficSelector::of(net::AddressRange::all(net::Family::v4))};
  return config;
}

model::GroupPolicy sales() {
  return {.name = "sales",
          .members = {model::Identity::parse("amy@example.org"), *model::IdentityPattern::parse("*@sales.example.org")},
          .refused = false,
          .pools = {"sales"},
          .local = subnet("10.2.7.0/24"),
          .sessions = 1};
}

model::ConnectionConfig gateway(std::vector<model::GroupPolicy> groups = {sales()}) {
  model::ConnectionConfig config = config_of(false);
  config.name = "road";
  config.peer.reset();
  config.remote_id.reset();
  config.remote_pattern = model::IdentityPattern::parse("*");
  config.remote = subnet("10.9.0.0/24");
  config.pools = {"staff"};
  config.groups = std::move(groups);
  return config;
}

class Group : public ::testing::Test {
 protected:
  Pair pair_;

  void go(model::ConnectionConfig a = client(), model::ConnectionConfig b = gateway()) {
    pair_.b.addresses = [](const AddressRequest&) {
      model::Configuration given;
      given.addresses = {ip("10.9.0.7")};
      return AddressResult{given};
    };
    configure(pair_, std::move(a), std::move(b));
    initiate(pair_);
    pair_.settle();
  }
};

TEST_F(Group, AMemberGetsOfItsPoolAndReachesWhatTheGroupMay) {
  go();
  ASSERT_TRUE(in_step(pair_));
  EXPECT_EQ(pair_.b.child().local, subnet("10.2.7.0/24"));
  EXPECT_EQ(pair_.b.ike_sa().group, "sales");
  ASSERT_EQ(pair_.b.address_requests.size(), 1U);
  EXPECT_EQ(pair_.b.address_requests.front().pools, std::vector<std::string>{"sales"});
  EXPECT_EQ(pair_.b.address_requests.front().local, subnet("10.2.7.0/24"));
}

TEST_F(Group, OthersHaveWhatTheTunnelSays) {
  go(client("carol@example.org"));
  ASSERT_TRUE(in_step(pair_));
  EXPECT_EQ(pair_.b.child().local, subnet("10.2.0.0/16"));
  EXPECT_EQ(pair_.b.ike_sa().group, "");
  EXPECT_EQ(pair_.b.address_requests.front().pools, std::vector<std::string>{"staff"});
}

TEST_F(Group, RekeysAndFurtherChildSasStayWithinIt) {
  go();
  for (const bool first : {true, false}) {
    Host& who = pair_.host(first);
    pair_.command(who, RekeyIkeSa{who.ike_sas.begin()->first});
    pair_.settle();
    pair_.advance(seconds(2));
    pair_.command(who, RekeyChildSa{who.children.begin()->first});
    pair_.settle();
    pair_.advance(seconds(120));
    ASSERT_TRUE(in_step(pair_)) << (first ? "a" : "b");
    EXPECT_EQ(pair_.b.child().local, subnet("10.2.7.0/24"));
    EXPECT_EQ(pair_.b.ike_sa().group, "sales");
  }
}

TEST_F(Group, WhoIsRefusedHearsNoMoreThanThat) {
  model::GroupPolicy guests;
  guests.name = "guests";
  guests.members = {*model::IdentityPattern::parse("*@example.org")};
  guests.refused = true;
  go(client(), gateway({guests}));
  EXPECT_TRUE(pair_.b.ike_sas.empty());
  ASSERT_EQ(pair_.b.failures.size(), 1U);
  EXPECT_EQ(pair_.b.failures.front().kind, FailureKind::peer_refused);
  EXPECT_THAT(pair_.b.failures.front().detail, HasSubstr("group 'guests'"));
  ASSERT_EQ(pair_.a.failures.size(), 1U);
  EXPECT_EQ(pair_.a.failures.front().notify, model::NotifyType::authentication_failed);
}

// A group that is gone from the configuration gives nobody more than it gave.
TEST_F(Group, WithoutItsGroupAPeerGetsNothingNew) {
  go();
  ASSERT_TRUE(in_step(pair_));
  pair_.command(pair_.b, ConfigureConnection{gateway({})});
  pair_.command(pair_.a, RekeyChildSa{pair_.a.children.begin()->first});
  pair_.settle();
  for (const auto& [id, child] : pair_.b.children) EXPECT_EQ(child.params.local, subnet("10.2.7.0/24"));
}

}  // namespace
}  // namespace culvert::ike::v2
