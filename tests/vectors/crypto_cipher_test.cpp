// AES-CCM, AES-CTR, Camellia, 3DES and AES-GCM with short ICVs against NIST's, Intel's and the kernel's vectors; where
// nobody has vectors of IPsec's shape, against the mode's definition, written out over single blocks.
#include <sstream>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "crypto_support.hpp"

namespace culvert::vectors {
namespace {

using crypto::CipherId;
using crypto::IntegrityId;
using crypto::PacketSuite;

Bytes random_bytes(RandomSource& random, std::size_t size) {
  Bytes out(size);
  random.fill(out);
  return out;
}

/// A block cipher on one block: CBC with an IV of zeros is that.
class BlockCipher {
 public:
  BlockCipher(CipherId cbc, const Bytes& key)
      : cipher_(crypto::make_packet_cipher({cbc, static_cast<unsigned>(8 * key.size()), IntegrityId::hmac_sha2_256_128},
                                           key, Bytes(32), crypto::Backend::openssl)
                    .value()) {}
  [[nodiscard]] Bytes encrypt(Bytes block) const {
    const Bytes zeros(16);
    Bytes icv(16);
    crypto::PacketJob job;
    job.iv = zeros.data();
    job.input = job.output = block.data();
    job.length = block.size();
    job.icv = icv.data();
    cipher_->seal({&job, 1});
    return block;
  }

 private:
  std::unique_ptr<crypto::PacketCipher> cipher_;
};

void xor_into(Bytes& block, ByteView with) {
  for (std::size_t i = 0; i < with.size(); ++i) block[i] ^= with[i];
}

/// RFC 3610 2, with a length field of 4 octets and a nonce of 11.
std::pair<Bytes, Bytes> ccm_by_definition(const Bytes& key, const Bytes& nonce, const Bytes& aad, const Bytes& plain,
                                          std::size_t icv_size) {
  const BlockCipher cipher(CipherId::aes_cbc, key);
  const auto block_of = [&](std::uint8_t flags, std::uint32_t number) {
    Bytes block{flags};
    block.insert(block.end(), nonce.begin(), nonce.end());
    block.resize(16);
    store_be32(block.data() + 12, number);
    return block;
  };
  const auto flags = static_cast<std::uint8_t>((aad.empty() ? 0 : 0x40) + (icv_size - 2) / 2 * 8 + 3);
  Bytes chain = cipher.encrypt(block_of(flags, static_cast<std::uint32_t>(plain.size())));
  Bytes message;
  if (!aad.empty()) {
    message = {static_cast<std::uint8_t>(aad.size() >> 8), static_cast<std::uint8_t>(aad.size())};
    message.insert(message.end(), aad.begin(), aad.end());
    message.resize((message.size() + 15) / 16 * 16);
  }
  message.insert(message.end(), plain.begin(), plain.end());
  message.resize((message.size() + 15) / 16 * 16);
  for (std::size_t at = 0; at < message.size(); at += 16) {
    xor_into(chain, ByteView(message).subspan(at, 16));
    chain = cipher.encrypt(chain);
  }
  xor_into(chain, cipher.encrypt(block_of(3, 0)));
  chain.resize(icv_size);
  Bytes sealed = plain;
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    sealed[at] ^= cipher.encrypt(block_of(3, static_cast<std::uint32_t>(at / 16 + 1)))[at % 16];
  }
  return {sealed, chain};
}

TEST(CipherVectors, CcmByDefinition) {
  SeededRandom random(31);
  for (const auto& [id, icv_size] : {std::pair{CipherId::aes_ccm_8, std::size_t{8}},
                                     {CipherId::aes_ccm_12, 12},
                                     {CipherId::aes_ccm_16, 16},
                                     {CipherId::aes_ccm_8_iiv, 8}}) {
    for (const unsigned bits : {128u, 192u, 256u}) {
      for (const std::size_t length : {0u, 1u, 15u, 16u, 17u, 84u, 300u}) {
        for (const std::size_t aad_length : {0u, 8u, 12u, 33u}) {
          const Bytes key = random_bytes(random, bits / 8);
          const Bytes nonce = random_bytes(random, 11);
          PacketVector vector;
          vector.suite = {id, bits};
          vector.encryption_key = concat({key, ByteView(nonce).first(3)});
          vector.iv = to_bytes(ByteView(nonce).subspan(3));
          vector.aad = random_bytes(random, aad_length);
          vector.plain = random_bytes(random, length);
          std::tie(vector.sealed, vector.icv) = ccm_by_definition(key, nonce, vector.aad, vector.plain, icv_size);
          expect_valid(vector, "CCM by definition");
        }
      }
    }
  }
}

/// NIST's VNT files, of which IPsec's nonces of 11 octets are one section.
void run_ccm_vnt(const char* relative) {
  REQUIRE_VECTORS(path, relative);
  Tally tally(relative, backends({CipherId::aes_ccm_16, 128}).size());
  std::istringstream lines(read_text(path));
  std::string line, key, nonce, aad, payload;
  while (std::getline(lines, line)) {
    std::erase_if(line, [](char c) { return c == '\r' || c == ' '; });
    const auto value = [&](std::string_view name, std::string& out) {
      if (line.starts_with(std::string(name) + "=")) out = line.substr(name.size() + 1);
    };
    value("Key", key);
    value("Nonce", nonce);
    value("Adata", aad);
    value("Payload", payload);
    if (!line.starts_with("CT=")) continue;
    if (nonce.size() != 22) {
      tally.left_out();
      continue;
    }
    PacketVector vector;
    vector.suite = {CipherId::aes_ccm_16, static_cast<unsigned>(4 * key.size())};
    vector.encryption_key = hex(key + nonce.substr(0, 6));
    vector.iv = hex(nonce.substr(6));
    vector.aad = hex(aad);
    vector.plain = hex(payload);
    const Bytes whole = hex(line.substr(3));
    vector.sealed = to_bytes(ByteView(whole).first(vector.plain.size()));
    vector.icv = to_bytes(ByteView(whole).subspan(vector.plain.size()));
    expect_valid(vector, relative);
    vector.icv[15] ^= 0x80;
    expect_refused(vector, relative);
    tally.ran();
  }
}

TEST(CipherVectors, NistCcm) {
  run_ccm_vnt("nist-cavs-sym/AES-CCM/VNT128.rsp");
  run_ccm_vnt("nist-cavs-sym/AES-CCM/VNT256.rsp");
}

/// NIST SP 800-38D 5.2.1.2: a shorter tag is the beginning of the whole one.
TEST(CipherVectors, GcmWithShortIcvIsGcmCutShort) {
  SeededRandom random(32);
  for (const auto& [id, icv_size] : {std::pair{CipherId::aes_gcm_8, 8}, {CipherId::aes_gcm_12, 12}}) {
    for (const unsigned bits : {128u, 192u, 256u}) {
      for (const std::size_t length : {0u, 1u, 64u, 1400u}) {
        PacketVector vector;
        vector.encryption_key = random_bytes(random, bits / 8 + 4);
        vector.iv = random_bytes(random, 8);
        vector.aad = random_bytes(random, 12);
        vector.plain = vector.sealed = random_bytes(random, length);
        vector.suite = {CipherId::aes_gcm_16, bits};
        vector.icv = Bytes(16);
        const auto whole =
            crypto::make_packet_cipher(vector.suite, vector.encryption_key, {}, crypto::Backend::openssl);
        Batch sealing(vector, vector.plain, 1);
        sealing.seal(**whole);
        vector.sealed = sealing.texts().front();
        vector.icv = sealing.icvs().front();
        vector.icv.resize(static_cast<std::size_t>(icv_size));
        vector.suite.cipher = id;
        expect_valid(vector, "GCM cut short");
        vector.icv.front() ^= 1;
        expect_refused(vector, "GCM cut short");
      }
    }
  }
}

/// RFC 8750: only where the IV comes from is different.
TEST(CipherVectors, ImplicitIvIsTheSameCipher) {
  SeededRandom random(33);
  for (const auto& [plain_id, implicit_id, bits] :
       {std::tuple{CipherId::aes_gcm_16, CipherId::aes_gcm_16_iiv, 256u},
        {CipherId::aes_ccm_8, CipherId::aes_ccm_8_iiv, 128u},
        {CipherId::chacha20_poly1305, CipherId::chacha20_poly1305_iiv, 256u}}) {
    PacketVector vector;
    vector.suite = {plain_id, bits};
    vector.encryption_key = random_bytes(random, crypto::sizes_of(vector.suite).encryption_key);
    vector.iv = {0, 0, 0, 0, 0, 0, 1, 2};
    vector.aad = random_bytes(random, 8);
    vector.plain = random_bytes(random, 100);
    vector.icv = Bytes(crypto::sizes_of(vector.suite).icv);
    const auto explicit_iv = crypto::make_packet_cipher(vector.suite, vector.encryption_key, {});
    Batch sealing(vector, vector.plain, 1);
    sealing.seal(**explicit_iv);
    vector.sealed = sealing.texts().front();
    vector.icv = sealing.icvs().front();
    vector.suite.cipher = implicit_id;
    expect_valid(vector, "implicit IV");
  }
}

PacketVector text_vector(CipherId cipher, const Bytes& key, const Bytes& iv, ByteView plain, ByteView sealed) {
  PacketVector vector;
  vector.suite = {cipher, static_cast<unsigned>(8 * key.size()), IntegrityId::hmac_sha2_256_128};
  vector.encryption_key = key;
  vector.iv = iv;
  vector.plain = to_bytes(plain);
  vector.sealed = to_bytes(sealed);
  return vector;
}

/// RFC 3686's, as the kernel has them: the nonce at the end of the key.
TEST(CipherVectors, KernelRfc3686) {
  REQUIRE_VECTORS(path, "linux/aes_ctr_rfc3686_tv_template.json");
  const auto document = read_json(path);
  Tally tally("aes_ctr_rfc3686", backends({CipherId::aes_ctr, 128, IntegrityId::hmac_sha2_256_128}).size());
  for (const auto& test : document["vectors"]) {
    const Bytes key = hex(test["key"].get<std::string>());
    PacketVector vector = text_vector(CipherId::aes_ctr, key, hex(test["iv"].get<std::string>()),
                                      hex(test["ptext"].get<std::string>()), hex(test["ctext"].get<std::string>()));
    vector.suite.key_bits -= 32;
    expect_text(vector, "rfc3686");
    tally.ran();
  }
}

/// Of these the IV is the nonce and the IV of a packet.
TEST(CipherVectors, IntelAesCtr) {
  REQUIRE_VECTORS(path, "intel-ipsec-mb/ctr_test.json");
  const auto document = read_json(path);
  Tally tally("intel ctr_test", backends({CipherId::aes_ctr, 128, IntegrityId::hmac_sha2_256_128}).size());
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes iv = hex(test["iv"].get<std::string>());
      if (iv.size() != 12) {
        tally.left_out();
        continue;
      }
      PacketVector vector =
          text_vector(CipherId::aes_ctr, hex(test["key"].get<std::string>()), to_bytes(ByteView(iv).subspan(4)),
                      hex(test["msg"].get<std::string>()), hex(test["ct"].get<std::string>()));
      vector.encryption_key = concat({vector.encryption_key, ByteView(iv).first(4)});
      expect_text(vector, "intel ctr " + test["tcId"].dump());
      tally.ran();
    }
  }
}

void run_kernel_cbc(const char* relative, CipherId cipher) {
  REQUIRE_VECTORS(path, relative);
  const auto document = read_json(path);
  Tally tally(relative, 1);
  for (const auto& test : document["vectors"]) {
    expect_text(text_vector(cipher, hex(test["key"].get<std::string>()), hex(test["iv"].get<std::string>()),
                            hex(test["ptext"].get<std::string>()), hex(test["ctext"].get<std::string>())),
                relative);
    tally.ran();
  }
}

TEST(CipherVectors, KernelCamelliaCbc) {
  run_kernel_cbc("linux/camellia_cbc_tv_template.json", CipherId::camellia_cbc);
}

/// RFC 5529 with RFC 3686's counter block, over Camellia as the test above proves it.
TEST(CipherVectors, CamelliaCtrByDefinition) {
  SeededRandom random(34);
  for (const std::size_t key_size : {16u, 24u, 32u}) {
    const Bytes key = random_bytes(random, key_size);
    const Bytes nonce = random_bytes(random, 12);
    const BlockCipher cipher(CipherId::camellia_cbc, key);
    const Bytes plain = random_bytes(random, 100);
    Bytes sealed = plain;
    for (std::size_t at = 0; at < sealed.size(); ++at) {
      Bytes counter = concat({nonce, Bytes(4)});
      store_be32(counter.data() + 12, static_cast<std::uint32_t>(at / 16 + 1));
      sealed[at] ^= cipher.encrypt(counter)[at % 16];
    }
    PacketVector vector = text_vector(CipherId::camellia_ctr, key, to_bytes(ByteView(nonce).subspan(4)), plain, sealed);
    vector.encryption_key = concat({key, ByteView(nonce).first(4)});
    expect_text(vector, "Camellia-CTR");
  }
}

TEST(CipherVectors, TripleDes) {
  REQUIRE_VECTORS(path, "intel-ipsec-mb/des3_test.json");
  const auto document = read_json(path);
  Tally tally("intel des3_test", 1);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      expect_text(
          text_vector(CipherId::triple_des_cbc, hex(test["key"].get<std::string>()), hex(test["iv"].get<std::string>()),
                      hex(test["msg"].get<std::string>()), hex(test["ct"].get<std::string>())),
          "des3 " + test["tcId"].dump());
      tally.ran();
    }
  }
}

TEST(CipherVectors, NistAcvpTripleDes) {
  REQUIRE_VECTORS(path, "acvp/ACVP-TDES-CBC-1.0/internalProjection.json.gz");
  const auto document = read_gzip_json(path);
  Tally triple("ACVP-TDES-CBC", 1);
  for (const auto& group : document["testGroups"]) {
    for (const auto& test : group["tests"]) {
      if (group["testType"] != "AFT") {
        triple.left_out();
        continue;
      }
      const Bytes key1 = hex(test["key1"].get<std::string>());
      const Bytes key2 = hex(test["key2"].get<std::string>());
      const Bytes key3 = hex(test["key3"].get<std::string>());
      const Bytes iv = hex(test["iv"].get<std::string>());
      const Bytes plain = hex(test["pt"].get<std::string>());
      const Bytes sealed = hex(test["ct"].get<std::string>());
      expect_text(text_vector(CipherId::triple_des_cbc, concat({key1, key2, key3}), iv, plain, sealed), "TDES");
      triple.ran();
    }
  }
}

}  // namespace
}  // namespace culvert::vectors
