// The registry of transforms: every algorithm that Culvert speaks, or knows and refuses, with the word by which users
// name it, its IANA number, where it may stand, what the IETF says of it and what it takes to allow it. Proposals,
// error texts, `culvert transforms` and the compat gate all read this one table. Sizes come from the crypto layer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/proposal.hpp"

namespace culvert::model {

/// How strongly RFC 8247 (IKE) or RFC 8221 (ESP and AH) asks for an algorithm. `unlisted`: it is not in their tables,
/// so that it may be implemented (RFC 8221 3, RFC 8247 1).
enum class Requirement : std::uint8_t {
  must,
  must_minus,   // MUST-, on its way down
  should_plus,  // SHOULD+, on its way up
  should,
  may,
  should_not,
  must_not,
  unlisted
};
/// "MUST", "SHOULD NOT", ...; "-" for `unlisted`.
[[nodiscard]] std::string_view to_string(Requirement requirement);

struct TransformInfo {
  Transform transform;     // with `key_bits` only where the wire has a Key Length attribute
  std::string_view word;   // the one that is printed
  std::string_view alias;  // another that is accepted
  bool ike = false;
  bool esp = false;
  bool ah = false;
  Requirement ike_status = Requirement::unlisted;     // RFC 8247
  Requirement packet_status = Requirement::unlisted;  // RFC 8221
  std::string_view remark;                            // one line: why it is good, weak or refused
  /// What a tunnel's `compat` list must have before this is taken; empty: nothing.
  std::string_view compat;
  /// False: known by name, to be refused with the reason, and nothing else.
  bool served = true;

  [[nodiscard]] bool serves(ProtocolId protocol) const;
};

/// All rows, the preferred first within each type.
[[nodiscard]] std::span<const TransformInfo> transforms();
/// The served row that a word names for the protocol; null when there is none.
[[nodiscard]] const TransformInfo* find_transform(ProtocolId protocol, std::string_view word);
/// The row for a negotiated transform; null for foreign numbers. `key_bits` counts.
[[nodiscard]] const TransformInfo* find_transform(const Transform& transform);
/// The row of a word that is known and never served; null for all others.
[[nodiscard]] const TransformInfo* find_refused(std::string_view word);

/// The word for a transform, or "encr-99" style for one without.
[[nodiscard]] std::string word_of(const Transform& transform);
/// All words allowed for the protocol and type that need no compat, separated by blanks; for error texts.
[[nodiscard]] std::string allowed_words(ProtocolId protocol, TransformType type);
/// Every word that a `compat` list may hold, each once.
[[nodiscard]] std::vector<std::string_view> compat_words();
/// The rows of `proposal` that need a compat word, in its order.
[[nodiscard]] std::vector<const TransformInfo*> weak_transforms(const Proposal& proposal);

/// The smallest suite in which the transform can be tried: a cipher that does not authenticate together with
/// HMAC-SHA2-256, an integrity algorithm with NULL. Nothing for the types that are no packet's.
[[nodiscard]] std::optional<crypto::PacketSuite> trial_suite(const TransformInfo& info);
/// The library that serves the transform here, "ipsec-mb 1.3.0"; empty when none does.
[[nodiscard]] std::string backend_of(const TransformInfo& info);

}  // namespace culvert::model
