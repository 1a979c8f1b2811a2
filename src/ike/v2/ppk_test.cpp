// PPK in IKE_AUTH (RFC 8784): used where both have it, left out where both allow it, and refused otherwise; table 1 row
// by row.
#include "ike/v2/ppk.hpp"

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::NotifyType;
using std::chrono::minutes;

const Bytes kSecret = to_bytes(as_bytes("32 octets that no computer guesses"));
const Bytes kOther = to_bytes(as_bytes("32 octets that are not the others"));

struct End {
  std::optional<model::Ppk> ppk;
  Bytes secret = kSecret;
};
/// Not in IKE_INTERMEDIATE, which ppk_intermediate_test is about.
model::Ppk named(std::string id, bool required = true) {
  return {.id = std::move(id), .required = required, .exchange = model::PpkExchange::ike_auth};
}
End with(std::string id, bool required) { return {.ppk = named(std::move(id), required)}; }

class PpkTest : public ::testing::Test {
 protected:
  static EndpointSettings exporting() {
    EndpointSettings settings;
    settings.export_keys = true;
    return settings;
  }
  PpkTest() : pair(1, exporting()) {}

  void start(const End& a, const End& b, std::string_view suite = "aes256gcm16-prfsha256-x25519") {
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    config_a.ppk = a.ppk;
    config_b.ppk = b.ppk;
    config_a.ike_proposals = config_b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, suite).value()};
    begin(a, b, std::move(config_a), std::move(config_b));
  }
  /// a proves itself by EAP, b by the shared secret in front of it.
  void start_eap(const End& a, const End& b, model::EapType method = model::EapType::mschapv2) {
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    config_a.ppk = a.ppk;
    config_b.ppk = b.ppk;
    config_a.eap = model::EapSettings{.client = true, .methods = {method}, .identity = "carol"};
    config_b.eap = model::EapSettings{.client = false, .methods = {method}, .identity = {}};
    pair.a.users["carol"] = pair.b.users["carol"] = to_bytes(as_bytes("a pass phrase"));
    begin(a, b, std::move(config_a), std::move(config_b));
  }
  void begin(const End& a, const End& b, model::ConnectionConfig config_a, model::ConnectionConfig config_b) {
    if (a.ppk) pair.a.ppks[config_a.id] = a.secret;
    if (b.ppk) pair.b.ppks[config_b.id] = b.secret;
    configure(pair, std::move(config_a), std::move(config_b));
    initiate(pair);
    pair.settle();
  }
  [[nodiscard]] bool used() const { return pair.a.logged("keys with the PPK") && pair.b.logged("keys with the PPK"); }
  void expect_refused(std::string_view at_b, FailureKind kind = FailureKind::authentication_failed) {
    pair.advance(minutes(2));
    EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
    ASSERT_FALSE(pair.b.failures.empty());
    EXPECT_EQ(pair.b.failures.front().kind, kind);
    EXPECT_NE(pair.b.failures.front().detail.find(at_b), std::string::npos) << pair.b.failures.front().detail;
    ASSERT_FALSE(pair.a.failures.empty());
    EXPECT_TRUE(no_leaks(pair));
  }

  Pair pair;
};

TEST_F(PpkTest, IsUsedWhereBothHaveIt) {  // RFC 8784 3
  start(with("office", true), with("office", true));
  ASSERT_TRUE(in_step(pair)) << (pair.b.failures.empty() ? "" : pair.b.failures.front().detail);
  EXPECT_TRUE(used());
  // The Child SA's keys come of SK_d with it: another PPK at both ends gives others, all else being the same.
  Pair other(1, exporting());
  auto a = config_of(true);
  auto b = config_of(false);
  a.ppk = b.ppk = named("office");
  a.ike_proposals =
      b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519").value()};
  other.a.ppks[a.id] = other.b.ppks[b.id] = kOther;
  configure(other, std::move(a), std::move(b));
  initiate(other);
  other.settle();
  ASSERT_TRUE(in_step(other));
  EXPECT_TRUE(equal(other.a.exported.front().sk_ei.view(), pair.a.exported.front().sk_ei.view()))
      << "IKE_AUTH is sealed before it is known";
  EXPECT_FALSE(equal(other.a.child().inbound.encryption.view(), pair.a.child().inbound.encryption.view()));
}

// RFC 8784 3: rekeys do not mix it in again, and keep what it brought.
TEST_F(PpkTest, RekeysGoOn) {
  start(with("office", true), with("office", true), "aes256gcm16-prfsha384-x25519-ke1_mlkem512");
  ASSERT_TRUE(in_step(pair));
  for (const bool first : {true, false}) {
    Host& who = pair.host(first);
    pair.command(who, RekeyIkeSa{who.ike_sa().ike_sa});
    pair.settle();
    pair.command(who, RekeyChildSa{who.child().id});
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
}

// RFC 8784 3: it is named with the AUTH behind EAP. MD5 makes no key: AUTH is then by SK_pi and SK_pr alone.
TEST_F(PpkTest, GoesWithEap) {
  start_eap(with("office", true), with("office", true));
  ASSERT_TRUE(in_step(pair)) << (pair.b.failures.empty() ? "" : pair.b.failures.front().detail);
  EXPECT_TRUE(used());
  EXPECT_EQ(pair.b.ike_sa().admission.eap_identity(), "carol");
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(PpkTest, GoesWithEapThatMakesNoKey) {
  start_eap(with("office", true), with("office", true), model::EapType::md5_challenge);
  ASSERT_TRUE(in_step(pair)) << (pair.b.failures.empty() ? "" : pair.b.failures.front().detail);
  EXPECT_TRUE(used());
}

TEST_F(PpkTest, EapGoesOnWithoutWhereBothAllowIt) {
  start_eap(with("office", false), with("lab", false));
  ASSERT_TRUE(in_step(pair)) << (pair.b.failures.empty() ? "" : pair.b.failures.front().detail);
  EXPECT_FALSE(pair.b.logged("keys with the PPK"));
  EXPECT_TRUE(pair.b.logged("going on without"));
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
}

TEST_F(PpkTest, EapThatMakesNoKeyGoesOnWithout) {
  start_eap(with("office", false), with("lab", false), model::EapType::md5_challenge);
  ASSERT_TRUE(in_step(pair)) << (pair.b.failures.empty() ? "" : pair.b.failures.front().detail);
  EXPECT_FALSE(pair.b.logged("keys with the PPK"));
}

TEST_F(PpkTest, EapWithAnotherSecretUnderTheSameName) {
  start_eap(with("office", true), {.ppk = named("office"), .secret = kOther});
  expect_refused("does not fit the key that EAP has made");
}

TEST_F(PpkTest, EapOfAClientThatHasNone) {  // before it is asked anything
  start_eap(End{}, with("office", true));
  expect_refused("does not know PPK");
  EXPECT_FALSE(pair.b.logged("EAP of 'carol'"));
}

TEST_F(PpkTest, EapOfAClientThatInsists) {
  start_eap(with("office", true), with("lab", false));
  expect_refused("names a PPK that is not known here");
}

TEST_F(PpkTest, EapWithLossAndDuplicates) {
  SeededRandom chance(8784);
  pair.fate = [&](const Datagram&) {
    std::vector<Duration> copies;
    for (int n = 0; n < 2; ++n) {
      if (chance.below(10) < 6) copies.push_back(std::chrono::milliseconds(1 + chance.below(400)));
    }
    return copies;
  };
  start_eap(with("office", true), with("office", true));
  pair.advance(minutes(2));
  ASSERT_TRUE(in_step(pair));
  EXPECT_TRUE(used());
}

TEST_F(PpkTest, AnotherSecretUnderTheSameName) {
  start(with("office", true), {.ppk = named("office"), .secret = kOther});
  expect_refused("does not have our secret");
}

// RFC 8784 3: with another name, or none, both go on without, if both may.
TEST_F(PpkTest, IsLeftOutWhereBothAllowIt) {
  struct Case {
    End a, b;
  };
  for (const auto& [a, b] : {Case{with("office", false), with("lab", false)}, Case{with("office", false), End{}},
                             Case{End{}, with("office", false)}}) {
    Pair other(3);
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    config_a.ppk = a.ppk;
    config_b.ppk = b.ppk;
    if (a.ppk) other.a.ppks[config_a.id] = a.secret;
    if (b.ppk) other.b.ppks[config_b.id] = b.secret;
    configure(other, std::move(config_a), std::move(config_b));
    initiate(other);
    other.settle();
    ASSERT_TRUE(in_step(other));
    EXPECT_FALSE(other.b.logged("keys with the PPK"));
    EXPECT_TRUE(other.a.failures.empty() && other.b.failures.empty());
  }
}

TEST_F(PpkTest, IsUsedWhereNeitherInsists) {
  start(with("office", false), with("office", false));
  ASSERT_TRUE(in_step(pair));
  EXPECT_TRUE(used());
}

TEST_F(PpkTest, TheInitiatorInsistsAndTheResponderHasNone) {
  start(with("office", true), {});
  pair.advance(minutes(2));
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_NE(pair.a.failures.front().detail.find("has no PPK (RFC 8784), which connection 'to-b' insists on"),
            std::string::npos);
}

TEST_F(PpkTest, TheResponderInsistsAndTheInitiatorHasNone) {
  start({}, with("office", true));
  expect_refused("the peer does not know PPK");
}

TEST_F(PpkTest, TheNamesDifferAndTheInitiatorInsists) {  // RFC 8784 5.1
  start(with("office", true), with("lab", false));
  expect_refused("names a PPK that is not known here");
}

TEST_F(PpkTest, TheNamesDifferAndTheResponderInsists) {
  start(with("office", false), with("lab", true));
  expect_refused("names a PPK that is not known here");
}

// Whoever takes USE_PPK out of IKE_SA_INIT on its way is found out: the one who insists stops, for the other AUTH is
// over the message as it was sent.
TEST_F(PpkTest, CannotBeStripped) {
  auto a = config_of(true);
  auto b = config_of(false);
  a.ppk = b.ppk = named("office", false);
  pair.a.ppks[a.id] = pair.b.ppks[b.id] = kSecret;
  pair.fate = [](const Datagram& datagram) {
    const bool init = datagram.header().exchange == model::ExchangeType::ike_sa_init && !datagram.header().response;
    return init ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  configure(pair, std::move(a), std::move(b));
  initiate(pair);
  const auto parsed = codec::parse_message(pair.wire.front().message);
  ASSERT_TRUE(parsed);
  codec::Message stripped{.header = parsed->header, .payloads = {}};
  for (const codec::Payload& payload : parsed->payloads) {
    const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
    if (notify == nullptr || notify->type != NotifyType::use_ppk) stripped.add(payload);
  }
  ASSERT_LT(stripped.payloads.size(), parsed->payloads.size());
  pair.inject(pair.b, path_from(false), codec::serialize(stripped));
  pair.settle();
  expect_refused("does not have our secret");
}

TEST(PpkKeyTest, Derivation) {  // RFC 8784 3: prf(PPK, SK | 0x01), where the prf's output is as long as the key
  const crypto::Prf prf = crypto::HashId::sha2_256;
  const PpkKeys keys{SecretBytes::copy_of(Bytes(32, 1)), SecretBytes::copy_of(Bytes(32, 2)),
                     SecretBytes::copy_of(Bytes(32, 3))};
  const PpkKeys mixed = mix_ppk(prf, kSecret, keys);
  for (std::size_t n = 0; n < keys.size(); ++n) {
    const Bytes one{1};
    EXPECT_TRUE(equal(mixed[n].view(), prf(kSecret, {keys[n].view(), one}).view())) << n;
  }
}

}  // namespace
}  // namespace culvert::ike::v2
