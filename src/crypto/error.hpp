#pragma once

#include <cstdint>

namespace culvert::crypto {

/// Why a cryptographic operation gave no result.
enum class CryptoError : std::uint8_t {
  unsupported,       // no installed backend has the algorithm
  bad_key_length,    // the key does not have the algorithm's size
  bad_public_value,  // a peer's key exchange value is malformed, off the curve, out of range, or gives an all-zero
                     // secret
  authentication_failed,
  backend_failure  // the library refused for a reason of its own
};

[[nodiscard]] const char* to_string(CryptoError error);

}  // namespace culvert::crypto
