// What reads private keys from containers, stores and engines shares.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/openssl/x509_handles.hpp"
#include "crypto/signature.hpp"

namespace culvert::crypto::openssl {

/// A key that IKEv2 signs with; `turn` is locked for each signature, where that is needed.
[[nodiscard]] Result<crypto::PrivateKey, std::string> private_key_of(PublicKey key,
                                                                     std::shared_ptr<std::mutex> turn = {});

/// Answers the library's question for a password, as pem_password_cb.
struct PasswordOnce {
  ByteView password;
  bool asked = false;
  bool given = false;
  static int give(char* to, int size, int writing, void* self);
};

/// Nothing when no provider knows the URI's scheme.
[[nodiscard]] std::optional<Result<crypto::PrivateKey, std::string>> load_from_store(const std::string& uri,
                                                                                     ByteView password);
[[nodiscard]] std::optional<Result<std::vector<Certificate>, std::string>> certificates_from_store(
    const std::string& uri, ByteView password);
/// By the engine "pkcs11".
[[nodiscard]] Result<crypto::PrivateKey, std::string> load_from_engine(const std::string& uri, ByteView pin);
[[nodiscard]] Result<std::vector<Certificate>, std::string> certificates_from_engine(const std::string& uri,
                                                                                     ByteView pin);

}  // namespace culvert::crypto::openssl
