// What the targets about revocation share: an authority whose key is the same in every run, so that seeds may have its
// signatures, what it issued, and an authority of the same name with another key, in whose name nothing may be
// believed: nobody here signs with it.
#pragma once

#include <string>

#include "base/check.hpp"
#include "base/der.hpp"
#include "crypto/testing/ocsp_responder.hpp"

namespace culvert::fuzz {

using crypto::testing::TestCertificate;
using crypto::testing::TestKey;

struct World {
  static TestKey key(std::uint8_t number) { return TestKey::of_seed(Bytes(32, number)); }
  TestCertificate root = TestCertificate::make(key(1), crypto::testing::authority("root"));
  TestCertificate end = TestCertificate::make(key(2), crypto::testing::peer("gw", "DNS:gw.example"), &root);
  TestCertificate responder = TestCertificate::make(key(3), crypto::testing::ocsp_signer("responder", false), &root);
  TestCertificate stranger = TestCertificate::make(key(4), crypto::testing::authority("root"));
  crypto::Certificate root_certificate = root.certificate();
  crypto::Certificate end_certificate = end.certificate();
  crypto::Certificate stranger_certificate = stranger.certificate();
};

inline const World& world() {
  static const World made;
  return made;
}

inline void printable(const std::string& text) {
  for (const char c : text) CHECK(c >= ' ' && c < 0x7f);
}

/// SEQUENCE { what is signed, AlgorithmIdentifier of Ed25519, the signature, `behind` }.
inline Bytes signed_by(const TestCertificate& signer, ByteView content, ByteView behind = {}) {
  const auto signature = signer.key().private_key().sign(crypto::SignatureScheme::ed25519, content);
  CHECK(signature);
  const Bytes algorithm = der_element(der::kSequence, Bytes{0x06, 0x03, 0x2b, 0x65, 0x70});
  return der_element(der::kSequence,
                     concat({content, algorithm, der_element(0x03, concat({Bytes{0}, *signature})), behind}));
}

}  // namespace culvert::fuzz
