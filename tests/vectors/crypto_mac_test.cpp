// The integrity algorithms beside SHA-2 against Intel's, NIST's, Wycheproof's, the kernel's and the RFCs' vectors.
// Empty messages and keys of other lengths, which no packet has, are left out.
#include <sstream>

#include <gtest/gtest.h>

#include "crypto_support.hpp"

namespace culvert::vectors {
namespace {

using crypto::CipherId;
using crypto::IntegrityId;

class MacFile {
 public:
  MacFile(std::string what, IntegrityId integrity)
      : suite_{CipherId::null, 0, integrity}, sizes_(crypto::sizes_of(suite_)), tally_(what, backends(suite_).size()) {
    what_ = std::move(what);
  }

  /// `tag` may be longer than the ICV. With AES-GMAC the IV has 12 octets, salt first.
  void check(ByteView key, ByteView iv, const Bytes& message, const Bytes& tag, bool valid) {
    const std::size_t salt = sizes_.iv == 0 ? 0 : 4;
    if (message.empty() || key.size() + salt != sizes_.integrity_key || iv.size() != salt + sizes_.iv ||
        tag.size() < sizes_.icv || (!valid && tag.size() != sizes_.icv)) {
      tally_.left_out();
      return;
    }
    PacketVector vector;
    vector.suite = suite_;
    vector.integrity_key = concat({key, iv.first(salt)});
    vector.iv = to_bytes(iv.subspan(salt));
    vector.icv = Bytes(tag.begin(), tag.begin() + static_cast<std::ptrdiff_t>(sizes_.icv));
    // Once with all of it as text, once with half of it as what stands in front.
    for (const std::size_t ahead : {std::size_t{0}, message.size() / 2}) {
      vector.aad = to_bytes(ByteView(message).first(ahead));
      vector.plain = vector.sealed = to_bytes(ByteView(message).subspan(ahead));
      valid ? expect_valid(vector, what_) : expect_refused(vector, what_);
      if (!valid) continue;
      PacketVector forged = vector;
      forged.icv.back() ^= 1;
      expect_refused(forged, what_);
    }
    tally_.ran();
  }

 private:
  crypto::PacketSuite suite_;
  crypto::SuiteSizes sizes_;
  Tally tally_;
  std::string what_;
};

/// Schemas "MacTest" and "MacWithIvTest".
void run_wycheproof(const char* relative, IntegrityId integrity) {
  REQUIRE_VECTORS(path, relative);
  const auto document = read_json(path);
  MacFile file(relative, integrity);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes key = hex(test["key"].get<std::string>());
      file.check(key, hex(test.value("iv", "")), hex(test["msg"].get<std::string>()),
                 hex(test["tag"].get<std::string>()), test["result"] == "valid");
    }
  }
}

/// The kernel's hash_testvec.
void run_kernel(const char* relative, IntegrityId integrity) {
  REQUIRE_VECTORS(path, relative);
  const auto document = read_json(path);
  MacFile file(relative, integrity);
  for (const auto& test : document["vectors"]) {
    file.check(hex(test["key"].get<std::string>()), {}, hex(test["plaintext"].get<std::string>()),
               hex(test["digest"].get<std::string>()), true);
  }
}

/// NIST's files: NAME = VALUE, the last one of each block given as `last`.
void run_nist(const char* relative, IntegrityId integrity, std::string_view message, std::string_view last) {
  REQUIRE_VECTORS(path, relative);
  MacFile file(relative, integrity);
  std::istringstream lines(read_text(path));
  std::string line, key, text;
  const auto value_of = [&](std::string_view name) -> std::optional<std::string> {
    if (!line.starts_with(std::string(name) + " =")) return std::nullopt;
    std::string value = line.substr(name.size() + 2);
    std::erase_if(value, [](char c) { return c == ' ' || c == '\r'; });
    return value;
  };
  while (std::getline(lines, line)) {
    if (const auto value = value_of("KEY")) key = *value;
    if (const auto value = value_of("Key")) key = *value;
    if (const auto value = value_of(message)) text = *value;
    if (const auto value = value_of(last)) file.check(hex(key), {}, hex(text), hex(*value), true);
  }
}

TEST(MacVectors, Xcbc) {
  run_kernel("linux/aes_xcbc128_tv_template.json", IntegrityId::aes_xcbc_96);
  run_wycheproof("intel-ipsec-mb/xcbc_test.json", IntegrityId::aes_xcbc_96);
}

TEST(MacVectors, Cmac) {
  run_wycheproof("intel-ipsec-mb/cmac_128_test.json", IntegrityId::aes_cmac_96);
  run_nist("nist-cavs-sym/CMAC/nist-800-38b-aes128.txt", IntegrityId::aes_cmac_96, "MESSAGE", "OUTPUT");
}

TEST(MacVectors, HmacMd5) {
  run_wycheproof("intel-ipsec-mb/hmac_md5_test.json", IntegrityId::hmac_md5_96);
  run_nist("nist-cavs-sym/HMAC/rfc-2202-md5.txt", IntegrityId::hmac_md5_96, "Msg", "MD");
}

TEST(MacVectors, HmacSha1) {
  run_wycheproof("intel-ipsec-mb/hmac_sha1_test.json", IntegrityId::hmac_sha1_96);
  run_wycheproof("wycheproof/hmac_sha1_test.json", IntegrityId::hmac_sha1_96);
  run_nist("nist-cavs-sym/HMAC/rfc-2202-sha1.txt", IntegrityId::hmac_sha1_96, "Msg", "MD");
}

TEST(MacVectors, KernelSha1OverClearText) {
  REQUIRE_VECTORS(path, "linux/hmac_sha1_ecb_cipher_null_tv_temp.json");
  const auto document = read_json(path);
  MacFile file("hmac_sha1_ecb_cipher_null", IntegrityId::hmac_sha1_96);
  for (const auto& test : document["vectors"]) {
    const Bytes text = hex(test["ptext"].get<std::string>());
    const Bytes whole = hex(test["ctext"].get<std::string>());
    const Bytes message = concat({hex(test.value("assoc", "")), text});
    file.check(hex(test["auth_key"].get<std::string>()), {}, message, to_bytes(ByteView(whole).subspan(text.size())),
               true);
  }
}

TEST(MacVectors, GmacOfThreeKeySizes) {
  for (const IntegrityId id : {IntegrityId::aes_128_gmac, IntegrityId::aes_192_gmac, IntegrityId::aes_256_gmac}) {
    run_wycheproof("intel-ipsec-mb/gmac_test.json", id);
  }
  run_wycheproof("wycheproof/aes_gmac_test.json", IntegrityId::aes_128_gmac);
  run_wycheproof("wycheproof/aes_gmac_test.json", IntegrityId::aes_256_gmac);
}

}  // namespace
}  // namespace culvert::vectors
