// LifeCore: what the endpoint as a whole remembers for crash tokens and redirections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/secret.hpp"
#include "base/time.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/rate_limiter.hpp"
#include "model/ids.hpp"

namespace culvert::ike::v2 {

struct LifeCore {
  std::shared_ptr<const EndpointSecrets> secrets;  // null: none

  /// Tokens of peers that are looked at (RFC 6290 8.1).
  RateLimiter token_checks{50, std::chrono::milliseconds(20)};
  /// How often a connection was sent elsewhere since (RFC 5685 7).
  struct Followed {
    Instant since;
    unsigned count = 0;
  };
  std::map<model::ConnectionId, Followed> followed;
};

}  // namespace culvert::ike::v2
