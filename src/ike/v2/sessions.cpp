#include "ike/v2/sessions.hpp"

#include <algorithm>

namespace culvert::ike::v2 {

bool same_peers(const IkeSa& a, const IkeSa& b) {
  return a.connection == b.connection && a.local_id == b.local_id && a.remote_id == b.remote_id &&
         a.admission.eap_identity() == b.admission.eap_identity();
}

std::vector<IkeSa*> siblings(Core& core, const IkeSa& sa) {
  if (!sa.connection) return {};
  auto others =
      sa.one_of_many ? core.sas.of_peer(*sa.connection, peer_identity(sa)) : core.sas.of_connection(*sa.connection);
  std::erase_if(others, [&](const IkeSa* other) { return other->id == sa.id; });
  return others;
}

std::vector<IkeSa*> sessions_of(Core& core, const IkeSa& sa) {
  auto others = siblings(core, sa);
  std::erase_if(others,
                [&](const IkeSa* other) { return other->phase != Phase::established || !same_peers(*other, sa); });
  std::ranges::sort(others, {}, &IkeSa::established_order);
  return others;
}

std::vector<IkeSa*> sessions_that_end(Core& core, const IkeSa& sa, const model::ConnectionConfig& config, bool alone) {
  auto others = sessions_of(core, sa);
  if (alone) {
    // What was established after the peer began this one it could not know of yet.
    std::erase_if(others, [&](const IkeSa* other) { return other->established_order >= sa.begun_order; });
    return others;
  }
  std::size_t most = core.settings.ike_sas_per_peer;
  if (config.sessions != 0) most = std::min(most, config.sessions);
  const std::size_t stay = std::min(others.size(), most - 1);
  others.resize(others.size() - stay);
  return others;
}

}  // namespace culvert::ike::v2
