// The gate before every set-up as responder (RFC 7296 2.6, RFC 5723 4.3.2): retransmissions, cookies and refusals cost
// no state. And what every set-up that passes it begins with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/iana/notify_type.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

[[nodiscard]] InitDigest init_digest_of(ByteView datagram);
/// Answered already, or being answered: that again. `received`: octets of the request.
[[nodiscard]] bool repeat_answer(Core& core, const net::Path& path, const InitDigest& digest, std::size_t received);
enum class Passage : std::uint8_t { no, free, by_puzzle };
/// Whether the request may go on: no cookie is needed, or it has a good one, and has solved the puzzle if one is given.
/// If not, it was answered, or dropped and counted.
[[nodiscard]] Passage pass_load_check(Core& core, const net::Path& path, const codec::Message& request);
/// The IKE SA of a request that may go on, as that connection's, for as long as it is half open: in all tables, with
/// what the request says of NATs, fragments and redirections.
[[nodiscard]] IkeSa& add_half_open(Core& core, const net::Path& path, const codec::Message& request,
                                   const InitDigest& digest, const model::ConnectionConfig& config);
/// An IKE SA has been made for it: the solution of its puzzle, if it had one, lets nobody in again (RFC 8019 7.1.1.3).
void note_admitted(Core& core, const codec::Message& request, Passage passage);
/// An answer of which no IKE SA comes.
void refuse_set_up(Core& core, const net::Path& path, const codec::Message& request, model::NotifyType type,
                   ByteView data);

}  // namespace culvert::ike::v2
