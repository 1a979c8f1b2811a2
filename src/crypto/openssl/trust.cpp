#include "crypto/trust.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/check.hpp"
#include "crypto/openssl/x509_handles.hpp"

namespace culvert::crypto {

struct TrustHandle {
  openssl::X509StoreHandle store;
  std::vector<Certificate> authorities;
  bool lists = false;
};

namespace {

using openssl::ErrorQueueGuard;

struct CheckOfError {
  int error;
  PathCheck check;
};
constexpr std::array kChecks = std::to_array<CheckOfError>({
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, PathCheck::issuer},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, PathCheck::issuer},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, PathCheck::issuer},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, PathCheck::issuer},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, PathCheck::issuer},
    {X509_V_ERR_CERT_UNTRUSTED, PathCheck::issuer},
    {X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, PathCheck::signature},
    {X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, PathCheck::signature},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, PathCheck::signature},
    {X509_V_ERR_CERT_NOT_YET_VALID, PathCheck::not_yet_valid},
    {X509_V_ERR_CERT_HAS_EXPIRED, PathCheck::expired},
    {X509_V_ERR_CERT_REVOKED, PathCheck::revoked},
    {X509_V_ERR_UNABLE_TO_GET_CRL, PathCheck::revocation_unknown},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, PathCheck::revocation_unknown},
    {X509_V_ERR_DIFFERENT_CRL_SCOPE, PathCheck::revocation_unknown},
    {X509_V_ERR_CRL_HAS_EXPIRED, PathCheck::revocation_stale},
    {X509_V_ERR_CRL_NOT_YET_VALID, PathCheck::revocation_stale},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, PathCheck::revocation_list},
    {X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, PathCheck::revocation_list},
    {X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, PathCheck::revocation_list},
    {X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, PathCheck::revocation_list},
    {X509_V_ERR_CRL_PATH_VALIDATION_ERROR, PathCheck::revocation_list},
    {X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, PathCheck::revocation_list},
    {X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, PathCheck::revocation_list},
    {X509_V_ERR_EE_KEY_TOO_SMALL, PathCheck::key_strength},
    {X509_V_ERR_CA_KEY_TOO_SMALL, PathCheck::key_strength},
    {X509_V_ERR_CA_MD_TOO_WEAK, PathCheck::key_strength},
    {X509_V_ERR_INVALID_CA, PathCheck::authority},
    {X509_V_ERR_INVALID_NON_CA, PathCheck::authority},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, PathCheck::authority},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, PathCheck::path_length},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, PathCheck::path_length},
    {X509_V_ERR_PERMITTED_VIOLATION, PathCheck::name_constraints},
    {X509_V_ERR_EXCLUDED_VIOLATION, PathCheck::name_constraints},
    {X509_V_ERR_SUBTREE_MINMAX, PathCheck::name_constraints},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, PathCheck::name_constraints},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, PathCheck::name_constraints},
    {X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, PathCheck::name_constraints},
    {X509_V_ERR_INVALID_POLICY_EXTENSION, PathCheck::policy},
    {X509_V_ERR_NO_EXPLICIT_POLICY, PathCheck::policy},
    {X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, PathCheck::critical_extension},
});

PathCheck check_of(int error) {
  const auto* row = std::ranges::find(kChecks, error, &CheckOfError::error);
  return row == kChecks.end() ? PathCheck::form : row->check;
}

bool about_revocation(PathCheck check) {
  return check == PathCheck::revocation_unknown || check == PathCheck::revocation_stale ||
         check == PathCheck::revocation_list;
}

std::string serial_of(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  const ByteView octets(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial)));
  return to_hex(octets.first(std::min<std::size_t>(octets.size(), 32)));
}

PathRefusal refusal(const X509* certificate, PathCheck check, std::string found) {
  return {.subject = openssl::text_of(X509_get_subject_name(certificate)),
          .serial = serial_of(certificate),
          .check = check,
          .found = std::move(found)};
}

std::string date(const ASN1_TIME* time) {
  const auto read = openssl::time_of(time);
  return read ? to_text(*read) : "no date";
}

std::string key_text(X509* certificate) {
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "no key";
  const KeyKind kind = openssl::kind_of(key);
  return kind == KeyKind::rsa || kind == KeyKind::other
             ? fmt::format("{} of {} bits", kind == KeyKind::rsa ? "RSA" : "a key", EVP_PKEY_get_bits(key))
             : std::string(name_of(kind));
}

std::string hash_text(const X509* certificate) {
  const char* name = OBJ_nid2ln(X509_get_signature_nid(certificate));
  return name == nullptr ? "an unknown algorithm" : name;
}

std::string revocation_text(X509_STORE_CTX* context, X509* certificate) {
  X509_CRL* list = X509_STORE_CTX_get0_current_crl(context);
  X509_REVOKED* entry = nullptr;
  if (list == nullptr || X509_CRL_get0_by_cert(list, &entry, certificate) == 0 || entry == nullptr)
    return "its issuer's list names it";
  return openssl::revoked_text(entry);
}

/// What was found, for each check in its own words.
std::string found_text(X509_STORE_CTX* context, X509* certificate, int error, const PathRules& rules) {
  const std::string issuer = openssl::text_of(X509_get_issuer_name(certificate));
  X509_CRL* list = X509_STORE_CTX_get0_current_crl(context);
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("it ended on {}, now is {}", date(X509_get0_notAfter(certificate)), to_text(rules.now));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("it begins on {}, now is {}", date(X509_get0_notBefore(certificate)), to_text(rules.now));
    case X509_V_ERR_CERT_REVOKED: return revocation_text(context, certificate);
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return fmt::format("the list of {} was to be replaced by {}, now is {}", issuer,
                         list == nullptr ? "some date" : date(X509_CRL_get0_nextUpdate(list)), to_text(rules.now));
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return fmt::format("the list of {} is of {}, now is {}", issuer,
                         list == nullptr ? "some date" : date(X509_CRL_get0_lastUpdate(list)), to_text(rules.now));
    case X509_V_ERR_UNABLE_TO_GET_CRL: return fmt::format("there is no list of {}", issuer);
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL: return fmt::format("{}; RSA needs 2048 bits, a curve 224", key_text(certificate));
    case X509_V_ERR_CA_MD_TOO_WEAK: return fmt::format("it is signed by {}; SHA-2 is needed", hash_text(certificate));
    default: break;
  }
  if (check_of(error) == PathCheck::issuer) {
    return fmt::format("it was issued by {}, which is neither believed nor certified by what the peer sent along",
                       issuer);
  }
  const char* text = X509_verify_cert_error_string(error);
  return text == nullptr ? fmt::format("error {}", error) : text;
}

/// What the callback tells the caller.
struct Judgement {
  const PathRules& rules;
  std::string found;
};

// RFC 5280 6.1: an authority is believed as it is; no list of anybody's speaks of it.
int judge(int ok, X509_STORE_CTX* context) {
  if (ok == 1) return 1;
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(context);
  const int error = X509_STORE_CTX_get_error(context);
  const bool at_authority =
      path != nullptr && X509_STORE_CTX_get_error_depth(context) == sk_X509_num(path) - 1 && sk_X509_num(path) > 1;
  if (at_authority && about_revocation(check_of(error))) return 1;
  // Now: the list that it is about is forgotten with the return. Where the path of a list's own signer is looked at, in
  // a context within ours, nobody asks what was found.
  auto* judgement = static_cast<Judgement*>(X509_STORE_CTX_get_app_data(context));
  X509* at = X509_STORE_CTX_get_current_cert(context);
  if (judgement != nullptr && at != nullptr) judgement->found = found_text(context, at, error, judgement->rules);
  return 0;
}

bool has_purpose(const EXTENDED_KEY_USAGE* usage) {
  // RFC 4945 5.1.3.12: id-kp-ipsecIKE or anyExtendedKeyUsage; certificates of gateways in use have serverAuth,
  // clientAuth or the 1.3.6.1.5.5.8.2.2 (iKEIntermediate) of an old draft.
  static constexpr std::array<std::string_view, 5> kGood = {"2.5.29.37.0", "1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.7.3.1",
                                                            "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.8.2.2"};
  for (int i = 0; i < sk_ASN1_OBJECT_num(usage); ++i) {
    std::array<char, 80> text{};
    const int length = OBJ_obj2txt(text.data(), static_cast<int>(text.size()), sk_ASN1_OBJECT_value(usage, i), 1);
    if (length <= 0 || length >= static_cast<int>(text.size())) continue;
    if (std::ranges::find(kGood, std::string_view(text.data(), static_cast<std::size_t>(length))) != kGood.end())
      return true;
  }
  return false;
}

std::string purposes_text(const EXTENDED_KEY_USAGE* usage) {
  std::string all;
  for (int i = 0; i < sk_ASN1_OBJECT_num(usage) && i < 8; ++i) {
    std::array<char, 80> text{};
    (void)OBJ_obj2txt(text.data(), static_cast<int>(text.size()), sk_ASN1_OBJECT_value(usage, i), 0);
    all += (all.empty() ? "" : ", ") + std::string(text.data());
  }
  return all;
}

/// What the peer's own certificate must be good for.
Result<void, PathRefusal> check_use(X509* certificate) {
  // RFC 4945 5.1.3.2: a key usage extension must have digitalSignature or nonRepudiation.
  const std::uint32_t usage = X509_get_key_usage(certificate);
  if (usage != UINT32_MAX && (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0) {
    return err(refusal(certificate, PathCheck::key_usage,
                       fmt::format("its key usage is {:#x}, without digitalSignature and nonRepudiation", usage)));
  }
  using Purposes = std::unique_ptr<EXTENDED_KEY_USAGE, openssl::Freer<EXTENDED_KEY_USAGE_free>>;
  int critical = 0;
  const Purposes purposes(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, &critical, nullptr)));
  if (!purposes && critical != -1)  // -1: there is none
    return err(refusal(certificate, PathCheck::extended_key_usage, "its extended key usage cannot be read"));
  if (purposes && !has_purpose(purposes.get())) {
    return err(
        refusal(certificate, PathCheck::extended_key_usage,
                fmt::format("it is for {} only; IKE needs none of these words, or anyExtendedKeyUsage, ipsecIKE, "
                            "serverAuth or clientAuth",
                            purposes_text(purposes.get()))));
  }
  return {};
}

/// RFC 5280 6.1.4 (k): who certified another must say by basic constraints that it may, also where the library is
/// lenient for the sake of old roots.
Result<void, PathRefusal> check_authorities(const STACK_OF(X509) * path) {
  for (int i = 1; i < sk_X509_num(path) - 1; ++i) {
    X509* certificate = sk_X509_value(path, i);
    if (X509_check_ca(certificate) != 1)
      return err(
          refusal(certificate, PathCheck::authority, "its basic constraints do not say that it is an authority"));
  }
  return {};
}

using UntrustedStack = std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * stack) { sk_X509_free(stack); })>;

}  // namespace

std::string_view name_of(PathCheck check) {
  switch (check) {
    case PathCheck::issuer: return "issuer";
    case PathCheck::signature: return "signature";
    case PathCheck::not_yet_valid: return "not_yet_valid";
    case PathCheck::expired: return "expired";
    case PathCheck::revoked: return "revoked";
    case PathCheck::revocation_unknown: return "revocation_unknown";
    case PathCheck::revocation_stale: return "revocation_stale";
    case PathCheck::revocation_list: return "revocation_list";
    case PathCheck::key_strength: return "key_strength";
    case PathCheck::authority: return "authority";
    case PathCheck::path_length: return "path_length";
    case PathCheck::name_constraints: return "name_constraints";
    case PathCheck::policy: return "policy";
    case PathCheck::key_usage: return "key_usage";
    case PathCheck::extended_key_usage: return "extended_key_usage";
    case PathCheck::critical_extension: return "critical_extension";
    case PathCheck::form: break;
  }
  return "form";
}

std::string PathRefusal::to_string() const {
  return fmt::format("certificate {} (serial {}): {}: {}", subject, serial, name_of(check), found);
}

TrustStore TrustStore::make(std::span<const Certificate> authorities, std::span<const RevocationList> lists) {
  const ErrorQueueGuard guard;
  auto handle = std::make_shared<TrustHandle>();
  handle->store.reset(X509_STORE_new());
  CHECK(handle->store != nullptr);
  // The store takes references of its own; one that is there already does no harm.
  for (const Certificate& one : authorities)
    (void)X509_STORE_add_cert(handle->store.get(), one.handle().certificate.get());
  for (const RevocationList& one : lists) {
    if (!openssl::is_delta(one.handle().list.get()))
      (void)X509_STORE_add_crl(handle->store.get(), one.handle().list.get());
  }
  handle->authorities.assign(authorities.begin(), authorities.end());
  handle->lists = !lists.empty();
  return TrustStore(std::move(handle));
}

Result<void, PathRefusal> TrustStore::verify(const Certificate& end, std::span<const Certificate> others,
                                             const PathRules& rules) const {
  return verify_into(end, others, rules, nullptr);
}

Result<std::vector<Certificate>, PathRefusal> TrustStore::find_path(const Certificate& end,
                                                                    std::span<const Certificate> others,
                                                                    const PathRules& rules) const {
  std::vector<Certificate> path;
  if (auto verified = verify_into(end, others, rules, &path); !verified) return err(std::move(verified.error()));
  return path;
}

Result<void, PathRefusal> TrustStore::verify_into(const Certificate& end, std::span<const Certificate> others,
                                                  const PathRules& rules, std::vector<Certificate>* path) const {
  const ErrorQueueGuard guard;
  X509* own = end.handle().certificate.get();
  const UntrustedStack untrusted(sk_X509_new_null());
  const openssl::X509StoreCtx context(X509_STORE_CTX_new());
  CHECK(untrusted && context);
  for (const Certificate& one : others.first(std::min<std::size_t>(others.size(), kPathLimit)))
    CHECK(sk_X509_push(untrusted.get(), one.handle().certificate.get()) > 0);
  CHECK(X509_STORE_CTX_init(context.get(), handle_->store.get(), own, untrusted.get()) == 1);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  // Any certificate among the authorities is believed, self-signed or not; policies count where a certificate demands
  // them (RFC 5280 6.1.3 (f)).
  unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_POLICY_CHECK;
  if (handle_->lists) flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
  X509_VERIFY_PARAM_set_flags(param, flags);
  X509_VERIFY_PARAM_set_time(param, static_cast<std::time_t>(rules.now));
  X509_VERIFY_PARAM_set_depth(param, static_cast<int>(kPathLimit));
  X509_VERIFY_PARAM_set_auth_level(param, rules.strong ? 2 : 0);
  Judgement judgement{.rules = rules, .found = {}};
  CHECK(X509_STORE_CTX_set_app_data(context.get(), &judgement) == 1);
  X509_STORE_CTX_set_verify_cb(context.get(), judge);
  if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    X509* at = X509_STORE_CTX_get_current_cert(context.get());
    if (at == nullptr) at = own;
    if (judgement.found.empty()) judgement.found = found_text(context.get(), at, error, rules);
    return err(refusal(at, check_of(error), std::move(judgement.found)));
  }
  if (auto good = check_authorities(X509_STORE_CTX_get0_chain(context.get())); !good) return good;
  if (auto good = check_use(own); !good || path == nullptr) return good;
  // The library's path has the very objects that were handed to it, which have been read already.
  const STACK_OF(X509)* found = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(found); ++i) {
    const X509* wanted = sk_X509_value(found, i);
    const auto take = [&](std::span<const Certificate> from) {
      const auto at =
          std::ranges::find(from, wanted, [](const Certificate& one) { return one.handle().certificate.get(); });
      if (at == from.end()) return false;
      path->push_back(*at);
      return true;
    };
    CHECK(take({&end, 1}) || take(others) || take(handle_->authorities));
  }
  return {};
}

}  // namespace culvert::crypto
