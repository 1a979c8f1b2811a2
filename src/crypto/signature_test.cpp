#include "crypto/signature.hpp"

#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"

namespace culvert::crypto {
namespace {

using testing::TestCertificate;
using testing::TestKey;

constexpr SignatureScheme kAll[] = {SignatureScheme::rsa_pkcs1_sha1,
                                    SignatureScheme::rsa_pkcs1_sha2_256,
                                    SignatureScheme::rsa_pkcs1_sha2_384,
                                    SignatureScheme::rsa_pkcs1_sha2_512,
                                    SignatureScheme::rsa_pss_sha2_256,
                                    SignatureScheme::rsa_pss_sha2_384,
                                    SignatureScheme::rsa_pss_sha2_512,
                                    SignatureScheme::ecdsa_sha2_256,
                                    SignatureScheme::ecdsa_sha2_384,
                                    SignatureScheme::ecdsa_sha2_512,
                                    SignatureScheme::ed25519,
                                    SignatureScheme::ed448};

TEST(Signature, EachKindOfKeySignsWhatFitsItAndNothingElse) {
  const Bytes message = to_bytes(as_bytes("some octets"));
  const Bytes other = to_bytes(as_bytes("some 0ctets"));
  for (const auto& [kind, text, schemes] :
       {std::tuple("RSA:2048", "RSA 2048", 7), std::tuple("P-256", "ECDSA P-256", 3),
        std::tuple("P-384", "ECDSA P-384", 3), std::tuple("P-521", "ECDSA P-521", 3),
        std::tuple("ED25519", "Ed25519", 1), std::tuple("ED448", "Ed448", 1)}) {
    const PrivateKey key = TestKey::make(kind).private_key();
    EXPECT_EQ(key.to_string(), text);
    int signed_with = 0;
    for (const SignatureScheme scheme : kAll) {
      const auto signature = key.sign(scheme, message);
      if (!signature) {
        EXPECT_EQ(signature.error(), CryptoError::unsupported);
        EXPECT_FALSE(fits(scheme, key.kind()));
        continue;
      }
      ++signed_with;
      EXPECT_TRUE(key.public_key().verify(scheme, message, *signature)) << kind << name_of(scheme);
      EXPECT_FALSE(key.public_key().verify(scheme, other, *signature));
      for (const SignatureScheme wrong : kAll) {
        if (wrong != scheme) {
          EXPECT_FALSE(key.public_key().verify(wrong, message, *signature)) << name_of(scheme) << name_of(wrong);
        }
      }
      Bytes longer = *signature;
      longer.push_back(0);
      EXPECT_FALSE(key.public_key().verify(scheme, message, longer));
      EXPECT_FALSE(key.public_key().verify(scheme, message, ByteView(*signature).first(signature->size() - 1)));
      EXPECT_FALSE(key.public_key().verify(scheme, message, {}));
      EXPECT_FALSE(key.public_key().verify(scheme, message, Bytes(signature->size())));
    }
    EXPECT_EQ(signed_with, schemes) << kind;
  }
}

// Of a scheme each signature but the first goes on from where the first one began.
TEST(Signature, NoneHasAnythingOfTheOneBefore) {
  for (const char* kind : {"RSA:2048", "P-256", "P-384", "P-521", "ED25519", "ED448"}) {
    const PrivateKey key = TestKey::make(kind).private_key();
    for (const SignatureScheme scheme : kAll) {
      if (!fits(scheme, key.kind())) continue;
      for (const std::size_t size : {0U, 800U, 3U, 64U}) {
        const Bytes message(size, static_cast<std::uint8_t>(size));
        const auto signature = key.sign(scheme, message);
        ASSERT_TRUE(signature);
        EXPECT_TRUE(key.public_key().verify(scheme, message, *signature)) << kind << name_of(scheme) << size;
      }
    }
  }
}

// RFC 4754 3: methods 9 to 11 have r and s one after the other.
TEST(Signature, TheTwoFormsOfEcdsaAreOne) {
  const PrivateKey key = TestKey::make("P-521").private_key();
  const Bytes message(100, 7);
  const Bytes der = *key.sign(SignatureScheme::ecdsa_sha2_512, message);
  const auto raw = ecdsa_to_raw(der, ecdsa_number_size(key.kind()));
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->size(), 132u);
  EXPECT_EQ(*ecdsa_to_der(*raw), der);
  EXPECT_FALSE(ecdsa_to_der(ByteView(*raw).first(131)));
  EXPECT_FALSE(ecdsa_to_der({}));
  EXPECT_FALSE(ecdsa_to_raw(der, 32));
  EXPECT_FALSE(ecdsa_to_raw(ByteView(der).first(20), 66));
}

TEST(Signature, FilesThatHoldNoUsableKeySayWhy) {
  const TestKey key = TestKey::make("P-256");
  const auto certificate = TestCertificate::make(key, testing::authority("root"));
  const auto fault = [](const std::string& text) {
    const auto parsed = PrivateKey::parse(as_bytes(text));
    return parsed ? std::string("none") : parsed.error();
  };
  EXPECT_EQ(fault(key.pem()), "none");
  EXPECT_EQ(fault(certificate.pem() + key.pem()), "none");
  EXPECT_NE(fault(key.pem("pass")).find("is encrypted"), std::string::npos);
  EXPECT_EQ(fault(certificate.pem()), "holds a certificate, not a private key");
  EXPECT_EQ(fault(certificate.revocation_list({})), "holds no private key");
  EXPECT_EQ(fault(""), "holds no private key that can be read");
  EXPECT_EQ(fault("hello"), "holds no private key that can be read");
  std::string broken = key.pem();
  broken[60] = broken[60] == 'A' ? 'B' : 'A';
  EXPECT_NE(fault(broken), "none");
  EXPECT_NE(fault(TestKey::make("RSA:512").pem()), "");
  const auto x25519 = TestKey::make("X25519");
  EXPECT_NE(fault(x25519.pem()).find("of a kind that IKEv2 does not sign with"), std::string::npos);
}

// CVE-2017-9022, CVE-2026-14957: a modulus or exponent that is even, zero or one is no RSA key.
TEST(Signature, RsaKeysWithoutSenseAreOfNoKind) {
  const auto tagged = [](std::uint8_t tag, const Bytes& content) {
    Bytes all = {tag, 0x82, static_cast<std::uint8_t>(content.size() >> 8), static_cast<std::uint8_t>(content.size())};
    if (content.size() < 128) all = {tag, static_cast<std::uint8_t>(content.size())};
    all.insert(all.end(), content.begin(), content.end());
    return all;
  };
  const auto number = [&](const std::string& digits) {
    Bytes octets = *from_hex(digits.size() % 2 == 0 ? digits : "0" + digits);
    if ((octets.front() & 0x80) != 0) octets.insert(octets.begin(), 0);
    return tagged(2, octets);
  };
  const auto spki = [&](const std::string& n, const std::string& e) {
    Bytes key = {0};
    const Bytes numbers = tagged(0x30, concat({number(n), number(e)}));
    key.insert(key.end(), numbers.begin(), numbers.end());
    const Bytes algorithm = *from_hex("300d06092a864886f70d0101010500");
    return tagged(0x30, concat({algorithm, tagged(3, key)}));
  };
  const std::string n(512, 'F');  // odd, 2048 bits
  const std::string even = n.substr(1) + "0";
  EXPECT_EQ(PublicKey::from_spki(spki(n, "10001"))->kind(), KeyKind::rsa);
  for (const auto& [modulus, exponent] :
       {std::pair(n, "0"), std::pair(n, "1"), std::pair(n, "2"), std::pair(n, "10000000000000001"),
        std::pair(even, "10001"), std::pair(std::string(4096, 'F'), "10001")}) {
    const auto key = PublicKey::from_spki(spki(modulus, exponent));
    EXPECT_TRUE(!key || key->kind() == KeyKind::other) << exponent;
  }
}

TEST(Signature, PublicKeysAreReadToTheEnd) {
  const auto certificate = TestCertificate::make(TestKey::make("ED25519"), testing::authority("root"));
  unsigned char* out = nullptr;
  const int size = i2d_PUBKEY(certificate.key().get(), &out);
  Bytes der(out, out + size);
  OPENSSL_free(out);
  ASSERT_TRUE(PublicKey::from_spki(der));
  EXPECT_TRUE(PublicKey::from_spki(der)->same_key(certificate.certificate().public_key()));
  EXPECT_FALSE(PublicKey::from_spki(der)->same_key(TestKey::make("ED25519").private_key().public_key()));
  der.push_back(0);
  EXPECT_FALSE(PublicKey::from_spki(der));
  EXPECT_FALSE(PublicKey::from_spki({}));
}

}  // namespace
}  // namespace culvert::crypto
