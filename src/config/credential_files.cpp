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

CredentialFiles::Key proven(CredentialFiles::Key key, const std::string& path) {
  if (!key) return key;
  const Bytes message(32, 0x5a);
  for (const crypto::SignatureScheme scheme :
       {crypto::SignatureScheme::rsa_pss_sha2_256, crypto::SignatureScheme::ecdsa_sha2_256,
        crypto::SignatureScheme::ed25519, crypto::SignatureScheme::ed448}) {
    if (!crypto::fits(scheme, key->kind())) continue;
    const auto signature = key->sign(scheme, message);
    if (signature && key->public_key().verify(scheme, message, *signature)) return key;
  }
  return err(FileFault{fmt::format("the key in {} makes no signature that is right", in_quotes(path)),
                       "the file is damaged: take it from the backup, or make a new key and certificate"});
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

const CredentialFiles::Key& CredentialFiles::key(const std::string& path) {
  const auto found = keys_.find(path);
  if (found != keys_.end()) return found->second;
  auto key = parsed<PrivateKey>(path, kKeyFileLimit, "a private key is a PEM file with BEGIN PRIVATE KEY in it, or DER",
                                [](ByteView content) { return PrivateKey::parse(content); });
  return keys_.emplace(path, proven(std::move(key), path)).first->second;
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
