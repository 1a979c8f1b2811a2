// Signatures that other implementations have taken for right: each is made with the private key, and wrong in one way.
#include <algorithm>

#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include "crypto/prf.hpp"
#include "crypto/testing/issuer.hpp"

namespace culvert::crypto {
namespace {

using testing::TestKey;

/// An RSA key and its numbers, to sign any encoded message.
class RawRsa {
 public:
  explicit RawRsa(unsigned bits, unsigned long exponent = 65537) {
    openssl::PublicKeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    openssl::BigNumber e(BN_new());
    EVP_PKEY* key = nullptr;
    CHECK(BN_set_word(e.get(), exponent) == 1 && EVP_PKEY_keygen_init(context.get()) == 1 &&
          EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), static_cast<int>(bits)) == 1 &&
          EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), e.get()) == 1 &&
          EVP_PKEY_generate(context.get(), &key) == 1);
    key_.reset(key);
    n_ = number("n");
    d_ = number("d");
  }
  [[nodiscard]] PublicKey public_key() const {
    return *PublicKey::from_spki(openssl::der_of(i2d_PUBKEY, static_cast<const EVP_PKEY*>(key_.get())));
  }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(BN_num_bytes(n_.get())); }
  /// message^d mod n, and n times `more` added to it.
  [[nodiscard]] Bytes sign(ByteView encoded, unsigned more = 0) const {
    const openssl::BigNumberCtx context(BN_CTX_new());
    const openssl::BigNumber message(BN_bin2bn(encoded.data(), static_cast<int>(encoded.size()), nullptr));
    const openssl::BigNumber made(BN_new());
    CHECK(BN_mod_exp(made.get(), message.get(), d_.get(), n_.get(), context.get()) == 1);
    for (unsigned i = 0; i < more; ++i) CHECK(BN_add(made.get(), made.get(), n_.get()) == 1);
    Bytes out(std::max(size(), static_cast<std::size_t>(BN_num_bytes(made.get()))));
    CHECK(BN_bn2binpad(made.get(), out.data(), static_cast<int>(out.size())) > 0);
    return out;
  }
  [[nodiscard]] Bytes modulus() const {
    Bytes out(size());
    CHECK(BN_bn2binpad(n_.get(), out.data(), static_cast<int>(out.size())) > 0);
    return out;
  }

 private:
  [[nodiscard]] openssl::BigNumber number(const char* name) const {
    BIGNUM* made = nullptr;
    CHECK(EVP_PKEY_get_bn_param(key_.get(), name, &made) == 1);
    return openssl::BigNumber(made);
  }
  openssl::PublicKey key_;
  openssl::BigNumber n_;
  openssl::BigNumber d_;
};

const Bytes kMessage = to_bytes(as_bytes("what is signed"));
constexpr const char* kSha256Info = "3031300d060960864801650304020105000420";

/// 00 01 FF.. 00, then `info`, filled to `size` by the FFs.
Bytes encoded(std::size_t size, const Bytes& info) {
  Bytes out = {0, 1};
  out.resize(size - info.size() - 1, 0xff);
  out.push_back(0);
  out.insert(out.end(), info.begin(), info.end());
  return out;
}

// CVE-2018-16151, CVE-2018-16152, CVE-2026-50721, CVE-2026-50722: the encoding is compared as a whole, whatever the
// public exponent.
TEST(ForgedSignatures, Pkcs1IsComparedAsAWhole) {
  const Bytes digest = hash(HashId::sha2_256, {kMessage});
  for (const unsigned long exponent : {3UL, 65537UL}) {
    const RawRsa rsa(2048, exponent);
    const PublicKey key = rsa.public_key();
    const auto taken = [&](const Bytes& message) {
      return key.verify(SignatureScheme::rsa_pkcs1_sha2_256, kMessage, rsa.sign(message));
    };
    const Bytes good = concat({*from_hex(kSha256Info), digest});
    ASSERT_TRUE(taken(encoded(rsa.size(), good))) << "else nothing here says anything";
    // Octets behind the hash, with as much less padding in front.
    for (const std::size_t more : {1U, 16U, 190U}) {
      Bytes longer = encoded(rsa.size() - more, good);
      longer.resize(rsa.size(), 0x41);
      EXPECT_FALSE(taken(longer)) << more;
    }
    // The algorithm's parameters: none, something else, something behind them, and hidden in their length.
    EXPECT_FALSE(
        taken(encoded(rsa.size(), concat({*from_hex("302f300b0609608648016503040201"), *from_hex("0420"), digest}))));
    EXPECT_FALSE(taken(encoded(rsa.size(), concat({*from_hex("3032300e06096086480165030402010201000420"), digest}))));
    EXPECT_FALSE(
        taken(encoded(rsa.size(), concat({*from_hex("3035301106096086480165030402010500deadbeef0420"), digest}))));
    EXPECT_FALSE(taken(encoded(rsa.size(), concat({*from_hex("3032300e06096086480165030402010501000420"), digest}))));
    // A piece of the hash, and none.
    EXPECT_FALSE(taken(encoded(
        rsa.size(), concat({*from_hex("3021300d060960864801650304020105000410"), ByteView(digest).first(16)}))));
    EXPECT_FALSE(taken(encoded(rsa.size(), *from_hex("3011300d060960864801650304020105000400"))));
    EXPECT_FALSE(taken(encoded(rsa.size(), digest))) << "without the algorithm";
    // Padding: another block type, a hole in it, too little of it.
    Bytes message = encoded(rsa.size(), good);
    message[1] = 2;
    EXPECT_FALSE(taken(message));
    message = encoded(rsa.size(), good);
    message[20] = 0xfe;
    EXPECT_FALSE(taken(message));
    message = encoded(rsa.size(), good);
    message[8] = 0;
    EXPECT_FALSE(taken(message));
  }
}

// CVE-2017-11185: numbers that are no residue; CVE-2013-2944: empty and zero ones.
TEST(ForgedSignatures, NumbersOutOfRange) {
  const RawRsa rsa(2048);
  const PublicKey key = rsa.public_key();
  const Bytes good = encoded(rsa.size(), concat({*from_hex(kSha256Info), hash(HashId::sha2_256, {kMessage})}));
  const auto taken = [&](const Bytes& signature) {
    for (const auto scheme : {SignatureScheme::rsa_pkcs1_sha2_256, SignatureScheme::rsa_pss_sha2_256}) {
      if (key.verify(scheme, kMessage, signature)) return true;
    }
    return false;
  };
  ASSERT_TRUE(taken(rsa.sign(good)));
  EXPECT_FALSE(taken(rsa.sign(good, 1))) << "the same number, n more";
  EXPECT_FALSE(taken(rsa.modulus()));
  EXPECT_FALSE(taken(Bytes(rsa.size(), 0)));
  EXPECT_FALSE(taken(Bytes(rsa.size(), 0xff)));
  EXPECT_FALSE(taken({}));
  Bytes longer = rsa.sign(good);
  longer.insert(longer.begin(), 0);
  EXPECT_FALSE(taken(longer));
  Bytes one(rsa.size(), 0);
  one.back() = 1;
  EXPECT_FALSE(taken(one));
}

// CVE-2018-17540: a modulus that has no room for the padding.
TEST(ForgedSignatures, TinyModuli) {
  const RawRsa rsa(512);
  const PublicKey key = rsa.public_key();
  for (const auto scheme : {SignatureScheme::rsa_pkcs1_sha2_512, SignatureScheme::rsa_pss_sha2_512}) {
    for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 256U})
      EXPECT_FALSE(key.verify(scheme, kMessage, Bytes(size, 1))) << size;
  }
}

// CVE-2013-2944, and r or s zero: an error of the library's is no success.
TEST(ForgedSignatures, EcdsaOfNothing) {
  const PublicKey key = TestKey::make("P-256").private_key().public_key();
  for (const char* der : {"", "00", "3000", "3006020100020100", "3006020101020100", "3006020100020101",
                          "300602018102018f", "30060201010201", "30800201010201010000"}) {
    EXPECT_FALSE(key.verify(SignatureScheme::ecdsa_sha2_256, kMessage, *from_hex(der))) << der;
  }
}

}  // namespace
}  // namespace culvert::crypto
