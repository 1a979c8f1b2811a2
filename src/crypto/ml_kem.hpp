// ML-KEM (FIPS 203): key encapsulation by module lattices, for where OpenSSL has none (before 3.5).
//
// Time depends on the parameters and on public octets only: no branch, no address and no division by what is secret.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/error.hpp"

namespace culvert::crypto::ml_kem {

enum class ParameterSet : std::uint8_t { ml_kem_512, ml_kem_768, ml_kem_1024 };

inline constexpr std::size_t kSeedSize = 32;
inline constexpr std::size_t kSharedSecretSize = 32;

/// In octets (FIPS 203 8, table 3).
[[nodiscard]] std::size_t encapsulation_key_size(ParameterSet set);
[[nodiscard]] std::size_t decapsulation_key_size(ParameterSet set);
[[nodiscard]] std::size_t ciphertext_size(ParameterSet set);

struct KeyPair {
  Bytes encapsulation_key;
  SecretBytes decapsulation_key;
};
/// FIPS 203 6.1: from the random seeds d and z, of kSeedSize octets each.
[[nodiscard]] KeyPair generate(ParameterSet set, ByteView d, ByteView z);

struct Encapsulated {
  Bytes ciphertext;
  SecretBytes shared_secret;
};
/// FIPS 203 7.2: with the random octets m, of kSeedSize. `bad_public_value` for a key of another length, or with a
/// coefficient that is not reduced.
[[nodiscard]] Result<Encapsulated, CryptoError> encapsulate(ParameterSet set, ByteView encapsulation_key, ByteView m);

/// FIPS 203 7.3. `bad_public_value` for a ciphertext of another length; one that is not genuine gives a secret that
/// nobody has (implicit rejection). The key must be one that is_decapsulation_key() takes.
[[nodiscard]] Result<SecretBytes, CryptoError> decapsulate(ParameterSet set, ByteView decapsulation_key,
                                                           ByteView ciphertext);
/// FIPS 203 7.3: has the right length, and its parts belong together. Ours need not be asked.
[[nodiscard]] bool is_decapsulation_key(ParameterSet set, ByteView decapsulation_key);

}  // namespace culvert::crypto::ml_kem
