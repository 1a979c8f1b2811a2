#include "ike/v2/authentication.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/auth/certificate_proof.hpp"
#include "ike/auth/digital_signature.hpp"
#include "ike/auth/shared_key.hpp"

namespace culvert::ike::v2 {
namespace {

using model::Authentication;
using model::AuthenticationMethod;
using model::Role;

void ask_for_mac(Core& core, RequestToken token, const IkeSa& sa, const model::ConnectionConfig& config, Bytes octets) {
  core.requests.push_back(
      SharedKeyMacRequest{.token = token, .connection = config.id, .prf = sa.suite.prf, .octets = std::move(octets)});
}

/// Those that are looked at, and one more, by which it is seen that there were too many.
std::vector<Bytes> certificates_of(const codec::Message& message) {
  std::vector<Bytes> all;
  for (const auto* payload : message.all<codec::CertPayload>()) {
    // Other encodings are of no use without being asked for (RFC 7296 3.6).
    if (payload->encoding != model::CertificateEncoding::x509_signature) continue;
    all.push_back(payload->data);
    if (all.size() > auth::kMostCertificates) break;
  }
  return all;
}

std::optional<Bytes> raw_key_of(const codec::Message& message) {
  for (const auto* payload : message.all<codec::CertPayload>()) {
    if (payload->encoding == model::CertificateEncoding::raw_public_key) return payload->data;
  }
  return std::nullopt;
}

std::string no_secret(const model::ConnectionConfig& config) {
  return fmt::format("there is no secret for connection '{}'", config.name);
}

}  // namespace

// RFC 7296 2.15: the signer's first message, the other side's nonce, the signer's ID payload.
Bytes octets_of(const IkeSa& sa, const codec::IdPayload& id) {
  const bool initiator = id.side == Role::initiator;
  return auth::signed_octets(sa.prf, initiator ? sa.init.request : sa.init.response,
                             initiator ? sa.init.nonce_r : sa.init.nonce_i, sa.keys.sk_p(id.side).view(), id.body());
}

std::optional<Authentication> authentication_by(AuthenticationMethod method) {
  if (method == AuthenticationMethod::shared_key_mic) return Authentication::shared_key;
  if (auth::is_signature(method)) return Authentication::certificate;
  return std::nullopt;
}

RequestToken ask_for_proof(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                           const codec::IdPayload& own_id) {
  const RequestToken token = core.expect_completion(sa);
  Bytes octets = octets_of(sa, own_id);
  if (config.authentication == Authentication::shared_key) {
    ask_for_mac(core, token, sa, config, std::move(octets));
  } else {
    core.requests.push_back(SignRequest{
        .token = token, .connection = config.id, .peer_hashes = sa.init.peer_hashes, .octets = std::move(octets)});
  }
  return token;
}

Result<OwnProof, std::string> own_proof(Completion&& completion, const model::ConnectionConfig& config) {
  if (auto* signed_by_key = std::get_if<SignResult>(&completion)) {
    if (signed_by_key->proof) return std::move(*signed_by_key->proof);
    return err(fmt::format("connection '{}' cannot sign: {}", config.name, signed_by_key->proof.error()));
  }
  const auto* mac = std::get_if<SharedKeyMacResult>(&completion);
  CHECK(mac != nullptr);
  if (!mac->mac) return err(no_secret(config));
  return OwnProof{.method = AuthenticationMethod::shared_key_mic,
                  .auth = to_bytes(mac->mac->view()),
                  .certificates = {},
                  .raw_key = {}};
}

void add_certificates(codec::Message& message, const OwnProof& proof) {
  for (const Bytes& der : proof.certificates)
    message.add(codec::CertPayload{.encoding = model::CertificateEncoding::x509_signature, .data = der});
  if (!proof.raw_key.empty())
    message.add(codec::CertPayload{.encoding = model::CertificateEncoding::raw_public_key, .data = proof.raw_key});
}

RequestToken ask_about_peer(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                            const codec::Message& message, const codec::IdPayload& peer_id) {
  const RequestToken token = core.expect_completion(sa);
  Bytes octets = octets_of(sa, peer_id);
  if (config.authentication == Authentication::shared_key) {
    ask_for_mac(core, token, sa, config, std::move(octets));
    return token;
  }
  const auto* auth = message.first<codec::AuthPayload>();
  core.requests.push_back(VerifyRequest{.token = token,
                                        .connection = config.id,
                                        .identity = peer_id.identity,
                                        .method = auth->method,
                                        .auth = auth->data,
                                        .octets = std::move(octets),
                                        .certificates = certificates_of(message),
                                        .raw_key = raw_key_of(message)});
  return token;
}

std::optional<ProofFault> peer_fault(const Completion& completion, const IkeSa& sa,
                                     const model::ConnectionConfig& config, const codec::Message& message) {
  if (const auto* verified = std::get_if<VerifyResult>(&completion)) {
    if (!verified->refusal) return std::nullopt;
    return ProofFault{
        .detail = fmt::format("the peer {} at {} is refused by connection '{}': {}", sa.remote_id.to_string(),
                              sa.path.remote.to_string(), config.name, verified->refusal->to_string()),
        .refusal = verified->refusal};
  }
  const auto* expected = std::get_if<SharedKeyMacResult>(&completion);
  CHECK(expected != nullptr);
  if (!expected->mac) return ProofFault{.kind = FailureKind::local_error, .detail = no_secret(config), .refusal = {}};
  if (auth::auth_matches(*expected->mac, message.first<codec::AuthPayload>()->data)) return std::nullopt;
  return ProofFault{.detail = fmt::format("the peer {} at {} does not have our secret of connection '{}'",
                                          sa.remote_id.to_string(), sa.path.remote.to_string(), config.name),
                    .refusal = {}};
}

void add_signature_hashes(codec::Message& message) {
  message.add_notify(model::NotifyType::signature_hash_algorithms, auth::encode_hashes(auth::accepted_hashes()));
}

model::SignatureHashes peer_hashes(const codec::Message& message) {
  const auto* notify = message.notify(model::NotifyType::signature_hash_algorithms);
  return notify == nullptr ? model::SignatureHashes() : auth::decode_hashes(notify->data);
}

void add_certificate_request(codec::Message& message, const Bytes& authorities, bool raw_key) {
  using enum model::CertificateEncoding;
  if (!authorities.empty()) message.add(codec::CertReqPayload{.encoding = x509_signature, .authorities = authorities});
  // RFC 7670 3: without authorities.
  if (raw_key) message.add(codec::CertReqPayload{.encoding = raw_public_key, .authorities = {}});
}

}  // namespace culvert::ike::v2
