// LifeCore: what the endpoint as a whole remembers for crash tokens and redirections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/secret.hpp"
#include "base/time.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/rate_limiter.hpp"
#include "ike/v2/ticket_memory.hpp"
#include "model/ids.hpp"

namespace culvert::ike::v2 {

struct LifeCore {
  std::shared_ptr<const EndpointSecrets> secrets;  // null: none
  /// The time of day at an instant: seconds since 1970.
  std::int64_t calendar = 0;
  Instant calendar_at{};
  [[nodiscard]] std::int64_t calendar_now(Instant now) const {
    return calendar + std::chrono::duration_cast<std::chrono::seconds>(now - calendar_at).count();
  }

  /// Tokens of peers that are looked at (RFC 6290 8.1).
  RateLimiter token_checks{50, std::chrono::milliseconds(20)};
  /// How often a connection was sent elsewhere since (RFC 5685 7).
  struct Followed {
    Instant since;
    unsigned count = 0;
  };
  std::map<model::ConnectionId, Followed> followed;

  /// As responder: tickets that are good no more; as initiator: those that we have.
  SpentTickets spent;
  std::map<model::ConnectionId, HeldTicket> tickets;
};

}  // namespace culvert::ike::v2
