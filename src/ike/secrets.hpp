// EndpointSecrets: secrets of the IKE endpoint itself that must outlive the process, so that a peer of the last run
// can be helped by the next one. The daemon keeps them; the core only computes with them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/secret.hpp"

namespace culvert::ike {

/// Seals and opens the tickets of session resumption (RFC 5723), and nothing else.
struct TicketKey {
  std::array<std::uint8_t, 8> id{};  // by which tickets name it; any octets
  std::int64_t made = 0;             // seconds since 1970
  SecretBytes key;                   // 32 octets
};

struct EndpointSecrets {
  /// QCD_SECRET (RFC 6290 5.1), 32 octets; empty: no tokens are made.
  SecretBytes crash_tokens;
  /// The newest first: it seals new tickets, all of them open those that peers have. Empty: no tickets are given.
  std::vector<TicketKey> ticket_keys;
};

}  // namespace culvert::ike
