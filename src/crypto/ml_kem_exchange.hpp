// ML-KEM as a key exchange: the initiator's public value is its encapsulation key, the responder's the ciphertext. By
// OpenSSL where the installed one has it (3.5), else by our own.
#pragma once

#include <memory>

#include "crypto/key_exchange.hpp"

namespace culvert::crypto {

/// `id` is one of ML-KEM's.
[[nodiscard]] Result<std::unique_ptr<KeyExchange>, CryptoError> make_ml_kem_initiator(KeyExchangeId id,
                                                                                      RandomSource& random);
[[nodiscard]] std::unique_ptr<KeyExchange> make_ml_kem_responder(KeyExchangeId id, RandomSource& random);
/// Computed by code of our own, as the installed OpenSSL has none.
[[nodiscard]] bool is_own_ml_kem(KeyExchangeId id);
[[nodiscard]] std::size_t ml_kem_public_value_size(KeyExchangeId id, bool responder);

}  // namespace culvert::crypto
