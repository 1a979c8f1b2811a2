// The short words by which users name algorithms ("aes256gcm16", "prfsha256", "x25519"), one table for parsing and
// printing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/proposal.hpp"

namespace culvert::model {

struct SuiteWord {
  std::string_view word;
  Transform transform;
  bool ike = true;
  bool esp = true;
};

/// The transform that a word names for the protocol; nothing when there is none.
[[nodiscard]] std::optional<Transform> transform_of(ProtocolId protocol, std::string_view word);
/// The word for a transform, or "encr-99" style for one without.
[[nodiscard]] std::string word_of(const Transform& transform);
/// All words allowed for the protocol and type, separated by blanks; for error texts.
[[nodiscard]] std::string allowed_words(ProtocolId protocol, TransformType type);

}  // namespace culvert::model
