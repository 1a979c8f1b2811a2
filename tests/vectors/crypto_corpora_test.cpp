// Certificates, revocation lists and OCSP responses that the fuzzing of strongSwan has gathered, those that crashed it
// among them: all are read to their end or refused, and none is believed.
#include <gtest/gtest.h>

#include "crypto/revocation.hpp"
#include "crypto/testing/issuer.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using State = crypto::RevocationStatus::State;

void expect_printable(const std::string& text, const std::filesystem::path& file) {
  for (const char c : text) ASSERT_TRUE(c >= ' ' && c < 0x7f) << file;
}

void read_certificate(ByteView octets, const std::filesystem::path& file) {
  const auto all = crypto::Certificate::from_file_content(octets);
  if (!all) return expect_printable(all.error(), file);
  for (const crypto::Certificate& one : *all) {
    expect_printable(one.subject(), file);
    expect_printable(one.issuer(), file);
    expect_printable(one.serial(), file);
    expect_printable(one.public_key().to_string(), file);
    (void)one.alternative_names();
    (void)one.key_digest();
    for (const std::string& url : crypto::revocation_places(one).lists) expect_printable(url, file);
  }
}

TEST(Corpora, WhatOthersHaveGatheredIsReadToItsEndOrRefused) {
  const auto root = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("root")).certificate();
  std::size_t files = 0;
  for (const char* kind : {"certs", "certs-crash", "crls", "ocsp_rsp", "ocsp_rsp-crash"}) {
    const std::string folder = std::string("fuzz-corpora/strongswan/") + kind;
    REQUIRE_VECTORS(path, folder);
    for (const auto& file : files_in(folder)) {
      ++files;
      const Bytes octets = read_file(file);
      read_certificate(octets, file);
      const auto status = crypto::judge_ocsp(octets, root, root, crypto::testing::kToday);
      EXPECT_EQ(status.state, State::unknown) << file;
      expect_printable(status.found, file);
      const auto lists = crypto::RevocationList::from_file_content(octets);
      if (!lists) continue;
      for (const crypto::RevocationList& list : *lists)
        EXPECT_EQ(crypto::judge_list(list, root, root, crypto::testing::kToday).state, State::unknown) << file;
    }
  }
  EXPECT_GT(files, 100U);
}

}  // namespace
}  // namespace culvert::vectors
