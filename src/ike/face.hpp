// The face of the IKE core, the same for every version: bytes, commands, completions and time go in; datagrams, events
// and requests come out. No socket, clock or thread; the caller owns all three (DESIGN section 3).
//
// The contract of one turn: call one handle_* function, then drain poll_event(), then poll_request(), then
// poll_transmit(), then ask poll_timeout(). Events come first because an SA must be installed before the message that
// lets the peer use it leaves.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "crypto/key_exchange.hpp"
#include "model/authentication.hpp"
#include "model/child_sa.hpp"
#include "model/configuration.hpp"
#include "model/connection.hpp"
#include "model/eap.hpp"
#include "model/iana/authentication_method.hpp"
#include "model/iana/notify_type.hpp"
#include "model/ids.hpp"
#include "model/proof_wishes.hpp"
#include "net/address.hpp"
#include "net/packet.hpp"

namespace culvert::model {
struct Authorization;  // model/aaa.hpp
}
namespace culvert::ike {
struct EndpointSecrets;  // ike/secrets.hpp
}

namespace culvert::ike {

/// Names an outstanding request; never reused.
using RequestToken = StrongId<struct RequestTokenTag, std::uint64_t>;

// ---------------------------------------------------------------- commands: what control asks of IKE

/// What a packet asks a Child SA for (RFC 4301 5.1, RFC 7296 2.9): the selectors that the SA shall have at most, the
/// packet among them.
struct ChildWish {
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  net::PacketInfo packet;  // on its way out
  /// RFC 9611: the pair is for this resource of ours alone, beside one with just these selectors for all. Nothing
  /// happens when that one does not stand or the peer does not take others beside it.
  std::optional<std::uint32_t> resource = {};
};

/// Adds a connection, or replaces the one with the same id. Running SAs keep their negotiated parameters.
struct ConfigureConnection {
  model::ConnectionConfig config;
};
/// Forgets a connection; its IKE SAs are deleted with a DELETE to the peer.
struct RemoveConnection {
  model::ConnectionId connection;
};
/// Brings a connection up as initiator. `path` tells the local and remote addresses to use (ports: the IKE port, or the
/// NAT-T port to begin there). Nothing happens when it is up already or on its way.
struct Initiate {
  model::ConnectionId connection;
  net::Path path;
  /// Also beside an IKE SA on which the peer owes an answer: if it was started anew, the new IKE SA supersedes the old;
  /// if it lives, the attempt ends without a word.
  bool despite_doubtful = false;
  /// What the first Child SA is wanted for; without it, for all that the connection has.
  std::optional<ChildWish> wish = {};
  /// The gateway that sent us to this one (RFC 5685 3).
  std::optional<net::IpAddress> redirected_from = {};
  /// Beside this IKE SA, which ends when the new one stands.
  std::optional<model::IkeSaId> replaces = {};
  /// Also beside an IKE SA that stands and is well: the new one is to take its place, on another path.
  bool beside = false;
  /// How long IKE_SA_INIT may stay without an answer; absent: as long as any request.
  std::optional<Duration> patience = {};
};
/// Makes a further Child SA in the connection's IKE SA (RFC 7296 1.3.1). Nothing happens when one that fulfils the wish
/// stands or is under way, or when there is no IKE SA to make it in.
struct CreateChildSa {
  model::ConnectionId connection;
  ChildWish wish;
};
/// Deletes all IKE SAs of the connection, and an attempt that is under way; of one that others use as well, its Child
/// SAs alone.
struct Terminate {
  model::ConnectionId connection;
};
/// Deletes one IKE SA.
struct TerminateIkeSa {
  model::IkeSaId ike_sa;
};
struct RekeyIkeSa {
  model::IkeSaId ike_sa;
};
struct RekeyChildSa {
  model::ChildSaId child;
};
/// Deletes one Child SA pair with a DELETE to the peer.
struct DeleteChildSa {
  model::ChildSaId child;
};
/// Sends an empty INFORMATIONAL now (RFC 7296 2.4), unless a request is outstanding already.
struct CheckLiveness {
  model::IkeSaId ike_sa;
};
/// The data plane received authenticated traffic of this Child SA: proof that the peer is alive (RFC 7296 2.4).
struct PeerAlive {
  model::ChildSaId child;
};
/// The data plane saw authenticated ESP from a new outer address (RFC 7296 2.23): IKE follows if the peer is behind a
/// NAT.
struct PeerMoved {
  model::ChildSaId child;
  net::Endpoint remote;
};
/// The addresses of this host that peers may use, loopback's, links' own and those inside tunnels excepted; all there
/// are, whenever they change. Peers that know MOBIKE are told of them (RFC 4555 3.4, 3.6).
struct OwnAddresses {
  std::vector<net::IpAddress> addresses;
};
/// The host's network changed: PathInDoubt asks for the ways that there are now.
struct ReviewPath {
  model::IkeSaId ike_sa;
};
/// The ways that lead to the peer now, the best first; of what PathInDoubt asked, or because the host's network
/// changed. Ports do not matter. An IKE SA whose own path is not among them moves at once, one for which there is a
/// better way from here moves when that was tried (RFC 4555 3.5).
struct UsePaths {
  model::IkeSaId ike_sa;
  std::vector<net::Path> paths;
};
/// This path of another transport may lead to the peer, of an IKE SA that chooses_paths (RFC 9329 7.1). It moves to TCP
/// at once, for UDP has fallen silent; and to UDP when the peer has answered there. Over UDP ports do not matter.
struct TryPath {
  model::IkeSaId ike_sa;
  net::Path path;
};
/// The data plane received ESP with an SPI that it does not know, as after a restart of ours. `path` is where it came
/// from and to, with the UDP ports to answer on. The sender is told with INVALID_SPI, at a bounded rate (RFC 7296 1.5),
/// so that it notices soon.
struct UnknownEspSpi {
  net::Path path;
  model::Spi spi;
};
/// Proves both ends anew: sets up an IKE SA with its Child SAs that takes this one's place (RFC 4478). As its original
/// initiator only.
struct Reauthenticate {
  model::IkeSaId ike_sa;
};
/// Sends the peers of the connection that can follow, and for which we are the gateway, elsewhere (RFC 5685 5).
/// `gateway` is an address or a DNS name.
struct RedirectPeers {
  model::ConnectionId connection;
  std::string gateway;
};
/// What outlives the process; in place of what was known. Without it there are no crash tokens and no tickets.
struct UseSecrets {
  std::shared_ptr<const EndpointSecrets> secrets;
  /// The time of day at the command, in seconds since 1970: tickets, which outlive the process too, end by it.
  std::int64_t calendar = 0;
};
/// The stream of this path was opened anew (RFC 9329 6.2): requests of ours that wait for an answer go out once more;
/// an IKE SA without one sends an empty INFORMATIONAL, so that the peer learns of the new connection (6.1).
struct StreamReopened {
  net::Path path;
};
/// We have taken this IKE SA and its Child SAs over from another member of a cluster, in a state that may be old (RFC
/// 6311). So many requests of either end, and so many packets of either direction, may have passed meanwhile; the peer
/// is told before any other request goes out. Packets: 0 where sequence numbers need not be set.
struct TakeOver {
  model::IkeSaId ike_sa;
  std::uint32_t requests = 0;
  std::uint64_t packets = 0;
};
/// Ends everything: DELETE to every peer, once, without waiting for the answer.
struct Shutdown {};

using Command =
    std::variant<ConfigureConnection, RemoveConnection, Initiate, CreateChildSa, Terminate, TerminateIkeSa, RekeyIkeSa,
                 RekeyChildSa, DeleteChildSa, CheckLiveness, PeerAlive, PeerMoved, OwnAddresses, ReviewPath, UsePaths,
                 TryPath, UnknownEspSpi, StreamReopened, Reauthenticate, RedirectPeers, UseSecrets, TakeOver, Shutdown>;

// ---------------------------------------------------------------- events: what IKE tells control

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
  /// Whom EAP has proved the initiator to be; empty without EAP. Any octets: escape before printing.
  std::string eap_identity;
  std::string group;  // the peer's, of the connection's groups
  /// Of the AAA server that has kept the EAP conversation, if one has.
  std::shared_ptr<const model::Authorization> authorization = nullptr;
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
  std::optional<model::IkeSaId> replaces;
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

// ---------------------------------------------------------------- requests: slow or secret work that leaves the core

// Every request has exactly one answer, by Endpoint::handle_completion with its token: at once or much later, in any
// order. Until then its IKE SA waits, and no other does. An answer for an IKE SA that is gone does nothing. Further
// kinds of work (who judges a peer from outside, what must be fetched) are further alternatives of the two variants.

/// Compute prf(prf(secret, "Key Pad for IKEv2"), octets) with the secret of the connection (RFC 7296 2.15).
struct SharedKeyMacRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::PrfId prf = model::PrfId::hmac_sha2_256;
  Bytes octets;
};
/// Sign octets with the private key of the connection (RFC 7296 2.15, RFC 7427).
struct SignRequest {
  RequestToken token;
  model::ConnectionId connection;
  /// What the peer announced; empty when it does not know RFC 7427.
  model::SignatureHashes peer_hashes;
  Bytes octets;
  /// Which certificates it asks for, and in which form.
  model::ProofWishes wishes = {};
  model::Identity identity = {};  // that we show with it
};
/// Judge what the peer proves itself with: its certificates by the authorities of the connection, its identity by its
/// certificate, its signature by its key.
struct VerifyRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::Identity identity;
  model::AuthenticationMethod method = model::AuthenticationMethod::digital_signature;
  Bytes auth;  // the AUTH payload's data
  Bytes octets;
  std::vector<Bytes> certificates;  // X.509 in DER, the peer's own first
  std::optional<Bytes> raw_key;     // the SubjectPublicKeyInfo that the peer sent (RFC 7670)
  /// Certificates to be fetched; each place among `certificates` is empty till then. None unless the connection wants
  /// them (ConnectionConfig::certificates_by_url).
  std::vector<model::CertificateByUrl> by_url = {};
  std::vector<Bytes> ocsp = {};  // responses that the peer sent along (RFC 4806)
  std::size_t round = 0;         // of the peer's authentications (RFC 4739), counted from 0
};
/// Do our part of a key exchange (RFC 7296 2.14): make a key pair, unless there is one in `own`; and with the peer's
/// public value, if there is one, compute the shared secret.
struct KeyExchangeRequest {
  RequestToken token;
  crypto::KeyExchangeId method = crypto::KeyExchangeId::x25519;
  std::unique_ptr<crypto::KeyExchange> own;
  std::optional<Bytes> peer_value;
};
/// Find four keys with which the prf of `text` ends with at least so many zero bits, 0: as many as can be had for a
/// fair effort (RFC 8019 7.1.3). Within a bounded effort, and no longer than the solution is wanted.
struct PuzzleRequest {
  RequestToken token;
  model::PrfId prf = model::PrfId::hmac_sha2_256;
  Bytes text;
  std::uint8_t zero_bits = 0;
  /// Set, by another thread maybe, when the attempt that it was for is over.
  std::shared_ptr<const std::atomic<bool>> unwanted = {};
};
/// SK_d, SK_pi and SK_pr, or SK_d alone.
using PpkKeys = std::array<SecretBytes, 3>;
/// Mix the PPK of the connection into the keys: prf+(PPK, key) for each (RFC 8784 3), which of SK_d alone is SKEYSEED
/// (RFC 9867 3.1).
struct PpkRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::PrfId prf = model::PrfId::hmac_sha2_256;
  PpkKeys keys;
  Bytes confirmed = {};  // what the PPK is to be proved over; empty: nothing
};
/// One step of the EAP conversation of an IKE SA (RFC 7296 2.16), by whoever holds the secrets. It may take its time.
struct EapRequest {
  enum class Step : std::uint8_t {
    begin,   // as server: the first packet is wanted
    packet,  // the peer sent `packet`, any octets; as client the first one begins
    end      // the IKE SA is gone: forget the conversation. Has no answer
  };
  RequestToken token;
  model::ConnectionId connection;
  model::IkeSaId ike_sa;
  Step step = Step::begin;
  model::EapSettings settings;
  Bytes packet;
  net::Path path = {};
};
/// Give addresses of the connection's pools to a peer that proved its identity (RFC 7296 2.19); they are its own until
/// the IKE SA and what replaces it are closed. Answered by control itself.
struct AddressRequest {
  RequestToken token;
  model::ConnectionId connection;
  model::IkeSaId ike_sa;
  model::Identity identity;
  std::vector<model::AddressWish> wishes;
  std::vector<std::string> pools;  // in the order of preference
  model::TrafficSelectors local;   // what the peer may reach
  /// IKE SAs of the same identity that end for this one.
  std::vector<model::IkeSaId> ending;
  std::shared_ptr<const model::Authorization> authorization = nullptr;  // as in IkeSaEstablished
};
using Request = std::variant<SharedKeyMacRequest, SignRequest, VerifyRequest, KeyExchangeRequest, EapRequest,
                             AddressRequest, PpkRequest, PuzzleRequest>;
[[nodiscard]] RequestToken token_of(const Request& request);

/// The answer to a request. Absent MAC: there is no secret for that connection.
struct SharedKeyMacResult {
  std::optional<SecretBytes> mac;
};
struct OwnProof {
  model::AuthenticationMethod method = model::AuthenticationMethod::digital_signature;
  Bytes auth;
  std::vector<Bytes> certificates;                   // to be sent, our own first
  Bytes raw_key;                                     // else, with a signature: the public key (RFC 7670)
  std::vector<model::EncodedCertificate> more = {};  // behind the certificates, or in their stead
};
/// The error is a sentence: why there is no signature.
struct SignResult {
  Result<OwnProof, std::string> proof;
};
/// Nothing when the peer is who it says it is.
struct VerifyResult {
  std::optional<model::AuthenticationRefusal> refusal;
  /// Until when what the peer has shown is good, in seconds since 1970; nothing: for ever.
  std::optional<std::int64_t> good_until = {};
};
struct KeyExchangeResult {
  std::unique_ptr<crypto::KeyExchange> own;  // null: there is none, `fault` says why
  SecretBytes shared_secret;                 // empty: none was asked for, or `fault` says why
  std::optional<crypto::CryptoError> fault;
};
struct EapResult {
  enum class State : std::uint8_t { going, success, failure };
  State state = State::failure;
  Bytes packet;                          // for the peer; as client, empty with success and perhaps with failure
  SecretBytes msk;                       // with success, of a method that makes one (RFC 3748 7.10)
  std::string identity;                  // whom it is about; any octets
  std::optional<model::EapType> method;  // that was agreed on
  std::string group;                     // with success, as server: of the tunnel's groups, where its place is known
  /// With failure; and with `going`, as server, where it is certain already: not every client hears it out.
  std::optional<model::AuthenticationRefusal> refusal;
  /// With success, of a conversation that an AAA server has kept.
  std::shared_ptr<const model::Authorization> authorization = nullptr;
  /// As VerifyResult's; with success, as server.
  std::optional<std::int64_t> good_until = {};
};
/// Absent: there is no PPK for that connection.
struct PpkResult {
  std::optional<PpkKeys> keys;
  Bytes confirmation = {};  // prf(PPK, confirmed), where there was anything
};
/// The keys one after the other; empty: there was no solution within the effort.
struct PuzzleResult {
  Bytes solution;
};
/// With an address at least; or why there is none, in a sentence.
struct AddressResult {
  Result<model::Configuration, std::string> configuration;
};
using Completion = std::variant<SharedKeyMacResult, SignResult, VerifyResult, KeyExchangeResult, EapResult,
                                AddressResult, PpkResult, PuzzleResult>;

// ---------------------------------------------------------------- datagrams

/// One IKE message to send, from the local to the remote endpoint of the path. The non-ESP marker (RFC 3948 2.2) is not
/// included: who sends from the NAT-T port, or over TCP (RFC 9329 3.1), puts it in front.
struct Transmit {
  net::Path path;
  Bytes message;
};

/// Why a datagram was dropped without an answer or effect; each is counted.
enum class DatagramDrop : std::uint8_t {
  malformed,            // not a well-formed IKE message
  unsupported_version,  // answered with INVALID_MAJOR_VERSION where the RFC allows it
  unknown_ike_sa,       // no such SPI
  bad_integrity,        // the ICV was wrong
  old_message_id,       // outside the window
  unexpected,           // well-formed but not allowed now
  half_open_limit,      // too many half-open IKE SAs (cookie demanded or dropped)
  half_open_share,      // too many of them from this address or network
  unsolved_puzzle,      // the solution of its puzzle for IKE_AUTH is not there, or wrong (RFC 8019 7.2.4)
  no_connection,        // no configured connection for these addresses
  bad_fragment,         // its number or total cannot be (RFC 7383 2.6)
  unexpected_fragment,  // not agreed on
  repeated_fragment,    // it is there already, or its message is
  outdated_fragment,    // of fewer and larger ones, when smaller ones have come already
  oversized_message,    // more fragments, or more in them, than any message has
  incomplete_message,   // the rest of its fragments did not come in time
  bad_crash_token,      // it does not prove that the peer has forgotten the IKE SA (RFC 6290)
  bad_redirect,         // not of the gateway that was asked, or not to be followed (RFC 5685)
  bad_ticket,           // answered with TICKET_NACK: not ours, not good any more, or used before (RFC 5723)
  busy,                 // too much slow work is under way; the peer sends it again
  count_
};
[[nodiscard]] std::string_view name_of(DatagramDrop reason);

/// Where IKE gets inbound ESP SPIs from: the data plane chooses them, for their bits carry the slot.
class SpiAllocator {
 public:
  virtual ~SpiAllocator() = default;
  /// Nothing when no SPI is free. With `resource` one that leads the SA's packets to it (ChildSaParams::resource).
  [[nodiscard]] virtual std::optional<model::Spi> allocate(std::optional<std::uint32_t> resource) = 0;
  /// Gives back an SPI that never came into an installed SA.
  virtual void release(model::Spi spi) = 0;
  /// Which resource has an installed pair that is for all of them, by the data plane's own choice. Nothing when it is
  /// none's more than another's, or the pair is not installed.
  [[nodiscard]] virtual std::optional<std::uint32_t> resource_of(model::ChildSaId child) const = 0;
};

/// Limits and switches of the whole endpoint.
struct EndpointSettings {
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  /// Half-open IKE SAs as responder from which on cookies are demanded (RFC 7296 2.6), and the bound on all of them.
  std::size_t cookie_threshold = 64;
  std::size_t half_open_limit = 1024;
  /// Of these, once cookies are demanded, from one address, or one /64 of IPv6, and from one network, a /24 or a /56:
  /// who can be reached shall not keep all others out.
  std::size_t half_open_per_address = 128;
  std::size_t half_open_per_network = 256;
  /// Half-open IKE SAs from which on who begins IKE_SA_INIT is given a puzzle beside the cookie (RFC 8019), and how
  /// many zero bits that wants at first. Whoever has solved one gets another for IKE_AUTH while half-open IKE SAs get
  /// garbage; with a threshold of 0 always.
  std::size_t puzzle_threshold = 512;
  std::uint8_t puzzle_bits = 16;
  /// As initiator: puzzles are solved; only where that keeps nothing else waiting.
  bool solve_puzzles = true;
  Duration half_open_timeout = std::chrono::seconds(30);
  /// IKE SAs of one connection and peer; beyond them the oldest is deleted.
  std::size_t ike_sas_per_peer = 16;
  /// Child SAs of one IKE SA, made and wanted by either side: beyond them there are no more (RFC 7296 1.3). With those
  /// that are just being replaced or deleted it may be twice as many.
  std::size_t children_limit = 64;
  /// Requests for work that messages of peers brought about and that are not answered yet. Beyond them what would bring
  /// more is dropped, as if it was lost, and the peer sends it again.
  std::size_t work_limit = 512;
  /// How many resources, the data plane's workers, there are for Child SAs of their own (RFC 9611).
  std::uint32_t resources = 1;
  /// Retransmission of requests (RFC 7296 2.4): first wait, factor, number of sends in all (about 60 s with these).
  Duration retransmit_first = std::chrono::milliseconds(500);
  double retransmit_factor = 1.8;
  unsigned retransmit_tries = 8;
  bool export_keys = false;
};

/// What `culvert status` shows of the endpoint itself.
struct EndpointCounters {
  std::uint64_t datagrams_in = 0;
  std::uint64_t datagrams_out = 0;
  std::uint64_t retransmissions = 0;
  std::uint64_t half_open = 0;
  std::uint64_t cookies = 0;       // demanded
  std::uint64_t puzzles = 0;       // of these with a puzzle
  std::uint64_t solved = 0;        // puzzles, by who was then let in
  std::uint64_t auth_puzzles = 0;  // given for IKE_AUTH (RFC 8019 7.2)
  std::uint64_t auth_solved = 0;   // of these
  std::uint64_t tickets = 0;       // given to peers (RFC 5723)
  std::uint64_t resumed = 0;       // IKE SAs set up by a ticket, in either role
  std::array<std::uint64_t, static_cast<std::size_t>(DatagramDrop::count_)> dropped{};
};

/// The core itself. IkeEndpoint of ike/v2 implements it.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  /// One received IKE message (without non-ESP marker). Total: any bytes are allowed.
  virtual void handle_datagram(const net::Path& path, ByteView message, Instant now) = 0;
  virtual void handle_timeout(Instant now) = 0;
  virtual void handle_command(Command command, Instant now) = 0;
  virtual void handle_completion(RequestToken token, Completion completion, Instant now) = 0;
  /// The request waits for another host now, which may take its time: it counts no more against
  /// EndpointSettings::work_limit. Its answer is still to come.
  virtual void handle_wait(RequestToken token) = 0;

  [[nodiscard]] virtual std::optional<Event> poll_event() = 0;
  [[nodiscard]] virtual std::optional<Request> poll_request() = 0;
  [[nodiscard]] virtual std::optional<Transmit> poll_transmit() = 0;
  /// When handle_timeout wants to be called next; may change with every handle_* call.
  [[nodiscard]] virtual std::optional<Instant> poll_timeout() const = 0;
  [[nodiscard]] virtual EndpointCounters counters() const = 0;
};

}  // namespace culvert::ike
