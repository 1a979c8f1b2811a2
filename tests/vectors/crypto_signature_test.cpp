// Signatures against Wycheproof. What is "acceptable" there is legacy that nobody needs: either answer is right.
#include <gtest/gtest.h>

#include "crypto/signature.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

using crypto::PublicKey;
using crypto::SignatureScheme;

void run(const char* file, SignatureScheme scheme, bool raw = false) {
  REQUIRE_VECTORS(path, std::string("wycheproof/") + file);
  const auto document = read_json(path);
  unsigned valid = 0;
  unsigned invalid = 0;
  for (const auto& group : document["testGroups"]) {
    const Bytes spki = hex(group["publicKeyDer"].get<std::string>());
    const auto key = PublicKey::from_spki(spki);
    ASSERT_TRUE(key) << file;
    ASSERT_TRUE(crypto::fits(scheme, key->kind())) << file << key->to_string();
    for (const auto& test : group["tests"]) {
      Bytes signature = hex(test["sig"].get<std::string>());
      bool formed = true;
      if (raw) {
        const auto der = signature.size() == 2 * crypto::ecdsa_number_size(key->kind())
                             ? crypto::ecdsa_to_der(signature)
                             : Result<Bytes, crypto::CryptoError>(err(crypto::CryptoError::bad_public_value));
        formed = der.has_value();
        if (formed) signature = *der;
      }
      const bool good = formed && key->verify(scheme, hex(test["msg"].get<std::string>()), signature);
      if (test["result"] == "acceptable") continue;
      EXPECT_EQ(good, test["result"] == "valid") << file << " " << test["tcId"] << " " << test["comment"];
      ++(good ? valid : invalid);
    }
  }
  std::printf("  %s: %u valid, %u invalid\n", file, valid, invalid);
  EXPECT_GT(valid, 0u);
  EXPECT_GT(invalid, 0u);
}

TEST(SignatureVectors, WycheproofRsaPkcs1Sha256) {
  run("rsa_signature_2048_sha256_test.json", SignatureScheme::rsa_pkcs1_sha2_256);
}
TEST(SignatureVectors, WycheproofRsaPkcs1Sha512) {
  run("rsa_signature_4096_sha512_test.json", SignatureScheme::rsa_pkcs1_sha2_512);
}
TEST(SignatureVectors, WycheproofRsaPssSha256) {
  run("rsa_pss_2048_sha256_mgf1_32_test.json", SignatureScheme::rsa_pss_sha2_256);
}
TEST(SignatureVectors, WycheproofRsaPssSha384) {
  run("rsa_pss_2048_sha384_mgf1_48_test.json", SignatureScheme::rsa_pss_sha2_384);
}
TEST(SignatureVectors, WycheproofRsaPssSha512) {
  run("rsa_pss_4096_sha512_mgf1_64_test.json", SignatureScheme::rsa_pss_sha2_512);
}
TEST(SignatureVectors, WycheproofEcdsaP256) {
  run("ecdsa_secp256r1_sha256_test.json", SignatureScheme::ecdsa_sha2_256);
}
TEST(SignatureVectors, WycheproofEcdsaP256TwoNumbers) {
  run("ecdsa_secp256r1_sha256_p1363_test.json", SignatureScheme::ecdsa_sha2_256, true);
}
TEST(SignatureVectors, WycheproofEcdsaP384) {
  run("ecdsa_secp384r1_sha384_test.json", SignatureScheme::ecdsa_sha2_384);
}
TEST(SignatureVectors, WycheproofEd25519) { run("ed25519_test.json", SignatureScheme::ed25519); }

}  // namespace
}  // namespace culvert::vectors
