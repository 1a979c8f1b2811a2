#include "crypto/revocation.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>
#include <openssl/ocsp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "crypto/openssl/x509_handles.hpp"

namespace culvert::crypto {
namespace {

using openssl::ErrorQueueGuard;
using State = RevocationStatus::State;

using OcspRequest = std::unique_ptr<OCSP_REQUEST, openssl::Freer<OCSP_REQUEST_free>>;
using OcspResponse = std::unique_ptr<OCSP_RESPONSE, openssl::Freer<OCSP_RESPONSE_free>>;
using OcspBasic = std::unique_ptr<OCSP_BASICRESP, openssl::Freer<OCSP_BASICRESP_free>>;
using OcspId = std::unique_ptr<OCSP_CERTID, openssl::Freer<OCSP_CERTID_free>>;
using Points = std::unique_ptr<CRL_DIST_POINTS, openssl::Freer<CRL_DIST_POINTS_free>>;
using Strings =
    std::unique_ptr<STACK_OF(OPENSSL_STRING), decltype([](STACK_OF(OPENSSL_STRING) * all) { X509_email_free(all); })>;
using BorrowedCertificates =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * stack) { sk_X509_free(stack); })>;
using BorrowedLists =
    std::unique_ptr<STACK_OF(X509_CRL), decltype([](STACK_OF(X509_CRL) * stack) { sk_X509_CRL_free(stack); })>;
using Enumerated = std::unique_ptr<ASN1_ENUMERATED, openssl::Freer<ASN1_ENUMERATED_free>>;

// Clocks differ a little.
constexpr CalendarTime kSkew = 300;
// RFC 6960 4.2.2.1: without nextUpdate newer information is always there; a response is good for a short while then.
constexpr CalendarTime kWithoutNextUpdate = 3600;
constexpr int kSingleResponses = 64;  // of a response that are looked at

RevocationStatus unknown(std::string why) { return {.state = State::unknown, .found = std::move(why), .until = {}}; }

void add_url(std::vector<std::string>& of_http, std::vector<std::string>& other, std::string_view url) {
  const bool plain = std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7f; });
  std::vector<std::string>& urls = url.starts_with("http://") ? of_http : other;
  if (url.size() > kRevocationUrl || !plain || urls.size() >= kRevocationPlaces) return;
  if (std::ranges::find(urls, url) == urls.end()) urls.emplace_back(url);
}

void add_point(RevocationPlaces& places, const DIST_POINT* point) {
  // Lists for some reasons only, or of another issuer, do not settle the matter.
  if (point->reasons != nullptr || point->CRLissuer != nullptr || point->distpoint == nullptr ||
      point->distpoint->type != 0)
    return;
  const GENERAL_NAMES* names = point->distpoint->name.fullname;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    add_url(
        places.lists, places.other,
        {reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)), static_cast<std::size_t>(ASN1_STRING_length(uri))});
  }
}

/// A store that believes the issuer alone, as of `now`.
openssl::X509StoreHandle store_of(const Certificate& issuer, CalendarTime now, unsigned long flags) {
  openssl::X509StoreHandle store(X509_STORE_new());
  if (!store) return store;
  (void)X509_STORE_add_cert(store.get(), issuer.handle().certificate.get());
  X509_VERIFY_PARAM* param = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | flags);
  X509_VERIFY_PARAM_set_time(param, static_cast<std::time_t>(now));
  X509_VERIFY_PARAM_set_auth_level(param, 2);
  return store;
}

std::string revoked_text(const ASN1_TIME* when, int reason) {
  const auto date = openssl::time_of(when);
  std::string text = fmt::format("revoked on {}", date ? to_text(*date) : "no date");
  if (reason >= 0) text += fmt::format(" ({})", OCSP_crl_reason_str(reason));
  return text;
}

/// RFC 8954: an OCTET STRING within that of the extension.
std::optional<std::string> nonce_fault(OCSP_BASICRESP* basic, ByteView nonce) {
  const int at = OCSP_BASICRESP_get_ext_by_NID(basic, NID_id_pkix_OCSP_Nonce, -1);
  if (nonce.empty() || at < 0) return std::nullopt;  // made beforehand, as RFC 5019 has it: its dates must do
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(basic, at));
  const ByteView octets(ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value)));
  // Older responders leave the inner OCTET STRING out.
  const bool inner = octets.size() == nonce.size() + 2 && octets[0] == V_ASN1_OCTET_STRING &&
                     octets[1] == nonce.size() && equal(octets.subspan(2), nonce);
  if (inner || equal(octets, nonce)) return std::nullopt;
  return "answers another question: its nonce is not ours";
}

/// RFC 6960 4.2.2.2.1: a responder that the issuer certified may be revoked itself, unless its certificate says that
/// nobody need look (id-pkix-ocsp-nocheck). Nothing where there is nobody to look for.
Result<std::optional<Certificate>, std::string> responder_to_check(X509* signer, const Certificate& issuer) {
  const EVP_PKEY* above = X509_get0_pubkey(issuer.handle().certificate.get());
  if (EVP_PKEY_eq(X509_get0_pubkey(signer), above) == 1) return std::nullopt;
  if (X509_get_ext_by_NID(signer, NID_id_pkix_OCSP_noCheck, -1) >= 0) return std::nullopt;
  auto responder = Certificate::from_der(openssl::der_of(i2d_X509, static_cast<const X509*>(signer)));
  if (!responder) return err(fmt::format("is signed by a certificate that {}", responder.error()));
  return std::optional(std::move(*responder));
}

/// Sets `responder` to who signed in the issuer's place, where that may be revoked.
std::optional<std::string> signature_fault(OCSP_BASICRESP* basic, const Certificate& issuer, CalendarTime now,
                                           std::optional<Certificate>& responder) {
  int hash = NID_undef;
  int key = NID_undef;
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, OCSP_resp_get0_tbs_sigalg(basic));
  if (OBJ_find_sigid_algs(OBJ_obj2nid(algorithm), &hash, &key) != 1) return "is signed by an unknown algorithm";
  if (hash == NID_sha1 || hash == NID_md5) return "is signed over a hash that is too weak; SHA-2 is needed";
  const BorrowedCertificates signers(sk_X509_new_null());
  const openssl::X509StoreHandle store = store_of(issuer, now, 0);
  if (!signers || !store || sk_X509_push(signers.get(), issuer.handle().certificate.get()) <= 0)
    return "cannot be checked: no memory";
  if (OCSP_basic_verify(basic, signers.get(), store.get(), 0) == 1) {
    X509* signer = nullptr;
    if (OCSP_resp_get0_signer(basic, &signer, signers.get()) != 1 || signer == nullptr)
      return "does not tell who signed it";
    auto found = responder_to_check(signer, issuer);
    if (!found) return std::move(found.error());
    responder = std::move(*found);
    return std::nullopt;
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return fmt::format("is not signed by {}, nor by a responder that it certified ({})", issuer.subject(),
                     reason == nullptr ? "no reason is told" : reason);
}

/// What the response says of the certificate, under whatever hash it names it.
OCSP_SINGLERESP* find_single(OCSP_BASICRESP* basic, const Certificate& certificate, const Certificate& issuer) {
  for (int i = 0; i < std::min(OCSP_resp_count(basic), kSingleResponses); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic, i);
    auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));  // NOLINT: it is only read
    ASN1_OBJECT* algorithm = nullptr;
    if (OCSP_id_get0_info(nullptr, &algorithm, nullptr, nullptr, id) != 1) continue;
    const EVP_MD* hash = EVP_get_digestbyobj(algorithm);
    if (hash == nullptr) continue;
    const OcspId ours(OCSP_cert_to_id(hash, certificate.handle().certificate.get(), issuer.handle().certificate.get()));
    if (ours && OCSP_id_cmp(ours.get(), id) == 0) return single;
  }
  return nullptr;
}

RevocationStatus status_of(OCSP_SINGLERESP* single, CalendarTime now) {
  int reason = -1;
  ASN1_GENERALIZEDTIME* revoked_at = nullptr;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  const int status = OCSP_single_get0_status(single, &reason, &revoked_at, &this_update, &next_update);
  const auto from = openssl::time_of(this_update);
  const auto until = next_update == nullptr ? std::nullopt : openssl::time_of(next_update);
  if (!from || (next_update != nullptr && !until)) return unknown("has dates that are none");
  // RFC 6960 4.2.2.1: not of tomorrow, and not of yesterday.
  if (*from > now + kSkew) return unknown(fmt::format("is of {}, now is {}", to_text(*from), to_text(now)));
  const CalendarTime end = until.value_or(*from + kWithoutNextUpdate);
  if (end + kSkew < now) return unknown(fmt::format("was to be replaced by {}, now is {}", to_text(end), to_text(now)));
  switch (status) {
    case V_OCSP_CERTSTATUS_GOOD: return {.state = State::good, .found = {}, .until = end};
    case V_OCSP_CERTSTATUS_REVOKED:
      return {.state = State::revoked, .found = revoked_text(revoked_at, reason), .until = end};
    default: return unknown("says that its responder does not know the certificate");
  }
}

int reason_of(const X509_REVOKED* entry) {
  const Enumerated value(
      static_cast<ASN1_ENUMERATED*>(X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, nullptr, nullptr)));
  return value ? static_cast<int>(ASN1_ENUMERATED_get(value.get())) : -1;
}

}  // namespace

std::string openssl::revoked_text(const X509_REVOKED* entry) {
  return crypto::revoked_text(X509_REVOKED_get0_revocationDate(entry), reason_of(entry));
}

RevocationPlaces revocation_places(const Certificate& certificate) {
  const ErrorQueueGuard guard;
  RevocationPlaces places;
  X509* held = certificate.handle().certificate.get();
  const Strings responders(X509_get1_ocsp(held));
  for (int i = 0; i < sk_OPENSSL_STRING_num(responders.get()); ++i)
    add_url(places.ocsp, places.other, sk_OPENSSL_STRING_value(responders.get(), i));
  const Points points(
      static_cast<CRL_DIST_POINTS*>(X509_get_ext_d2i(held, NID_crl_distribution_points, nullptr, nullptr)));
  for (int i = 0; i < sk_DIST_POINT_num(points.get()); ++i) add_point(places, sk_DIST_POINT_value(points.get(), i));
  return places;
}

std::optional<OcspQuestion> ocsp_question(const Certificate& certificate, const Certificate& issuer, ByteView nonce) {
  const ErrorQueueGuard guard;
  const OcspRequest request(OCSP_REQUEST_new());
  // RFC 5019 2.1.1: SHA-1, which every responder knows; it names the issuer and secures nothing.
  OcspId id(OCSP_cert_to_id(EVP_sha1(), certificate.handle().certificate.get(), issuer.handle().certificate.get()));
  if (!request || !id) return std::nullopt;
  OcspQuestion question{.request = {},
                        .id = openssl::der_of(i2d_OCSP_CERTID, static_cast<const OCSP_CERTID*>(id.get()))};
  if (OCSP_request_add0_id(request.get(), id.get()) == nullptr) return std::nullopt;
  (void)id.release();
  Bytes own = to_bytes(nonce);
  if (!own.empty() && OCSP_request_add1_nonce(request.get(), own.data(), static_cast<int>(own.size())) != 1)
    return std::nullopt;
  question.request = openssl::der_of(i2d_OCSP_REQUEST, static_cast<const OCSP_REQUEST*>(request.get()));
  return question;
}

RevocationStatus judge_ocsp(ByteView response, const Certificate& certificate, const Certificate& issuer,
                            CalendarTime now, ByteView nonce) {
  const ErrorQueueGuard guard;
  if (response.size() > kOcspLimit)
    return unknown(fmt::format("has {} octets, {} are allowed", response.size(), kOcspLimit));
  const unsigned char* at = response.data();
  const OcspResponse read(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(response.size())));
  if (!read || at != response.data() + response.size()) return unknown("is no OCSP response");
  if (const int status = OCSP_response_status(read.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return unknown(fmt::format("says {}", OCSP_response_status_str(status)));
  const OcspBasic basic(OCSP_response_get1_basic(read.get()));
  if (!basic) return unknown("is of a kind that is not known");
  // Who signed it, before anything that it says.
  std::optional<Certificate> responder;
  if (auto fault = signature_fault(basic.get(), issuer, now, responder)) return unknown(std::move(*fault));
  if (auto fault = nonce_fault(basic.get(), nonce)) return unknown(std::move(*fault));
  OCSP_SINGLERESP* single = find_single(basic.get(), certificate, issuer);
  if (single == nullptr) return unknown("is about other certificates");
  RevocationStatus status = status_of(single, now);
  status.responder = std::move(responder);
  return status;
}

RevocationStatus judge_list(const RevocationList& list, const Certificate& certificate, const Certificate& issuer,
                            CalendarTime now) {
  if (openssl::is_delta(list.handle().list.get()))
    return unknown("names changes only (a delta list), and says nothing without its base");
  const ErrorQueueGuard guard;
  const openssl::X509StoreHandle store = store_of(issuer, now, X509_V_FLAG_CRL_CHECK);
  const openssl::X509StoreCtx context(X509_STORE_CTX_new());
  const BorrowedLists lists(sk_X509_CRL_new_null());
  X509* own = certificate.handle().certificate.get();
  X509_CRL* held = list.handle().list.get();
  if (!store || !context || !lists || sk_X509_CRL_push(lists.get(), held) <= 0 ||
      X509_STORE_CTX_init(context.get(), store.get(), own, nullptr) != 1)
    return unknown("cannot be checked: no memory");
  X509_STORE_CTX_set0_crls(context.get(), lists.get());
  if (X509_verify_cert(context.get()) == 1) return {.state = State::good, .found = {}, .until = list.next_update()};
  const int error = X509_STORE_CTX_get_error(context.get());
  if (error == X509_V_ERR_CERT_REVOKED) {
    X509_REVOKED* entry = nullptr;
    const bool found = X509_CRL_get0_by_cert(held, &entry, own) != 0 && entry != nullptr;
    return {.state = State::revoked,
            .found = found ? openssl::revoked_text(entry) : "revoked",
            .until = list.next_update()};
  }
  if (error == X509_V_ERR_CRL_HAS_EXPIRED)
    return unknown(fmt::format("was to be replaced by {}, now is {}",
                               list.next_update() ? to_text(*list.next_update()) : "some date", to_text(now)));
  const char* text = X509_verify_cert_error_string(error);
  return unknown(fmt::format("does not settle it: {}", text == nullptr ? "unknown error" : text));
}

}  // namespace culvert::crypto
