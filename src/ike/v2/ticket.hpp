// Tickets by value (RFC 5723 6.1): the state of an IKE SA, sealed by a key that only we have, for the peer to keep.
// What comes back is checked before any of it is believed.
//
//   version 1 | key id 8 | salt 16 | sealed state | ICV 16
//
// Each ticket has keys of its own, made from the salt, so that no counter must outlive the process.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/secret.hpp"
#include "ike/face.hpp"
#include "ike/secrets.hpp"
#include "model/connection.hpp"
#include "model/identity.hpp"
#include "model/ids.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

/// What of a connection decides whom it believes: a ticket is good for as long as this stays.
using PolicyDigest = std::array<std::uint8_t, 16>;
[[nodiscard]] PolicyDigest policy_digest(const model::ConnectionConfig& config);

/// RFC 5723 5: "from the ticket". The initiator keeps the same beside its ticket.
struct TicketState {
  std::int64_t expires = 0;  // seconds since 1970
  /// What both ends proved in full is good until then, however often it is resumed.
  std::int64_t proof_until = 0;
  /// RFC 4478: the authentication, and with it the IKE SA, ends; as initiator, is repeated. 0: never.
  std::int64_t auth_until = 0;
  model::IkeSpi spi_i;  // of the IKE SA that it is for
  model::IkeSpi spi_r;
  model::IkeSuite suite;
  SecretBytes sk_d;
  std::string connection;  // its name
  PolicyDigest policy{};
  model::Identity id_i;
  model::Identity id_r;
  std::string eap_identity;  // RFC 5723 5, note 1
  std::string group;
  PpkUse ppk_use = PpkUse::none;  // what sk_d descends from

  [[nodiscard]] TicketState clone() const;
};

/// With random octets of `random`; the key has 32. Empty when it would be so large that who shows it could not do so in
/// one datagram.
[[nodiscard]] Bytes seal_ticket(const TicketKey& key, const TicketState& state, RandomSource& random);
/// Nothing when none of the keys has sealed it, or it was changed. Total: any octets are allowed. Whether it is good
/// still is for the caller to say.
[[nodiscard]] std::optional<TicketState> open_ticket(std::span<const TicketKey> keys, ByteView ticket);

/// What is inside, for tests and fuzzers.
[[nodiscard]] SecretBytes encode_state(const TicketState& state);
[[nodiscard]] std::optional<TicketState> decode_state(ByteView octets);

}  // namespace culvert::ike::v2
