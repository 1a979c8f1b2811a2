// DataPlane: what the control plane may ask of whatever carries packets, be it our userspace engine or, later, the
// kernel's XFRM. All calls come from one thread (the control thread) and take effect in order; none waits for packets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "model/child_sa.hpp"
#include "model/ids.hpp"
#include "model/traffic_selector.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// Names a rule of the SPD; stable while the rule stands, and what an Acquire or a Child SA refers to.
using PolicyId = StrongId<struct PolicyIdTag, std::uint32_t>;

enum class PolicyAction : std::uint8_t { protect, bypass, discard };

/// Which of RFC 4301 4.4.1's parts a rule belongs to: SPD-S and both others, SPD-O only, SPD-I only.
enum class PolicyDirection : std::uint8_t { both, outbound, inbound };

/// RFC 4301 4.4.1.2, "populate from packet": which selectors of a new SA come from the packet that asks for it instead
/// of the rule. `port` fields stand for ICMP type and code and the Mobility Header type likewise.
struct PopulateFromPacket {
  bool local_address = false;
  bool remote_address = false;
  bool protocol = false;
  bool local_port = false;
  bool remote_port = false;
  friend bool operator==(const PopulateFromPacket&, const PopulateFromPacket&) = default;
};

/// One SPD rule (RFC 4301 4.4.1). The list is ordered: the first rule that matches decides. Outbound packets go from
/// `local` to `remote`, inbound ones the other way; a packet matches one of `local` and one of `remote`.
struct Policy {
  PolicyId id;
  PolicyAction action = PolicyAction::discard;
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  /// For protect: the connection whose Child SAs may carry the traffic.
  model::ConnectionId connection;
  PolicyDirection direction = PolicyDirection::both;
  PopulateFromPacket populate;
  /// For bypass: RFC 4301 6.2's ICMP errors go the way of the packet that they quote, if this is the first rule that
  /// matches them. What they quote may be what another rule protects.
  bool errors_follow_quoted = false;
  std::string name;  // RFC 4301 4.4.1.1's Name where it has one; for status and logs
};

/// The traffic counters of one SA pair.
struct SaCounters {
  std::uint64_t inbound_packets = 0;
  std::uint64_t inbound_bytes = 0;  // of inner packets
  std::uint64_t outbound_packets = 0;
  std::uint64_t outbound_bytes = 0;
  std::uint64_t outbound_sequence = 0;  // the last one sent
  std::uint64_t replay_drops = 0;
  std::uint64_t integrity_drops = 0;
};

enum class DataPlaneError : std::uint8_t {
  unsupported_suite,  // no backend has the algorithm
  unsupported_mode,   // protocol, mode, encapsulation and selectors do not go together: AH in UDP, BEET with a range,
                      // ...
  no_free_spi,        // all slots in use, or the given SPI is
  unknown_sa,
  overloaded  // the command queue to the workers is full
};
[[nodiscard]] const char* to_string(DataPlaneError error);

// Events of the data plane, drained by the control thread.

/// A packet matched a protect rule without an SA (RFC 4301 5.1). It waits in a bounded queue. Repeated at most once a
/// second per rule, and with `resource` per rule and worker.
struct Acquire {
  PolicyId policy;
  model::ConnectionId connection;
  net::PacketInfo packet;
  /// The selectors that the new SA needs: the rule's, with what `populate` takes from the packet.
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  /// RFC 9611 6: the packet has left over an SA for any resource, or by another worker; this worker has none of its own
  /// and control may make one. Absent: there is no SA at all, and the packet waits.
  std::optional<std::uint32_t> resource = {};
};
/// A soft or hard bound in bytes or packets was reached, or the sequence numbers run out (RFC 4303 3.3.3). Time bounds
/// are control's.
struct SaExpired {
  model::ChildSaId child;
  bool hard = false;
};
/// A pair that `install` had taken could not be set up after all; it does not stand, and its SPI is free again.
struct SaRefused {
  model::ChildSaId child;
  DataPlaneError error = DataPlaneError::overloaded;
};
/// Authenticated traffic came in during the last interval (at most one event a second and SA).
struct InboundActivity {
  model::ChildSaId child;
};
/// Packets have been going out for a while and none comes back (see SilenceWatch). A reason to ask whether the peer
/// lives (RFC 7296 2.4).
struct NothingComesBack {
  model::ChildSaId child;
};
/// Authenticated ESP came from another outer address than the SA's path (RFC 7296 2.23).
struct PeerMovedSeen {
  model::ChildSaId child;
  net::Endpoint remote;
};
/// ESP with an SPI that we do not have, from this address (rate-limited). A hint, not authenticated.
struct UnknownSpi {
  model::Spi spi;
  net::Path path;
};
/// The outbound sequence numbers granted to this pair are nearly used (ChildSaParams::sequence_granted).
struct SequenceGrantWanted {
  model::ChildSaId child;
  std::uint64_t used = 0;  // the last number handed out
};
/// What fits through this pair changed: the longest outer packet, and the longest inner one that goes uncut.
struct PathMtuChanged {
  model::ChildSaId child;
  std::uint16_t path_mtu = 0;
  std::uint16_t inner_mtu = 0;
};
/// The outer ECN field of a packet was one that cannot have come from the inner one (RFC 6040 4.2, figure 4); at most
/// one event a second.
struct EcnAnomaly {
  model::ChildSaId child;
  std::uint8_t inner = 0;  // the two ECN bits
  std::uint8_t outer = 0;
};
/// Transport mode: a peer behind a NAT began a flow, seen as `packet`, with the very ports of another's behind the same
/// NAT. Its packets come in from `port` instead; absent: they are refused. At most one event a second.
struct NatFlowShared {
  model::ChildSaId child;
  net::PacketInfo packet;
  std::optional<std::uint16_t> port;
};
using DataPlaneEvent = std::variant<Acquire, SaExpired, SaRefused, InboundActivity, NothingComesBack, PeerMovedSeen,
                                    UnknownSpi, SequenceGrantWanted, PathMtuChanged, EcnAnomaly, NatFlowShared>;

class DataPlane {
 public:
  virtual ~DataPlane() = default;

  /// Reserves an inbound SPI. Released by `release_spi`, or by `remove` of the SA installed with it. With `resource`
  /// the SPI names the worker that receives the SA's packets, if the data plane has that many; the pair installed with
  /// it has the same ChildSaParams::resource.
  [[nodiscard]] virtual Result<model::Spi, DataPlaneError> allocate_spi(std::optional<std::uint32_t> resource = {}) = 0;
  /// Takes a given SPI (256 or above) for an SA with manual keys; `no_free_spi` when it is in use. Released likewise.
  [[nodiscard]] virtual Result<void, DataPlaneError> reserve_spi(model::Spi spi) = 0;
  virtual void release_spi(model::Spi spi) = 0;

  /// Installs both directions of a pair, or nothing: then its inbound SPI is free again. From then on inbound packets
  /// are taken; outbound ones use it unless `hold_outbound`, and packets that waited for it leave. With `replaces`,
  /// outbound traffic moves over from that pair.
  [[nodiscard]] virtual Result<void, DataPlaneError> install(model::ChildSaParams params) = 0;
  /// Ends `hold_outbound`.
  virtual void use_outbound(model::ChildSaId child) = 0;
  /// Stops the outbound direction at once and the inbound one after `linger`. Unknown ids are ignored.
  virtual void remove(model::ChildSaId child, Duration linger) = 0;
  /// Moves a pair to a new outer path.
  virtual void update_path(model::ChildSaId child, const net::Path& path, model::Encapsulation encapsulation) = 0;
  /// Raises the highest outbound sequence number that the pair may use; never lowers it.
  virtual void grant_sequence(model::ChildSaId child, std::uint64_t granted) = 0;
  /// So many outbound sequence numbers of the pair are never used (RFC 6311 5.2).
  virtual void skip_sequence(model::ChildSaId child, std::uint64_t count) = 0;
  /// Replaces the whole SPD at once.
  virtual void set_policies(std::vector<Policy> policies) = 0;

  [[nodiscard]] virtual std::optional<SaCounters> counters(model::ChildSaId child) const = 0;
  /// Dropped packets by reason name, for status and metrics; reasons that never occurred may be left out.
  [[nodiscard]] virtual std::vector<std::pair<std::string, std::uint64_t>> drop_counters() const = 0;
  [[nodiscard]] virtual std::optional<DataPlaneEvent> poll_event() = 0;
};

}  // namespace culvert::ipsec
