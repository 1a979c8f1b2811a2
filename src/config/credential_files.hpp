// CredentialFiles: the files of certificates, keys and revocation lists that configurations name, each read once
// however many tunnels share it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/certificate.hpp"
#include "crypto/key_container.hpp"
#include "crypto/signature.hpp"
#include "crypto/trust.hpp"

namespace culvert::config {

/// What is wrong with a file, and the way out.
struct FileFault {
  std::string message;
  std::string hint;
};

class CredentialFiles {
 public:
  /// `now` is what the dates of certificates are compared with.
  explicit CredentialFiles(crypto::CalendarTime now) : now_(now) {}

  [[nodiscard]] crypto::CalendarTime now() const { return now_; }

  using Certificates = Result<std::vector<crypto::Certificate>, FileFault>;
  using Lists = Result<std::vector<crypto::RevocationList>, FileFault>;
  using Key = Result<crypto::PrivateKey, FileFault>;
  [[nodiscard]] const Certificates& certificates(const std::string& path);
  /// Of a URI that OpenSSL knows, such as that of a token.
  [[nodiscard]] const Certificates& certificates_at(const std::string& uri, const SecretBytes& password);
  [[nodiscard]] const Lists& lists(const std::string& path);
  /// A key that has made a signature which its own public half takes for right. `source` is a path or a URI; the file
  /// may be one of PKCS#12.
  [[nodiscard]] const Key& key(const std::string& source, const SecretBytes& password = {});
  /// Whether it is a file of PKCS#12, which has keys and certificates together.
  [[nodiscard]] bool is_container(const std::string& path);
  using Container = Result<crypto::KeyContainer, FileFault>;
  [[nodiscard]] const Container& container(const std::string& path, const SecretBytes& password);
  using PublicKey = Result<crypto::PublicKey, FileFault>;
  [[nodiscard]] const PublicKey& public_key(const std::string& path);

  /// What the files hold together, and a digest of all that is in them.
  struct Trust {
    crypto::TrustStore store;
    Bytes authorities;  // digests as CERTREQ has them, each once
    Bytes fingerprint;
  };
  /// All files must be good.
  [[nodiscard]] const Trust& trust(const std::vector<std::string>& authorities, const std::vector<std::string>& lists);

 private:
  crypto::CalendarTime now_;
  std::map<std::string, Certificates> certificates_;
  std::map<std::string, Lists> lists_;
  using Locked = std::pair<std::string, Bytes>;  // a path or URI, and a digest of the password
  std::map<Locked, Certificates> certificates_at_;
  std::map<Locked, Key> keys_;
  std::map<std::string, bool> are_containers_;
  std::map<Locked, Container> containers_;
  std::map<std::string, PublicKey> public_keys_;
  std::map<std::pair<std::vector<std::string>, std::vector<std::string>>, Trust> trusts_;
};

}  // namespace culvert::config
