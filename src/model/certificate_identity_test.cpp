// Identities that a certificate has, or is said to have.
#include "model/certificate_identity.hpp"

#include <gtest/gtest.h>

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
