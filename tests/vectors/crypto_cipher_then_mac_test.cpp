// AES-CBC and HMAC, alone and as ESP combines them.
#include <gtest/gtest.h>

#include "crypto/prf.hpp"
#include "crypto_support.hpp"

namespace culvert::vectors {
namespace {

using crypto::CipherId;
using crypto::HashId;
using crypto::IntegrityId;

constexpr std::size_t kBlock = 16;
const Bytes kIntegrityKey(32, 0x11);
constexpr crypto::PacketSuite kCbcSuite{CipherId::aes_cbc, 128, IntegrityId::hmac_sha2_256_128};

/// A CBC vector without a MAC of its own: the ICV is added here, over additional data, IV and ciphertext.
PacketVector cbc_vector(ByteView key, ByteView iv, ByteView plain, ByteView encrypted) {
  PacketVector vector;
  vector.suite = {CipherId::aes_cbc, static_cast<unsigned>(8 * key.size()), IntegrityId::hmac_sha2_256_128};
  vector.encryption_key = to_bytes(key);
  vector.integrity_key = kIntegrityKey;
  vector.iv = to_bytes(iv);
  vector.aad = hex("0102030400000001");
  vector.plain = to_bytes(plain);
  vector.sealed = to_bytes(encrypted);
  const SecretBytes mac = crypto::hmac(HashId::sha2_256, kIntegrityKey, {vector.aad, iv, encrypted});
  vector.icv = to_bytes(mac.view().first(kBlock));
  return vector;
}

/// The text without its PKCS #7 padding; nothing when that is malformed.
std::optional<ByteView> without_padding(ByteView text) {
  if (text.empty() || text.back() == 0 || text.back() > kBlock || text.back() > text.size()) return std::nullopt;
  const ByteView padding = text.last(text.back());
  if (!std::ranges::all_of(padding, [&](std::uint8_t octet) { return octet == padding.size(); })) return std::nullopt;
  return text.first(text.size() - padding.size());
}

// The packet cipher knows no padding (ESP's is its own), so a vector with bad padding is decrypted like any other: the
// verdict of padding is checked on what comes out, and encrypting that again gives the same ciphertext.
TEST(CbcVectors, WycheproofPkcs5) {
  REQUIRE_VECTORS(path, "wycheproof/aes_cbc_pkcs5_test.json");
  const auto document = read_json(path);
  Tally tally("aes_cbc_pkcs5_test.json", kCbcSuite);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes encrypted = hex(test["ct"].get<std::string>());
      const std::string name = "tcId " + test["tcId"].dump();
      ASSERT_EQ(encrypted.size() % kBlock, 0u) << name;
      PacketVector vector =
          cbc_vector(hex(test["key"].get<std::string>()), hex(test["iv"].get<std::string>()), {}, encrypted);
      const auto cipher = crypto::make_packet_cipher(vector.suite, vector.encryption_key, vector.integrity_key);
      ASSERT_TRUE(cipher);
      Batch opening(vector, encrypted, 1);
      ASSERT_TRUE(opening.open(**cipher)) << name;
      vector.plain = opening.texts().front();
      const auto message = without_padding(vector.plain);
      EXPECT_EQ(message.has_value(), test["result"] == "valid") << name;
      EXPECT_EQ(message ? to_hex(*message) : test["msg"].get<std::string>(), test["msg"]) << name;
      expect_valid(vector, name);
      tally.ran();
    }
  }
}

TEST(CbcVectors, Intel) {
  REQUIRE_VECTORS(path, "intel-ipsec-mb/cbc_test.json");
  const auto document = read_json(path);
  Tally tally("intel-ipsec-mb/cbc_test.json", kCbcSuite);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      expect_valid(cbc_vector(hex(test["key"].get<std::string>()), hex(test["iv"].get<std::string>()),
                              hex(test["msg"].get<std::string>()), hex(test["ct"].get<std::string>())),
                   "tcId " + test["tcId"].dump());
      tally.ran();
    }
  }
}

TEST(CbcVectors, NistAcvp) {
  REQUIRE_VECTORS(path, "acvp/ACVP-AES-CBC-1.0/internalProjection.json.gz");
  const auto document = read_gzip_json(path);
  Tally tally("ACVP-AES-CBC", kCbcSuite);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      if (!test.contains("pt") || !test.contains("ct") || !test.contains("key")) {  // Monte Carlo chains
        tally.left_out();
        continue;
      }
      expect_valid(cbc_vector(hex(test["key"].get<std::string>()), hex(test["iv"].get<std::string>()),
                              hex(test["pt"].get<std::string>()), hex(test["ct"].get<std::string>())),
                   "tcId " + test["tcId"].dump());
      tally.ran();
    }
  }
}

// authenc(hmac(sha256), cbc(aes)): the MAC covers the additional data, here the IV alone, and the ciphertext; its ICV
// is not truncated.
TEST(CbcVectors, KernelAuthenc) {
  REQUIRE_VECTORS(path, "linux/hmac_sha256_aes_cbc_tv_temp.json");
  const auto document = read_json(path);
  Tally tally("hmac_sha256_aes_cbc_tv_temp.json", kCbcSuite);
  for (const auto& test : document["vectors"]) {
    PacketVector vector;
    vector.encryption_key = hex(test["enc_key"].get<std::string>());
    vector.integrity_key = hex(test["auth_key"].get<std::string>());
    vector.iv = hex(test["iv"].get<std::string>());
    vector.plain = hex(test["ptext"].get<std::string>());
    const Bytes whole = hex(test["ctext"].get<std::string>());
    if (vector.integrity_key.size() != 32 || hex(test["assoc"].get<std::string>()) != vector.iv) {
      tally.left_out();
      continue;
    }
    vector.suite = {CipherId::aes_cbc, static_cast<unsigned>(8 * vector.encryption_key.size()),
                    IntegrityId::hmac_sha2_256_128};
    vector.sealed = to_bytes(ByteView(whole).first(vector.plain.size()));
    vector.icv = to_bytes(ByteView(whole).subspan(vector.plain.size(), 16));
    expect_valid(vector, "authenc");
    tally.ran();
  }
}

/// A file of Wycheproof's schema "MacTest": by `hmac`, and where key and tag have IPsec's sizes also as NULL
/// encryption.
void run_mac_file(const std::filesystem::path& path, HashId hash, IntegrityId integrity) {
  const auto document = read_json(path);
  const crypto::PacketSuite suite{CipherId::null, 0, integrity};
  const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
  Tally all(path.filename().string() + " by hmac()", 1);
  Tally as_packets(path.filename().string() + " as NULL encryption", suite);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes key = hex(test["key"].get<std::string>());
      const Bytes message = hex(test["msg"].get<std::string>());
      const Bytes tag = hex(test["tag"].get<std::string>());
      const bool valid = test["result"] == "valid";
      const std::string name = path.filename().string() + " " + test["tcId"].dump();
      const SecretBytes mac = crypto::hmac(hash, key, {message});
      ASSERT_LE(tag.size(), mac.size());
      EXPECT_EQ(equal(mac.view().first(tag.size()), tag), valid) << name;
      all.ran();
      if (integrity == IntegrityId::none || key.size() != sizes.integrity_key || tag.size() != sizes.icv ||
          message.empty()) {
        as_packets.left_out();
        continue;
      }
      PacketVector vector;
      vector.suite = suite;
      vector.integrity_key = key;
      vector.plain = vector.sealed = message;
      vector.icv = tag;
      valid ? expect_valid(vector, name) : expect_refused(vector, name);
      as_packets.ran();
    }
  }
}

TEST(HmacVectors, WycheproofSha256) {
  REQUIRE_VECTORS(path, "wycheproof/hmac_sha256_test.json");
  run_mac_file(path, HashId::sha2_256, IntegrityId::hmac_sha2_256_128);
}

TEST(HmacVectors, WycheproofSha512) {
  REQUIRE_VECTORS(path, "wycheproof/hmac_sha512_test.json");
  run_mac_file(path, HashId::sha2_512, IntegrityId::hmac_sha2_512_256);
}

void run_plain_mac_file(const std::filesystem::path& path, HashId hash) {
  const auto document = read_json(path);
  Tally tally(path.parent_path().filename().string() + "/" + path.filename().string(), 1);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes tag = hex(test["tag"].get<std::string>());
      const SecretBytes mac =
          crypto::hmac(hash, hex(test["key"].get<std::string>()), {hex(test["msg"].get<std::string>())});
      EXPECT_EQ(equal(mac.view().first(tag.size()), tag), test["result"] == "valid") << test["tcId"];
      tally.ran();
    }
  }
}

TEST(HmacVectors, WycheproofSha1) {
  REQUIRE_VECTORS(path, "wycheproof/hmac_sha1_test.json");
  run_plain_mac_file(path, HashId::sha1);
}

TEST(HmacVectors, IntelSha256) {
  REQUIRE_VECTORS(path, "intel-ipsec-mb/hmac_sha256_test.json");
  run_plain_mac_file(path, HashId::sha2_256);
}

void run_acvp_mac(const std::filesystem::path& path, HashId hash) {
  const auto document = read_gzip_json(path);
  Tally tally(path.parent_path().filename().string(), 1);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      if (test["keyLen"].get<unsigned>() % 8 != 0 || test["macLen"].get<unsigned>() % 8 != 0) {
        tally.left_out();
        continue;
      }
      const Bytes expected = hex(test["mac"].get<std::string>());
      const SecretBytes mac =
          crypto::hmac(hash, hex(test["key"].get<std::string>()), {hex(test["msg"].get<std::string>())});
      EXPECT_EQ(to_hex(mac.view().first(expected.size())), to_hex(expected)) << test["tcId"];
      tally.ran();
    }
  }
}

TEST(HmacVectors, NistAcvp) {
  const std::pair<const char*, HashId> files[] = {
      {"acvp/HMAC-SHA-1-2.0/internalProjection.json.gz", HashId::sha1},
      {"acvp/HMAC-SHA2-256-2.0/internalProjection.json.gz", HashId::sha2_256},
      {"acvp/HMAC-SHA2-512-2.0/internalProjection.json.gz", HashId::sha2_512}};
  for (const auto& [relative, hash] : files) {
    REQUIRE_VECTORS(path, relative);
    run_acvp_mac(path, hash);
  }
}

}  // namespace
}  // namespace culvert::vectors
