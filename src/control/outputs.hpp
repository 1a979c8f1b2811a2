// What the control plane asks of the daemon around it: slow, secret or privileged work, as values. Nothing here waits
// for an answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/secret.hpp"
#include "base/time.hpp"
#include "control/leases.hpp"
#include "ike/face.hpp"
#include "model/aaa.hpp"
#include "model/child_sa.hpp"
#include "model/connection.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::control {

/// Resolve `peer` (an address or a DNS name) and find the local address from which it is reached; answer with
/// ControlPlane::handle_path.
struct FindPath {
  /// Of `attempt`, for what is no attempt of the tunnel's own: another way for an IKE SA that stands, or, where it
  /// cannot take one, a new IKE SA beside it; a new one in any case.
  static constexpr std::uint64_t kBeside = 0;
  static constexpr std::uint64_t kAnew = ~std::uint64_t{0};

  model::ConnectionId connection;
  std::uint64_t attempt = 0;
  std::string peer;
  std::optional<net::IpAddress> local;  // configured: to be taken as it is
  /// RFC 9329: the path shall be a TCP stream to this port of the peer, opened from now on.
  std::optional<std::uint16_t> tcp_port = {};
};

/// RFC 9329 6.1: an IKE SA is on this TCP stream now; or none is any more, and it is closed, after a moment in which
/// the last messages leave.
struct HoldStream {
  net::Path path;
  bool held = false;
};

/// Find the ways to the peer of an IKE SA that stands, since the one that it has may lead there no more; answer with
/// ControlPlane::handle_paths: for each address of the peer the way that the host's routes choose, in this order, then
/// those from other addresses of the host. None that the host has no route for.
struct FindPaths {
  model::IkeSaId ike_sa;
  std::vector<net::IpAddress> peers;
  std::vector<std::string> names;       // of the peer, to be looked up; behind the addresses
  std::optional<net::IpAddress> local;  // configured: from no other
};

/// One route of the tunnels' routing table.
struct RouteWish {
  enum class Kind : std::uint8_t { tunnel, bypass };
  net::Prefix destination;
  Kind kind = Kind::tunnel;  // into TUN, or back to the routing that would be without us
  /// Where the rules that lead there let packets come from, in their order. The preferred source is a host address
  /// within.
  std::vector<net::AddressRange> sources;
  friend auto operator<=>(const RouteWish&, const RouteWish&) = default;
};

/// What of the traffic that arrives in clear, past TUN, goes on (RFC 4301 5.2): the first rule that matches decides;
/// what none matches is not IPsec's to judge.
struct ClearPacketWish {
  bool accept = false;
  model::TrafficSelector source;  // both of one family
  model::TrafficSelector destination;
  friend auto operator<=>(const ClearPacketWish&, const ClearPacketWish&) = default;
};

/// Where the host's names are looked up while tunnels are up; empty when no tunnel has a server.
struct NameServerWish {
  /// Reached by DNS over TLS (RFC 9464, RFC 7858).
  struct OverTls {
    net::IpAddress address;
    std::uint16_t port = 853;
    std::string name;  // that its certificate must have
    friend bool operator==(const OverTls&, const OverTls&) = default;
  };
  std::vector<net::IpAddress> servers;
  std::vector<std::string> domains;  // that they are for; empty: for all
  std::vector<OverTls> over_tls;     // to be used instead of `servers`, where the host can
  [[nodiscard]] bool empty() const { return servers.empty() && over_tls.empty(); }
  friend bool operator==(const NameServerWish&, const NameServerWish&) = default;
};

/// What the host's network shall look like, whole: the daemon brings about the difference and takes it back at exit.
struct NetworkWish {
  std::vector<RouteWish> routes;                // sorted, without doubles
  std::vector<model::InnerAddress> addresses;   // to be put on the TUN device
  std::vector<net::AddressRange> inner_locals;  // a host address within these is the preferred source of the routes
  std::uint16_t mtu = 0;                        // of the TUN device
  NameServerWish name_servers;
  std::vector<ClearPacketWish> clear_packets;  // in order
  friend bool operator==(const NetworkWish&, const NetworkWish&) = default;
};
struct SetNetwork {
  NetworkWish wish;
};

/// Send the NAT-keepalive octet (RFC 3948 2.3) on this path.
struct SendKeepalive {
  net::Path path;
};

/// Keys for a protocol analyser, only when their export is switched on.
struct ExportIkeKeys {
  ike::KeysExported keys;
};
struct ExportEspKeys {
  net::Path path;
  model::Spi spi_inbound;
  model::Spi spi_outbound;
  model::EspSuite suite;
  model::SaKeys inbound;
  model::SaKeys outbound;
};
/// Takes a copy of the keys.
[[nodiscard]] inline ExportEspKeys esp_keys_of(const model::ChildSaParams& params) {
  const auto clone = [](const model::SaKeys& keys) {
    return model::SaKeys{keys.encryption.clone(), keys.integrity.clone()};
  };
  return {params.path,  params.spi_inbound,    params.spi_outbound,
          params.suite, clone(params.inbound), clone(params.outbound)};
}

/// Reserve the next `block` sequence numbers of the key with this fingerprint, on stable storage, before any of them is
/// used; answer with ControlPlane::handle_reservation. No number is ever reserved twice.
struct ReserveSequence {
  model::ChildSaId child;
  Bytes fingerprint;  // of the outbound key; no secret, and none can be had from it
  std::uint64_t block = 0;
  std::uint64_t last = 0;  // the last number that the SA's protocol has
  /// Only right behind this number, because the SA is in use: an error when somebody else reserved behind it.
  std::optional<std::uint64_t> follows;
};
/// Numbers from `used` + 1 to `granted` are this SA's.
struct SequenceReservation {
  std::uint64_t used = 0;
  std::uint64_t granted = 0;
};

/// Write these leases down, before any message leaves that tells a peer of one. Each replaces what was known of its
/// address.
struct StoreLeases {
  std::vector<LeaseRecord> records;
};

/// Tell accounting; nothing waits for its answer.
struct AccountSession {
  model::SessionRecord record;
};

using Request =
    std::variant<FindPath, FindPaths, SetNetwork, StoreLeases, AccountSession, SendKeepalive, HoldStream, ExportIkeKeys,
                 ExportEspKeys, ReserveSequence, ike::SharedKeyMacRequest, ike::SignRequest, ike::VerifyRequest,
                 ike::KeyExchangeRequest, ike::EapRequest, ike::PpkRequest, ike::PuzzleRequest>;

/// What the daemon tells of a TCP stream that we opened.
struct StreamNews {
  enum class Kind : std::uint8_t {
    opened_again,  // after it was lost: the peer has a new connection to answer on
    failed         // it could not be opened, and is tried again: `text` says why
  };
  net::Path path;
  Kind kind = Kind::failed;
  std::string text = {};
};

/// A line for the log. Text from peers is escaped already.
struct Notice {
  enum class Level : std::uint8_t { debug, info, warning, error };
  Level level = Level::info;
  std::string tunnel;  // empty: not about one
  std::string text;
};

}  // namespace culvert::control
