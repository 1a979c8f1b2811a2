// Scenarios of IKE_SA_INIT and IKE_AUTH (RFC 7296 1.2, 2.6, 2.15, 2.21), both roles by parameter where they are alike.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::milliseconds;
using std::chrono::seconds;

model::Proposal ike(std::string_view text) { return *model::parse_proposal(model::ProtocolId::ike, text); }
model::Proposal esp(std::string_view text) { return *model::parse_proposal(model::ProtocolId::esp, text); }

class SetUp : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(InitiatedBy, SetUp, ::testing::Values(true, false),
                         [](const auto& one) { return one.param ? "a" : "b"; });

TEST_P(SetUp, TwoRoundTripsMakeAnIkeSaAndAChildSa) {  // RFC 7296 1.2
  Pair pair;
  bring_up(pair, GetParam());
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.wire.size(), 4u);
  const Host& initiator = pair.host(GetParam());
  EXPECT_EQ(initiator.ike_sa().role, model::Role::initiator);
  EXPECT_EQ(initiator.ike_sa().remote_id, model::Identity::parse(GetParam() ? "b.example" : "a.example"));
  EXPECT_EQ(initiator.child().suite.encryption, model::EncryptionId::aes_gcm_16);
  EXPECT_TRUE(pair.a.failures.empty());
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(SetUp, TheSameSeedGivesTheSameBytes) {
  Pair first(7);
  bring_up(first, GetParam());
  Pair second(7);
  bring_up(second, GetParam());
  ASSERT_EQ(first.wire.size(), second.wire.size());
  for (std::size_t n = 0; n < first.wire.size(); ++n) EXPECT_EQ(first.wire[n].message, second.wire[n].message);
}

TEST_P(SetUp, LostMessagesAreRepeatedBitForBit) {  // RFC 7296 2.1
  for (std::size_t lost = 0; lost < 4; ++lost) {
    Pair pair;
    std::size_t sent = 0;
    pair.fate = [&](const Datagram&) {
      return sent++ == lost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    bring_up(pair, GetParam());
    ASSERT_TRUE(pair.run_until([&] { return in_step(pair); })) << "message " << lost;
    EXPECT_EQ(pair.host(GetParam()).endpoint().counters().retransmissions, 1u);
    std::map<std::tuple<bool, ExchangeType, bool>, Bytes> seen;
    for (const Datagram& one : pair.wire) {
      const auto [place, fresh] =
          seen.emplace(std::tuple(one.from_a, one.header().exchange, one.header().response), one.message);
      EXPECT_EQ(place->second, one.message);
    }
  }
}

TEST_P(SetUp, DuplicatesChangeNothing) {  // RFC 7296 2.1
  Pair pair;
  pair.fate = [](const Datagram&) {
    return std::vector<Duration>{milliseconds(10), milliseconds(10), milliseconds(15)};
  };
  bring_up(pair, GetParam());
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.children_made, 1u);
  EXPECT_EQ(pair.b.children_made, 1u);
}

TEST_P(SetUp, WithThePolicyUdpEverythingMovesToPort4500) {  // RFC 7296 2.23
  Pair pair;
  bring_up(pair, GetParam());
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.child().encapsulation, model::Encapsulation::udp);
  for (const Host* host : {&pair.a, &pair.b}) {
    EXPECT_EQ(host->ike_sa().path.local.port, 4500);
    EXPECT_EQ(host->ike_sa().path.remote.port, 4500);
    EXPECT_EQ(host->child().path.remote.port, 4500);
    EXPECT_FALSE(host->ike_sa().local_behind_nat);
  }
}

TEST_P(SetUp, WithThePolicyEspAndNoNatItIsProtocol50) {
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  a.encapsulation = b.encapsulation = model::EncapsulationPolicy::esp;
  // With MOBIKE IKE goes to port 4500 all the same (RFC 4555 3.3): mobike_test.
  a.mobike = b.mobike = false;
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.child().encapsulation, model::Encapsulation::none);
  EXPECT_EQ(pair.a.child().path.remote.port, 0);
  EXPECT_EQ(pair.a.ike_sa().path.remote.port, 500);
}

TEST_P(SetUp, AWrongSecretIsToldToBothUsersAndLeavesNothing) {  // RFC 7296 2.21.2
  Pair pair;
  configure(pair);
  pair.b.secrets[kConnection] = to_bytes(as_bytes("another secret"));
  initiate(pair, GetParam());
  pair.settle();
  Host& initiator = pair.host(GetParam());
  Host& responder = pair.host(!GetParam());
  ASSERT_EQ(initiator.failures.size(), 1u);
  EXPECT_EQ(initiator.failures[0].kind, FailureKind::authentication_failed);
  EXPECT_EQ(initiator.failures[0].notify, NotifyType::authentication_failed);
  ASSERT_EQ(responder.failures.size(), 1u);
  EXPECT_EQ(responder.failures[0].kind, FailureKind::authentication_failed);
  EXPECT_NE(responder.failures[0].detail.find(GetParam() ? "a.example" : "b.example"), std::string::npos);
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_TRUE(no_leaks(pair));
  pair.advance(std::chrono::minutes(5));
  EXPECT_FALSE(pair.a.endpoint().poll_timeout() || pair.b.endpoint().poll_timeout()) << "no state is left";
}

TEST_P(SetUp, AMissingSecretIsALocalError) {
  Pair pair;
  configure(pair);
  pair.host(GetParam()).secrets.clear();
  initiate(pair, GetParam());
  pair.settle();
  ASSERT_EQ(pair.host(GetParam()).failures.size(), 1u);
  EXPECT_EQ(pair.host(GetParam()).failures[0].kind, FailureKind::local_error);
}

TEST_P(SetUp, AnUnexpectedIdentityIsRefused) {  // RFC 4301 4.4.3
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).local_id = model::Identity::parse("mallory.example");
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  const Host& responder = pair.host(!GetParam());
  ASSERT_EQ(responder.failures.size(), 1u);
  EXPECT_EQ(responder.failures[0].kind, FailureKind::unknown_peer);
  EXPECT_NE(responder.failures[0].detail.find("mallory.example"), std::string::npos);
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_EQ(responder.failures[0].identity, "mallory.example");
  // It is told of the only connection that is for that address.
  EXPECT_EQ(responder.failures[0].connection, (GetParam() ? b : a).id);
  ASSERT_TRUE(responder.failures[0].refusal);
  EXPECT_EQ(responder.failures[0].refusal->check, "identity");
  EXPECT_NE(responder.failures[0].refusal->found.find("mallory.example"), std::string::npos);
}

TEST_P(SetUp, OfSeveralConnectionsNoneIsBlamedForAnUnexpectedIdentity) {
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).local_id = model::Identity::parse("mallory.example");
  configure(pair, a, b);
  auto other = GetParam() ? b : a;
  other.id = model::ConnectionId(77);
  other.remote_id = model::Identity::parse("carol.example");
  pair.command(pair.host(!GetParam()), ConfigureConnection{other});
  initiate(pair, GetParam());
  pair.settle();
  const Host& responder = pair.host(!GetParam());
  ASSERT_EQ(responder.failures.size(), 1u);
  EXPECT_EQ(responder.failures[0].kind, FailureKind::unknown_peer);
  EXPECT_EQ(responder.failures[0].connection, std::nullopt);
  EXPECT_EQ(responder.failures[0].identity, "mallory.example");
  EXPECT_NE(responder.failures[0].detail.find("carol.example"), std::string::npos);
  ASSERT_TRUE(responder.failures[0].refusal);
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
}

TEST_P(SetUp, AResponderWithAnotherIdentityIsRefusedByTheInitiator) {  // RFC 7296 2.21.2
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  // The initiator names nobody, and expects the address.
  (GetParam() ? a : b).remote_id.reset();
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  const Host& initiator = pair.host(GetParam());
  const Host& responder = pair.host(!GetParam());
  ASSERT_EQ(initiator.failures.size(), 1u);
  EXPECT_EQ(initiator.failures[0].kind, FailureKind::authentication_failed);
  ASSERT_EQ(responder.failures.size(), 1u) << "AUTHENTICATION_FAILED in an INFORMATIONAL told it";
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_TRUE(no_leaks(pair));
}

TEST(SetUpFarewell, ARefusedResponderHearsTheReasonAndADelete) {  // RFC 7296 2.21.2, 1.4.1
  Pair pair(1, exporting());
  auto a = config_of(true);
  a.remote_id.reset();
  configure(pair, a, config_of(false));
  initiate(pair);
  pair.settle();
  ASSERT_EQ(pair.b.failures.size(), 1u);
  const KeysExported& keys = pair.a.exported.at(0);
  const auto suite = model::packet_suite(keys.suite.encryption, keys.suite.key_bits, keys.suite.integrity);
  auto opener = codec::MessageOpener::make(*suite, keys.sk_ei.view(), keys.sk_ai.view());
  int farewells = 0;
  for (const Datagram& datagram : pair.wire) {
    const auto parsed = codec::parse_message(datagram.message);
    ASSERT_TRUE(parsed);
    if (!datagram.from_a || parsed->header.exchange != ExchangeType::informational) continue;
    const auto message = opener->open(datagram.message, *parsed);
    ASSERT_TRUE(message);
    ++farewells;
    EXPECT_NE(message->notify(NotifyType::authentication_failed), nullptr);
    const auto deletes = message->all<codec::DeletePayload>();
    ASSERT_EQ(deletes.size(), 1u) << "there are peers that keep the IKE SA after the notification alone";
    EXPECT_EQ(deletes[0]->protocol, model::ProtocolId::ike);
  }
  EXPECT_EQ(farewells, 1);
}

TEST_P(SetUp, NoCommonIkeProposalNamesBothSides) {  // RFC 7296 2.7
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = {ike("aes128gcm16-prfsha256-x25519")};
  b.ike_proposals = {ike("aes256gcm16-prfsha384-ecp384")};
  configure(pair, a, b);
  initiate(pair, GetParam());
  EXPECT_FALSE(pair.run_until([&] { return !pair.host(GetParam()).failures.empty(); }, seconds(1)))
      << "anybody could have sent that answer";
  ASSERT_TRUE(pair.run_until([&] { return !pair.host(GetParam()).failures.empty(); }, seconds(10)));
  EXPECT_EQ(pair.host(GetParam()).failures[0].kind, FailureKind::no_proposal_chosen);
  ASSERT_FALSE(pair.host(!GetParam()).failures.empty());
  const std::string& detail = pair.host(!GetParam()).failures[0].detail;
  EXPECT_NE(detail.find("aes128gcm16-prfsha256-x25519"), std::string::npos) << detail;
  EXPECT_NE(detail.find("aes256gcm16-prfsha384-ecp384"), std::string::npos) << detail;
}

TEST_P(SetUp, NoCommonEspProposalKeepsTheIkeSa) {  // RFC 7296 1.2
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  a.esp_proposals = {esp("aes128gcm16-esn")};
  b.esp_proposals = {esp("aes256gcm16-esn")};
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  EXPECT_EQ(pair.a.ike_sas.size(), 1u);
  EXPECT_EQ(pair.b.ike_sas.size(), 1u);
  for (const Host* host : {&pair.a, &pair.b}) {
    ASSERT_EQ(host->failures.size(), 1u);
    EXPECT_TRUE(host->failures[0].child_only);
    EXPECT_EQ(host->failures[0].kind, FailureKind::no_proposal_chosen);
  }
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(SetUp, SelectorsWithoutIntersectionKeepTheIkeSa) {  // RFC 7296 2.9
  Pair pair;
  auto a = config_of(true);
  a.remote = subnet("10.99.0.0/16");
  configure(pair, a);
  initiate(pair, GetParam());
  pair.settle();
  EXPECT_EQ(pair.a.ike_sas.size(), 1u);
  ASSERT_EQ(pair.a.failures.size(), 1u);
  EXPECT_EQ(pair.a.failures[0].kind, FailureKind::traffic_selectors);
  EXPECT_EQ(pair.b.failures[0].kind, FailureKind::traffic_selectors);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(SetUp, TheResponderNarrows) {  // RFC 7296 2.9
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).remote = {model::TrafficSelector::all(net::Family::v4)};
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.child().remote, subnet("10.2.0.0/16"));
  EXPECT_EQ(pair.b.child().remote, subnet("10.1.0.0/16"));
}

TEST_P(SetUp, AnotherKeyExchangeMethodIsTriedOnDemand) {  // RFC 7296 1.2, INVALID_KE_PAYLOAD
  Pair pair;
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).ike_proposals = {ike("aes256gcm16-prfsha256-x25519-ecp256")};
  (GetParam() ? b : a).ike_proposals = {ike("aes256gcm16-prfsha256-ecp256")};
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.a.ike_sa().suite.key_exchange, model::KeyExchangeMethod::ecp_256);
  EXPECT_EQ(pair.wire.size(), 6u);
}

TEST_P(SetUp, UnderLoadACookieIsDemanded) {  // RFC 7296 2.6
  EndpointSettings settings;
  settings.cookie_threshold = 0;
  Pair pair(1, settings);
  bring_up(pair, GetParam());
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.wire.size(), 6u);
  EXPECT_TRUE(pair.host(GetParam()).logged("cookie"));
}

// A responder that does not remember that the address is proved: the request with the other group carries the cookie,
// and still it wants a new one.
TEST_P(SetUp, EachRequestCarriesTheCookieThatWasGivenLast) {  // RFC 7296 2.6.1
  Pair pair;
  auto config = config_of(GetParam());
  config.ike_proposals = {ike("aes256gcm16-prfsha256-x25519-ecp256")};
  configure(pair, GetParam() ? config : config_of(true), GetParam() ? config_of(false) : config);
  pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
  initiate(pair, GetParam());
  struct Step {
    NotifyType type;
    Bytes data;
    model::KeyExchangeMethod method;  // of the request that follows
    Bytes cookie;
  };
  const Bytes first(20, 1), second(9, 2);
  using enum model::KeyExchangeMethod;
  for (const Step& step : {Step{NotifyType::cookie, first, curve25519, first},
                           Step{NotifyType::invalid_ke_payload, {0, 19}, ecp_256, first},
                           Step{NotifyType::cookie, second, ecp_256, second}}) {
    codec::Message answer;
    answer.header = pair.wire.back().header();
    answer.header.initiator = false;
    answer.header.response = true;
    answer.add_notify(step.type, step.data);
    const std::size_t before = pair.wire.size();
    pair.inject(pair.host(GetParam()), path_from(GetParam()), codec::serialize(answer));
    ASSERT_EQ(pair.wire.size(), before + 1);
    const auto request = codec::parse_message(pair.wire.back().message);
    ASSERT_TRUE(request);
    EXPECT_EQ(codec::first_of<codec::KePayload>(request->payloads)->method, step.method);
    const auto* notify = std::get_if<codec::NotifyPayload>(request->payloads.data());
    ASSERT_NE(notify, nullptr) << "in front of all others";
    EXPECT_EQ(notify->type, NotifyType::cookie);
    EXPECT_EQ(notify->data, step.cookie);
  }
}

TEST_P(SetUp, ACookieAndAnotherKeyExchangeMethodInOneSetUp) {  // RFC 7296 2.6.1
  EndpointSettings settings;
  settings.cookie_threshold = 0;
  Pair pair(1, settings);
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).ike_proposals = {ike("aes256gcm16-prfsha256-x25519-ecp256")};
  (GetParam() ? b : a).ike_proposals = {ike("aes256gcm16-prfsha256-ecp256")};
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.wire.size(), 8u) << "the shorter exchange of RFC 7296 2.6.1";
}

// Both sides set up an IKE SA at once, and the one that is to go is being rekeyed when the other comes: what the rekey
// makes goes.
TEST_P(SetUp, OfTwoAtOnceTheLoserGoesThoughItIsRekeyed) {
  unsigned met = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Pair pair(seed);
    Host& early = pair.host(GetParam());
    Host& late = pair.host(!GetParam());
    configure(pair);
    pair.fate = [&](const Datagram& one) {
      const bool slow =
          &pair.host(one.from_a) == &late && one.header().exchange == ExchangeType::ike_auth && !one.header().response;
      const bool rekey = one.header().exchange == ExchangeType::create_child_sa;
      return std::vector<Duration>{slow ? milliseconds(300) : rekey ? milliseconds(200) : Pair::kLatency};
    };
    initiate(pair, GetParam());
    initiate(pair, !GetParam());
    ASSERT_TRUE(pair.run_until([&] { return !early.ike_sas.empty(); }, seconds(1)));
    pair.advance(milliseconds(100));
    ASSERT_EQ(early.ike_sas.size(), 1u);
    const model::IkeSaId first = early.ike_sas.begin()->first;
    pair.command(early, RekeyIkeSa{first});
    pair.advance(seconds(20));
    EXPECT_TRUE(in_step(pair)) << seed;
    EXPECT_TRUE(no_leaks(pair)) << seed;
    const bool went = std::ranges::any_of(
        early.closed, [&](const IkeSaClosed& one) { return one.reason == CloseReason::superseded; });
    const bool rekeyed =
        std::ranges::any_of(early.closed, [&](const IkeSaClosed& one) { return one.ike_sa == first; }) && went;
    met += rekeyed ? 1 : 0;
  }
  EXPECT_GT(met, 0u) << "none of the seeds has the case";
}

TEST_P(SetUp, ASilentPeerIsToldAfterTheLastAttempt) {  // RFC 7296 2.4
  Pair pair;
  pair.fate = [](const Datagram&) { return std::vector<Duration>{}; };
  configure(pair);
  initiate(pair, GetParam());
  ASSERT_TRUE(pair.run_until([&] { return !pair.host(GetParam()).failures.empty(); }));
  EXPECT_EQ(pair.host(GetParam()).failures[0].kind, FailureKind::no_answer);
  EXPECT_EQ(pair.wire.size(), EndpointSettings{}.retransmit_tries);
}

TEST_P(SetUp, AnIkeAuthThatNeverComesFreesTheResponder) {
  Pair pair;
  pair.fate = [](const Datagram& one) {
    return one.header().exchange == ExchangeType::ike_auth ? std::vector<Duration>{}
                                                           : std::vector<Duration>{Pair::kLatency};
  };
  bring_up(pair, GetParam());
  Host& responder = pair.host(!GetParam());
  EXPECT_EQ(responder.endpoint().counters().half_open, 1u);
  ASSERT_TRUE(pair.run_until([&] { return responder.endpoint().counters().half_open == 0; }, seconds(40)));
  ASSERT_TRUE(pair.run_until([&] { return !pair.host(GetParam()).failures.empty(); }));
  EXPECT_EQ(pair.host(GetParam()).failures[0].kind, FailureKind::no_answer);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(SetUp, KeysAreExportedOnlyOnRequest) {
  Pair closed;
  bring_up(closed, GetParam());
  EXPECT_TRUE(closed.a.exported.empty());
  EndpointSettings settings;
  settings.export_keys = true;
  Pair open(1, settings);
  bring_up(open, GetParam());
  ASSERT_EQ(open.a.exported.size(), 1u);
  ASSERT_EQ(open.b.exported.size(), 1u);
  EXPECT_TRUE(equal(open.a.exported[0].sk_ei.view(), open.b.exported[0].sk_ei.view()));
}

}  // namespace
}  // namespace culvert::ike::v2
