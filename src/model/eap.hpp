// EAP as a connection has it (RFC 7296 2.16): the initiator proves itself by an EAP method, the responder by AUTH as
// ever, or by the method as well (RFC 5998). Secrets are not in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/iana/eap_type.hpp"

namespace culvert::model {

struct EapSettings {
  /// We are the one that proves itself so, and begin; else the peer is, and we answer only.
  bool client = false;
  /// That we take part in, the dearest first; empty with `radius` only.
  std::vector<EapType> methods;
  /// As server: the [radius.NAME] to whose servers the conversation is passed; empty: we keep it ourselves.
  std::string radius;
  /// As client: who we say we are within EAP.
  std::string identity;
  friend bool operator==(const EapSettings&, const EapSettings&) = default;
};

}  // namespace culvert::model
