// The lists `ike` and `esp`, and `compat` that allows weak algorithms in them: model::parse_proposal and the registry
// of transforms.
#include <algorithm>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/draft.hpp"
#include "model/transforms.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kSuiteLimit = 16;

/// The first word of the suite that is known and never taken.
const model::TransformInfo* refused_word(std::string_view suite) {
  while (!suite.empty()) {
    const std::size_t dash = suite.find('-');
    if (const model::TransformInfo* info = model::find_refused(suite.substr(0, dash))) return info;
    suite.remove_prefix(dash == std::string_view::npos ? suite.size() : dash + 1);
  }
  return nullptr;
}

/// Whether the word is allowed, which counts as a use of it.
bool allows(std::span<CompatWord> compat, std::string_view word) {
  const auto found = std::ranges::find(compat, word, &CompatWord::word);
  if (found == compat.end()) return false;
  found->used = true;
  return true;
}

/// Weak algorithms of a suite: an error for each that `compat` does not name, a warning for the others.
bool check_weak(Section& section, std::string_view key, const Located<std::string>& suite,
                const model::Proposal& proposal, std::span<CompatWord> compat, std::string_view example) {
  bool allowed = true;
  std::vector<std::string_view> told;
  for (const model::TransformInfo* weak : model::weak_transforms(proposal)) {
    if (std::ranges::find(told, weak->compat) != told.end()) continue;  // an integrity algorithm and its PRF
    told.push_back(weak->compat);
    if (allows(compat, weak->compat)) {
      section.warning(
          suite.position, key,
          fmt::format("\"{}\" in {} weakens this tunnel: {}", weak->word, in_quotes(suite.value), weak->remark),
          fmt::format("once the peer can do better, use a suite such as \"{}\" and take \"{}\" out of compat", example,
                      weak->compat));
    } else {
      allowed = false;
      section.error(suite.position, key,
                    fmt::format("\"{}\" in {} is refused: {}", weak->word, in_quotes(suite.value), weak->remark),
                    fmt::format("use a suite such as \"{}\"; for a peer that can do no better, write compat = [\"{}\"] "
                                "in [{}]",
                                example, weak->compat, section.name()));
    }
  }
  return allowed;
}

bool has_null_encryption(const model::Proposal& proposal) {
  return std::ranges::any_of(proposal.transforms, [](const model::Transform& transform) {
    if (transform.type != model::TransformType::encryption) return false;
    const auto id = static_cast<model::EncryptionId>(transform.id);
    return id == model::EncryptionId::null || id == model::EncryptionId::null_aes_gmac;
  });
}

}  // namespace

std::vector<CompatWord> read_compat(Section& section) {
  std::vector<CompatWord> out;
  const std::vector<std::string_view> words = model::compat_words();
  for (auto& [word, position] : section.texts("compat", kSuiteLimit)) {
    if (std::ranges::find(words, word) == words.end()) {
      section.error(position, "compat", fmt::format("{} is not a weak algorithm that can be allowed", in_quotes(word)),
                    fmt::format("write one or more of: {}", fmt::join(words, " ")));
      continue;
    }
    out.push_back({std::move(word), position});
  }
  return out;
}

void check_compat_used(Section& section, std::span<const CompatWord> compat) {
  for (const CompatWord& entry : compat) {
    if (entry.used) continue;
    section.warning(entry.position, "compat", fmt::format("{} allows what no suite here uses", in_quotes(entry.word)),
                    "take it out, or name the weak algorithm in ike or esp");
  }
}

std::vector<model::Proposal> read_proposals(Section& section, std::string_view key, model::ProtocolId protocol,
                                            std::span<CompatWord> compat) {
  const bool ike = protocol == model::ProtocolId::ike;
  if (!section.has(key)) return ike ? model::default_ike_proposals() : model::default_esp_proposals();
  const std::string_view example = ike ? "aes256gcm16-prfsha256-x25519" : "aes128gcm16-x25519";
  std::vector<model::Proposal> out;
  for (const Located<std::string>& suite : section.texts(key, kSuiteLimit)) {
    const auto& [text, position] = suite;
    if (const model::TransformInfo* refused = refused_word(text)) {
      section.error(position, key,
                    fmt::format("\"{}\" in {} is refused: {}", refused->word, in_quotes(text), refused->remark),
                    fmt::format("use a suite such as \"{}\", or \"aes256-sha256{}\" for an old peer", example,
                                ike ? "-modp2048" : ""));
      continue;
    }
    auto proposal = model::parse_proposal(protocol, text);
    if (!proposal) {
      section.error(position, key, proposal.error(),
                    fmt::format("a suite looks like \"{}\"; without the setting, good ones are offered", example));
      continue;
    }
    if (!check_weak(section, key, suite, *proposal, compat, example)) continue;
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
