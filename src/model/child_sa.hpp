// ChildSaParams: everything both planes must know of one ESP or AH SA pair. IKE or manual keying makes it, the data
// plane installs it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/secret.hpp"
#include "base/time.hpp"
#include "model/ids.hpp"
#include "model/packet_treatment.hpp"
#include "model/proposal.hpp"
#include "model/traffic_selector.hpp"
#include "net/address.hpp"

namespace culvert::model {

enum class Mode : std::uint8_t { tunnel, transport, beet };

/// How ESP and AH travel: in UDP (RFC 3948, ESP only), or right behind the IP header as protocol 50 or 51. ESP in TCP
/// (RFC 9329) is framed as in UDP, its messages in a stream instead of datagrams; the path says so.
enum class Encapsulation : std::uint8_t { udp, none };

/// A bound on an SA's use; 0 or absent means none. Soft bounds ask for a rekey, hard bounds end the SA (RFC
/// 4301 4.4.2.1).
struct Lifetime {
  std::optional<Duration> time;
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
  friend bool operator==(const Lifetime&, const Lifetime&) = default;
};

/// Key material of one direction, cut as crypto::SuiteSizes says.
struct SaKeys {
  SecretBytes encryption;  // key, then salt
  SecretBytes integrity;   // empty for AEADs
};

/// The CPIs of a pair that has IPComp in front of ESP or AH (RFC 3173 3.1); each side chooses the one it receives.
struct IpCompParams {
  std::uint16_t cpi_inbound = 0;
  std::uint16_t cpi_outbound = 0;
  friend bool operator==(const IpCompParams&, const IpCompParams&) = default;
};

/// One Child SA pair.
struct ChildSaParams {
  ChildSaId id;
  ConnectionId connection;
  IkeSaId ike_sa;
  Role role = Role::initiator;            // of the exchange that made it
  Spi spi_inbound;                        // ours, chosen by the data plane
  Spi spi_outbound;                       // the peer's
  ProtocolId protocol = ProtocolId::esp;  // or ah: then the suite's encryption is NULL
  EspSuite suite;
  SaKeys inbound;
  SaKeys outbound;
  /// RFC 9611 3: which of our resources (the index of a worker of the data plane) the pair is for, one of several with
  /// the same selectors; absent: for any, the fallback of those workers that have none of their own.
  std::optional<std::uint32_t> resource;
  /// RFC 9611 3: both sides take further pairs with these selectors, each for one resource. Only then does the data
  /// plane ask for one (ipsec::Acquire::resource).
  bool per_resource = false;
  Mode mode = Mode::tunnel;
  Encapsulation encapsulation = Encapsulation::udp;
  net::Path path;  // with Encapsulation::udp the UDP ports; else the ports are 0
  /// After narrowing. In BEET mode each is one selector for one address: the inner addresses, which no packet carries.
  TrafficSelectors local;
  TrafficSelectors remote;
  /// Transport mode through a NAT: the addresses that the peer's transport checksums were made with, where they differ
  /// from the path's (RFC 7296 2.23.1, RFC 3948 3.1.2).
  std::optional<net::IpAddress> original_local;
  std::optional<net::IpAddress> original_remote;
  PacketTreatment treatment;
  /// RFC 4301 7.3: both sides take fragments other than the first over this pair although its selectors name ports
  /// (NON_FIRST_FRAGMENTS_ALSO). Selectors for any port carry them without.
  bool non_first_fragments = false;
  std::optional<IpCompParams> ipcomp;
  /// Octets that an outer IP packet may have, as far as known when the pair is made (the interface's MTU); 0: unknown.
  std::uint16_t path_mtu = 0;
  Lifetime soft;
  Lifetime hard;
  std::uint32_t replay_window =
      1024;  // packets, a power of two from 32 to 65,536; 0 switches replay protection off (testing)
  /// The last outbound sequence number used under these keys, by an earlier run: the next packet has the next one.
  std::uint64_t sequence_used = 0;
  /// The highest outbound sequence number allowed so far; 0: as the protocol has it. Before it is reached the data
  /// plane tells SequenceGrantWanted, and DataPlane::grant_sequence raises it. With manual keys the grants are written
  /// down first, so that no number is used twice under one key, whatever crashes.
  std::uint64_t sequence_granted = 0;
  /// True when the peer may not have its inbound side ready: traffic goes on over the SA being replaced until
  /// DataPlane::use_outbound (RFC 7296 2.8: the responder of a rekey waits for proof that the initiator has the new
  /// SA).
  bool hold_outbound = false;
  /// The pair that this one replaces, for a rekey.
  std::optional<ChildSaId> replaces;
};

}  // namespace culvert::model
