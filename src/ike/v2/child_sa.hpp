// ChildSa: what IKE remembers of one ESP SA pair; the keys went to the data plane.
#pragma once

#include <optional>

#include "base/boxed.hpp"
#include "base/bytes.hpp"
#include "base/optional_id.hpp"
#include "base/time.hpp"
#include "model/child_sa.hpp"
#include "model/ids.hpp"
#include "model/proposal.hpp"
#include "model/security_label.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::ike::v2 {

/// The exchange that first made a pair for this traffic; a rekeyed pair has that of the one it replaces.
struct ChildOrigin {
  model::Role role = model::Role::initiator;  // ours
  model::Spi initiators_spi;
  Instant at;
};

/// The selectors that a pair was asked for.
struct ChildScope {
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
};

/// The place of a pair among those with the same selectors (RFC 9611 3).
struct ResourceGroup {
  /// Both sides take further pairs, for one resource each.
  bool open = false;
  /// The resource of ours that this one is for. Nothing: it is the fallback, for any.
  std::optional<std::uint32_t> resource;
  /// What the peer is told of the resource; it cannot be read there.
  Bytes info;
};

struct ChildSa {
  model::ChildSaId id;
  model::ConnectionId connection;  // whose it is; that of its IKE SA, or a guest there
  model::Spi spi_inbound;
  model::Spi spi_outbound;
  model::EspSuite suite;
  model::Mode mode = model::Mode::tunnel;
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  ChildOrigin origin;
  /// Made for some of the connection's traffic only: then a rekey asks for no more than this (RFC 7296 2.9.2).
  Boxed<ChildScope> scope;
  ResourceGroup group;
  Boxed<model::SecurityLabel> label;  // RFC 9478

  /// The peer may not be able to receive on it yet (RFC 7296 2.8).
  bool hold_outbound = false;
  /// We answered the request that made it, and the peer may not have the answer yet: until it proves otherwise, or this
  /// instant, a request of ours about the pair would meet a peer that does not know it.
  OptionalInstant unconfirmed_until;
  /// The peer's requests from this number on prove that it has the answer.
  model::MessageId confirmed_from{0};
  /// It lost a collision and is only there to be deleted (RFC 7296 2.8.1).
  bool redundant = false;
  OptionalId<model::ChildSaId> replaces;
  /// A successor stands; whoever initiated it deletes this one.
  OptionalId<model::ChildSaId> replaced_by;
  /// We decided to delete it; the request is queued or on its way.
  bool deleting = false;

  OptionalInstant rekey_at;
  OptionalInstant expire_at;

  /// Nothing speaks against its carrying traffic from now on.
  [[nodiscard]] bool is_current() const { return !replaced_by && !deleting && !redundant; }
};

}  // namespace culvert::ike::v2
