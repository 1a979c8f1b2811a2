// OCSP responses and revocation lists, judged (RFC 6960 3.2, 4.2.2; RFC 5280 6.3).
#include "crypto/revocation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing/ocsp_responder.hpp"

namespace culvert::crypto {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kDay;
using testing::kToday;
using testing::ocsp_response;
using testing::OcspAnswer;
using testing::TestCertificate;
using testing::TestKey;
using testing::Wish;
using State = RevocationStatus::State;

class Revocation : public ::testing::Test {
 protected:
  static TestCertificate make(const Wish& wish, const TestCertificate* by = nullptr) {
    return TestCertificate::make(TestKey::make("P-256"), wish, by);
  }
  static const TestKey& key() {
    static const TestKey made = TestKey::make("P-256");
    return made;
  }
  const TestCertificate root = make(testing::authority("root"));
  const TestCertificate own = make(testing::peer("gw", "DNS:gw.example"), &root);

  [[nodiscard]] RevocationStatus judge(ByteView response, ByteView nonce = {}) const {
    return judge_ocsp(response, own.certificate(), root.certificate(), kToday, nonce);
  }
  [[nodiscard]] RevocationStatus judge(const OcspAnswer& answer) const {
    return judge(ocsp_response(own, root, root, answer));
  }
  static RevocationList list(const std::string& pem) {
    auto read = RevocationList::from_file_content(as_bytes(pem));
    CHECK(read && read->size() == 1);
    return read->front();
  }
};

TEST_F(Revocation, OcspSaysGoodAndRevoked) {
  const auto good = judge(OcspAnswer{});
  EXPECT_EQ(good.state, State::good) << good.found;
  EXPECT_EQ(good.until, kToday + kDay);
  const auto revoked =
      judge(OcspAnswer{.status = V_OCSP_CERTSTATUS_REVOKED, .reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE});
  EXPECT_EQ(revoked.state, State::revoked);
  EXPECT_EQ(revoked.found, "revoked on 2027-01-13T08:00:00Z (keyCompromise)");
  const auto unknown = judge(OcspAnswer{.status = V_OCSP_CERTSTATUS_UNKNOWN});
  EXPECT_EQ(unknown.state, State::unknown);
  EXPECT_THAT(unknown.found, HasSubstr("does not know the certificate"));
  EXPECT_EQ(judge(OcspAnswer{.id_digest = EVP_sha256()}).state, State::good) << "the certificate named by SHA-256";
}

// RFC 6960 4.2.2.2: the issuer, or whom it certified for just that.
TEST_F(Revocation, OcspIsSignedByTheIssuerOrForIt) {
  const TestCertificate delegate = make(testing::ocsp_signer("ocsp"), &root);
  EXPECT_EQ(judge(ocsp_response(own, root, delegate)).state, State::good);
  EXPECT_FALSE(judge(ocsp_response(own, root, delegate)).responder) << "nobody need look";
  EXPECT_FALSE(judge(OcspAnswer{}).responder) << "the issuer itself";
  // RFC 6960 4.2.2.2.1: without id-pkix-ocsp-nocheck it may be revoked itself.
  const TestCertificate revocable = make(testing::ocsp_signer("ocsp", false), &root);
  const auto doubtful = judge(ocsp_response(own, root, revocable));
  EXPECT_EQ(doubtful.state, State::good);
  ASSERT_TRUE(doubtful.responder);
  EXPECT_EQ(doubtful.responder->fingerprint(), revocable.certificate().fingerprint());
  const TestCertificate bystander = make(testing::peer("other", "DNS:other.example"), &root);
  EXPECT_THAT(judge(ocsp_response(own, root, bystander)).found, HasSubstr("is not signed by C=CH, O=Culvert, CN=root"));
  const TestCertificate stranger = make(testing::authority("root"));
  EXPECT_THAT(judge(ocsp_response(own, root, stranger)).found, HasSubstr("is not signed by"));
  const TestCertificate foreign = make(testing::ocsp_signer("ocsp"), &stranger);
  EXPECT_THAT(judge(ocsp_response(own, root, foreign)).found, HasSubstr("is not signed by"));
  Wish late = testing::ocsp_signer("ocsp");
  late.until = kToday - kDay;
  EXPECT_EQ(judge(ocsp_response(own, root, make(late, &root))).state, State::unknown) << "its certificate has ended";
  EXPECT_EQ(judge(ocsp_response(own, root, own)).state, State::unknown) << "nobody vouches for himself";
  EXPECT_THAT(judge(OcspAnswer{.digest = EVP_sha1()}).found, HasSubstr("too weak"));
}

TEST_F(Revocation, OcspIsOfToday) {
  EXPECT_THAT(judge(OcspAnswer{.from = kToday - 3 * kDay, .until = kToday - kDay}).found,
              HasSubstr("was to be replaced by 2027-01-14T08:00:00Z, now is 2027-01-15T08:00:00Z"));
  EXPECT_THAT(judge(OcspAnswer{.from = kToday + kDay, .until = kToday + 2 * kDay}).found,
              HasSubstr("is of 2027-01-16"));
  EXPECT_EQ(judge(OcspAnswer{.from = kToday - 600, .until = 0}).state, State::good);
  EXPECT_EQ(judge(OcspAnswer{.from = kToday - kDay, .until = 0}).state, State::unknown);
}

TEST_F(Revocation, OcspAnswersOurQuestion) {
  const Bytes nonce(16, 9);
  const auto question = ocsp_question(own.certificate(), root.certificate(), nonce);
  ASSERT_TRUE(question);
  EXPECT_EQ(judge(ocsp_response(own, root, root, {.request = question->request}), nonce).state, State::good);
  EXPECT_THAT(judge(ocsp_response(own, root, root, {.request = question->request}), Bytes(16, 8)).found,
              HasSubstr("its nonce is not ours"));
  // RFC 5019 4: responses made beforehand have none.
  EXPECT_EQ(judge(ocsp_response(own, root, root), nonce).state, State::good);
  Wish wish = testing::peer("other", "");
  wish.serial = 99;
  EXPECT_EQ(judge(ocsp_response(make(wish, &root), root, root)).found, "is about other certificates");
  // The same serial, another issuer: the CertID tells them apart.
  const TestCertificate elsewhere = make(testing::authority("elsewhere"));
  EXPECT_EQ(judge(ocsp_response(own, elsewhere, root)).state, State::unknown);
  EXPECT_EQ(ocsp_question(own.certificate(), root.certificate(), {})->id, question->id);
}

TEST_F(Revocation, OddOctetsAreNoResponse) {
  const Bytes good = ocsp_response(own, root, root);
  for (std::size_t cut = 0; cut < good.size(); cut += 7)
    EXPECT_EQ(judge(ByteView(good).first(cut)).state, State::unknown) << cut;
  Bytes changed = good;
  for (std::size_t at = 0; at < changed.size(); at += 5) {
    changed[at] ^= 0x20;
    const auto status = judge(changed);
    EXPECT_NE(status.state, State::revoked) << at;
    // The certificate that goes along is not part of what is signed.
    if (at < 150) {
      EXPECT_EQ(status.state, State::unknown) << at;
    }
    changed[at] ^= 0x20;
  }
  EXPECT_THAT(judge(testing::ocsp_refusal(OCSP_RESPONSE_STATUS_TRYLATER)).found, HasSubstr("says trylater"));
  EXPECT_THAT(judge(Bytes(kOcspLimit + 1, 0x30)).found, HasSubstr("are allowed"));
}

TEST_F(Revocation, Lists) {
  const auto judged = [&](const std::string& pem) {
    return judge_list(list(pem), own.certificate(), root.certificate(), kToday);
  };
  EXPECT_EQ(judged(root.revocation_list({1, 2})).state, State::good);
  const auto revoked = judged(root.revocation_list({4660}));
  EXPECT_EQ(revoked.state, State::revoked);
  EXPECT_EQ(revoked.found, "revoked on 2027-01-14T08:00:00Z");
  EXPECT_THAT(judged(root.revocation_list({4660}, kToday - 3 * kDay, kToday - kDay)).found,
              HasSubstr("was to be replaced by 2027-01-14"));
  EXPECT_EQ(judged(make(testing::authority("root")).revocation_list({4660})).state, State::unknown)
      << "a list of somebody with the same name";
  EXPECT_EQ(judged(make(testing::authority("another")).revocation_list({4660})).state, State::unknown);
}

TEST_F(Revocation, PlacesAreOfHttpAndFew) {
  const auto places = [&](const std::string& access, const std::string& points) {
    Wish wish = testing::peer("gw", "");
    wish.extensions.emplace_back("authorityInfoAccess", access);
    wish.extensions.emplace_back("crlDistributionPoints", points);
    return revocation_places(make(wish, &root).certificate());
  };
  const auto some =
      places("OCSP;URI:http://ocsp.example/,OCSP;URI:https://ocsp.example/,caIssuers;URI:http://ca.example/",
             "URI:http://crl.example/a.crl,URI:ldap://crl.example/,URI:file:///etc/passwd");
  EXPECT_THAT(some.ocsp, ElementsAre("http://ocsp.example/"));
  EXPECT_THAT(some.lists, ElementsAre("http://crl.example/a.crl"));
  EXPECT_THAT(some.other, ElementsAre("https://ocsp.example/", "ldap://crl.example/", "file:///etc/passwd"));
  std::string many;
  for (int i = 0; i < 9; ++i) many += (i == 0 ? "URI:http://a.example/" : ",URI:http://a.example/") + std::to_string(i);
  EXPECT_EQ(places("OCSP;URI:http://x/" + std::string(600, 'a'), many).lists.size(), kRevocationPlaces);
  EXPECT_THAT(places("OCSP;URI:http://x/" + std::string(600, 'a'), many).ocsp, IsEmpty());
  EXPECT_THAT(revocation_places(own.certificate()).ocsp, IsEmpty());
}

// CVE-2017-9023: a distribution point's name is a CHOICE, and so is each name in it.
TEST_F(Revocation, EveryChoiceOfADistributionPointEnds) {
  const auto wrap = [](unsigned tag, const Bytes& inner) {
    Bytes out = {static_cast<std::uint8_t>(tag), static_cast<std::uint8_t>(inner.size())};
    out.insert(out.end(), inner.begin(), inner.end());
    return out;
  };
  const Bytes url = to_bytes(as_bytes("http://crl.example/"));
  for (const unsigned point : {0xa0U, 0xa1U, 0xa2U, 0xa3U, 0x80U, 0x30U, 0x02U}) {
    for (const unsigned full : {0xa0U, 0xa1U, 0xa2U, 0xbeU, 0x80U, 0x31U, 0x05U}) {
      for (unsigned name = 0x80; name < 0xc0; ++name) {
        if ((name & 0x1fU) == 0x1fU) continue;
        const Bytes points = wrap(0x30, wrap(0x30, wrap(point, wrap(full, wrap(name, url)))));
        std::string text = "DER:";
        constexpr std::string_view kDigits = "0123456789abcdef";
        for (const std::uint8_t octet : points) (text += kDigits[octet >> 4]) += kDigits[octet & 15];
        Wish wish = testing::peer("gw", "");
        wish.extensions.emplace_back("crlDistributionPoints", text);
        const auto places = revocation_places(TestCertificate::make(key(), wish, &root).certificate());
        // The library does not look at who is said to be constructed.
        const bool right = point == 0xa0 && (full & ~0x20U) == 0x80 && name == 0x86;
        EXPECT_EQ(places.lists.size(), right ? 1U : 0U) << std::hex << point << ' ' << full << ' ' << name;
      }
    }
  }
}

}  // namespace
}  // namespace culvert::crypto
