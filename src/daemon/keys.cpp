#include "daemon/keys.hpp"

#include <utility>

#include "base/check.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/v2/ppk.hpp"
#include "model/proposal.hpp"

namespace culvert::daemon {

namespace {

/// Conversations under way keep what they began with.
std::shared_ptr<const ike::v2::EapParties> eap_parties(const config::Config& config,
                                                       const config::TunnelConfig& tunnel) {
  CHECK(tunnel.connection.eap);
  const model::EapSettings& eap = *tunnel.connection.eap;
  auto parties = std::make_shared<ike::v2::EapParties>();
  parties->own_secret = tunnel.eap_secret.clone();
  if (eap.with_tls() && tunnel.credentials) {
    const auto* trust = std::get_if<crypto::TrustStore>(&tunnel.credentials->peer);
    auto context = crypto::TlsContext::make({.server = !eap.client,
                                             .certificates = tunnel.credentials->certificates,
                                             .key = tunnel.credentials->key,
                                             .trust = trust != nullptr ? std::optional(*trust) : std::nullopt});
    // The configuration was checked; a key that TLS alone has no use for is told when a conversation wants it.
    if (context) parties->tls = std::move(*context);
  }
  if (eap.client) return parties;
  for (const config::UserConfig& user : config.users) parties->users.emplace(user.name, user.secret.clone());
  return parties;
}

ike::v2::OwnChain chain_of(const config::OwnChain& chain) {
  return {.certificates = chain.certificates,
          .key = chain.key,
          .authorities = chain.authorities,
          .urls = chain.urls,
          .issuer = chain.issuer,
          .identity = chain.identity};
}

ike::v2::Credentials credentials_for(const config::TunnelConfig& tunnel) {
  CHECK(tunnel.credentials);
  const config::Credentials& given = *tunnel.credentials;
  ike::v2::Credentials made{.certificates = given.certificates,
                            .key = given.key,
                            .peer = given.peer,
                            .sha1_allowed = tunnel.connection.sha1_signatures,
                            .chain_authorities = given.first.authorities,
                            .urls = given.first.urls,
                            .chain_issuer = given.first.issuer,
                            .chain_identity = given.first.identity,
                            .others = {},
                            .revocation = {},
                            .fetch_from = given.fetch_from,
                            .round_peers = given.round_peers};
  if (given.revocation) {
    made.revocation = ike::v2::RevocationPolicy{.strict = given.revocation->strict,
                                                .ocsp = given.revocation->ocsp,
                                                .lists = given.revocation->lists,
                                                .known = given.revocation->known};
  }
  for (const config::OwnChain& chain : given.others) made.others.push_back(chain_of(chain));
  return made;
}

}  // namespace

void Secrets::load(const config::Config& config) {
  by_tunnel_.clear();
  ppks_.clear();
  credentials_.clear();
  eap_.clear();
  for (const config::TunnelConfig& tunnel : config.tunnels) {
    const std::string& name = tunnel.connection.name;
    if (tunnel.connection.eap) eap_.emplace(name, eap_parties(config, tunnel));
    if (!tunnel.ppk.empty()) ppks_.emplace(name, tunnel.ppk.clone());
    if (!tunnel.secret.empty()) by_tunnel_.emplace(name, tunnel.secret.clone());
    if (tunnel.credentials)
      credentials_.emplace(name, std::make_shared<const ike::v2::Credentials>(credentials_for(tunnel)));
  }
}

void Secrets::name_connection(model::ConnectionId connection, std::string tunnel) {
  names_.insert_or_assign(connection, std::move(tunnel));
}

std::string Secrets::tunnel_of(model::ConnectionId connection) const {
  const auto name = names_.find(connection);
  return name == names_.end() ? std::string() : name->second;
}

ike::SharedKeyMacResult Secrets::compute(const ike::SharedKeyMacRequest& request) const {
  const auto name = names_.find(request.connection);
  const auto hash = model::prf_function(request.prf);
  if (name == names_.end() || !hash) return {};
  const auto secret = by_tunnel_.find(name->second);
  if (secret == by_tunnel_.end()) return {};
  return {ike::auth::shared_key_mac(*hash, secret->second.view(), request.octets)};
}

ike::PpkResult Secrets::compute(const ike::PpkRequest& request) const {
  const auto prf = model::prf_function(request.prf);
  const auto held = ppks_.find(tunnel_of(request.connection));
  if (held == ppks_.end() || !prf) return {};
  return ike::v2::carry_out(*prf, held->second.view(), request);
}

Secrets::SharedCredentials Secrets::credentials_of(model::ConnectionId connection) const {
  const auto name = names_.find(connection);
  if (name == names_.end()) return nullptr;
  const auto held = credentials_.find(name->second);
  return held == credentials_.end() ? nullptr : held->second;
}

Secrets::Work Secrets::work_for(ike::SignRequest request) const {
  auto held = credentials_of(request.connection);
  return [request = std::move(request), held = std::move(held)]() -> ike::Completion {
    if (!held) return ike::SignResult{err(std::string("there is no private key for it"))};
    return carry_out(request, *held);
  };
}

Secrets::Work Secrets::work_for(ike::VerifyRequest request, crypto::CalendarTime now) const {
  auto held = credentials_of(request.connection);
  return [request = std::move(request), held = std::move(held), now]() -> ike::Completion {
    if (!held) {
      return ike::VerifyResult{
          model::AuthenticationRefusal{{}, {}, "issuer", "there is no authority that is believed"}};
    }
    return carry_out(request, *held, now);
  };
}

ike::v2::EapSessions::Work Secrets::work_for(ike::EapRequest request, crypto::CalendarTime now) {
  const auto name = names_.find(request.connection);
  const auto parties = name == names_.end() ? eap_.end() : eap_.find(name->second);
  return eap_sessions_.work_for(std::move(request), parties == eap_.end() ? nullptr : parties->second, now);
}

}  // namespace culvert::daemon
