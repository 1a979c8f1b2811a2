// `certificate`, `private_key`, `ca`, `crl` and `peer_key` of a tunnel: what we prove ourselves with, and whom we
// believe.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>

#include "config/draft.hpp"
#include "config/words.hpp"
#include "crypto/prf.hpp"
#include "model/certificate_identity.hpp"

namespace culvert::config {
namespace {

using crypto::Certificate;

constexpr std::size_t kFilesLimit = 64;  // of one setting
constexpr crypto::CalendarTime kSoon = 14 * 86'400;
constexpr unsigned kLeastRsaBits = 2048;

std::string path_of(const Section& section, const std::string& written) {
  return (std::filesystem::path(section.file()).parent_path() / written).string();
}

std::string name_of(const Certificate& certificate) {
  return fmt::format("{} (serial {})", certificate.subject(), certificate.serial());
}

/// Of a certificate that is ours or that we believe: what its dates will make the peers, or us, do.
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

/// The chain of `certificate`; empty after a complaint. What issued itself is not sent (RFC 4945 4.1).
std::vector<Certificate> read_chain(Section& section, CredentialFiles& files) {
  const auto written = section.text("certificate");
  if (!written) return {};
  const auto& read = files.certificates(path_of(section, written->value));
  if (!read) {
    section.error(written->position, "certificate", read.error().message, read.error().hint);
    return {};
  }
  std::vector<Certificate> chain = *read;
  const Certificate own = chain.front();
  check_dates(section, written->position, "certificate", own, files.now(), "peers refuse it");
  if (own.public_key().kind() == crypto::KeyKind::other) {
    section.error(written->position, "certificate",
                  fmt::format("{} has a key of {} bits of a kind that IKEv2 does not sign with", name_of(own),
                              own.public_key().bits()),
                  "use RSA, ECDSA on P-256, P-384 or P-521, Ed25519 or Ed448");
    return {};
  }
  if (own.public_key().kind() == crypto::KeyKind::rsa && own.public_key().bits() < kLeastRsaBits) {
    section.warning(written->position, "certificate",
                    fmt::format("{} has a key of {} bits; peers may refuse it", name_of(own), own.public_key().bits()),
                    fmt::format("make one of at least {} bits", kLeastRsaBits));
  }
  std::erase_if(chain, [&](const Certificate& one) {
    return one.fingerprint() != own.fingerprint() && one.subject() == one.issuer();
  });
  if (chain.size() > crypto::kPathLimit) {
    section.error(written->position, "certificate",
                  fmt::format("the file has {} certificates, {} can be sent", chain.size(), crypto::kPathLimit),
                  "keep this host's own first, and behind it those between it and the root");
    return {};
  }
  return chain;
}

std::optional<crypto::PrivateKey> read_private_key(Section& section, CredentialFiles& files,
                                                   const std::vector<Certificate>& chain) {
  if (!section.has("private_key")) {
    section.missing("private_key", chain.empty()
                                       ? "write private_key = \"PATH\"; culvert keygen --key -o PATH makes one"
                                       : "write private_key = \"PATH\": the key that the certificate is for");
    return std::nullopt;
  }
  const auto written = section.text("private_key");
  if (!written) return std::nullopt;
  const std::string path = path_of(section, written->value);
  const auto& key = files.key(path);
  if (!key) {
    section.error(written->position, "private_key", key.error().message, key.error().hint);
    return std::nullopt;
  }
  if (const auto verdict = judge_secret_file(path)) {
    const auto complain = verdict->severity == Severity::error ? &Section::error : &Section::warning;
    (section.*complain)(written->position, "private_key", verdict->message, verdict->hint);
  }
  if (!chain.empty() && !key->public_key().same_key(chain.front().public_key())) {
    section.error(written->position, "private_key",
                  fmt::format("the key in {} ({}) is not the one of {} ({})", in_quotes(path), key->to_string(),
                              name_of(chain.front()), chain.front().public_key().to_string()),
                  "name the key that the certificate was made for; in its file the own certificate comes first");
    return std::nullopt;
  }
  return *key;
}

/// The paths of `ca`, all of them good; empty after a complaint.
std::vector<std::string> read_authorities(Section& section, CredentialFiles& files) {
  if (!section.has("ca")) {
    section.missing("ca",
                    "write ca = [\"PATH\"]: the certificates of the authorities that may certify the peer; or "
                    "peer_key: the peer's own public key");
    return {};
  }
  std::vector<std::string> paths;
  bool good = true;
  for (const auto& [written, position] : section.texts("ca", kFilesLimit)) {
    paths.push_back(path_of(section, written));
    const auto& read = files.certificates(paths.back());
    if (!read) {
      section.error(position, "ca", read.error().message, read.error().hint);
      good = false;
      continue;
    }
    for (const Certificate& one : *read) {
      check_dates(section, position, "ca", one, files.now(), "whom it certifies is refused");
      if (!one.is_authority())
        section.warning(position, "ca", fmt::format("{} is no authority: only itself is believed", name_of(one)),
                        "name the certificate of the authority that issued it, if that is meant");
    }
  }
  return good ? paths : std::vector<std::string>();
}

/// The paths of `crl`, all of them good; nothing after a complaint.
std::optional<std::vector<std::string>> read_lists(Section& section, CredentialFiles& files) {
  std::vector<std::string> paths;
  bool good = true;
  if (!section.has("crl")) return paths;
  for (const auto& [written, position] : section.texts("crl", kFilesLimit)) {
    paths.push_back(path_of(section, written));
    const auto& read = files.lists(paths.back());
    if (!read) {
      section.error(position, "crl", read.error().message, read.error().hint);
      good = false;
      continue;
    }
    for (const crypto::RevocationList& one : *read) {
      const auto next = one.next_update();
      if (next && *next < files.now())
        section.warning(position, "crl",
                        fmt::format("the list of {} was to be replaced by {}", one.issuer(), crypto::to_text(*next)),
                        "whom that authority certified is refused: fetch a new list and type: culvert apply");
    }
  }
  if (!good) return std::nullopt;
  return paths;
}

/// Who we say we are must stand in our certificate, as it is written there (RFC 4945 3.1.5).
void settle_local_identity(Section& section, model::ConnectionConfig& connection, const Certificate& own) {
  if (!connection.local_id && !section.has("local_id")) {
    connection.local_id = model::preferred_identity(own);
    if (!connection.local_id)
      section.error(section.position_of("certificate"), "certificate",
                    fmt::format("{} has neither a subject nor an alternative name", name_of(own)),
                    "make a certificate with a subject alternative name, such as DNS:gw.example.net");
    return;
  }
  if (!connection.local_id) return;  // was complained about
  const model::Identity& wanted = *connection.local_id;
  if (!model::has_identity(own, wanted)) {
    section.error(section.position_of("local_id"), "local_id",
                  fmt::format("the certificate {} is not for {}, but for {}", name_of(own), wanted.to_string(),
                              model::identities_text(own)),
                  "write one of these, or make a certificate with that subject alternative name");
    return;
  }
  if (wanted.type == model::IdentificationType::der_asn1_dn)
    connection.local_id = model::Identity{wanted.type, own.subject_der()};
}

/// RFC 5216 5.2: the server looks for who we say we are in our certificate; not every server does.
void check_eap_identity(Section& section, const model::ConnectionConfig& connection, const Certificate& own) {
  const std::string& said = connection.eap->outer_identity;
  if (!said.empty() || connection.eap->identity.empty()) return;
  if (model::has_identity(own, model::Identity::parse(connection.eap->identity))) return;
  section.warning(section.position_of("eap_identity"), "eap_identity",
                  fmt::format("the certificate {} is not for {}, but for {}; servers may refuse it", name_of(own),
                              in_quotes(connection.eap->identity), model::identities_text(own)),
                  "write one of these, or eap_outer_identity = \"anonymous\" to let the certificate tell");
}

void check_remote_identity(Section& section, const model::ConnectionConfig& connection) {
  if (!connection.remote_id || connection.remote_id->type != model::IdentificationType::key_id) return;
  section.error(section.position_of("remote_id"), "remote_id",
                fmt::format("{} can stand in no certificate", in_quotes(connection.remote_id->to_string())),
                "write a name, a mail address, an address, or the subject (\"C=CH, O=Example, CN=gw\")");
}

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

constexpr std::array<std::string_view, 5> kSettings = {"certificate", "private_key", "ca", "crl", "peer_key"};

/// `peer_key`: a SubjectPublicKeyInfo in base64, as `culvert keygen --key` prints it, or a file with one.
std::optional<crypto::PublicKey> read_peer_key(Section& section, CredentialFiles& files) {
  const auto written = section.text("peer_key");
  if (!written) return std::nullopt;
  if (const auto der = from_base64(written->value)) {
    if (auto key = crypto::PublicKey::parse(*der)) return std::move(*key);
  }
  const auto& key = files.public_key(path_of(section, written->value));
  if (key) return *key;
  section.error(written->position, "peer_key", key.error().message,
                key.error().hint + "; or write the key itself, as culvert keygen --key shows it");
  return std::nullopt;
}

/// A raw key says nothing of who has it (RFC 7670 4), so both settings are refused that would want it to.
bool goes_with_key(Section& section) {
  bool good = true;
  for (const std::string_view key : {"ca", "crl"}) {
    if (!section.has(key)) continue;
    section.error(section.position_of(key), key, "both an authority and the peer's own key are given",
                  "keep one of them");
    good = false;
  }
  return good;
}

Bytes appended(Bytes to, const Bytes& more) {
  to.insert(to.end(), more.begin(), more.end());
  return to;
}

}  // namespace

bool wants_credentials(const Section& section) {
  return std::ranges::any_of(kSettings, [&](std::string_view key) { return section.has(key); });
}

void read_credentials(Section& section, DraftTunnel& draft, CredentialFiles& files, std::span<CompatWord> compat) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (!wants_credentials(section)) return;
  for (const std::string_view key : {"secret", "secret_file"}) {
    if (section.has(key))
      section.error(section.position_of(key), key, "both a secret and a certificate or key are given",
                    "keep one of them");
  }
  connection.authentication = model::Authentication::certificate;
  // Where EAP proves one side, the other has the certificate, or key, and the one judges it (RFC 7296 2.16); with
  // EAP-TLS both have one.
  const bool eap_client = section.has("eap_identity");
  const bool eap_tls = connection.eap && connection.eap->has(model::EapType::tls);
  const bool own = !eap_client || eap_tls;
  const bool judges = !section.has("eap") || eap_client || eap_tls || section.has("ca") || section.has("crl") ||
                      section.has("peer_key");
  connection.peer_by_key = section.has("peer_key");
  const bool with_certificate = own && section.has("certificate");
  const std::vector<Certificate> chain = with_certificate ? read_chain(section, files) : std::vector<Certificate>();
  const auto key = own ? read_private_key(section, files, chain) : crypto::PrivateKey();
  allow_sha1(section, connection, compat);
  if (with_certificate && !chain.empty()) {
    if (eap_client) {
      check_eap_identity(section, connection, chain.front());
    } else {
      settle_local_identity(section, connection, chain.front());
    }
  }

  std::optional<std::variant<crypto::TrustStore, crypto::PublicKey>> peer;
  Bytes trust_fingerprint;
  if (connection.peer_by_key) {
    const auto peer_key = read_peer_key(section, files);
    if (peer_key && goes_with_key(section)) {
      peer = *peer_key;
      trust_fingerprint = crypto::hash(crypto::HashId::sha2_256, {peer_key->spki()});
    }
    if (peer_key && key && key->present() && key->public_key().same_key(*peer_key)) {
      section.error(section.position_of("peer_key"), "peer_key", "this is our own key", "name the one of the peer");
      return;
    }
  } else if (!judges) {
    peer = crypto::TrustStore::make({}, {});
  } else {
    const std::vector<std::string> authorities = read_authorities(section, files);
    const auto lists = read_lists(section, files);
    check_remote_identity(section, connection);
    if (!authorities.empty() && lists) {
      const CredentialFiles::Trust& trust = files.trust(authorities, *lists);
      connection.authorities = trust.authorities;
      peer = trust.store;
      trust_fingerprint = trust.fingerprint;
    }
  }
  if (!key || !peer || (with_certificate && chain.empty())) return;
  Credentials credentials{.certificates = {},
                          .key = *key,
                          .peer = std::move(*peer),
                          .own_fingerprint = {},
                          .trust_fingerprint = std::move(trust_fingerprint)};
  for (const Certificate& one : chain) {
    credentials.certificates.push_back(one.der());
    credentials.own_fingerprint = appended(std::move(credentials.own_fingerprint), one.fingerprint());
  }
  if (chain.empty() && key->present())
    credentials.own_fingerprint = crypto::hash(crypto::HashId::sha2_256, {key->public_key().spki()});
  draft.config.credentials = std::move(credentials);
}

}  // namespace culvert::config
