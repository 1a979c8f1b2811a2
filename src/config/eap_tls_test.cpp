// `eap` with methods built on TLS, and what goes with them.
#include <chrono>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"
#include "config/config_test_support.hpp"
#include "config/diff.hpp"
#include "crypto/testing/issuer.hpp"

namespace culvert::config {
namespace {

using crypto::testing::kDay;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using crypto::testing::Wish;
using model::EapInner;
using model::EapType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Wish today(Wish wish) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  wish.from = now - kDay;
  wish.until = now + 100 * kDay;
  return wish;
}

class EapTlsSettings : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [file, text] :
         {std::pair("own.pem", own.pem()), std::pair("own.key", own.key().pem()), std::pair("ca.pem", root.pem())})
      folder_.file(file, text);
  }

  static std::string client(const std::string& extra) {
    return "[tunnel.office]\npeer = \"192.0.2.2\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n"
           "eap_identity = \"carol@example.net\"\n" +
           extra;
  }
  static std::string server(const std::string& extra) {
    return "[tunnel.office]\npeer = \"any\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n"
           "local_id = \"carol@example.net\"\n" +
           extra;
  }
  static constexpr const char* kOwn = "certificate = \"own.pem\"\nprivate_key = \"own.key\"\n";
  static constexpr const char* kCa = "ca = [\"ca.pem\"]\n";

  [[nodiscard]] Result<Config, Problems> loaded(const std::string& content) const {
    return load_texts({{(folder_ / "a.toml").string(), content}});
  }
  [[nodiscard]] std::string problems(const std::string& content) const {
    const auto result = loaded(content);
    return testing::lines(result ? result->warnings : result.error());
  }

  TemporaryFolder folder_;
  const TestCertificate root = TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("root")));
  const TestCertificate own = TestCertificate::make(
      TestKey::make("P-256"), today(crypto::testing::peer("carol", "email:carol@example.net")), &root);
};

TEST_F(EapTlsSettings, AClientOfTlsHasACertificateAndNoSecret) {
  const auto config = loaded(client(std::string("eap = \"tls\"\n") + kOwn + kCa));
  ASSERT_TRUE(config) << testing::lines(config.error());
  EXPECT_TRUE(config->warnings.empty()) << testing::lines(config->warnings);
  const TunnelConfig& one = config->tunnels[0];
  EXPECT_THAT(one.connection.eap->methods, ElementsAre(EapType::tls));
  EXPECT_TRUE(one.connection.eap->inner.empty());
  ASSERT_TRUE(one.credentials);
  EXPECT_EQ(one.credentials->certificates.size(), 1u);
  EXPECT_TRUE(one.credentials->key.present());
  EXPECT_EQ(one.connection.local_id, model::Identity::parse("carol@example.net"));
}

TEST_F(EapTlsSettings, AClientOfATunnelHasASecretAndNoCertificate) {
  const auto config =
      loaded(client(std::string("eap = [\"ttls\", \"peap\"]\neap_secret = \"x\"\neap_outer_identity = \"anonymous\"\n"
                                "eap_server_id = \"radius.example\"\neap_only = true\n") +
                    kCa));
  ASSERT_TRUE(config) << testing::lines(config.error());
  const model::EapSettings& eap = *config->tunnels[0].connection.eap;
  EXPECT_THAT(eap.methods, ElementsAre(EapType::ttls, EapType::peap));
  EXPECT_THAT(eap.inner, ElementsAre(EapInner::mschapv2));
  EXPECT_EQ(eap.outer_identity, "anonymous");
  EXPECT_EQ(eap.server, model::Identity::parse("radius.example"));
  EXPECT_TRUE(eap.only);
  EXPECT_FALSE(config->tunnels[0].credentials->key.present());
}

TEST_F(EapTlsSettings, Servers) {
  const auto ttls = loaded(server(std::string("eap = \"ttls\"\neap_inner = [\"pap\", \"mschapv2\"]\n") + kOwn));
  ASSERT_TRUE(ttls) << testing::lines(ttls.error());
  EXPECT_THAT(ttls->tunnels[0].connection.eap->inner, ElementsAre(EapInner::pap, EapInner::mschapv2));
  const auto tls = loaded(server(std::string("eap = \"tls\"\neap_only = true\n") + kOwn + kCa));
  ASSERT_TRUE(tls) << testing::lines(tls.error());
  EXPECT_TRUE(tls->tunnels[0].connection.eap->only);
}

TEST_F(EapTlsSettings, Complaints) {
  const std::string secret = "eap_secret = \"x\"\n";
  EXPECT_THAT(problems(client("eap = \"tls\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n")),
              HasSubstr("a.toml:1:1: error: tunnel.office.certificate"));
  EXPECT_THAT(problems(client(std::string("eap = \"tls\"\n") + kOwn)), HasSubstr("tunnel.office.ca"));
  EXPECT_THAT(problems(client("eap = \"ttls\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n" + secret)),
              HasSubstr("tunnel.office.ca"));
  EXPECT_THAT(problems(server(std::string("eap = \"tls\"\n") + kOwn)), HasSubstr("tunnel.office.ca"));
  EXPECT_THAT(problems(server("eap = \"peap\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n")),
              HasSubstr("tunnel.office.certificate"));
  EXPECT_THAT(problems(client(std::string("eap = \"ttls\"\n") + kOwn + kCa + secret)),
              HasSubstr("by EAP, and by certificate"));
  EXPECT_THAT(problems(client(std::string("eap = \"mschapv2\"\neap_inner = \"md5\"\n") + kCa + secret)),
              HasSubstr("neither of which is in eap"));
  EXPECT_THAT(problems(client(std::string("eap = \"peap\"\neap_inner = \"pap\"\n") + kCa + secret)),
              HasSubstr("a.toml:7:13: error: tunnel.office.eap_inner: within PEAP there is only EAP"));
  EXPECT_THAT(problems(client(std::string("eap = \"ttls\"\neap_inner = [\"pap\", \"md5\"]\n") + kCa + secret)),
              HasSubstr("names one way only"));
  EXPECT_THAT(problems(client(std::string("eap = \"ttls\"\neap_inner = \"ms\"\n") + kCa + secret)),
              HasSubstr("no inner method that is known here"));
  EXPECT_THAT(problems(client(std::string("eap = \"mschapv2\"\neap_only = true\n") + kCa + secret)),
              HasSubstr("MSCHAPV2 does not prove the server, as eap_only wants"));
  EXPECT_THAT(problems(server(std::string("eap = \"mschapv2\"\neap_only = true\n") + kOwn)),
              HasSubstr("no method in eap proves this end, too"));
  EXPECT_THAT(problems(client(std::string("eap = \"mschapv2\"\neap_outer_identity = \"anonymous\"\n") + kCa + secret)),
              HasSubstr("a method that hides who it is"));
  EXPECT_THAT(problems(client(std::string("eap = \"ttls\"\neap_server_id = \"keyid:x\"\n") + kCa + secret)),
              HasSubstr("can stand in no certificate"));
  EXPECT_THAT(problems(server(std::string("eap = \"ttls\"\neap_server_id = \"x.example\"\n") + kOwn)),
              HasSubstr("this is for a client"));
  EXPECT_THAT(problems(testing::tunnel("eap_inner = \"md5\"\n")), HasSubstr("goes with eap, which is missing"));
  std::string other = client(std::string("eap = \"tls\"\n") + kOwn + kCa);
  other.replace(other.find("carol@"), 6, "dave@");
  EXPECT_THAT(problems(other), HasSubstr("servers may refuse it"));
  EXPECT_THAT(problems(other + "eap_outer_identity = \"anonymous\"\n"), Not(HasSubstr("servers may refuse it")));
}

TEST_F(EapTlsSettings, ChangesAreTold) {
  const auto one = loaded(client(std::string("eap = \"ttls\"\neap_secret = \"x\"\n") + kCa));
  const auto two =
      loaded(client(std::string("eap = \"ttls\"\neap_secret = \"x\"\neap_inner = \"pap\"\neap_only = true\n"
                                "eap_outer_identity = \"anonymous\"\neap_server_id = \"r.example\"\n") +
                    kCa));
  ASSERT_TRUE(one && two);
  const Diff changes = diff(*one, *two);
  ASSERT_EQ(changes.changed.size(), 1u);
  EXPECT_TRUE(changes.changed[0].restarts);
  EXPECT_THAT(
      changes.changed[0].changes,
      ElementsAre("eap: as \"carol@example.net\": TTLS (mschapv2) -> as \"carol@example.net\": TTLS (pap), openly "
                  "as \"anonymous\", of the server r.example, alone"));
}

}  // namespace
}  // namespace culvert::config
