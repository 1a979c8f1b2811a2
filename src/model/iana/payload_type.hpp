// IKEv2 Payload Types; the enum value is the wire value. RFC 7296 3.2.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class PayloadType : std::uint8_t {
  none = 0,                 // no next payload
  sa = 33,                  // RFC 7296 3.3
  ke = 34,                  // RFC 7296 3.4
  id_i = 35,                // RFC 7296 3.5
  id_r = 36,                // RFC 7296 3.5
  cert = 37,                // RFC 7296 3.6
  certreq = 38,             // RFC 7296 3.7
  auth = 39,                // RFC 7296 3.8
  nonce = 40,               // RFC 7296 3.9
  notify = 41,              // RFC 7296 3.10
  delete_ = 42,             // RFC 7296 3.11
  vendor_id = 43,           // RFC 7296 3.12
  ts_i = 44,                // RFC 7296 3.13
  ts_r = 45,                // RFC 7296 3.13
  encrypted = 46,           // RFC 7296 3.14
  configuration = 47,       // RFC 7296 3.15
  eap = 48,                 // RFC 7296 3.16
  encrypted_fragment = 53,  // RFC 7383
};

inline constexpr RegistryName<PayloadType> kPayloadTypeNames[] = {
    {PayloadType::none, "none"},        {PayloadType::sa, "SA"},     {PayloadType::ke, "KE"},
    {PayloadType::id_i, "IDi"},         {PayloadType::id_r, "IDr"},  {PayloadType::cert, "CERT"},
    {PayloadType::certreq, "CERTREQ"},  {PayloadType::auth, "AUTH"}, {PayloadType::nonce, "Nonce"},
    {PayloadType::notify, "N"},         {PayloadType::delete_, "D"}, {PayloadType::vendor_id, "V"},
    {PayloadType::ts_i, "TSi"},         {PayloadType::ts_r, "TSr"},  {PayloadType::encrypted, "SK"},
    {PayloadType::configuration, "CP"}, {PayloadType::eap, "EAP"},   {PayloadType::encrypted_fragment, "SKF"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(PayloadType value) { return find_name(kPayloadTypeNames, value); }

}  // namespace culvert::model
