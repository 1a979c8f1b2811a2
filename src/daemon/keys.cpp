#include "daemon/keys.hpp"

#include "ike/auth/shared_key.hpp"
#include "model/proposal.hpp"

namespace culvert::daemon {

void Secrets::load(const config::Config& config) {
  by_tunnel_.clear();
  credentials_.clear();
  for (const config::TunnelConfig& tunnel : config.tunnels) {
    const std::string& name = tunnel.connection.name;
    if (!tunnel.credentials) {
      by_tunnel_.emplace(name, tunnel.secret.clone());
      continue;
    }
    credentials_.emplace(name, ike::v2::Credentials{.certificates = tunnel.credentials->certificates,
                                                    .key = tunnel.credentials->key,
                                                    .peer = tunnel.credentials->peer,
                                                    .sha1_allowed = tunnel.connection.sha1_signatures});
  }
}

void Secrets::name_connection(model::ConnectionId connection, std::string tunnel) {
  names_.insert_or_assign(connection, std::move(tunnel));
}

ike::SharedKeyMacResult Secrets::compute(const ike::SharedKeyMacRequest& request) const {
  const auto name = names_.find(request.connection);
  const auto hash = model::prf_function(request.prf);
  if (name == names_.end() || !hash) return {};
  const auto secret = by_tunnel_.find(name->second);
  if (secret == by_tunnel_.end()) return {};
  return {ike::auth::shared_key_mac(*hash, secret->second.view(), request.octets)};
}

const ike::v2::Credentials* Secrets::credentials_of(model::ConnectionId connection) const {
  const auto name = names_.find(connection);
  if (name == names_.end()) return nullptr;
  const auto held = credentials_.find(name->second);
  return held == credentials_.end() ? nullptr : &held->second;
}

ike::SignResult Secrets::compute(const ike::SignRequest& request) const {
  const ike::v2::Credentials* held = credentials_of(request.connection);
  if (held == nullptr) return {err(std::string("there is no private key for it"))};
  return carry_out(request, *held);
}

ike::VerifyResult Secrets::compute(const ike::VerifyRequest& request, crypto::CalendarTime now) const {
  const ike::v2::Credentials* held = credentials_of(request.connection);
  if (held == nullptr)
    return {model::AuthenticationRefusal{{}, {}, "issuer", "there is no authority that is believed"}};
  return carry_out(request, *held, now);
}

}  // namespace culvert::daemon
