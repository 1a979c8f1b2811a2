// How two ends prove themselves where it is not the same way on both: secret here and certificate there, NULL
// authentication (RFC 7619); and what of our certificates the peer's wishes choose (RFC 7296 3.6, 3.7; RFC 9593).
#include <array>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/prf.hpp"
#include "crypto/testing/issuer.hpp"
#include "ike/auth/announced_methods.hpp"
#include "ike/auth/digital_signature.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/payload_rules.hpp"
#include "ike/v2/proof_wishes.hpp"
#include "ike/v2/testing/faults.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {
namespace {

using crypto::SignatureScheme;
using crypto::testing::kToday;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using model::Authentication;
using ::testing::HasSubstr;

struct World {
  TestCertificate root = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("root"));
  TestCertificate stranger = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("stranger"));
  TestKey key = TestKey::make("P-256");
  TestKey rsa = TestKey::make("RSA:2048");

  [[nodiscard]] TestCertificate issue(bool first, const TestCertificate& by, const TestKey& with) const {
    return TestCertificate::make(
        with, crypto::testing::peer(first ? "a" : "b", first ? "DNS:a.example" : "DNS:b.example"), &by);
  }
};
const World& world() {
  static const World made;
  return made;
}

Credentials credentials(const TestCertificate& own) {
  return {.certificates = {own.der()},
          .key = own.key().private_key(),
          .peer = crypto::TrustStore::make(std::vector{world().root.certificate()}, {})};
}

/// The connections of both, where a proves itself by `first` and b by `second`.
struct MethodsPair : Pair {
  MethodsPair(Authentication first, Authentication second) {
    for (Host* one : {&a, &b}) {
      const bool is_a = one == &a;
      one->calendar = kToday;
      one->credentials.emplace(kConnection, credentials(world().issue(is_a, world().root, world().key)));
      one->secrets[kConnection] = to_bytes(as_bytes("a shared secret"));
      model::ConnectionConfig config = config_of(is_a);
      config.authentication = is_a ? first : second;
      config.peer_authentication = is_a ? second : first;
      config.authorities = world().root.certificate().key_digest();
      if (config.authentication == Authentication::none) config.local_id = model::Identity::none();
      if (config.expected() == Authentication::none) config.remote_id = model::Identity::none();
      configs[is_a ? 0 : 1] = std::move(config);
    }
  }
  void start(const net::Path& path = path_from(true)) {
    command(a, ConfigureConnection{configs[0]});
    command(b, ConfigureConnection{configs[1]});
    command(a, Initiate{.connection = kConnection, .path = path});
    settle();
  }
  [[nodiscard]] std::string faults() const { return faults_of(a, b); }
  std::array<model::ConnectionConfig, 2> configs;
};

TEST(ProofMethods, EachSideInItsOwnWay) {
  for (const Authentication first : {Authentication::shared_key, Authentication::certificate, Authentication::none}) {
    for (const Authentication second :
         {Authentication::shared_key, Authentication::certificate, Authentication::none}) {
      MethodsPair pair(first, second);
      pair.start();
      EXPECT_TRUE(in_step(pair)) << name_of(first) << ", " << name_of(second) << "\n" << pair.faults();
      EXPECT_EQ(pair.wire.size(), 4U);
    }
  }
}

// Whoever may prove itself by secret only is not let in for nothing, nor by certificate, in either role.
TEST(ProofMethods, AnotherWayThanExpectedIsRefused) {
  for (const Authentication used : {Authentication::certificate, Authentication::none}) {
    for (const bool initiator : {true, false}) {
      MethodsPair pair(Authentication::shared_key, Authentication::shared_key);
      model::ConnectionConfig& liar = pair.configs[initiator ? 0 : 1];
      liar.authentication = used;
      liar.peer_authentication = Authentication::shared_key;
      pair.start();
      EXPECT_TRUE(pair.a.ike_sas.empty() || pair.b.ike_sas.empty());
      pair.advance(std::chrono::minutes(5));
      EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
      EXPECT_TRUE(no_leaks(pair));
      EXPECT_THAT(pair.faults(), HasSubstr(initiator ? "expects a secret, not a " : "expects a secret"))
          << name_of(used);
    }
  }
}

// RFC 7619 2.1: the AUTH must go with the key exchange all the same.
TEST(NullAuthentication, AForeignAuthIsRefused) {
  MethodsPair pair(Authentication::none, Authentication::shared_key);
  // b takes what a says for the MAC of an empty secret: another method than NULL.
  pair.configs[1].peer_authentication = Authentication::shared_key;
  pair.configs[1].remote_id = model::Identity::none();
  pair.start();
  pair.advance(std::chrono::minutes(5));
  EXPECT_TRUE(pair.b.ike_sas.empty());
  EXPECT_THAT(pair.faults(), HasSubstr("expects a secret, not a none"));
}

// RFC 7619 2.4: only where it is written; nobody's name opens no other connection.
TEST(NullAuthentication, NobodyIsNotTakenForSomebody) {
  MethodsPair pair(Authentication::none, Authentication::certificate);
  pair.configs[1].remote_id = model::Identity::parse("a.example");
  pair.start();
  pair.advance(std::chrono::minutes(5));
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_THAT(pair.faults(), HasSubstr("says it is nobody"));
}

// RFC 7619 2.3.
TEST(NullAuthentication, InitialContactOfNobodyEndsNothing) {
  codec::Message message;
  message.add_notify(model::NotifyType::initial_contact);
  model::ConnectionConfig config = config_of(true);
  EXPECT_TRUE(begins_anew(config, message));
  config.peer_authentication = Authentication::none;
  EXPECT_FALSE(begins_anew(config, message));
}

// ---------------------------------------------------------------- RFC 9593

TEST(AnnouncedMethods, AreWrittenAndRead) {
  for (const Authentication one : {Authentication::shared_key, Authentication::certificate, Authentication::none}) {
    const auto methods = auth::accepted_methods(one);
    std::vector<model::AnnouncedMethod> read;
    auth::decode_methods(auth::encode_methods(methods), read);
    EXPECT_EQ(read, methods);
  }
  EXPECT_EQ(to_hex(auth::encode_methods(auth::accepted_methods(Authentication::shared_key))), "0202");
  EXPECT_EQ(to_hex(auth::encode_methods(auth::accepted_methods(Authentication::none))), "020d");
  // Ed25519, with any authority.
  EXPECT_THAT(to_hex(auth::encode_methods(auth::accepted_methods(Authentication::certificate))),
              ::testing::StartsWith("0a0e00300506032b6570"));
}

// RFC 9593 3.2: what is not understood is passed over; a piece ends the list.
TEST(AnnouncedMethods, OddOnesArePassedOver) {
  const auto read = [](std::string_view hex) {
    std::vector<model::AnnouncedMethod> methods;
    auth::decode_methods(*from_hex(hex), methods);
    return methods.size();
  };
  EXPECT_EQ(read(""), 0U);
  EXPECT_EQ(read("02"), 0U);
  EXPECT_EQ(read("0002"), 0U) << "no end in sight";
  EXPECT_EQ(read("0102020d"), 0U);
  EXPECT_EQ(read("030200020d"), 1U) << "a secret has no link";
  EXPECT_EQ(read("02090202"), 1U) << "ECDSA has one";
  EXPECT_EQ(read("0463aabb0202"), 1U) << "a method of later times";
  EXPECT_EQ(read("0a0e00300506032b65"), 0U) << "cut short";
  std::string many;
  for (int i = 0; i < 200; ++i) many += "0202";
  EXPECT_EQ(read(many), model::kMostAnnounced);
}

auth::SignatureTaker taker(const std::vector<model::AnnouncedMethod>& methods, std::size_t authority = 0) {
  return {.hashes = auth::accepted_hashes(), .methods = methods, .authority = authority};
}

std::optional<SignatureScheme> signed_by(const crypto::PrivateKey& key, const auth::SignatureTaker& peer) {
  const auto proof = auth::sign(key, Bytes(10, 1), peer);
  if (!proof) return std::nullopt;
  return auth::scheme_of(ByteView(proof->data).subspan(1, proof->data[0]));
}

model::AnnouncedMethod announced(SignatureScheme scheme, std::uint8_t authority = 0) {
  return {.method = model::AuthenticationMethod::digital_signature,
          .authority = authority,
          .algorithm = auth::algorithm_identifier(scheme)};
}

TEST(AnnouncedMethods, ChooseTheAlgorithm) {
  const crypto::PrivateKey rsa = world().rsa.private_key();
  EXPECT_EQ(signed_by(rsa, taker({})), SignatureScheme::rsa_pss_sha2_256);
  EXPECT_EQ(signed_by(rsa, taker({announced(SignatureScheme::rsa_pss_sha2_512)})), SignatureScheme::rsa_pss_sha2_512);
  // PKCS#1 only for those that name it.
  EXPECT_EQ(signed_by(rsa, taker({announced(SignatureScheme::rsa_pkcs1_sha2_256)})),
            SignatureScheme::rsa_pkcs1_sha2_256);
  EXPECT_EQ(signed_by(rsa, taker({announced(SignatureScheme::ed25519)})), std::nullopt);
  EXPECT_FALSE(auth::can_sign(rsa, taker({announced(SignatureScheme::ed25519)})));
  // RFC 9593 3.2.2: a link to an authority holds for keys below that one.
  const std::vector linked = {announced(SignatureScheme::rsa_pss_sha2_512, 2)};
  EXPECT_EQ(signed_by(rsa, taker(linked, 2)), SignatureScheme::rsa_pss_sha2_512);
  EXPECT_EQ(signed_by(rsa, taker(linked, 1)), std::nullopt);
  EXPECT_EQ(signed_by(rsa, taker(linked, 0)), SignatureScheme::rsa_pss_sha2_512);
  // Nothing was said of signatures.
  EXPECT_EQ(signed_by(rsa, taker({{.method = model::AuthenticationMethod::shared_key_mic, .algorithm = {}}})),
            SignatureScheme::rsa_pss_sha2_256);
}

// RFC 9593 3.1: in the IKE_SA_INIT response and in the IKE_AUTH request.
TEST(AnnouncedMethods, AreSentByBothSides) {
  MethodsPair pair(Authentication::certificate, Authentication::shared_key);
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  const auto parsed = codec::parse_message(pair.wire[1].message);
  ASSERT_TRUE(parsed);
  const auto wishes = wishes_of({.header = parsed->header, .payloads = parsed->payloads});
  EXPECT_EQ(wishes.methods, auth::in_brief(auth::accepted_methods(Authentication::certificate)));
  EXPECT_EQ(wishes.authorities, world().root.certificate().key_digest());
  EXPECT_FALSE(wishes.by_url || wishes.ocsp);
}

// RFC 9593 3.1: the list may be sent later, which is announced by an empty one, or not at all: then anything goes.
TEST(AnnouncedMethods, AnEmptyListRefusesNothing) {
  codec::Message message;
  message.add_notify(model::NotifyType::supported_auth_methods);
  const auto wishes = wishes_of(message);
  EXPECT_TRUE(wishes.methods.empty());
  EXPECT_TRUE(auth::takes(wishes.methods, SignatureScheme::ecdsa_sha2_256, 0));
}

std::vector<model::AnnouncedMethod> methods_in(ByteView octets) {
  const auto parsed = codec::parse_message(octets);
  CHECK(parsed.has_value());
  return wishes_of({.header = parsed->header, .payloads = parsed->payloads}).methods;
}

TEST(AnnouncedMethods, AreLeftOutByTheOctetThatIsTooMuch) {
  codec::Message message;
  message.header = {.spi_i = model::IkeSpi{7}, .spi_r = model::IkeSpi{8}, .response = true};
  message.add(codec::NoncePayload{Bytes(32, 1)});
  const std::size_t without = codec::serialize(message).size();
  message.add_notify(model::NotifyType::supported_auth_methods,
                     auth::encode_methods(auth::accepted_methods(Authentication::certificate)));
  message.add_notify(model::NotifyType::ikev2_fragmentation_supported);
  const Bytes whole = codec::serialize(message);
  EXPECT_EQ(serialize_within(message, whole.size(), false), whole);
  // First all but one algorithm for RSA goes, and every key is still good for something.
  const Bytes brief = serialize_within(message, whole.size() - 1, false);
  const auto kept = methods_in(brief);
  EXPECT_EQ(kept.size(), 6U);
  for (const SignatureScheme scheme :
       {SignatureScheme::ed25519, SignatureScheme::ed448, SignatureScheme::ecdsa_sha2_256,
        SignatureScheme::ecdsa_sha2_384, SignatureScheme::ecdsa_sha2_512, SignatureScheme::rsa_pss_sha2_256})
    EXPECT_TRUE(auth::names(kept, scheme, 0)) << name_of(scheme);
  EXPECT_EQ(serialize_within(message, brief.size(), false), brief);
  const Bytes cut = serialize_within(message, brief.size() - 1, false);
  EXPECT_EQ(cut.size(), without + 8);
  EXPECT_TRUE(methods_in(cut).empty());
  // There is nothing else that could be spared.
  EXPECT_EQ(serialize_within(message, 1, false), cut);
}

// RFC 9593 3.1: IKE_SA_INIT cannot be cut (RFC 7383), so its response has to fit into what every path takes.
TEST(AnnouncedMethods, KeepTheResponseWithinWhatEveryPathTakes) {
  std::map<std::string, std::size_t> announced;
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    for (const auto& [group, authorities] :
         {std::pair("x25519", 1), std::pair("x25519", 7), std::pair("modp2048", 1)}) {
      MethodsPair pair(Authentication::certificate, Authentication::certificate);
      Bytes& digests = pair.configs[1].authorities;
      while (digests.size() < static_cast<std::size_t>(authorities) * model::kAuthorityDigest)
        digests.insert(digests.end(), model::kAuthorityDigest, static_cast<std::uint8_t>(digests.size()));
      pair.configs[1].certificates_by_url = pair.configs[1].ask_ocsp = true;
      for (model::ConnectionConfig& config : pair.configs)
        config.ike_proposals = {
            *model::parse_proposal(model::ProtocolId::ike, std::string("aes256gcm16-prfsha256-") + group)};
      net::Path path = path_from(true);
      if (family == net::Family::v6) {
        path.local.address = *net::IpAddress::parse("2001:db8::1");
        path.remote.address = *net::IpAddress::parse("2001:db8::2");
        pair.configs[0].peer = path.remote.address;
        pair.configs[1].peer = path.local.address;
      }
      pair.start(path);
      ASSERT_TRUE(in_step(pair)) << pair.faults();
      const std::size_t size = pair.wire[1].message.size() + (family == net::Family::v4 ? 20 + 8 : 40 + 8);
      const std::string what =
          fmt::format("{}, {} authorities, {}", family == net::Family::v4 ? "v4" : "v6", authorities, group);
      EXPECT_LE(size, family == net::Family::v4 ? 576U : 1280U) << what;
      announced[what] = methods_in(pair.wire[1].message).size();
    }
  }
  // Every path of IPv6 has room for all of them; but the response is three times as long as the request at the most.
  const std::map<std::string, std::size_t> expected = {
      {"v4, 1 authorities, x25519", 6}, {"v4, 7 authorities, x25519", 6}, {"v4, 1 authorities, modp2048", 0},
      {"v6, 1 authorities, x25519", 9}, {"v6, 7 authorities, x25519", 6}, {"v6, 1 authorities, modp2048", 9},
  };
  EXPECT_EQ(announced, expected);
}

// ---------------------------------------------------------------- RFC 9593 3.1, in IKE_INTERMEDIATE

/// Two ends with certificates and additional key exchanges, where b's list does not fit into IKE_SA_INIT.
struct LaterPair : MethodsPair {
  explicit LaterPair(const char* suite = "aes256gcm16-prfsha256-x25519-ke1_mlkem768")
      : MethodsPair(Authentication::certificate, Authentication::certificate) {
    Bytes& digests = configs[1].authorities;
    while (digests.size() < 7 * model::kAuthorityDigest)
      digests.insert(digests.end(), model::kAuthorityDigest, static_cast<std::uint8_t>(digests.size()));
    for (model::ConnectionConfig& config : configs)
      config.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, suite)};
    a.postpones = [this](const Request& request) {
      if (const auto* sign = std::get_if<SignRequest>(&request)) asked = sign->wishes;
      return false;
    };
  }
  [[nodiscard]] codec::Message answer_of_b() const {
    const auto parsed = codec::parse_message(wire[1].message);
    return {.header = parsed->header, .payloads = parsed->payloads};
  }
  model::ProofWishes asked;  // what a has heard of b till it signs
};

TEST(LaterMethods, FollowWhereTheyFit) {
  LaterPair pair;
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  EXPECT_LE(pair.wire[1].message.size() + 28, 576U);
  const codec::Message answer = pair.answer_of_b();
  const auto* list = answer.notify(model::NotifyType::supported_auth_methods);
  ASSERT_NE(list, nullptr);
  EXPECT_TRUE(list->data.empty());
  EXPECT_EQ(pair.asked.methods, auth::accepted_methods(Authentication::certificate));
  EXPECT_EQ(pair.asked.authorities, pair.configs[1].authorities) << "those of IKE_SA_INIT stay";
}

TEST(LaterMethods, InTheLastOfSeveral) {
  LaterPair pair("aes256gcm16-prfsha256-x25519-ke1_mlkem512-ke2_mlkem768");
  std::vector<std::size_t> seen;
  pair.b.on_event = [&](const Event& event) {
    const auto* text = std::get_if<Progress>(&event);
    if (text != nullptr && text->text.find("in IKE_INTERMEDIATE") != std::string::npos)
      seen.push_back(pair.wire.size());
  };
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_EQ(pair.asked.methods.size(), 9U) << "once, and not twice";
}

// There is no IKE_INTERMEDIATE without a key exchange for it: then it has to do in brief.
TEST(LaterMethods, NotWithoutTheExchange) {
  LaterPair pair("aes256gcm16-prfsha256-x25519");
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  EXPECT_EQ(pair.asked.methods.size(), 6U);
  LaterPair none("aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none");
  none.configs[1].ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519")};
  none.start();
  ASSERT_TRUE(in_step(none)) << none.faults();
  EXPECT_FALSE(none.asked.methods.empty());
}

TEST(LaterMethods, TheFirstListThatSaysAnythingCounts) {
  codec::Message later;
  later.add_notify(model::NotifyType::supported_auth_methods,
                   auth::encode_methods(auth::accepted_methods(Authentication::certificate)));
  const Bytes digest(model::kAuthorityDigest, 7);
  later.add(codec::CertReqPayload{.encoding = model::CertificateEncoding::x509_signature, .authorities = digest});
  model::ProofWishes open{.authorities = Bytes(model::kAuthorityDigest, 1)};
  take_owed_methods(later, open);
  EXPECT_EQ(open.methods.size(), 9U);
  EXPECT_EQ(open.authorities, digest) << "what the list is linked to";
  model::ProofWishes said{.methods = auth::accepted_methods(Authentication::shared_key)};
  take_owed_methods(later, said);
  EXPECT_EQ(said.methods.size(), 1U);
  model::ProofWishes nothing{.authorities = digest};
  take_owed_methods(codec::Message{}, nothing);
  EXPECT_EQ(nothing.authorities, digest);
}

// Who asks by name is answered as everybody is (RFC 9593 3.1).
TEST(LaterMethods, AnInitiatorMaySayThereWhoItIs) {
  codec::Message request;
  request.header.exchange = model::ExchangeType::ike_intermediate;
  request.add(codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)});
  for (const model::Role side : {model::Role::initiator, model::Role::responder})
    request.add(codec::IdPayload{.side = side, .identity = model::Identity::parse("a.example"), .reserved = {}});
  EXPECT_FALSE(payload_fault(MessageForm::ike_intermediate, request));
  request.add(codec::IdPayload{
      .side = model::Role::initiator, .identity = model::Identity::parse("b.example"), .reserved = {}});
  EXPECT_TRUE(payload_fault(MessageForm::ike_intermediate, request));
  request.payloads.pop_back();
  request.header.response = true;
  EXPECT_TRUE(payload_fault(MessageForm::ike_intermediate, request));
}

// ---------------------------------------------------------------- RFC 7296 3.7

SignRequest asking(const Bytes& authorities) {
  SignRequest request{
      .token = {}, .connection = kConnection, .peer_hashes = auth::accepted_hashes(), .octets = Bytes(9)};
  request.wishes.authorities = authorities;
  return request;
}

TEST(Chains, TheOneThatIsAskedForIsShown) {
  const TestCertificate first = world().issue(true, world().stranger, world().key);
  const TestCertificate second = world().issue(true, world().root, world().rsa);
  Credentials own = credentials(first);
  own.chain_authorities = world().stranger.certificate().key_digest();
  own.others.push_back({.certificates = {second.der()},
                        .key = world().rsa.private_key(),
                        .authorities = world().root.certificate().key_digest()});
  const auto shown = [&](const SignRequest& request) { return carry_out(request, own).proof->certificates.front(); };
  EXPECT_EQ(shown(asking({})), first.der());
  EXPECT_EQ(shown(asking(own.chain_authorities)), first.der());
  EXPECT_EQ(shown(asking(own.others[0].authorities)), second.der());
  // RFC 7296 3.7: unknown authorities are no reason to send nothing.
  EXPECT_EQ(shown(asking(Bytes(40, 7))), first.der());
  const Bytes both = concat({Bytes(20, 7), own.others[0].authorities});
  EXPECT_EQ(shown(asking(both)), second.der());
  // A piece of a digest is none.
  EXPECT_EQ(shown(asking(to_bytes(ByteView(own.others[0].authorities).first(19)))), first.der());
  // The authority would do, the algorithm would not.
  SignRequest curves = asking(own.others[0].authorities);
  curves.wishes.methods = {announced(SignatureScheme::ecdsa_sha2_256)};
  EXPECT_EQ(shown(curves), first.der());
}

TEST(Chains, WishesOfAMessageAreBounded) {
  codec::Message message;
  for (int i = 0; i < 10; ++i)
    message.add(
        codec::CertReqPayload{.encoding = model::CertificateEncoding::x509_signature, .authorities = Bytes(219, 1)});
  message.add(codec::CertReqPayload{.encoding = model::CertificateEncoding::ocsp_content, .authorities = {}});
  message.add_notify(model::NotifyType::http_cert_lookup_supported);
  const auto wishes = wishes_of(message);
  EXPECT_EQ(wishes.authorities.size(), model::kMostAuthorities * model::kAuthorityDigest);
  EXPECT_TRUE(wishes.ocsp && wishes.by_url);
}

// ---------------------------------------------------------------- RFC 7296 3.6

TEST(HashAndUrl, IsSentToThoseThatLookThemUp) {
  const TestCertificate own = world().issue(true, world().root, world().key);
  Credentials held = credentials(own);
  held.certificates.push_back(world().root.der());
  held.urls = {"http://pki.example/a.der"};
  SignRequest request = asking({});
  auto proof = carry_out(request, held).proof;
  ASSERT_TRUE(proof);
  EXPECT_EQ(proof->certificates.size(), 2U);
  EXPECT_TRUE(proof->more.empty());
  request.wishes.by_url = true;
  proof = carry_out(request, held).proof;
  ASSERT_TRUE(proof);
  EXPECT_TRUE(proof->certificates.empty());
  ASSERT_EQ(proof->more.size(), 2U);
  EXPECT_EQ(proof->more[0].encoding, model::CertificateEncoding::hash_and_url_x509);
  EXPECT_EQ(proof->more[0].data,
            concat({crypto::hash(crypto::HashId::sha1, {own.der()}), as_bytes("http://pki.example/a.der")}));
  EXPECT_EQ(proof->more[1].encoding, model::CertificateEncoding::x509_signature);
}

TEST(HashAndUrl, IsReadOnlyWhereSomebodyFetches) {
  codec::Message message;
  const Bytes good = concat({Bytes(20, 5), as_bytes("http://pki.example/a.der")});
  const auto add = [&](model::CertificateEncoding encoding, Bytes data) {
    message.add(codec::CertPayload{.encoding = encoding, .data = std::move(data)});
  };
  using enum model::CertificateEncoding;
  add(hash_and_url_x509, good);
  add(x509_signature, Bytes(3, 1));
  add(hash_and_url_x509, Bytes(20, 5));          // no URL
  add(hash_and_url_x509, Bytes(20 + 513, 'a'));  // too long a one
  add(ocsp_content, Bytes(30, 2));
  add(ocsp_content, Bytes(20'000, 2));  // too long
  VerifyRequest request;
  read_certificates(message, true, request);
  ASSERT_EQ(request.certificates.size(), 2U);
  EXPECT_TRUE(request.certificates[0].empty());
  ASSERT_EQ(request.by_url.size(), 1U);
  EXPECT_EQ(request.by_url[0].place, 0U);
  EXPECT_EQ(request.by_url[0].url, "http://pki.example/a.der");
  EXPECT_EQ(request.ocsp.size(), 1U);
  VerifyRequest other;
  read_certificates(message, false, other);
  EXPECT_TRUE(other.by_url.empty());
  EXPECT_EQ(other.certificates.size(), 1U);
}

}  // namespace
}  // namespace culvert::ike::v2::testing
