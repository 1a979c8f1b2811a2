#include "config/credential_files.hpp"

#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "base/secret.hpp"
#include "config/words.hpp"
#include "crypto/prf.hpp"

namespace culvert::config {
namespace {

using crypto::Certificate;
using crypto::PrivateKey;
using crypto::RevocationList;

constexpr std::size_t kKeyFileLimit = std::size_t{64} * 1024;

/// A file's content, wiped when it goes: it may be a key.
Result<SecretBytes, FileFault> read(const std::string& path, std::size_t limit) {
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  if (!exists || !std::filesystem::is_regular_file(path, error)) {
    return err(FileFault{fmt::format("{} {}", in_quotes(path), exists ? "is no regular file" : "does not exist"),
                         "the path is relative to the configuration file's folder"});
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size > limit)
    return err(FileFault{fmt::format("{} has {} octets, {} are allowed", in_quotes(path), size, limit),
                         "check that it is the right file"});
  std::ifstream in(path, std::ios::binary);
  SecretBytes content(size);
  const MutableByteView room = content.mutable_view();
  if (in && size > 0) in.read(reinterpret_cast<char*>(room.data()), static_cast<std::streamsize>(size));
  if (!in || in.gcount() != static_cast<std::streamsize>(size))
    return err(FileFault{fmt::format("{} cannot be read", in_quotes(path)), "check who may read it"});
  return content;
}

template <typename T, typename Parse>
Result<T, FileFault> parsed(const std::string& path, std::size_t limit, std::string_view hint, Parse parse) {
  const auto content = read(path, limit);
  if (!content) return err(content.error());
  auto value = parse(content->view());
  if (!value) return err(FileFault{fmt::format("{} {}", in_quotes(path), value.error()), std::string(hint)});
  return std::move(*value);
}

constexpr std::string_view kPasswordHint =
    "write private_key_password = \"...\" or private_key_password_file = \"PATH\": the password of the key, or the PIN";

CredentialFiles::Key proven(CredentialFiles::Key key, const std::string& shown, bool on_token) {
  if (!key) return key;
  const Bytes message(32, 0x5a);
  for (const crypto::SignatureScheme scheme :
       {crypto::SignatureScheme::rsa_pss_sha2_256, crypto::SignatureScheme::ecdsa_sha2_256,
        crypto::SignatureScheme::ed25519, crypto::SignatureScheme::ed448}) {
    if (!crypto::fits(scheme, key->kind())) continue;
    const auto signature = key->sign(scheme, message);
    if (signature && key->public_key().verify(scheme, message, *signature)) return key;
  }
  return err(FileFault{fmt::format("the key in {} makes no signature that is right", in_quotes(shown)),
                       on_token
                           ? "RSA keys must be able to sign by PSS with SHA-256, those on curves by ECDSA: look at "
                             "what the token allows the key (CKA_SIGN) and itself (pkcs11-tool -M)"
                           : "the file is damaged: take it from the backup, or make a new key and certificate"});
}

Bytes digest_of(const SecretBytes& password) {
  return password.empty() ? Bytes() : crypto::hash(crypto::HashId::sha2_256, {password.view()});
}

}  // namespace

const CredentialFiles::Certificates& CredentialFiles::certificates(const std::string& path) {
  const auto found = certificates_.find(path);
  if (found != certificates_.end()) return found->second;
  return certificates_
      .emplace(path, parsed<std::vector<Certificate>>(
                         path, crypto::kCertificateFileLimit,
                         "a certificate is a PEM file with BEGIN CERTIFICATE in it, or DER (look at it: openssl x509 "
                         "-text -in FILE)",
                         [](ByteView content) { return Certificate::from_file_content(content); }))
      .first->second;
}

const CredentialFiles::Certificates& CredentialFiles::certificates_at(const std::string& uri,
                                                                      const SecretBytes& password) {
  Locked name{uri, digest_of(password)};
  const auto found = certificates_at_.find(name);
  if (found != certificates_at_.end()) return found->second;
  auto loaded = crypto::load_certificates(uri, password.view());
  Certificates kept = loaded
                          ? Certificates(std::move(*loaded))
                          : err(FileFault{fmt::format("{} {}", in_quotes(crypto::printable_uri(uri)), loaded.error()),
                                          "look at what the token has: pkcs11-tool -O; its URI ends in type=cert"});
  return certificates_at_.emplace(std::move(name), std::move(kept)).first->second;
}

const CredentialFiles::Lists& CredentialFiles::lists(const std::string& path) {
  const auto found = lists_.find(path);
  if (found != lists_.end()) return found->second;
  return lists_
      .emplace(path, parsed<std::vector<RevocationList>>(
                         path, crypto::kRevocationFileLimit,
                         "a revocation list is a PEM file with BEGIN X509 CRL in it, or DER (look at it: openssl crl "
                         "-text -in FILE)",
                         [](ByteView content) { return RevocationList::from_file_content(content); }))
      .first->second;
}

const CredentialFiles::Key& CredentialFiles::key(const std::string& source, const SecretBytes& password) {
  Locked name{source, digest_of(password)};
  const auto found = keys_.find(name);
  if (found != keys_.end()) return found->second;
  const auto take = [&](Key key, const std::string& shown, bool on_token) -> const Key& {
    return keys_.emplace(std::move(name), proven(std::move(key), shown, on_token)).first->second;
  };
  if (crypto::is_key_uri(source)) {
    const std::string shown = crypto::printable_uri(source);
    auto loaded = crypto::load_key(source, password.view());
    if (loaded) return take(std::move(*loaded), shown, true);
    return take(err(FileFault{fmt::format("{} {}", in_quotes(shown), loaded.error()), std::string(kPasswordHint)}),
                shown, true);
  }
  if (is_container(source)) {
    const Container& held = container(source, password);
    return take(held ? Key(held->key) : Key(err(held.error())), source, false);
  }
  return take(parsed<PrivateKey>(
                  source, kKeyFileLimit,
                  password.empty() ? std::string("a private key is a PEM file with BEGIN PRIVATE KEY in it, or DER; ") +
                                         "for an encrypted one " + std::string(kPasswordHint)
                                   : std::string(kPasswordHint),
                  [&](ByteView content) { return crypto::parse_private_key(content, password.view()); }),
              source, false);
}

bool CredentialFiles::is_container(const std::string& path) {
  const auto found = are_containers_.find(path);
  if (found != are_containers_.end()) return found->second;
  const auto content = read(path, crypto::kCertificateFileLimit);
  return are_containers_.emplace(path, content && crypto::is_pkcs12(content->view())).first->second;
}

const CredentialFiles::Container& CredentialFiles::container(const std::string& path, const SecretBytes& password) {
  Locked name{path, digest_of(password)};
  const auto found = containers_.find(name);
  if (found != containers_.end()) return found->second;
  return containers_
      .emplace(std::move(name), parsed<crypto::KeyContainer>(
                                    path, crypto::kCertificateFileLimit, kPasswordHint,
                                    [&](ByteView content) { return crypto::parse_pkcs12(content, password.view()); }))
      .first->second;
}

const CredentialFiles::PublicKey& CredentialFiles::public_key(const std::string& path) {
  const auto found = public_keys_.find(path);
  if (found != public_keys_.end()) return found->second;
  return public_keys_
      .emplace(path, parsed<crypto::PublicKey>(
                         path, kKeyFileLimit,
                         "a public key is a PEM file with BEGIN PUBLIC KEY in it (openssl pkey -pubout), or DER",
                         [](ByteView content) { return crypto::PublicKey::parse(content); }))
      .first->second;
}

const CredentialFiles::Trust& CredentialFiles::trust(const std::vector<std::string>& authorities,
                                                     const std::vector<std::string>& revoked) {
  const auto found = trusts_.find({authorities, revoked});
  if (found != trusts_.end()) return found->second;
  std::vector<Certificate> anchors;
  std::vector<RevocationList> all_lists;
  Bytes content;
  Bytes digests;
  std::set<Bytes> seen;
  const auto append = [](Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); };
  for (const std::string& path : authorities) {
    for (const Certificate& one : *certificates(path)) {
      anchors.push_back(one);
      append(content, one.fingerprint());
      if (const Bytes digest = one.key_digest(); seen.insert(digest).second) append(digests, digest);
    }
  }
  for (const std::string& path : revoked) {
    for (const RevocationList& one : *lists(path)) {
      all_lists.push_back(one);
      append(content, one.fingerprint());
    }
  }
  return trusts_
      .emplace(std::pair(authorities, revoked), Trust{crypto::TrustStore::make(anchors, all_lists), std::move(digests),
                                                      crypto::hash(crypto::HashId::sha2_256, {content})})
      .first->second;
}

}  // namespace culvert::config
