// Certification paths against NIST's PKITS (its first edition, of 76 tests) with the verdicts that are kept beside it.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "crypto/trust.hpp"
#include "support.hpp"

namespace culvert::vectors {
namespace {

using crypto::Certificate;
using crypto::PathCheck;
using crypto::RevocationList;

constexpr crypto::CalendarTime kYear2002 = 1'014'000'000;  // 2002-02-18: certificates and lists of the set are of then

// What each verdict of the set may be called here.
const std::map<std::string, std::set<PathCheck>> kVerdicts = {
    {"Signature error", {PathCheck::signature}},
    {"Certificate is not yet valid", {PathCheck::not_yet_valid}},
    {"Certificate has expired", {PathCheck::expired}},
    {"Certificate issuer not found", {PathCheck::issuer}},
    {"No revocation data", {PathCheck::revocation_unknown, PathCheck::revocation_list}},
    {"Certificate is revoked", {PathCheck::revoked}},
    {"CA certificate not allowed to issue certs", {PathCheck::authority}},
    // A list by a key that must not sign lists is no list.
    {"CA certificate not allowed to issue CRLs", {PathCheck::revocation_list, PathCheck::revocation_unknown}},
    {"Certificate chain too long", {PathCheck::path_length}},
    {"CRL bad signature", {PathCheck::revocation_list}},
    // A delta list without its base is passed over, so that there is none.
    {"CRL contains a critical extension that could not be processed",
     {PathCheck::revocation_list, PathCheck::revocation_unknown}},
    {"Policy is missing", {PathCheck::policy}},
    {"CRL has expired", {PathCheck::revocation_stale}},
};

std::map<std::string, std::string> expectations(const std::filesystem::path& path) {
  std::map<std::string, std::string> all;
  std::istringstream lines(read_text(path));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (line.starts_with("test") && colon != std::string::npos) all[line.substr(0, colon)] = line.substr(colon + 1);
  }
  return all;
}

TEST(PathVectors, NistPkits) {
  REQUIRE_VECTORS(path, "x509/botan-nist-pkits/expected.txt");
  const std::filesystem::path folder = path.parent_path();
  const auto certificates = [](const std::filesystem::path& file) {
    const auto read = Certificate::from_file_content(read_file(file));
    EXPECT_TRUE(read) << file << (read ? "" : read.error());
    return read ? *read : std::vector<Certificate>();
  };
  auto all = expectations(path);
  // Marked as wrong by the set's keeper, whose validator has no policies: the path must have one, and has none.
  for (const char* test : {"test45", "test46", "test47"}) all.at(test) = "Policy is missing";
  unsigned verified = 0;
  unsigned refused = 0;
  for (const auto& [test, expected] : all) {
    std::vector<Certificate> others;
    std::vector<RevocationList> lists = *RevocationList::from_file_content(read_file(folder / "root.crl"));
    std::optional<Certificate> end;
    for (const auto& entry : std::filesystem::directory_iterator(folder / test)) {
      const std::string name = entry.path().filename().string();
      if (name == "end.crt") {
        end = certificates(entry.path()).at(0);
      } else if (name.ends_with(".crt")) {
        others.push_back(certificates(entry.path()).at(0));
      } else if (name.ends_with(".crl")) {
        const auto read = RevocationList::from_file_content(read_file(entry.path()));
        ASSERT_TRUE(read) << entry.path();
        lists.insert(lists.end(), read->begin(), read->end());
      }
    }
    ASSERT_TRUE(end) << test;
    const std::vector anchors = {certificates(folder / "root.crt").at(0)};
    const auto verdict =
        crypto::TrustStore::make(anchors, lists).verify(*end, others, {.now = kYear2002, .strong = false});
    if (verdict) {
      ++verified;
      EXPECT_EQ(expected, "Verified") << test;
    } else {
      ++refused;
      const auto named = kVerdicts.find(expected);
      EXPECT_TRUE(named != kVerdicts.end() && named->second.contains(verdict.error().check))
          << test << ": " << expected << "; here: " << verdict.error().to_string();
    }
  }
  std::printf("  PKITS: %u paths verified, %u refused\n", verified, refused);
  EXPECT_EQ(verified + refused, 76u);
}

}  // namespace
}  // namespace culvert::vectors
