// PPK in IKE_INTERMEDIATE (RFC 9867): alone and beside key exchanges, which way two sides find, who goes on without and
// who does not, under loss, and what a peer or whoever is between may try.
#include "ike/v2/ppk_intermediate.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/loss.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using model::PpkExchange;
using std::chrono::minutes;

const Bytes kSecret = to_bytes(as_bytes("32 octets that no computer guesses"));
const Bytes kOther = to_bytes(as_bytes("32 octets that are not the others"));
constexpr const char* kPlain = "aes256gcm16-prfsha256-x25519";
constexpr const char* kThree = "aes256gcm16-prfsha384-x25519-ke1_mlkem512-ke2_ecp256";
constexpr std::string_view kMixed = "keys with the PPK 'office' from IKE_INTERMEDIATE on";

struct End {
  std::optional<model::Ppk> ppk;
  Bytes secret = kSecret;
};
End with(std::string id, bool required, PpkExchange exchange = PpkExchange::either, Bytes secret = kSecret) {
  return {.ppk = model::Ppk{.id = std::move(id), .required = required, .exchange = exchange},
          .secret = std::move(secret)};
}

/// Two endpoints, each with its PPK.
struct PpkPair : Pair {
  explicit PpkPair(std::uint64_t seed = 1) : Pair(seed, exporting()) {}
  static EndpointSettings exporting() {
    EndpointSettings settings;
    settings.export_keys = true;
    settings.half_open_timeout = minutes(4);
    return settings;
  }
  void start(const End& first, const End& second, std::string_view suite = kPlain) {
    prepare(first, second, suite);
    initiate(*this);
  }
  void prepare(const End& first, const End& second, std::string_view suite = kPlain) {
    configs = {config_of(true), config_of(false)};
    for (const bool is_a : {true, false}) {
      model::ConnectionConfig& config = configs[is_a ? 0 : 1];
      const End& end = is_a ? first : second;
      config.ppk = end.ppk;
      config.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, suite).value()};
      if (change) change(config, is_a);
      if (end.ppk) host(is_a).ppks[config.id] = end.secret;
    }
    configure(*this, configs[0], configs[1]);
  }
  [[nodiscard]] bool used() const { return a.logged(kMixed) && b.logged(kMixed); }
  [[nodiscard]] std::size_t requests(ExchangeType type) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        wire, [&](const Datagram& one) { return one.header().exchange == type && !one.header().response; }));
  }
  void expect_refused(std::string_view at_b) {
    advance(minutes(5));
    EXPECT_TRUE(a.ike_sas.empty() && b.ike_sas.empty());
    ASSERT_FALSE(b.failures.empty());
    EXPECT_EQ(b.failures.front().kind, FailureKind::authentication_failed);
    EXPECT_NE(b.failures.front().detail.find(at_b), std::string::npos) << b.failures.front().detail;
    EXPECT_FALSE(a.failures.empty());
    EXPECT_TRUE(no_leaks(*this));
  }
  [[nodiscard]] std::string why() const {
    return (a.failures.empty() ? "" : a.failures.front().detail) + "; " +
           (b.failures.empty() ? "" : b.failures.front().detail);
  }

  std::array<model::ConnectionConfig, 2> configs;
  std::function<void(model::ConnectionConfig&, bool is_a)> change;
};

// RFC 9867 3.1: an exchange of its own where there is no other, and IKE_AUTH is sealed by keys with the PPK.
TEST(PpkIntermediate, AloneWhereThereIsNoKeyExchange) {
  PpkPair pair;
  pair.start(with("office", true), with("office", true));
  pair.settle();
  ASSERT_TRUE(in_step(pair)) << pair.why();
  EXPECT_TRUE(pair.used());
  EXPECT_EQ(pair.requests(ExchangeType::ike_intermediate), 1U);
  EXPECT_EQ(pair.a.ike_sa().ppk, PpkUse::intermediate);
  EXPECT_EQ(pair.b.ike_sa().ppk, PpkUse::intermediate);
  PpkPair other;
  other.start(with("office", true, PpkExchange::either, kOther), with("office", true, PpkExchange::either, kOther));
  other.settle();
  ASSERT_TRUE(in_step(other));
  ASSERT_EQ(pair.a.exported.size(), 2U);
  ASSERT_EQ(other.a.exported.size(), 2U);
  EXPECT_TRUE(equal(other.a.exported[0].sk_ei.view(), pair.a.exported[0].sk_ei.view())) << "all else is the same";
  EXPECT_FALSE(equal(other.a.exported[1].sk_ei.view(), pair.a.exported[1].sk_ei.view()));
  EXPECT_EQ(pair.wire.back().header().exchange, ExchangeType::ike_auth);
  EXPECT_EQ(pair.wire.back().header().message_id, model::MessageId(2));
}

// RFC 9867 3.1: with the last of the additional key exchanges, mixed in behind all of them.
TEST(PpkIntermediate, WithTheLastKeyExchange) {
  PpkPair pair;
  pair.start(with("office", true), with("office", true), kThree);
  pair.settle();
  ASSERT_TRUE(in_step(pair)) << pair.why();
  EXPECT_TRUE(pair.used());
  EXPECT_TRUE(pair.a.logged("a key exchange by ECP_256 and a PPK"));
  EXPECT_EQ(pair.requests(ExchangeType::ike_intermediate), 2U);
  EXPECT_EQ(pair.a.exported.size(), 3U) << "what the last key exchange alone would give protects nothing";
  EXPECT_EQ(pair.wire.back().header().message_id, model::MessageId(3));
}

TEST(PpkIntermediate, RekeysKeepIt) {
  PpkPair pair;
  pair.start(with("office", true), with("office", true), kThree);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  for (const bool first : {true, false}) {
    Host& who = pair.host(first);
    pair.command(who, RekeyIkeSa{who.ike_sa().ike_sa});
    pair.settle();
    pair.command(who, RekeyChildSa{who.child().id});
    pair.settle();
    ASSERT_TRUE(in_step(pair));
    EXPECT_EQ(pair.a.ike_sa().ppk, PpkUse::intermediate);
    EXPECT_EQ(pair.b.ike_sa().ppk, PpkUse::intermediate);
  }
}

// Both roles, all pairs of settings: IKE_INTERMEDIATE where both may, else IKE_AUTH where both may, else none or
// nothing.
TEST(PpkIntermediate, TheWayThatBothHave) {
  using enum PpkExchange;
  constexpr std::array kAll{either, intermediate, ike_auth, draft};
  for (const PpkExchange first : kAll) {
    for (const PpkExchange second : kAll) {
      for (const bool required : {true, false}) {
        PpkPair pair(3);
        pair.start(with("office", required, first), with("office", required, second));
        pair.settle();
        pair.advance(minutes(5));
        const bool early = first != ike_auth && second != ike_auth;
        const bool late = first != intermediate && second != intermediate;
        const auto label = std::to_string(static_cast<int>(first)) + std::to_string(static_cast<int>(second));
        ASSERT_EQ(in_step(pair), early || late || !required) << label << pair.why();
        if (!in_step(pair)) continue;
        const PpkUse expected = early ? PpkUse::intermediate : late ? PpkUse::ike_auth : PpkUse::none;
        EXPECT_EQ(pair.a.ike_sa().ppk, expected) << label;
        EXPECT_EQ(pair.b.ike_sa().ppk, expected) << label;
        EXPECT_EQ(pair.requests(ExchangeType::ike_intermediate), early ? 1U : 0U) << label;
      }
    }
  }
}

TEST(PpkIntermediate, WhoInsistsIsToldWhatThePeerLacks) {
  PpkPair pair;
  pair.start(with("office", true, PpkExchange::intermediate), with("office", true, PpkExchange::ike_auth));
  pair.advance(minutes(5));
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_NE(pair.a.failures.front().detail.find("no PPK in IKE_INTERMEDIATE (RFC 9867), which connection 'to-b'"),
            std::string::npos)
      << pair.why();
  PpkPair other;
  other.start(with("office", true, PpkExchange::ike_auth), with("office", true, PpkExchange::intermediate));
  other.advance(minutes(5));
  EXPECT_TRUE(other.a.ike_sas.empty() && other.b.ike_sas.empty());
}

TEST(PpkIntermediate, AnotherNameOrSecret) {
  for (const End& theirs : {with("lab", true), with("office", true, PpkExchange::either, kOther)}) {
    PpkPair pair;
    pair.start(with("office", false), theirs);
    pair.settle();
    EXPECT_EQ(pair.requests(ExchangeType::ike_auth), 0U) << "nobody has said who it is";
    pair.expect_refused("names no PPK that is known here");
    EXPECT_NE(pair.a.failures.front().detail.find("has it the same PPK under this name?"), std::string::npos);
  }
}

TEST(PpkIntermediate, GoesOnWithoutWhereBothAllowIt) {
  for (const End& theirs : {with("lab", false), with("office", false, PpkExchange::either, kOther)}) {
    for (const char* suite : {kPlain, kThree}) {
      PpkPair pair;
      pair.start(with("office", false), theirs, suite);
      pair.settle();
      ASSERT_TRUE(in_step(pair)) << pair.why();
      EXPECT_FALSE(pair.a.logged("keys with the PPK"));
      EXPECT_TRUE(pair.a.logged("does not have the PPK 'office'; going on without"));
      EXPECT_EQ(pair.b.ike_sa().ppk, PpkUse::none);
      EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
    }
  }
}

TEST(PpkIntermediate, TheInitiatorInsists) {
  PpkPair pair;
  pair.start(with("office", true), with("lab", false));
  pair.advance(minutes(5));
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_NE(pair.a.failures.front().detail.find("does not have the PPK 'office', which connection 'to-b' insists on"),
            std::string::npos);
}

model::ConnectionConfig further(std::uint32_t id, std::string_view identity, const End& end) {
  auto config = config_of(false);
  config.id = model::ConnectionId{id};
  config.name = "further";
  config.remote_id = model::Identity::parse(identity);
  config.ppk = end.ppk;
  config.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, kPlain).value()};
  return config;
}

// The identities come behind it: of several connections that call theirs the same, the one whose secret is right.
TEST(PpkIntermediate, IsFoundAmongSeveralOfOneName) {
  PpkPair pair;
  pair.prepare(with("office", true), with("office", true));
  pair.b.ppks[model::ConnectionId{7}] = kOther;
  pair.command(pair.b, ConfigureConnection{further(7, "c.example", with("office", true))});
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair)) << pair.why();
  EXPECT_TRUE(pair.used());
}

TEST(PpkIntermediate, TheSameSecretServesSeveralConnections) {
  PpkPair pair;
  // The first that is looked at has it as well, but is for somebody else.
  pair.b.secrets[model::ConnectionId{7}] = to_bytes(as_bytes("another secret"));
  pair.b.ppks[model::ConnectionId{7}] = kSecret;
  pair.command(pair.b, ConfigureConnection{further(7, "c.example", with("office", true))});
  pair.start(with("office", true), with("office", true));
  pair.settle();
  ASSERT_TRUE(in_step(pair)) << pair.why();
  EXPECT_EQ(pair.b.ike_sa().connection, kConnection);
}

// Whoever has the PPK of one connection is not let into another that insists on its own.
TEST(PpkIntermediate, ThatOfAnotherConnectionDoesNotCount) {
  for (const std::string_view name : {"office", "lab"}) {
    PpkPair pair;
    pair.prepare(with("office", true), with(std::string(name), true, PpkExchange::either, kOther));
    pair.b.ppks[model::ConnectionId{7}] = kSecret;
    pair.command(pair.b, ConfigureConnection{further(7, "c.example", with("office", true))});
    initiate(pair);
    pair.settle();
    EXPECT_TRUE(pair.b.logged(kMixed)) << "the keys are with it";
    pair.expect_refused("on which it insists");
  }
}

// A connection that goes without lets the peer get as far as IKE_AUTH; what insists is decided there.
TEST(PpkIntermediate, ThatIsMissingIsNoticedInIkeAuth) {
  PpkPair pair;
  pair.prepare(with("lab", false), with("office", true));
  pair.command(pair.b, ConfigureConnection{further(7, "c.example", End{})});
  initiate(pair);
  pair.settle();
  EXPECT_EQ(pair.requests(ExchangeType::ike_auth), 1U);
  pair.expect_refused("has not named the PPK 'office', on which it insists");
}

TEST(PpkIntermediate, GoesWithEap) {
  for (const model::EapType method : {model::EapType::mschapv2, model::EapType::md5_challenge}) {
    PpkPair pair;
    pair.a.users["carol"] = pair.b.users["carol"] = to_bytes(as_bytes("a pass phrase"));
    pair.change = [&](model::ConnectionConfig& config, bool is_a) {
      config.eap = model::EapSettings{.client = is_a, .methods = {method}, .identity = is_a ? "carol" : ""};
    };
    pair.start(with("office", true), with("office", true));
    pair.settle();
    ASSERT_TRUE(in_step(pair)) << pair.why();
    EXPECT_TRUE(pair.used());
    EXPECT_EQ(pair.b.ike_sa().admission.eap_identity(), "carol");
  }
}

// RFC 4739: each round proves the keys with it.
TEST(PpkIntermediate, GoesWithSeveralRounds) {
  for (const bool has_it : {true, false}) {
    PpkPair pair;
    pair.change = [](model::ConnectionConfig& config, bool is_a) {
      const model::AuthRound round{.by = model::Authentication::shared_key,
                                   .id = model::Identity::parse("second.example")};
      (is_a ? config.own_rounds : config.peer_rounds).push_back(round);
    };
    pair.start(has_it ? with("office", true, PpkExchange::intermediate) : End{},
               with("office", true, PpkExchange::intermediate));
    pair.settle();
    if (!has_it) {
      pair.expect_refused("does not know PPK in IKE_INTERMEDIATE (RFC 9867)");
      continue;
    }
    ASSERT_TRUE(in_step(pair)) << pair.why();
    EXPECT_TRUE(pair.used());
  }
}

// Each side repeats what is lost, by the keys that it was sent with.
TEST(PpkIntermediate, UnderLoss) {
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    PpkPair pair(seed);
    pair.fate = bad_network(seed, 700);
    const bool same = seed % 5 != 0;
    pair.start(with("office", same), with(same ? "office" : "lab", same), seed % 2 == 0 ? kPlain : kThree);
    ASSERT_TRUE(pair.run_until([&] { return in_step(pair); }, minutes(5))) << seed;
    EXPECT_EQ(pair.used(), same) << seed;
    EXPECT_TRUE(no_leaks(pair)) << seed;
  }
}

codec::Message without(const codec::ParsedMessage& parsed, NotifyType type) {
  codec::Message kept{.header = parsed.header, .payloads = {}};
  for (const codec::Payload& payload : parsed.payloads) {
    const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
    if (notify == nullptr || notify->type != type) kept.add(payload);
  }
  EXPECT_LT(kept.payloads.size(), parsed.payloads.size());
  return kept;
}

// RFC 7296 2.15: AUTH is over IKE_SA_INIT as it was sent: whoever takes the offer out of it, so that the PPK comes
// later or not at all, is found out.
TEST(PpkIntermediate, CannotBeStripped) {
  for (const bool request : {true, false}) {
    for (const PpkExchange exchange : {PpkExchange::either, PpkExchange::intermediate}) {
      PpkPair pair;
      pair.fate = [&](const Datagram& datagram) {
        const bool held = datagram.header().exchange == ExchangeType::ike_sa_init && datagram.from_a == request;
        return held ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
      };
      pair.start(with("office", false, exchange), with("office", false, exchange));
      pair.settle();
      const auto held = std::ranges::find_if(pair.wire, [&](const Datagram& one) { return one.from_a == request; });
      ASSERT_NE(held, pair.wire.end());
      const auto parsed = codec::parse_message(held->message);
      ASSERT_TRUE(parsed);
      const Bytes stripped = codec::serialize(without(*parsed, NotifyType::use_ppk_int));
      pair.inject(request ? pair.b : pair.a, path_from(!request), stripped);
      pair.advance(minutes(5));
      EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
      EXPECT_TRUE(request || !pair.a.failures.empty());
    }
  }
}

/// What is sent to b in IKE_INTERMEDIATE by whoever has made IKE_SA_INIT with it.
class PpkForged : public ::testing::Test {
 protected:
  void begin(std::string_view suite = kPlain) {
    pair->fate = [](const Datagram& datagram) {
      const bool init = datagram.header().exchange == ExchangeType::ike_sa_init;
      return init ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
    };
    pair->start(with("office", true), with("office", true), suite);
    pair->settle();
  }
  void send(codec::Message message, ExchangeType type = ExchangeType::ike_intermediate) {
    const KeysExported& keys = pair->a.exported.front();
    const auto suite = *model::packet_suite(keys.suite.encryption, keys.suite.key_bits, keys.suite.integrity);
    SeededRandom random(1);
    auto sealer = codec::MessageSealer::make(suite, keys.sk_ei.view(), {}, random, 1000);
    message.header.spi_i = keys.spi_i;
    message.header.spi_r = keys.spi_r;
    message.header.initiator = true;
    message.header.message_id = model::MessageId(1);
    message.header.exchange = type;
    pair->inject(pair->b, path_from(false, 4500), sealer->seal(message));
  }
  std::unique_ptr<PpkPair> pair = std::make_unique<PpkPair>();
};

TEST_F(PpkForged, MalformedNamesAreNone) {
  for (const Bytes& data : {Bytes{}, Bytes{2}, Bytes(8, 2), Bytes(9, 2), Bytes(300, 2),
                            Bytes{1, 'o', 'f', 'f', 'i', 'c', 'e', 0, 0, 0, 0, 0, 0, 0, 0}}) {
    pair = std::make_unique<PpkPair>();
    begin();
    codec::Message message;
    for (int n = 0; n < 30; ++n) message.add_notify(NotifyType::ppk_identity_key, data);
    send(std::move(message));
    ASSERT_FALSE(pair->b.failures.empty());
    EXPECT_EQ(pair->b.failures.front().notify, NotifyType::authentication_failed);
    EXPECT_FALSE(pair->b.logged("keys with the PPK"));
  }
}

TEST_F(PpkForged, AKeyExchangeThatNobodyAgreedOn) {
  begin();
  codec::Message message;
  message.add(codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)});
  send(std::move(message));
  ASSERT_FALSE(pair->b.failures.empty());
  EXPECT_EQ(pair->b.failures.front().kind, FailureKind::protocol_error);
}

TEST_F(PpkForged, NoneWhereOneWasAgreedOn) {
  begin(kThree);
  codec::Message message;
  message.add_notify(NotifyType::ppk_identity_key, Bytes(20, 2));
  send(std::move(message));
  ASSERT_FALSE(pair->b.failures.empty());
  EXPECT_EQ(pair->b.failures.front().kind, FailureKind::protocol_error);
}

TEST(PpkIntermediateKeys, Derivation) {
  const crypto::Prf prf = crypto::HashId::sha2_256;
  const PpkRequest request{.token = {},
                           .connection = kConnection,
                           .prf = model::PrfId::hmac_sha2_256,
                           .keys = {SecretBytes::copy_of(Bytes(32, 1)), SecretBytes(), SecretBytes()},
                           .confirmed = Bytes(80, 4)};
  const PpkResult result = carry_out(prf, kSecret, request);
  const Bytes one{1};
  ASSERT_TRUE(result.keys);
  EXPECT_TRUE(equal(result.keys->front().view(), prf(kSecret, {request.keys[0].view(), one}).view()));
  EXPECT_TRUE(equal(result.confirmation, prf(kSecret, {request.confirmed}).view()));
  EXPECT_EQ(shown_confirmation(result).size(), 8U);
}

}  // namespace
}  // namespace culvert::ike::v2
