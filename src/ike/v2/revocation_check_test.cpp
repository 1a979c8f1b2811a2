// What of a peer's certificates must be fetched, when, and what comes of it (RFC 6960, RFC 4806, RFC 5280 6.3, RFC 7296
// 3.6).
#include "ike/v2/revocation_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "crypto/prf.hpp"
#include "crypto/testing/ocsp_responder.hpp"
#include "ike/auth/digital_signature.hpp"
#include "ike/v2/credentials.hpp"

namespace culvert::ike::v2 {
namespace {

using crypto::testing::kDay;
using crypto::testing::kToday;
using crypto::testing::ocsp_response;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using crypto::testing::Wish;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RevocationCheck : public ::testing::Test {
 protected:
  static TestCertificate make(const Wish& wish, const TestCertificate* by = nullptr) {
    return TestCertificate::make(TestKey::make("P-256"), wish, by);
  }
  static Wish end(const std::string& access = "OCSP;URI:http://ocsp.example/a",
                  const std::string& points = "URI:http://crl.example/middle.crl") {
    Wish wish = crypto::testing::peer("gw", "DNS:gw.example");
    if (!access.empty()) wish.extensions.emplace_back("authorityInfoAccess", access);
    if (!points.empty()) wish.extensions.emplace_back("crlDistributionPoints", points);
    return wish;
  }
  void SetUp() override {
    held.peer = crypto::TrustStore::make(std::vector{root.certificate()}, {});
    held.revocation.emplace();
    held.revocation->strict = true;
    sign();
  }
  void sign() {
    request.identity = model::Identity::parse("gw.example");
    request.octets = Bytes(100, 3);
    request.certificates = {own.der(), middle.der()};
    const auto proof = auth::sign(own.key().private_key(), request.octets, auth::accepted_hashes(), false);
    request.auth = proof->data;
  }
  Examination run(bool last = false) { return examine(request, held, now, evidence, random, last); }
  std::string check(bool last = false) {
    const auto made = run(last);
    EXPECT_TRUE(made.wishes.empty());
    return made.result.refusal ? made.result.refusal->to_string() : "good";
  }
  void answer(const FetchWish& wish, Bytes octets, std::string fault = {}) {
    Fetched fetched{
        .at = now, .url = wish.url, .fault = std::move(fault), .octets = {}, .nonce = wish.nonce, .list = {}};
    if (wish.kind == FetchWish::Kind::list) {
      if (fetched.fault.empty()) fetched.list = crypto::RevocationList::from_file_content(octets)->front();
    } else {
      fetched.octets = std::move(octets);
    }
    const auto shared = std::make_shared<const Fetched>(std::move(fetched));
    switch (wish.kind) {
      case FetchWish::Kind::ocsp: evidence.ocsp[wish.key] = shared; break;
      case FetchWish::Kind::list: evidence.lists[wish.url] = shared; break;
      case FetchWish::Kind::certificate: evidence.certificates[wish.url] = shared; break;
    }
  }
  void root_list(const std::vector<long>& serials = {}) {
    held.revocation->known = *crypto::RevocationList::from_file_content(as_bytes(root.revocation_list(serials)));
  }

  const TestCertificate root = make(crypto::testing::authority("root"));
  const TestCertificate middle = make(crypto::testing::authority("middle"), &root);
  TestCertificate own = make(end(), &middle);
  crypto::CalendarTime now = kToday;
  SeededRandom random{5};
  Credentials held{.certificates = {}, .key = {}, .peer = crypto::TrustStore::make({}, {})};
  Evidence evidence;
  VerifyRequest request;
};

TEST_F(RevocationCheck, OcspThenListsThenTheVerdict) {
  root_list();
  auto made = run();
  EXPECT_FALSE(made.result.refusal);
  ASSERT_THAT(made.wishes, SizeIs(1));
  EXPECT_EQ(made.wishes[0].kind, FetchWish::Kind::ocsp);
  EXPECT_EQ(made.wishes[0].url, "http://ocsp.example/a");
  answer(made.wishes[0], ocsp_response(own, middle, middle, {.request = made.wishes[0].question}));
  EXPECT_EQ(check(), "good");
  // For an hour it is not asked again, and then it is.
  now += 1800;
  EXPECT_EQ(check(), "good");
  now += 1900;
  made = run();
  ASSERT_THAT(made.wishes, SizeIs(1));
  // The responder fails: the list.
  answer(made.wishes[0], {}, "no connection");
  made = run();
  ASSERT_THAT(made.wishes, SizeIs(1));
  EXPECT_EQ(made.wishes[0].kind, FetchWish::Kind::list);
  answer(made.wishes[0], to_bytes(as_bytes(middle.revocation_list({}))));
  EXPECT_EQ(check(), "good");
}

TEST_F(RevocationCheck, WhoIsRevokedIsRefusedWithTheReason) {
  root_list();
  auto made = run();
  ASSERT_THAT(made.wishes, SizeIs(1));
  answer(made.wishes[0], ocsp_response(own, middle, middle,
                                       {.status = V_OCSP_CERTSTATUS_REVOKED,
                                        .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                                        .request = made.wishes[0].question}));
  EXPECT_EQ(check(),
            "certificate C=CH, O=Culvert, CN=gw (serial 1234): revoked: revoked on 2027-01-13T08:00:00Z "
            "(keyCompromise), says the OCSP responder http://ocsp.example/a");
  // Also where what cannot be known would be let pass.
  held.revocation->strict = false;
  EXPECT_THAT(check(), HasSubstr("revoked: revoked on"));
  // And where it is the authority between that is revoked.
  root_list({4660});
  evidence = {};
  EXPECT_THAT(check(true), HasSubstr("CN=middle (serial 1234): revoked: revoked on"));
}

TEST_F(RevocationCheck, WhatCannotBeKnownIsRefusedOnlyWhereThatIsWanted) {
  root_list();
  const auto first = run();
  answer(first.wishes.at(0), {}, "no connection in time");
  const auto second = run();
  answer(second.wishes.at(0), {}, "status 404");
  EXPECT_EQ(check(),
            "certificate C=CH, O=Culvert, CN=gw (serial 1234): revocation_unknown: the OCSP responder "
            "http://ocsp.example/a: no connection in time; the list of http://crl.example/middle.crl: status 404");
  held.revocation->strict = false;
  const auto made = run();
  EXPECT_FALSE(made.result.refusal);
  ASSERT_THAT(made.notes, SizeIs(1));
  EXPECT_THAT(made.notes[0],
              HasSubstr("is not known: the OCSP responder http://ocsp.example/a: no connection in time"));
  // After half a minute it is tried again.
  now += kRetryFetch + 1;
  EXPECT_THAT(run().wishes, SizeIs(1));
  // Out of time: the verdict must stand.
  evidence = {};
  held.revocation->strict = true;
  EXPECT_THAT(check(true), HasSubstr("did not answer"));
}

// A list that was kept is no reason to look no further: its authority may have a new key.
TEST_F(RevocationCheck, AKeptListThatDoesNotHelpIsFetchedAnew) {
  own = make(end(""), &middle);
  sign();
  root_list();
  const auto first = run();
  ASSERT_THAT(first.wishes, SizeIs(1));
  EXPECT_FALSE(first.wishes[0].anew);
  const TestCertificate former = make(crypto::testing::authority("middle"));
  answer(first.wishes[0], to_bytes(as_bytes(former.revocation_list({}))));
  evidence.lists.begin()->second = [&] {
    Fetched kept = *evidence.lists.begin()->second;
    kept.kept = true;
    return std::make_shared<const Fetched>(kept);
  }();
  const auto second = run();
  ASSERT_THAT(second.wishes, SizeIs(1));
  EXPECT_TRUE(second.wishes[0].anew);
  answer(second.wishes[0], to_bytes(as_bytes(middle.revocation_list({}))));
  EXPECT_EQ(check(), "good");
}

TEST_F(RevocationCheck, WithoutAnyPlaceNothingIsFetched) {
  own = make(end("", ""), &middle);
  sign();
  root_list();
  EXPECT_THAT(check(), HasSubstr("revocation_unknown: it names neither an OCSP responder nor a list"));
  held.revocation->ocsp = {"http://configured.example/"};
  EXPECT_EQ(run().wishes.at(0).url, "http://configured.example/");
  held.revocation->ocsp.clear();
  held.revocation->lists = {"http://configured.example/crl"};
  EXPECT_EQ(run().wishes.at(0).kind, FetchWish::Kind::list);
}

// CVE-2022-40617: a certificate that is not believed makes us ask nobody, nor does one whose key the peer has not.
TEST_F(RevocationCheck, NobodyIsAskedAboutStrangers) {
  const TestCertificate stranger = make(crypto::testing::authority("stranger"));
  own = make(end(), &stranger);
  sign();
  EXPECT_THAT(check(), HasSubstr("issuer: "));
  own = make(end(), &middle);
  sign();
  request.auth.back() ^= 1;
  EXPECT_THAT(check(), HasSubstr("signature: "));
  sign();
  request.identity = model::Identity::parse("other.example");
  EXPECT_THAT(check(), HasSubstr("identity: "));
}

// RFC 4806 4.1: what comes along counts, and spares the question.
TEST_F(RevocationCheck, ResponsesThatThePeerSends) {
  root_list();
  request.ocsp = {Bytes(40, 0x30), ocsp_response(own, middle, middle)};
  EXPECT_EQ(check(), "good");
  request.ocsp = {ocsp_response(own, middle, middle, {.status = V_OCSP_CERTSTATUS_REVOKED})};
  EXPECT_THAT(check(), HasSubstr("says the OCSP response that the peer sent"));
  // One that the peer made itself is none.
  request.ocsp = {ocsp_response(own, middle, own)};
  EXPECT_THAT(run().wishes, SizeIs(1));
}

// RFC 6960 4.2.2.2.1: a responder that may be revoked itself.
TEST_F(RevocationCheck, AResponderIsLookedUpInTheListsOfItsAuthority) {
  root_list();
  Wish wish = crypto::testing::ocsp_signer("ocsp", false);
  wish.serial = 77;
  wish.extensions.emplace_back("crlDistributionPoints", "URI:http://crl.example/signers.crl");
  const TestCertificate signer = make(wish, &middle);
  const auto list_of_signers = [&](const std::vector<long>& serials) {
    evidence.lists.clear();
    const auto asked = run();
    ASSERT_THAT(asked.wishes, SizeIs(1));
    EXPECT_EQ(asked.wishes[0].url, "http://crl.example/signers.crl");
    answer(asked.wishes[0], to_bytes(as_bytes(middle.revocation_list(serials))));
  };
  answer(run().wishes.at(0), ocsp_response(own, middle, signer));
  list_of_signers({});
  EXPECT_EQ(check(), "good");
  // What it says is worth nothing then; the list of the certificate itself is what is left.
  list_of_signers({77});
  const auto made = run();
  ASSERT_THAT(made.wishes, SizeIs(1));
  EXPECT_EQ(made.wishes[0].url, "http://crl.example/middle.crl");
  answer(made.wishes[0], {}, "status 404");
  EXPECT_EQ(check(),
            "certificate C=CH, O=Culvert, CN=gw (serial 1234): revocation_unknown: the OCSP responder "
            "http://ocsp.example/a is signed by C=CH, O=Culvert, CN=ocsp (serial 4d), which is revoked on "
            "2027-01-14T08:00:00Z, says the list of http://crl.example/signers.crl; the list of "
            "http://crl.example/middle.crl: status 404");
  held.revocation->strict = false;
  EXPECT_EQ(check(), "good") << "nothing is known";
  // The same by a list from a file.
  held.revocation->strict = true;
  root_list();
  const auto lists = crypto::RevocationList::from_file_content(as_bytes(middle.revocation_list({77})));
  held.revocation->known.push_back(lists->front());
  EXPECT_EQ(check(), "good") << "the list has both, and the certificate is not on it";
}

// RFC 6960 4.2.2.2.1: by OCSP, where its certificate names whom to ask; who answers then must be beyond doubt.
TEST_F(RevocationCheck, AResponderIsLookedUpByOcsp) {
  own = make(end("OCSP;URI:http://ocsp.example/a", ""), &middle);
  sign();
  root_list();
  Wish wish = crypto::testing::ocsp_signer("ocsp", false);
  wish.serial = 77;
  wish.extensions.emplace_back("authorityInfoAccess", "OCSP;URI:http://responders.example/");
  const TestCertificate signer = make(wish, &middle);
  const auto about_signer = [&](const TestCertificate& by, int status = V_OCSP_CERTSTATUS_GOOD) {
    evidence = {};
    answer(run().wishes.at(0), ocsp_response(own, middle, signer));
    const auto asked = run();
    ASSERT_THAT(asked.wishes, SizeIs(1));
    EXPECT_EQ(asked.wishes[0].kind, FetchWish::Kind::ocsp);
    EXPECT_EQ(asked.wishes[0].url, "http://responders.example/");
    answer(asked.wishes[0], ocsp_response(signer, middle, by, {.status = status, .request = asked.wishes[0].question}));
  };
  about_signer(middle);
  EXPECT_EQ(check(), "good");
  about_signer(make(crypto::testing::ocsp_signer("ocsp-2", true), &middle));
  EXPECT_EQ(check(), "good") << "one that need not be looked up";
  about_signer(middle, V_OCSP_CERTSTATUS_REVOKED);
  EXPECT_THAT(check(), HasSubstr("revocation_unknown: the OCSP responder http://ocsp.example/a is signed by C=CH, "
                                 "O=Culvert, CN=ocsp (serial 4d), which is revoked on"));
  // For itself, or by another that would have to be looked up in turn: there it ends.
  for (const TestCertificate& by : {signer, make(crypto::testing::ocsp_signer("ocsp-3", false), &middle)}) {
    about_signer(by);
    EXPECT_THAT(check(), HasSubstr("the OCSP responder http://responders.example/ is signed by"));
    EXPECT_THAT(check(), HasSubstr("which may be revoked itself"));
  }
}

// What a certificate names must lead away from this host; what is configured may lead anywhere.
TEST_F(RevocationCheck, OnlyOurOwnPlacesMayBeNear) {
  root_list();
  auto made = run();
  EXPECT_FALSE(made.wishes.at(0).may_be_near);
  answer(made.wishes[0], {}, "no connection");
  made = run();
  EXPECT_EQ(made.wishes.at(0).kind, FetchWish::Kind::list);
  EXPECT_FALSE(made.wishes[0].may_be_near);
  held.revocation->lists = {"http://127.0.0.1/list"};
  made = run();
  ASSERT_THAT(made.wishes, SizeIs(2));
  EXPECT_FALSE(made.wishes[0].may_be_near);
  EXPECT_TRUE(made.wishes[1].may_be_near);
  evidence = {};
  held.revocation->ocsp = {"http://127.0.0.1/ocsp"};
  EXPECT_TRUE(run().wishes.at(0).may_be_near);
  held.revocation.reset();
  request.certificates[0].clear();
  request.by_url = {{.place = 0, .hash = Bytes(20), .url = "http://pki.example/gw.der"}};
  for (const auto& [prefix, near] : {std::pair("http://pki.example/", true), std::pair("http://", false),
                                     std::pair("http://pki.", false), std::pair("http://pki.example", false)}) {
    held.fetch_from = {prefix};
    EXPECT_EQ(run().wishes.at(0).may_be_near, near) << prefix;
  }
}

TEST_F(RevocationCheck, AResponderThatCannotBeLookedUpSettlesNothingButARevocation) {
  own = make(end("OCSP;URI:http://ocsp.example/a", ""), &middle);
  sign();
  root_list();
  const TestCertificate signer = make(crypto::testing::ocsp_signer("ocsp", false), &middle);
  answer(run().wishes.at(0), ocsp_response(own, middle, signer));
  EXPECT_THAT(check(), HasSubstr("revocation_unknown: the OCSP responder http://ocsp.example/a is signed by C=CH, "
                                 "O=Culvert, CN=ocsp (serial 1234), and whether that is revoked is not known: its "
                                 "certificate has no id-pkix-ocsp-nocheck, and names neither a responder nor a list"));
  // Along with the proof: the same.
  evidence = {};
  request.ocsp = {ocsp_response(own, middle, signer)};
  EXPECT_THAT(check(true), HasSubstr("the OCSP response that the peer sent is signed by C=CH, O=Culvert, CN=ocsp"));
  request.ocsp = {ocsp_response(own, middle, signer, {.status = V_OCSP_CERTSTATUS_REVOKED})};
  EXPECT_THAT(check(true), HasSubstr("revoked: revoked on"));
  held.revocation->strict = false;
  EXPECT_THAT(check(true), HasSubstr("revoked: revoked on"));
  request.ocsp = {ocsp_response(own, middle, signer)};
  const auto made = run(true);
  EXPECT_FALSE(made.result.refusal);
  ASSERT_THAT(made.notes, SizeIs(1));
  EXPECT_THAT(made.notes[0], HasSubstr("CN=ocsp (serial 1234), and whether that is revoked is not known"));
}

// RFC 5280 8: by https there would be no end.
TEST_F(RevocationCheck, PlacesThatAreNotFetchedAreNamed) {
  own = make(end("OCSP;URI:https://ocsp.example/a", "URI:ldap://crl.example/x"), &middle);
  sign();
  root_list();
  EXPECT_THAT(check(), HasSubstr("revocation_unknown: it names https://ocsp.example/a and ldap://crl.example/x, but "
                                 "only what has a URL of http is fetched"));
}

TEST_F(RevocationCheck, OffMeansThatNothingIsAsked) {
  held.revocation.reset();
  EXPECT_EQ(check(), "good");
}

TEST_F(RevocationCheck, OurOwnResponseIsFetchedAndSentAlong) {
  SignRequest sign_request{.token = {}, .connection = {}, .peer_hashes = auth::accepted_hashes(), .octets = Bytes(9)};
  held.certificates = {own.der(), middle.der()};
  held.key = own.key().private_key();
  held.chain_issuer = middle.der();
  EXPECT_FALSE(staple(sign_request, held, now, evidence, random).wish) << "it was not asked for";
  sign_request.wishes.ocsp = true;
  auto made = staple(sign_request, held, now, evidence, random);
  ASSERT_TRUE(made.wish);
  const Bytes response = ocsp_response(own, middle, middle, {.request = made.wish->question});
  answer(*made.wish, response);
  made = staple(sign_request, held, now, evidence, random);
  EXPECT_FALSE(made.wish);
  EXPECT_EQ(made.response, response);
  // What is no use to anybody is not sent, and not asked for again at once.
  evidence.ocsp.begin()->second = std::make_shared<const Fetched>(
      Fetched{.at = now, .url = {}, .fault = {}, .octets = Bytes(9), .nonce = {}, .list = {}});
  made = staple(sign_request, held, now, evidence, random);
  EXPECT_TRUE(made.response.empty());
  EXPECT_FALSE(made.wish);
}

// ---------------------------------------------------------------- hash and URL

TEST_F(RevocationCheck, CertificatesByUrl) {
  held.revocation.reset();
  held.fetch_from = {"http://pki.example/"};
  request.certificates[0].clear();
  request.by_url = {
      {.place = 0, .hash = crypto::hash(crypto::HashId::sha1, {own.der()}), .url = "http://pki.example/gw.der"}};
  auto made = run();
  ASSERT_THAT(made.wishes, SizeIs(1));
  EXPECT_EQ(made.wishes[0].kind, FetchWish::Kind::certificate);
  EXPECT_EQ(made.wishes[0].within, held.fetch_from) << "redirects stay there, too";
  answer(made.wishes[0], own.der());
  EXPECT_EQ(check(), "good");
  // Something else is there: the hash tells.
  answer(made.wishes[0], middle.der());
  EXPECT_THAT(check(),
              HasSubstr("certificate: the peer's 1. certificate is at http://pki.example/gw.der: what is there has "
                        "not the hash that the peer told"));
  answer(made.wishes[0], {}, "status 404");
  EXPECT_THAT(check(), HasSubstr("status 404"));
  evidence = {};
  EXPECT_THAT(check(true), HasSubstr("no answer in time"));
}

TEST_F(RevocationCheck, OnlyPlacesThatAreNamedAreAskedForCertificates) {
  held.revocation.reset();
  held.fetch_from = {"http://pki.example/"};
  request.certificates[0].clear();
  for (const char* url : {"http://pki.example.evil/gw.der", "http://127.0.0.1/", "https://pki.example/", "file:///etc",
                          "http://pki.example@evil/", "http://pki.example/../keys", "\n\x1b[2J"}) {
    request.by_url = {{.place = 0, .hash = Bytes(20), .url = url}};
    const std::string refusal = check();
    EXPECT_THAT(refusal, HasSubstr("fetch_certificates does not allow")) << url;
    for (const char c : refusal) EXPECT_TRUE(c >= ' ' && c < 0x7f);
  }
}

}  // namespace
}  // namespace culvert::ike::v2
