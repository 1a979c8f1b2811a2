// Groups of peers on one connection: what they are given, what they may reach, who is refused (RFC 4301 4.4.3).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/testing/remote_access.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::seconds;
using ::testing::HasSubstr;

model::GroupPolicy sales() {
  return {.name = "sales",
          .members = {model::Identity::parse("amy@example.org"), *model::IdentityPattern::parse("*@sales.example.org")},
          .refused = false,
          .pools = {"sales"},
          .local = subnet("10.2.7.0/24"),
          .sessions = 1};
}

model::ConnectionConfig gateway(std::vector<model::GroupPolicy> groups = {sales()}) {
  model::ConnectionConfig config = remote_gateway("*");
  config.groups = std::move(groups);
  return config;
}

class Group : public ::testing::Test {
 protected:
  Pair pair_;

  void go(model::ConnectionConfig a = remote_client(), model::ConnectionConfig b = gateway()) {
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
  EXPECT_EQ(pair_.b.ike_sa().admission.group(), "sales");
  ASSERT_EQ(pair_.b.address_requests.size(), 1U);
  EXPECT_EQ(pair_.b.address_requests.front().pools, std::vector<std::string>{"sales"});
  EXPECT_EQ(pair_.b.address_requests.front().local, subnet("10.2.7.0/24"));
}

TEST_F(Group, OthersHaveWhatTheTunnelSays) {
  go(remote_client("carol@example.org"));
  ASSERT_TRUE(in_step(pair_));
  EXPECT_EQ(pair_.b.child().local, subnet("10.2.0.0/16"));
  EXPECT_EQ(pair_.b.ike_sa().admission.group(), "");
  EXPECT_EQ(pair_.b.address_requests.front().pools, std::vector<std::string>{"staff"});
}

TEST_F(Group, RekeysAndFurtherChildSasStayWithinIt) {
  go();
  rekey_all(pair_, [this](const char* when) {
    ASSERT_TRUE(in_step(pair_)) << when;
    EXPECT_EQ(pair_.b.child().local, subnet("10.2.7.0/24"));
    EXPECT_EQ(pair_.b.ike_sa().admission.group(), "sales");
  });
}

TEST_F(Group, WhoIsRefusedHearsNoMoreThanThat) {
  model::GroupPolicy guests;
  guests.name = "guests";
  guests.members = {*model::IdentityPattern::parse("*@example.org")};
  guests.refused = true;
  go(remote_client(), gateway({guests}));
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
