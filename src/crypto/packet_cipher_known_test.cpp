// Known answers for the algorithms beside the common ones, one or a few each, from the documents that define them;
// tests/vectors has many more.
#include <gtest/gtest.h>

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

struct Known {
  const char* name;
  PacketSuite suite;
  const char* key;  // with salt
  const char* iv;
  const char* aad;
  const char* plain;
  const char* sealed;
  const char* icv;  // empty: the vector has none, the suite's integrity is HMAC-SHA2-256 under zeros
};

std::vector<Backend> backends(const PacketSuite& suite) {
  std::vector<Backend> list{Backend::openssl, Backend::automatic};
  const SuiteSizes sizes = sizes_of(suite);
  for (const Backend backend : {Backend::ipsec_mb, Backend::own}) {
    if (make_packet_cipher(suite, Bytes(sizes.encryption_key), Bytes(sizes.integrity_key), backend)) {
      list.push_back(backend);
    }
  }
  return list;
}

class KnownAnswer : public testing::TestWithParam<Known> {};

TEST_P(KnownAnswer, SealsAndOpens) {
  const Known& known = GetParam();
  const bool mac_only = known.suite.cipher == CipherId::null;
  const Bytes encryption_key = mac_only ? Bytes() : hex(known.key);
  const Bytes integrity_key = mac_only ? hex(known.key) : Bytes(sizes_of(known.suite).integrity_key);
  const Bytes iv = hex(known.iv);
  const Bytes aad = hex(known.aad);
  for (const Backend backend : backends(known.suite)) {
    const auto cipher = make_packet_cipher(known.suite, encryption_key, integrity_key, backend).value();
    Bytes text = hex(known.plain);
    Bytes icv(sizes_of(known.suite).icv);
    PacketJob job{.iv = iv.data(),
                  .aad = aad,
                  .input = text.data(),
                  .output = text.data(),
                  .length = text.size(),
                  .icv = icv.data()};
    cipher->seal({&job, 1});
    EXPECT_EQ(to_hex(text), known.sealed) << cipher->backend();
    if (*known.icv != 0) {
      EXPECT_EQ(to_hex(icv), known.icv) << cipher->backend();
    }
    cipher->open({&job, 1});
    EXPECT_TRUE(job.ok);
    EXPECT_EQ(to_hex(text), known.plain);
    cipher->seal({&job, 1});
    icv.back() ^= 1;
    cipher->open({&job, 1});
    EXPECT_FALSE(job.ok);
  }
}

constexpr const char* kCmacKey = "2b7e151628aed2a6abf7158809cf4f3c";
constexpr const char* kXcbcKey = "000102030405060708090a0b0c0d0e0f";
constexpr IntegrityId kSha256 = IntegrityId::hmac_sha2_256_128;

const Known kKnown[] = {
    {"Rfc3566_2",
     {CipherId::null, 0, IntegrityId::aes_xcbc_96},
     kXcbcKey,
     "",
     "",
     "000102",
     "000102",
     "5b376580ae2f19afe7219cee"},
    {"Rfc3566_3",
     {CipherId::null, 0, IntegrityId::aes_xcbc_96},
     kXcbcKey,
     "",
     "0001020304",
     "05060708090a0b0c0d0e0f",
     "05060708090a0b0c0d0e0f",
     "d2a246fa349b68a79998a439"},
    {"Rfc3566_4",
     {CipherId::null, 0, IntegrityId::aes_xcbc_96},
     kXcbcKey,
     "",
     "000102030405060708090a0b0c0d0e0f",
     "10111213",
     "10111213",
     "47f51b4564966215b8985c63"},
    {"Rfc4494_2",
     {CipherId::null, 0, IntegrityId::aes_cmac_96},
     kCmacKey,
     "",
     "",
     "6bc1bee22e409f96e93d7e117393172a",
     "6bc1bee22e409f96e93d7e117393172a",
     "070a16b46b4d4144f79bdd9d"},
    {"Rfc4494_3",
     {CipherId::null, 0, IntegrityId::aes_cmac_96},
     kCmacKey,
     "",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c",
     "9eb76fac45af8e5130c81c46a35ce411",
     "9eb76fac45af8e5130c81c46a35ce411",
     "dfa66747de9ae63030ca3261"},
    {"Rfc2202Md5",
     {CipherId::null, 0, IntegrityId::hmac_md5_96},
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "",
     "48692054",
     "68657265",
     "68657265",
     "9294727a3638bb1c13f48ef8"},
    {"Rfc2202Sha1",
     {CipherId::null, 0, IntegrityId::hmac_sha1_96},
     "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
     "",
     "48692054",
     "68657265",
     "68657265",
     "b617318655057264e28bc0b6"},
    {"Rfc3686_1",
     {CipherId::aes_ctr, 128, kSha256},
     "ae6852f8121067cc4bf7a5765577f39e00000030",
     "0000000000000000",
     "01",
     "53696e676c6520626c6f636b206d7367",
     "e4095d4fb7a7b3792d6175a3261311b8",
     ""},
    {"Rfc3686_2",
     {CipherId::aes_ctr, 128, kSha256},
     "7e24067817fae0d743d6ce1f32539163006cb6db",
     "c0543b59da48d90b",
     "01",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28",
     ""},
    // RFC 3713 A.
    {"Camellia128",
     {CipherId::camellia_cbc, 128, kSha256},
     "0123456789abcdeffedcba9876543210",
     "00000000000000000000000000000000",
     "01",
     "0123456789abcdeffedcba9876543210",
     "67673138549669730857065648eabe43",
     ""},
    {"Camellia256",
     {CipherId::camellia_cbc, 256, kSha256},
     "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff",
     "00000000000000000000000000000000",
     "01",
     "0123456789abcdeffedcba9876543210",
     "9acc237dff16d76c20ef7c919e3a7509",
     ""},
    // FIPS 81, table C1; three equal keys make 3DES into DES.
    {"Fips81Des",
     {CipherId::des_cbc, 64, kSha256},
     "0123456789abcdef",
     "1234567890abcdef",
     "01",
     "4e6f77206973207468652074696d6520666f7220616c6c20",
     "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6",
     ""},
    {"Fips81TripleDes",
     {CipherId::triple_des_cbc, 192, kSha256},
     "0123456789abcdef0123456789abcdef0123456789abcdef",
     "1234567890abcdef",
     "01",
     "4e6f77206973207468652074696d6520666f7220616c6c20",
     "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6",
     ""},
    // draft-mcgrew-gcm-test-01, the packet of its AES-GMAC case.
    {"EspGmac",
     {CipherId::null_aes_gmac, 128},
     "4c80cdefbb5d10da906ac73c3613a63422433c64",
     "0000000000000000",
     "0000432100000007",
     "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201",
     "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201",
     "f2a9a836e155106aa8dcd618e4099aaa"},
    // NIST's CCM-VNT for keys of 128 bits and nonces of 11 octets, count 40.
    {"NistCcm",
     {CipherId::aes_ccm_16, 128},
     "e6ab9e70a4fb51b01c2e262233e64c0d74e689",
     "eb5af9441dd690a6",
     "42f6518ee0fbe42f28e13b4bb2eb60517b37c9744394d9143393a879c3e107c7",
     "ba15916733550d7aa82b2f6b117cd3f54c83ddc16cd0288a",
     "dcc151443288f35d39ed8fae6f0ce1d1eb656f4f7fd65c0b",
     "16f322ce85d7c54e71ac560fd4da9651"},
};

INSTANTIATE_TEST_SUITE_P(Documents, KnownAnswer, testing::ValuesIn(kKnown),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace culvert::crypto
