// Keys that are encrypted, in PKCS#12, or on a token. The token is one of SoftHSM2, made for the test; without that
// package its tests say so and are skipped.
#include "crypto/key_container.hpp"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pkcs12.h>

#include "base/testing/temporary_folder.hpp"
#include "crypto/testing/issuer.hpp"

namespace culvert::crypto {
namespace {

using ::testing::HasSubstr;
using testing::TestCertificate;
using testing::TestKey;

bool signs(const PrivateKey& key, SignatureScheme scheme, const PublicKey& with) {
  const Bytes message(100, 7);
  const auto signature = key.sign(scheme, message);
  return signature && with.verify(scheme, message, *signature);
}

ByteView password(std::string_view text) { return as_bytes(text); }

std::string fault(ByteView content, std::string_view text) {
  const auto key = parse_private_key(content, password(text));
  return key ? "" : key.error();
}

TEST(KeyContainer, EncryptedPkcs8) {
  const TestKey key = TestKey::make("P-256");
  const std::string pem = key.pem("correct horse");
  const auto read = parse_private_key(as_bytes(pem), password("correct horse"));
  ASSERT_TRUE(read) << read.error();
  EXPECT_TRUE(signs(*read, SignatureScheme::ecdsa_sha2_256, key.private_key().public_key()));
  EXPECT_THAT(fault(as_bytes(pem), "battery"), HasSubstr("the password is wrong"));
  EXPECT_THAT(fault(as_bytes(pem), ""), HasSubstr("is encrypted, and no password is given"));

  Bytes der;
  openssl::each_pem_block(as_bytes(pem), [&](std::string_view, std::string_view, ByteView block) {
    der = to_bytes(block);
    return false;
  });
  EXPECT_TRUE(parse_private_key(der, password("correct horse")));
  EXPECT_THAT(fault(der, "battery"), HasSubstr("the password is wrong"));
  der.push_back(0);
  EXPECT_FALSE(parse_private_key(der, password("correct horse"))) << "octets behind it";
  // One that is not encrypted needs none, and is read all the same.
  EXPECT_TRUE(parse_private_key(as_bytes(key.pem()), password("correct horse")));
  EXPECT_THAT(fault(Bytes(40, 0x30), "x"), HasSubstr("holds no private key"));
}

TEST(KeyContainer, EncryptedPemOfOlderTimes) {
  const TestKey key = TestKey::make("RSA:2048");
  const openssl::Bio bio(BIO_new(BIO_s_mem()));
  unsigned char secret[] = "secret";
  ASSERT_EQ(PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), EVP_aes_128_cbc(), secret, 6, nullptr, nullptr),
            1);
  const std::string pem = TestKey::text_of(bio.get());
  ASSERT_THAT(pem, HasSubstr("DEK-Info"));
  const auto read = parse_private_key(as_bytes(pem), password("secret"));
  ASSERT_TRUE(read) << read.error();
  EXPECT_TRUE(signs(*read, SignatureScheme::rsa_pss_sha2_256, key.private_key().public_key()));
  EXPECT_THAT(fault(as_bytes(pem), "other"), HasSubstr("the password is wrong"));
  EXPECT_THAT(fault(as_bytes(pem), ""), HasSubstr("no password is given"));
}

class Pkcs12 : public ::testing::Test {
 protected:
  // With the certificate of the key, and that of who issued it.
  [[nodiscard]] Bytes make(const char* secret, int mac_rounds = 0) const {
    const auto x509_of = [](const TestCertificate& one) {
      const Bytes der = one.der();
      const unsigned char* at = der.data();
      return openssl::X509Cert(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    };
    const openssl::X509Cert leaf = x509_of(own);
    const openssl::X509Cert issuer = x509_of(middle);
    STACK_OF(X509)* others = sk_X509_new_null();
    sk_X509_push(others, issuer.get());
    PKCS12* made = PKCS12_create(secret, "gw", key.get(), leaf.get(), others, 0, 0, 0, mac_rounds, 0);
    sk_X509_free(others);
    Bytes der = openssl::der_of(i2d_PKCS12, static_cast<const PKCS12*>(made));
    PKCS12_free(made);
    return der;
  }

  const TestKey key = TestKey::make("P-256");
  const TestCertificate root = TestCertificate::make(TestKey::make("P-256"), testing::authority("root"));
  const TestCertificate middle = TestCertificate::make(TestKey::make("P-256"), testing::authority("middle"), &root);
  const TestCertificate own = TestCertificate::make(key, testing::peer("gw", "DNS:gw.example"), &middle);
};

TEST_F(Pkcs12, KeyAndCertificatesTogether) {
  const Bytes file = make("secret");
  EXPECT_TRUE(is_pkcs12(file));
  const auto read = parse_pkcs12(file, password("secret"));
  ASSERT_TRUE(read) << read.error();
  EXPECT_TRUE(signs(read->key, SignatureScheme::ecdsa_sha2_256, own.certificate().public_key()));
  ASSERT_EQ(read->certificates.size(), 2U);
  EXPECT_EQ(read->certificates[0].der(), own.der());
  EXPECT_EQ(read->certificates[1].der(), middle.der());
}

TEST_F(Pkcs12, WhatIsWrongIsSaid) {
  const Bytes file = make("secret");
  const auto fault = [](ByteView content, std::string_view text) {
    const auto read = parse_pkcs12(content, password(text));
    return read ? std::string() : read.error();
  };
  EXPECT_THAT(fault(file, "other"), HasSubstr("the password is wrong"));
  EXPECT_THAT(fault(file, ""), HasSubstr("no password is given"));
  EXPECT_EQ(fault(make(""), ""), "") << "an empty password is none";
  EXPECT_THAT(fault(make("secret", -1), "secret"), HasSubstr("has no MAC"));
  for (std::size_t cut = 0; cut < file.size(); cut += 37) EXPECT_FALSE(is_pkcs12(ByteView(file).first(cut)));
  Bytes changed = file;
  for (std::size_t at = 40; at < changed.size(); at += 101) {
    changed[at] ^= 0x41;
    EXPECT_FALSE(parse_pkcs12(changed, password("secret"))) << at;
    changed[at] ^= 0x41;
  }
  EXPECT_FALSE(is_pkcs12(own.der()));
  EXPECT_FALSE(is_pkcs12(as_bytes(key.pem())));
}

TEST(KeyUri, IsToldFromPaths) {
  EXPECT_TRUE(is_key_uri("pkcs11:token=a"));
  EXPECT_TRUE(is_key_uri("handle:0x81000000"));
  for (const char* path : {"/etc/culvert/gw.key", "gw.key", "keys/a:b.key", "./a:b", "C:key", ":x", ""})
    EXPECT_FALSE(is_key_uri(path)) << path;
  EXPECT_EQ(printable_uri("pkcs11:token=a?pin-value=1234"), "pkcs11:token=a");
  // Providers are named by words, not by paths; one that is not there is named.
  for (const char* bad : {"file:/x?provider=", "file:/x?provider=../x", "file:/x?provider=a&b"}) {
    const auto key = load_key(bad, {});
    ASSERT_FALSE(key);
    EXPECT_THAT(key.error(), HasSubstr("must end in the name of an OpenSSL provider")) << bad;
  }
  const auto absent = load_key("handle:0x81000001?provider=no-such-provider", {});
  ASSERT_FALSE(absent);
  EXPECT_THAT(absent.error(), HasSubstr("needs OpenSSL's provider 'no-such-provider', which cannot be loaded"));
  const auto unknown = load_key("no-such-scheme:x", {});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error(), HasSubstr("no provider of OpenSSL knows"));
}

// OpenSSL's own loader of files, and beside it a provider that every OpenSSL brings along.
TEST(KeyUri, OfAFile) {
  const TemporaryFolder folder;
  const TestKey key = TestKey::make("P-256");
  const auto at = [&](const char* name, const std::string& content) {
    return "file:" + folder.file(name, content).string();
  };
  const PublicKey expected = key.private_key().public_key();
  for (const std::string& uri : {at("plain.pem", key.pem()), at("plain.pem", key.pem()) + "?provider=legacy"}) {
    const auto plain = load_key(uri, {});
    ASSERT_TRUE(plain) << plain.error();
    EXPECT_TRUE(signs(*plain, SignatureScheme::ecdsa_sha2_256, expected)) << uri;
  }
  const std::string encrypted = at("encrypted.pem", key.pem("correct horse"));
  const auto opened = load_key(encrypted, password("correct horse"));
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_TRUE(signs(*opened, SignatureScheme::ecdsa_sha2_256, expected));
  const auto fault_of = [](const std::string& uri, std::string_view text) {
    const auto loaded = load_key(uri, password(text));
    return loaded ? std::string() : loaded.error();
  };
  EXPECT_THAT(fault_of(encrypted, "battery"), HasSubstr("the password is wrong"));
  EXPECT_THAT(fault_of(encrypted, ""), HasSubstr("is encrypted, and no password is given"));
  EXPECT_THAT(fault_of(at("own.pem", TestCertificate::make(key, testing::peer("gw", "DNS:gw.example")).pem()), ""),
              HasSubstr("holds no private key"));
  EXPECT_THAT(fault_of("file:" + (folder / "nothing").string(), ""),
              HasSubstr("cannot be loaded: No such file or directory"));
}

class Token : public ::testing::Test {
 protected:
  static constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

  static void SetUpTestSuite() {
    if (!std::filesystem::exists(kModule) || std::system("command -v softhsm2-util >/dev/null 2>&1") != 0) return;
    temporary = std::make_unique<TemporaryFolder>();
    folder = temporary->path();
    std::filesystem::create_directory(folder / "tokens");
    std::ofstream(folder / "softhsm2.conf") << "directories.tokendir = " << (folder / "tokens").string()
                                            << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    ::setenv("SOFTHSM2_CONF", (folder / "softhsm2.conf").c_str(), 1);
    run("--init-token --free --label office --pin 1234 --so-pin 87654321");
    for (const auto& [label, id, kind] : {std::tuple("rsa", "01", "RSA:2048"), std::tuple("curve", "02", "P-256")}) {
      const TestKey key = TestKey::make(kind);
      std::ofstream(folder / label) << key.pem();
      run("--import " + (folder / label).string() + " --token office --label " + label + " --id " + id + " --pin 1234");
      keys.emplace(label, key);
    }
  }
  static void TearDownTestSuite() { temporary.reset(); }
  void SetUp() override {
    if (folder.empty()) GTEST_SKIP() << "needs SoftHSM2 to make a token: Debian package softhsm2, or ./dev setup";
  }
  static void run(const std::string& arguments) {
    ASSERT_EQ(std::system(("softhsm2-util " + arguments + " >/dev/null 2>&1").c_str()), 0) << arguments;
  }
  static std::string uri(const std::string& object, const std::string& token = "office") {
    return "pkcs11:token=" + token + ";object=" + object + ";type=private?module-path=" + kModule;
  }
  static std::string fault(const std::string& uri, std::string_view pin) {
    const auto key = load_key(uri, password(pin));
    return key ? "" : key.error();
  }

  static inline std::unique_ptr<TemporaryFolder> temporary;
  static inline std::filesystem::path folder;  // empty: no SoftHSM2 here
  static inline std::map<std::string, TestKey> keys;
};

TEST_F(Token, SignsWithKeysThatNeverLeaveIt) {
  for (const auto& [label, scheme] :
       {std::pair("rsa", SignatureScheme::rsa_pss_sha2_256), std::pair("rsa", SignatureScheme::rsa_pss_sha2_384),
        std::pair("rsa", SignatureScheme::rsa_pkcs1_sha2_256), std::pair("curve", SignatureScheme::ecdsa_sha2_256)}) {
    const auto key = load_key(uri(label), password("1234"));
    ASSERT_TRUE(key) << label << ": " << key.error();
    const PublicKey expected = keys.at(label).private_key().public_key();
    EXPECT_EQ(key->kind(), expected.kind());
    EXPECT_TRUE(key->public_key().same_key(expected)) << label;
    EXPECT_TRUE(signs(*key, scheme, expected)) << label << ", " << name_of(scheme);
    EXPECT_FALSE(key->public_key().same_key(TestKey::make("P-256").private_key().public_key()));
  }
}

TEST_F(Token, HoldsCertificates) {
  if (std::system("command -v pkcs11-tool >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "needs pkcs11-tool to put a certificate on the token: Debian package opensc, or ./dev setup";
  const auto own = TestCertificate::make(keys.at("curve"), testing::peer("gw", "DNS:gw.example"));
  const Bytes der = own.der();
  const auto file = temporary->file("gw.der", {reinterpret_cast<const char*>(der.data()), der.size()});
  for (const auto& [label, secrecy] : {std::pair("open", ""), std::pair("closed", " --private")})
    ASSERT_EQ(std::system(("pkcs11-tool --module " + std::string(kModule) +
                           " --token-label office --login --pin 1234 " + "--write-object " + file.string() +
                           " --type cert --id 02 --label " + label + secrecy + " >/dev/null 2>&1")
                              .c_str()),
              0);
  const auto at = [](const std::string& label) {
    return "pkcs11:token=office;object=" + label + ";type=cert?module-path=" + kModule;
  };
  for (const char* pin : {"", "1234"}) {
    const auto loaded = load_certificates(at("open"), password(pin));
    ASSERT_TRUE(loaded) << loaded.error();
    ASSERT_EQ(loaded->size(), 1U);
    EXPECT_EQ(loaded->front().der(), der);
  }
  const auto closed = load_certificates(at("closed"), password("1234"));
  ASSERT_TRUE(closed) << closed.error();
  EXPECT_EQ(closed->front().der(), der);
  const auto fault_of = [&](const std::string& uri) {
    const auto loaded = load_certificates(uri, password(""));
    return loaded ? std::string() : loaded.error();
  };
  EXPECT_THAT(fault_of(at("nothing")), HasSubstr("cannot be loaded"));
  EXPECT_THAT(fault_of("no-such-scheme:a"), HasSubstr("has a scheme that no provider of OpenSSL knows"));
}

TEST_F(Token, SeveralThreadsSignInTurn) {
  const auto key = load_key(uri("curve"), password("1234"));
  ASSERT_TRUE(key) << key.error();
  const PublicKey expected = keys.at("curve").private_key().public_key();
  std::vector<std::jthread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) good += signs(*key, SignatureScheme::ecdsa_sha2_256, expected) ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(good, 80);
}

TEST_F(Token, WhatIsWrongIsSaid) {
  EXPECT_THAT(fault(uri("nothing"), "1234"), HasSubstr("cannot be loaded"));
  EXPECT_THAT(fault(uri("curve", "elsewhere"), "1234"), HasSubstr("cannot be loaded"));
  EXPECT_THAT(fault("pkcs11:object=curve;type=private?module-path=/nowhere.so", "1234"),
              HasSubstr("there can be one only"));
}

}  // namespace
}  // namespace culvert::crypto
