// ChildSaParams: everything both planes must know of one negotiated ESP SA pair. IKE makes it, the data plane installs
// it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/secret.hpp"
#include "base/time.hpp"
#include "model/ids.hpp"
#include "model/proposal.hpp"
#include "model/traffic_selector.hpp"
#include "net/address.hpp"

namespace culvert::model {

enum class Mode : std::uint8_t { tunnel, transport, beet };

/// How ESP travels (RFC 3948 or IP protocol 50).
enum class Encapsulation : std::uint8_t { udp, esp };

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

/// One Child SA pair.
struct ChildSaParams {
  ChildSaId id;
  ConnectionId connection;
  IkeSaId ike_sa;
  Role role = Role::initiator;  // of the exchange that made it
  Spi spi_inbound;              // ours, chosen by the data plane
  Spi spi_outbound;             // the peer's
  EspSuite suite;
  SaKeys inbound;
  SaKeys outbound;
  Mode mode = Mode::tunnel;
  Encapsulation encapsulation = Encapsulation::udp;
  net::Path path;          // with Encapsulation::udp the UDP ports; else the ports are 0
  TrafficSelectors local;  // after narrowing
  TrafficSelectors remote;
  Lifetime soft;
  Lifetime hard;
  std::uint32_t replay_window =
      1024;  // packets, a power of two from 64 to 8192; 0 switches replay protection off (testing)
  /// True when the peer may not have its inbound side ready: traffic goes on over the SA being replaced until
  /// DataPlane::use_outbound (RFC 7296 2.8: the responder of a rekey waits for proof that the initiator has the new
  /// SA).
  bool hold_outbound = false;
  /// The pair that this one replaces, for a rekey.
  std::optional<ChildSaId> replaces;
};

}  // namespace culvert::model
