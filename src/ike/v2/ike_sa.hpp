// IkeSa: the state of one IKE SA, from the first IKE_SA_INIT to the last retransmitted answer. A plain record; what
// happens to it stands in messages, children, tasks, timers, closing and in the exchanges.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/boxed.hpp"
#include "base/bytes.hpp"
#include "base/list_map.hpp"
#include "base/optional_id.hpp"
#include "base/rare_vector.hpp"
#include "base/time.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/prf.hpp"
#include "ike/admission.hpp"
#include "ike/face.hpp"
#include "ike/v2/child_sa.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/exchange_window.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/mobility.hpp"
#include "ike/v2/rate_limiter.hpp"
#include "ike/v2/reassembly.hpp"
#include "ike/v2/task.hpp"
#include "model/authentication.hpp"
#include "model/identity.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

struct AuthPuzzle;   // auth_puzzle.hpp
struct CounterSync;  // counter_sync.hpp
struct FollowUp;     // follow_up.hpp
struct HeldRequest;  // parallel.hpp
struct LifeState;    // life_state.hpp
struct Resumption;   // resumption.hpp

/// Connections that have Child SAs in the IKE SA of another, or did; see shared_ike_sa.hpp.
struct WaitingGuest {
  model::ConnectionId connection;
  std::optional<ChildWish> wish;
};
struct Guests {
  std::vector<model::ConnectionId> all;
  std::vector<model::ConnectionId> refused;  // by the peer
  std::vector<WaitingGuest> waiting;         // for their first Child SA, or to hear that there is none
};

enum class Phase : std::uint8_t {
  initiating,      // initiator: IKE_SA_INIT request sent
  authenticating,  // initiator: IKE_AUTH begun
  half_open,       // responder: IKE_SA_INIT answered, the peer has proved nothing yet
  established,
  candidate,  // made by a rekey of the peer's whose fate a rekey of our own leaves open (RFC 7296 2.8.2)
  rekeyed,    // a successor took over; only its DELETE is still to come
  closing,    // gone for everyone but the peer: our DELETE, or a farewell, is on its way
  defunct,    // only answers retransmissions
  gone        // to be swept at the end of the turn
};

/// What both sides said in the exchange that made the keys, kept until AUTH is done (RFC 7296 2.15).
struct InitTranscript {
  Bytes request;
  Bytes response;
  Bytes nonce_i;
  Bytes nonce_r;
  model::SignatureHashes peer_hashes;  // that the peer verifies signatures over (RFC 7427 4)
  model::ProofWishes wishes = {};      // what it asks for in our proof
};

/// The inner addresses that the gateway gave the client (RFC 7296 2.19): to us, or to the peer by us.
struct GivenAddresses {
  bool ours = false;
  std::vector<net::IpAddress> addresses;
};

/// The keys before the last additional key exchange, for messages that come again (RFC 9242 3.3.1).
struct EarlierKeys {
  model::MessageId id;  // of the exchange that they protected
  SkKeys keys;
  std::uint64_t next_iv = 0;
};

/// What has gone over IKE_INTERMEDIATE so far (RFC 9242 3.3.2, RFC 9370 2.2.2).
struct IntermediateState {
  unsigned exchanges = 0;  // all of them
  unsigned done = 0;       // additional key exchanges
  SecretBytes int_auth_i;  // empty before the first
  SecretBytes int_auth_r;
};

/// Both sides have USE_PPK in IKE_SA_INIT (RFC 8784 3), or USE_PPK_INT (RFC 9867 3.1): what has become of it.
struct PpkState {
  bool intermediate = false;  // it goes into IKE_INTERMEDIATE
  bool draft = false;         // by the draft's numbers
  bool settled = false;       // there: used, or left out
  bool in_use = false;        // the keys are with it
  PpkKeys without;            // in IKE_AUTH: SK_d', SK_pi', SK_pr'
  Bytes auth_without;         // there, as initiator: for NO_PPK_AUTH
  // In IKE_INTERMEDIATE, as responder: what is in use.
  std::optional<model::ConnectionId> connection;  // whose it is
  Bytes identity;
  Bytes confirmation;
};

/// An IKE_SA_INIT request as its retransmissions are told by (RFC 7296 2.1): the front of its SHA-256. All zero: none.
using InitDigest = std::array<std::uint8_t, 16>;

struct IkeSa;
/// The neighbours of an IKE SA among those that it has something in common with; see IkeSaTable.
struct Links {
  IkeSa* before = nullptr;
  IkeSa* behind = nullptr;
};

struct IkeSa {
  IkeSa();
  ~IkeSa();
  IkeSa(const IkeSa&) = delete;
  IkeSa& operator=(const IkeSa&) = delete;

  model::IkeSaId id;
  Phase phase = Phase::initiating;
  model::Role role = model::Role::initiator;  // original initiator or responder of this IKE SA
  model::IkeSpi spi_i;
  model::IkeSpi spi_r;
  net::Path path;
  /// As half-open responder only a guess from the addresses, settled by IKE_AUTH.
  std::optional<model::ConnectionId> connection;
  Boxed<Guests> guests;
  model::Identity local_id;
  model::Identity remote_id;
  Admission admission;
  bool eap_under_way = false;  // a conversation is kept for us outside
  /// The connection serves many peers: those of this one are told by identity.
  bool one_of_many = false;
  GivenAddresses inner;

  bool nat_traversal = false;  // the peer sent NAT_DETECTION notifications
  bool local_behind_nat = false;
  bool remote_behind_nat = false;             // or forces UDP encapsulation by pretending so
  bool mobike = false;                        // agreed on (RFC 4555)
  bool resumed = false;                       // set up by a ticket (RFC 5723)
  bool message_id_sync = false;               // both ends know of it (RFC 6311 5)
  bool replay_counter_sync = false;           // likewise
  std::uint32_t sync_beyond = 0;              // the peer's new member begins with this number at the least; 0: with any
  std::unique_ptr<CounterSync> counter_sync;  // as a member that has taken over, until the peer has answered
  PpkUse ppk_use = PpkUse::none;              // in this IKE SA, or the one that it continues
  Boxed<Mobility> mobility;

  model::IkeSuite suite;
  crypto::Prf prf = crypto::HashId::sha2_256;
  SkKeys keys;
  bool keyed = false;         // the keys are there and good for messages
  std::uint64_t next_iv = 0;  // counter of our messages under sk_e: never twice
  // Until AUTH is done.
  Boxed<IntermediateState> intermediate;
  Boxed<PpkState> ppk;
  Boxed<EarlierKeys> earlier_keys;
  Boxed<InitTranscript> init;
  std::unique_ptr<Resumption> resumption;  // what the ticket says
  std::unique_ptr<AuthPuzzle> auth_puzzle;
  bool unopened = false;     // responder, half-open: something came that is not sealed with its keys
  InitDigest init_digest{};  // responder: under which the IKE_SA_INIT request is remembered

  Fragmentation fragmentation;
  ExchangeWindow window;
  std::unique_ptr<InitiatorExchange> exchange;   // our request under way
  std::unique_ptr<ResponderExchange> responder;  // the peer's request that waits for a completion
  /// Within windows of more than one (parallel.hpp): our further requests under way; and those of the peer that came
  /// while `responder` waits.
  RareVector<std::unique_ptr<InitiatorExchange>> beside;
  RareVector<std::unique_ptr<HeldRequest>> held;
  bool window_told = false;
  RareVector<QueuedTask> tasks;
  /// SAs that the peer asked for and that additional key exchanges are awaited for (RFC 9370 2.2.4).
  RareVector<std::unique_ptr<FollowUp>> follow_ups;

  ListMap<model::ChildSaId, ChildSa> children;
  /// The rekeyed successor, once it took over; or the peer's candidate while our own rekey is under way.
  OptionalId<model::IkeSaId> successor;
  OptionalId<model::IkeSaId> candidate;
  OptionalId<model::IkeSaId> predecessor;  // whose rekey made this one

  bool authenticated = false;  // the peer proved its identity, here or in a predecessor
  bool heard = false;          // an authentic message of the peer came on this IKE SA
  bool announced = false;      // IkeSaEstablished was emitted, IkeSaClosed not yet
  bool token_sent = false;     // the peer has our crash token (RFC 6290)
  /// The user wants it gone although it is not established yet.
  bool terminating = false;
  /// Begun beside one on which the peer owes an answer, to take its place.
  bool replaces_doubtful = false;
  /// As initiator: what its first Child SA is wanted for.
  Boxed<ChildWish> wish;
  /// Tokens, redirection, authentication that runs out: null where there is nothing of that.
  std::unique_ptr<LifeState> life;

  Instant begun_at;                     // our first IKE_SA_INIT, or the arrival of the peer's
  std::uint64_t begun_order = 0;        // the same as a number that never repeats; see duplicates
  std::uint64_t established_order = 0;  // 0 before; kept through rekeys of the IKE SA
  /// Who set up the first IKE SA of the line that this one continues, and with which SPI; set when it is established.
  model::Role origin_role = model::Role::initiator;
  model::IkeSpi origin_spi_i;
  /// The rival of a simultaneous set-up that stays, when this one is the one to go.
  OptionalId<model::IkeSaId> yields_to;
  Instant last_inbound;  // the last proof that the peer lives
  OptionalInstant rekey_at;
  OptionalInstant expire_at;
  /// In phases that wait for the other side only: when to give up.
  OptionalInstant phase_deadline;
  /// When outbound traffic moves to the pairs still held, at the latest.
  OptionalInstant release_at;
  /// When the peer must have deleted its half of a pair that both sides made at once.
  OptionalInstant twins_at;
  FixedRateLimiter<1, 10'000> hints;
  /// Responses that go again to another address than that of the path, and are longer than what came from there.
  FixedRateLimiter<8, 1000> repeats_elsewhere;
  /// CREATE_CHILD_SA requests of the peer; goes over to the successor. Far above what lifetimes of seconds need.
  FixedRateLimiter<256, 100> creations;
  // Its places in the table.
  OptionalInstant scheduled;
  OptionalInstant timer;  // the entry that stands for it in the queue of timers, at `scheduled` or before
  std::optional<model::ConnectionId> noted_connection;
  std::optional<net::IpAddress> noted_peer;
  bool noted_identity = false;
  Links of_connection, of_peer, of_identity;

  /// Additional key exchanges that are done, before AUTH (RFC 9370 2.2.2).
  [[nodiscard]] unsigned additional_done() const { return intermediate ? intermediate->done : 0; }
  [[nodiscard]] model::IkeSpi local_spi() const { return role == model::Role::initiator ? spi_i : spi_r; }
  [[nodiscard]] model::Role peer_role() const {
    return role == model::Role::initiator ? model::Role::responder : model::Role::initiator;
  }
  /// What our request under way is about; nothing while the peer cannot know of it yet.
  [[nodiscard]] std::optional<Activity> activity() const;
  /// The same, also of one that is about to be sent.
  [[nodiscard]] std::optional<Activity> intent() const;
  /// Our exchange, also one that is about to be sent, that rekeys or deletes the pair.
  [[nodiscard]] InitiatorExchange* exchange_about(model::ChildSaId child) const;
  /// No request of ours is under way, or about to be.
  [[nodiscard]] bool is_quiet() const { return !exchange && beside.empty(); }
  /// Our exchanges under way, in no order.
  [[nodiscard]] std::vector<InitiatorExchange*> exchanges() const;
  [[nodiscard]] ChildSa* find_child(model::ChildSaId child);
  /// By the SPI that the peer expects in its inbound packets, which is our outbound one, as DELETE and REKEY_SA name
  /// it.
  [[nodiscard]] ChildSa* find_child_by_peer_spi(model::Spi spi);
  [[nodiscard]] bool has_task(std::size_t variant_index) const;
};

/// Whom sessions and leases are counted by: the user that EAP has proved, else the identity that IKE has. A user's name
/// is written like any other identity ("carol", "carol@example.net"); one that could be taken for another is a KEY_ID.
[[nodiscard]] model::Identity peer_identity(const IkeSa& sa);
/// The same in print, for reports; empty as long as nobody was named.
[[nodiscard]] std::string named_peer(const IkeSa& sa);

}  // namespace culvert::ike::v2
