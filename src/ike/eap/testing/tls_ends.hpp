// The two ends of a conversation by EAP-TLS, TTLS or PEAP, with certificates made for it. Header only; never part of
// the product.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "crypto/testing/issuer.hpp"
#include "crypto/tls_channel.hpp"
#include "ike/eap/tls_method.hpp"

namespace culvert::ike::eap::testing {

using crypto::testing::kDay;
using crypto::testing::kToday;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using crypto::testing::Wish;

inline const TestKey& key_of(const std::string& who) {
  static std::map<std::string, TestKey> keys;
  const auto found = keys.find(who);
  return found != keys.end() ? found->second : keys.emplace(who, TestKey::make("P-256")).first->second;
}

inline const TestCertificate& root() {
  static const auto made = TestCertificate::make(key_of("root"), crypto::testing::authority("root"));
  return made;
}
inline const TestCertificate& stranger() {
  static const auto made = TestCertificate::make(key_of("stranger"), crypto::testing::authority("stranger"));
  return made;
}
inline TestCertificate issue(const Wish& wish, const TestCertificate& issuer = root()) {
  return TestCertificate::make(key_of(wish.name), wish, &issuer);
}
inline TestCertificate server_certificate() { return issue(crypto::testing::peer("server", "DNS:b.example")); }
inline TestCertificate client_certificate() { return issue(crypto::testing::peer("carol", "email:carol@example.net")); }

struct TlsEnd {
  std::vector<Bytes> certificates;
  crypto::PrivateKey key;
  std::vector<crypto::Certificate> believed;
  std::string lists;
  bool tls13 = true;

  static TlsEnd of(const TestCertificate& own) {
    return {.certificates = {own.der()},
            .key = own.key().private_key(),
            .believed = {root().certificate()},
            .lists = {},
            .tls13 = true};
  }
  [[nodiscard]] std::shared_ptr<const crypto::TlsContext> context(bool server) const {
    std::vector<crypto::RevocationList> revoked;
    if (!lists.empty()) revoked = *crypto::RevocationList::from_file_content(as_bytes(lists));
    auto made = crypto::TlsContext::make({.server = server,
                                          .certificates = certificates,
                                          .key = key,
                                          .trust = crypto::TrustStore::make(believed, revoked),
                                          .with_tls13 = tls13});
    CHECK(made);
    return *made;
  }
};

}  // namespace culvert::ike::eap::testing
