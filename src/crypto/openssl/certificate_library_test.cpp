#include "crypto/openssl/certificate_library.hpp"

#include <gtest/gtest.h>

#include "base/der.hpp"
#include "crypto/testing/issuer.hpp"
#include "crypto/trust.hpp"

namespace culvert::crypto {
namespace {

using namespace testing;

Bytes spki_of(EVP_PKEY* key) { return openssl::der_of(i2d_PUBKEY, static_cast<const EVP_PKEY*>(key)); }

struct Kind {
  const char* key;
  KeyKind kind;
};
class CertificateLibrary : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Key, CertificateLibrary,
                         ::testing::Values(Kind{"RSA:2048", KeyKind::rsa}, Kind{"P-256", KeyKind::ecdsa_p256},
                                           Kind{"P-384", KeyKind::ecdsa_p384}, Kind{"P-521", KeyKind::ecdsa_p521},
                                           Kind{"ED25519", KeyKind::ed25519}, Kind{"ED448", KeyKind::ed448}),
                         [](const auto& one) {
                           std::string name = one.param.key;
                           std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
                           return name;
                         });

TEST(CertificateLibrary, StandsWithTheInstalledOpenSsl) {
  ASSERT_NE(openssl::certificate_library(), nullptr);
  ASSERT_NE(openssl::rsa_certificate_library(), nullptr);
  EXPECT_NE(openssl::rsa_certificate_library(), openssl::certificate_library());
}

// Keys that were read here and keys that were read elsewhere are the same keys.
TEST_P(CertificateLibrary, KeysAreReadAndUsedAsByTheUsualOne) {
  const TestKey key = TestKey::make(GetParam().key);
  const PrivateKey own = key.private_key();
  const auto spki = PublicKey::from_spki(spki_of(key.get()));
  ASSERT_TRUE(spki);
  EXPECT_EQ(spki->kind(), GetParam().kind);
  const TestCertificate root = TestCertificate::make(key, authority("root"));
  const PublicKey certified = root.certificate().public_key();
  EXPECT_EQ(certified.kind(), GetParam().kind);
  EXPECT_TRUE(certified.same_key(*spki));
  EXPECT_TRUE(certified.same_key(own.public_key()));
  EXPECT_TRUE(own.public_key().same_key(certified));
  EXPECT_FALSE(certified.same_key(TestKey::make(GetParam().key).private_key().public_key()));
  // And certificates that it signed lead to it.
  const auto trust = TrustStore::make(std::vector{root.certificate()}, {});
  const TestCertificate stranger = TestCertificate::make(TestKey::make(GetParam().key), authority("root"));
  const auto other = TrustStore::make(std::vector{stranger.certificate()}, {});
  for (const char* kind : {"P-256", "RSA:2048"}) {  // each of the two libraries
    const TestCertificate end = TestCertificate::make(TestKey::make(kind), peer("gw.example", "DNS:gw.example"), &root);
    EXPECT_TRUE(trust.verify(end.certificate(), {}, {.now = kToday})) << kind;
    EXPECT_FALSE(other.verify(end.certificate(), {}, {.now = kToday})) << kind;
  }
}

// Read by the one that can, wherever else the other's algorithm is named.
TEST_P(CertificateLibrary, IsTheOneForTheKey) {
  const bool rsa = GetParam().kind == KeyKind::rsa;
  OSSL_LIB_CTX* const expected = rsa ? openssl::rsa_certificate_library() : openssl::certificate_library();
  const TestKey key = TestKey::make(GetParam().key);
  EXPECT_EQ(openssl::library_for_key(spki_of(key.get())), expected);
  for (const char* kind : {"P-256", "RSA:2048"}) {
    const auto root = TestCertificate::make(TestKey::make(kind), authority("root"));
    const auto end = TestCertificate::make(key, peer("gw.example", "DNS:gw.example"), &root);
    EXPECT_EQ(openssl::library_for_certificate(end.der()), expected);
  }
}

// RFC 5280 4.1: a certificate of version 1 says none. And whatever octets come, there is one to say no.
TEST(CertificateLibrary, IsFoundInAnyOctets) {
  const Bytes spki = spki_of(TestKey::make("RSA:2048").get());
  const auto certificate = [&](std::initializer_list<std::uint8_t> in_front) {
    Bytes fields;
    for (const std::uint8_t tag : in_front) fields = concat({fields, der_element(tag, Bytes{1})});
    return der_element(der::kSequence, der_element(der::kSequence, concat({fields, spki})));
  };
  using namespace der;
  EXPECT_EQ(openssl::library_for_certificate(certificate({0xa0, kInteger, kSequence, kSequence, kSequence, kSequence})),
            openssl::rsa_certificate_library());
  EXPECT_EQ(openssl::library_for_certificate(certificate({kInteger, kSequence, kSequence, kSequence, kSequence})),
            openssl::rsa_certificate_library());
  EXPECT_EQ(openssl::library_for_certificate(certificate({kInteger, kSequence, kSequence, kSequence})),
            openssl::certificate_library());
  for (std::size_t size = 0; size < 40; ++size)
    EXPECT_NE(openssl::library_for_certificate(ByteView(spki).first(size)), nullptr);
  EXPECT_EQ(openssl::library_for_key({}), openssl::certificate_library());
}

// What certificates have but IKEv2 does not sign with is read, for it is refused by its name; what they never sign with
// is not read at all.
TEST(CertificateLibrary, OtherKindsAreNamedOrRefused) {
  std::string name = "secp256k1";
  const openssl::PublicKey curve(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", name.data()));
  ASSERT_TRUE(curve);
  const auto other = PublicKey::from_spki(spki_of(curve.get()));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->kind(), KeyKind::other);
  const openssl::PublicKey exchange(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  ASSERT_TRUE(exchange);
  EXPECT_FALSE(PublicKey::from_spki(spki_of(exchange.get())));
}

}  // namespace
}  // namespace culvert::crypto
