// `certificate`, `private_key` and its password, `ca`, `crl` and `peer_key` of a tunnel: what we prove ourselves with,
// and whom we believe.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>

#include "config/draft.hpp"
#include "config/words.hpp"
#include "crypto/prf.hpp"
#include "model/certificate_identity.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::config {
namespace {

using crypto::Certificate;

constexpr std::size_t kFilesLimit = 64;  // of one setting
constexpr std::size_t kMostChains = 8;   // certificates of our own
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

/// The certificates in the file, in PEM, DER or PKCS#12; nothing after a complaint.
std::optional<std::vector<Certificate>> read_certificates(Section& section, const Located<std::string>& written,
                                                          CredentialFiles& files, const SecretBytes& password) {
  const std::string path = path_of(section, written.value);
  const auto complain = [&](const FileFault& fault) {
    section.error(written.position, "certificate", fault.message, fault.hint);
    return std::nullopt;
  };
  if (!files.is_container(path)) {
    const auto& read = files.certificates(path);
    if (!read) return complain(read.error());
    return *read;
  }
  const auto& held = files.container(path, password);
  if (!held) return complain(held.error());
  if (held->certificates.empty())
    return complain({fmt::format("{} holds no certificate", in_quotes(path)), "put the key's own certificate into it"});
  return held->certificates;
}

Bytes appended(Bytes to, const Bytes& more) {
  to.insert(to.end(), more.begin(), more.end());
  return to;
}

/// One entry of `certificate`.
struct Chain {
  Located<std::string> written;
  std::vector<Certificate> certificates;  // our own, then those to be sent with it
  Bytes authorities;                      // digests of those that a peer may ask for it by (RFC 7296 3.7)
  Bytes issuer;                           // the certificate of who issued our own, if it is in the file
};

/// The chain in that file; nothing after a complaint. What issued itself is not sent (RFC 4945 4.1).
std::optional<Chain> read_chain(Section& section, const Located<std::string>& written, CredentialFiles& files,
                                const SecretBytes& password) {
  const auto read = read_certificates(section, written, files, password);
  if (!read) return std::nullopt;
  Bytes authorities;
  Bytes issuer;
  for (const Certificate& one : *read) {
    authorities = appended(std::move(authorities), one.key_digest());
    if (issuer.empty() && one.subject() == read->front().issuer()) issuer = one.der();
  }
  std::vector<Certificate> chain = *read;
  const Certificate own = chain.front();
  check_dates(section, written.position, "certificate", own, files.now(), "peers refuse it");
  if (own.public_key().kind() == crypto::KeyKind::other) {
    section.error(written.position, "certificate",
                  fmt::format("{} has a key of {} bits of a kind that IKEv2 does not sign with", name_of(own),
                              own.public_key().bits()),
                  "use RSA, ECDSA on P-256, P-384 or P-521, Ed25519 or Ed448");
    return std::nullopt;
  }
  if (own.public_key().kind() == crypto::KeyKind::rsa && own.public_key().bits() < kLeastRsaBits) {
    section.warning(written.position, "certificate",
                    fmt::format("{} has a key of {} bits; peers may refuse it", name_of(own), own.public_key().bits()),
                    fmt::format("make one of at least {} bits", kLeastRsaBits));
  }
  std::erase_if(chain, [&](const Certificate& one) {
    return one.fingerprint() != own.fingerprint() && one.subject() == one.issuer();
  });
  if (chain.size() > crypto::kPathLimit) {
    section.error(written.position, "certificate",
                  fmt::format("the file has {} certificates, {} can be sent", chain.size(), crypto::kPathLimit),
                  "keep this host's own first, and behind it those between it and the root");
    return std::nullopt;
  }
  return Chain{.written = written,
               .certificates = std::move(chain),
               .authorities = std::move(authorities),
               .issuer = std::move(issuer)};
}

/// Where the private key of the n-th certificate is: in `private_key`, or beside it in a file of PKCS#12.
std::optional<Located<std::string>> key_source(Section& section, CredentialFiles& files, const Chain* chain,
                                               const Located<std::string>* written_key) {
  if (written_key != nullptr) {
    Located<std::string> source = *written_key;
    if (!crypto::is_key_uri(source.value)) source.value = path_of(section, source.value);
    return source;
  }
  if (chain != nullptr) {
    Located<std::string> written = chain->written;
    written.value = path_of(section, written.value);
    if (files.is_container(written.value)) return written;
  }
  section.missing("private_key", chain != nullptr
                                     ? "write private_key = \"PATH\": the key that the certificate is for"
                                     : "write private_key = \"PATH\"; culvert keygen --key -o PATH makes one");
  return std::nullopt;
}

std::optional<crypto::PrivateKey> read_private_key(Section& section, CredentialFiles& files, const Chain* chain,
                                                   const Located<std::string>* written_key,
                                                   const SecretBytes& password) {
  const auto source = key_source(section, files, chain, written_key);
  if (!source) return std::nullopt;
  const std::string_view setting = section.has("private_key") ? "private_key" : "certificate";
  const std::string& path = source->value;
  const bool is_uri = crypto::is_key_uri(path);
  const std::string shown = is_uri ? crypto::printable_uri(path) : path;
  const auto& key = files.key(path, password);
  if (!key) {
    section.error(source->position, setting, key.error().message, key.error().hint);
    return std::nullopt;
  }
  // What is encrypted is no secret by itself, but there is no reason to show it.
  if (const auto verdict = is_uri ? std::nullopt : judge_secret_file(path)) {
    const auto complain = verdict->severity == Severity::error ? &Section::error : &Section::warning;
    (section.*complain)(source->position, setting, verdict->message, verdict->hint);
  }
  if (chain != nullptr && !key->public_key().same_key(chain->certificates.front().public_key())) {
    const Certificate& own = chain->certificates.front();
    section.error(source->position, setting,
                  fmt::format("the key in {} ({}) is not the one of {} ({})", in_quotes(shown), key->to_string(),
                              name_of(own), own.public_key().to_string()),
                  "name the key that the certificate was made for; in its file the own certificate comes first");
    return std::nullopt;
  }
  return *key;
}

/// As many keys as certificates, when they do not stand in the same files.
bool numbers_agree(Section& section, std::size_t keys, std::size_t chains) {
  if (!section.has("private_key") || keys == std::max<std::size_t>(chains, 1)) return true;
  if (keys == 0) return false;  // was complained about
  section.error(section.position_of("private_key"), "private_key",
                fmt::format("there are {} keys for {} certificates", keys, chains),
                "write one key for each certificate, in the same order");
  return false;
}

/// `private_key_password` or `private_key_password_file`; empty when there is neither, and after a complaint.
SecretBytes read_password(Section& section) {
  constexpr std::string_view kKey = "private_key_password";
  constexpr std::string_view kFile = "private_key_password_file";
  if (!section.has(kKey) && !section.has(kFile)) return {};
  return read_secret(section, {.key = kKey, .file_key = kFile, .missing_hint = {}});
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

constexpr std::array<std::string_view, 8> kSettings = {
    "certificate", "private_key", "private_key_password", "private_key_password_file", "ca",
    "crl",         "peer_key",    "certificate_url"};

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

bool wants_credentials(const Section& section) {
  return std::ranges::any_of(kSettings, [&](std::string_view key) { return section.has(key); });
}

namespace {

/// What we prove ourselves with: nothing after a complaint. Without certificates a raw key; without a key nothing,
/// where something else proves us.
std::optional<std::vector<OwnChain>> read_own(Section& section, DraftTunnel& draft, CredentialFiles& files) {
  const SecretBytes password = read_password(section);
  draft.secret_in_file = draft.secret_in_file || section.has("private_key_password");
  std::vector<Chain> chains;
  if (section.has("certificate")) {
    const auto written = section.texts("certificate", kMostChains);
    if (written.empty()) return std::nullopt;
    for (const auto& one : written) {
      auto chain = read_chain(section, one, files, password);
      if (!chain) return std::nullopt;
      chains.push_back(std::move(*chain));
    }
  }
  std::vector<Located<std::string>> keys;
  if (section.has("private_key")) keys = section.texts("private_key", kMostChains);
  if (!numbers_agree(section, keys.size(), chains.size())) return std::nullopt;
  std::vector<OwnChain> own;
  for (std::size_t place = 0; place < std::max<std::size_t>(chains.size(), 1); ++place) {
    const Chain* chain = chains.empty() ? nullptr : &chains[place];
    auto key = read_private_key(section, files, chain, keys.empty() ? nullptr : &keys[place], password);
    if (!key) return std::nullopt;
    OwnChain made{.certificates = {}, .key = std::move(*key), .authorities = {}};
    if (chain != nullptr) {
      if (settle_round_certificate(section, draft, chain->certificates.front())) {
        // It is for a round with a name of its own.
      } else if (section.has("eap_identity") && !draft.methods.own_certificate) {
        check_eap_identity(section, draft.config.connection, chain->certificates.front());
      } else {
        settle_local_identity(section, draft.config.connection, chain->certificates.front());
      }
      for (const Certificate& one : chain->certificates) made.certificates.push_back(one.der());
      made.authorities = chain->authorities;
      made.issuer = chain->issuer;
    }
    own.push_back(std::move(made));
  }
  return own;
}

/// `certificate_url`: where peers find our certificates, the first certificate's first (RFC 7296 3.6).
void read_own_urls(Section& section, const std::vector<Located<std::string>>& written, std::vector<OwnChain>& own) {
  if (written.empty()) return;
  for (const auto& [url, position] : written) {
    if (url.starts_with("http://") && url.size() <= model::kMostUrl) continue;
    return section.error(position, "certificate_url", fmt::format("{} is no URL that a peer may fetch", in_quotes(url)),
                         fmt::format("write \"http://...\", of {} octets at the most: the certificate in DER, which is "
                                     "signed and so needs no TLS",
                                     model::kMostUrl));
  }
  if (own.size() != 1 || written.size() > own.front().certificates.size()) {
    return section.error(section.position_of("certificate_url"), "certificate_url",
                         fmt::format("there are {} URLs for {} certificates to be sent", written.size(),
                                     own.size() != 1 ? 0 : own.front().certificates.size()),
                         "give one certificate, and one URL for each certificate in its file, in the same order");
  }
  for (const auto& [url, position] : written) own.front().urls.push_back(url);
}

/// A chain is asked for by whoever stands above it, in its file or among what we believe ourselves.
void add_authorities(std::vector<OwnChain>& own, CredentialFiles& files, const std::vector<std::string>& believed) {
  for (OwnChain& chain : own) {
    if (chain.certificates.empty()) continue;
    const auto last = Certificate::from_der(chain.certificates.back());
    for (const std::string& path : believed) {
      for (const Certificate& one : *files.certificates(path)) {
        if (!last || one.subject() != last->issuer()) continue;
        chain.authorities = appended(std::move(chain.authorities), one.key_digest());
        if (chain.certificates.size() == 1 && chain.issuer.empty()) chain.issuer = one.der();
      }
    }
  }
}

struct PeerTrust {
  std::variant<crypto::TrustStore, crypto::PublicKey> peer;
  Bytes fingerprint;
  std::vector<std::string> authorities;  // files
  std::optional<Revocation> revocation = {};
};

std::optional<PeerTrust> read_peer_trust(Section& section, DraftTunnel& draft, CredentialFiles& files,
                                         const std::vector<OwnChain>* own) {
  model::ConnectionConfig& connection = draft.config.connection;
  if (connection.peer_by_key) {
    const auto peer_key = read_peer_key(section, files);
    if (!peer_key || !goes_with_key(section)) return std::nullopt;
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
  connection.ask_ocsp = made.revocation.has_value();
  return made;
}

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
