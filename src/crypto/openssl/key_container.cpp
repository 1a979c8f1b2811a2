#include "crypto/key_container.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/openssl/key_container.hpp"
#include "crypto/openssl/x509_handles.hpp"

namespace culvert::crypto {
namespace {

using openssl::ErrorQueueGuard;

using Pkcs12 = std::unique_ptr<PKCS12, openssl::Freer<PKCS12_free>>;
using Encrypted = std::unique_ptr<X509_SIG, openssl::Freer<X509_SIG_free>>;
using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, openssl::Freer<PKCS8_PRIV_KEY_INFO_free>>;
using CertificateStack =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); })>;

constexpr std::string_view kNeedsPassword = "is encrypted, and no password is given for it";
constexpr std::string_view kWrongPassword = "cannot be decrypted: the password is wrong";

const char* text_of(ByteView octets) { return reinterpret_cast<const char*>(octets.data()); }

/// The library's word for an algorithm that it does not have, or not any more.
bool algorithm_is_missing() {
  const unsigned long error = ERR_peek_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason != nullptr &&
         (std::strstr(reason, "unsupported") != nullptr || std::strstr(reason, "unknown") != nullptr);
}

Result<PrivateKey, std::string> decrypt_pkcs8(ByteView der, ByteView password) {
  const unsigned char* at = der.data();
  const Encrypted encrypted(d2i_X509_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!encrypted || at != der.data() + der.size()) return err(std::string("holds no private key that can be read"));
  if (password.empty()) return err(std::string(kNeedsPassword));
  ERR_clear_error();
  const Pkcs8 plain(PKCS8_decrypt(encrypted.get(), text_of(password), static_cast<int>(password.size())));
  if (!plain) {
    return err(algorithm_is_missing()
                   ? std::string("is encrypted by an algorithm that OpenSSL does not have; encrypt it anew: openssl "
                                 "pkcs8 -topk8 -v2 aes-256-cbc")
                   : std::string(kWrongPassword));
  }
  return openssl::private_key_of(openssl::PublicKey(EVP_PKCS82PKEY(plain.get())));
}

/// What RFC 1421 has: the DER itself is encrypted, the header says how.
Result<PrivateKey, std::string> decrypt_old_pem(std::string_view header, ByteView content, ByteView password) {
  if (password.empty()) return err(std::string(kNeedsPassword));
  std::string head(header);
  EVP_CIPHER_INFO cipher{};
  if (PEM_get_EVP_CIPHER_INFO(head.data(), &cipher) != 1)
    return err(std::string("is encrypted in a way that is not known"));
  SecretBytes plain = SecretBytes::copy_of(content);
  long size = static_cast<long>(plain.size());
  openssl::PasswordOnce once{.password = password};
  if (PEM_do_header(&cipher, plain.mutable_view().data(), &size, openssl::PasswordOnce::give, &once) != 1)
    return err(std::string(kWrongPassword));
  auto key = PrivateKey::parse(plain.view().first(static_cast<std::size_t>(size)));
  // One in 256 wrong passwords leaves padding that looks right.
  if (!key) return err(std::string(kWrongPassword));
  return key;
}

bool is_encrypted_pkcs8(ByteView der) {
  const unsigned char* at = der.data();
  return Encrypted(d2i_X509_SIG(nullptr, &at, static_cast<long>(der.size()))) != nullptr;
}

Pkcs12 read_pkcs12(ByteView content) {
  const unsigned char* at = content.data();
  Pkcs12 read(d2i_PKCS12(nullptr, &at, static_cast<long>(content.size())));
  return at == content.data() + content.size() ? std::move(read) : nullptr;
}

/// PKCS#12 without a MAC is one that anybody may have changed; with a wrong password the MAC is wrong as well.
std::optional<std::string> mac_fault(PKCS12* file, ByteView password) {
  if (PKCS12_mac_present(file) != 1) return "has no MAC, so nobody can tell who wrote it";
  if (PKCS12_verify_mac(file, text_of(password), static_cast<int>(password.size())) == 1) return std::nullopt;
  // "No password" is written in two ways.
  if (password.empty() && PKCS12_verify_mac(file, nullptr, 0) == 1) return std::nullopt;
  return std::string(password.empty() ? kNeedsPassword : kWrongPassword);
}

Result<void, std::string> add_certificate(KeyContainer& container, const X509* certificate) {
  auto read = Certificate::from_der(openssl::der_of(i2d_X509, certificate));
  if (!read) return err(fmt::format("holds a certificate that {}", read.error()));
  container.certificates.push_back(std::move(*read));
  return {};
}

}  // namespace

Result<PrivateKey, std::string> parse_private_key(ByteView content, ByteView password) {
  const ErrorQueueGuard guard;
  std::optional<Result<PrivateKey, std::string>> found;
  const bool pem = openssl::each_pem_block(content, [&](std::string_view name, std::string_view header, ByteView der) {
    if (name == "ENCRYPTED PRIVATE KEY") {
      found = decrypt_pkcs8(der, password);
    } else if (name.ends_with("PRIVATE KEY") && header.find("ENCRYPTED") != std::string_view::npos) {
      found = decrypt_old_pem(header, der, password);
    }
    return !found;
  });
  if (found) return std::move(*found);
  if (!pem && is_encrypted_pkcs8(content)) return decrypt_pkcs8(content, password);
  return PrivateKey::parse(content);
}

bool is_pkcs12(ByteView content) {
  const ErrorQueueGuard guard;
  return !content.empty() && content.front() == 0x30 && read_pkcs12(content) != nullptr;
}

Result<KeyContainer, std::string> parse_pkcs12(ByteView content, ByteView password) {
  const ErrorQueueGuard guard;
  const Pkcs12 file = read_pkcs12(content);
  if (!file) return err(std::string("is no PKCS#12 file"));
  if (auto fault = mac_fault(file.get(), password)) return err(std::move(*fault));
  std::string text(text_of(password), password.size());
  EVP_PKEY* key = nullptr;
  X509* own = nullptr;
  STACK_OF(X509)* others = nullptr;
  ERR_clear_error();
  const int read = PKCS12_parse(file.get(), text.c_str(), &key, &own, &others);
  const bool missing = read != 1 && algorithm_is_missing();
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  openssl::PublicKey held(key);
  const openssl::X509Cert certificate(own);
  const CertificateStack more(others);
  if (read != 1) {
    return err(missing ? std::string("is encrypted by an algorithm that OpenSSL does not have any more (RC2, mostly); "
                                     "export it anew with AES")
                       : std::string("cannot be decrypted, although its password is right"));
  }
  if (!held) return err(std::string("holds no private key"));
  auto made = openssl::private_key_of(std::move(held));
  if (!made) return err(std::move(made.error()));
  KeyContainer container{.key = std::move(*made), .certificates = {}};
  if (certificate) {
    if (auto added = add_certificate(container, certificate.get()); !added) return err(std::move(added.error()));
  }
  if (sk_X509_num(more.get()) > static_cast<int>(kCertificatesPerFile))
    return err(fmt::format("holds more than {} certificates", kCertificatesPerFile));
  for (int i = 0; i < sk_X509_num(more.get()); ++i) {
    if (auto added = add_certificate(container, sk_X509_value(more.get(), i)); !added)
      return err(std::move(added.error()));
  }
  return container;
}

// ---------------------------------------------------------------- by URI

bool is_key_uri(std::string_view text) {
  // RFC 3986 3.1. A path has no colon in its first part, or is written "./a:b".
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon < 2) return false;
  return std::isalpha(static_cast<unsigned char>(text.front())) != 0 &&
         std::ranges::all_of(text.substr(0, colon), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
         });
}

std::string printable_uri(std::string_view uri) { return escaped(uri.substr(0, uri.find('?')), 200); }

Result<PrivateKey, std::string> load_key(std::string_view uri, ByteView password) {
  const ErrorQueueGuard guard;
  const auto from = openssl::with_its_provider(uri);
  if (!from) return err(from.error());
  auto found = openssl::load_from_store(*from, password);
  if (found) return std::move(*found);
  if (from->uri.starts_with("pkcs11:")) return openssl::load_from_engine(from->uri, password);
  return err(std::string("has a scheme that no provider of OpenSSL knows"));
}

Result<std::vector<Certificate>, std::string> load_certificates(std::string_view uri, ByteView password) {
  const ErrorQueueGuard guard;
  const auto from = openssl::with_its_provider(uri);
  if (!from) return err(from.error());
  auto found = openssl::certificates_from_store(from->uri, password);
  if (found) return std::move(*found);
  if (from->uri.starts_with("pkcs11:")) return openssl::certificates_from_engine(from->uri, password);
  return err(std::string("has a scheme that no provider of OpenSSL knows"));
}

}  // namespace culvert::crypto

namespace culvert::crypto::openssl {

Result<PrivateKey, std::string> private_key_of(PublicKey key, std::shared_ptr<std::mutex> turn) {
  if (!key) return err(std::string("holds no private key that can be read"));
  const KeyKind kind = kind_of(key.get());
  if (kind == KeyKind::other) {
    return err(
        fmt::format("holds a key of a kind that IKEv2 does not sign with ({} bits); use RSA, ECDSA on P-256, P-384 or "
                    "P-521, Ed25519 or Ed448",
                    EVP_PKEY_get_bits(key.get())));
  }
  return PrivateKey(std::make_shared<const KeyHandle>(KeyHandle{std::move(key), kind, std::move(turn)}));
}

int PasswordOnce::give(char* to, int size, int /*writing*/, void* self) {
  auto& once = *static_cast<PasswordOnce*>(self);
  once.asked = true;
  // A token locks itself after a few wrong PINs: the same one is not tried twice.
  if (once.given || once.password.empty() || static_cast<std::size_t>(size) < once.password.size()) return -1;
  once.given = true;
  std::memcpy(to, once.password.data(), once.password.size());
  return static_cast<int>(once.password.size());
}

}  // namespace culvert::crypto::openssl
