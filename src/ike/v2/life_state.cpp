#include "ike/v2/life_state.hpp"

#include <algorithm>

namespace culvert::ike::v2 {

LifeState& life_of(IkeSa& sa) {
  if (!sa.life) sa.life = std::make_unique<LifeState>();
  return *sa.life;
}

std::uint32_t credentials_of(const IkeSa& sa) { return sa.life ? sa.life->credentials : 0; }

void note_proof_end(IkeSa& sa, std::optional<std::int64_t> end) {
  if (!end) return;
  LifeState& life = life_of(sa);
  life.proof_until = life.proof_until == 0 ? *end : std::min(life.proof_until, *end);
}

// Not the token: it goes with the SPIs (RFC 6290 4.3).
void inherit_life(const IkeSa& old, IkeSa& next) {
  if (!old.life) return;
  const LifeState& was = *old.life;
  const bool something = was.peer_follows || was.repeat_at || was.good_until || was.retire_at || was.proof_until != 0 ||
                         was.chain_until != 0 || was.credentials != 0;
  if (!something) return;
  LifeState& now = life_of(next);
  now.proof_until = was.proof_until;
  now.chain_until = was.chain_until;
  now.credentials = was.credentials;
  now.peer_follows = was.peer_follows;
  // RFC 4478 2: the limit goes on to the IKE SA that a rekey makes.
  now.repeat_at = was.repeat_at;
  now.good_until = was.good_until;
  now.replaces = was.replaces;
  now.retire_at = was.retire_at;
  now.retire_by = was.retire_by;
}

}  // namespace culvert::ike::v2
