// EAP as a connection has it (RFC 7296 2.16): the initiator proves itself by an EAP method, the responder by AUTH as
// ever, or by the method as well (RFC 5998). Secrets are not in it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/iana/eap_type.hpp"
#include "model/identity.hpp"

namespace culvert::model {

/// What proves the client within the TLS of EAP-TTLS and PEAP: another method of EAP, or, with EAP-TTLS alone, the
/// attributes of RFC 5281 11.2.
enum class EapInner : std::uint8_t { mschapv2, md5, gtc, pap, chap, mschapv2_attributes };

struct EapInnerName {
  EapInner inner;
  std::string_view name;  // as the configuration has it
};
inline constexpr EapInnerName kEapInnerNames[] = {
    {EapInner::mschapv2, "mschapv2"}, {EapInner::md5, "md5"},   {EapInner::gtc, "gtc"},
    {EapInner::pap, "pap"},           {EapInner::chap, "chap"}, {EapInner::mschapv2_attributes, "mschapv2-attributes"}};

/// The method of EAP that it is; nothing for those that are attributes.
[[nodiscard]] constexpr std::optional<EapType> method_of(EapInner inner) {
  switch (inner) {
    case EapInner::mschapv2: return EapType::mschapv2;
    case EapInner::md5: return EapType::md5_challenge;
    case EapInner::gtc: return EapType::gtc;
    default: return std::nullopt;
  }
}

/// It is carried by TLS (RFC 5216, RFC 5281, PEAP).
[[nodiscard]] constexpr bool is_built_on_tls(EapType type) {
  return type == EapType::tls || type == EapType::ttls || type == EapType::peap;
}
// RFC 5998 4: both sides are proved, a key is made, and no dictionary helps. PEAP is not in that list, which is not
// meant to be complete, and has the same properties as EAP-TTLS, which is.
[[nodiscard]] constexpr bool may_stand_alone(EapType type) { return is_built_on_tls(type); }

struct EapSettings {
  /// We are the one that proves itself so, and begin; else the peer is, and we answer only.
  bool client = false;
  /// That we take part in, the dearest first; empty with `radius` only.
  std::vector<EapType> methods;
  /// As server: the [radius.NAME] to whose servers the conversation is passed; empty: we keep it ourselves.
  std::string radius;
  /// As client: who we say we are within EAP.
  std::string identity;
  /// Within TTLS and PEAP, the dearest first.
  std::vector<EapInner> inner = {};
  /// As client: who we say we are where others can read it (RFC 9190 2.1.8); empty: `identity`.
  std::string outer_identity = {};
  /// As client: whom the certificate of the server of TLS must be for; absent: the responder.
  std::optional<Identity> server = std::nullopt;
  /// RFC 5998: the method proves the responder, too. As client we ask for that, as responder we do it for who asks.
  bool only = false;
  friend bool operator==(const EapSettings&, const EapSettings&) = default;

  [[nodiscard]] bool with_tls() const { return std::ranges::any_of(methods, is_built_on_tls); }
  [[nodiscard]] bool has(EapType type) const { return std::ranges::find(methods, type) != methods.end(); }
};

}  // namespace culvert::model
