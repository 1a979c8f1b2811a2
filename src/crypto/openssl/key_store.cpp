// Private keys by URI: OSSL_STORE, which providers add schemes to, and for "pkcs11:" without such a provider the engine
// of libp11. OpenSSL 3 calls engines deprecated; Debian 12 has no other way to a token.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/openssl/key_container.hpp"

namespace culvert::crypto::openssl {
namespace {

using Store = std::unique_ptr<OSSL_STORE_CTX, decltype([](OSSL_STORE_CTX* store) { (void)OSSL_STORE_close(store); })>;
using StoreInfo = std::unique_ptr<OSSL_STORE_INFO, Freer<OSSL_STORE_INFO_free>>;
using Certificates = Result<std::vector<Certificate>, std::string>;
using UiMethod = std::unique_ptr<UI_METHOD, Freer<UI_destroy_method>>;

bool mentions(const std::string& text, std::string_view word) {
  return std::ranges::search(
             text, word, {}, [](unsigned char c) { return std::tolower(c); },
             [](unsigned char c) { return std::tolower(c); })
             .begin() != text.end();
}

std::string fault_text(const PasswordOnce& once, bool pin_given, const std::string& errors) {
  if (mentions(errors, "locked")) return fmt::format("cannot be used: the token is locked ({})", errors);
  if (mentions(errors, "pin incorrect") || mentions(errors, "pin invalid") || mentions(errors, "pin len"))
    return fmt::format("cannot be used: the PIN is wrong ({})", errors);
  if (!pin_given && (once.asked || mentions(errors, "not logged in") || mentions(errors, "login")))
    return fmt::format("cannot be used without a PIN or password, and none is given ({})", errors);
  return fmt::format("cannot be loaded: {}", errors);
}

std::string from_percent(std::string_view text) {
  const auto digit = [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0 ? c - '0' : (c | 32) - 'a' + 10;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 1])) != 0 &&
                        std::isxdigit(static_cast<unsigned char>(text[i + 2])) != 0;
    out += escape ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return out;
}

/// RFC 7512 2.4: an attribute behind the question mark.
std::optional<std::string> query_attribute(std::string_view uri, std::string_view name) {
  std::size_t at = uri.find('?');
  while (at != std::string_view::npos) {
    const std::size_t end = uri.find('&', at + 1);
    const std::string_view pair = uri.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=')
      return from_percent(pair.substr(name.size() + 1));
    at = end;
  }
  return std::nullopt;
}

/// The engine belongs to the whole process, and has one module of PKCS#11.
struct Pkcs11 {
  std::mutex opening;
  std::shared_ptr<std::mutex> turn = std::make_shared<std::mutex>();  // sessions of tokens are for one thread
  ENGINE* engine = nullptr;
  std::string module;
};

Pkcs11& pkcs11() {
  // Never taken down: keys that live until the program's end refer to it.
  static auto* const kMade = new Pkcs11;  // NOLINT(cppcoreguidelines-owning-memory)
  return *kMade;
}

/// Begins the engine with the module, or with libp11's own choice (p11-kit's proxy) when the name is empty.
Result<ENGINE*, std::string> engine_with(const std::string& module) {
  Pkcs11& held = pkcs11();
  const std::lock_guard lock(held.opening);
  if (held.engine != nullptr) {
    if (module.empty() || module == held.module) return held.engine;
    return err(
        fmt::format("cannot be loaded: the module {} is in use already, and there can be one only; register both "
                    "with p11-kit and leave module-path out",
                    held.module.empty() ? "of p11-kit" : escaped(held.module, 200)));
  }
  (void)OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC, nullptr);
  ENGINE* engine = ENGINE_by_id("pkcs11");
  if (engine == nullptr) {
    return err(std::string(
        "cannot be loaded: OpenSSL has neither a provider nor an engine for PKCS#11; on Debian: apt install "
        "libengine-pkcs11-openssl"));
  }
  // What goes wrong is told by us.
  (void)ENGINE_ctrl_cmd_string(engine, "QUIET", nullptr, 1);
  const bool set = module.empty() || ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module.c_str(), 0) == 1;
  ERR_clear_error();
  if (!set || ENGINE_init(engine) != 1) {
    (void)ENGINE_free(engine);
    return err(fmt::format("cannot be loaded: the PKCS#11 module {} does not begin: {}",
                           module.empty() ? "of p11-kit" : escaped(module, 200), queued_errors()));
  }
  held.engine = engine;
  held.module = module;
  return engine;
}

/// libp11 refuses attributes that it does not know.
std::string without_module(const std::string& uri) {
  std::string out = uri.substr(0, uri.find('?'));
  char mark = '?';
  for (std::size_t at = uri.find('?'); at != std::string::npos;) {
    const std::size_t end = uri.find('&', at + 1);
    const std::string pair = uri.substr(at + 1, end == std::string::npos ? end : end - at - 1);
    if (!pair.starts_with("module-path=")) out += std::exchange(mark, '&') + pair;
    at = end;
  }
  return out;
}

/// With the PIN as an attribute, so that two tokens may have two of them.
SecretBytes with_pin(const std::string& uri, ByteView pin) {
  std::string text = without_module(uri);
  if (!pin.empty() && !query_attribute(uri, "pin-value")) {
    text += text.find('?') == std::string::npos ? "?pin-value=" : "&pin-value=";
    for (const std::uint8_t octet : pin) text += fmt::format("%{:02x}", octet);
  }
  text += '\0';
  SecretBytes made = SecretBytes::copy_of(as_bytes(text));
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return made;
}

constexpr int kMostObjects = 64;  // of a store that are looked at

/// Has `take` look at each object of the kind until it is content. True when it was; the error is the end of a
/// sentence. Nothing when no provider knows the URI's scheme.
template <typename Take>
std::optional<Result<bool, std::string>> read_store(const std::string& uri, ByteView password, int kind, Take take) {
  PasswordOnce once{.password = password};
  const UiMethod ui(UI_UTIL_wrap_read_pem_callback(PasswordOnce::give, 0));
  ERR_clear_error();
  const Store store(OSSL_STORE_open_ex(uri.c_str(), nullptr, nullptr, ui.get(), &once, nullptr, nullptr, nullptr));
  if (!store) {
    std::string errors = queued_errors();
    constexpr std::string_view kUnknown = "unregistered scheme";
    if (uri.starts_with("file:")) {
      // Said of a file that is not there as well, before that it is not there.
      if (errors.starts_with(fmt::format("{}, ", kUnknown))) errors.erase(0, kUnknown.size() + 2);
    } else if (mentions(errors, kUnknown) || uri.starts_with("pkcs11:")) {
      return std::nullopt;
    }
    return err(fault_text(once, !password.empty(), errors));
  }
  (void)OSSL_STORE_expect(store.get(), kind);
  bool any = false;
  for (int i = 0; i < kMostObjects && OSSL_STORE_eof(store.get()) == 0; ++i) {
    const StoreInfo info(OSSL_STORE_load(store.get()));
    const bool fits = info && OSSL_STORE_INFO_get_type(info.get()) == kind;
    any = any || fits;
    if (fits && take(info.get())) return true;
    if (OSSL_STORE_error(store.get()) != 0) break;
  }
  if (any) return false;
  if (once.asked && !once.given) return err(std::string("is encrypted, and no password is given for it"));
  if (once.given) return err(std::string("cannot be decrypted: the password is wrong"));
  return false;
}

Certificates certificate_of(const X509* held) {
  auto one = Certificate::from_der(der_of(i2d_X509, held));
  if (!one) return err(fmt::format("holds a certificate that {}", one.error()));
  return std::vector{std::move(*one)};
}

/// What the control LOAD_CERT_CTRL of libp11 reads and writes.
struct WantedCertificate {
  const char* uri;
  X509* certificate;
};

}  // namespace

std::optional<Result<crypto::PrivateKey, std::string>> load_from_store(const UriForStore& from, ByteView password) {
  PublicKey key;
  const auto read = read_store(from.uri, password, OSSL_STORE_INFO_PKEY, [&key](const OSSL_STORE_INFO* info) {
    key.reset(OSSL_STORE_INFO_get1_PKEY(info));
    return true;
  });
  if (!read) return std::nullopt;
  if (!*read) return err(read->error());
  if (**read) return private_key_of(std::move(key), from.turn);
  return err(fmt::format("holds no private key ({})", queued_errors()));
}

std::optional<Certificates> certificates_from_store(const std::string& uri, ByteView password) {
  Certificates all = std::vector<Certificate>();
  const auto read = read_store(uri, password, OSSL_STORE_INFO_CERT, [&all](const OSSL_STORE_INFO* info) {
    auto one = certificate_of(OSSL_STORE_INFO_get0_CERT(info));
    if (one) {
      all->push_back(std::move(one->front()));
    } else {
      all = std::move(one);
    }
    return !all;
  });
  if (!read) return std::nullopt;
  if (!*read) return err(read->error());
  if (all && all->empty()) return err(fmt::format("holds no certificate ({})", queued_errors()));
  return all;
}

Certificates certificates_from_engine(const std::string& uri, ByteView pin) {
  const auto engine = engine_with(query_attribute(uri, "module-path").value_or(""));
  if (!engine) return err(engine.error());
  const std::lock_guard lock(*pkcs11().turn);
  std::string errors;
  // Whoever has the token may see most certificates; a PIN that is wrong would count against it.
  for (const ByteView given : {ByteView(), pin}) {
    const SecretBytes full = with_pin(uri, given);
    WantedCertificate wanted{.uri = reinterpret_cast<const char*>(full.view().data()), .certificate = nullptr};
    ERR_clear_error();
    const bool done = ENGINE_ctrl_cmd(*engine, "LOAD_CERT_CTRL", 0, &wanted, nullptr, 1) == 1;
    const X509Cert certificate(wanted.certificate);
    if (done && certificate) return certificate_of(certificate.get());
    errors = queued_errors();
    if (pin.empty()) break;
  }
  return err(fault_text({.password = {}}, !pin.empty() || query_attribute(uri, "pin-value"), errors));
}

Result<crypto::PrivateKey, std::string> load_from_engine(const std::string& uri, ByteView pin) {
  const auto engine = engine_with(query_attribute(uri, "module-path").value_or(""));
  if (!engine) return err(engine.error());
  const std::lock_guard lock(*pkcs11().turn);
  PasswordOnce once{.password = {}};  // the PIN goes with the URI
  const UiMethod ui(UI_UTIL_wrap_read_pem_callback(PasswordOnce::give, 0));
  const SecretBytes full = with_pin(uri, pin);
  ERR_clear_error();
  PublicKey key(ENGINE_load_private_key(*engine, reinterpret_cast<const char*>(full.view().data()), ui.get(), &once));
  const bool pin_given = !pin.empty() || query_attribute(uri, "pin-value");
  if (!key) return err(fault_text(once, pin_given, queued_errors()));
  return private_key_of(std::move(key), pkcs11().turn);
}

}  // namespace culvert::crypto::openssl
