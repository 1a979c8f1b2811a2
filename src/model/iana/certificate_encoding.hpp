// IKEv2 Certificate Encodings; the enum value is the wire value. RFC 7296 3.6.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class CertificateEncoding : std::uint8_t {
  pkcs7_x509 = 1,
  x509_signature = 4,  // RFC 7296
  crl = 7,
  hash_and_url_x509 = 12,
  hash_and_url_bundle = 13,
  ocsp_content = 14,    // RFC 4806
  raw_public_key = 15,  // RFC 7670
};

inline constexpr RegistryName<CertificateEncoding> kCertificateEncodingNames[] = {
    {CertificateEncoding::pkcs7_x509, "PKCS7_X509"},
    {CertificateEncoding::x509_signature, "X509_SIGNATURE"},
    {CertificateEncoding::crl, "CRL"},
    {CertificateEncoding::hash_and_url_x509, "HASH_AND_URL_X509"},
    {CertificateEncoding::hash_and_url_bundle, "HASH_AND_URL_BUNDLE"},
    {CertificateEncoding::ocsp_content, "OCSP_CONTENT"},
    {CertificateEncoding::raw_public_key, "RAW_PUBLIC_KEY"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(CertificateEncoding value) {
  return find_name(kCertificateEncodingNames, value);
}

}  // namespace culvert::model
