// Identities that a certificate has, or is said to have.
#include "model/certificate_identity.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/check.hpp"
#include "crypto/testing/issuer.hpp"

namespace culvert::model {
namespace {

using crypto::testing::TestCertificate;
using crypto::testing::TestKey;

// CVE-2013-6075: a distinguished name that is shorter than its own lengths say; and any other piece of one.
TEST(CertificateIdentity, CutAndChangedNamesAreNotTheCertificates) {
  const auto certificate =
      TestCertificate::make(TestKey::make("P-256"), crypto::testing::peer("gw", "DNS:gw.example,email:a@gw.example"))
          .certificate();
  const Bytes name = certificate.subject_der();
  const auto has = [&](Bytes octets) {
    return has_identity(certificate, {IdentificationType::der_asn1_dn, std::move(octets)});
  };
  ASSERT_TRUE(has(name));
  for (std::size_t size = 0; size < name.size(); ++size)
    EXPECT_FALSE(has(to_bytes(ByteView(name).first(size)))) << size;
  // RFC 5280 7.1: the kind alone of a string, whose octet follows that of the attribute's type, makes no other name.
  const auto is_kind = [&](std::size_t at) { return at >= 5 && name[at - 5] == 0x06 && name[at - 4] == 0x03; };
  for (std::size_t at = 0; at < name.size(); ++at) {
    if (is_kind(at)) continue;
    Bytes changed = name;
    changed[at] ^= 0x01;
    EXPECT_FALSE(has(changed)) << at;
  }
  Bytes longer = name;
  longer.push_back(0);
  EXPECT_FALSE(has(longer));
}

/// A certificate with that as its alternative names, in DER.
crypto::Certificate with_names(const std::vector<Bytes>& names) {
  Bytes all;
  for (const Bytes& name : names) all.insert(all.end(), name.begin(), name.end());
  std::string text = "DER:";
  const auto append = [&](ByteView octets) {
    for (const std::uint8_t octet : octets) text += fmt::format("{:02x}", octet);
  };
  CHECK(all.size() < 0x80);
  append(Bytes{0x30, static_cast<std::uint8_t>(all.size())});
  append(all);
  crypto::testing::Wish wish = crypto::testing::peer("gw", "");
  wish.extensions.emplace_back("subjectAltName", text);
  static const TestKey key = TestKey::make("P-256");
  return TestCertificate::make(key, wish).certificate();
}

// CVE-2017-9023: a GeneralName is a CHOICE. Whatever is chosen, also what no such name has, and at whatever length, is
// read once, to its end: it is an identity of its own kind or none, and there is no loop that waits for one.
TEST(CertificateIdentity, EveryChoiceOfAnAlternativeNameEnds) {
  const Identity subject = identities_of(with_names({}))[0];
  for (unsigned tag = 0; tag < 0x100; ++tag) {
    if ((tag & 0x1fU) == 0x1fU) continue;  // of several octets, below
    for (const std::size_t length : {0U, 1U, 4U, 16U}) {
      Bytes name = {static_cast<std::uint8_t>(tag), static_cast<std::uint8_t>(length)};
      name.insert(name.end(), length, 'a');
      const auto certificate = with_names({name});
      (void)preferred_identity(certificate);
      EXPECT_FALSE(identities_text(certificate).empty());
      for (const Identity& one : identities_of(certificate)) {
        if (one == subject) continue;
        EXPECT_EQ(has_identity(certificate, one), !one.data.empty());
        if (one.data.empty()) continue;  // a name without an octet is nobody's
        const bool text = (tag == 0x81 || tag == 0x82);
        const bool address = tag == 0x87 && (length == 4 || length == 16);
        EXPECT_TRUE(text || address) << fmt::format("tag {:#x} of {} octets was taken for {}", tag, length,
                                                    one.to_string());
      }
    }
  }
  // Lengths that go beyond, that are not minimal, that never end; tags of several octets; names within names.
  for (const Bytes& name : std::vector<Bytes>{{0x82, 0x7f, 'a'},
                                              {0x82, 0x81, 0x01, 'a'},
                                              {0x82, 0x84, 0xff, 0xff, 0xff, 0xff},
                                              {0x82, 0x80, 'a', 0, 0},
                                              {0x9f, 0x81, 0x81, 0x01, 0x01, 'a'},
                                              {0x9f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                              {0xa4, 0x02, 0xa4, 0x00},
                                              {0xa4, 0x04, 0xa4, 0x02, 0xa4, 0x00},
                                              {0xa0, 0x06, 0x06, 0x01, 0x2a, 0xa0, 0x01, 0x00},
                                              {0xa3, 0x00},
                                              {0xa5, 0x02, 0xa1, 0x00}}) {
    const auto certificate = with_names({name});
    // Where the octets are beyond doubt, if not in the shortest form, there may be the one name that they have.
    for (const Identity& one : identities_of(certificate))
      EXPECT_TRUE(one == subject || one == Identity::parse("a") || one.data.empty()) << one.to_string();
  }
}

// RFC 7619 2.2: nobody is in no certificate; nor is what stands in it taken for something of another type.
TEST(CertificateIdentity, TypesAreNotMixed) {
  const auto certificate =
      TestCertificate::make(TestKey::make("P-256"), crypto::testing::peer("gw", "DNS:gw.example")).certificate();
  const Bytes text = to_bytes(as_bytes("gw.example"));
  EXPECT_TRUE(has_identity(certificate, {IdentificationType::fqdn, text}));
  for (const auto type : {IdentificationType::rfc822_addr, IdentificationType::key_id, IdentificationType::der_asn1_gn,
                          IdentificationType::der_asn1_dn, IdentificationType::null, IdentificationType::ipv4_addr})
    EXPECT_FALSE(has_identity(certificate, {type, text})) << name_of(type);
  EXPECT_FALSE(has_identity(certificate, Identity::none()));
}

}  // namespace
}  // namespace culvert::model
