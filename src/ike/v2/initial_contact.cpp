#include "ike/v2/initial_contact.hpp"

#include <algorithm>

namespace culvert::ike::v2 {
namespace {

// Connections to one address that are looked at; of more, those behind them are taken to have other identities.
constexpr int kMostVisits = 64;

bool same_ends(const model::ConnectionConfig& a, const model::ConnectionConfig& b) {
  return a.peer == b.peer && a.local_id == b.local_id && a.remote_id == b.remote_id;
}

// Its own IKE_AUTH, which may have said that it is the first, is before the peer.
bool has_asked(const IkeSa& sa) {
  return sa.role == model::Role::initiator && sa.phase == Phase::authenticating && !sa.window.idle();
}

}  // namespace

bool is_first_contact(Core& core, const IkeSa& sa, const model::ConnectionConfig& config) {
  const auto stands = [&](model::ConnectionId connection, bool or_asks) {
    return std::ranges::any_of(core.sas.of_connection(connection), [&](const IkeSa* other) {
      return other->id != sa.id && (other->announced || (or_asks && has_asked(*other)));
    });
  };
  if (stands(config.id, false)) return false;
  int visits = 0;
  bool twin_stands = false;
  core.connections.find_candidate(sa.path, [&](const model::ConnectionConfig& one) {
    twin_stands = one.id != config.id && same_ends(one, config) && stands(one.id, true);
    return twin_stands || ++visits == kMostVisits;
  });
  return !twin_stands;
}

}  // namespace culvert::ike::v2
