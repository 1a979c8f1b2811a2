#include "ike/v2/authentication.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/auth/certificate_proof.hpp"
#include "ike/auth/digital_signature.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/proof_wishes.hpp"

namespace culvert::ike::v2 {
namespace {

using model::Authentication;
using model::AuthenticationMethod;
using model::Role;

void ask_for_mac(Core& core, RequestToken token, const IkeSa& sa, const model::ConnectionConfig& config, Bytes octets) {
  core.requests.push_back(
      SharedKeyMacRequest{.token = token, .connection = config.id, .prf = sa.suite.prf, .octets = std::move(octets)});
}

// RFC 7619 2.1: as with a shared key, by one that both sides have from the key exchange; so the core does it itself.
void answer_by_own_key(Core& core, RequestToken token, const IkeSa& sa, Role side, ByteView octets) {
  core.answered.emplace_back(token, SharedKeyMacResult{auth::shared_key_mac(sa.prf, sa.keys.sk_p(side), octets)});
}

// RFC 5723 4.3.3: prf(SK_px, octets), without the pad of a shared secret.
void answer_by_resumed_key(Core& core, RequestToken token, const IkeSa& sa, Role side, ByteView octets) {
  core.answered.emplace_back(token, SharedKeyMacResult{sa.prf(sa.keys.sk_p(side), {octets})});
}

std::string no_secret(const model::ConnectionConfig& config) {
  return fmt::format("there is no secret for connection '{}'", config.name);
}

}  // namespace

// RFC 7296 2.15: the signer's first message, the other side's nonce, the signer's ID payload.
Bytes octets_of(const IkeSa& sa, const codec::IdPayload& id) {
  const bool initiator = id.side == Role::initiator;
  Bytes octets = auth::signed_octets(sa.prf, initiator ? sa.init->request : sa.init->response,
                                     initiator ? sa.init->nonce_r : sa.init->nonce_i, sa.keys.sk_p(id.side), id.body());
  append_int_auth(sa, octets);
  return octets;
}

std::optional<Authentication> authentication_by(AuthenticationMethod method) {
  if (method == AuthenticationMethod::shared_key_mic) return Authentication::shared_key;
  if (method == AuthenticationMethod::null) return Authentication::none;
  if (auth::is_signature(method)) return Authentication::certificate;
  return std::nullopt;
}

RequestToken ask_for_proof(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                           const codec::IdPayload& own_id) {
  const RequestToken token = core.expect_completion(sa);
  Bytes octets = octets_of(sa, own_id);
  if (sa.resumption) {
    answer_by_resumed_key(core, token, sa, own_id.side, octets);
    return token;
  }
  switch (config.authentication) {
    case Authentication::shared_key: ask_for_mac(core, token, sa, config, std::move(octets)); break;
    case Authentication::none: answer_by_own_key(core, token, sa, own_id.side, octets); break;
    case Authentication::certificate:
      core.requests.push_back(SignRequest{.token = token,
                                          .connection = config.id,
                                          .peer_hashes = sa.init->peer_hashes,
                                          .octets = std::move(octets),
                                          .wishes = sa.init->wishes,
                                          .identity = own_id.identity});
      break;
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
  return OwnProof{.method = config.authentication == Authentication::none ? AuthenticationMethod::null
                                                                          : AuthenticationMethod::shared_key_mic,
                  .auth = to_bytes(mac->mac->view()),
                  .certificates = {},
                  .raw_key = {}};
}

void add_certificates(codec::Message& message, const OwnProof& proof) {
  for (const Bytes& der : proof.certificates)
    message.add(codec::CertPayload{.encoding = model::CertificateEncoding::x509_signature, .data = der});
  if (!proof.raw_key.empty())
    message.add(codec::CertPayload{.encoding = model::CertificateEncoding::raw_public_key, .data = proof.raw_key});
  for (const model::EncodedCertificate& one : proof.more)
    message.add(codec::CertPayload{.encoding = one.encoding, .data = one.data});
}

RequestToken ask_about_peer(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                            const codec::Message& message, const codec::IdPayload& peer_id, std::size_t round) {
  const RequestToken token = core.expect_completion(sa);
  Bytes octets = octets_of(sa, peer_id);
  if (sa.resumption) {
    answer_by_resumed_key(core, token, sa, peer_id.side, octets);
    return token;
  }
  if (config.expected() == Authentication::shared_key) {
    ask_for_mac(core, token, sa, config, std::move(octets));
    return token;
  }
  if (config.expected() == Authentication::none) {
    answer_by_own_key(core, token, sa, peer_id.side, octets);
    return token;
  }
  const auto* auth = message.first<codec::AuthPayload>();
  VerifyRequest request{.token = token,
                        .connection = config.id,
                        .identity = peer_id.identity,
                        .method = auth->method,
                        .auth = auth->data,
                        .octets = std::move(octets),
                        .certificates = {},
                        .raw_key = std::nullopt,
                        .round = round};
  read_certificates(message, config.certificates_by_url, request);
  core.requests.push_back(std::move(request));
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
  if (sa.resumption)
    return ProofFault{.detail = fmt::format("the AUTH of {} does not go with its ticket for connection '{}'",
                                            sa.path.remote.to_string(), config.name),
                      .refusal = {}};
  if (config.expected() == Authentication::none)
    return ProofFault{.detail = fmt::format("the AUTH of {} does not go with the key exchange of connection '{}'; is "
                                            "somebody between us?",
                                            sa.path.remote.to_string(), config.name),
                      .refusal = {}};
  return ProofFault{.detail = fmt::format("the peer {} at {} does not have our secret of connection '{}'",
                                          sa.remote_id.to_string(), sa.path.remote.to_string(), config.name),
                    .refusal = {}};
}

bool begins_anew(const model::ConnectionConfig& config, const codec::Message& message) {
  // RFC 7619 2.3: whoever has proved nothing ends nothing.
  return config.expected() != Authentication::none && message.notify(model::NotifyType::initial_contact) != nullptr;
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
