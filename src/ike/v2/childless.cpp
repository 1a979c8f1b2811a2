#include "ike/v2/childless.hpp"

#include "ike/v2/life_state.hpp"

namespace culvert::ike::v2 {

using model::Childless;
using model::NotifyType;

void add_childless(codec::Message& response, const model::ConnectionConfig* config) {
  // RFC 6023 3: who is configured not to take them is as one that does not know them.
  if (config == nullptr || config->life.childless == Childless::never) return;
  // RFC 6023 4: about an IKE SA.
  response.add(codec::NotifyPayload{
      .protocol = model::ProtocolId::ike, .spi = {}, .type = NotifyType::childless_ikev2_supported, .data = {}});
}

bool note_childless(IkeSa& sa, const codec::Message& response, const model::ConnectionConfig& config) {
  const Childless wanted = config.life.childless;
  if (wanted != Childless::prefer && wanted != Childless::force) return true;
  if (response.notify(NotifyType::childless_ikev2_supported) == nullptr) return wanted != Childless::force;
  life_of(sa).peer_childless = true;
  return true;
}

// RFC 6023 3: only where the responder has said that it takes them.
bool begins_childless(const IkeSa& sa, const model::ConnectionConfig& config) {
  const Childless wanted = config.life.childless;
  return (wanted == Childless::prefer || wanted == Childless::force) && sa.life && sa.life->peer_childless;
}

bool is_childless(const codec::Message& request) {
  return request.first<codec::SaPayload>() == nullptr && request.ts(model::Role::initiator) == nullptr &&
         request.ts(model::Role::responder) == nullptr;
}

}  // namespace culvert::ike::v2
