// ML-KEM as a key exchange: the initiator's public value is its encapsulation key, the responder's the ciphertext.
#pragma once

#include <memory>

#include "crypto/key_exchange.hpp"

namespace culvert::crypto {

/// `id` is one of ML-KEM's.
[[nodiscard]] std::unique_ptr<KeyExchange> make_ml_kem_initiator(KeyExchangeId id, RandomSource& random);
[[nodiscard]] std::unique_ptr<KeyExchange> make_ml_kem_responder(KeyExchangeId id, RandomSource& random);
[[nodiscard]] std::size_t ml_kem_public_value_size(KeyExchangeId id, bool responder);

}  // namespace culvert::crypto
