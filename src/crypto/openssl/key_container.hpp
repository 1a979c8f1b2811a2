// What reads private keys from containers, stores and engines shares.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
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

/// The library's words for all that went wrong, in one line; empties its queue.
[[nodiscard]] std::string queued_errors();

/// Answers the library's question for a password, as pem_password_cb.
struct PasswordOnce {
  ByteView password;
  bool asked = false;
  bool given = false;
  static int give(char* to, int size, int writing, void* self);
};

/// A URI without the "?provider=NAME" at its end, and that provider loaded. `turn` is for its keys: what it talks to
/// may be for one thread. Null where no provider is named.
struct UriForStore {
  std::string uri;
  std::shared_ptr<std::mutex> turn;
};
/// The error is the end of a sentence about the URI.
[[nodiscard]] Result<UriForStore, std::string> with_its_provider(std::string_view uri);

/// Nothing when no provider knows the URI's scheme.
[[nodiscard]] std::optional<Result<crypto::PrivateKey, std::string>> load_from_store(const UriForStore& from,
                                                                                     ByteView password);
[[nodiscard]] std::optional<Result<std::vector<Certificate>, std::string>> certificates_from_store(
    const std::string& uri, ByteView password);
/// By the engine "pkcs11".
[[nodiscard]] Result<crypto::PrivateKey, std::string> load_from_engine(const std::string& uri, ByteView pin);
[[nodiscard]] Result<std::vector<Certificate>, std::string> certificates_from_engine(const std::string& uri,
                                                                                     ByteView pin);

}  // namespace culvert::crypto::openssl
