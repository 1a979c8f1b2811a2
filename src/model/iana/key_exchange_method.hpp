// IKEv2 Key Exchange Methods, once Diffie-Hellman groups; the enum value is the wire value. RFC 7296 3.3.2, RFC 9370.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class KeyExchangeMethod : std::uint16_t {
  none = 0,               // RFC 7296
  modp_768 = 1,           // broken
  modp_1024 = 2,          // RFC 7296, weak
  modp_1536 = 5,          // RFC 3526
  modp_2048 = 14,         // RFC 3526
  modp_3072 = 15,         // RFC 3526
  modp_4096 = 16,         // RFC 3526
  modp_6144 = 17,         // RFC 3526
  modp_8192 = 18,         // RFC 3526
  ecp_256 = 19,           // RFC 5903
  ecp_384 = 20,           // RFC 5903
  ecp_521 = 21,           // RFC 5903
  brainpool_p256r1 = 28,  // RFC 6954
  brainpool_p384r1 = 29,  // RFC 6954
  brainpool_p512r1 = 30,  // RFC 6954
  curve25519 = 31,        // RFC 8031
  curve448 = 32,          // RFC 8031
  ml_kem_512 = 35,        // IANA
  ml_kem_768 = 36,        // IANA
  ml_kem_1024 = 37,       // IANA
};

inline constexpr RegistryName<KeyExchangeMethod> kKeyExchangeMethodNames[] = {
    {KeyExchangeMethod::none, "NONE"},
    {KeyExchangeMethod::modp_768, "MODP_768"},
    {KeyExchangeMethod::modp_1024, "MODP_1024"},
    {KeyExchangeMethod::modp_1536, "MODP_1536"},
    {KeyExchangeMethod::modp_2048, "MODP_2048"},
    {KeyExchangeMethod::modp_3072, "MODP_3072"},
    {KeyExchangeMethod::modp_4096, "MODP_4096"},
    {KeyExchangeMethod::modp_6144, "MODP_6144"},
    {KeyExchangeMethod::modp_8192, "MODP_8192"},
    {KeyExchangeMethod::ecp_256, "ECP_256"},
    {KeyExchangeMethod::ecp_384, "ECP_384"},
    {KeyExchangeMethod::ecp_521, "ECP_521"},
    {KeyExchangeMethod::brainpool_p256r1, "BRAINPOOL_P256R1"},
    {KeyExchangeMethod::brainpool_p384r1, "BRAINPOOL_P384R1"},
    {KeyExchangeMethod::brainpool_p512r1, "BRAINPOOL_P512R1"},
    {KeyExchangeMethod::curve25519, "CURVE25519"},
    {KeyExchangeMethod::curve448, "CURVE448"},
    {KeyExchangeMethod::ml_kem_512, "ML_KEM_512"},
    {KeyExchangeMethod::ml_kem_768, "ML_KEM_768"},
    {KeyExchangeMethod::ml_kem_1024, "ML_KEM_1024"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(KeyExchangeMethod value) {
  return find_name(kKeyExchangeMethodNames, value);
}

}  // namespace culvert::model
