#include "ike/v2/crash_token.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/secret.hpp"
#include "crypto/prf.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/life_state.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

// RFC 6290 5: 16 to 128 octets. With the shortest, the answer is no longer than any request of ours that it answers.
constexpr std::size_t kTokenSize = 16;
constexpr std::size_t kLongestToken = 128;
// RFC 6290 4.5: four at the least are looked at.
constexpr std::size_t kMostTokens = 4;

codec::NotifyPayload payload_of(Bytes token) {
  // RFC 6290 4.1: about an IKE SA.
  return {.protocol = model::ProtocolId::ike,
          .spi = {},
          .type = NotifyType::quick_crash_detection,
          .data = std::move(token)};
}

bool is_token(const codec::NotifyPayload& notify) {
  return notify.type == NotifyType::quick_crash_detection && notify.data.size() >= kTokenSize &&
         notify.data.size() <= kLongestToken;
}

std::array<std::uint8_t, 16> digest_of(ByteView token) {
  const Bytes whole = crypto::hash(crypto::HashId::sha2_256, {token});
  std::array<std::uint8_t, 16> digest{};
  std::copy_n(whole.begin(), digest.size(), digest.begin());
  return digest;
}

bool wants_tokens(const Core& core, const IkeSa& sa) {
  const auto* config = core.connections.find(sa.connection);
  return config != nullptr && config->life.crash_detection;
}

}  // namespace

// RFC 6290 5.1, with HMAC, so that no token says anything of the secret or of another token.
Bytes crash_token(const Core& core, model::IkeSpi spi_i, model::IkeSpi spi_r) {
  const auto& secrets = core.life->secrets;
  if (!secrets || secrets->crash_tokens.empty()) return {};
  ByteWriter spis;
  spis.u64(spi_i.value());
  spis.u64(spi_r.value());
  const SecretBytes mac = crypto::hmac(crypto::HashId::sha2_256, secrets->crash_tokens.view(),
                                       {as_bytes("culvert crash token"), spis.view()});
  return to_bytes(mac.view().first(kTokenSize));
}

void add_crash_token(codec::Message& message, const Core& core, IkeSa& sa, const model::ConnectionConfig& config) {
  if (!config.life.crash_detection) return;
  Bytes token = crash_token(core, sa.spi_i, sa.spi_r);
  if (token.empty()) return;
  message.add(payload_of(std::move(token)));
  sa.token_sent = true;
}

void send_crash_token(const Core& core, IkeSa& sa) {
  if (!wants_tokens(core, sa) || sa.token_sent) return;
  Bytes token = crash_token(core, sa.spi_i, sa.spi_r);
  if (token.empty()) return;
  sa.token_sent = true;
  sa.tasks.push_back({.task = NotifyTask{.type = NotifyType::quick_crash_detection, .data = std::move(token)}});
}

// RFC 6290 4.4: also another one in place of the first, as long as it comes under the IKE SA.
void take_crash_token(const Core& core, IkeSa& sa, const codec::Message& message) {
  const auto* notify = message.notify(NotifyType::quick_crash_detection);
  if (notify == nullptr || !is_token(*notify) || !wants_tokens(core, sa)) return;
  LifeState& life = life_of(sa);
  life.token = digest_of(notify->data);
  life.has_token = true;
}

// RFC 6290 9.2: never the token of an IKE SA that stands. Whoever turns the Initiator flag round, or takes the SPIs of
// another IKE SA, asks for just that: if either of the two is an SPI of ours, no token is shown.
Bytes token_for_stray(Core& core, model::IkeSpi spi_i, model::IkeSpi spi_r) {
  if (core.sas.knows_spi(spi_i) || core.sas.knows_spi(spi_r)) return {};
  if (spi_i.value() == 0 || spi_r.value() == 0) return {};
  return crash_token(core, spi_i, spi_r);
}

bool end_forgotten(Core& core, IkeSa& sa, const codec::ParsedMessage& parsed) {
  if (sa.phase != Phase::established || !sa.life || !sa.life->has_token || !wants_tokens(core, sa)) return false;
  bool right = false;
  bool shown = false;
  std::size_t seen = 0;
  for (const codec::Payload& payload : parsed.payloads) {
    const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
    if (notify == nullptr || !is_token(*notify) || ++seen > kMostTokens) continue;
    // RFC 6290 8.1: at a bounded rate.
    if (!shown && !core.life->token_checks.allow(core.now)) break;
    shown = true;
    right = constant_time_equal(digest_of(notify->data), sa.life->token) || right;
  }
  if (shown && !right) core.drop(DatagramDrop::bad_crash_token);
  if (!right) return false;
  // RFC 6290 3: without a word to the peer, which has proved that nobody is there.
  core.progress(sa, "the peer has proved that it knows nothing of this IKE SA any more");
  close_ike_sa(core, sa, CloseReason::peer_restarted, Phase::gone);
  return true;
}

}  // namespace culvert::ike::v2
