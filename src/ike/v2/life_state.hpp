// LifeState: what an IKE SA remembers of how it began, of the peer's crash token, of where the peer may be sent, and of
// how long its authentication is good. Apart from the IKE SA, for most have little of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/optional_id.hpp"
#include "base/time.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

struct LifeState {
  /// As initiator, until IKE_AUTH: the peer takes IKE SAs without a Child SA (RFC 6023).
  bool peer_childless = false;
  /// As responder: the peer goes where it is sent (RFC 5685).
  bool peer_follows = false;
  /// The peer's crash token, as a digest (RFC 6290 3).
  bool has_token = false;
  std::array<std::uint8_t, 16> token{};
  /// As initiator, until it stands: which gateway has sent us to this one, and which IKE SA ends for
  /// this one.
  std::optional<net::IpAddress> redirected_from;
  OptionalId<model::IkeSaId> replaces;
  /// RFC 4478: as initiator, when we prove ourselves anew; as responder, until when the peer's proof is good.
  OptionalInstant repeat_at;
  OptionalInstant good_until;
  /// When the IKE SA that ends for this one does, if all is ready; and at the latest.
  OptionalInstant retire_at;
  OptionalInstant retire_by;
  /// Until when what the peer has proved itself with is good, in seconds since 1970; 0: for ever.
  std::int64_t proof_until = 0;
  /// By a ticket: until when what both ends proved in full, before the first of its line, is good, in seconds since
  /// 1970; 0: not by a ticket.
  std::int64_t chain_until = 0;
  /// ConnectionConfig::credential_group as it was when the ends proved themselves.
  std::uint32_t credentials = 0;
  /// As responder: until when the peer has a ticket for this IKE SA, in seconds since 1970; 0: it has none.
  std::int64_t ticket_until = 0;
  /// As initiator: when another ticket is asked for (RFC 5723 4.1).
  OptionalInstant renew_ticket_at;
};

/// The IKE SA's, made where there is none.
[[nodiscard]] LifeState& life_of(IkeSa& sa);
[[nodiscard]] std::uint32_t credentials_of(const IkeSa& sa);
/// What the peer has shown is good until then, in seconds since 1970 (nothing: for ever); of several rounds the first
/// end counts.
void note_proof_end(IkeSa& sa, std::optional<std::int64_t> end);
/// What goes on in the IKE SA that a rekey makes.
void inherit_life(const IkeSa& old, IkeSa& next);

}  // namespace culvert::ike::v2
