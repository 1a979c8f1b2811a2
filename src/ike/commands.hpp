// Commands: what control asks of IKE; see face.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "model/connection.hpp"
#include "model/ids.hpp"
#include "model/traffic_selector.hpp"
#include "net/address.hpp"
#include "net/packet.hpp"

namespace culvert::ike {

struct EndpointSecrets;  // secrets.hpp

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

}  // namespace culvert::ike
