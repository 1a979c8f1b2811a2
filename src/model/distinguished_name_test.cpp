#include "model/distinguished_name.hpp"

#include <gtest/gtest.h>

#include "model/identity.hpp"

namespace culvert::model {
namespace {

TEST(DistinguishedName, IsWrittenAsCertificatesHaveIt) {
  const auto name = parse_distinguished_name("C=CH, O=Culvert, CN=gw.example.net");
  ASSERT_TRUE(name);
  EXPECT_EQ(to_hex(*name),
            "3038310b300906035504061302434831"
            "10300e060355040a0c0743756c7665727431"
            "17301506035504030c0e67772e6578616d706c652e6e6574");
  EXPECT_EQ(distinguished_name_text(*name), "C=CH, O=Culvert, CN=gw.example.net");
  EXPECT_EQ(distinguished_name_text(*parse_distinguished_name("e=a@b.example,cn=Smith\\, J.,dc=example")),
            "emailAddress=a@b.example, CN=Smith\\, J., DC=example");
}

TEST(DistinguishedName, WhatIsNoneIsRefused) {
  for (const char* text : {"", "CN", "CN=", "CN=a,", "XX=a", "=a", "CN=a, O"})
    EXPECT_FALSE(parse_distinguished_name(text)) << text;
}

// RFC 5280 7.1: names are compared by what they say.
TEST(DistinguishedName, KindOfStringCaseAndBlanksDoNotTellNamesApart) {
  const Bytes name = *parse_distinguished_name("C=CH, O=My  Firm, CN=Gw");
  EXPECT_EQ(comparable_name(name), comparable_name(*parse_distinguished_name("c=ch, o= my firm ,cn=gw")));
  Bytes printable = name;  // the last value as a PrintableString
  printable[printable.size() - 4] = 0x13;
  EXPECT_NE(name, printable);
  EXPECT_EQ(comparable_name(name), comparable_name(printable));
  for (const char* other :
       {"C=CH, O=MyFirm, CN=Gw", "C=CH, O=My Firm", "C=CH, CN=Gw, O=My Firm", "C=CH, O=My Firm, OU=Gw"})
    EXPECT_NE(comparable_name(name), comparable_name(*parse_distinguished_name(other))) << other;
}

TEST(DistinguishedName, OctetsOfAPeerAreReadWithCare) {
  const Bytes name = *parse_distinguished_name("C=CH, CN=gw");
  for (std::size_t size = 0; size < name.size(); ++size) {
    const ByteView cut = ByteView(name).first(size);
    EXPECT_TRUE(distinguished_name_text(cut).starts_with("malformed name 0x")) << size;
    EXPECT_EQ(comparable_name(cut), to_bytes(cut));
  }
  for (std::size_t at = 0; at < name.size(); ++at) {
    for (unsigned value = 0; value < 256; ++value) {
      Bytes changed = name;
      changed[at] = static_cast<std::uint8_t>(value);
      for (const char c : distinguished_name_text(changed)) ASSERT_TRUE(c >= ' ' && c < 0x7f);
      if (changed != name) (void)comparable_name(changed);
    }
  }
  EXPECT_EQ(distinguished_name_text(*from_hex("3000")), "empty name");
}

TEST(DistinguishedName, IsAnIdentity) {
  const Identity identity = Identity::parse("C=CH, CN=gw");
  EXPECT_EQ(identity.type, IdentificationType::der_asn1_dn);
  EXPECT_EQ(identity.to_string(), "C=CH, CN=gw");
  EXPECT_TRUE(Identity::parse("C=CH, XX=gw").data.empty());
  EXPECT_EQ(Identity::parse("c=ch, cn=GW").comparable(), identity.comparable());
  EXPECT_NE(Identity::parse("c=ch, cn=GW"), identity);
}

}  // namespace
}  // namespace culvert::model
