// Signatures against Wycheproof and NIST's ACVP. What is "acceptable" in Wycheproof is legacy that nobody needs: either
// answer is right.
#include <map>

#include <gtest/gtest.h>

#include "base/der.hpp"
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

// ---------------------------------------------------------------- ACVP

constexpr std::uint8_t kBitString = 0x03;
constexpr std::uint8_t kOctetString = 0x04;

/// A SubjectPublicKeyInfo, the algorithm's parts and the key in hexadecimal.
Bytes spki(std::string_view algorithm, ByteView key) {
  const Bytes bits = der_element(kBitString, concat({Bytes{0}, key}));
  return der_element(der::kSequence, concat({der_element(der::kSequence, hex(algorithm)), bits}));
}

Bytes integer(ByteView number) { return der_element(der::kInteger, concat({Bytes{0}, number})); }

/// As few octets as the number needs, and a zero in front of what would be negative (X.690 8.3).
Bytes shortest_integer(Bytes number) {
  std::size_t zeros = 0;
  while (zeros + 1 < number.size() && number[zeros] == 0) ++zeros;
  number.erase(number.begin(), number.begin() + static_cast<std::ptrdiff_t>(zeros));
  return (number[0] & 0x80) != 0 ? integer(number) : der_element(der::kInteger, number);
}

/// Left-padded with zeros to so many octets; a number that is longer stays so.
Bytes padded(Bytes number, std::size_t size) {
  if (number.size() < size) number.insert(number.begin(), size - number.size(), 0);
  return number;
}

struct Tally {
  unsigned valid = 0;
  unsigned invalid = 0;
  void note(bool good, const nlohmann::json& test) {
    EXPECT_EQ(good, test["testPassed"].get<bool>()) << test["tcId"] << ' ' << test["reason"];
    ++(good ? valid : invalid);
  }
  void expect(unsigned valids, unsigned invalids) const {
    EXPECT_EQ(valid, valids);
    EXPECT_EQ(invalid, invalids);
  }
};

TEST(SignatureVectors, NistAcvpEcdsa) {
  REQUIRE_VECTORS(path, "acvp/ECDSA-SigVer-FIPS186-5/internalProjection.json.gz");
  struct Curve {
    std::string_view algorithm;  // id-ecPublicKey and the curve (RFC 5480 2.1.1)
    std::size_t size;
  };
  const std::map<std::string, Curve> curves = {
      {"P-256", {"06072a8648ce3d020106082a8648ce3d030107", 32}},
      {"P-384", {"06072a8648ce3d020106052b81040022", 48}},
      {"P-521", {"06072a8648ce3d020106052b81040023", 66}},
  };
  const std::map<std::string, SignatureScheme> schemes = {{"SHA2-256", SignatureScheme::ecdsa_sha2_256},
                                                          {"SHA2-512", SignatureScheme::ecdsa_sha2_512}};
  std::map<std::string, Tally> tallies;
  const auto document = read_gzip_json(path);
  for (const auto& group : document["testGroups"]) {
    const auto curve = curves.find(group["curve"].get<std::string>());
    const auto scheme = schemes.find(group["hashAlg"].get<std::string>());
    if (curve == curves.end() || scheme == schemes.end()) continue;
    const std::size_t size = curve->second.size;
    const auto number = [&](const nlohmann::json& text) { return padded(hex(text.get<std::string>()), size); };
    for (const auto& test : group["tests"]) {
      const Bytes point = concat({Bytes{4}, number(test["qx"]), number(test["qy"])});
      const auto key = PublicKey::from_spki(spki(curve->second.algorithm, point));
      // A point beside the curve is no key.
      const Bytes message = hex(test["message"].get<std::string>());
      const auto raw = crypto::ecdsa_to_der(concat({number(test["r"]), number(test["s"])}));
      const bool good = key && raw && key->verify(scheme->second, message, *raw);
      tallies[curve->first].note(good, test);
    }
  }
  ASSERT_EQ(tallies.size(), 3u);
  for (const auto& [curve, tally] : tallies) {
    std::printf("  ECDSA-SigVer %s: %u valid, %u invalid\n", curve.c_str(), tally.valid, tally.invalid);
    EXPECT_EQ(tally.valid + tally.invalid, 14u) << curve;
    EXPECT_GT(tally.valid, 0u) << curve;
  }
}

// RFC 8410 3; what is signed with a hash in front (Ed25519ph, Ed448ph) is no signature here (RFC 8420 2).
TEST(SignatureVectors, NistAcvpEdDsa) {
  REQUIRE_VECTORS(path, "acvp/EDDSA-SigVer-1.0/internalProjection.json.gz");
  Tally tally;
  const auto document = read_gzip_json(path);
  for (const auto& group : document["testGroups"]) {
    const bool of448 = group["curve"] == "ED-448";
    for (const auto& test : group["tests"]) {
      const auto key =
          PublicKey::from_spki(spki(of448 ? "06032b6571" : "06032b6570", hex(test["q"].get<std::string>())));
      const bool good =
          key && key->verify(of448 ? SignatureScheme::ed448 : SignatureScheme::ed25519,
                             hex(test["message"].get<std::string>()), hex(test["signature"].get<std::string>()));
      if (group["preHash"].get<bool>()) {
        EXPECT_FALSE(good) << test["tcId"];
      } else {
        tally.note(good, test);
      }
    }
  }
  tally.expect(2, 8);
}

// What we sign is what others compute. Of Ed448 all have a context, which IKE's have not.
TEST(SignatureVectors, NistAcvpEd25519Signs) {
  REQUIRE_VECTORS(path, "acvp/EDDSA-SigGen-1.0/internalProjection.json.gz");
  unsigned count = 0;
  const auto document = read_gzip_json(path);
  for (const auto& group : document["testGroups"]) {
    if (group["curve"] != "ED-25519" || group["preHash"].get<bool>()) continue;
    // RFC 8410 7.
    const Bytes inner = der_element(kOctetString, hex(group["d"].get<std::string>()));
    const Bytes pkcs8 = der_element(
        der::kSequence,
        concat({hex("020100"), der_element(der::kSequence, hex("06032b6570")), der_element(kOctetString, inner)}));
    const auto key = crypto::PrivateKey::parse(pkcs8);
    ASSERT_TRUE(key) << key.error();
    for (const auto& test : group["tests"]) {
      const auto signature = key->sign(SignatureScheme::ed25519, hex(test["message"].get<std::string>()));
      ASSERT_TRUE(signature);
      EXPECT_EQ(to_hex(*signature), to_hex(hex(test["signature"].get<std::string>()))) << test["tcId"];
      ++count;
    }
  }
  EXPECT_EQ(count, 42u);
}

// The set's PSS is with SHA-3 and SHAKE, which IKE has no use for.
TEST(SignatureVectors, NistAcvpRsaPkcs1) {
  REQUIRE_VECTORS(path, "acvp/RSA-SigVer-FIPS186-5/internalProjection.json.gz");
  Tally tally;
  const auto document = read_gzip_json(path);
  for (const auto& group : document["testGroups"]) {
    if (group["sigType"] != "pkcs1v1.5" || group["hashAlg"] != "SHA2-256") continue;
    const Bytes numbers = concat(
        {shortest_integer(hex(group["n"].get<std::string>())), shortest_integer(hex(group["e"].get<std::string>()))});
    const auto key = PublicKey::from_spki(spki("06092a864886f70d0101010500", der_element(der::kSequence, numbers)));
    ASSERT_TRUE(key) << group["tgId"];
    for (const auto& test : group["tests"])
      tally.note(key->verify(SignatureScheme::rsa_pkcs1_sha2_256, hex(test["message"].get<std::string>()),
                             hex(test["signature"].get<std::string>())),
                 test);
  }
  tally.expect(18, 90);
}

}  // namespace
}  // namespace culvert::vectors
