// The lists `ike` and `esp`: model::parse_proposal, and what is refused before it because it is broken.
#include <array>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kSuiteLimit = 16;

struct WeakWord {
  std::string_view word;
  std::string_view why;
};
constexpr auto kWeakWords = std::to_array<WeakWord>({
    {"des", "DES has a key of 56 bits"},
    {"3des", "3DES has blocks of 64 bits, which collide after some gigabytes"},
    {"blowfish", "Blowfish has blocks of 64 bits, which collide after some gigabytes"},
    {"cast128", "CAST-128 has blocks of 64 bits, which collide after some gigabytes"},
    {"md5", "MD5 is broken"},
    {"prfmd5", "MD5 is broken"},
    {"sha", "SHA-1 is broken"},
    {"sha1", "SHA-1 is broken"},
    {"prfsha1", "SHA-1 is broken"},
    {"modp768", "groups below 2048 bits can be broken by precomputation"},
    {"modp1024", "groups below 2048 bits can be broken by precomputation"},
    {"modp1536", "groups below 2048 bits can be broken by precomputation"},
    {"modp1024s160", "its parameters may hide a trapdoor (RFC 8247)"},
    {"modp2048s224", "its parameters may hide a trapdoor (RFC 8247)"},
    {"modp2048s256", "its parameters may hide a trapdoor (RFC 8247)"},
});

/// The first word of the suite that is known and refused.
const WeakWord* weak_word(std::string_view suite) {
  while (!suite.empty()) {
    const std::size_t dash = suite.find('-');
    const std::string_view word = suite.substr(0, dash);
    for (const WeakWord& weak : kWeakWords) {
      if (weak.word == word) return &weak;
    }
    suite.remove_prefix(dash == std::string_view::npos ? suite.size() : dash + 1);
  }
  return nullptr;
}

bool has_null_encryption(const model::Proposal& proposal) {
  for (const model::Transform& transform : proposal.transforms) {
    if (transform.type == model::TransformType::encryption &&
        transform.id == static_cast<std::uint16_t>(model::EncryptionId::null)) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<model::Proposal> read_proposals(Section& section, std::string_view key, model::ProtocolId protocol) {
  const bool ike = protocol == model::ProtocolId::ike;
  if (!section.has(key)) return ike ? model::default_ike_proposals() : model::default_esp_proposals();
  const std::string_view example = ike ? "aes256gcm16-prfsha256-x25519" : "aes128gcm16-x25519";
  std::vector<model::Proposal> out;
  for (const auto& [text, position] : section.texts(key, kSuiteLimit)) {
    if (const WeakWord* weak = weak_word(text)) {
      section.error(
          position, key, fmt::format("\"{}\" in {} is refused: {}", weak->word, in_quotes(text), weak->why),
          fmt::format(
              "use a suite such as \"{}\", or \"aes256-sha256{}\" for an old peer; weaker algorithms are open to a "
              "compat profile only, and this version has none",
              example, ike ? "-modp2048" : ""));
      continue;
    }
    auto proposal = model::parse_proposal(protocol, text);
    if (!proposal) {
      section.error(position, key, proposal.error(),
                    fmt::format("a suite looks like \"{}\"; without the setting, good ones are offered", example));
      continue;
    }
    if (has_null_encryption(*proposal)) {
      section.warning(position, key,
                      fmt::format("{} DOES NOT ENCRYPT: everybody on the way can read the traffic", in_quotes(text)),
                      "NULL encryption is for tests only");
    }
    proposal->number = static_cast<std::uint8_t>(out.size() + 1);
    out.push_back(std::move(*proposal));
  }
  return out;
}

}  // namespace culvert::config
