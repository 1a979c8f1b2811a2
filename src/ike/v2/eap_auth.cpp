#include "ike/v2/eap_auth.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/v2/authentication.hpp"

namespace culvert::ike::v2 {

RequestToken ask_eap(Core& core, IkeSa& sa, const model::ConnectionConfig& config, EapRequest::Step step,
                     Bytes packet) {
  const RequestToken token = core.expect_completion(sa);
  core.requests.push_back(EapRequest{.token = token,
                                     .connection = config.id,
                                     .ike_sa = sa.id,
                                     .step = step,
                                     .settings = *config.eap,
                                     .packet = std::move(packet),
                                     .path = sa.path});
  sa.eap_under_way = true;
  return token;
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
  const SecretBytes& key = msk.empty() ? sa.keys.sk_p(id.side) : msk;
  return auth::shared_key_mac(sa.prf, key.view(), octets_of(sa, id));
}

std::string describe(const EapResult& result) {
  std::string text = "EAP";
  if (!result.identity.empty()) text += fmt::format(" of '{}'", escaped(result.identity));
  if (result.method) text += fmt::format(" by {}", name_of(*result.method));
  return text;
}

}  // namespace culvert::ike::v2
