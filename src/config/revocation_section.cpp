// `revocation`, `ocsp_url`, `crl_url` and `fetch_certificates` of a tunnel: what may be fetched about, and for, the
// peer's certificates.
#include <fmt/format.h>

#include "config/draft.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::config {
namespace {

enum class Mode : std::uint8_t { off, if_available, strict };
constexpr std::pair<std::string_view, Mode> kModes[] = {
    {"off", Mode::off}, {"ifavailable", Mode::if_available}, {"strict", Mode::strict}};
constexpr std::size_t kMostUrls = 8;

std::vector<std::string> read_urls(Section& section, std::string_view key) {
  std::vector<std::string> urls;
  if (!section.has(key)) return urls;
  for (const auto& [url, position] : section.texts(key, kMostUrls)) {
    // More than a scheme, so that a prefix names a host.
    const bool names_host =
        url.starts_with("http://") && url.size() > 7 && url[7] != '/' && url.size() <= model::kMostUrl;
    if (names_host) {
      urls.push_back(url);
      continue;
    }
    section.error(position, key, fmt::format("{} is no URL that can be fetched", in_quotes(url)),
                  "write \"http://HOST/...\": what comes is signed, so there is no TLS");
  }
  return urls;
}

}  // namespace

std::optional<Revocation> read_revocation(Section& section) {
  const auto mode = section.choice("revocation", kModes).value_or(Mode::off);
  Revocation made{.strict = mode == Mode::strict,
                  .ocsp = read_urls(section, "ocsp_url"),
                  .lists = read_urls(section, "crl_url"),
                  .known = {}};
  if (mode != Mode::off) return made;
  for (const std::string_view key : {"ocsp_url", "crl_url"}) {
    if (section.has(key))
      section.error(section.position_of(key), key, "nobody asks there, for revocation is off",
                    "write revocation = \"ifavailable\" or \"strict\", or take it out");
  }
  if (section.has("revocation") && section.has("crl"))
    section.error(section.position_of("revocation"), "revocation", "there is a list in crl, which counts",
                  "take out one of the two, or write \"ifavailable\" or \"strict\"");
  return std::nullopt;
}

std::vector<std::string> read_fetch_prefixes(Section& section) {
  std::vector<std::string> prefixes = read_urls(section, "fetch_certificates");
  for (const std::string& prefix : prefixes) {
    // "http://pki.example" would also allow http://pki.example.net.
    if (prefix.find('/', 7) != std::string::npos) continue;
    section.error(section.position_of("fetch_certificates"), "fetch_certificates",
                  fmt::format("{} does not say where its host ends", in_quotes(prefix)),
                  fmt::format("write \"{}/\"", prefix));
  }
  return prefixes;
}

std::string text_of(const Revocation& revocation) {
  std::string text = revocation.strict ? "strict" : "ifavailable";
  for (const std::string& url : revocation.ocsp) text += " ocsp_url=" + url;
  for (const std::string& url : revocation.lists) text += " crl_url=" + url;
  return text;
}

}  // namespace culvert::config
