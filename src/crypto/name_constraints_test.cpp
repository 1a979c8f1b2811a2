// CVE-2026-35331: name constraints hold for every form of name that they speak of (RFC 5280 4.2.1.10).
#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"
#include "crypto/trust.hpp"

namespace culvert::crypto {
namespace {

using testing::kToday;
using testing::TestCertificate;
using testing::TestKey;

TEST(NameConstraints, EachFormOfName) {
  const TestKey key = TestKey::make("P-256");
  const TestCertificate root = TestCertificate::make(TestKey::make("P-256"), testing::authority("root"));
  const TrustStore trust = TrustStore::make(std::vector{root.certificate()}, {});
  struct Case {
    const char* constraint;
    const char* inside;
    const char* outside;
  };
  for (const Case& one : {
           Case{"permitted;DNS:a.example", "DNS:gw.a.example", "DNS:gw.b.example"},
           Case{"excluded;DNS:b.example", "DNS:gw.a.example", "DNS:gw.b.example"},
           Case{"permitted;email:a.example", "email:amy@a.example", "email:amy@b.example"},
           Case{"excluded;email:b.example", "email:amy@a.example", "email:amy@b.example"},
           Case{"permitted;IP:192.0.2.0/255.255.255.0", "IP:192.0.2.7", "IP:198.51.100.7"},
           Case{"excluded;IP:198.51.100.0/255.255.255.0", "IP:192.0.2.7", "IP:198.51.100.7"},
           Case{"permitted;IP:2001:db8::/ffff:ffff::", "IP:2001:db8::1", "IP:2001:db9::1"},
           Case{"permitted;URI:.a.example", "URI:http://x.a.example/", "URI:http://x.b.example/"},
           Case{"excluded;URI:.b.example", "URI:http://x.a.example/", "URI:http://x.b.example/"},
       }) {
    testing::Wish wish = testing::authority("middle");
    wish.extensions.emplace_back("nameConstraints", std::string("critical,") + one.constraint);
    const TestCertificate middle = TestCertificate::make(key, wish, &root);
    const auto check = [&](const char* name) {
      const auto leaf = TestCertificate::make(key, testing::peer("gw", name), &middle);
      return trust.verify(leaf.certificate(), std::vector{middle.certificate()}, {.now = kToday});
    };
    const auto good = check(one.inside);
    EXPECT_TRUE(good) << one.constraint << ", " << one.inside << ": " << good.error().to_string();
    const auto bad = check(one.outside);
    ASSERT_FALSE(bad) << one.constraint << ", " << one.outside;
    EXPECT_EQ(bad.error().check, PathCheck::name_constraints) << bad.error().to_string();
    // One name that is not allowed spoils those that are.
    EXPECT_FALSE(check((std::string(one.inside) + "," + one.outside).c_str())) << one.constraint;
  }
}

}  // namespace
}  // namespace culvert::crypto
