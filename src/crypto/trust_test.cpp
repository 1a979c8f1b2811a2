#include "crypto/trust.hpp"

#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"

namespace culvert::crypto {
namespace {

using testing::kDay;
using testing::kToday;
using testing::TestCertificate;
using testing::TestKey;
using testing::Wish;

// A root, an authority below it, and what that issues. Keys are of one kind, made once.
class Trust : public ::testing::Test {
 protected:
  static const TestKey& key(int number) {
    static const std::vector<TestKey> keys = {TestKey::make("P-256"), TestKey::make("P-256"), TestKey::make("P-256")};
    return keys[static_cast<std::size_t>(number)];
  }
  const TestCertificate root = TestCertificate::make(key(0), testing::authority("root"));
  const TestCertificate middle = TestCertificate::make(key(1), testing::authority("middle"), &root);

  [[nodiscard]] TestCertificate issue(const Wish& wish) const { return TestCertificate::make(key(2), wish, &middle); }
  [[nodiscard]] static TrustStore store(const TestCertificate& authority, const std::string& lists = {}) {
    std::vector<RevocationList> all;
    if (!lists.empty()) all = *RevocationList::from_file_content(as_bytes(lists));
    const std::vector authorities = {authority.certificate()};
    return TrustStore::make(authorities, all);
  }
  // What is wrong with it, as "subject: check", or "good".
  [[nodiscard]] static std::string verdict(const TrustStore& trust, const Certificate& end,
                                           const std::vector<Certificate>& others) {
    const auto verified = trust.verify(end, others, {.now = kToday});
    if (verified) return "good";
    EXPECT_FALSE(verified.error().serial.empty());
    EXPECT_FALSE(verified.error().found.empty());
    return verified.error().subject + ": " + std::string(name_of(verified.error().check));
  }
  [[nodiscard]] std::string verdict(const Wish& wish) const {
    return verdict(store(root), issue(wish).certificate(), {middle.certificate()});
  }
};

TEST_F(Trust, APathOfThreeIsGood) {
  const Certificate end =
      issue(testing::peer("gw", "DNS:gw.example.net,IP:192.0.2.1,email:gw@example.net")).certificate();
  EXPECT_EQ(verdict(store(root), end, {middle.certificate()}), "good");
  EXPECT_EQ(verdict(store(root), end, {root.certificate(), end, middle.certificate()}), "good");
  // RFC 5280 6.1: an authority that is believed need not be a root; nor need it be an authority.
  EXPECT_EQ(verdict(store(middle), end, {}), "good");
  EXPECT_EQ(end.subject(), "C=CH, O=Culvert, CN=gw");
  EXPECT_EQ(end.issuer(), "C=CH, O=Culvert, CN=middle");
  EXPECT_EQ(end.serial(), "1234");
  EXPECT_EQ(end.not_after(), kToday + 10 * kDay);
  EXPECT_FALSE(end.is_authority());
  EXPECT_TRUE(middle.certificate().is_authority());
  const auto names = end.alternative_names();
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(names[0].kind, AlternativeNameKind::dns);
  EXPECT_EQ(names[0].value, to_bytes(as_bytes("gw.example.net")));
  EXPECT_EQ(names[1].value, (Bytes{192, 0, 2, 1}));
  EXPECT_EQ(names[2].kind, AlternativeNameKind::mail);
  EXPECT_EQ(end.key_digest().size(), 20u);
}

TEST_F(Trust, WithoutItsIssuerItLeadsNowhere) {
  const Certificate end = issue(testing::peer("gw", "")).certificate();
  EXPECT_EQ(verdict(store(root), end, {}), "C=CH, O=Culvert, CN=gw: issuer");
  const TestCertificate stranger = TestCertificate::make(TestKey::make("P-256"), testing::authority("root"));
  EXPECT_EQ(verdict(store(stranger), end, {middle.certificate(), root.certificate()}).substr(0, 16),
            "C=CH, O=Culvert,");
  EXPECT_NE(verdict(store(stranger), end, {middle.certificate(), root.certificate()}), "good");
  const TestCertificate alone = TestCertificate::make(key(2), testing::peer("alone", ""));
  EXPECT_EQ(verdict(store(root), alone.certificate(), {}), "C=CH, O=Culvert, CN=alone: issuer");
}

// CVE-2021-41991: there is no memory of certificates that peers fill; what one sent along helps no other.
TEST_F(Trust, WhatAPeerSendsAlongIsNotKept) {
  const Certificate end = issue(testing::peer("gw", "DNS:gw.example")).certificate();
  const TrustStore trust = store(root);
  for (int n = 0; n < 3; ++n) {
    EXPECT_EQ(verdict(trust, end, {middle.certificate()}), "good");
    EXPECT_EQ(verdict(trust, end, {}), "C=CH, O=Culvert, CN=gw: issuer");
  }
}

TEST_F(Trust, DatesCountForEachOfThem) {
  Wish wish = testing::peer("gw", "");
  wish.until = kToday - kDay;
  EXPECT_EQ(verdict(wish), "C=CH, O=Culvert, CN=gw: expired");
  const auto told = store(root).verify(issue(wish).certificate(), std::vector{middle.certificate()}, {.now = kToday});
  EXPECT_EQ(told.error().to_string(),
            "certificate C=CH, O=Culvert, CN=gw (serial 1234): expired: it ended on 2027-01-14T08:00:00Z, now is "
            "2027-01-15T08:00:00Z");
  wish = testing::peer("gw", "");
  wish.from = kToday + kDay;
  EXPECT_EQ(verdict(wish), "C=CH, O=Culvert, CN=gw: not_yet_valid");
  Wish old = testing::authority("middle");
  old.until = kToday - kDay;
  const TestCertificate expired = TestCertificate::make(key(1), old, &root);
  EXPECT_EQ(verdict(store(root), issue(testing::peer("gw", "")).certificate(), {expired.certificate()}),
            "C=CH, O=Culvert, CN=middle: expired");
}

TEST_F(Trust, OnlyAuthoritiesMayIssue) {
  const TestCertificate plain = TestCertificate::make(key(1), testing::peer("middle", ""), &root);
  const Certificate end = TestCertificate::make(key(2), testing::peer("gw", ""), &plain).certificate();
  EXPECT_EQ(verdict(store(root), end, {plain.certificate()}), "C=CH, O=Culvert, CN=middle: authority");
  // Without basic constraints, or of version 1, it does not say that it may.
  Wish silent{.name = "middle"};
  silent.extensions = {{"keyUsage", "critical,keyCertSign"}};
  EXPECT_EQ(verdict(store(root), end, {TestCertificate::make(key(1), silent, &root).certificate()}),
            "C=CH, O=Culvert, CN=middle: authority");
  const TestCertificate short_root =
      TestCertificate::make(key(0), testing::authority("root", "critical,CA:TRUE,pathlen:0"));
  EXPECT_EQ(verdict(store(short_root), issue(testing::peer("gw", "")).certificate(), {middle.certificate()}),
            "C=CH, O=Culvert, CN=root: path_length");
}

// RFC 4945 5.1.3.2, 5.1.3.12: what the peer's own certificate must be good for.
TEST_F(Trust, KeyUsageMustAllowSignatures) {
  const auto with = [](std::vector<std::pair<std::string, std::string>> extensions) {
    return Wish{.name = "gw", .extensions = std::move(extensions)};
  };
  EXPECT_EQ(verdict(with({})), "good");
  EXPECT_EQ(verdict(with({{"keyUsage", "nonRepudiation"}})), "good");
  EXPECT_EQ(verdict(with({{"keyUsage", "keyEncipherment"}})), "C=CH, O=Culvert, CN=gw: key_usage");
  for (const char* purpose : {"serverAuth", "clientAuth", "anyExtendedKeyUsage", "1.3.6.1.5.5.7.3.17",
                              "1.3.6.1.5.5.8.2.2", "codeSigning,clientAuth"}) {
    EXPECT_EQ(verdict(with({{"extendedKeyUsage", purpose}})), "good") << purpose;
    EXPECT_EQ(verdict(with({{"extendedKeyUsage", std::string("critical,") + purpose}})), "good") << purpose;
  }
  EXPECT_EQ(verdict(with({{"extendedKeyUsage", "codeSigning"}})), "C=CH, O=Culvert, CN=gw: extended_key_usage");
}

TEST_F(Trust, CriticalExtensionsThatNobodyKnowsAreRefused) {
  const Wish wish{.name = "gw", .extensions = {{"1.2.3.4", "critical,DER:0500"}}};
  EXPECT_EQ(verdict(wish), "C=CH, O=Culvert, CN=gw: critical_extension");
}

TEST_F(Trust, NameConstraintsOfAnAuthorityHold) {
  Wish narrow = testing::authority("middle");
  narrow.extensions.emplace_back("nameConstraints",
                                 "critical,permitted;DNS:example.net,permitted;IP:192.0.2.0/255.255.255.0");
  const TestCertificate constrained = TestCertificate::make(key(1), narrow, &root);
  const auto below = [&](const std::string& alternatives) {
    return verdict(store(root),
                   TestCertificate::make(key(2), testing::peer("gw", alternatives), &constrained).certificate(),
                   {constrained.certificate()});
  };
  EXPECT_EQ(below("DNS:gw.example.net,IP:192.0.2.9"), "good");
  EXPECT_EQ(below("DNS:gw.example.org"), "C=CH, O=Culvert, CN=gw: name_constraints");
  EXPECT_EQ(below("IP:198.51.100.1"), "C=CH, O=Culvert, CN=gw: name_constraints");
}

TEST_F(Trust, WeakKeysAndHashesAreRefused) {
  const TestKey weak = TestKey::make("RSA:1024");
  const Certificate end = TestCertificate::make(weak, testing::peer("gw", ""), &middle).certificate();
  EXPECT_EQ(verdict(store(root), end, {middle.certificate()}), "C=CH, O=Culvert, CN=gw: key_strength");
  const auto told = store(root).verify(end, std::vector{middle.certificate()}, {.now = kToday});
  EXPECT_EQ(told.error().found, "RSA of 1024 bits; RSA needs 2048 bits, a curve 224");
  Wish sha1 = testing::peer("gw", "");
  sha1.digest = "SHA1";
  EXPECT_EQ(verdict(sha1), "C=CH, O=Culvert, CN=gw: key_strength");
  EXPECT_TRUE(store(root).verify(end, std::vector{middle.certificate()}, {.now = kToday, .strong = false}));
}

TEST_F(Trust, RevocationListsAreWantedOfEachIssuerOnceThereAreSome) {
  const Certificate end = issue(testing::peer("gw", "")).certificate();
  const std::vector others = {middle.certificate()};
  const std::string of_root = root.revocation_list({});
  const std::string of_middle = middle.revocation_list({1, 2});
  EXPECT_EQ(verdict(store(root, of_root + of_middle), end, others), "good");
  EXPECT_EQ(verdict(store(root, of_root), end, others), "C=CH, O=Culvert, CN=gw: revocation_unknown");
  EXPECT_EQ(verdict(store(root, of_middle), end, others), "C=CH, O=Culvert, CN=middle: revocation_unknown");
  EXPECT_EQ(verdict(store(root, of_root + middle.revocation_list({4660})), end, others),
            "C=CH, O=Culvert, CN=gw: revoked");
  EXPECT_EQ(verdict(store(root, root.revocation_list({4660}) + of_middle), end, others),
            "C=CH, O=Culvert, CN=middle: revoked");
  EXPECT_EQ(verdict(store(root, of_root + middle.revocation_list({}, kToday - 9 * kDay, kToday - kDay)), end, others),
            "C=CH, O=Culvert, CN=gw: revocation_stale");
  const auto found = [&](const std::string& lists) {
    return store(root, of_root + lists).verify(end, others, {.now = kToday}).error().found;
  };
  EXPECT_EQ(found(middle.revocation_list({4660})), "revoked on 2027-01-14T08:00:00Z");
  EXPECT_EQ(
      found(middle.revocation_list({}, kToday - 9 * kDay, kToday - kDay)),
      "the list of C=CH, O=Culvert, CN=middle was to be replaced by 2027-01-14T08:00:00Z, now is " + to_text(kToday));
  EXPECT_EQ(found(""), "there is no list of C=CH, O=Culvert, CN=middle");
  // Somebody else's list under the issuer's name.
  const TestCertificate forger = TestCertificate::make(key(2), testing::authority("middle"));
  EXPECT_EQ(verdict(store(root, of_root + forger.revocation_list({})), end, others),
            "C=CH, O=Culvert, CN=gw: revocation_list");
  // No list speaks of the authority that is believed, root or not.
  EXPECT_EQ(verdict(store(middle, of_middle), end, {}), "good");
}

TEST(CertificateFiles, SayWhatTheyHoldInstead) {
  const TestKey key = TestKey::make("ED25519");
  const auto root = TestCertificate::make(key, testing::authority("root"));
  const auto fault = [](const std::string& text) {
    const auto parsed = Certificate::from_file_content(as_bytes(text));
    return parsed ? std::to_string(parsed->size()) : parsed.error();
  };
  const Bytes der = root.der();
  const std::string binary(der.begin(), der.end());
  EXPECT_EQ(fault(root.pem()), "1");
  EXPECT_EQ(fault("a comment\n" + root.pem() + key.pem() + root.pem()), "2");
  EXPECT_EQ(fault(binary), "1");
  EXPECT_EQ(fault(binary + "x"), "is no certificate in PEM or DER");
  EXPECT_EQ(fault(key.pem()), "holds no certificate but a PRIVATE KEY");
  EXPECT_EQ(fault(""), "is no certificate in PEM or DER");
  std::string many;
  for (int i = 0; i < 513; ++i) many += root.pem();
  EXPECT_EQ(fault(many), "holds more than 512 of them");
  EXPECT_FALSE(RevocationList::from_file_content(as_bytes(root.pem())));
  const auto lists = RevocationList::from_file_content(as_bytes(root.revocation_list({})));
  ASSERT_TRUE(lists);
  EXPECT_EQ(lists->front().next_update(), kToday + kDay);
  EXPECT_EQ(lists->front().issuer(), "C=CH, O=Culvert, CN=root");
}

TEST(CertificateFiles, NamesFromOutsideArePrintable) {
  const auto odd = TestCertificate::make(TestKey::make("ED25519"), Wish{.name = "evil\n\x1b[31m, CN=root \xc3\xa9"});
  const std::string shown = odd.certificate().subject();
  for (const char c : shown) EXPECT_TRUE(c >= ' ' && c < 0x7f) << shown;
  EXPECT_NE(shown.find("evil\\0A"), std::string::npos) << shown;
  EXPECT_NE(shown.find("\\, CN"), std::string::npos) << shown;
}

}  // namespace
}  // namespace culvert::crypto
