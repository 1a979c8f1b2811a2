#include "ike/v2/resumption.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/auth_rounds.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/life_state.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;
using model::Role;
using std::chrono::seconds;

// One that ends sooner is not worth its octets.
constexpr std::int64_t kShortest = 10;
constexpr std::int64_t kLongest = std::int64_t{24} * 3600;
// How long what was proved in full can be resumed once that IKE SA is gone, each time by the ticket of the one before,
// where nothing else ends it: certificates and secrets are not looked at again meanwhile.
constexpr std::int64_t kLongestChain = std::int64_t{24} * 3600;
// Of a peer's. RFC 5723 bounds neither.
constexpr std::size_t kLongestTicket = 8192;
constexpr Duration kLongestHeld = std::chrono::hours(24 * 7);
// RFC 5723 4.1: TICKET_ACK; it has none now.
constexpr Duration kAskAgain = seconds(10);
// A resumed IKE SA gets keys from a new key exchange of its own soon, and not with all others at once.
constexpr Duration kFreshKeysAfter = std::chrono::minutes(1);
constexpr Duration kFreshKeysWithin = std::chrono::minutes(9);

std::int64_t whole_seconds(Duration duration) { return std::chrono::duration_cast<seconds>(duration).count(); }

std::int64_t calendar_at(const Core& core, Instant at) {
  return core.life->calendar_now(core.now) + whole_seconds(at - core.now);
}

OptionalInstant auth_end(const IkeSa& sa) {
  if (!sa.life) return {};
  return sa.origin_role == Role::responder ? sa.life->good_until : sa.life->repeat_at;
}

// When the proof ends that a ticket for the IKE SA rests on.
std::int64_t proof_end(const Core& core, const IkeSa& sa) {
  const OptionalInstant auth = auth_end(sa);
  std::int64_t end = auth ? calendar_at(core, *auth) : core.life->calendar_now(core.now) + kLongestChain;
  if (!sa.life) return end;
  if (sa.life->proof_until != 0) end = std::min(end, sa.life->proof_until);
  if (sa.life->chain_until != 0) end = std::min(end, sa.life->chain_until);
  return end;
}

/// Seconds from now; nothing: there is to be none.
std::optional<std::int64_t> ticket_life(const Core& core, const IkeSa& sa, const model::ConnectionConfig& config) {
  std::int64_t life = whole_seconds(config.life.resumption);
  // RFC 5723 6.2: no longer than the IKE SA and its authentication.
  if (config.ike_lifetime > Duration::zero()) life = std::min(life, whole_seconds(config.ike_lifetime));
  // Nor than what the peer has proved itself with, and not longer again with each resumption.
  life = std::min({life, kLongest, proof_end(core, sa) - core.life->calendar_now(core.now)});
  return life < kShortest ? std::nullopt : std::optional(life);
}

bool can_be_resumed(const IkeSa& sa, const model::ConnectionConfig& config) {
  // RFC 7619: who has proved nothing gains nothing by it. Of several rounds (RFC 4739) each has its own identities. An
  // AAA server wants to hear of every session. What was proved by credentials of before is to be proved anew.
  return config.expected() != model::Authentication::none && !has_rounds(config) && !sa.admission.authorization() &&
         credentials_of(sa) == config.credential_group;
}

TicketState state_of(const Core& core, const IkeSa& sa, const model::ConnectionConfig& config, std::int64_t expires) {
  const bool begun_by_us = sa.origin_role == Role::initiator;
  const OptionalInstant auth = auth_end(sa);
  return {.expires = expires,
          .proof_until = proof_end(core, sa),
          .auth_until = auth ? calendar_at(core, *auth) : 0,
          .spi_i = sa.spi_i,
          .spi_r = sa.spi_r,
          .suite = sa.suite,
          .sk_d = SecretBytes::copy_of(sa.keys.sk_d()),
          .connection = config.name,
          .policy = policy_digest(config),
          .id_i = begun_by_us ? sa.local_id : sa.remote_id,
          .id_r = begun_by_us ? sa.remote_id : sa.local_id,
          .eap_identity = sa.admission.eap_identity(),
          .group = sa.admission.group(),
          .ppk_use = sa.ppk_use};
}

// Whether the other end may still have it and means the peer well when it comes with its ticket.
bool may_be_resumed_after(CloseReason reason) {
  return reason == CloseReason::peer_dead || reason == CloseReason::peer_restarted;
}

}  // namespace

model::ConnectionConfig as_resumed(model::ConnectionConfig config) {
  config.authentication = model::Authentication::shared_key;
  config.peer_authentication.reset();
  config.eap.reset();
  config.own_rounds.clear();
  config.peer_rounds.clear();
  config.authorities.clear();
  config.certificates_by_url = false;
  config.ask_ocsp = false;
  config.peer_by_key = false;
  // RFC 8784 3: what it brought is in SK_d.
  config.ppk.reset();
  return config;
}

Result<void, crypto::CryptoError> key_resumed(Core& core, IkeSa& sa, ByteView nonce_i, ByteView nonce_r) {
  const TicketState& state = sa.resumption->state;
  const auto prf = model::prf_function(state.suite.prf);
  if (!prf) return err(crypto::CryptoError::unsupported);
  sa.resumed = true;
  sa.ppk_use = state.ppk_use;
  const SecretBytes skeyseed = skeyseed_resumed(*prf, state.sk_d.view(), nonce_i, nonce_r);
  return key_ike_sa(core, sa, model::IkeSuite(state.suite), skeyseed.view(), nonce_i, nonce_r);
}

void restore_proof(Core& core, IkeSa& sa) {
  const TicketState& state = sa.resumption->state;
  LifeState& life = life_of(sa);
  life.chain_until = std::max<std::int64_t>(state.proof_until, 1);
  if (state.auth_until == 0) return;
  const std::int64_t left = state.auth_until - core.life->calendar_now(core.now);
  const Instant end = core.now + seconds(std::max<std::int64_t>(left, 0));
  auto& place = sa.role == Role::responder ? life.good_until : life.repeat_at;
  place = place ? std::min(*place, end) : end;
}

// ---------------------------------------------------------------- initiator

bool wants_tickets(const model::ConnectionConfig& config) {
  return config.life.resumption > Duration::zero() && config.authentication != model::Authentication::none &&
         config.expected() != model::Authentication::none && !has_rounds(config);
}

void request_ticket(codec::Message& message, const model::ConnectionConfig& config) {
  if (wants_tickets(config)) message.add_notify(NotifyType::ticket_request);
}

void take_ticket(Core& core, IkeSa& sa, const codec::Message& message) {
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  if (config == nullptr || !wants_tickets(*config) || sa.phase != Phase::established ||
      credentials_of(sa) != config->credential_group)
    return;
  const auto* note = message.notify(NotifyType::ticket_lt_opaque);
  if (note == nullptr) {
    if (message.notify(NotifyType::ticket_ack) != nullptr) life_of(sa).renew_ticket_at = core.now + kAskAgain;
    return;
  }
  if (note->data.size() <= 4 || note->data.size() > 4 + kLongestTicket) return;
  // RFC 5723 7.1.
  const std::int64_t bound = proof_end(core, sa) - core.life->calendar_now(core.now);
  const Duration life = std::min<Duration>(
      {seconds(load_be32(note->data.data())), kLongestHeld, seconds(std::max<std::int64_t>(bound, 0))});
  if (life < seconds(kShortest)) return;
  const TicketState state = state_of(core, sa, *config, 0);
  core.life->tickets.insert_or_assign(config->id, HeldTicket{.ticket = to_bytes(ByteView(note->data).subspan(4)),
                                                             .good_until = core.now + life,
                                                             .state = state.clone(),
                                                             .ike_sa = sa.id,
                                                             .gateway = sa.path.remote.address});
  // RFC 5723 4.1: another one before it ends.
  life_of(sa).renew_ticket_at = core.now + life * 3 / 4 + core.jitter(life / 8);
  core.progress(sa, fmt::format("the peer gave us a ticket to resume from, good for {} s", whole_seconds(life)));
  core.touch(sa);
}

void note_resumed(Core& core, IkeSa& sa) {
  if (!sa.resumed || !sa.connection) return;
  // RFC 5723 4.3.1: not to be shown again.
  forget_ticket(core, *sa.connection);
  // Whoever finds out the key of tickets, or ours, reads what follows from them: not for long.
  sa.rekey_at = earliest(sa.rekey_at, core.now + kFreshKeysAfter + core.jitter(kFreshKeysWithin));
  core.touch(sa);
}

void ask_for_ticket(IkeSa& sa) {
  sa.tasks.push_back({.task = NotifyTask{.type = NotifyType::ticket_request, .data = {}}});
}

HeldTicket* ticket_for(Core& core, const model::ConnectionConfig& config, const net::Path& path) {
  const auto found = core.life->tickets.find(config.id);
  if (found == core.life->tickets.end()) return nullptr;
  HeldTicket& held = found->second;
  // RFC 5723 4.3.1: never when it is known to have ended. What changed here may have changed whom we believe.
  const bool stale = held.good_until <= core.now || !wants_tickets(config) ||
                     held.state.policy != policy_digest(config) ||
                     !model::accepts(config.ike_proposals, held.state.suite);
  if (stale) {
    core.life->tickets.erase(found);
    return nullptr;
  }
  if (held.gateway != path.remote.address) return nullptr;
  // Whoever says nothing to a ticket is asked without it the next time, and then with it again.
  if (std::exchange(held.unanswered, false)) return nullptr;
  return &held;
}

void note_unanswered(Core& core, model::ConnectionId connection) {
  if (const auto held = core.life->tickets.find(connection); held != core.life->tickets.end())
    held->second.unanswered = true;
}

void forget_ticket(Core& core, model::ConnectionId connection) { core.life->tickets.erase(connection); }

// ---------------------------------------------------------------- responder

void answer_ticket_request(codec::Message& answer, Core& core, IkeSa& sa, const codec::Message& request) {
  if (request.notify(NotifyType::ticket_request) == nullptr) return;
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  const auto& secrets = core.life->secrets;
  const bool keys = secrets && !secrets->ticket_keys.empty();
  const bool wanted = config != nullptr && config->life.resumption > Duration::zero();
  const auto life = wanted && keys && sa.origin_role == Role::responder && can_be_resumed(sa, *config)
                        ? ticket_life(core, sa, *config)
                        : std::nullopt;
  // RFC 5723 4.1: one of the three answers must be given.
  if (!life) return answer.add_notify(NotifyType::ticket_nack);
  const std::int64_t expires = core.life->calendar_now(core.now) + *life;
  const Bytes ticket = seal_ticket(secrets->ticket_keys.front(), state_of(core, sa, *config, expires), core.random);
  if (ticket.empty()) return answer.add_notify(NotifyType::ticket_nack);
  ByteWriter data;
  data.u32(static_cast<std::uint32_t>(*life));
  data.bytes(ticket);
  answer.add_notify(NotifyType::ticket_lt_opaque, data.view());
  life_of(sa).ticket_until = std::max(life_of(sa).ticket_until, expires);
  ++core.counters.tickets;
}

void spend_ticket(Core& core, const TicketState& state) {
  // The IKE SA may have had other tickets, that end later.
  const std::int64_t now = core.life->calendar_now(core.now);
  core.life->spent.add({state.spi_i, state.spi_r}, std::max(state.expires, now + kLongest), now);
}

void end_resumed_from(Core& core, const TicketState& state) {
  for (const model::IkeSpi ours : {state.spi_r, state.spi_i}) {
    IkeSa* old = core.sas.find_by_spi(ours);
    if (old == nullptr || old->spi_i != state.spi_i || old->spi_r != state.spi_r) continue;
    if (old->phase != Phase::established) continue;
    core.progress(*old, "the peer resumes it as another one");
    return close_ike_sa(core, *old, CloseReason::superseded, Phase::gone);
  }
}

// ---------------------------------------------------------------- either

void note_end(Core& core, IkeSa& sa, CloseReason reason) {
  if (may_be_resumed_after(reason)) return;
  // RFC 5723 6.2: an IKE SA that is deleted takes its ticket along, at either end.
  if (sa.life && sa.life->ticket_until != 0) {
    core.life->spent.add({sa.spi_i, sa.spi_r}, std::exchange(sa.life->ticket_until, 0),
                         core.life->calendar_now(core.now));
  }
  if (!sa.connection) return;
  const auto held = core.life->tickets.find(*sa.connection);
  if (held != core.life->tickets.end() && held->second.ike_sa == sa.id) core.life->tickets.erase(held);
}

// RFC 5723 6.2: the ticket goes with the keys that it is for.
void renew_ticket(Core& core, IkeSa& old, IkeSa& next) {
  note_end(core, old, CloseReason::rekeyed);
  const model::ConnectionConfig* config = core.connections.find(next.connection);
  if (config == nullptr) return;
  const bool asked = old.life && old.life->renew_ticket_at;
  if (asked && next.origin_role == Role::initiator && wants_tickets(*config)) ask_for_ticket(next);
}

}  // namespace culvert::ike::v2
