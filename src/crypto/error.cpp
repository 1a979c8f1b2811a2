#include "crypto/error.hpp"

namespace culvert::crypto {

const char* to_string(CryptoError error) {
  switch (error) {
    case CryptoError::unsupported: return "the algorithm is not supported here";
    case CryptoError::bad_key_length: return "the key has the wrong length";
    case CryptoError::bad_public_value: return "the peer's key exchange value is not valid";
    case CryptoError::authentication_failed: return "authentication failed";
    case CryptoError::backend_failure: return "the cryptographic library failed";
  }
  return "unknown cryptographic error";
}

}  // namespace culvert::crypto
