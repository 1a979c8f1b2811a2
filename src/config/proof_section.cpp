// `auth` and `peer_auth` of a tunnel: how each side proves who it is, and that nothing is written beside it that goes
// with another way.
#include <array>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

using model::Authentication;

constexpr std::pair<std::string_view, Authentication> kWays[] = {{"secret", Authentication::shared_key},
                                                                 {"certificate", Authentication::certificate},
                                                                 {"none", Authentication::none}};

void refuse(Section& section, std::string_view key, std::string message, std::string hint) {
  if (section.has(key)) section.error(section.position_of(key), key, std::move(message), std::move(hint));
}

/// What only one of the two ways needs must not stand there with the other.
void check_beside(Section& section, const ProofMethods& methods) {
  const auto unused = [&](std::string_view key, std::string_view why) {
    refuse(section, key, fmt::format("nothing needs it, for {}", why), "take it out, or change auth or peer_auth");
  };
  if (methods.own != Authentication::certificate) {
    for (const std::string_view key : {"certificate", "private_key", "private_key_password",
                                       "private_key_password_file", "certificate_url", "certificate_chain"})
      unused(key, "auth says that this end does not prove itself by certificate");
  }
  if (methods.peer != Authentication::certificate) {
    constexpr std::string_view kWhy = "peer_auth says that the peer does not prove itself by certificate";
    for (const std::string_view key : {"ca", "crl", "peer_key"}) unused(key, kWhy);
    // What says that nothing is looked up may stand anywhere.
    if (read_revocation(section)) unused("revocation", kWhy);
    if (!read_fetch_prefixes(section).empty()) unused("fetch_certificates", kWhy);
  }
  if (methods.uses(Authentication::shared_key)) return;
  for (const std::string_view key : {"secret", "secret_file"}) {
    if (methods.uses(Authentication::certificate)) {
      refuse(section, key, "both a secret and a certificate or key are given",
             "keep one of them, or say by auth and peer_auth which side proves itself by what");
    } else {
      unused(key, "neither side proves itself by it");
    }
  }
}

// RFC 7619 2.2, 2.4: nobody in particular; and no more for them than what stands in a tunnel that says so.
void settle_nobody(Section& section, DraftTunnel& draft, const ProofMethods& methods) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (methods.own == Authentication::none) {
    refuse(section, "local_id", "with auth = \"none\" this end is nobody in particular", "take it out");
    connection.local_id = model::Identity::none();
  }
  if (methods.peer != Authentication::none) return;
  refuse(section, "remote_id", "with peer_auth = \"none\" there is nobody whose name could be known", "take it out");
  refuse(section, "pool", "addresses are for peers that prove who they are", "take it out, or peer_auth = \"none\"");
  connection.remote_id = model::Identity::none();
  connection.remote_pattern.reset();
  const Position at = section.position_of("peer_auth");
  if (draft.config.peer_kind == PeerKind::any)
    section.error(at, "peer_auth", "anybody from anywhere would be let into this tunnel",
                  "write the peer's address or DNS name as peer, so that the tunnel is for one host at least");
  section.warning(at, "peer_auth", "whoever answers at the peer's address, or stands between, is taken for the peer",
                  "keep it for traffic that would otherwise be in clear");
}

}  // namespace

void read_proof_methods(Section& section, DraftTunnel& draft) {
  if (wants_rounds(section)) return read_rounds(section, draft);
  const Authentication usual = wants_credentials(section) ? Authentication::certificate : Authentication::shared_key;
  ProofMethods methods{.own = usual, .peer = usual};
  if (const auto own = section.choice("auth", kWays)) methods.own = *own;
  if (const auto peer = section.choice("peer_auth", kWays)) methods.peer = *peer;
  if (section.has("eap")) {
    // One of the two is EAP then; what is said of the responder holds for both fields (RFC 7296 2.16).
    for (const std::string_view key : {"auth", "peer_auth"})
      refuse(section, key, "with eap the initiator proves itself by EAP, and the responder by what is given",
             "take it out");
    methods = {.own = usual, .peer = usual};
  }
  if (!section.has("eap"))
    check_beside(section, methods);
  else if (usual == Authentication::certificate) {
    for (const std::string_view key : {"secret", "secret_file"})
      refuse(section, key, "both a secret and a certificate or key are given", "keep one of them");
  }
  settle_nobody(section, draft, methods);
  model::ConnectionConfig& connection = draft.config.connection;
  connection.authentication = methods.own;
  if (methods.peer != methods.own) connection.peer_authentication = methods.peer;
  if (methods.uses(Authentication::shared_key)) draft.config.secret = read_shared_key(section);
  draft.methods = methods;
}

}  // namespace culvert::config
