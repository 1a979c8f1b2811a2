// IKEv2 Transform Types; the enum value is the wire value. RFC 7296 3.3.2, RFC 9370 2.2.1.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class TransformType : std::uint8_t {
  encryption = 1,    // IKE and ESP
  prf = 2,           // IKE
  integrity = 3,     // IKE, AH, optional in ESP
  key_exchange = 4,  // IKE, optional in AH and ESP; once called D-H
  esn = 5,           // AH and ESP; RFC 9827 calls it SN
  // RFC 9370: key exchanges that follow the first one, in this order
  additional_key_exchange_1 = 6,
  additional_key_exchange_2 = 7,
  additional_key_exchange_3 = 8,
  additional_key_exchange_4 = 9,
  additional_key_exchange_5 = 10,
  additional_key_exchange_6 = 11,
  additional_key_exchange_7 = 12,
};

inline constexpr unsigned kAdditionalKeyExchanges = 7;
/// Of the additional key exchange with the number, from 0 on.
[[nodiscard]] constexpr TransformType additional_key_exchange(unsigned number) {
  return static_cast<TransformType>(6 + number);
}
/// The number from 0 on; kAdditionalKeyExchanges for other types.
[[nodiscard]] constexpr unsigned additional_number(TransformType type) {
  const unsigned value = static_cast<std::uint8_t>(type);
  return value >= 6 && value < 6 + kAdditionalKeyExchanges ? value - 6 : kAdditionalKeyExchanges;
}
[[nodiscard]] constexpr bool is_additional_key_exchange(TransformType type) {
  return additional_number(type) < kAdditionalKeyExchanges;
}

inline constexpr RegistryName<TransformType> kTransformTypeNames[] = {
    {TransformType::encryption, "ENCR"},
    {TransformType::prf, "PRF"},
    {TransformType::integrity, "INTEG"},
    {TransformType::key_exchange, "KE"},
    {TransformType::esn, "ESN"},
    {TransformType::additional_key_exchange_1, "ADDKE1"},
    {TransformType::additional_key_exchange_2, "ADDKE2"},
    {TransformType::additional_key_exchange_3, "ADDKE3"},
    {TransformType::additional_key_exchange_4, "ADDKE4"},
    {TransformType::additional_key_exchange_5, "ADDKE5"},
    {TransformType::additional_key_exchange_6, "ADDKE6"},
    {TransformType::additional_key_exchange_7, "ADDKE7"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(TransformType value) { return find_name(kTransformTypeNames, value); }

}  // namespace culvert::model
