// The key exchange methods, one file each. An absent private value means: draw one from the random source.
#pragma once

#include "crypto/key_exchange.hpp"

namespace culvert::crypto::openssl {

using MadeKeyExchange = Result<std::unique_ptr<KeyExchange>, CryptoError>;

/// Exactly one of the two is used: `random` when it is given, else `private_value`.
struct PrivateValueSource {
  RandomSource* random = nullptr;
  ByteView private_value;
};

/// X25519 and X448.
[[nodiscard]] MadeKeyExchange make_montgomery(KeyExchangeId id, const PrivateValueSource& source);
[[nodiscard]] MadeKeyExchange make_ecp(KeyExchangeId id, const PrivateValueSource& source);
[[nodiscard]] MadeKeyExchange make_modp(KeyExchangeId id, const PrivateValueSource& source);

}  // namespace culvert::crypto::openssl
