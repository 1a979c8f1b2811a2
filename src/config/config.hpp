// Config: what the configuration files say, checked as a whole. docs/man/culvert.toml.5.md documents every field.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/secret.hpp"
#include "base/time.hpp"
#include "config/problem.hpp"
#include "crypto/signature.hpp"
#include "crypto/trust.hpp"
#include "model/configuration.hpp"
#include "model/connection.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::config {

inline constexpr std::string_view kDefaultPath = "/etc/culvert";
inline constexpr std::string_view kDefaultState = "/var/lib/culvert";
inline constexpr std::string_view kDefaultSocket = "/run/culvert/culvertd.sock";

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };
[[nodiscard]] std::string_view name_of(LogLevel level);
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view text);

/// What the packet engine of each worker keeps: ipsec::EngineOptions, PathMtuOptions, FragmentBounds and
/// ReassemblyBounds.
struct PacketBounds {
  std::uint32_t flow_cache_entries = 65536;  // of each family
  std::uint32_t expanded_keys = 16384;
  bool icmp_path_mtu = true;
  std::uint16_t min_pmtu = 576;
  std::uint16_t min_pmtu_ipv6 = 1280;
  Duration mtu_expires = std::chrono::minutes(10);
  std::uint32_t fragment_packets = 1024;
  Duration fragment_time = std::chrono::seconds(30);
  std::uint32_t early_fragments = 64;
  std::uint64_t early_fragment_bytes = std::uint64_t{128} * 1024;
  Duration early_fragment_time = std::chrono::seconds(1);
  std::uint32_t reassembly_packets = 64;
  std::uint32_t reassembly_fragments = 64;
  std::uint64_t reassembly_bytes = std::uint64_t{1024} * 1024;
  Duration reassembly_time = std::chrono::seconds(30);
  friend bool operator==(const PacketBounds&, const PacketBounds&) = default;
};

/// What strangers can make the daemon keep: IKE SAs that somebody began and has proved nothing for (RFC 7296 2.6, RFC
/// 8019 4.2).
struct SetUpBounds {
  std::size_t cookie_threshold = 64;
  std::size_t half_open_limit = 1024;
  std::size_t half_open_per_address = 128;
  std::size_t half_open_per_network = 256;
  /// RFC 8019.
  std::size_t puzzle_threshold = 512;
  std::uint8_t puzzle_bits = 16;
  friend bool operator==(const SetUpBounds&, const SetUpBounds&) = default;
};

/// The section [daemon]: at most one in all files together.
struct DaemonConfig {
  LogLevel log_level = LogLevel::info;
  std::string socket{kDefaultSocket};
  std::string tun_name = "culvert0";
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  /// TCP ports on which peers may bring IKE and ESP (RFC 9329); none: not at all.
  std::vector<std::uint16_t> listen_tcp;
  /// The folder to which keys are written for a protocol analyser; absent: never.
  std::optional<std::string> export_keys;
  /// The routing table for the tunnels' routes: one of our own, never the kernel's.
  std::uint32_t routing_table = 4500;
  /// Set on the daemon's own outer packets, so that routing rules can tell them from inner ones.
  std::uint32_t fwmark = 4500;
  /// The folder for what must outlive the daemon: which sequence numbers manual keys have used.
  std::string state{kDefaultState};
  /// Threads that carry packets; absent: the daemon counts the CPUs.
  std::optional<std::uint32_t> workers;
  /// Interfaces whose ESP without UDP goes by AF_XDP.
  std::vector<std::string> xdp;
  /// Threads beside the daemon's own that compute for IKE, 0 for none; absent: the daemon counts the CPUs.
  std::optional<std::uint32_t> ike_threads;
  /// When a suite is first configured: measure who computes it fastest, instead of following rules for the CPU.
  bool measure_ciphers = true;
  PacketBounds packets;
  SetUpBounds set_ups;
  friend bool operator==(const DaemonConfig&, const DaemonConfig&) = default;
};

/// What the user wrote as `peer`: only `address` has ConnectionConfig::peer filled in; `dns_name` is to be resolved by
/// the daemon.
enum class PeerKind : std::uint8_t { address, dns_name, any };

/// One `certificate` with its `private_key`.
struct OwnChain {
  std::vector<Bytes> certificates;  // to be sent, in DER: our own, then those between it and its root; none: a raw key
  crypto::PrivateKey key;
  Bytes authorities;                   // digests of who stands above it, by which a peer may ask for it
  std::vector<std::string> urls = {};  // where the first certificates can be fetched
  Bytes issuer = {};                   // the certificate of who issued our own, in DER; empty: not known
  /// With several rounds by certificate (RFC 4739): of whom it is, and so for which of them; nothing: for any.
  std::optional<model::Identity> identity = {};
};

/// How revocation of the peer's certificates is looked up.
struct Revocation {
  bool strict = false;                        // what cannot be known is refused
  std::vector<std::string> ocsp;              // URLs instead of those in the certificates
  std::vector<std::string> lists;             // URLs beside those in the certificates
  std::vector<crypto::RevocationList> known;  // of `crl`
};
/// As one would write it, without the lists.
[[nodiscard]] std::string text_of(const Revocation& revocation);

/// What `certificate`, `private_key`, `ca`, `crl` and `peer_key` say, read and checked. Tunnels with the same files
/// share it.
struct Credentials {
  std::vector<Bytes> certificates;                           // those of the first chain
  crypto::PrivateKey key;                                    // likewise
  std::variant<crypto::TrustStore, crypto::PublicKey> peer;  // the authorities that are believed, or the peer's own key
  Bytes own_fingerprint;                                     // changes with the certificates, or the key
  Bytes trust_fingerprint;                                   // with the authorities and their lists, or the peer's key
  OwnChain first = {};
  std::vector<OwnChain> others = {};          // those that peers may ask for instead
  std::optional<Revocation> revocation = {};  // nothing: only what `peer` has of lists
  std::vector<std::string> fetch_from = {};   // what URLs of peers' certificates must begin with
  /// Whom `peer` is not for: in that round of the peer's (RFC 4739), counted from 0, these are believed instead.
  std::map<std::size_t, crypto::TrustStore> round_peers = {};
};

struct TunnelConfig {
  /// `connection.id` is left 0: the daemon numbers connections, stable by name.
  model::ConnectionConfig connection;
  PeerKind peer_kind = PeerKind::address;
  /// The octets of the PPK (RFC 8784, RFC 9867), if there is one.
  SecretBytes ppk;
  /// As client that asks for its address: of `remote` only what the peer names is the tunnel's (RFC 7296 3.15.2).
  bool only_peer_subnets = false;
  /// The octets of the pre-shared key, whether written in the file or read from `secret_file`. Empty with credentials.
  SecretBytes secret;
  /// There with ConnectionConfig::authentication by certificate. Without certificates of ours where EAP proves us,
  /// other than by one; with an empty trust store where it proves the peer.
  std::optional<Credentials> credentials;
  /// Our own, as client of EAP.
  SecretBytes eap_secret;
};

/// A RADIUS server. With a name, which the daemon looks up, the address is unspecified.
struct RadiusServer {
  net::Endpoint endpoint;
  std::string name = {};
  [[nodiscard]] std::string to_string() const;  // "192.0.2.9:1812", "radius.example:1812"
  friend bool operator==(const RadiusServer&, const RadiusServer&) = default;
};

/// One [radius.NAME]: servers that keep the EAP conversations of clients, and hear of their sessions.
struct RadiusConfig {
  std::string name;
  model::SourcePlace place;
  std::vector<RadiusServer> servers;     // in the order of preference
  std::vector<RadiusServer> accounting;  // likewise; empty: none
  SecretBytes secret;                    // of all of them
  std::string nas_identifier;
  Duration timeout = std::chrono::seconds(2);  // of one try
  unsigned tries = 3;                          // of one server
  std::optional<Duration> interim;             // between reports to accounting
  /// Who may end and change sessions (RFC 5176), and the port for that.
  std::vector<net::IpAddress> dynamic_clients;
  std::uint16_t dynamic_port = 3799;
  friend bool operator==(const RadiusConfig& a, const RadiusConfig& b) {
    return a.name == b.name && a.servers == b.servers && a.accounting == b.accounting &&
           constant_time_equal(a.secret.view(), b.secret.view()) && a.nas_identifier == b.nas_identifier &&
           a.timeout == b.timeout && a.tries == b.tries && a.interim == b.interim &&
           a.dynamic_clients == b.dynamic_clients && a.dynamic_port == b.dynamic_port;
  }
};

/// One [user.NAME]: whom the tunnels with EAP know.
struct UserConfig {
  std::string name;  // the identity within EAP
  model::SourcePlace place;
  SecretBytes secret;
};

/// One [manual.NAME]: an SA pair without IKE.
struct ManualConfig {
  std::string name;
  model::SourcePlace place;
  /// Its ids, path_mtu and sequence fields are left 0; the rest is complete and checked.
  model::ChildSaParams sa;
  /// It has a protect rule of its own, for its selectors.
  bool policy = true;
  std::vector<model::InnerAddress> addresses;
  std::optional<std::uint16_t> inner_mtu;
};

/// One [pool.NAME]: what clients are given.
struct PoolConfig {
  std::string name;
  model::SourcePlace place;
  std::vector<net::AddressRange> ranges;  // without what no host can have
  std::vector<net::IpAddress> dns_servers;
  std::vector<model::EncryptedDns> encrypted_dns;
  std::vector<std::string> domains;  // that these are for; empty: for all
  std::vector<net::Prefix> subnets;  // empty: what the tunnel has as `local`
  /// Addresses kept for one identity; each lies within `ranges`.
  std::map<model::Identity, std::vector<net::IpAddress>> fixed;
  friend bool operator==(const PoolConfig& a, const PoolConfig& b) {
    return a.name == b.name && a.ranges == b.ranges && a.dns_servers == b.dns_servers &&
           a.encrypted_dns == b.encrypted_dns && a.domains == b.domains && a.subnets == b.subnets && a.fixed == b.fixed;
  }
};

enum class RuleAction : std::uint8_t { bypass, discard, protect };
[[nodiscard]] std::string_view name_of(RuleAction action);
enum class RuleDirection : std::uint8_t { both, outbound, inbound };
[[nodiscard]] std::string_view name_of(RuleDirection direction);

/// Where a rule stands among all: in front of the tunnels' own in the order written, first of all, last of all, or
/// beside the rule of that name.
struct RulePlace {
  enum class Kind : std::uint8_t { front, first, last, before, after };
  Kind kind = Kind::front;
  std::string anchor;  // a rule's, tunnel's or manual entry's name
  friend bool operator==(const RulePlace&, const RulePlace&) = default;
};

/// RFC 4301 4.4.1.2: the selectors of a new SA that come from the packet.
struct RulePopulate {
  bool local_address = false;
  bool remote_address = false;
  bool protocol = false;
  bool local_port = false;
  bool remote_port = false;
  friend bool operator==(const RulePopulate&, const RulePopulate&) = default;
};

/// One [[policy]]: an explicit rule.
struct PolicyRule {
  RuleAction action = RuleAction::discard;
  model::TrafficSelectors local;  // empty side in the file: all addresses of both families
  model::TrafficSelectors remote;
  model::SourcePlace place;
  std::string name;  // may be empty
  std::string sa;    // protect: the tunnel or manual entry that serves it
  RuleDirection direction = RuleDirection::both;
  RulePlace position;
  RulePopulate populate;
  friend bool operator==(const PolicyRule& a, const PolicyRule& b) {
    return a.action == b.action && a.local == b.local && a.remote == b.remote && a.name == b.name && a.sa == b.sa &&
           a.direction == b.direction && a.position == b.position && a.populate == b.populate;
  }
};

struct Config {
  DaemonConfig daemon;
  std::vector<TunnelConfig> tunnels;  // in the order of the files
  std::vector<ManualConfig> manual;   // likewise
  std::vector<PoolConfig> pools;      // likewise
  std::vector<PolicyRule> policies;
  std::vector<UserConfig> users;
  std::vector<RadiusConfig> radius;
  Problems warnings;
  std::vector<std::string> files;  // that were read, without secret files

  [[nodiscard]] const TunnelConfig* find(std::string_view name) const;
  [[nodiscard]] const ManualConfig* find_manual(std::string_view name) const;
};

/// For who looks up many: a gateway may have ten thousand. Good as long as `config` is.
using TunnelsByName = std::unordered_map<std::string_view, const TunnelConfig*>;
[[nodiscard]] TunnelsByName by_name(const Config& config);

}  // namespace culvert::config
