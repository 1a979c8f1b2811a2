// Expected: what the server knows of who it talks to, for methods where the answer itself is the proof.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/eap/method.hpp"

namespace culvert::ike::eap {

/// The server's copy of a secret; one that nobody has stands in for one that there is not, so that the peer does not
/// see the difference.
struct Expected {
  Expected(std::string who, const SecretBytes* held, std::size_t stand_in = 16)
      : identity(std::move(who)),
        known(held != nullptr),
        secret(held == nullptr ? SecretBytes(stand_in) : held->clone()) {}

  [[nodiscard]] Turn verdict(bool right, std::string_view method) const {
    if (right && known) return Turn::say({}, Progress::done);
    if (known)
      return Turn::refuse("password", fmt::format("'{}' does not have our secret ({})", escaped(identity), method));
    return Turn::refuse("identity", fmt::format("nobody is called '{}' ({})", escaped(identity), method));
  }

  std::string identity;
  bool known;
  SecretBytes secret;
};

}  // namespace culvert::ike::eap
