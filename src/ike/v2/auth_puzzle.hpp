// Puzzles in IKE_AUTH (RFC 8019 7.2): while many half-open IKE SAs get messages that are not sealed with their keys,
// who has solved a puzzle to get into IKE_SA_INIT is given a second one with the answer. The shared secret and the keys
// are computed when its first message brings the solution, and not before.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "crypto/key_exchange.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/seal.hpp"
#include "ike/puzzle.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/set_up_gate.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

struct AuthPuzzle {
  Puzzle puzzle;
  /// Of the first message after IKE_SA_INIT; as responder, once it has come.
  Bytes solution;
  // As responder: what the keys will be computed of.
  std::unique_ptr<crypto::KeyExchange> own;
  Bytes peer_value;
};

// Responder.

/// The passage into IKE_SA_INIT, and what else comes in, decide whether there is one.
void give_auth_puzzle(Core& core, IkeSa& sa, Passage passage, const model::IkeSuite& suite, ByteView peer_value);
/// A message for a half-open IKE SA is not sealed with its keys.
void note_unopened(Core& core, IkeSa& sa);
/// For an IKE SA without keys: with the solution they are computed, and the message is looked at then.
void take_auth_solution(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram,
                        const codec::ParsedMessage& parsed);
/// In front of the Encrypted payload stands what belongs there.
[[nodiscard]] bool fits_auth_puzzle(const IkeSa& sa, const codec::ParsedMessage& parsed);

// Initiator.

/// The answer to IKE_SA_INIT may have one; what else there is to do in the set-up comes behind it. `solved`: we have
/// solved one to get that answer.
void go_on_with_set_up(Core& core, IkeSa& sa, const codec::Message& answer, bool solved,
                       model::ConnectionConfig config);

// Either.

/// The message, with the solution in front where it belongs.
[[nodiscard]] codec::MessageContent content_with_solution(const IkeSa& sa, const codec::Message& message);
/// The Puzzle Solution payload of the message with that header, as it stands in front of an Encrypted payload; empty:
/// it has none.
[[nodiscard]] Bytes solution_octets(const IkeSa& sa, const codec::Header& header);

}  // namespace culvert::ike::v2
