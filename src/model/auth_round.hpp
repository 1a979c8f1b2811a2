// AuthRound: one of several authentications, one behind the other, by which a side proves who it is (RFC 4739).
#pragma once

#include <optional>

#include "model/authentication.hpp"
#include "model/identity.hpp"

namespace culvert::model {

struct AuthRound {
  /// Nothing: by EAP, as the connection's `eap` has it.
  std::optional<Authentication> by;
  /// Under which identity. Without it and `pattern`: under that of the side's first round; with EAP, as responder,
  /// whatever the initiator says.
  std::optional<Identity> id = std::nullopt;
  /// Instead of `id`, of the peer's.
  std::optional<IdentityPattern> pattern = std::nullopt;
  friend bool operator==(const AuthRound&, const AuthRound&) = default;
};

}  // namespace culvert::model
