// ControlPlane: where IKE and the data plane meet. It turns IKE's events into SAs and rules, the data plane's acquires
// and expiries into IKE commands, and keeps each tunnel at what its configuration and its user want. Pure: time comes
// in, requests go out.
//
// A turn: one handle_* or command call; inside it everything settles (events of IKE reach the data plane before any
// message leaves). Then the caller drains poll_request, poll_notice and poll_transmit and asks poll_timeout.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "base/boxed.hpp"
#include "base/chunked_set.hpp"
#include "base/id_map.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/small_set.hpp"
#include "base/time.hpp"
#include "base/timer_queue.hpp"
#include "config/config.hpp"
#include "config/diff.hpp"
#include "control/aaa_sessions.hpp"
#include "control/failure_records.hpp"
#include "control/leases.hpp"
#include "control/manual_sas.hpp"
#include "control/outputs.hpp"
#include "control/spd_list.hpp"
#include "control/stream_use.hpp"
#include "control/tunnel.hpp"
#include "control/view.hpp"
#include "ike/face.hpp"
#include "ipsec/data_plane.hpp"

namespace culvert::control {

struct ControlSettings {
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  bool export_keys = false;
  /// How many sequence numbers of a manual key are reserved at a time.
  std::uint64_t sequence_block = std::uint64_t{1} << 20;
  /// How many resources, its workers, the data plane has for SAs of their own (RFC 9611).
  std::uint32_t resources = 1;
};

class ControlPlane {
 public:
  /// All three must outlive the control plane. `ike` must have been made with the same ports and key export.
  ControlPlane(const ControlSettings& settings, ike::Endpoint& ike, ipsec::DataPlane& data_plane, RandomSource& random);

  // Commands.

  /// Makes `config` what runs. `diff` is from what ran before (everything `added` the first time): unchanged tunnels
  /// are left alone.
  void apply(const config::Config& config, const config::Diff& diff, Instant now);
  /// False when there is no tunnel of that name; so for the others.
  [[nodiscard]] bool up(std::string_view name, Instant now);
  [[nodiscard]] bool down(std::string_view name, Instant now);
  struct RekeyCount {
    std::size_t ike_sas = 0;
    std::size_t child_sas = 0;
  };
  /// Begins a rekey of all IKE SAs, or of all Child SAs, or of both; answers how many there are.
  [[nodiscard]] std::optional<RekeyCount> rekey(std::string_view name, bool ike_sas, bool child_sas, Instant now);
  /// Sends the peers of the tunnel that can follow to another gateway (RFC 5685); answers how many IKE SAs there are.
  [[nodiscard]] std::optional<std::size_t> redirect(std::string_view name, std::string_view gateway, Instant now);
  /// What was kept from the last run.
  void use_secrets(ike::UseSecrets secrets, Instant now);
  /// Manual SAs and rules that a command adds: they stand until a command removes them, an `apply` brings the same
  /// name, or the daemon ends. The error is a sentence; of the removals it is empty when there is no such name.
  [[nodiscard]] Result<void, std::string> add_manual(config::ManualConfig entry, Instant now);
  [[nodiscard]] Result<void, std::string> remove_manual(std::string_view name, Instant now);
  [[nodiscard]] Result<void, std::string> add_policy(config::PolicyRule rule, Instant now);
  [[nodiscard]] Result<void, std::string> remove_policy(std::string_view name, Instant now);
  /// What was written down of leases, to be told right after an `apply` that changed the pools.
  void restore_leases(std::span<const LeaseRecord> records);
  /// Ends the sessions of clients that an AAA server means, or changes what it allows them (RFC 5176); answers how many
  /// there are. The query names a session.
  [[nodiscard]] std::size_t end_sessions(const model::SessionQuery& query, Instant now);
  [[nodiscard]] std::size_t change_sessions(const model::SessionQuery& query, const model::SessionChange& change,
                                            Instant now);
  /// Deletes everything at the peers; afterwards only poll_transmit matters.
  void shutdown(Instant now);

  // Inputs.

  void handle_datagram(const net::Path& path, ByteView message, Instant now);
  void handle_timeout(Instant now);
  /// The data plane has events.
  void handle_data_plane(Instant now);
  /// Answers FindPath: the peer's address and the local one that reaches it (ports do not matter, but over TCP, where
  /// they name the stream), or a sentence why there is none.
  void handle_path(model::ConnectionId connection, std::uint64_t attempt, const Result<net::Path, std::string>& path,
                   Instant now);
  /// Answers FindPaths; ports do not matter.
  void handle_paths(model::IkeSaId ike_sa, std::vector<net::Path> paths, Instant now);
  /// Addresses, links or routes of the host changed. `addresses` are those that peers may use: not those of loopback,
  /// of links only, or of the TUN device. To be told at the start as well.
  void handle_network_change(std::vector<net::IpAddress> addresses, Instant now);
  void handle_stream(const StreamNews& news, Instant now);
  void handle_completion(ike::RequestToken token, ike::Completion completion, Instant now);
  /// The request's answer has to wait for another host (ike::Endpoint::handle_wait).
  void handle_wait(ike::RequestToken token) { ike_.handle_wait(token); }
  /// Answers ReserveSequence; the error is a sentence with the way out.
  void handle_reservation(model::ChildSaId child, const Result<SequenceReservation, std::string>& reservation,
                          Instant now);

  // Outputs.

  [[nodiscard]] std::optional<Request> poll_request();
  [[nodiscard]] std::optional<Notice> poll_notice();
  [[nodiscard]] std::optional<ike::Transmit> poll_transmit();
  [[nodiscard]] std::optional<Instant> poll_timeout() const;

  // Views.

  [[nodiscard]] std::vector<TunnelView> tunnels() const;
  [[nodiscard]] std::optional<TunnelView> tunnel(std::string_view name, const IkeSaRange& range = {}) const;
  [[nodiscard]] std::vector<ManualView> manual_sas() const { return manual_.views(); }
  /// By address, without the first `from`, and not more than `most`; also those that wait for their identity to come
  /// back.
  [[nodiscard]] std::vector<LeaseView> leases(std::uint64_t from, std::size_t most) const;
  /// The latest first.
  [[nodiscard]] std::vector<FailureRecord> failures() const { return failures_.views(); }
  /// All rules in the order in which they decide.
  [[nodiscard]] std::vector<SpdEntry> spd() const;
  /// Each tunnel's name and the connection id under which requests speak of it.
  [[nodiscard]] std::vector<std::pair<std::string, model::ConnectionId>> connection_ids() const;

 private:
  struct IkeSa {
    ike::IkeSaEstablished sa;
    Instant established;
    /// When traffic last came over one of several Child SAs with the same selectors.
    OptionalInstant traffic_at;
    SmallSet<model::ChildSaId> children;
    /// Streams for it, if it goes over TCP, are ours to open (RFC 9329 1.2).
    bool opened_stream = false;
    Boxed<net::Path> trial_stream;  // that it was told to try, and has not moved to
    Instant transport_since{};      // of it and those that it replaces
  };
  struct Child {
    model::ConnectionId connection;
    model::IkeSaId ike_sa;
    ChildSaFacts view;
    net::Path path;
    bool doubtful = false;  // nothing came back, and the peer was asked whether it lives
    bool tried = false;     // still nothing, and a new IKE SA was tried
    bool renewed = false;   // and then a new pair, or this is one: until something comes, no other
    bool for_wish = false;  // ike::ChildSaEstablished::for_wish
    /// RFC 9611: others with the same selectors may stand beside it, one for each worker.
    bool per_resource = false;
    /// Of a pair for single flows: when to look whether it was used since, and what it had carried by then.
    OptionalInstant idle_at;
    std::uint64_t packets = 0;
  };
  /// What of the IKE and Child SAs belongs to a connection, in the order of their making; no entry where nothing does.
  struct Standing {
    ChunkedSet<model::IkeSaId> ike_sas;
    ChunkedSet<model::ChildSaId> children;
  };

  // control_plane.cpp
  void add_tunnel(const config::TunnelConfig& tunnel, Instant now);
  void remove_tunnel(std::string_view name, Instant now);
  void change_tunnel(const config::TunnelConfig& tunnel, bool restarts, Instant now);
  void configure_ike(const Tunnel& tunnel, Instant now);
  void begin_due_attempts(Instant now);
  void send_keepalives(Instant now);
  void end_idle_children(Instant now);
  [[nodiscard]] std::uint64_t packets_of(model::ChildSaId child) const;
  void watch_use(Child& child, const model::ChildSaParams& params, Instant now);
  /// To the daemon; but what control does itself.
  template <typename T>
  void forward(T&& request) {
    if constexpr (!std::is_same_v<std::remove_cvref_t<T>, ike::AddressRequest>)
      requests_.emplace_back(std::forward<T>(request));
  }
  /// Lets everything that a call set off take effect.
  void settle(Instant now);
  [[nodiscard]] Tunnel* find(std::string_view name);
  [[nodiscard]] Tunnel* find(model::ConnectionId id);
  [[nodiscard]] TunnelView view_of(const Tunnel& tunnel, const IkeSaRange& range) const;
  [[nodiscard]] const Standing& standing(model::ConnectionId connection) const;
  /// Its own, and those of others that its Child SAs are in.
  [[nodiscard]] ChunkedSet<model::IkeSaId> ike_sas_used(model::ConnectionId connection) const;
  /// Which tunnels prove both ends alike (ConnectionConfig::credential_group), by name.
  void number_credentials(const config::Config& config);
  void tell_new_credentials(Instant now);
  void forget_when_empty(model::ConnectionId connection);
  /// Asks IKE for the Child SAs that packets wait for.
  void ask_for_children(Tunnel& tunnel, Instant now);
  [[nodiscard]] std::optional<ike::ChildWish> first_wish(const Tunnel& tunnel, Instant now) const;
  void refused(Tunnel& tunnel, ike::NegotiationFailed&& event, const std::string& text, Instant now);
  void notice(Notice::Level level, model::ConnectionId connection, std::string text);

  // control_resources.cpp
  /// How many Child SAs for single workers IKE shall allow.
  [[nodiscard]] std::uint32_t resource_sas_of(const Tunnel& tunnel) const;
  /// False when there is none for all of them to go on over, which is needed first.
  [[nodiscard]] bool ask_for_resource(const Tunnel& tunnel, const ipsec::Acquire& acquire, Instant now);
  void resource_refused(Tunnel& tunnel, ike::NegotiationFailed&& event, const std::string& text, Instant now);
  void resource_ended(const Child& child, ike::CloseReason reason, Instant now);
  /// Some for single workers stand beside this one.
  [[nodiscard]] bool has_beside(const Child& fallback) const;

  // control_streams.cpp
  [[nodiscard]] static FindPath path_wish(const Tunnel& tunnel, std::uint64_t attempt, bool over_tcp);
  /// For a new IKE SA beside those that stand, with the peer that they are with.
  [[nodiscard]] FindPath beside_wish(const Tunnel& tunnel, std::uint64_t attempt, bool over_tcp) const;
  [[nodiscard]] ike::Initiate initiation(const Tunnel& tunnel, net::Path path) const;
  /// TCP carries it for want of UDP, and the streams are ours to open.
  [[nodiscard]] bool waits_for_udp(const Tunnel& tunnel) const;
  /// True when the failure is no end: TCP has its turn, or what stands goes on.
  [[nodiscard]] bool fall_back(Tunnel& tunnel, const ike::NegotiationFailed& event);
  /// RFC 9329 6.1: a stream is one IKE SA's; a new one takes its own.
  void try_tcp_beside(const Tunnel& tunnel);
  /// The IKE SA that can move from one transport to the other; null without any.
  [[nodiscard]] IkeSa* movable(const Tunnel& tunnel);
  void begin_beside(const Tunnel& tunnel, bool anew, const Result<net::Path, std::string>& path, Instant now);
  void try_udp_again(Instant now);
  /// Whoever has it now tries UDP again, where we opened its stream.
  void plan_return(const IkeSa& sa, Instant now);
  void take_stream(IkeSa& sa, Instant now);
  void changed_transport(IkeSa& sa, Instant now);
  void give_up_trial(IkeSa& sa);
  void leave_stream(const net::Path& path);
  void retire_other_transport(const Child& made, Instant now);

  // control_manual.cpp
  void apply_manual(const config::Config& config, const config::Diff& diff, Instant now);
  void drop_command(const std::string& name, const std::string& place);
  [[nodiscard]] bool name_taken(std::string_view name) const;
  [[nodiscard]] std::vector<Guarded> guards() const;
  /// Rules to the data plane, routes to the host.
  void send_rules();
  void on(ipsec::SequenceGrantWanted&& event, Instant now);

  // control_addresses.cpp
  void apply_pools(const config::Config& config, const config::Diff& diff);
  [[nodiscard]] ike::AddressResult give_addresses(const ike::AddressRequest& request);
  void write_leases_down();
  void on(ike::ConfigurationReceived&& event, Instant now);
  /// The addresses that the peer gave us are ours no more.
  void give_back(Tunnel& tunnel);
  [[nodiscard]] static Guarded guard_of(const Tunnel& tunnel);
  [[nodiscard]] NameServerWish name_servers() const;

  // control_paths.cpp
  void on(ike::PathChanged&& event, Instant now);
  void on(ike::PathInDoubt&& event, Instant now);
  [[nodiscard]] bool is_ours(const net::IpAddress& address) const;
  void look_for_paths(const IkeSa& sa);
  void roam_over_tcp(const IkeSa& sa, const Tunnel& tunnel, const std::vector<net::Path>& paths);
  void start_anew(const IkeSa& sa, const std::vector<net::Path>& paths, Instant now);
  void plan_keepalive(const IkeSa& sa, Instant now);
  /// A Child SA belongs to this IKE SA now.
  void belongs(model::ChildSaId child, model::IkeSaId before, model::IkeSaId ike_sa);

  // control_sessions.cpp
  [[nodiscard]] AaaSessions::Meter session_meter() const;
  void begin_session(const ike::IkeSaEstablished& event, Instant now);
  /// Before the data plane forgets it.
  void count_in_session(const Child& child);
  void end_due_sessions(Instant now);
  void end_session(model::IkeSaId id, std::string_view why, Instant now);

  // control_events.cpp
  void install_failed(const Child& child, const std::string& problem, Instant now);
  /// Traffic came over it. That clears those of any doubt whose answers may come over it.
  void heard_from(Child& child, Instant now);
  void renew_silent(Child& child, Instant now);
  void on(ipsec::PathMtuChanged&& event, Instant now);
  void on(ipsec::EcnAnomaly&& event, Instant now);
  void on(ipsec::NatFlowShared&& event, Instant now);
  void on(ike::IkeSaEstablished&& event, Instant now);
  void on(ike::IkeSaPassedOn&& event, Instant now);
  void on(ike::IkeSaClosed&& event, Instant now);
  void on(ike::NegotiationFailed&& event, Instant now);
  void keep_record(const ike::NegotiationFailed& event, const Tunnel* tunnel, const std::string& hint, Instant now);
  void on(ike::ChildSaEstablished&& event, Instant now);
  void on(ike::ChildSaSkipSequence&& event, Instant now);
  void on(ike::ChildSaUseOutbound&& event, Instant now);
  void on(ike::ChildSaRemoved&& event, Instant now);
  void on(ike::AnswerOverdue&& event, Instant now);
  void on(ike::ChildSaMoved&& event, Instant now);
  void on(ike::Redirected&& event, Instant now);
  void follow_lead(const Tunnel& tunnel, std::uint64_t attempt, bool over_tcp);
  void on(ike::Progress&& event, Instant now);
  void on(ike::KeysExported&& event, Instant now);
  void on(ipsec::Acquire&& event, Instant now);
  void on(ipsec::SaExpired&& event, Instant now);
  void on(ipsec::SaRefused&& event, Instant now);
  void on(ipsec::InboundActivity&& event, Instant now);
  void on(ipsec::NothingComesBack&& event, Instant now);
  void on(ipsec::PeerMovedSeen&& event, Instant now);
  void on(ipsec::UnknownSpi&& event, Instant now);

  ControlSettings settings_;
  ike::Endpoint& ike_;
  ipsec::DataPlane& data_plane_;
  RandomSource& random_;
  TimerQueue<model::ConnectionId> attempts_;
  TimerQueue<model::IkeSaId> keepalives_;
  TimerQueue<model::ChildSaId> idles_;
  TimerQueue<model::ConnectionId> returns_;  // to UDP, where TCP is for want of it
  StreamUse streams_;
  std::unordered_map<std::string, model::ConnectionId> by_name_;
  std::unordered_map<std::string, std::uint32_t> credentials_;      // of each tunnel, its number
  std::map<model::ConnectionId, std::unique_ptr<Tunnel>> tunnels_;  // in the order of their first appearance
  std::uint32_t last_connection_ = 0;
  IdMap<model::IkeSaId, IkeSa> ike_sas_;
  IdMap<model::ChildSaId, Child> children_;
  std::unordered_map<model::ConnectionId, Standing> standing_;
  std::vector<net::IpAddress> own_addresses_;  // sorted
  std::deque<Request> requests_;
  std::deque<Notice> notices_;
  FailureRecords failures_;
  std::optional<NetworkWish> network_;
  ManualSas manual_;
  Leases leases_;
  AaaSessions sessions_;
  std::vector<config::PoolConfig> pools_;
  std::vector<config::PolicyRule> rules_;          // of the files
  std::vector<config::PolicyRule> command_rules_;  // in the order of the commands
};

}  // namespace culvert::control
