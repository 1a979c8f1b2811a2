// `certificate`, `private_key` and its password, `certificate_url`: what a tunnel proves itself with.
#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "config/credential_parts.hpp"
#include "config/words.hpp"
#include "model/certificate_identity.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::config {
namespace {

using crypto::Certificate;

constexpr std::size_t kMostChains = 8;  // certificates of our own
constexpr unsigned kLeastRsaBits = 2048;

/// The certificates in the file, in PEM, DER or PKCS#12, or behind the URI; nothing after a complaint.
std::optional<std::vector<Certificate>> read_certificates(Section& section, const Located<std::string>& written,
                                                          CredentialFiles& files, const SecretBytes& password) {
  const auto complain = [&](const FileFault& fault) {
    section.error(written.position, "certificate", fault.message, fault.hint);
    return std::nullopt;
  };
  if (crypto::is_key_uri(written.value)) {
    const auto& read = files.certificates_at(written.value, password);
    if (!read) return complain(read.error());
    return *read;
  }
  const std::string path = path_of(section, written.value);
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

/// One entry of `certificate`.
struct Chain {
  Located<std::string> written;
  std::vector<Certificate> certificates;  // our own, then those to be sent with it
  Bytes authorities;                      // digests of those that a peer may ask for it by (RFC 7296 3.7)
  Bytes issuer;                           // the certificate of who issued our own, if it is in the file
};

/// Certificates between ours and the roots, of `certificate_chain`.
struct Between {
  Certificate certificate;
  Position position;
  bool used = false;
};

std::optional<std::vector<Between>> read_between(Section& section, CredentialFiles& files) {
  constexpr std::string_view kKey = "certificate_chain";
  std::vector<Between> all;
  if (!section.has(kKey)) return all;
  const auto written_all = section.texts(kKey, kCredentialFilesLimit);
  if (!section.has("certificate")) {
    section.error(section.position_of(kKey), kKey, "there is no certificate that these could stand behind",
                  "write certificate = \"...\", or take it out");
    return std::nullopt;
  }
  for (const auto& [written, position] : written_all) {
    const auto& read = files.certificates(path_of(section, written));
    if (!read) {
      section.error(position, kKey, read.error().message, read.error().hint);
      return std::nullopt;
    }
    for (const Certificate& one : *read) {
      check_dates(section, position, kKey, one, files.now(), "peers refuse what it issued");
      all.push_back({.certificate = one, .position = position});
    }
  }
  return all;
}

/// Puts behind a certificate, or chain, what leads on from it.
void complete(std::vector<Certificate>& chain, std::vector<Between>& between) {
  while (chain.size() <= crypto::kPathLimit && chain.back().subject() != chain.back().issuer()) {
    const auto next = std::ranges::find_if(between, [&](const Between& one) {
      return one.certificate.subject() == chain.back().issuer() &&
             std::ranges::find(chain, one.certificate.fingerprint(), &Certificate::fingerprint) == chain.end();
    });
    if (next == between.end()) return;
    next->used = true;
    chain.push_back(next->certificate);
  }
}

/// The chain in that file; nothing after a complaint. What issued itself is not sent (RFC 4945 4.1).
std::optional<Chain> read_chain(Section& section, const Located<std::string>& written, CredentialFiles& files,
                                const SecretBytes& password, std::vector<Between>& between) {
  auto read = read_certificates(section, written, files, password);
  if (!read) return std::nullopt;
  complete(*read, between);
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
    const bool on_token = crypto::is_key_uri(written.value);
    if (!on_token) written.value = path_of(section, written.value);
    if (!on_token && files.is_container(written.value)) return written;
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

bool has_named_rounds(const model::ConnectionConfig& connection) {
  return std::ranges::any_of(connection.own_rounds, [](const model::AuthRound& round) {
    return round.by == model::Authentication::certificate && round.id;
  });
}

}  // namespace

std::optional<std::vector<OwnChain>> read_own(Section& section, DraftTunnel& draft, CredentialFiles& files) {
  const SecretBytes password = read_password(section);
  draft.secret_in_file = draft.secret_in_file || section.has("private_key_password");
  std::vector<Chain> chains;
  auto between = read_between(section, files);
  if (!between) return std::nullopt;
  if (section.has("certificate")) {
    const auto written = section.texts("certificate", kMostChains);
    if (written.empty()) return std::nullopt;
    for (const auto& one : written) {
      auto chain = read_chain(section, one, files, password, *between);
      if (!chain) return std::nullopt;
      chains.push_back(std::move(*chain));
    }
  }
  for (const Between& one : *between) {
    if (!one.used)
      section.warning(one.position, "certificate_chain",
                      fmt::format("{} has issued none of ours, nor what is above them", name_of(one.certificate)),
                      "take it out, or name the one that has");
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
      if (settle_round_certificate(section, draft, chain->certificates.front(), made.identity)) {
        // It is for a round with a name of its own.
      } else if (section.has("eap_identity") && !draft.methods.own_certificate) {
        check_eap_identity(section, draft.config.connection, chain->certificates.front());
      } else {
        settle_local_identity(section, draft.config.connection, chain->certificates.front());
        if (draft.methods.begins_by_certificate && has_named_rounds(draft.config.connection))
          made.identity = draft.config.connection.local_id;
      }
      for (const Certificate& one : chain->certificates) made.certificates.push_back(one.der());
      made.authorities = chain->authorities;
      made.issuer = chain->issuer;
    }
    own.push_back(std::move(made));
  }
  check_round_certificates(section, draft, own);
  return own;
}

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

}  // namespace culvert::config
