// Certificates where several rounds of authentication (RFC 4739) are by certificate: whose each of ours is, and whom we
// believe in which of the peer's.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/credential_parts.hpp"
#include "config/draft.hpp"
#include "model/certificate_identity.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::config {
namespace {

using crypto::Certificate;
using model::Authentication;
using model::AuthRound;
using model::Identity;

/// The identities of our later rounds by certificate that have one of their own.
std::vector<Identity*> named_rounds(model::ConnectionConfig& connection) {
  std::vector<Identity*> named;
  for (AuthRound& round : connection.own_rounds) {
    if (round.by == Authentication::certificate && round.id) named.push_back(&*round.id);
  }
  return named;
}

/// As it stands in the certificate (RFC 4945 3.1.5).
void write_as_in(const Certificate& own, Identity& identity) {
  if (identity.type == model::IdentificationType::der_asn1_dn) identity.data = own.subject_der();
}

}  // namespace

bool settle_round_certificate(Section& section, DraftTunnel& draft, const Certificate& own,
                              std::optional<Identity>& whose) {
  model::ConnectionConfig& connection = draft.config.connection;
  const std::vector<Identity*> named = named_rounds(connection);
  if (named.empty()) return false;
  const bool several = named.size() + (draft.methods.begins_by_certificate ? 1 : 0) > 1;
  const auto place = std::ranges::find_if(named, [&](const Identity* one) { return model::has_identity(own, *one); });
  if (place != named.end()) {
    write_as_in(own, **place);
    if (several) whose = **place;
    return true;
  }
  const auto& first = connection.local_id;
  // Without a name of its own the first round takes that of the certificate that is for no other.
  if (draft.methods.begins_by_certificate && (!first || model::has_identity(own, *first))) return false;
  std::string names = draft.methods.begins_by_certificate ? first->to_string() : "";
  for (const Identity* one : named) names += (names.empty() ? "" : " or ") + one->to_string();
  section.error(
      section.position_of("auth"), "auth",
      fmt::format("the certificate {} is not for {}, but for {}", own.subject(), names, model::identities_text(own)),
      "write one of these as id, or make a certificate with that subject alternative name");
  return true;
}

void check_round_certificates(Section& section, const DraftTunnel& draft, const std::vector<OwnChain>& own) {
  if (std::ranges::none_of(own, [](const OwnChain& one) { return one.identity.has_value(); })) return;
  const model::ConnectionConfig& connection = draft.config.connection;
  std::vector<Identity> names;
  if (draft.methods.begins_by_certificate && connection.local_id) names.push_back(*connection.local_id);
  for (const AuthRound& round : connection.own_rounds) {
    if (round.by == Authentication::certificate && round.id) names.push_back(*round.id);
  }
  for (const Identity& name : names) {
    const bool there = std::ranges::any_of(
        own, [&](const OwnChain& one) { return one.identity && one.identity->comparable() == name.comparable(); });
    if (there) continue;
    section.error(section.position_of("certificate"), "certificate",
                  fmt::format("no certificate is left for the round of {}", name.to_string()),
                  "name a certificate for each round: certificate = [\"machine.pem\", \"user.pem\"]");
  }
}

bool add_round_trust(Section& section, DraftTunnel& draft, CredentialFiles& files,
                     const std::vector<std::string>& lists, PeerTrust& trust) {
  model::ConnectionConfig& connection = draft.config.connection;
  for (const auto& [round, written] : draft.methods.round_authorities) {
    const auto paths = read_authorities(section, "peer_auth", written, files);
    if (paths.empty()) return false;
    const CredentialFiles::Trust& made = files.trust(paths, lists);
    trust.rounds.emplace(round, made.store);
    trust.fingerprint = appended(std::move(trust.fingerprint), made.fingerprint);
    trust.authorities.insert(trust.authorities.end(), paths.begin(), paths.end());
    // One request for certificates is for all rounds (RFC 7296 3.7).
    for (std::size_t at = 0; at < made.authorities.size(); at += model::kAuthorityDigest) {
      const auto digest = ByteView(made.authorities).subspan(at, model::kAuthorityDigest);
      bool known = false;
      for (std::size_t has = 0; has < connection.authorities.size(); has += model::kAuthorityDigest)
        known = known || equal(ByteView(connection.authorities).subspan(has, model::kAuthorityDigest), digest);
      if (!known) connection.authorities.insert(connection.authorities.end(), digest.begin(), digest.end());
    }
  }
  return true;
}

}  // namespace culvert::config
