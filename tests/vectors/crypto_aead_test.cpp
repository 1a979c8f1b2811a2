// AES-GCM and ChaCha20-Poly1305 against Wycheproof, Intel's, NIST's and the kernel's vectors.
#include <optional>

#include <gtest/gtest.h>

#include "crypto_support.hpp"

namespace culvert::vectors {
namespace {

using crypto::CipherId;
using crypto::PacketSuite;

constexpr std::size_t kIcvSize = 16;

/// Splits a 96-bit nonce into the salt, which goes behind the key, and the packet's IV.
PacketVector aead_vector(CipherId cipher, ByteView key, ByteView nonce) {
  PacketVector vector;
  vector.suite = {cipher, static_cast<unsigned>(8 * key.size())};
  vector.encryption_key = concat({key, nonce.first(4)});
  vector.iv = to_bytes(nonce.subspan(4));
  return vector;
}

/// The cipher with an ICV of that size, if IPsec has it.
std::optional<CipherId> with_icv_of(CipherId cipher, unsigned bits) {
  if (bits == 8 * kIcvSize) return cipher;
  if (cipher != CipherId::aes_gcm_16) return std::nullopt;
  if (bits == 96) return CipherId::aes_gcm_12;
  return bits == 64 ? std::optional(CipherId::aes_gcm_8) : std::nullopt;
}

/// A file of Wycheproof's schema "AeadTest".
void run_wycheproof_file(const std::filesystem::path& path, CipherId cipher) {
  const auto document = read_json(path);
  Tally tally(path.parent_path().filename().string() + "/" + path.filename().string(),
              PacketSuite{cipher, cipher == CipherId::chacha20_poly1305 ? 256u : 128u});
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes key = hex(test["key"].get<std::string>());
      const Bytes nonce = hex(test["iv"].get<std::string>());
      const auto with_icv = with_icv_of(cipher, group["tagSize"]);
      if (nonce.size() != 12 || !with_icv) {
        tally.left_out();
        continue;
      }
      PacketVector vector = aead_vector(*with_icv, key, nonce);
      vector.aad = hex(test["aad"].get<std::string>());
      vector.plain = hex(test["msg"].get<std::string>());
      vector.sealed = hex(test["ct"].get<std::string>());
      vector.icv = hex(test["tag"].get<std::string>());
      const std::string name = path.filename().string() + " " + test["tcId"].dump();
      test["result"] == "valid" ? expect_valid(vector, name) : expect_refused(vector, name);
      tally.ran();
    }
  }
}

TEST(AeadVectors, WycheproofAesGcm) {
  REQUIRE_VECTORS(path, "wycheproof/aes_gcm_test.json");
  run_wycheproof_file(path, CipherId::aes_gcm_16);
}

TEST(AeadVectors, WycheproofChaCha20Poly1305) {
  REQUIRE_VECTORS(path, "wycheproof/chacha20_poly1305_test.json");
  run_wycheproof_file(path, CipherId::chacha20_poly1305);
}

TEST(AeadVectors, IntelAesGcm) {
  REQUIRE_VECTORS(path, "intel-ipsec-mb/gcm_test.json");
  run_wycheproof_file(path, CipherId::aes_gcm_16);
}

TEST(AeadVectors, IntelChaCha20Poly1305) {
  REQUIRE_VECTORS(path, "intel-ipsec-mb/chacha20_poly1305_test.json");
  run_wycheproof_file(path, CipherId::chacha20_poly1305);
}

TEST(AeadVectors, NistAcvpAesGcm) {
  REQUIRE_VECTORS(path, "acvp/ACVP-AES-GCM-1.0/internalProjection.json.gz");
  const auto document = read_gzip_json(path);
  Tally tally("ACVP-AES-GCM", PacketSuite{CipherId::aes_gcm_16, 128});
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const auto cipher = with_icv_of(CipherId::aes_gcm_16, group["tagLen"]);
      if (group["ivLen"] != 96 || !cipher) {
        tally.left_out();
        continue;
      }
      PacketVector vector =
          aead_vector(*cipher, hex(test["key"].get<std::string>()), hex(test["iv"].get<std::string>()));
      vector.aad = hex(test["aad"].get<std::string>());
      vector.sealed = hex(test["ct"].get<std::string>());
      vector.icv = hex(test["tag"].get<std::string>());
      const std::string name = "ACVP-AES-GCM " + test["tcId"].dump();
      if (test.value("testPassed", true)) {
        vector.plain = hex(test["pt"].get<std::string>());
        expect_valid(vector, name);
      } else {
        expect_refused(vector, name);
      }
      tally.ran();
    }
  }
}

/// Wycheproof's schema "MacWithIvTest": AES-GMAC is AES-GCM without text.
TEST(AeadVectors, WycheproofAesGmacAsGcmWithoutText) {
  REQUIRE_VECTORS(path, "wycheproof/aes_gmac_test.json");
  const auto document = read_json(path);
  Tally tally("aes_gmac_test.json as AES-GCM", PacketSuite{CipherId::aes_gcm_16, 128});
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes nonce = hex(test["iv"].get<std::string>());
      if (nonce.size() != 12 || group["tagSize"] != 8 * kIcvSize) {
        tally.left_out();
        continue;
      }
      PacketVector vector = aead_vector(CipherId::aes_gcm_16, hex(test["key"].get<std::string>()), nonce);
      vector.aad = hex(test["msg"].get<std::string>());
      vector.icv = hex(test["tag"].get<std::string>());
      const std::string name = "aes_gmac_test.json " + test["tcId"].dump();
      test["result"] == "valid" ? expect_valid(vector, name) : expect_refused(vector, name);
      tally.ran();
    }
  }
}

/// The kernel's vectors hold key | salt together and repeat the IV at the end of the additional data.
void run_kernel_file(const std::filesystem::path& path, CipherId cipher) {
  const auto document = read_json(path);
  Tally tally(path.filename().string(), PacketSuite{cipher, cipher == CipherId::chacha20_poly1305 ? 256u : 128u});
  for (const auto& test : document["vectors"]) {
    PacketVector vector;
    vector.encryption_key = hex(test["key"].get<std::string>());
    vector.suite = {cipher, static_cast<unsigned>(8 * (vector.encryption_key.size() - 4))};
    vector.iv = hex(test["iv"].get<std::string>());
    const Bytes assoc = hex(test["assoc"].get<std::string>());
    vector.aad = to_bytes(ByteView(assoc).first(assoc.size() - vector.iv.size()));
    vector.plain = hex(test.value("ptext", ""));
    const Bytes whole = hex(test["ctext"].get<std::string>());
    vector.sealed = to_bytes(ByteView(whole).first(vector.plain.size()));
    vector.icv = to_bytes(ByteView(whole).subspan(vector.plain.size()));
    if (vector.icv.size() != kIcvSize || vector.iv.size() != 8) {
      tally.left_out();
      continue;
    }
    expect_valid(vector, path.filename().string());
    vector.icv[0] ^= 1;
    expect_refused(vector, path.filename().string());
    tally.ran();
  }
}

TEST(AeadVectors, KernelRfc4106) {
  REQUIRE_VECTORS(path, "linux/aes_gcm_rfc4106_tv_template.json");
  run_kernel_file(path, CipherId::aes_gcm_16);
}

TEST(AeadVectors, KernelRfc7539Esp) {
  REQUIRE_VECTORS(path, "linux/rfc7539esp_tv_template.json");
  run_kernel_file(path, CipherId::chacha20_poly1305);
}

}  // namespace
}  // namespace culvert::vectors
