#include "crypto/key_exchange.hpp"

#include "crypto/ml_kem_exchange.hpp"
#include "crypto/openssl/key_exchanges.hpp"

namespace culvert::crypto {
namespace {

openssl::MadeKeyExchange make(KeyExchangeId id, const openssl::PrivateValueSource& source) {
  switch (id) {
    case KeyExchangeId::x25519:
    case KeyExchangeId::x448: return openssl::make_montgomery(id, source);
    case KeyExchangeId::ecp_256:
    case KeyExchangeId::ecp_384:
    case KeyExchangeId::ecp_521:
    case KeyExchangeId::brainpool_p256r1:
    case KeyExchangeId::brainpool_p384r1:
    case KeyExchangeId::brainpool_p512r1: return openssl::make_ecp(id, source);
    case KeyExchangeId::modp_1024:
    case KeyExchangeId::modp_1536:
    case KeyExchangeId::modp_2048:
    case KeyExchangeId::modp_3072:
    case KeyExchangeId::modp_4096:
    case KeyExchangeId::modp_6144:
    case KeyExchangeId::modp_8192: return openssl::make_modp(id, source);
    case KeyExchangeId::ml_kem_512:
    case KeyExchangeId::ml_kem_768:
    case KeyExchangeId::ml_kem_1024:
      if (source.random != nullptr) return make_ml_kem_initiator(id, *source.random);
      break;
  }
  return err(CryptoError::unsupported);
}

}  // namespace

Result<std::unique_ptr<KeyExchange>, CryptoError> make_key_exchange(KeyExchangeId id, RandomSource& random) {
  return make(id, {.random = &random, .private_value = {}});
}

Result<std::unique_ptr<KeyExchange>, CryptoError> make_key_exchange_answer(KeyExchangeId id, RandomSource& random) {
  switch (id) {
    case KeyExchangeId::ml_kem_512:
    case KeyExchangeId::ml_kem_768:
    case KeyExchangeId::ml_kem_1024: return make_ml_kem_responder(id, random);
    default: return make_key_exchange(id, random);
  }
}

Result<std::unique_ptr<KeyExchange>, CryptoError> make_key_exchange_from_private(KeyExchangeId id,
                                                                                 ByteView private_value) {
  return make(id, {.random = nullptr, .private_value = private_value});
}

bool is_own(KeyExchangeId id) {
  const bool ml_kem =
      id == KeyExchangeId::ml_kem_512 || id == KeyExchangeId::ml_kem_768 || id == KeyExchangeId::ml_kem_1024;
  return ml_kem && is_own_ml_kem(id);
}

std::size_t public_value_size(KeyExchangeId id) {
  switch (id) {
    case KeyExchangeId::x25519: return 32;
    case KeyExchangeId::x448: return 56;
    case KeyExchangeId::ecp_256:
    case KeyExchangeId::brainpool_p256r1: return 64;
    case KeyExchangeId::ecp_384:
    case KeyExchangeId::brainpool_p384r1: return 96;
    case KeyExchangeId::ecp_521: return 132;
    case KeyExchangeId::brainpool_p512r1: return 128;
    case KeyExchangeId::modp_1024: return 128;
    case KeyExchangeId::modp_1536: return 192;
    case KeyExchangeId::modp_2048: return 256;
    case KeyExchangeId::modp_3072: return 384;
    case KeyExchangeId::modp_4096: return 512;
    case KeyExchangeId::modp_6144: return 768;
    case KeyExchangeId::modp_8192: return 1024;
    case KeyExchangeId::ml_kem_512:
    case KeyExchangeId::ml_kem_768:
    case KeyExchangeId::ml_kem_1024: return ml_kem_public_value_size(id, false);
  }
  return 0;
}

}  // namespace culvert::crypto
