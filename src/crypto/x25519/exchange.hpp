// X25519 as a key exchange of IKEv2 (RFC 8031).
#pragma once

#include "crypto/key_exchange.hpp"

namespace culvert::crypto::x25519 {

/// `scalar` of kSize octets.
[[nodiscard]] std::unique_ptr<KeyExchange> make_exchange(SecretBytes scalar);

}  // namespace culvert::crypto::x25519
