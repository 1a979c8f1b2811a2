// libFuzzer: what a peer proves itself with. Any octets are a certificate, several of them (each behind two octets of
// its length), a list of announced methods, an AlgorithmIdentifier and the AUTH data of every method; a path to an
// authority is looked for, and nothing that the fuzzer makes may lead to one. Who the peer says it is, and what takes
// certificates back, have targets of their own (identity_fuzz, crl_fuzz, ocsp_fuzz).
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "crypto/testing/issuer.hpp"
#include "ike/auth/announced_methods.hpp"
#include "ike/auth/certificate_proof.hpp"
#include "ike/auth/digital_signature.hpp"
#include "model/certificate_identity.hpp"

namespace {

using namespace culvert;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;

struct World {
  TestCertificate root = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("root"));
  crypto::TrustStore trust = crypto::TrustStore::make(std::vector{root.certificate()}, {});
  crypto::PublicKey key = root.certificate().public_key();
};

World& world() {
  static World made;
  return made;
}

void printable(const std::string& text) {
  for (const char c : text) CHECK(c >= ' ' && c < 0x7f);
}

void read_certificate(ByteView octets) {
  const auto certificate = crypto::Certificate::from_der(octets);
  if (!certificate) return printable(certificate.error());
  printable(certificate->subject());
  printable(certificate->issuer());
  printable(certificate->serial());
  printable(certificate->public_key().to_string());
  printable(model::identities_text(*certificate));
  for (const model::Identity& identity : model::identities_of(*certificate))
    CHECK(identity.data.empty() || model::has_identity(*certificate, identity));
  (void)certificate->key_digest();
}

void prove(ByteView octets) {
  std::vector<Bytes> certificates;
  ByteReader reader(octets);
  while (reader.remaining() > 2 && certificates.size() < 10) {
    const std::size_t length = reader.u16();
    certificates.push_back(to_bytes(reader.bytes(std::min(length, reader.remaining()))));
  }
  certificates.push_back(to_bytes(octets));
  const model::Identity identity{model::IdentificationType::der_asn1_dn, to_bytes(octets)};
  for (const auto method : {model::AuthenticationMethod::digital_signature, model::AuthenticationMethod::rsa_signature,
                            model::AuthenticationMethod::ecdsa_256}) {
    const ike::auth::Proof proof{method, to_bytes(octets)};
    const auto refusal =
        ike::auth::judge({identity, proof, octets, certificates, {}, true}, world().trust, crypto::testing::kToday);
    CHECK(refusal.has_value());
    printable(refusal->to_string());
    CHECK(ike::auth::signature_fault(world().key, proof, octets, true).has_value());
  }
}

void read_announcements(ByteView octets) {
  std::vector<model::AnnouncedMethod> methods;
  ike::auth::decode_methods(octets, methods);
  CHECK(methods.size() <= model::kMostAnnounced);
  std::vector<model::AnnouncedMethod> again;
  ike::auth::decode_methods(ike::auth::encode_methods(methods), again);
  CHECK(again == methods);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView octets(data, size);
  read_certificate(octets);
  (void)crypto::Certificate::from_file_content(octets);
  if (const auto scheme = ike::auth::scheme_of(octets))
    CHECK(ike::auth::hash_of(*scheme) != model::SignatureHash::sha1);
  (void)ike::auth::decode_hashes(octets);
  prove(octets);
  read_announcements(octets);
  return 0;
}
