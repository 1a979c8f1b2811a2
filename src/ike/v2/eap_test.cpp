// EAP within IKE_AUTH (RFC 7296 2.16): two endpoints, and peers that keep to no rule.
#include <algorithm>

#include <gtest/gtest.h>

#include "ike/eap/packet.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::EapCode;
using model::EapType;
using model::ExchangeType;
using model::NotifyType;
using model::Role;

Bytes octets(std::string_view text) { return to_bytes(as_bytes(text)); }

/// a proves itself by EAP as carol, b by the shared secret.
struct EapPair {
  explicit EapPair(std::vector<EapType> methods = {EapType::mschapv2}, std::uint64_t seed = 1,
                   EndpointSettings settings = {})
      : a(config_of(true)), b(config_of(false)), pair(seed, settings) {
    a.eap = model::EapSettings{.client = true, .methods = methods, .identity = "carol"};
    b.eap = model::EapSettings{.client = false, .methods = methods, .identity = {}};
    pair.a.users["carol"] = octets("a pass phrase");
    pair.b.users["carol"] = octets("a pass phrase");
    pair.b.users["dave"] = octets("another one");
  }
  void run() {
    configure(pair, a, b);
    initiate(pair);
    pair.settle();
  }
  [[nodiscard]] bool nothing_left() {
    return pair.a.ike_sas.empty() && pair.b.ike_sas.empty() && no_leaks(pair) && pair.a.eap_sessions.size() == 0 &&
           pair.b.eap_sessions.size() == 0;
  }
  model::ConnectionConfig a;
  model::ConnectionConfig b;
  Pair pair;
};

TEST(Eap, EachMethodSetsUp) {  // RFC 7296 2.16
  for (const EapType type : {EapType::mschapv2, EapType::md5_challenge, EapType::gtc}) {
    SCOPED_TRACE(name_of(type));
    EapPair eap({type});
    eap.run();
    ASSERT_TRUE(in_step(eap.pair));
    EXPECT_TRUE(no_leaks(eap.pair));
    EXPECT_EQ(eap.pair.a.ike_sa().admission.eap_identity(), "carol");
    EXPECT_EQ(eap.pair.b.ike_sa().admission.eap_identity(), "carol");
    EXPECT_EQ(eap.pair.a.eap_sessions.size(), 0u);
    EXPECT_EQ(eap.pair.b.eap_sessions.size(), 0u);
    EXPECT_TRUE(eap.pair.b.logged("EAP of 'carol'"));
  }
}

TEST(Eap, IdentityStaysThroughARekey) {
  EapPair eap;
  eap.run();
  ASSERT_TRUE(in_step(eap.pair));
  for (const bool first : {true, false}) {
    Host& host = eap.pair.host(first);
    eap.pair.command(host, RekeyIkeSa{host.ike_sa().ike_sa});
    eap.pair.advance(std::chrono::seconds(5));
    ASSERT_TRUE(in_step(eap.pair));
    EXPECT_EQ(eap.pair.b.ike_sa().admission.eap_identity(), "carol");
  }
}

TEST(Eap, LossDuplicatesAndReordering) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    EapPair eap({EapType::mschapv2}, seed);
    SeededRandom chance(seed);
    eap.pair.fate = [&](const Datagram&) {
      std::vector<Duration> copies;
      for (int n = 0; n < 2; ++n) {
        if (chance.below(10) < 6) copies.push_back(std::chrono::milliseconds(1 + chance.below(400)));
      }
      return copies;
    };
    configure(eap.pair, eap.a, eap.b);
    initiate(eap.pair);
    eap.pair.advance(std::chrono::minutes(2));
    EXPECT_TRUE(in_step(eap.pair) || !eap.pair.a.failures.empty());
    if (in_step(eap.pair)) {
      EXPECT_EQ(eap.pair.b.ike_sa().admission.eap_identity(), "carol");
    }
    EXPECT_EQ(eap.pair.a.eap_sessions.size(), 0u);
    EXPECT_EQ(eap.pair.b.eap_sessions.size(), 0u);
  }
}

TEST(Eap, WrongPasswordIsRefusedWithTheReason) {
  for (const EapType type : {EapType::mschapv2, EapType::md5_challenge, EapType::gtc}) {
    SCOPED_TRACE(name_of(type));
    EapPair eap({type});
    eap.pair.a.users["carol"] = octets("not the pass phrase");
    eap.run();
    eap.pair.advance(std::chrono::minutes(2));
    EXPECT_TRUE(eap.nothing_left());
    ASSERT_EQ(eap.pair.b.failures.size(), 1u);
    const NegotiationFailed& failure = eap.pair.b.failures[0];
    EXPECT_EQ(failure.kind, FailureKind::authentication_failed);
    ASSERT_TRUE(failure.refusal);
    EXPECT_EQ(failure.refusal->check, "password");
    EXPECT_NE(failure.detail.find("carol"), std::string::npos) << failure.detail;
    EXPECT_EQ(failure.identity, "carol") << "not the address that IKE has of her";
    EXPECT_NE(failure.detail.find(name_of(type)), std::string::npos) << failure.detail;
    EXPECT_EQ(failure.detail.find("phrase"), std::string::npos) << failure.detail;
    ASSERT_EQ(eap.pair.a.failures.size(), 1u);
    EXPECT_EQ(eap.pair.a.failures[0].notify, NotifyType::authentication_failed);
    EXPECT_NE(eap.pair.a.failures[0].detail.find("carol"), std::string::npos);
  }
}

TEST(Eap, UnknownIdentityIsRefusedWithTheReason) {
  EapPair eap;
  eap.a.eap->identity = "eve\n";
  eap.pair.a.users["eve\n"] = octets("whatever");
  eap.run();
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  EXPECT_EQ(eap.pair.b.failures[0].refusal->check, "identity");
  EXPECT_EQ(eap.pair.b.failures[0].identity, "eve\\x0a");
  EXPECT_NE(eap.pair.b.failures[0].detail.find("eve\\x0a"), std::string::npos) << eap.pair.b.failures[0].detail;
  eap.pair.advance(std::chrono::minutes(2));
  EXPECT_TRUE(eap.nothing_left());
}

// strongSwan does so.
TEST(Eap, TheReasonDoesNotWaitForAClientThatHangsUp) {
  EapPair eap;
  eap.pair.a.users["carol"] = octets("not the pass phrase");
  std::size_t of_a = 0;
  eap.pair.fate = [&](const Datagram& datagram) {
    if (datagram.from_a && datagram.header().exchange == ExchangeType::ike_auth) ++of_a;
    return of_a > 3 ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  eap.run();
  ASSERT_EQ(of_a, 4u) << "the acknowledgement is lost";
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  EXPECT_EQ(eap.pair.b.failures[0].refusal->check, "password");
  eap.pair.advance(std::chrono::minutes(2));
  EXPECT_EQ(eap.pair.b.failures.size(), 1u) << "once is enough";
  EXPECT_TRUE(eap.nothing_left());
}

TEST(Eap, NoMethodInCommon) {
  EapPair eap;
  eap.a.eap->methods = {EapType::gtc};
  eap.run();
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  EXPECT_EQ(eap.pair.b.failures[0].refusal->check, "method");
}

// CVE-2015-4171: who we are, and all of EAP, is for a responder that has proved itself.
TEST(Eap, NothingGoesToAResponderThatIsNotTheRightOne) {
  EapPair eap({EapType::gtc});
  configure(eap.pair, eap.a, eap.b);
  eap.pair.b.secrets[kConnection] = octets("not the shared secret");
  initiate(eap.pair);
  eap.pair.settle();
  EXPECT_TRUE(eap.pair.a.ike_sas.empty());
  ASSERT_EQ(eap.pair.a.failures.size(), 1u);
  EXPECT_EQ(eap.pair.a.failures[0].kind, FailureKind::authentication_failed);
  std::size_t of_a = 0;
  for (const Datagram& one : eap.pair.wire) {
    if (one.from_a && one.header().exchange == ExchangeType::ike_auth) ++of_a;
  }
  EXPECT_EQ(of_a, 1u) << "it must stop at its first request, which has no EAP in it";
  eap.pair.advance(std::chrono::minutes(2));
  EXPECT_TRUE(eap.nothing_left());
}

TEST(Eap, WhoExpectsEapTakesNothingElse) {
  EapPair eap;
  eap.a.eap.reset();  // it has the shared secret, and that is not what b wants
  eap.run();
  EXPECT_TRUE(eap.pair.b.ike_sas.empty());
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  EXPECT_NE(eap.pair.b.failures[0].detail.find("expects EAP, not a secret"), std::string::npos)
      << eap.pair.b.failures[0].detail;
}

TEST(Eap, WhoDoesNotExpectEapRefusesIt) {
  EapPair eap;
  eap.b.eap.reset();
  eap.run();
  EXPECT_TRUE(eap.pair.b.ike_sas.empty());
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  EXPECT_NE(eap.pair.b.failures[0].detail.find("expects a secret, not EAP"), std::string::npos)
      << eap.pair.b.failures[0].detail;
  EXPECT_EQ(eap.pair.b.eap_sessions.size(), 0u);
}

// The shared secret is the server's proof; who has it is no client.
TEST(Eap, TheClientIsNobodysResponder) {
  EapPair eap;
  eap.b.eap.reset();
  configure(eap.pair, eap.a, eap.b);
  initiate(eap.pair, false);
  eap.pair.settle();
  EXPECT_TRUE(eap.pair.a.ike_sas.empty());
  EXPECT_EQ(eap.pair.a.failures.size(), 1u);
}

TEST(Eap, AnyIdentityInIkeWhereEapTellsWhoItIs) {
  EapPair eap;
  eap.b.remote_id.reset();
  eap.b.peer.reset();
  eap.a.local_id = model::Identity::parse("10.99.98.97");
  eap.run();
  ASSERT_TRUE(in_step(eap.pair));
  EXPECT_EQ(eap.pair.b.ike_sa().admission.eap_identity(), "carol");
  EXPECT_EQ(eap.pair.b.ike_sa().remote_id.to_string(), "10.99.98.97");
}

// A tunnel for anybody is not said to be for somebody when it is our own name that does not fit.
TEST(Eap, AnotherNameThanOursIsAskedFor) {
  EapPair eap;
  eap.b.remote_id.reset();
  eap.b.peer.reset();
  eap.a.remote_id = model::Identity::parse("vpn.example.net");
  eap.run();
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  const std::string& detail = eap.pair.b.failures[0].detail;
  EXPECT_NE(detail.find("asks for vpn.example.net"), std::string::npos) << detail;
  EXPECT_NE(detail.find("expects anybody whom EAP knows and is b.example"), std::string::npos) << detail;
}

// Who waits for an answer of a RADIUS server takes none of our threads, and so no room of those who want one.
TEST(Eap, WhoWaitsForAnotherHostKeepsNobodyOut) {
  for (const bool radius : {true, false}) {
    SCOPED_TRACE(radius);
    EndpointSettings settings;
    settings.work_limit = 1;
    EapPair eap({EapType::mschapv2}, 1, settings);
    if (radius) eap.b.eap->radius = "lab";
    eap.pair.b.postpones = [](const Request& request) {
      const auto* step = std::get_if<EapRequest>(&request);
      return step != nullptr && step->step == EapRequest::Step::packet;
    };
    eap.run();
    ASSERT_EQ(eap.pair.b.postponed.size(), 1u) << "a's conversation waits";
    const std::size_t sent = eap.pair.wire.size();
    const auto begun = std::ranges::find(eap.pair.wire, true, &Datagram::from_a);
    ASSERT_NE(begun, eap.pair.wire.end());
    // Another peer begins as a did, from another port and under another SPI.
    Bytes init = begun->message;
    init[0] ^= 1;
    eap.pair.inject(eap.pair.b, {{address_of(false), 500}, {address_of(true), 1001}}, init);
    const auto busy = eap.pair.b.endpoint().counters().dropped[static_cast<std::size_t>(DatagramDrop::busy)];
    EXPECT_EQ(busy, radius ? 0u : 1u);
    EXPECT_EQ(eap.pair.wire.size() - sent, radius ? 1u : 0u);
    // And the one that waits goes on when its answer comes.
    eap.pair.b.postpones = nullptr;
    eap.pair.answer_postponed(eap.pair.b);
    eap.pair.settle();
    EXPECT_TRUE(in_step(eap.pair));
  }
}

TEST(Eap, GivenUpInTheMiddleNothingStays) {
  for (std::size_t seen = 1; seen < 10; ++seen) {
    SCOPED_TRACE(seen);
    EapPair eap;
    std::size_t count = 0;
    eap.pair.fate = [&](const Datagram&) {
      return ++count > seen ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    configure(eap.pair, eap.a, eap.b);
    initiate(eap.pair);
    eap.pair.settle();
    eap.pair.command(eap.pair.a, Terminate{kConnection});
    eap.pair.advance(std::chrono::minutes(5));
    EXPECT_TRUE(eap.pair.a.ike_sas.empty());
    EXPECT_EQ(eap.pair.a.eap_sessions.size(), 0u);
    EXPECT_EQ(eap.pair.b.eap_sessions.size(), 0u);
  }
}

/// Together with remote access: a asks for an address, b has a pool.
struct EapRemote : EapPair {
  EapRemote() {
    a.local_id = model::Identity::parse("laptop.example.org");
    a.request_addresses = {net::Family::v4};
    a.local = {model::TrafficSelector::of(net::AddressRange::all(net::Family::v4))};
    b.peer.reset();
    b.remote_id.reset();
    b.remote_pattern = model::IdentityPattern::parse("*.example.org");
    b.remote = subnet("10.9.0.0/24");
    b.pools = {"staff"};
    pair.b.addresses = [](const AddressRequest&) {
      model::Configuration given;
      given.addresses.push_back(*net::IpAddress::parse("10.9.0.7"));
      return AddressResult{given};
    };
  }
};

// RFC 7296 2.16, 2.19: the address comes with the last message, and is kept for whom EAP has proved the peer to be.
TEST(EapRemoteAccess, TheAddressIsOfWhomEapHasProved) {
  EapRemote eap;
  eap.run();
  ASSERT_TRUE(in_step(eap.pair));
  ASSERT_EQ(eap.pair.a.configurations.size(), 1u);
  EXPECT_EQ(eap.pair.a.configurations[0].configuration.addresses[0].to_string(), "10.9.0.7");
  ASSERT_EQ(eap.pair.b.address_requests.size(), 1u);
  EXPECT_EQ(eap.pair.b.address_requests[0].identity, model::Identity::parse("carol"));
  EXPECT_EQ(eap.pair.b.ike_sa().remote_id.to_string(), "laptop.example.org");
}

TEST(EapRemoteAccess, NobodyWhoIsRefusedIsGivenOne) {
  EapRemote eap;
  eap.pair.a.users["carol"] = octets("not the pass phrase");
  eap.run();
  EXPECT_TRUE(eap.pair.b.address_requests.empty());
  EXPECT_TRUE(eap.pair.a.configurations.empty());
  eap.pair.advance(std::chrono::minutes(2));
  EXPECT_TRUE(eap.nothing_left());
}

/// The client of an EapPair, taken over behind IKE_SA_INIT by one that says what the test wants.
struct Takeover : EapPair {
  Takeover() : EapPair({EapType::mschapv2}, 1, exporting()) {
    pair.fate = [](const Datagram& datagram) {
      const bool lost = datagram.header().exchange != ExchangeType::ike_sa_init;
      return lost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    run();
    forger.emplace(pair.b.exported.at(0), 1);
  }
  codec::Message ask(std::vector<codec::Payload> payloads) {
    return forger->ask(pair, ExchangeType::ike_auth, std::move(payloads));
  }
  codec::Message open_conversation() {
    model::Proposal offer = *model::parse_proposal(model::ProtocolId::esp, "aes256gcm16");
    offer.number = 1;
    offer.spi = Bytes{0, 0, 16, 1};
    return ask({codec::IdPayload{.side = Role::initiator, .identity = *a.local_id, .reserved = {}},
                codec::SaPayload{{offer}},
                codec::TsPayload{.side = Role::initiator, .selectors = subnet("10.1.0.0/16"), .unknown = {}},
                codec::TsPayload{.side = Role::responder, .selectors = subnet("10.2.0.0/16"), .unknown = {}}});
  }
  static Bytes answer_to(const codec::Message& message, EapType type, std::string_view data) {
    return eap::make_packet(EapCode::response, message.first<codec::EapPayload>()->message.at(1), type, as_bytes(data));
  }
  void expect_refused(const codec::Message& answer, NotifyType type) {
    ASSERT_NE(answer.error_notify(), nullptr);
    EXPECT_EQ(answer.error_notify()->type, type);
    EXPECT_EQ(answer.first<codec::AuthPayload>(), nullptr);
    EXPECT_TRUE(pair.b.ike_sas.empty());
    ASSERT_EQ(pair.b.failures.size(), 1u);
    EXPECT_EQ(pair.b.eap_sessions.size(), 0u);
  }
  std::optional<Forger> forger;
};

TEST(EapHostilePeer, TheFirstAnswerHasProofAndEap) {
  Takeover peer;
  const codec::Message answer = peer.open_conversation();
  EXPECT_NE(answer.id(Role::responder), nullptr);
  EXPECT_NE(answer.first<codec::AuthPayload>(), nullptr);
  EXPECT_NE(answer.first<codec::EapPayload>(), nullptr);
  EXPECT_EQ(answer.first<codec::SaPayload>(), nullptr);
}

TEST(EapHostilePeer, AuthBeforeEapIsOver) {
  Takeover peer;
  (void)peer.open_conversation();
  peer.expect_refused(
      peer.ask({codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic, .data = Bytes(32)}}),
      NotifyType::invalid_syntax);
}

TEST(EapHostilePeer, AuthTogetherWithEap) {
  Takeover peer;
  const codec::Message answer = peer.open_conversation();
  peer.expect_refused(
      peer.ask({codec::EapPayload{Takeover::answer_to(answer, EapType::identity, "carol")},
                codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic, .data = Bytes(32)}}),
      NotifyType::invalid_syntax);
}

TEST(EapHostilePeer, BeginsTwice) {
  Takeover peer;
  (void)peer.open_conversation();
  peer.expect_refused(peer.open_conversation(), NotifyType::invalid_syntax);
}

TEST(EapHostilePeer, EapWithoutABeginning) {
  Takeover peer;
  peer.expect_refused(peer.ask({codec::EapPayload{Bytes{2, 0, 0, 5, 1}}}), NotifyType::invalid_syntax);
}

TEST(EapHostilePeer, TruncatedEap) {
  for (std::size_t cut = 0; cut < 9; ++cut) {
    SCOPED_TRACE(cut);
    Takeover peer;
    Bytes packet = Takeover::answer_to(peer.open_conversation(), EapType::identity, "carol");
    packet.resize(cut);
    const codec::Message answer = peer.ask({codec::EapPayload{packet}});
    if (peer.pair.b.failures.empty()) FAIL() << "it was taken";
    EXPECT_TRUE(peer.pair.b.ike_sas.empty());
    EXPECT_EQ(peer.pair.b.eap_sessions.size(), 0u);
    EXPECT_NE(answer.error_notify(), nullptr);
  }
}

// A success of the client's own making.
TEST(EapHostilePeer, SuccessFromTheClient) {
  Takeover peer;
  (void)peer.open_conversation();
  peer.expect_refused(peer.ask({codec::EapPayload{eap::make_end(EapCode::success, 1)}}),
                      NotifyType::authentication_failed);
}

TEST(EapHostilePeer, AuthByAnotherKeyThanThatOfTheMethod) {
  EapPair eap({EapType::mschapv2}, 1, exporting());
  // The last message of a, the only one with AUTH of its own, is replaced by one with another AUTH.
  std::size_t of_a = 0;
  eap.pair.fate = [&](const Datagram& datagram) {
    if (datagram.from_a && datagram.header().exchange == ExchangeType::ike_auth) ++of_a;
    return of_a > 4 ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  eap.run();
  ASSERT_EQ(of_a, 5u);
  Forger forger(eap.pair.b.exported.at(0), 5);
  const codec::Message answer =
      forger.ask(eap.pair, ExchangeType::ike_auth,
                 {codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic, .data = Bytes(32, 0x5a)}});
  ASSERT_NE(answer.error_notify(), nullptr);
  EXPECT_EQ(answer.error_notify()->type, NotifyType::authentication_failed);
  EXPECT_TRUE(eap.pair.b.ike_sas.empty());
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  EXPECT_NE(eap.pair.b.failures[0].detail.find("does not fit the key that EAP has made"), std::string::npos);
}

TEST(EapHostilePeer, ManyThatNeverFinish) {
  for (int n = 0; n < 3; ++n) {
    Takeover peer;
    (void)peer.open_conversation();
    EXPECT_EQ(peer.pair.b.eap_sessions.size(), 1u);
    peer.pair.advance(std::chrono::minutes(1));
    EXPECT_EQ(peer.pair.b.eap_sessions.size(), 0u) << "half-open IKE SAs end, and their conversations with them";
  }
}

}  // namespace
}  // namespace culvert::ike::v2
