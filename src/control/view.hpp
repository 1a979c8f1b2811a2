// What can be seen of the control plane from outside: copies, made when asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "ike/face.hpp"
#include "ipsec/data_plane.hpp"
#include "model/child_sa.hpp"
#include "model/ids.hpp"

namespace culvert::control {

/// down: not wanted up. waiting: comes up with the first packet or the peer's first message. connecting: an attempt is
/// under way. up: at least one Child SA stands. retrying: the last attempt failed, the next is planned. closing: DELETE
/// is under way.
enum class TunnelState : std::uint8_t { down, waiting, connecting, up, retrying, closing };

struct Failure {
  std::uint64_t attempt = 0;
  Instant at;
  std::string kind;  // ike::FailureKind by name, or "no_path"
  std::string message;
  std::string hint;  // the way out
  /// What was wrong with the peer's certificate or signature.
  std::optional<model::AuthenticationRefusal> refusal;
};

/// What stays as it is while the pair stands.
struct ChildSaFacts {
  model::ChildSaId id;
  model::Spi spi_inbound;
  model::Spi spi_outbound;
  std::optional<std::uint32_t> resource = {};  // the worker that it is for, where there is one for each (RFC 9611)
  model::EspSuite suite;
  model::Mode mode = model::Mode::tunnel;
  model::Encapsulation encapsulation = model::Encapsulation::udp;
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  std::string security_label = {};  // printable; empty: none (RFC 9478)
  Instant established;
  OptionalInstant rekey_at;
  OptionalInstant expires_at;
};

struct ChildSaView : ChildSaFacts {
  ipsec::SaCounters counters;
};

struct IkeSaView {
  ike::IkeSaEstablished sa;
  Instant established;
  Instant transport_since;             // that it, or what it replaces, goes over UDP, or over TCP
  std::vector<net::IpAddress> leased;  // the inner addresses that the peer has of us
  std::string of_tunnel;               // that it is of, when it is another's, and the Child SAs here are guests
  std::vector<ChildSaView> children;
};

struct TunnelView {
  std::string name;
  TunnelState state = TunnelState::down;
  std::string progress;
  std::uint64_t attempts = 0;
  std::optional<Failure> last_failure;
  std::optional<Instant> retry_at;
  model::Configuration given;  // by the peer
  std::vector<IkeSaView> ike_sas;
  bool more_ike_sas = false;  // behind those
};

/// Which of a tunnel's IKE SAs a view shall have, by id.
struct IkeSaRange {
  model::IkeSaId behind{0};
  std::size_t most = static_cast<std::size_t>(-1);
};

/// waiting: for its SPI or its sequence numbers. up: installed. refused: its sequence numbers cannot be written down;
/// it is tried again. ended: a hard limit was reached, or the data plane cannot carry it; only new keys help.
enum class ManualState : std::uint8_t { waiting, up, refused, ended };

struct ManualView {
  std::string name;
  std::string place;
  bool from_file = false;
  ManualState state = ManualState::waiting;
  std::string reason;
  model::ProtocolId protocol = model::ProtocolId::esp;
  net::Path path;
  bool own_rule = true;
  std::uint32_t replay_window = 0;
  std::optional<model::IpCompParams> ipcomp;
  std::uint64_t sequence_granted = 0;
  ChildSaView child;
};

}  // namespace culvert::control
