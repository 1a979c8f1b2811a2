// SAs that the peer has asked for in CREATE_CHILD_SA and that additional key exchanges are still awaited for, in
// IKE_FOLLOWUP_KE (RFC 9370 2.2.4). How they come is in follow_up_responder.hpp; our own requests in
// follow_up_series.hpp.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

/// What is made in the end: the successor of the IKE SA,
struct AwaitedIkeSa {
  model::IkeSuite suite;
  model::IkeSpi spi_i;
  model::IkeSpi spi_r;
  PromisedSpi promise = {};  // of ours
};
/// or a pair, with an SPI of the data plane's that it has not got yet; in place of `old`, if there is one.
struct AwaitedChild {
  ChildAgreement agreement;
  std::optional<model::ChildSaId> old;
};

struct FollowUp {
  std::variant<AwaitedIkeSa, AwaitedChild> outcome;
  std::vector<model::KeyExchangeMethod> methods;  // still to come, in their order
  SecretBytes shared_secret;                      // SK(0)
  SecretBytes further;                            // SK(1) | ... of those that are done
  Bytes nonce_i;
  Bytes nonce_r;
  Bytes link;     // by which the next request names it
  Instant until;  // when it is given up
};

/// How long the next request is awaited (RFC 9370 2.2.4: 5 to 20 seconds).
inline constexpr Duration kFollowUpPatience = std::chrono::seconds(20);

/// Keeps it, and says in the answer what the next request is to name it by. False when there are too many already: then
/// nothing is kept. Another one that was to replace the same SA is given up: the peer has begun anew.
[[nodiscard]] bool await_follow_up(Core& core, IkeSa& sa, FollowUp follow_up, codec::Message& answer);
/// Adds ADDITIONAL_KEY_EXCHANGE with a new link, for the next request within the time that it has.
void await_next(Core& core, FollowUp& follow_up, codec::Message& answer);
/// Null when there is none.
[[nodiscard]] FollowUp* find_follow_up(const IkeSa& sa, ByteView link);
/// Whether one of them is to replace the pair, or without `old` the IKE SA.
[[nodiscard]] bool awaits_rekey_of(const IkeSa& sa, std::optional<model::ChildSaId> old);

/// Takes it out; its SPI is the caller's to use or to give back.
[[nodiscard]] FollowUp take_follow_up(IkeSa& sa, const FollowUp& follow_up);
/// Gives it up, and its SPI back.
void cancel_follow_up(Core& core, IkeSa& sa, const FollowUp& follow_up);
/// Gives up those that are to replace the pair, or without `old` the IKE SA.
void cancel_rekey_of(Core& core, IkeSa& sa, std::optional<model::ChildSaId> old);
void cancel_follow_ups(Core& core, IkeSa& sa);

/// Gives up those whose next request did not come in time.
void expire_follow_ups(Core& core, IkeSa& sa);
[[nodiscard]] std::optional<Instant> next_follow_up_expiry(const IkeSa& sa);
/// Till when the task would collide with what the peer has begun, at the longest.
[[nodiscard]] std::optional<Instant> follow_ups_block(const IkeSa& sa, const Task& task);

}  // namespace culvert::ike::v2
