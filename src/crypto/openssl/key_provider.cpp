// Providers of OpenSSL's that a key's URI names: loaded beside the one that the library brings, which goes on to do
// everything else.
#include <algorithm>
#include <cctype>
#include <system_error>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "base/text.hpp"
#include "crypto/openssl/key_container.hpp"

namespace culvert::crypto::openssl {
namespace {

struct Loaded {
  std::mutex loading;
  std::shared_ptr<std::mutex> turn = std::make_shared<std::mutex>();
  std::vector<OSSL_PROVIDER*> providers;  // never unloaded, and so never lost sight of
};

Loaded& loaded() {
  // Never taken down: keys that live until the program's end refer to their providers.
  static auto* const kMade = new Loaded;  // NOLINT(cppcoreguidelines-owning-memory)
  return *kMade;
}

/// It becomes the name of a file in the library's own folder.
bool is_name(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

std::string cannot_load(const std::string& name) {
  return fmt::format("needs OpenSSL's provider '{}', which cannot be loaded: {}", name, queued_errors());
}

std::optional<std::string> load(const std::string& name) {
  const std::lock_guard lock(loaded().loading);
  if (OSSL_PROVIDER_available(nullptr, name.c_str()) == 1) return std::nullopt;
  ERR_clear_error();
  // Digests and all else stay what they were: without this wish the other one's are taken for each packet.
  const bool fips = EVP_default_properties_is_fips_enabled(nullptr) == 1;
  if (EVP_set_default_properties(nullptr, "?provider=default") != 1 ||
      (fips && EVP_default_properties_enable_fips(nullptr, 1) != 1))
    return cannot_load(name);
  OSSL_PROVIDER* const provider = OSSL_PROVIDER_try_load(nullptr, name.c_str(), 1);
  if (provider == nullptr) return cannot_load(name);
  loaded().providers.push_back(provider);
  return std::nullopt;
}

}  // namespace

std::string queued_errors() {
  std::string all;
  for (int count = 0; count < 8; ++count) {
    const unsigned long error = ERR_get_error();
    if (error == 0) break;
    const char* reason = ERR_reason_error_string(error);
    const std::string text = ERR_SYSTEM_ERROR(error)
                                 ? std::generic_category().message(static_cast<int>(ERR_GET_REASON(error)))
                             : reason == nullptr ? fmt::format("error {:#x}", error)
                                                 : escaped(reason, 100);
    if (all.find(text) != std::string::npos) continue;
    all += (all.empty() ? "" : ", ") + text;
  }
  return all.empty() ? "no reason is told" : all;
}

Result<UriForStore, std::string> with_its_provider(std::string_view uri) {
  constexpr std::string_view kWord = "provider=";
  const std::size_t at = uri.rfind(kWord);
  const bool named = at != std::string_view::npos && at > 0 && (uri[at - 1] == '?' || uri[at - 1] == '&');
  if (!named) return UriForStore{.uri = std::string(uri), .turn = nullptr};
  const std::string name(uri.substr(at + kWord.size()));
  if (!is_name(name))
    return err(
        std::string("must end in the name of an OpenSSL provider behind \"provider=\": letters, digits, - and _"));
  if (auto fault = load(name)) return err(std::move(*fault));
  return UriForStore{.uri = std::string(uri.substr(0, at - 1)), .turn = loaded().turn};
}

}  // namespace culvert::crypto::openssl
