// The suite of a manual entry: one algorithm of each kind, by the registry of transforms.
#include <algorithm>

#include <fmt/format.h>

#include "config/draft.hpp"
#include "model/transforms.hpp"

namespace culvert::config {
namespace {

/// What a manual entry's suite names, type by type.
struct NamedTransforms {
  std::optional<model::Transform> encryption;
  std::optional<model::Transform> integrity;
  std::optional<model::Transform> esn;
  std::vector<const model::TransformInfo*> weak;
};

/// Why the words are no suite for one SA; nothing when all is well.
std::optional<std::string> name_transforms(model::ProtocolId protocol, std::string_view text, NamedTransforms& named) {
  const std::string_view user = protocol == model::ProtocolId::ah ? "AH" : "ESP";
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t dash = std::min(text.find('-', start), text.size());
    const std::string_view word = text.substr(start, dash - start);
    start = dash + 1;
    if (const model::TransformInfo* refused = model::find_refused(word))
      return fmt::format("\"{}\" is refused: {}", refused->word, refused->remark);
    const model::TransformInfo* info = model::find_transform(protocol, word);
    if (info == nullptr) return fmt::format("{} is not an algorithm that {} can use", in_quotes(word), user);
    std::optional<model::Transform>* place = nullptr;
    switch (info->transform.type) {
      case model::TransformType::encryption: place = &named.encryption; break;
      case model::TransformType::integrity: place = &named.integrity; break;
      case model::TransformType::esn: place = &named.esn; break;
      default: return fmt::format("{} has no meaning with manual keys: nothing is negotiated", in_quotes(word));
    }
    if (*place) return fmt::format("{} is a second algorithm of its kind; one SA has one", in_quotes(word));
    *place = info->transform;
    if (!info->compat.empty()) named.weak.push_back(info);
  }
  if (protocol == model::ProtocolId::ah && named.encryption)
    return std::string("AH does not encrypt: it has an integrity algorithm only");
  if (protocol == model::ProtocolId::esp && !named.encryption)
    return fmt::format("{} names no encryption algorithm", in_quotes(text));
  if (!named.esn)
    return fmt::format("{} does not say how long sequence numbers are, and nothing negotiates it", in_quotes(text));
  return std::nullopt;
}

/// As for tunnels: an error for each weak algorithm that `compat` does not name, a warning for the others.
bool check_weak(Section& section, const Located<std::string>& suite,
                const std::vector<const model::TransformInfo*>& weak, std::vector<CompatWord>& compat) {
  bool allowed = true;
  for (const model::TransformInfo* info : weak) {
    const auto found = std::ranges::find(compat, info->compat, &CompatWord::word);
    const std::string what = fmt::format("\"{}\" in {}", info->word, in_quotes(suite.value));
    if (found != compat.end()) {
      found->used = true;
      section.warning(suite.position, "suite", fmt::format("{} is weak: {}", what, info->remark),
                      "for tests, or a peer that can do no better");
      continue;
    }
    allowed = false;
    section.error(
        suite.position, "suite", fmt::format("{} is refused: {}", what, info->remark),
        fmt::format("use a suite such as \"aes128gcm16-esn\"; for a peer that can do no better, write compat = "
                    "[\"{}\"] in [{}]",
                    info->compat, section.name()));
  }
  return allowed;
}

}  // namespace

std::optional<model::EspSuite> read_suite(Section& section, model::ProtocolId protocol) {
  const bool ah = protocol == model::ProtocolId::ah;
  const std::string form =
      ah ? R"(write an integrity algorithm and "esn" or "noesn": "sha256-esn")"
         : R"(write one algorithm of each kind and "esn" or "noesn": "aes128gcm16-esn" or "aes256-sha256-noesn")";
  std::vector<CompatWord> compat = read_compat(section);
  if (!section.has("suite")) {
    section.missing("suite", form);
    return std::nullopt;
  }
  const auto written = section.text("suite");
  if (!written) return std::nullopt;
  const std::string& text = written->value;
  NamedTransforms named;
  if (auto problem = name_transforms(protocol, text, named)) {
    section.error(
        written->position, "suite", std::move(*problem),
        fmt::format(
            "{}; {}integrity: {}", form,
            ah ? "" : fmt::format("encryption: {}; ", model::allowed_words(protocol, model::TransformType::encryption)),
            model::allowed_words(protocol, model::TransformType::integrity)));
    return std::nullopt;
  }
  if (!check_weak(section, *written, named.weak, compat)) return std::nullopt;
  check_compat_used(section, compat);
  model::EspSuite suite;
  suite.encryption = ah ? model::EncryptionId::null : static_cast<model::EncryptionId>(named.encryption->id);
  suite.key_bits = ah ? std::uint16_t{0} : named.encryption->key_bits;
  suite.integrity = named.integrity ? static_cast<model::IntegrityId>(named.integrity->id) : model::IntegrityId::none;
  suite.esn = static_cast<model::EsnId>(named.esn->id);
  const auto packet = model::packet_suite(protocol, suite);
  if (!packet) {
    const bool lacks = !named.integrity;
    section.error(
        written->position, "suite",
        lacks ? fmt::format("{} names no integrity algorithm, and its cipher has none of its own", in_quotes(text))
              : fmt::format("{} is not a pair of algorithms that go together", in_quotes(text)),
        form);
    return std::nullopt;
  }
  if (!packet->encrypts() && !ah) {
    section.warning(written->position, "suite",
                    fmt::format("{} DOES NOT ENCRYPT: everybody on the way can read the traffic", in_quotes(text)),
                    "NULL encryption is for tests only");
  }
  return suite;
}

}  // namespace culvert::config
