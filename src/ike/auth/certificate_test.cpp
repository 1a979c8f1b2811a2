#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"
#include "ike/auth/certificate_proof.hpp"
#include "ike/auth/digital_signature.hpp"
#include "model/certificate_identity.hpp"

namespace culvert::ike::auth {
namespace {

using crypto::SignatureScheme;
using crypto::testing::kToday;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using model::AuthenticationMethod;
using model::Identity;
using model::SignatureHash;
using model::SignatureHashes;

const Bytes kOctets = to_bytes(as_bytes("what is signed"));

SignatureHashes only(SignatureHash hash) {
  SignatureHashes hashes;
  hashes.add(hash);
  return hashes;
}

// RFC 7427 A, in its own octets.
TEST(DigitalSignature, AlgorithmIdentifiersAreThoseOfTheRfc) {  // RFC 7427 3: and RFC 7427 A.4.3
  EXPECT_EQ(to_hex(algorithm_identifier(SignatureScheme::rsa_pkcs1_sha2_256)), "300d06092a864886f70d01010b0500");
  EXPECT_EQ(to_hex(algorithm_identifier(SignatureScheme::rsa_pkcs1_sha2_512)), "300d06092a864886f70d01010d0500");
  EXPECT_EQ(to_hex(algorithm_identifier(SignatureScheme::ecdsa_sha2_384)), "300a06082a8648ce3d040303");
  EXPECT_EQ(to_hex(algorithm_identifier(SignatureScheme::ed25519)), "300506032b6570");  // RFC 8420 A.1
  const std::string pss =
      "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165"
      "03"
      "04020105 00a203020120a303020101";
  std::string octets = pss;
  std::erase(octets, ' ');
  EXPECT_EQ(scheme_of(*from_hex(octets)), SignatureScheme::rsa_pss_sha2_256);
}

TEST(DigitalSignature, EachIsReadAsItWasWritten) {
  for (int i = 0; i <= static_cast<int>(SignatureScheme::ed448); ++i) {
    const auto scheme = static_cast<SignatureScheme>(i);
    const Bytes written = algorithm_identifier(scheme);
    if (scheme == SignatureScheme::rsa_pkcs1_sha1) {
      EXPECT_FALSE(scheme_of(written));
      continue;
    }
    EXPECT_EQ(scheme_of(written), scheme) << i;
    for (std::size_t size = 0; size < written.size(); ++size) EXPECT_FALSE(scheme_of(ByteView(written).first(size)));
    Bytes longer = written;
    longer.push_back(0);
    EXPECT_FALSE(scheme_of(longer));
    for (std::size_t at = 0; at < written.size(); ++at) {
      Bytes changed = written;
      changed[at] ^= 0x40;
      EXPECT_NE(scheme_of(changed), scheme) << at;
    }
  }
}

// CVE-2018-6459, CVE-2021-41990: parameters of PSS that are left out, or differ from each other, or are absurd.
TEST(DigitalSignature, OddPssParametersAreRefused) {
  for (const char* octets : {
           "300d06092a864886f70d01010a3000",  // RFC 7427 A.4.1: all defaults, which are SHA-1
           "300b06092a864886f70d01010a",      // no parameters
           "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d010108300906052b0e03021a050"
           "0a2"
           "03020114a303020101",                                                // A.4.2: SHA-1 written out
           "301e06092a864886f70d01010a3011a00f300d06096086480165030402010500",  // MGF1 and salt left out
           "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d060960864"
           "8016"
           "5030402020500a203020120",  // MGF1 with another hash
           "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d060960864"
           "8016"
           "5030402010500a203020114",  // a salt of 20 octets
           "304306092a864886f70d01010a3036a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d060960864"
           "8016"
           "5030402010500a20502037fffff",  // a salt of eight million
           "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d060960864"
           "8016"
           "5030402010500a203020120a303020102",  // another trailer
       })
    EXPECT_FALSE(scheme_of(*from_hex(octets))) << octets;
  // RFC 4055 2.1: without the NULLs it is the same.
  EXPECT_EQ(
      scheme_of(*from_hex("303d06092a864886f70d01010a3030a00d300b0609608648016503040201a11a301806092a864886f70d01010830"
                          "0b0609608648016503040201a203020120")),
      SignatureScheme::rsa_pss_sha2_256);
}

TEST(DigitalSignature, HashesTravelAsNumbersOfTwoOctets) {  // RFC 7427 4: unknown ones are passed over
  EXPECT_EQ(to_hex(encode_hashes(accepted_hashes())), "0002000300040005");
  EXPECT_EQ(decode_hashes(*from_hex("0002000300040005")), accepted_hashes());
  EXPECT_EQ(decode_hashes(*from_hex("00010002ffff000000")), [] {
    SignatureHashes two = only(SignatureHash::sha1);
    two.add(SignatureHash::sha2_256);
    return two;
  }());
  EXPECT_TRUE(decode_hashes({}).empty());
}

TEST(DigitalSignature, TheSignatureIsWhatThePeerCanVerify) {  // RFC 8247 3.2, RFC 7427 4: one of the hashes announced
  for (const auto& [kind, old_method, size] :
       {std::tuple("RSA:2048", AuthenticationMethod::rsa_signature, std::size_t{256}),
        std::tuple("P-256", AuthenticationMethod::ecdsa_256, std::size_t{64}),
        std::tuple("P-384", AuthenticationMethod::ecdsa_384, std::size_t{96}),
        std::tuple("P-521", AuthenticationMethod::ecdsa_521, std::size_t{132})}) {
    const auto key = TestKey::make(kind).private_key();
    for (const SignatureHash hash : {SignatureHash::sha2_256, SignatureHash::sha2_384, SignatureHash::sha2_512}) {
      const auto proof = sign(key, kOctets, only(hash), false);
      ASSERT_TRUE(proof) << kind;
      EXPECT_EQ(proof->method, AuthenticationMethod::digital_signature);
      EXPECT_EQ(hash_of(*scheme_of(ByteView(proof->data).subspan(1, proof->data[0]))), hash);
      if (std::string_view(kind).starts_with("RSA")) {
        const Bytes pss = algorithm_identifier(SignatureScheme::rsa_pss_sha2_256);
        EXPECT_EQ(to_hex(ByteView(proof->data).subspan(1, 13)), to_hex(ByteView(pss).first(13))) << "PSS before PKCS#1";
      }
      EXPECT_FALSE(signature_fault(key.public_key(), *proof, kOctets, false));
      EXPECT_TRUE(signature_fault(key.public_key(), *proof, concat({kOctets, kOctets}), false));
    }
    EXPECT_FALSE(sign(key, kOctets, only(SignatureHash::identity), true));
    EXPECT_FALSE(sign(key, kOctets, only(SignatureHash::sha1), true));
    // The peer knows nothing of RFC 7427.
    const auto old = sign(key, kOctets, {}, true);
    ASSERT_TRUE(old);
    EXPECT_EQ(old->method, old_method);
    EXPECT_EQ(old->data.size(), size);
    EXPECT_FALSE(signature_fault(key.public_key(), *old, kOctets, true));
    EXPECT_EQ(sign(key, kOctets, {}, false).has_value(), old_method != AuthenticationMethod::rsa_signature);
    EXPECT_EQ(signature_fault(key.public_key(), *old, kOctets, false).has_value(),
              old_method == AuthenticationMethod::rsa_signature);
  }
  for (const char* kind : {"ED25519", "ED448"}) {
    const auto key = TestKey::make(kind).private_key();
    const auto proof = sign(key, kOctets, accepted_hashes(), false);
    ASSERT_TRUE(proof);
    EXPECT_FALSE(signature_fault(key.public_key(), *proof, kOctets, false));
    EXPECT_FALSE(sign(key, kOctets, only(SignatureHash::sha2_512), true));
    EXPECT_FALSE(sign(key, kOctets, {}, true));
  }
}

TEST(DigitalSignature, ProofsOfPeersAreReadWithCare) {
  const auto key = TestKey::make("P-256").private_key();
  const Proof good = *sign(key, kOctets, accepted_hashes(), false);
  const auto fault = [&](AuthenticationMethod method, const Bytes& data) {
    return signature_fault(key.public_key(), {method, data}, kOctets, true).value_or("none");
  };
  EXPECT_EQ(fault(good.method, good.data), "none");
  for (std::size_t size = 0; size < good.data.size(); ++size)
    EXPECT_NE(fault(good.method, Bytes(good.data.begin(), good.data.begin() + static_cast<std::ptrdiff_t>(size))),
              "none");
  EXPECT_EQ(fault(good.method, Bytes{200, 1}), "its AlgorithmIdentifier is cut short");
  EXPECT_NE(fault(AuthenticationMethod::ecdsa_384, Bytes(96, 1)), "none");
  EXPECT_NE(fault(AuthenticationMethod::ecdsa_256, Bytes(63, 1)), "none");
  EXPECT_NE(fault(AuthenticationMethod::ecdsa_256, Bytes(64)), "none");  // CVE-2013-2944: zeros
  EXPECT_NE(fault(AuthenticationMethod::ecdsa_256, {}), "none");
  EXPECT_NE(fault(AuthenticationMethod::rsa_signature, Bytes(256, 1)), "none");
  EXPECT_NE(fault(AuthenticationMethod::null, {}), "none");
  EXPECT_NE(fault(AuthenticationMethod::shared_key_mic, Bytes(32)), "none");
}

class CertificateProof : public ::testing::Test {
 protected:
  const TestCertificate root = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("root"));
  const TestCertificate middle =
      TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("middle"), &root);
  const TestCertificate own = TestCertificate::make(
      TestKey::make("P-256"),
      crypto::testing::peer("gw",
                            "DNS:Gw.example.net,IP:192.0.2.1,IP:2001:db8::1,email:Amy@Example.net,DNS:*.example.org"),
      &middle);
  const crypto::TrustStore trust = crypto::TrustStore::make(std::vector{root.certificate()}, {});
  Proof proof = *sign(own.key().private_key(), kOctets, accepted_hashes(), false);
  std::vector<Bytes> certificates = {own.der(), middle.der()};

  [[nodiscard]] std::string check(const char* identity) const {
    const Identity claimed = Identity::parse(identity);
    const auto refusal = judge({claimed, proof, kOctets, certificates, {}, false}, trust, kToday);
    return refusal ? refusal->check : "good";
  }
};

// RFC 4945 3.1.1 to 3.1.7.
TEST_F(CertificateProof, TheIdentityIsOneOfTheCertificates) {
  for (const char* good : {"gw.example.net", "192.0.2.1", "2001:db8::1", "Amy@example.NET", "C=CH, O=Culvert, CN=gw",
                           "c=ch, o=culvert, cn=GW", "*.example.org"})
    EXPECT_EQ(check(good), "good") << good;
  for (const char* wrong : {"gw", "example.net", "www.example.org", "192.0.2.2", "2001:db8::2", "amy@example.net",
                            "Amy@example.org", "CN=gw", "C=CH, O=Culvert, CN=gw, OU=x", "keyid:gw.example.net"})
    EXPECT_EQ(check(wrong), "identity") << wrong;
  const Identity claimed = Identity::parse("other.example");
  EXPECT_EQ(judge({claimed, proof, kOctets, certificates, {}, false}, trust, kToday)->to_string(),
            "certificate C=CH, O=Culvert, CN=gw (serial 1234): identity: the peer says it is other.example; the "
            "certificate is for C=CH, O=Culvert, CN=gw; Gw.example.net; 192.0.2.1; 2001:db8::1; Amy@Example.net; "
            "*.example.org");
}

TEST_F(CertificateProof, NothingIsTakenOnTrust) {
  EXPECT_EQ(check("192.0.2.1"), "good");
  EXPECT_EQ(judge({Identity::parse("192.0.2.1"), proof, kOctets, certificates, {}, false}, trust,
                  kToday + 30 * crypto::testing::kDay)
                ->check,
            "expired");
  std::swap(certificates[0], certificates[1]);
  EXPECT_NE(check("192.0.2.1"), "good");
  certificates = {own.der()};
  EXPECT_EQ(check("192.0.2.1"), "issuer");
  certificates = {};
  EXPECT_EQ(check("192.0.2.1"), "certificate");
  certificates = {own.der(), middle.der(), Bytes(20, 1)};
  EXPECT_EQ(check("192.0.2.1"), "certificate");
  certificates = std::vector<Bytes>(9, own.der());
  EXPECT_EQ(check("192.0.2.1"), "certificate");
  certificates = {own.der(), middle.der()};
  proof = *sign(middle.key().private_key(), kOctets, accepted_hashes(), false);
  EXPECT_EQ(check("192.0.2.1"), "signature");
}

TEST_F(CertificateProof, AnEmptySubjectIsNoIdentity) {
  EXPECT_FALSE(model::has_identity(own.certificate(), {model::IdentificationType::der_asn1_dn, *from_hex("3000")}));
}

}  // namespace
}  // namespace culvert::ike::auth
