// The control protocol's vocabulary: plain structs, one per JSON object. json.hpp gives each its JSON form, with the
// member names as keys.
//
// Conventions: times of day are milliseconds since 1970-01-01 UTC; durations are whole seconds; SPIs are "0x" and hex
// digits; addresses, selectors and algorithms are the text that the rest of Culvert prints. A reader ignores members it
// does not know, and takes the default for one that is missing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::api {

/// The number in the path, "/v1/status". Raised only by a change that an older reader cannot live with.
inline constexpr unsigned kApiVersion = 1;

/// Why a request failed. `code` is for programs and decides the HTTP status.
enum class ErrorCode : std::uint8_t {
  bad_request,         // 400: malformed request
  no_such_tunnel,      // 404
  not_found,           // 404: no such path or SA
  method_not_allowed,  // 405
  conflict,            // 409: not possible in the present state
  too_large,           // 413
  config_invalid,      // 422: `problems` says what
  overloaded,          // 503: too many connections
  unreachable,         // never sent: a client's word for a daemon that does not answer
  internal             // 500
};

/// One thing wrong in the configuration: config::Problem as JSON.
struct Problem {
  std::string severity = "error";  // or "warning"
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  std::string field;
  std::string message;
  std::string hint;
  friend bool operator==(const Problem&, const Problem&) = default;
};

[[nodiscard]] std::string_view name_of(ErrorCode code);
[[nodiscard]] unsigned http_status(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // what went wrong, one sentence
  std::string hint;     // the way out; may be empty
  std::string field;    // the parameter or setting at fault; may be empty
  std::vector<Problem> problems;
  friend bool operator==(const Error&, const Error&) = default;
};

/// Traffic of one Child SA pair, inner packets.
struct Counters {
  std::uint64_t inbound_packets = 0;
  std::uint64_t inbound_bytes = 0;
  std::uint64_t outbound_packets = 0;
  std::uint64_t outbound_bytes = 0;
  std::uint64_t outbound_sequence = 0;
  std::uint64_t replay_drops = 0;
  std::uint64_t integrity_drops = 0;
  friend bool operator==(const Counters&, const Counters&) = default;
};

struct ChildSa {
  std::uint64_t id = 0;
  std::string spi_inbound;
  std::string spi_outbound;
  std::optional<std::uint32_t> resource = {};  // the worker that it is for; absent: for all
  std::string suite;                           // "aes128gcm16-esn"
  std::string mode;                            // "tunnel"
  std::string encapsulation;                   // "udp", "esp" or "tcp"
  std::string backend;                         // who computes the cipher: "Culvert AVX-512", "ipsec-mb 1.3.0"
  std::vector<std::string> local;              // traffic selectors after narrowing
  std::vector<std::string> remote;
  std::optional<std::string> security_label = {};  // printable; absent: none
  std::uint64_t age = 0;
  std::optional<std::uint64_t> rekey_in;
  std::optional<std::uint64_t> expires_in;
  Counters counters;
  friend bool operator==(const ChildSa&, const ChildSa&) = default;
};

struct IkeSa {
  std::uint64_t id = 0;
  std::string role;  // "initiator" or "responder"
  std::string spi_i;
  std::string spi_r;
  std::string local;  // "192.0.2.1:4500"
  std::string remote;
  std::string transport;            // "udp" or "tcp"
  std::uint64_t transport_age = 0;  // for how long, rekeys included
  std::string local_id;
  std::string remote_id;
  std::string suite;
  bool local_behind_nat = false;
  bool remote_behind_nat = false;
  bool mobike = false;        // the path can be moved (RFC 4555)
  bool resumed = false;       // set up by a ticket (RFC 5723)
  bool counter_sync = false;  // counters can be set after a failover (RFC 6311)
  std::string ppk;            // a PPK is in the keys: "intermediate" (RFC 9867) or "auth" (RFC 8784); else empty
  std::uint64_t age = 0;
  std::optional<std::uint64_t> rekey_in;
  std::string eap_identity;         // whom EAP has proved the initiator to be, printable; empty without EAP
  std::string group;                // of the tunnel's groups, the peer's; empty: none
  std::vector<std::string> leased;  // the inner addresses that the peer has of our pools
  std::string of_tunnel;            // the tunnel that it is of, where this one is its guest; else empty
  std::vector<ChildSa> children;
  friend bool operator==(const IkeSa&, const IkeSa&) = default;
};

/// down: not wanted up. waiting: comes up with the first packet or the peer's first message. connecting: an attempt is
/// under way. up: at least one Child SA carries traffic. retrying: the last attempt failed, the next is planned.
/// closing: DELETE is under way.
enum class TunnelState : std::uint8_t { down, waiting, connecting, up, retrying, closing };
[[nodiscard]] std::string_view name_of(TunnelState state);

/// What was wrong with a peer's certificate or signature. `subject` and `serial` are empty when there was none.
struct Refusal {
  std::string subject;
  std::string serial;
  std::string check;  // a word: "expired", "issuer", "revoked", "identity", "signature" ...
  std::string found;
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

/// Why an attempt failed, as the daemon's diagnosis.
struct Failure {
  std::uint64_t attempt = 0;  // TunnelStatus::attempts at the time
  std::int64_t time = 0;
  std::string kind;  // ike::FailureKind by name, or a word of the daemon's own ("dns", "config")
  std::string message;
  std::string hint;
  std::optional<Refusal> refusal = std::nullopt;
  friend bool operator==(const Failure&, const Failure&) = default;
};

/// What the peer gave a tunnel with address = "request".
struct Given {
  std::vector<std::string> addresses;
  std::vector<std::string> dns_servers;
  std::vector<std::string> encrypted_dns;  // RFC 9464: "10.1.0.54:853#dns.example.org dot", with what it speaks
  std::vector<std::string> domains;        // that these are for; empty: for all
  std::vector<std::string> subnets;
  friend bool operator==(const Given&, const Given&) = default;
};

struct TunnelStatus {
  std::string name;
  TunnelState state = TunnelState::down;
  std::string start;  // "auto", "on-demand", "manual"
  std::string peer;   // as configured
  std::vector<std::string> local;
  std::vector<std::string> remote;
  std::string place;  // "office.toml:3"
  /// The last step of the attempt under way, for a person: "sent IKE_SA_INIT request"; may be empty.
  std::string progress;
  /// Attempts begun so far, by us or the peer. `up` answers with the number of the attempt it began or joined: when
  /// `last_failure` has that number or a higher one, that attempt failed.
  std::uint64_t attempts = 0;
  std::optional<Failure> last_failure;
  std::optional<std::uint64_t> retry_in;
  Given given;
  std::vector<IkeSa> ike_sas;
  /// Where one tunnel is the answer: it has more IKE SAs, behind the one of this id.
  std::optional<std::uint64_t> next = {};
  friend bool operator==(const TunnelStatus&, const TunnelStatus&) = default;
};

/// GET /v1/leases[?from=N]: who has, or had last, which address of a pool.
struct Lease {
  std::string address;
  std::string identity;
  std::string pool;
  std::uint64_t sessions = 0;  // IKE SAs that use it; 0: it waits for its identity
  friend bool operator==(const Lease&, const Lease&) = default;
};
struct LeaseList {
  std::vector<Lease> leases;
  std::optional<std::uint64_t> next = {};  // there are more, from this one on, counted from 0
  friend bool operator==(const LeaseList&, const LeaseList&) = default;
};

/// GET /v1/failures: what went wrong with peers lately, one entry for all that went wrong alike; the latest first.
struct PeerFailure {
  std::int64_t time = 0;   // of the last, milliseconds since 1970
  std::int64_t since = 0;  // of the first
  std::uint64_t times = 0;
  std::string tunnel;  // empty: none could be told
  std::string peer;    // its address
  /// Who the peer said it is, or who was expected; not proved. Empty: nobody was named.
  std::string identity;
  std::string began;  // who did: "we" or "peer"
  std::string what;   // "IKE SA", or "Child SA" while the IKE SA stands
  std::string kind;   // ike::FailureKind by name
  std::string message;
  std::string hint;
  std::optional<Refusal> refusal = std::nullopt;
  friend bool operator==(const PeerFailure&, const PeerFailure&) = default;
};
struct FailureList {
  std::vector<PeerFailure> failures;
  friend bool operator==(const FailureList&, const FailureList&) = default;
};

/// One manual SA pair, never with its keys. States: waiting (for its SPI or sequence numbers), up, refused (its
/// sequence numbers cannot be written down), ended (new keys are needed).
struct ManualSa {
  std::string name;
  std::string state;
  std::string reason;    // why it is not up; may be empty
  std::string place;     // "lab.toml:3", or "command"
  std::string protocol;  // "esp" or "ah"
  std::string local_address;
  std::string peer;
  bool policy = true;  // it has a rule of its own
  std::uint32_t replay_window = 0;
  std::optional<std::uint16_t> cpi_in;
  std::optional<std::uint16_t> cpi_out;
  std::uint64_t sequence_granted = 0;  // the last number that is reserved for it; 0: no ledger
  ChildSa sa;
  friend bool operator==(const ManualSa&, const ManualSa&) = default;
};
/// GET /v1/sas
struct ManualSaList {
  std::vector<ManualSa> sas;
  friend bool operator==(const ManualSaList&, const ManualSaList&) = default;
};

/// POST /v1/sas with the settings of [manual.NAME], POST /v1/policies with those of [[policy]]. A value is what stands
/// behind the "=" in a file, text without its quotes; lists may be written with commas. Keys are "0x" and hexadecimal
/// digits.
struct Setting {
  std::string name;
  std::string value;
  friend bool operator==(const Setting&, const Setting&) = default;
};
struct AddRequest {
  std::string name;
  std::vector<Setting> settings;
  friend bool operator==(const AddRequest&, const AddRequest&) = default;
};
/// POST /v1/sas/NAME/delete, /v1/policies/NAME/delete
struct Removed {
  std::string name;
  friend bool operator==(const Removed&, const Removed&) = default;
};

/// One rule of the SPD.
struct PolicyEntry {
  std::uint64_t position = 0;  // from 1; the first that matches decides
  std::string name;
  std::string action;     // "protect", "bypass", "discard"
  std::string direction;  // "both", "out", "in"
  std::vector<std::string> local;
  std::vector<std::string> remote;
  std::vector<std::string> populate;
  std::vector<std::string> security_labels;  // of the tunnel that it is of (RFC 9478), printable
  std::string sa;                            // protect: the tunnel or manual SA that serves it
  std::string state;                         // of that one; empty when there is none
  std::string origin;                        // "rule", "command", "tunnel", "manual"
  std::string place;
  friend bool operator==(const PolicyEntry&, const PolicyEntry&) = default;
};
/// GET /v1/policies
struct PolicyList {
  std::vector<PolicyEntry> policies;
  friend bool operator==(const PolicyList&, const PolicyList&) = default;
};

/// An interface that `xdp` names.
struct XdpInterface {
  std::string interface;
  bool in_use = false;
  std::string text;  // whether the kernel copies the frames; or why it is not in use
  friend bool operator==(const XdpInterface&, const XdpInterface&) = default;
};

/// What packets run on: what of the kernel's offloads is there, and in use.
struct DataPath {
  std::string tun_offload;  // super-packets from and to TUN: none, checksum, tcp, tcp+udp
  /// Octets of the longest super-packet of TCP over IPv4 to TUN. More than 65,535 where the kernel takes them and the
  /// host forwards nothing that comes from there. 0: there are none.
  std::uint64_t longest_tcp = 0;
  bool udp_segmentation = false;     // UDP_SEGMENT: many packets of ESP in UDP leave in one call
  bool udp_receive_offload = false;  // UDP_GRO: many come in one
  bool raw_esp = false;              // IP protocols 50 and 51 besides UDP
  bool ipv6 = false;
  std::string io_engine;  // how the workers wait and move packets
  std::uint64_t workers = 0;
  std::vector<XdpInterface> xdp;
  friend bool operator==(const DataPath&, const DataPath&) = default;
};

struct DaemonStatus {
  std::string version;
  std::uint64_t pid = 0;
  std::uint64_t uptime = 0;
  std::string config;  // the path given with --config
  std::string tun;
  std::uint16_t ike_port = 0;
  std::uint16_t nat_port = 0;
  std::string export_keys;  // the folder; empty: off
  DataPath data_path;
  friend bool operator==(const DaemonStatus&, const DaemonStatus&) = default;
};

/// Where a list of tunnels and their IKE SAs goes on when it is longer than one answer: at which tunnel, in the order
/// of the configuration, and behind which of its IKE SAs.
struct StatusPlace {
  std::uint64_t tunnel = 0;
  std::uint64_t ike_sa = 0;  // 0: at its beginning
  friend bool operator==(const StatusPlace&, const StatusPlace&) = default;
};

/// GET /v1/status[?tunnel=NAME][&from=N][&from_sa=ID]
struct Status {
  DaemonStatus daemon;
  std::vector<TunnelStatus> tunnels;
  std::vector<ManualSa> manual;
  std::map<std::string, std::uint64_t> ike_counters;  // datagrams_in, datagrams_out, retransmissions, repeated,
                                                      // half_open, cookies, puzzles, puzzles_solved, auth_puzzles,
                                                      // auth_puzzles_solved, tickets_given, resumed
  std::map<std::string, std::uint64_t> ike_drops;     // by reason, without zeros
  std::map<std::string, std::uint64_t> ike_refusals;  // by reason, without zeros
  std::map<std::string, std::uint64_t> packet_drops;  // by reason, without zeros
  /// There are more tunnels, or IKE SAs of the last one here: ask for those from this place on. Answers that begin
  /// elsewhere than at the beginning hold those only.
  std::optional<StatusPlace> next;
  friend bool operator==(const Status&, const Status&) = default;
};

/// GET /v1/tunnels[?from=N]
struct TunnelSummary {
  std::string name;
  TunnelState state = TunnelState::down;
  std::string start;
  std::string peer;
  std::vector<std::string> local;
  std::vector<std::string> remote;
  std::string place;
  friend bool operator==(const TunnelSummary&, const TunnelSummary&) = default;
};
struct TunnelList {
  std::vector<TunnelSummary> tunnels;
  std::optional<StatusPlace> next;  // as Status::next
  friend bool operator==(const TunnelList&, const TunnelList&) = default;
};

/// POST /v1/tunnels/NAME/rekey {"what": "ike" | "child" | "all"}
enum class RekeyWhat : std::uint8_t { ike, child, all };
[[nodiscard]] std::string_view name_of(RekeyWhat what);
struct RekeyRequest {
  RekeyWhat what = RekeyWhat::child;
  friend bool operator==(const RekeyRequest&, const RekeyRequest&) = default;
};
/// How many rekeys were begun.
struct RekeyResult {
  std::uint64_t ike_sas = 0;
  std::uint64_t child_sas = 0;
  friend bool operator==(const RekeyResult&, const RekeyResult&) = default;
};

/// POST /v1/tunnels/NAME/redirect {"gateway": ADDRESS | NAME}
struct RedirectRequest {
  std::string gateway;
  friend bool operator==(const RedirectRequest&, const RedirectRequest&) = default;
};
/// How many IKE SAs there are; those peers go that have begun one and can follow.
struct RedirectResult {
  std::uint64_t ike_sas = 0;
  friend bool operator==(const RedirectResult&, const RedirectResult&) = default;
};

/// POST /v1/apply {"dry_run": true}
struct ApplyRequest {
  bool dry_run = false;
  friend bool operator==(const ApplyRequest&, const ApplyRequest&) = default;
};
struct TunnelChange {
  std::string name;
  std::vector<std::string> changes;  // "peer: 192.0.2.1 -> 192.0.2.9"
  bool restarts = true;
  friend bool operator==(const TunnelChange&, const TunnelChange&) = default;
};
struct ApplyResult {
  bool applied = false;
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<TunnelChange> changed;
  std::vector<std::string> unchanged;
  std::vector<std::string> manual_added;
  std::vector<std::string> manual_removed;
  std::vector<TunnelChange> manual_changed;
  std::vector<std::string> manual_unchanged;
  bool policies_changed = false;
  bool pools_changed = false;
  bool radius_changed = false;
  std::vector<std::string> daemon;  // changes of [daemon]
  bool daemon_restart_needed = false;
  std::vector<Problem> warnings;
  friend bool operator==(const ApplyResult&, const ApplyResult&) = default;
};

/// What `culvert check --json` prints; never asked of the daemon.
struct CheckResult {
  bool ok = false;
  std::vector<std::string> files;
  std::vector<std::string> tunnels;
  std::vector<Problem> problems;
  friend bool operator==(const CheckResult&, const CheckResult&) = default;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };
[[nodiscard]] std::string_view name_of(LogLevel level);

struct LogEntry {
  std::uint64_t sequence = 0;  // counts from 1, without gaps
  std::int64_t time = 0;
  LogLevel level = LogLevel::info;
  std::string tunnel;  // empty: the daemon as a whole
  std::string text;
  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};
/// GET /v1/log?after=SEQUENCE&limit=N&tunnel=NAME&wait=SECONDS. Without `after`: the newest `limit` entries. With
/// `wait` the answer comes when there is an entry or the time is over.
struct LogPage {
  std::vector<LogEntry> entries;
  std::uint64_t next = 0;  // to be given as `after` next time
  std::uint64_t lost = 0;  // entries after `after` that the ring no longer had
  friend bool operator==(const LogPage&, const LogPage&) = default;
};

}  // namespace culvert::api
