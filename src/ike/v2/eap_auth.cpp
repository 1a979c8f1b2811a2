#include "ike/v2/eap_auth.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/text.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/v2/authentication.hpp"

namespace culvert::ike::v2 {

RequestToken ask_eap(Core& core, IkeSa& sa, const model::ConnectionConfig& config, EapRequest::Step step, Bytes packet,
                     bool only) {
  CHECK(config.eap);
  model::EapSettings settings = *config.eap;
  const bool kept_here = settings.radius.empty();
  const RequestToken token = kept_here ? core.expect_completion(sa) : core.expect_from_others(sa);
  settings.only = only;
  // RFC 5998 3: no other method may be offered, or taken.
  if (only) std::erase_if(settings.methods, [](model::EapType type) { return !model::may_stand_alone(type); });
  if (settings.client && !settings.server) settings.server = sa.remote_id;
  core.requests.push_back(EapRequest{.token = token,
                                     .connection = config.id,
                                     .ike_sa = sa.id,
                                     .step = step,
                                     .settings = std::move(settings),
                                     .packet = std::move(packet),
                                     .path = sa.path});
  sa.eap_under_way = true;
  return token;
}

// RFC 5998 3.
void add_eap_notifies(codec::Message& message, const model::ConnectionConfig& config) {
  if (config.eap && config.eap->client && config.eap->only)
    message.add_notify(model::NotifyType::eap_only_authentication);
}

bool is_eap_only(const codec::Message& request, const model::ConnectionConfig& config) {
  return config.eap && config.eap->only && request.notify(model::NotifyType::eap_only_authentication) != nullptr;
}

// RFC 5998 3, 6.1: without a key there would be no proof at all.
std::optional<std::string> eap_only_fault(const EapResult& result) {
  if (result.method && model::may_stand_alone(*result.method) && !result.msk.empty()) return std::nullopt;
  return fmt::format("{} does not prove both sides, and nothing else has", describe(result));
}

void end_eap(Core& core, IkeSa& sa) {
  if (!std::exchange(sa.eap_under_way, false)) return;
  core.requests.push_back(EapRequest{.token = {},
                                     .connection = sa.connection.value_or(model::ConnectionId{}),
                                     .ike_sa = sa.id,
                                     .step = EapRequest::Step::end,
                                     .settings = {},
                                     .packet = {}});
}

// RFC 7296 2.16: a method that makes no key leaves SK_pi and SK_pr, and so no more proof than the IKE SA itself.
SecretBytes eap_auth(const IkeSa& sa, const codec::IdPayload& id, const SecretBytes& msk) {
  const ByteView key = msk.empty() ? sa.keys.sk_p(id.side) : msk.view();
  return auth::shared_key_mac(sa.prf, key, octets_of(sa, id));
}

std::string describe(const EapResult& result) {
  std::string text = "EAP";
  if (!result.identity.empty()) text += fmt::format(" of '{}'", escaped(result.identity));
  if (result.method) text += fmt::format(" by {}", name_of(*result.method));
  return text;
}

}  // namespace culvert::ike::v2
