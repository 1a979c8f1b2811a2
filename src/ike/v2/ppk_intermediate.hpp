// PPK in IKE_INTERMEDIATE (RFC 9867): the initiator names it in the last of these exchanges and shows that it has it,
// the responder says which one it takes, and everything from there on is under keys with it. Nothing of it is left for
// IKE_AUTH but the question whether it is that of the connection.
// RFC 9867 also has PPKs in CREATE_CHILD_SA, for such as are fresh each time. Ours are not, and what one brought goes
// on through SK_d: none is named there, and one that a peer names is passed over, which leaves it out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/ppk.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// It is agreed on, and no exchange has had it yet.
[[nodiscard]] bool ppk_is_due(const IkeSa& sa);

/// Asks for the proof that we have the PPK of the connection, and for SKEYSEED with it from SK_d.
[[nodiscard]] RequestToken ask_to_mix_ppk(Core& core, const IkeSa& sa, model::ConnectionId connection,
                                          SecretBytes sk_d);
/// The front of it, which is what is shown.
[[nodiscard]] Bytes shown_confirmation(const PpkResult& result);
/// The PPK is there, and it is the one that the peer has shown this of. In time that says nothing about it.
[[nodiscard]] bool is_confirmed(const PpkResult& result, ByteView shown);

// Initiator.

/// PPK_IDENTITY_KEY in our request.
void name_ppk(codec::Message& request, const IkeSa& sa, const model::Ppk& ppk, ByteView confirmation);
/// What the response says of it: nothing when the peer takes it, or leaves it out and so may we; else why not.
[[nodiscard]] std::optional<std::string> settle_named_ppk(Core& core, IkeSa& sa, const codec::Message& response,
                                                          const model::ConnectionConfig& config);

// Responder.

/// A PPK of ours that may be the one that the peer means.
struct PpkCandidate {
  model::ConnectionId connection;
  Bytes identity;
  Bytes confirmation;
};
/// Of those that the request names and that connections for the path have; the peer's first choice first.
[[nodiscard]] std::vector<PpkCandidate> named_ppks(const Core& core, const IkeSa& sa, const net::Path& path,
                                                   const codec::Message& request);
/// The request names one at all.
[[nodiscard]] bool names_ppk(const IkeSa& sa, const codec::Message& request);
/// Every connection for the path insists on one.
[[nodiscard]] bool all_insist_on_ppk(const Core& core, const net::Path& path);
/// What comes of it once IKE_AUTH has said which connection it is: `asked` whether its PPK is the same.
[[nodiscard]] PpkVerdict judge_mixed_ppk(Core& core, IkeSa& sa, const model::ConnectionConfig& config);
/// The answer to that.
[[nodiscard]] std::optional<std::string> mixed_ppk_fault(const IkeSa& sa, const PpkResult& result,
                                                         const model::ConnectionConfig& config);

// Either.

/// The keys are with it from now on.
void note_mixed_ppk(Core& core, IkeSa& sa, const model::Ppk& ppk);

}  // namespace culvert::ike::v2
