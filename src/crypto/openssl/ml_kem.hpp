// ML-KEM by OpenSSL, which has it since 3.5. Whether it is there is found out when the program runs: the same binary
// goes with older ones, and takes crypto/ml_kem.hpp then.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/error.hpp"
#include "crypto/ml_kem.hpp"
#include "crypto/openssl/handles.hpp"

namespace culvert::crypto::openssl {

/// Looked up once.
[[nodiscard]] bool has_ml_kem(ml_kem::ParameterSet set);

/// One key, private or public. Only where has_ml_kem() holds.
class MlKemKey {
 public:
  /// FIPS 203 6.1, from the seeds d and z.
  [[nodiscard]] static Result<MlKemKey, CryptoError> from_seeds(ml_kem::ParameterSet set, ByteView d, ByteView z);
  /// FIPS 203 7.3: `bad_public_value` for one whose parts do not belong together.
  [[nodiscard]] static Result<MlKemKey, CryptoError> from_decapsulation_key(ml_kem::ParameterSet set, ByteView key);
  /// FIPS 203 7.2: `bad_public_value` for another length, or a coefficient that is not reduced.
  [[nodiscard]] static Result<MlKemKey, CryptoError> from_encapsulation_key(ml_kem::ParameterSet set, ByteView key);

  [[nodiscard]] Result<Bytes, CryptoError> encapsulation_key() const;
  /// Of a private key.
  [[nodiscard]] Result<SecretBytes, CryptoError> decapsulation_key() const;
  [[nodiscard]] Result<SecretBytes, CryptoError> decapsulate(ByteView ciphertext) const;
  /// With the random octets m.
  [[nodiscard]] Result<ml_kem::Encapsulated, CryptoError> encapsulate(ByteView m) const;

 private:
  MlKemKey(ml_kem::ParameterSet set, PublicKey key) : set_(set), key_(std::move(key)) {}
  ml_kem::ParameterSet set_;
  PublicKey key_;
};

}  // namespace culvert::crypto::openssl
