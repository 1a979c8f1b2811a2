// From authenticated to established, and what that means for other IKE SAs with the same peer: INITIAL_CONTACT (RFC
// 7296 2.4) and set-ups that both sides began at the same time.
#pragma once

#include <optional>

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// How the new IKE SA's first Child SA relates to one of an IKE SA that the same peers set up at the same time.
struct Rivalry {
  /// The IKE SA that goes, of the two.
  std::optional<model::IkeSaId> loser;
  /// The one that was there before.
  std::optional<model::IkeSaId> rival;
};

/// The IKE SA is up: starts its timers and tells control.
void establish(Core& core, IkeSa& sa, const model::ConnectionConfig& config);
/// Starts the timers of rekeying and expiry.
void start_ike_timers(Core& core, IkeSa& sa, const model::ConnectionConfig& config);

/// To be asked between establish() and the making of the Child SA.
[[nodiscard]] Rivalry find_rival(Core& core, const IkeSa& sa);
/// The rival's Child SA whose traffic one with these selectors takes over, or leaves to it.
[[nodiscard]] std::optional<model::ChildSaId> rival_child(Core& core, const Rivalry& rivalry,
                                                          const model::TrafficSelectors& local,
                                                          const model::TrafficSelectors& remote);
/// To be called when the new IKE SA has its Child SA: ends what it supersedes.
void settle_duplicates(Core& core, IkeSa& sa, const Rivalry& rivalry, bool initial_contact);
/// The IKE SA ends, and not by a rekey: those that were to go for its sake stay after all.
void spare_losers(Core& core, const IkeSa& winner);

}  // namespace culvert::ike::v2
