// An OCSP responder for tests: makes the responses that it is told to. Header only; never part of the product.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/ocsp.h>

#include "base/check.hpp"
#include "crypto/testing/issuer.hpp"

namespace culvert::crypto::testing {

struct OcspAnswer {
  int status = V_OCSP_CERTSTATUS_GOOD;
  int reason = OCSP_REVOKED_STATUS_NOSTATUS;
  CalendarTime revoked_at = kToday - 2 * kDay;
  CalendarTime from = kToday - 600;
  CalendarTime until = kToday + kDay;  // 0: no nextUpdate
  Bytes request = {};                  // whose nonce is repeated; empty: none
  const EVP_MD* id_digest = EVP_sha1();
  const EVP_MD* digest = EVP_sha256();  // under the signature
  bool with_signer = true;              // its certificate goes along
};

/// A response about `about`, which `issuer` issued, signed by `signer`.
inline Bytes ocsp_response(const TestCertificate& about, const TestCertificate& issuer, const TestCertificate& signer,
                           const OcspAnswer& answer = {}) {
  const auto time = [](CalendarTime at) {
    return std::shared_ptr<ASN1_TIME>(ASN1_GENERALIZEDTIME_set(nullptr, at), ASN1_GENERALIZEDTIME_free);
  };
  const Certificate own = about.certificate();
  const Certificate above = issuer.certificate();
  const Certificate by = signer.certificate();
  OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
  OCSP_CERTID* id = OCSP_cert_to_id(answer.id_digest, own.handle().certificate.get(), above.handle().certificate.get());
  const auto from = time(answer.from);
  const auto until = time(answer.until);
  const auto revoked = time(answer.revoked_at);
  CHECK(OCSP_basic_add1_status(basic, id, answer.status, answer.reason, revoked.get(), from.get(),
                               answer.until == 0 ? nullptr : until.get()) != nullptr);
  OCSP_CERTID_free(id);
  if (!answer.request.empty()) {
    const unsigned char* at = answer.request.data();
    OCSP_REQUEST* request = d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(answer.request.size()));
    CHECK(request != nullptr && OCSP_copy_nonce(basic, request) == 1);
    OCSP_REQUEST_free(request);
  }
  CHECK(OCSP_basic_sign(basic, by.handle().certificate.get(), signer.key().get(), answer.digest, nullptr,
                        answer.with_signer ? 0 : OCSP_NOCERTS) == 1);
  OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  CHECK(response != nullptr);
  Bytes der = openssl::der_of(i2d_OCSP_RESPONSE, static_cast<const OCSP_RESPONSE*>(response));
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(basic);
  return der;
}

/// One that says why there is none ("tryLater").
inline Bytes ocsp_refusal(int status) {
  OCSP_RESPONSE* response = OCSP_response_create(status, nullptr);
  Bytes der = openssl::der_of(i2d_OCSP_RESPONSE, static_cast<const OCSP_RESPONSE*>(response));
  OCSP_RESPONSE_free(response);
  return der;
}

/// What is issued to a responder that speaks for its authority. `nocheck`: nobody need look whether it is revoked (RFC
/// 6960 4.2.2.2.1).
inline Wish ocsp_signer(std::string name, bool nocheck = true) {
  Wish wish = peer(std::move(name), "");
  if (nocheck) wish.extensions.emplace_back("noCheck", "ignored");
  wish.extensions.emplace_back("extendedKeyUsage", "OCSPSigning");
  return wish;
}

}  // namespace culvert::crypto::testing
