#include "model/identity.hpp"

#include <gtest/gtest.h>

namespace culvert::model {
namespace {

TEST(Identity, TakesTheTypeFromTheText) {
  EXPECT_EQ(Identity::parse("192.0.2.1").type, IdentificationType::ipv4_addr);
  EXPECT_EQ(Identity::parse("2001:db8::1").type, IdentificationType::ipv6_addr);
  EXPECT_EQ(Identity::parse("gw.example.net").type, IdentificationType::fqdn);
  EXPECT_EQ(Identity::parse("@gw.example.net"), Identity::parse("gw.example.net"));
  EXPECT_EQ(Identity::parse("joe@example.net").type, IdentificationType::rfc822_addr);
  EXPECT_EQ(Identity::parse("keyid:0x0102").data, (Bytes{1, 2}));
  EXPECT_EQ(Identity::parse("keyid:abc").data, (Bytes{'a', 'b', 'c'}));
}

TEST(Identity, PrintsWithoutLettingForeignBytesThrough) {
  EXPECT_EQ(Identity::parse("2001:db8::1").to_string(), "2001:db8::1");
  EXPECT_EQ((Identity{IdentificationType::fqdn, {'a', '\n', 'b'}}.to_string()), "a\\x0ab");
  EXPECT_EQ((Identity{IdentificationType::ipv4_addr, {1, 2}}.to_string()), "malformed address 0x0102");
  EXPECT_EQ((Identity{IdentificationType::key_id, {1, 2}}.to_string()), "keyid:0x0102");
}

TEST(Identity, SameBytesOfAnotherTypeAreAnotherIdentity) {  // RFC 4301 4.4.3.1
  EXPECT_NE((Identity{IdentificationType::fqdn, {'a'}}), (Identity{IdentificationType::key_id, {'a'}}));
}

}  // namespace
}  // namespace culvert::model
