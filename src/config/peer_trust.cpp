// `ca`, `crl` and `peer_key`: whom a tunnel believes.
#include <algorithm>

#include <fmt/format.h>

#include "config/credential_parts.hpp"
#include "config/words.hpp"
#include "crypto/prf.hpp"

namespace culvert::config {
namespace {

using crypto::Certificate;

/// The paths of `ca`, all of them good; empty after a complaint.
std::vector<std::string> read_authorities(Section& section, CredentialFiles& files) {
  if (!section.has("ca")) {
    section.missing("ca",
                    "write ca = [\"PATH\"]: the certificates of the authorities that may certify the peer; or "
                    "peer_key: the peer's own public key");
    return {};
  }
  return read_authorities(section, "ca", section.texts("ca", kCredentialFilesLimit), files);
}

/// The paths of `crl`, all of them good; nothing after a complaint.
std::optional<std::vector<std::string>> read_lists(Section& section, CredentialFiles& files) {
  std::vector<std::string> paths;
  bool good = true;
  if (!section.has("crl")) return paths;
  for (const auto& [written, position] : section.texts("crl", kCredentialFilesLimit)) {
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

void check_remote_identity(Section& section, const model::ConnectionConfig& connection) {
  if (!connection.remote_id || connection.remote_id->type != model::IdentificationType::key_id) return;
  section.error(section.position_of("remote_id"), "remote_id",
                fmt::format("{} can stand in no certificate", in_quotes(connection.remote_id->to_string())),
                "write a name, a mail address, an address, or the subject (\"C=CH, O=Example, CN=gw\")");
}

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
  for (const std::string_view key : {"ca", "crl", "revocation", "ocsp_url", "crl_url", "fetch_certificates"}) {
    if (!section.has(key)) continue;
    section.error(section.position_of(key), key, "both an authority and the peer's own key are given",
                  "keep one of them");
    good = false;
  }
  return good;
}

}  // namespace

std::vector<std::string> read_authorities(Section& section, std::string_view setting,
                                          const std::vector<Located<std::string>>& all, CredentialFiles& files) {
  std::vector<std::string> paths;
  bool good = true;
  for (const auto& [written, position] : all) {
    paths.push_back(path_of(section, written));
    const auto& read = files.certificates(paths.back());
    if (!read) {
      section.error(position, setting, read.error().message, read.error().hint);
      good = false;
      continue;
    }
    for (const Certificate& one : *read) {
      check_dates(section, position, setting, one, files.now(), "whom it certifies is refused");
      if (!one.is_authority())
        section.warning(position, setting, fmt::format("{} is no authority: only itself is believed", name_of(one)),
                        "name the certificate of the authority that issued it, if that is meant");
    }
  }
  return good ? paths : std::vector<std::string>();
}

std::optional<PeerTrust> read_peer_trust(Section& section, DraftTunnel& draft, CredentialFiles& files,
                                         const std::vector<OwnChain>* own) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (connection.peer_by_key) {
    const auto peer_key = read_peer_key(section, files);
    if (!peer_key || !goes_with_key(section)) return std::nullopt;
    if (!draft.methods.round_authorities.empty()) {
      section.error(section.position_of("peer_auth"), "peer_auth",
                    "both an authority of a round and the peer's own key are given", "keep one of them");
      return std::nullopt;
    }
    const bool ours = own != nullptr && std::ranges::any_of(*own, [&](const OwnChain& one) {
                        return one.key.present() && one.key.public_key().same_key(*peer_key);
                      });
    if (ours) {
      section.error(section.position_of("peer_key"), "peer_key", "this is our own key", "name the one of the peer");
      return std::nullopt;
    }
    return PeerTrust{*peer_key, crypto::hash(crypto::HashId::sha2_256, {peer_key->spki()}), {}};
  }
  const std::vector<std::string> authorities = read_authorities(section, files);
  const auto lists = read_lists(section, files);
  check_remote_identity(section, connection);
  if (authorities.empty() || !lists) return std::nullopt;
  auto revocation = read_revocation(section);
  // Lists count one by one then, beside what is fetched.
  const CredentialFiles::Trust& trust = files.trust(authorities, revocation ? std::vector<std::string>() : *lists);
  PeerTrust made{trust.store, trust.fingerprint, authorities, std::move(revocation)};
  if (made.revocation) {
    for (const std::string& path : *lists) {
      for (const crypto::RevocationList& one : *files.lists(path)) {
        made.revocation->known.push_back(one);
        made.fingerprint = appended(std::move(made.fingerprint), one.fingerprint());
      }
    }
  }
  connection.authorities = trust.authorities;
  if (!add_round_trust(section, draft, files, made.revocation ? std::vector<std::string>() : *lists, made))
    return std::nullopt;
  connection.ask_ocsp = made.revocation.has_value();
  return made;
}

}  // namespace culvert::config
