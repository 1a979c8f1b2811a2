// Events: what IKE tells control; see face.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/optional_id.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"
#include "ike/admission.hpp"
#include "ike/commands.hpp"
#include "model/authentication.hpp"
#include "model/child_sa.hpp"
#include "model/configuration.hpp"
#include "model/iana/notify_type.hpp"
#include "model/identity.hpp"
#include "model/ids.hpp"
#include "model/proposal.hpp"
#include "model/security_label.hpp"
#include "net/address.hpp"

namespace culvert::ike {

/// Whether a PPK is in the keys, and since which exchange of the set-up.
enum class PpkUse : std::uint8_t { none, ike_auth, intermediate };

struct IkeSaEstablished {
  model::IkeSaId ike_sa;
  model::ConnectionId connection;
  model::Role role = model::Role::initiator;
  model::IkeSpi spi_i;
  model::IkeSpi spi_r;
  net::Path path;
  model::Identity local_id;
  model::Identity remote_id;
  Admission admission;
  model::IkeSuite suite;
  bool local_behind_nat = false;
  bool remote_behind_nat = false;
  bool mobike = false;         // agreed on (RFC 4555)
  bool chooses_paths = false;  // and by us: we began the first IKE SA of the line
  PpkUse ppk = PpkUse::none;
  bool resumed = false;       // by a ticket (RFC 5723), without a key exchange and a new proof
  bool counter_sync = false;  // a cluster at the other end may set message ids, or sequence numbers (RFC 6311)
  OptionalInstant rekey_at;   // the soft lifetime
  /// When the authentication runs out, or is to be repeated by us (RFC 4478).
  OptionalInstant reauthenticate_at = {};
  /// The IKE SA whose Child SAs this one inherits, for a rekey (RFC 7296 2.18).
  OptionalId<model::IkeSaId> replaces;
};

/// The IKE SA of several connections (ConnectionConfig::share_ike_sa) is another one's of them from now on, for the one
/// that it was of has been taken down or removed.
struct IkeSaPassedOn {
  model::IkeSaId ike_sa;
  model::ConnectionId from;
  model::ConnectionId to;
};

/// As initiator: what the gateway gave us, before the first Child SA (RFC 7296 2.19). It holds for the IKE SA and those
/// that replace it.
struct ConfigurationReceived {
  model::IkeSaId ike_sa;
  model::ConnectionId connection;
  model::Configuration configuration;
};

enum class CloseReason : std::uint8_t {
  local_request,       // Terminate, RemoveConnection, Shutdown
  peer_deleted,        // the peer sent DELETE
  rekeyed,             // its successor took over
  peer_dead,           // retransmissions without an answer
  superseded,          // INITIAL_CONTACT, or the duplicate of a simultaneous set-up
  protocol_error,      // the peer broke the protocol after establishment
  lifetime_expired,    // no rekey came about in time
  negotiation_failed,  // the successor state never came to be
  reauthenticated,     // another IKE SA took its place, with both ends proved anew
  redirected,          // the gateway sent us, or we sent the peer, elsewhere
  peer_restarted       // the peer has proved that it knows nothing of it any more (RFC 6290)
};
[[nodiscard]] std::string_view name_of(CloseReason reason);

/// All Child SAs of it are gone too (each with its own ChildSaRemoved before this).
struct IkeSaClosed {
  model::IkeSaId ike_sa;
  model::ConnectionId connection;
  CloseReason reason = CloseReason::local_request;
};

/// Why a negotiation failed, in a form that `culvert why` can turn into advice.
enum class FailureKind : std::uint8_t {
  no_answer,              // the peer never answered
  no_proposal_chosen,     // no common algorithms
  authentication_failed,  // wrong secret, certificate or identity, as seen by us or told by the peer
  traffic_selectors,      // TS_UNACCEPTABLE
  unknown_peer,           // as responder: no connection matches the addresses or the identity
  peer_refused,           // another error notification of the peer
  protocol_error,         // the peer's message was invalid
  no_address,             // none was given or asked for, and none of our own will do (RFC 7296 3.15.4)
  local_error             // crypto or resources of our own
};
[[nodiscard]] std::string_view name_of(FailureKind kind);

struct NegotiationFailed {
  /// Absent when, as responder, no connection could be matched.
  std::optional<model::ConnectionId> connection;
  net::Path path;
  model::Role role = model::Role::initiator;
  FailureKind kind = FailureKind::no_answer;
  std::optional<model::NotifyType> notify;  // what was sent or received
  /// One sentence with what was offered and what is accepted, addresses, identities; safe to print (peer text is
  /// escaped).
  std::string detail;
  /// True when only a Child SA failed and the IKE SA lives.
  bool child_only = false;
  /// As initiator: the wish that was not fulfilled, if the Child SA was for one.
  std::optional<ChildWish> wish;
  /// What we found wrong with the peer's certificate or signature.
  std::optional<model::AuthenticationRefusal> refusal;
  /// Who the peer said it is, or who we expected; not proved, safe to print. Empty: nobody was named.
  std::string identity = {};
};

/// A new Child SA pair, to be installed before the next transmit. Holds keys: move it on, never copy.
struct ChildSaEstablished {
  model::ChildSaParams params;
  /// A wish of ours brought it about, and it is for some of the connection's traffic only, or for one resource; so is
  /// what replaces it.
  bool for_wish = false;
  /// RFC 9478: the traffic that it is for has this label at both ends.
  std::optional<model::SecurityLabel> security_label = {};
};
/// The peer is a cluster whose new member may have missed so many packets, or we have taken over from another member:
/// the pair's outbound sequence numbers skip so many (RFC 6311 5.2).
struct ChildSaSkipSequence {
  model::ChildSaId child;
  std::uint64_t count = 0;
};
/// The peer has surely switched: outbound traffic may use this pair (see ChildSaParams::hold_outbound).
struct ChildSaUseOutbound {
  model::ChildSaId child;
};
struct ChildSaRemoved {
  model::ChildSaId child;
  model::ConnectionId connection;
  CloseReason reason = CloseReason::local_request;
  /// How long inbound packets that are still under way shall be accepted (RFC 7296 2.8); zero for none.
  Duration linger{};
};
/// The path of an IKE SA and of all its Child SAs changed (move to port 4500, NAT rebinding, MOBIKE), or what is known
/// of NATs on it.
struct PathChanged {
  model::IkeSaId ike_sa;
  net::Path path;
  /// How ESP travels on it; absent: as before.
  std::optional<model::Encapsulation> encapsulation;
  bool local_behind_nat = false;
  bool remote_behind_nat = false;
  std::string why;  // safe to print
};
/// The peer does not answer on the path, or has other addresses now: which ways are there to these, the best first?
/// Answered by UsePaths, or not.
struct PathInDoubt {
  model::IkeSaId ike_sa;
  std::vector<net::IpAddress> peers;
  /// It is the peer's silence, not its word: names may lead elsewhere by now.
  bool silent = false;
};
/// A request of ours on an established IKE SA was sent several times and has no answer yet; the IKE SA goes on waiting.
/// Said once for each request.
struct AnswerOverdue {
  model::IkeSaId ike_sa;
};
/// The Child SA moved to the successor of its IKE SA (RFC 7296 2.18).
struct ChildSaMoved {
  model::ChildSaId child;
  model::IkeSaId ike_sa;
};
/// The gateway sends us elsewhere (RFC 5685): find `gateway`, an address or a DNS name, and Initiate there, with `from`
/// as redirected_from and `ike_sa` as replaces. Safe to print.
struct Redirected {
  model::ConnectionId connection;
  std::string gateway;
  net::IpAddress from;
  std::optional<model::IkeSaId> ike_sa;  // that stands until then
};
/// A step worth a line in `culvert log`: "sent IKE_SA_INIT request", "peer answered with COOKIE", ... Safe to print.
struct Progress {
  std::optional<model::ConnectionId> connection;
  std::optional<model::IkeSaId> ike_sa;
  std::string text;
};
/// IKE SA keys for a decoder; only when key export was switched on at construction.
struct KeysExported {
  model::IkeSpi spi_i;
  model::IkeSpi spi_r;
  model::IkeSuite suite;
  SecretBytes sk_ei, sk_er, sk_ai, sk_ar;
};

using Event = std::variant<IkeSaEstablished, IkeSaPassedOn, ConfigurationReceived, IkeSaClosed, NegotiationFailed,
                           ChildSaEstablished, ChildSaSkipSequence, ChildSaUseOutbound, ChildSaRemoved, PathChanged,
                           PathInDoubt, AnswerOverdue, ChildSaMoved, Redirected, Progress, KeysExported>;

}  // namespace culvert::ike
