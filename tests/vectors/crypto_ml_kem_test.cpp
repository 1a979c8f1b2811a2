// ML-KEM (FIPS 203) against NIST's ACVP and Wycheproof: our own, and OpenSSL's where the installed one has it (3.5).
#include <gtest/gtest.h>

#include "crypto/ml_kem.hpp"
#include "crypto/openssl/ml_kem.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

using crypto::ml_kem::ParameterSet;

ParameterSet set_of(const std::string& name) {
  if (name == "ML-KEM-512") return ParameterSet::ml_kem_512;
  if (name == "ML-KEM-768") return ParameterSet::ml_kem_768;
  EXPECT_EQ(name, "ML-KEM-1024");
  return ParameterSet::ml_kem_1024;
}

void expect_count(const char* what, unsigned count, unsigned least) {
  std::printf("  %s: %u vectors ran\n", what, count);
  EXPECT_GE(count, least) << what;
}

Bytes field(const nlohmann::json& test, const char* name) { return hex(test[name].get<std::string>()); }

enum class By : std::uint8_t { own, openssl };

class MlKemVectors : public ::testing::TestWithParam<By> {
 protected:
  void SetUp() override {
    if (!is_own() && !crypto::openssl::has_ml_kem(ParameterSet::ml_kem_768))
      GTEST_SKIP() << "the installed OpenSSL has no ML-KEM, from 3.5 on it has; crypto_vector_test.newer-openssl runs "
                      "this with a newer one";
  }
  [[nodiscard]] static bool is_own() { return GetParam() == By::own; }

  /// The encapsulation key and the decapsulation key in hexadecimal.
  [[nodiscard]] static std::string generated(ParameterSet set, ByteView d, ByteView z) {
    if (is_own()) {
      const auto keys = crypto::ml_kem::generate(set, d, z);
      return to_hex(keys.encapsulation_key) + " " + to_hex(keys.decapsulation_key.view());
    }
    const auto key = crypto::openssl::MlKemKey::from_seeds(set, d, z);
    if (!key) return "none";
    return to_hex(key->encapsulation_key().value()) + " " + to_hex(key->decapsulation_key().value().view());
  }
  /// The ciphertext and the secret in hexadecimal, or "refused".
  [[nodiscard]] static std::string encapsulated(ParameterSet set, ByteView key, ByteView m) {
    const auto made = [&]() -> Result<crypto::ml_kem::Encapsulated, crypto::CryptoError> {
      if (is_own()) return crypto::ml_kem::encapsulate(set, key, m);
      const auto imported = crypto::openssl::MlKemKey::from_encapsulation_key(set, key);
      if (!imported) return err(imported.error());
      return imported->encapsulate(m);
    }();
    return made ? to_hex(made->ciphertext) + " " + to_hex(made->shared_secret.view()) : "refused";
  }
  [[nodiscard]] static bool is_decapsulation_key(ParameterSet set, ByteView key) {
    if (is_own()) return crypto::ml_kem::is_decapsulation_key(set, key);
    return crypto::openssl::MlKemKey::from_decapsulation_key(set, key).has_value();
  }
  [[nodiscard]] static std::string decapsulated(ParameterSet set, ByteView key, ByteView ciphertext) {
    if (!is_decapsulation_key(set, key)) return "refused";
    const auto secret =
        is_own() ? crypto::ml_kem::decapsulate(set, key, ciphertext)
                 : crypto::openssl::MlKemKey::from_decapsulation_key(set, key).value().decapsulate(ciphertext);
    return secret ? to_hex(secret->view()) : "refused";
  }
};
INSTANTIATE_TEST_SUITE_P(By, MlKemVectors, ::testing::Values(By::own, By::openssl),
                         [](const auto& by) { return by.param == By::own ? "Own" : "OpenSsl"; });

TEST_P(MlKemVectors, NistAcvpKeyGeneration) {
  REQUIRE_VECTORS(path, "acvp/ML-KEM-keyGen-FIPS203/internalProjection.json.gz");
  unsigned count = 0;
  const auto document = read_gzip_json(path);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      EXPECT_EQ(generated(set_of(group["parameterSet"]), field(test, "d"), field(test, "z")),
                to_hex(field(test, "ek")) + " " + to_hex(field(test, "dk")))
          << test["tcId"];
      ++count;
    }
  }
  expect_count("ML-KEM keyGen", count, 75);
}

TEST_P(MlKemVectors, NistAcvpEncapsulationAndDecapsulation) {
  REQUIRE_VECTORS(path, "acvp/ML-KEM-encapDecap-FIPS203/internalProjection.json.gz");
  unsigned count = 0;
  const auto document = read_gzip_json(path);
  for (const auto& group : document["testGroups"]) {
    const ParameterSet set = set_of(group["parameterSet"]);
    const std::string function = group["function"];
    for (const auto& test : group["tests"]) {
      if (function == "encapsulation") {
        EXPECT_EQ(encapsulated(set, field(test, "ek"), field(test, "m")),
                  to_hex(field(test, "c")) + " " + to_hex(field(test, "k")))
            << test["tcId"];
      } else if (function == "encapsulationKeyCheck") {
        const bool taken = encapsulated(set, field(test, "ek"), Bytes(32)) != "refused";
        EXPECT_EQ(taken, test["testPassed"].get<bool>()) << test["tcId"];
      } else if (function == "decapsulationKeyCheck") {
        EXPECT_EQ(is_decapsulation_key(set, field(test, "dk")), test["testPassed"].get<bool>()) << test["tcId"];
      }
      if (function != "encapsulationKeyCheck" && function != "decapsulationKeyCheck") {
        EXPECT_EQ(decapsulated(set, field(test, "dk"), field(test, "c")), to_hex(field(test, "k"))) << test["tcId"];
      }
      ++count;
    }
  }
  expect_count("ML-KEM encapDecap", count, 165);
}

TEST_P(MlKemVectors, WycheproofFromSeeds) {
  unsigned count = 0;
  unsigned refused = 0;
  for (const char* file : {"wycheproof/mlkem_512_test.json", "wycheproof/mlkem_768_test.json"}) {
    REQUIRE_VECTORS(path, file);
    const auto document = read_json(path);
    for (const auto& group : document["testGroups"]) {
      const ParameterSet set = set_of(group["parameterSet"]);
      for (const auto& test : group["tests"]) {
        const Bytes seed = field(test, "seed");
        std::string secret = "refused";
        if (seed.size() == 64) {
          const std::string keys = generated(set, ByteView(seed).first(32), ByteView(seed).subspan(32));
          const std::size_t gap = keys.find(' ');
          if (test.contains("ek") && test["result"] == "valid") {
            EXPECT_EQ(hex(keys.substr(0, gap)), field(test, "ek")) << test["tcId"];
          }
          secret = decapsulated(set, hex(keys.substr(gap + 1)), field(test, "c"));
        }
        const bool valid = test["result"] == "valid";
        EXPECT_EQ(secret, valid ? test["K"].get<std::string>() : "refused") << file << " " << test["tcId"];
        ++count;
        refused += valid ? 0 : 1;
      }
    }
  }
  EXPECT_GT(refused, 0U);
  expect_count("mlkem_*_test.json", count, 386);
}

TEST_P(MlKemVectors, WycheproofKeyGeneration) {
  REQUIRE_VECTORS(path, "wycheproof/mlkem_768_keygen_seed_test.json");
  unsigned count = 0;
  const auto document = read_json(path);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes seed = field(test, "seed");
      EXPECT_EQ(generated(set_of(group["parameterSet"]), ByteView(seed).first(32), ByteView(seed).subspan(32)),
                to_hex(field(test, "ek")) + " " + to_hex(field(test, "dk")))
          << test["tcId"];
      ++count;
    }
  }
  expect_count("mlkem_768_keygen_seed_test.json", count, 100);
}

TEST_P(MlKemVectors, WycheproofEncapsulation) {
  REQUIRE_VECTORS(path, "wycheproof/mlkem_768_encaps_test.json");
  unsigned count = 0;
  unsigned refused = 0;
  const auto document = read_json(path);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const bool valid = test["result"] == "valid";
      EXPECT_EQ(encapsulated(set_of(group["parameterSet"]), field(test, "ek"), field(test, "m")),
                valid ? test["c"].get<std::string>() + " " + test["K"].get<std::string>() : "refused")
          << test["tcId"];
      ++count;
      refused += valid ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 0U);
  expect_count("mlkem_768_encaps_test.json", count, 265);
}

TEST_P(MlKemVectors, WycheproofDecapsulation) {
  REQUIRE_VECTORS(path, "wycheproof/mlkem_768_semi_expanded_decaps_test.json");
  unsigned count = 0;
  const auto document = read_json(path);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const bool valid = test["result"] == "valid";
      EXPECT_EQ(decapsulated(set_of(group["parameterSet"]), field(test, "dk"), field(test, "c")),
                valid ? test["K"].get<std::string>() : "refused")
          << test["tcId"] << test["comment"];
      ++count;
    }
  }
  expect_count("mlkem_768_semi_expanded_decaps_test.json", count, 9);
}

}  // namespace
}  // namespace culvert::vectors
