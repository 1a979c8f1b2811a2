// Key exchange methods against Wycheproof and NIST.
#include <gtest/gtest.h>

#include "crypto/key_exchange.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

using crypto::KeyExchangeId;

void expect_count(const char* what, unsigned count) {
  std::printf("  %s: %u vectors ran\n", what, count);
  EXPECT_GT(count, 0u) << what;
}

/// The shared secret in hexadecimal, or "refused".
std::string shared(KeyExchangeId id, ByteView private_value, ByteView peer) {
  auto mine = crypto::make_key_exchange_from_private(id, private_value);
  if (!mine) return "bad private value";
  const auto secret = (*mine)->derive(peer);
  return secret ? to_hex(secret->view()) : "refused";
}

// Values on the twist and non-canonical ones are computed as RFC 7748 5 wants; RFC 8031 5 refuses only a result of
// zeros.
TEST(KeyExchangeVectors, WycheproofX25519) {
  REQUIRE_VECTORS(path, "wycheproof/x25519_test.json");
  const auto document = read_json(path);
  unsigned count = 0;
  unsigned refused = 0;
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const std::string expected = test["shared"];
      const bool zeros = expected == std::string(64, '0');
      EXPECT_EQ(shared(KeyExchangeId::x25519, hex(test["private"].get<std::string>()),
                       hex(test["public"].get<std::string>())),
                zeros ? "refused" : expected)
          << test["tcId"];
      ++count;
      refused += zeros ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 20u);
  expect_count("x25519_test.json", count);
}

// An uncompressed point without its leading octet is what a KE payload holds; other encodings have another length and
// are refused.
void wycheproof_ecp(KeyExchangeId id, const std::string& name) {
  REQUIRE_VECTORS(path, "wycheproof/" + name);
  const auto document = read_json(path);
  unsigned count = 0;
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      Bytes point = hex(test["public"].get<std::string>());
      const bool uncompressed = point.size() == crypto::public_value_size(id) + 1 && point[0] == 4;
      if (uncompressed) point.erase(point.begin());
      const bool valid = test["result"] == "valid";
      EXPECT_FALSE(valid && !uncompressed);
      EXPECT_EQ(shared(id, hex(test["private"].get<std::string>()), point),
                valid ? test["shared"].get<std::string>() : "refused")
          << test["tcId"];
      ++count;
    }
  }
  expect_count(name.c_str(), count);
}

TEST(KeyExchangeVectors, WycheproofEcp256) {
  wycheproof_ecp(KeyExchangeId::ecp_256, "ecdh_secp256r1_ecpoint_test.json");
}
TEST(KeyExchangeVectors, WycheproofEcp521) {
  wycheproof_ecp(KeyExchangeId::ecp_521, "ecdh_secp521r1_ecpoint_test.json");
}

// Public keys stand there as SubjectPublicKeyInfo: those with the named curve end with the point.
void wycheproof_brainpool(KeyExchangeId id, const std::string& name) {
  REQUIRE_VECTORS(path, "wycheproof/" + name);
  const auto document = read_json(path);
  const std::size_t size = crypto::public_value_size(id);
  Bytes usual;
  unsigned count = 0;
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes key = hex(test["public"].get<std::string>());
      if (usual.empty()) usual.assign(key.begin(), key.end() - static_cast<std::ptrdiff_t>(size));
      if (key.size() != usual.size() + size || !equal(ByteView(key).first(usual.size()), usual)) continue;
      const std::string got = shared(id, hex(test["private"].get<std::string>()), ByteView(key).last(size));
      // RFC 6989 2.3: a point beside the curve, which some libraries repair from its x, is refused.
      const bool refusal = test["result"] == "invalid" || (test["result"] == "acceptable" && got == "refused");
      EXPECT_EQ(got, refusal ? "refused" : test["shared"].get<std::string>()) << test["tcId"] << ' ' << test["comment"];
      ++count;
    }
  }
  EXPECT_GT(count, 100u);
  expect_count(name.c_str(), count);
}

TEST(KeyExchangeVectors, WycheproofBrainpool) {
  wycheproof_brainpool(KeyExchangeId::brainpool_p256r1, "ecdh_brainpoolP256r1_test.json");
  wycheproof_brainpool(KeyExchangeId::brainpool_p512r1, "ecdh_brainpoolP512r1_test.json");
}

TEST(KeyExchangeVectors, WycheproofX448) {
  REQUIRE_VECTORS(path, "wycheproof/x448_test.json");
  const auto document = read_json(path);
  unsigned count = 0;
  unsigned refused = 0;
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const std::string expected = test["shared"];
      const Bytes peer = hex(test["public"].get<std::string>());
      // RFC 8031 5: a result of zeros, or another length.
      const bool none = expected == std::string(112, '0') || peer.size() != 56;
      EXPECT_EQ(shared(KeyExchangeId::x448, hex(test["private"].get<std::string>()), peer), none ? "refused" : expected)
          << test["tcId"];
      ++count;
      refused += none ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 2u);
  expect_count("x448_test.json", count);
}

TEST(KeyExchangeVectors, NistAcvpX25519AndX448) {
  REQUIRE_VECTORS(path, "acvp/XECDH-SSC-RFC7748/internalProjection.json.gz");
  const auto document = read_gzip_json(path);
  for (const auto& [curve, id] :
       {std::pair("Curve25519", KeyExchangeId::x25519), std::pair("Curve448", KeyExchangeId::x448)}) {
    unsigned count = 0;
    for (const auto& group : document["testGroups"]) {
      if (group["curve"] != curve) continue;
      for (const auto& test : group["tests"]) {
        const std::string z =
            shared(id, hex(test["privateIut"].get<std::string>()), hex(test["publicServer"].get<std::string>()));
        EXPECT_EQ(z == to_hex(hex(test["z"].get<std::string>())), test["testPassed"].get<bool>()) << test["tcId"];
        ++count;
      }
    }
    EXPECT_EQ(count, 25u) << curve;
  }
}

// Of another length than the curve's they are refused; X25519's most significant bit means nothing (RFC 7748 5).
TEST(KeyExchangeVectors, NistAcvpPublicValues) {
  REQUIRE_VECTORS(path, "acvp/XECDH-keyVer-RFC7748/internalProjection.json.gz");
  const auto document = read_gzip_json(path);
  unsigned good = 0;
  unsigned refused = 0;
  for (const auto& group : document["testGroups"]) {
    const auto id = group["curve"] == "Curve25519" ? KeyExchangeId::x25519 : KeyExchangeId::x448;
    for (const auto& test : group["tests"]) {
      const std::string secret =
          shared(id, hex(test["privateKey"].get<std::string>()), hex(test["publicKey"].get<std::string>()));
      EXPECT_EQ(secret != "refused", test["testPassed"].get<bool>()) << test["tcId"] << ' ' << test["reason"];
      ++(secret == "refused" ? refused : good);
    }
  }
  EXPECT_EQ(good, 16u);
  EXPECT_EQ(refused, 16u);
}

// Whether y is the public value of x in the 2048-bit MODP group (RFC 3526 3).
TEST(KeyExchangeVectors, NistAcvpModp2048) {
  REQUIRE_VECTORS(path, "acvp/safePrimes-keyVer-1.0/internalProjection.json.gz");
  const auto document = read_gzip_json(path);
  unsigned count = 0;
  for (const auto& group : document["testGroups"]) {
    if (group["safePrimeGroup"] != "MODP-2048") continue;
    for (const auto& test : group["tests"]) {
      const auto mine =
          crypto::make_key_exchange_from_private(KeyExchangeId::modp_2048, hex(test["x"].get<std::string>()));
      ASSERT_TRUE(mine);
      EXPECT_EQ(equal((*mine)->public_value(), hex(test["y"].get<std::string>())), test["testPassed"].get<bool>())
          << test["tcId"];
      ++count;
    }
  }
  expect_count("safePrimes-keyVer MODP-2048", count);
}

/// What stands behind "P = " on the line after a comment that names `bits`.
Bytes prime_of(const std::string& text, const std::string& bits) {
  const std::size_t heading = text.find("# " + bits + "-bit MODP group");
  const std::size_t begin = text.find("P = ", heading) + 4;
  return hex(text.substr(begin, text.find_first_not_of("0123456789ABCDEFabcdef", begin) - begin));
}

// Fermat: 2^(p-2) is (p+1)/2 modulo p.
TEST(KeyExchangeVectors, Rfc3526Primes) {
  REQUIRE_VECTORS(path, "dh/rfc3526.txt");
  const std::string text = read_text(path);
  for (const auto& [id, bits] :
       {std::pair(KeyExchangeId::modp_1536, "1536"), std::pair(KeyExchangeId::modp_2048, "2048"),
        std::pair(KeyExchangeId::modp_3072, "3072"), std::pair(KeyExchangeId::modp_4096, "4096"),
        std::pair(KeyExchangeId::modp_6144, "6144"), std::pair(KeyExchangeId::modp_8192, "8192")}) {
    const Bytes prime = prime_of(text, bits);
    ASSERT_EQ(prime.size(), crypto::public_value_size(id));
    Bytes exponent = prime;
    exponent.back() = static_cast<std::uint8_t>(exponent.back() - 2);
    const auto mine = crypto::make_key_exchange_from_private(id, exponent);
    ASSERT_TRUE(mine);
    // Doubling the answer gives p + 1.
    const ByteView half = (*mine)->public_value();
    Bytes doubled(half.size());
    for (std::size_t i = 0; i < half.size(); ++i) {
      doubled[i] = static_cast<std::uint8_t>((half[i] << 1) | (i + 1 < half.size() ? half[i + 1] >> 7 : 0));
    }
    for (std::size_t i = doubled.size(); i-- > 0 && doubled[i]-- == 0;) {
    }
    EXPECT_EQ(to_hex(doubled), to_hex(prime));
  }
}

}  // namespace
}  // namespace culvert::vectors
