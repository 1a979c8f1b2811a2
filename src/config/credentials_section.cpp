// `certificate`, `private_key`, `ca`, `crl`, `peer_key` and what goes with them: a tunnel's credentials, put together
// of what own_credentials.cpp and peer_trust.cpp have read.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>

#include "config/credential_parts.hpp"
#include "config/draft.hpp"
#include "crypto/prf.hpp"

namespace culvert::config {
namespace {

using crypto::Certificate;

constexpr crypto::CalendarTime kSoon = crypto::CalendarTime{14} * 86'400;

constexpr std::array<std::string_view, 9> kSettings = {
    "certificate", "private_key", "private_key_password", "private_key_password_file", "ca",
    "crl",         "peer_key",    "certificate_url",      "certificate_chain"};

/// SHA-1 under signatures is for peers that know nothing else.
void allow_sha1(Section& section, model::ConnectionConfig& connection, std::span<CompatWord> compat) {
  const auto found = std::ranges::find(compat, "sha1", &CompatWord::word);
  if (found == compat.end()) return;
  found->used = true;
  connection.sha1_signatures = true;
  section.warning(found->position, "compat",
                  "\"sha1\" allows RSA signatures over SHA-1, to and from a peer that does not know RFC 7427",
                  "take it out once the peer can do better");
}

}  // namespace

std::string path_of(const Section& section, const std::string& written) {
  return (std::filesystem::path(section.file()).parent_path() / written).string();
}

std::string name_of(const Certificate& certificate) {
  return fmt::format("{} (serial {})", certificate.subject(), certificate.serial());
}

void check_dates(Section& section, const Position& at, std::string_view key, const Certificate& certificate,
                 crypto::CalendarTime now, std::string_view who) {
  const auto warn = [&](std::string_view what, crypto::CalendarTime when, std::string_view hint) {
    section.warning(at, key, fmt::format("{} {} {}", name_of(certificate), what, crypto::to_text(when)),
                    std::string(hint));
  };
  if (certificate.not_after() < now) {
    warn("ended on", certificate.not_after(), fmt::format("{}: renew it and type: culvert apply", who));
  } else if (certificate.not_before() > now) {
    warn("begins only on", certificate.not_before(), fmt::format("{} until then; or is this host's clock wrong?", who));
  } else if (certificate.not_after() - now < kSoon) {
    warn("ends on", certificate.not_after(), "renew it and type: culvert apply");
  }
}

Bytes appended(Bytes to, const Bytes& more) {
  to.insert(to.end(), more.begin(), more.end());
  return to;
}

bool wants_credentials(const Section& section) {
  return std::ranges::any_of(kSettings, [&](std::string_view key) { return section.has(key); });
}

namespace {

/// Which certificates, or keys, there must be.
struct Needs {
  bool own = false;
  bool judges = false;  // of the peer
};

// Where EAP proves one side, the other has the certificate, or key, and the one judges it (RFC 7296 2.16); with EAP-TLS
// both have one.
Needs needs(const Section& section, const ProofMethods& methods, const model::ConnectionConfig& connection) {
  const bool eap_tls = connection.eap && connection.eap->has(model::EapType::tls);
  const bool by_eap = section.has("eap") && !section.has("eap_identity");
  return {.own = methods.own == model::Authentication::certificate && (!section.has("eap_identity") || eap_tls),
          .judges = methods.peer == model::Authentication::certificate &&
                    (!by_eap || eap_tls || section.has("ca") || section.has("crl") || section.has("peer_key"))};
}

// RFC 4739: those of all rounds together, and of TLS within EAP.
Needs needs_in_rounds(const ProofMethods& methods, const model::ConnectionConfig& connection) {
  const bool tls = connection.eap && connection.eap->with_tls();
  const bool eap_tls = tls && connection.eap->has(model::EapType::tls);
  const bool client = tls && connection.eap->client;
  return {.own = methods.own_certificate || (client ? eap_tls : tls),
          .judges = methods.peer_certificate || (client ? tls : eap_tls)};
}

}  // namespace

void read_credentials(Section& section, DraftTunnel& draft, CredentialFiles& files, std::span<CompatWord> compat) {
  model::ConnectionConfig& connection = draft.config.connection;
  const auto [wants_own, judges] =
      draft.methods.rounds ? needs_in_rounds(draft.methods, connection) : needs(section, draft.methods, connection);
  if (draft.methods.rounds ? !wants_own && !judges : !draft.methods.uses(model::Authentication::certificate)) return;
  connection.peer_by_key = section.has("peer_key");
  allow_sha1(section, connection, compat);
  std::optional<std::vector<OwnChain>> own;
  if (wants_own) {
    own = read_own(section, draft, files);
  } else {
    own.emplace(1);
  }
  std::optional<PeerTrust> peer = PeerTrust{crypto::TrustStore::make({}, {}), {}, {}};
  if (judges || connection.peer_by_key) peer = read_peer_trust(section, draft, files, own ? &*own : nullptr);
  std::vector<Located<std::string>> urls;
  if (section.has("certificate_url")) urls = section.texts("certificate_url", crypto::kPathLimit);
  if (!own || !peer) return;
  read_own_urls(section, urls, *own);
  add_authorities(*own, files, peer->authorities);
  Credentials credentials{.certificates = {},
                          .key = {},
                          .peer = std::move(peer->peer),
                          .own_fingerprint = {},
                          .trust_fingerprint = std::move(peer->fingerprint)};
  for (const OwnChain& chain : *own) {
    for (const Bytes& der : chain.certificates)
      credentials.own_fingerprint =
          appended(std::move(credentials.own_fingerprint), crypto::hash(crypto::HashId::sha2_256, {der}));
    if (chain.certificates.empty() && chain.key.present())
      credentials.own_fingerprint = crypto::hash(crypto::HashId::sha2_256, {chain.key.public_key().spki()});
  }
  credentials.revocation = std::move(peer->revocation);
  credentials.round_peers = std::move(peer->rounds);
  if (!connection.peer_by_key && section.has("fetch_certificates")) {
    credentials.fetch_from = read_fetch_prefixes(section);
    connection.certificates_by_url = !credentials.fetch_from.empty();
  }
  credentials.certificates = own->front().certificates;
  credentials.key = own->front().key;
  credentials.first = std::move(own->front());
  credentials.others.assign(std::make_move_iterator(own->begin() + 1), std::make_move_iterator(own->end()));
  draft.config.credentials = std::move(credentials);
}

}  // namespace culvert::config
