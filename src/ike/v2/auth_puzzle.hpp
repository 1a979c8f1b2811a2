// Puzzles in IKE_AUTH (RFC 8019 7.2): while many half-open IKE SAs get messages that are not sealed with their keys,
// who has solved a puzzle to get into IKE_SA_INIT is given a second one with the answer. The shared secret and the keys
// are computed when its first message brings the solution, and not before. RFC 8019 did not know IKE_INTERMEDIATE (RFC
// 9242), which costs a responder the same: where it comes first, the solution stands in front of it.
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
  // As initiator: for the first message; empty: there is none.
  Bytes solution = {};
  // As responder.
  bool solved = false;                            // the keys are there, or being computed
  std::unique_ptr<crypto::KeyExchange> own = {};  // what they will be computed of
  Bytes peer_value = {};
  Bytes front = {};  // of the first message, when it was authentic: what stood in front of the Encrypted payload
};

// Responder.

/// The passage into IKE_SA_INIT, and what else comes in, decide whether there is one.
void give_auth_puzzle(Core& core, IkeSa& sa, Passage passage, const model::IkeSuite& suite, ByteView peer_value);
/// A message for a half-open IKE SA is not sealed with its keys.
void note_unopened(Core& core, IkeSa& sa);
/// For an IKE SA without keys: with the solution they are computed, and the message is looked at then.
void take_auth_solution(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram,
                        const codec::ParsedMessage& parsed);
/// The message lacks the solution that belongs in front of it.
[[nodiscard]] bool lacks_solution(const IkeSa& sa, const codec::ParsedMessage& parsed);
/// In front of the Encrypted payload stands the solution of a puzzle of ours, and nothing else.
[[nodiscard]] bool has_only_solution(const IkeSa& sa, const codec::ParsedMessage& parsed);
/// The message, or the first fragment of it, is authentic: what stands in front goes into IntAuth.
void note_solution(IkeSa& sa, ByteView datagram, const codec::ParsedMessage& parsed);

// Initiator.

/// The answer to IKE_SA_INIT may have one; what else there is to do in the set-up comes behind it.
void go_on_with_set_up(Core& core, IkeSa& sa, const codec::Message& answer, model::ConnectionConfig config);

// Either.

/// The message, with the solution in front where it belongs.
[[nodiscard]] codec::MessageContent content_with_solution(const IkeSa& sa, const codec::Message& message);
/// What stands between the header and the Encrypted payload of the message with that header, as RFC 9242 3.3.2 has it:
/// before it was cut. Empty: nothing.
[[nodiscard]] Bytes octets_in_front(const IkeSa& sa, const codec::Header& header);

}  // namespace culvert::ike::v2
