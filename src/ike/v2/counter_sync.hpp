// RFC 6311: counters after a failover in a cluster. The member that takes over has an IKE SA in a state that may be
// old: both ends agree on new message ids, and outbound sequence numbers of Child SAs skip what may have been used.
//
// At the peer's end: answers what the new member sends. At the member's end (TakeOver): asks, and nothing else goes out
// or is taken before the answer.
#pragma once

#include <cstdint>
#include <optional>

#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// What a member that has taken over waits for.
struct CounterSync {
  std::uint32_t nonce = 0;
  model::MessageId mine{0};    // of our next request
  model::MessageId theirs{0};  // of the peer's next request
  std::uint64_t packets = 0;   // that the peer may have sent; 0: it is not asked for
  unsigned sent = 0;
  Instant again;
};

/// Announces what we know, in IKE_AUTH; as responder only what the initiator has announced.
void add_counter_sync(codec::Message& message, const IkeSa& sa, const model::ConnectionConfig& config);
/// Takes the peer's announcements in IKE_AUTH.
void agree_on_counter_sync(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config);

/// True when the datagram has set message ids, or was to, and is no other message: then it is dealt with.
[[nodiscard]] bool receive_counter_sync(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram,
                                        const codec::ParsedMessage& parsed);
/// IPSEC_REPLAY_COUNTER_SYNC in a message with a number like others.
void take_replay_counter_sync(Core& core, const IkeSa& sa, const codec::Message& request);

/// As a member: no number is right yet. One that is to end needs none.
[[nodiscard]] bool awaits_counter_sync(const IkeSa& sa);
/// As a member: begins.
void take_over(Core& core, IkeSa& sa, const TakeOver& command);
void handle_counter_sync_timer(Core& core, IkeSa& sa);
[[nodiscard]] std::optional<Instant> next_counter_sync_time(const IkeSa& sa);

}  // namespace culvert::ike::v2
