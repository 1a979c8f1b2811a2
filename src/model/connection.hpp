// ConnectionConfig: one configured tunnel as all layers see it: who the peer is (RFC 4301's PAD entry), what to offer,
// what to protect. Secrets and private keys are deliberately not in it; they stay with whoever computes AUTH.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "model/auth_round.hpp"
#include "model/authentication.hpp"
#include "model/child_sa.hpp"
#include "model/eap.hpp"
#include "model/group_policy.hpp"
#include "model/identity.hpp"
#include "model/ppk.hpp"
#include "model/proposal.hpp"
#include "model/sa_life.hpp"
#include "model/security_label.hpp"
#include "model/traffic_selector.hpp"
#include "net/address.hpp"

namespace culvert::model {

/// Where a setting was written; for error messages.
struct SourcePlace {
  std::string file;
  unsigned line = 0;
  [[nodiscard]] std::string to_string() const;  // "alice.toml:12"
};

/// When a tunnel comes up: at once and again whenever it is lost; with the first packet; only by `culvert up`.
enum class StartMode : std::uint8_t { automatic, on_demand, manual };

/// How ESP shall travel: udp always when the peer takes it (the default), esp = protocol 50 unless there is a NAT.
enum class EncapsulationPolicy : std::uint8_t { udp, esp };

/// Whether IKE messages go in fragments of their own where they are too large for a datagram (RFC 7383): with peers
/// that know it, never, or a peer that does not know it is refused.
enum class IkeFragmentation : std::uint8_t { offered, off, required };
/// Octets of the IP datagrams that such fragments make, at the least.
inline constexpr std::uint16_t kLeastIkeFragmentSize = 296;

/// An address of this host inside the tunnel, with the length of its network: "10.1.0.1/16".
struct InnerAddress {
  net::IpAddress address;
  std::uint8_t prefix_length = 0;
  friend auto operator<=>(const InnerAddress&, const InnerAddress&) = default;
};

/// Whether IKE and ESP go over TCP, as initiator (RFC 9329): not at all, where nothing comes back over UDP, or from the
/// beginning.
enum class TcpPolicy : std::uint8_t { never, fallback, always };

struct ConnectionConfig {
  ConnectionId id;
  std::string name;
  SourcePlace place;

  /// The peer's address, or nothing: any peer that authenticates as `remote_id` (responder only). `peer_name` is what
  /// the user wrote.
  std::string peer_name;
  std::optional<net::IpAddress> peer;
  /// Further places where the peer may be, addresses or names, for when it does not answer there: in this order, or
  /// any of all by chance.
  std::vector<std::string> further_peers;
  bool random_peer = false;
  std::optional<net::IpAddress> local_address;
  std::uint16_t peer_port = 500;
  /// With another connection of the same peer, that asks for the same proofs, in one IKE SA: as initiator where all
  /// that makes the IKE SA is the same, as responder where the peer wants it.
  bool share_ike_sa = true;
  /// Connections with the same number, other than 0, prove both ends with the same secrets or certificates.
  std::uint32_t credential_group = 0;
  std::optional<Identity> local_id;   // default: the local address of the path
  std::optional<Identity> remote_id;  // default: the peer's address
  /// Instead of `remote_id`, as responder: all peers whose identity is like this, each with SAs of its own.
  std::optional<IdentityPattern> remote_pattern;

  /// As responder: where the peer's inner address comes from (RFC 7296 2.19), by name and in the order of preference.
  /// Not empty: `remote` is all that the pools have, and each peer's Child SAs are narrowed to what it was given.
  std::vector<std::string> pools;
  /// IKE SAs that one identity may have at a time, 0: no bound of the connection's own. One more takes the place of the
  /// oldest, or is refused.
  std::size_t sessions = 0;
  bool refuse_more_sessions = false;
  /// As responder: what of this is different for whom.
  std::vector<GroupPolicy> groups;
  /// As initiator: families of which an inner address is asked for; `local` is then everything of them.
  std::vector<net::Family> request_addresses;

  /// How we prove who we are.
  Authentication authentication = Authentication::shared_key;
  /// How the peer does, where that is not how we do.
  std::optional<Authentication> peer_authentication;
  [[nodiscard]] Authentication expected() const { return peer_authentication.value_or(authentication); }
  [[nodiscard]] bool uses(Authentication one) const { return authentication == one || expected() == one; }
  /// The initiator proves itself by EAP (RFC 7296 2.16); `authentication` is the responder's alone then.
  std::optional<EapSettings> eap;
  /// RFC 4739: the rounds of each side behind its first, which the fields above are about; but where a later round is
  /// EAP, the first is not.
  std::vector<AuthRound> own_rounds;
  std::vector<AuthRound> peer_rounds;
  /// With certificates: the digests by which CERTREQ names the authorities that are believed, 20 octets each, one after
  /// the other (RFC 7296 3.7).
  Bytes authorities;
  /// The peer's certificates may come as hash and URL (RFC 7296 3.6), for somebody is there to fetch them.
  bool certificates_by_url = false;
  /// OCSP responses are wanted with the peer's certificates (RFC 4806).
  bool ask_ocsp = false;
  /// With signatures: the peer's key is known beforehand, no certificate is needed (RFC 7670).
  bool peer_by_key = false;
  /// Signatures over SHA-1, by and for a peer that does not know RFC 7427 and has an RSA key.
  bool sha1_signatures = false;

  /// Beside the key exchange (RFC 8784).
  std::optional<Ppk> ppk;

  std::vector<Proposal> ike_proposals;
  std::vector<Proposal> esp_proposals;
  TrafficSelectors local;
  TrafficSelectors remote;
  /// Each Child SA is for one of these labels (RFC 9478), the best first; none: for traffic without a label.
  std::vector<SecurityLabel> security_labels;
  /// Inner addresses of this host to be put on the TUN device while the daemon runs.
  std::vector<InnerAddress> addresses;
  Mode mode = Mode::tunnel;
  /// Requests of the peer that may be under way on one IKE SA at a time, as it is told (RFC 7296 2.3); and the most of
  /// ours, where it grants as many. 1: nothing is said.
  std::uint32_t ike_window = 1;
  /// Where the peer is a cluster, the member that takes over may set message ids and sequence numbers (RFC 6311).
  bool counter_sync = true;
  EncapsulationPolicy encapsulation = EncapsulationPolicy::udp;
  TcpPolicy tcp = TcpPolicy::never;
  std::uint16_t tcp_port = 4500;  // of the peer
  IkeFragmentation ike_fragmentation = IkeFragmentation::offered;
  /// Octets of the largest IP datagram to begin with; smaller ones follow when nothing is heard.
  std::uint16_t ike_fragment_size = 1280;
  /// SAs move to other addresses with the hosts (RFC 4555), where the peer knows it and the mode is tunnel.
  bool mobike = true;
  PacketTreatment treatment;
  StartMode start = StartMode::automatic;

  /// How its IKE SAs begin, are proved anew, move and come back.
  SaLife life;
  Duration ike_lifetime = std::chrono::hours(4);
  Lifetime child_lifetime{.time = std::chrono::hours(1)};  // hard; the soft bound is `rekey_margin` before
  double rekey_margin =
      0.1;  // rekey at (1 - margin - jitter) of each bound; jitter below margin/2, so that two sides seldom collide
  Duration child_idle =
      std::chrono::minutes(10);  // without traffic, after which a Child SA for single flows ends; 0 = never
  Duration liveness_interval = std::chrono::seconds(30);       // of silence before an empty INFORMATIONAL; 0 = never
  Duration nat_keepalive_interval = std::chrono::seconds(20);  // RFC 3948 4
  std::uint32_t replay_window = 1024;
  /// RFC 9611: how many Child SAs for single resources (workers) one set of selectors may have beside the one for all,
  /// both sides' together; 0: none. Absent: as the control plane has it.
  std::optional<std::uint32_t> resource_sas;
  std::optional<std::uint16_t> inner_mtu;  // default: derived from the path
};

}  // namespace culvert::model
