// Remote access between two endpoints: addresses asked for, given, refused; many peers on one connection (RFC 7296
// 2.19, 3.15).
#include "ike/v2/configuration.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/sessions.hpp"
#include "ike/v2/testing/remote_access.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using model::NotifyType;
using std::chrono::seconds;
using ::testing::HasSubstr;

model::TrafficSelectors host(std::string_view address) {
  return {model::TrafficSelector::of(net::AddressRange::of(ip(address)))};
}

class Remote : public ::testing::Test {
 protected:
  Pair pair_;

  /// Answers with these addresses, and a name server.
  void give(std::vector<std::string> addresses) {
    pair_.b.addresses = [addresses](const AddressRequest&) {
      model::Configuration given;
      for (const std::string& address : addresses) given.addresses.push_back(ip(address));
      given.dns_servers = {ip("10.2.0.53")};
      given.domains = {"example.org"};
      return AddressResult{given};
    };
  }
  void go(model::ConnectionConfig a = remote_client(), model::ConnectionConfig b = remote_gateway()) {
    configure(pair_, std::move(a), std::move(b));
    initiate(pair_);
    pair_.settle();
  }
};

// RFC 7296 2.19: TSi comes back narrowed to the address.
TEST_F(Remote, TheClientGetsItsAddressAndTheChildSaIsForItAlone) {
  give({"10.9.0.7"});
  go();
  ASSERT_TRUE(in_step(pair_));
  EXPECT_EQ(pair_.a.child().local, host("10.9.0.7"));
  EXPECT_EQ(pair_.b.child().remote, host("10.9.0.7"));
  ASSERT_EQ(pair_.a.configurations.size(), 1U);
  const model::Configuration& given = pair_.a.configurations.front().configuration;
  EXPECT_EQ(given.addresses, std::vector{ip("10.9.0.7")});
  EXPECT_EQ(given.dns_servers, std::vector{ip("10.2.0.53")});
  EXPECT_EQ(given.domains, std::vector<std::string>{"example.org"});
  ASSERT_EQ(pair_.b.address_requests.size(), 1U);
  const AddressRequest& asked = pair_.b.address_requests.front();
  EXPECT_EQ(asked.identity, model::Identity::parse("amy@example.org"));
  EXPECT_EQ(asked.wishes, (std::vector<model::AddressWish>{{net::Family::v4, std::nullopt}}));
  EXPECT_EQ(pair_.b.ike_sa().remote_id, model::Identity::parse("amy@example.org"));
  EXPECT_TRUE(no_leaks(pair_));
}

// RFC 7296 2.9.2, 2.18: what was given holds through rekeys, by either side and in whatever order.
TEST_F(Remote, RekeysKeepTheAddress) {
  give({"10.9.0.7"});
  go();
  rekey_all(pair_, [this](const char* when) {
    ASSERT_TRUE(in_step(pair_)) << when;
    EXPECT_EQ(pair_.a.child().local, host("10.9.0.7"));
    EXPECT_EQ(pair_.b.child().remote, host("10.9.0.7"));
  });
  EXPECT_EQ(pair_.b.address_requests.size(), 1U);
  EXPECT_TRUE(pair_.a.failures.empty() && pair_.b.failures.empty());
}

// RFC 7296 3.15.1: the client asks for the address that it had.
TEST_F(Remote, TheNextIkeSaAsksForTheSameAddress) {
  give({"10.9.0.7"});
  go();
  pair_.command(pair_.a, Terminate{kConnection});
  pair_.settle();
  initiate(pair_);
  pair_.settle();
  ASSERT_EQ(pair_.b.address_requests.size(), 2U);
  EXPECT_EQ(pair_.b.address_requests.back().wishes.front().address, ip("10.9.0.7"));
}

// RFC 7296 3.15.4: INTERNAL_ADDRESS_FAILURE, and no Child SA; the client ends what is of no use to it.
TEST_F(Remote, APoolThatIsEmpty) {
  pair_.b.addresses = [](const AddressRequest&) {
    return AddressResult{err(std::string("no address is left in the pool staff"))};
  };
  go();
  EXPECT_TRUE(pair_.a.children.empty() && pair_.b.children.empty());
  ASSERT_EQ(pair_.b.failures.size(), 1U);
  EXPECT_EQ(pair_.b.failures[0].kind, FailureKind::no_address);
  EXPECT_EQ(pair_.b.failures[0].notify, NotifyType::internal_address_failure);
  EXPECT_TRUE(pair_.b.failures[0].child_only);
  EXPECT_THAT(pair_.b.failures[0].detail, HasSubstr("no address is left in the pool staff"));
  ASSERT_EQ(pair_.a.failures.size(), 1U);
  EXPECT_EQ(pair_.a.failures[0].kind, FailureKind::no_address);
  EXPECT_EQ(pair_.a.failures[0].notify, NotifyType::internal_address_failure);
  pair_.advance(seconds(5));
  EXPECT_TRUE(pair_.a.ike_sas.empty() && pair_.b.ike_sas.empty());
  EXPECT_TRUE(no_leaks(pair_));
}

// RFC 7296 2.19: FAILED_CP_REQUIRED for who brings an address of its own.
TEST_F(Remote, AClientThatAsksForNoAddress) {
  give({"10.9.0.7"});
  model::ConnectionConfig plain = remote_client();
  plain.request_addresses.clear();
  plain.local = host("10.9.0.9");
  go(plain);
  ASSERT_EQ(pair_.b.failures.size(), 1U);
  EXPECT_EQ(pair_.b.failures[0].notify, NotifyType::failed_cp_required);
  EXPECT_TRUE(pair_.b.address_requests.empty());
  EXPECT_TRUE(pair_.b.children.empty());
  // Nor by the way of CREATE_CHILD_SA.
  initiate(pair_);
  pair_.settle();
  pair_.advance(seconds(5));
  EXPECT_TRUE(pair_.b.children.empty());
}

// RFC 7296 2.19: who has no address yet says so by the widest selector; OpenIKED by one of no address.
TEST(UnspecifiedAddress, BecomesTheOneGiven) {
  using model::Role;
  const auto all = model::TrafficSelector::all(net::Family::v4);
  codec::Message request;
  request.add(codec::TsPayload{.side = Role::initiator,
                               .selectors = {host("0.0.0.0")[0], host("::")[0], all, host("10.9.0.9")[0]},
                               .unknown = {}});
  request.add(codec::TsPayload{.side = Role::responder, .selectors = host("0.0.0.0"), .unknown = {}});
  place_unspecified(request, {ip("10.9.0.7")});
  EXPECT_EQ(request.ts(Role::initiator)->selectors,
            (model::TrafficSelectors{host("10.9.0.7")[0], host("::")[0], all, host("10.9.0.9")[0]}));
  EXPECT_EQ(request.ts(Role::responder)->selectors, host("0.0.0.0"));
  place_unspecified(request, {ip("fd09::7")});
  EXPECT_EQ(request.ts(Role::initiator)->selectors[1], host("fd09::7")[0]);
}

TEST_F(Remote, AGatewayThatGivesNone) {
  model::ConnectionConfig plain = remote_gateway();
  plain.pools.clear();
  go(remote_client(), plain);
  ASSERT_EQ(pair_.a.failures.size(), 1U);
  EXPECT_EQ(pair_.a.failures[0].kind, FailureKind::no_address);
  EXPECT_THAT(pair_.a.failures[0].detail, HasSubstr("does not answer the configuration payload"));
  pair_.advance(seconds(5));
  EXPECT_TRUE(pair_.a.children.empty() && pair_.b.children.empty());
  EXPECT_TRUE(pair_.a.ike_sas.empty() && pair_.b.ike_sas.empty());
  EXPECT_TRUE(no_leaks(pair_));
}

TEST_F(Remote, AnIdentityOutsideThePatternIsUnknown) {
  give({"10.9.0.7"});
  model::ConnectionConfig stranger = remote_client();
  stranger.local_id = model::Identity::parse("eve@example.net");
  go(stranger);
  EXPECT_TRUE(pair_.b.ike_sas.empty());
  ASSERT_EQ(pair_.b.failures.size(), 1U);
  EXPECT_EQ(pair_.b.failures[0].kind, FailureKind::unknown_peer);
  EXPECT_THAT(pair_.b.failures[0].detail, HasSubstr("expects *@example.org"));
}

// ---------------------------------------------------------------- several peers on one connection

/// Two clients in one host: their connections differ by identity.
class Many : public Remote {
 protected:
  int given_ = 0;

  void SetUp() override {
    pair_.b.addresses = [this](const AddressRequest&) {
      model::Configuration given;
      given.addresses = {ip("10.9.0." + std::to_string(++given_))};
      return AddressResult{given};
    };
    pair_.b.secrets[kConnection] = to_bytes(as_bytes("a shared secret"));
  }
  void add_client(std::uint32_t id, std::string_view who) {
    model::ConnectionConfig config = remote_client();
    config.id = model::ConnectionId(id);
    config.name = who;
    config.local_id = model::Identity::parse(who);
    pair_.a.secrets[config.id] = to_bytes(as_bytes("a shared secret"));
    pair_.command(pair_.a, ConfigureConnection{config});
  }
  void begin(std::uint32_t id) {
    pair_.command(pair_.a, Initiate{.connection = model::ConnectionId(id), .path = path_from(true)});
    pair_.settle();
  }
};

// RFC 7296 2.4: INITIAL_CONTACT is about the identity that sends it.
TEST_F(Many, PeersOfOneConnectionLeaveEachOtherAlone) {
  pair_.command(pair_.b, ConfigureConnection{remote_gateway()});
  for (std::uint32_t n = 1; n <= 20; ++n) {
    add_client(n, "u" + std::to_string(n) + "@example.org");
    begin(n);
  }
  EXPECT_EQ(pair_.b.ike_sas.size(), 20U);
  EXPECT_EQ(pair_.b.children.size(), 20U);
  EXPECT_TRUE(pair_.b.closed.empty());
  for (const AddressRequest& asked : pair_.b.address_requests) EXPECT_TRUE(asked.ending.empty());
}

TEST_F(Many, TheSameIdentityAnewTakesThePlaceOfTheOld) {
  pair_.command(pair_.b, ConfigureConnection{remote_gateway()});
  add_client(1, "amy@example.org");
  add_client(2, "bob@example.org");
  begin(1);
  begin(2);
  pair_.a.restart();  // another device, which does not know of the first
  add_client(3, "amy@example.org");
  begin(3);
  EXPECT_EQ(pair_.b.ike_sas.size(), 2U);
  ASSERT_EQ(pair_.b.closed.size(), 1U);
  EXPECT_EQ(pair_.b.closed[0].reason, CloseReason::superseded);
  ASSERT_EQ(pair_.b.address_requests.size(), 3U);
  EXPECT_EQ(pair_.b.address_requests.back().ending, std::vector{pair_.b.closed[0].ike_sa});
}

// Our own initiator says INITIAL_CONTACT, which takes the place of all there is; others do not.
class Sessions : public ::testing::Test {
 protected:
  EndpointSettings settings_;
  SeededRandom random_{1};
  TestSpiAllocator spis_{0x1000};
  Core core_{settings_, random_, spis_};
  model::ConnectionConfig config_ = remote_gateway();

  IkeSa& add(std::string_view who, Phase phase) {
    IkeSa& sa = core_.sas.add(core_.next_ike_sa_id());
    sa.phase = phase;
    sa.role = model::Role::responder;
    sa.connection = config_.id;
    sa.remote_id = model::Identity::parse(who);
    sa.one_of_many = true;
    sa.begun_order = core_.next_order();
    if (phase == Phase::established) sa.established_order = core_.next_order();
    core_.sas.note(sa);
    return sa;
  }
  std::vector<model::IkeSaId> ending(const IkeSa& sa, bool alone = false) {
    std::vector<model::IkeSaId> ids;
    for (const IkeSa* one : sessions_that_end(core_, sa, config_, alone)) ids.push_back(one->id);
    return ids;
  }
};

TEST_F(Sessions, OneMoreThanAllowedEndsTheOldest) {
  const auto first = add("amy@example.org", Phase::established).id;
  const auto second = add("amy@example.org", Phase::established).id;
  (void)add("bob@example.org", Phase::established);
  const IkeSa& fresh = add("amy@example.org", Phase::half_open);
  EXPECT_TRUE(ending(fresh).empty());  // no bound but the endpoint's
  config_.sessions = 3;
  EXPECT_TRUE(ending(fresh).empty());
  config_.sessions = 2;
  EXPECT_EQ(ending(fresh), std::vector{first});
  config_.sessions = 1;
  EXPECT_EQ(ending(fresh), (std::vector{first, second}));
  config_.sessions = 0;
  EXPECT_EQ(ending(fresh, true), (std::vector{first, second}));
}

TEST_F(Sessions, OneMoreThanAllowedIsRefused) {
  (void)add("amy@example.org", Phase::established);
  IkeSa& fresh = add("amy@example.org", Phase::half_open);
  config_.sessions = 1;
  codec::Message request;
  EXPECT_FALSE(admission_refusal(core_, fresh, config_, request));
  config_.refuse_more_sessions = true;
  const auto refused = admission_refusal(core_, fresh, config_, request);
  ASSERT_TRUE(refused);
  EXPECT_THAT(*refused, HasSubstr("amy@example.org"));
  EXPECT_THAT(*refused, HasSubstr("has 1 sessions already"));
  EXPECT_FALSE(admission_refusal(core_, add("bob@example.org", Phase::half_open), config_, request));
  // RFC 7296 2.4: then it has none any more.
  request.add_notify(NotifyType::initial_contact);
  EXPECT_FALSE(admission_refusal(core_, fresh, config_, request));
}

// One whose last IKE SA is gone is known no more.
TEST_F(Sessions, TheIndexForgets) {
  IkeSa& gone = add("amy@example.org", Phase::established);
  const IkeSa& fresh = add("amy@example.org", Phase::half_open);
  EXPECT_EQ(sessions_of(core_, fresh).size(), 1U);
  core_.sas.erase(gone.id);
  EXPECT_TRUE(sessions_of(core_, fresh).empty());
}

// RFC 7296 2.20, 3.15: asked for addresses outside of IKE_AUTH we name those that the peer has of us, of the families
// that it asks for; what we have of the peer it knows, and is not ours to give.
TEST(Question, IsAnsweredByWhatThePeerHasOfUs) {
  IkeSa sa;
  const auto named = [&sa](std::initializer_list<net::Family> families) {
    std::vector<model::AddressWish> wishes;
    for (const net::Family family : families) wishes.push_back({family, std::nullopt});
    codec::Message request;
    request.add(codec::make_request(wishes));
    const auto reply = answer_question(sa, request);
    CHECK(reply.has_value());
    return codec::read_reply(*reply).configuration.addresses;
  };
  using enum net::Family;
  sa.inner = {.ours = false, .addresses = {ip("10.9.0.7"), ip("fd00:9::7")}};
  EXPECT_EQ(named({v4, v6}), sa.inner.addresses);
  EXPECT_EQ(named({v4}), std::vector{ip("10.9.0.7")});
  EXPECT_EQ(named({v6}), std::vector{ip("fd00:9::7")});
  sa.inner.ours = true;
  EXPECT_TRUE(named({v4, v6}).empty());
  EXPECT_FALSE(answer_question(sa, {}));
}

}  // namespace
}  // namespace culvert::ike::v2
