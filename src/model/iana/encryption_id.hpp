// IKEv2 Encryption Algorithm Transform IDs; the enum value is the wire value. RFC 7296 3.3.2.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class EncryptionId : std::uint16_t {
  des = 2,                     // RFC 2405, broken
  triple_des = 3,              // RFC 2451
  null = 11,                   // RFC 2410
  aes_cbc = 12,                // RFC 3602
  aes_ctr = 13,                // RFC 3686
  aes_ccm_8 = 14,              // RFC 4309
  aes_ccm_12 = 15,             // RFC 4309
  aes_ccm_16 = 16,             // RFC 4309
  aes_gcm_8 = 18,              // RFC 4106
  aes_gcm_12 = 19,             // RFC 4106
  aes_gcm_16 = 20,             // RFC 4106
  null_aes_gmac = 21,          // RFC 4543
  camellia_cbc = 23,           // RFC 5529
  camellia_ctr = 24,           // RFC 5529
  chacha20_poly1305 = 28,      // RFC 7634
  aes_ccm_8_iiv = 29,          // RFC 8750
  aes_gcm_16_iiv = 30,         // RFC 8750
  chacha20_poly1305_iiv = 31,  // RFC 8750
};

inline constexpr RegistryName<EncryptionId> kEncryptionIdNames[] = {
    {EncryptionId::des, "DES"},
    {EncryptionId::triple_des, "3DES"},
    {EncryptionId::null, "NULL"},
    {EncryptionId::aes_cbc, "AES_CBC"},
    {EncryptionId::aes_ctr, "AES_CTR"},
    {EncryptionId::aes_ccm_8, "AES_CCM_8"},
    {EncryptionId::aes_ccm_12, "AES_CCM_12"},
    {EncryptionId::aes_ccm_16, "AES_CCM_16"},
    {EncryptionId::aes_gcm_8, "AES_GCM_8"},
    {EncryptionId::aes_gcm_12, "AES_GCM_12"},
    {EncryptionId::aes_gcm_16, "AES_GCM_16"},
    {EncryptionId::null_aes_gmac, "NULL_AES_GMAC"},
    {EncryptionId::camellia_cbc, "CAMELLIA_CBC"},
    {EncryptionId::camellia_ctr, "CAMELLIA_CTR"},
    {EncryptionId::chacha20_poly1305, "CHACHA20_POLY1305"},
    {EncryptionId::aes_ccm_8_iiv, "AES_CCM_8_IIV"},
    {EncryptionId::aes_gcm_16_iiv, "AES_GCM_16_IIV"},
    {EncryptionId::chacha20_poly1305_iiv, "CHACHA20_POLY1305_IIV"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(EncryptionId value) { return find_name(kEncryptionIdNames, value); }

}  // namespace culvert::model
