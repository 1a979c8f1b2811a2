#include "ike/v2/rekey_ike_sa_initiator.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/retry.hpp"
#include "model/doable.hpp"

namespace culvert::ike::v2 {

using model::KeyExchangeMethod;
using model::NotifyType;
using model::Role;

namespace {

constexpr unsigned kMostMethods = 3;

Bytes spi_octets(model::IkeSpi spi) {
  ByteWriter writer;
  writer.u64(spi.value());
  return writer.take();
}

}  // namespace

// Once more when the key pair is there: what has changed meanwhile counts.
Progression RekeyIkeSaInitiator::start() {
  const model::ConnectionConfig* config = core_.connections.find(sa_.connection);
  if (config == nullptr || sa_.phase != Phase::established) return Progression::done;
  offered_ = model::without_what_cannot_be_done(config->ike_proposals);
  const auto methods = usable_methods(offered_);
  KeyExchangeMethod method = retry_.method;
  if (method == KeyExchangeMethod::none) {
    // The method in use is the one that the peer surely has.
    const bool in_use = std::ranges::find(methods, sa_.suite.key_exchange) != methods.end();
    method = in_use || methods.empty() ? sa_.suite.key_exchange : methods.front();
  }
  if (key_exchange_ && method_ == method) return send();
  method_ = method;
  token_ = ask_for_key_pair(core_, sa_, method);
  return Progression::waiting;
}

Progression RekeyIkeSaInitiator::send() {
  spi_ = core_.new_ike_spi();
  promise_ = core_.sas.promise(spi_);
  nonce_ = core_.new_nonce();
  std::uint8_t number = 0;
  for (model::Proposal& proposal : offered_) {
    proposal.number = ++number;
    proposal.spi = spi_octets(spi_);
  }
  codec::Message message;
  message.add(codec::SaPayload{offered_});
  message.add(codec::NoncePayload{nonce_});
  message.add(codec::KePayload{.method = method_, .public_value = to_bytes(key_exchange_->public_value())});
  send_request(core_, sa_, type(), std::move(message));
  sent_ = true;
  core_.progress(sa_, "rekeying the IKE SA");
  return Progression::waiting;
}

Progression RekeyIkeSaInitiator::handle_completion(RequestToken token, Completion result) {
  if (series_) return follow(series_->take(token, std::move(result)));
  if (token != token_) return Progression::waiting;
  KeyExchangeResult computed = key_exchange_result(std::move(result));
  key_exchange_ = std::move(computed.own);
  if (response_) {
    computed_ = std::move(computed);
    return handle_response(*response_);
  }
  if (!key_exchange_) {
    fail(FailureKind::local_error, std::nullopt, fmt::format("no key pair for {}", describe(method_)));
    return Progression::done;
  }
  return start();
}

// Once more when the shared secret is there, as if the response had come only now.
Progression RekeyIkeSaInitiator::handle_response(const codec::Message& response) {
  if (series_) return follow(series_->take(response));
  if (response.first<codec::SaPayload>() == nullptr) {
    handle_refusal(*response.error_notify());
    return Progression::done;
  }
  auto accepted = accept(response);
  if (!accepted || (computed_ && computed_->fault)) {
    fail_for(response);
    return Progression::done;
  }
  if (!computed_) {
    response_ = response;
    token_ = ask_for_shared_secret(core_, sa_, method_, std::move(key_exchange_),
                                   response.first<codec::KePayload>()->public_value);
    return Progression::waiting;
  }
  if (!model::methods_of(accepted->ike.additional).empty()) return follow_up(response, std::move(*accepted));
  finish(response, *accepted, {});
  return Progression::done;
}

void RekeyIkeSaInitiator::finish(const codec::Message& response, const model::ChosenProposal& accepted,
                                 ByteView further) {
  CHECK(computed_);
  IkeSa* next = make_rekeyed_ike_sa(
      core_, sa_, accepted.ike, Role::initiator, spi_, model::IkeSpi(load_be64(accepted.proposal.spi.data())),
      computed_->shared_secret.view(), nonce_, response.first<codec::NoncePayload>()->data, further);
  if (next != nullptr) {
    take_crash_token(core_, *next, response);
    return settle(response, *next);
  }
  fail(FailureKind::local_error, std::nullopt, fmt::format("no keys for {}", model::to_string(accepted.ike)));
}

Progression RekeyIkeSaInitiator::follow_up(const codec::Message& response, model::ChosenProposal accepted) {
  // Closed meanwhile, or rekeyed by the peer, which has no IKE SA of this exchange yet.
  if (sa_.phase != Phase::established) return Progression::done;
  const Standing standing = compare(response.first<codec::NoncePayload>()->data);
  // RFC 9370 2.2.4: there is nothing yet that could be deleted.
  if (standing.loses) {
    core_.progress(sa_, "the peer rekeyed the IKE SA at the same time; its one stays");
    sa_.candidate.reset();
    if (standing.theirs != nullptr) {
      promote(core_, sa_, *standing.theirs);
    } else if (collision_ && collision_->deleted) {
      close_with_theirs();
    } else {
      // Should the peer's additional key exchanges never come to their end, ours is due again.
      retry(Duration::zero(), method_);
    }
    return Progression::done;
  }
  win(standing.theirs);
  auto methods = model::methods_of(accepted.ike.additional);
  accepted_ = std::move(accepted);
  series_.emplace(core_, sa_, std::move(methods));
  return follow(series_->begin(response));
}

Progression RekeyIkeSaInitiator::follow(FollowUpSeries::Step step) {
  if (step == FollowUpSeries::Step::waiting) return Progression::waiting;
  if (step == FollowUpSeries::Step::done) {
    finish(*response_, *accepted_, series_->secrets());
  } else if (sa_.phase == Phase::established) {
    fail_series();
  }
  return Progression::done;
}

void RekeyIkeSaInitiator::fail_series() {
  CHECK(series_);
  const FollowUpFault& fault = series_->fault();
  if (fault.notify == NotifyType::state_not_found) {
    core_.progress(sa_, fault.detail);
    if (!is_forgotten_for_good(core_, sa_, retry_)) retry(Duration::zero(), method_);
  } else if (fault.notify == NotifyType::temporary_failure) {
    if (!give_up_on_temporary_failure(core_, sa_, retry_)) retry(collision_delay(core_, sa_.expire_at), method_);
  } else {
    fail(fault.kind, fault.notify, fault.detail);
  }
}

std::optional<model::ChosenProposal> RekeyIkeSaInitiator::accept(const codec::Message& response) const {
  const auto* ke = response.first<codec::KePayload>();
  auto accepted = model::accept_answer(response.first<codec::SaPayload>()->proposals, offered_,
                                       {.prefer_method = method_, .additional_key_exchanges = true});
  if (!accepted || !is_usable(accepted->ike)) return std::nullopt;
  const bool spi_fits = accepted->proposal.spi.size() == 8 && load_be64(accepted->proposal.spi.data()) != 0;
  const bool ke_fits = ke != nullptr && ke->method == accepted->ike.key_exchange && ke->method == method_;
  return spi_fits && ke_fits ? std::move(accepted) : std::nullopt;
}

void RekeyIkeSaInitiator::fail_for(const codec::Message& response) {
  fail(FailureKind::protocol_error, std::nullopt,
       fmt::format("the peer answered the rekey of the IKE SA with {}, which is no valid choice from our offer {}",
                   describe(response.first<codec::SaPayload>()->proposals), describe(offered_)));
  // RFC 7296 2.18, 2.21: the peer has a successor that took its Child SAs, and that we have no keys for: all that can
  // still be cleaned up is this one.
  if (sa_.phase == Phase::established) close_with_delete(core_, sa_, CloseReason::protocol_error);
}

void RekeyIkeSaInitiator::settle(const codec::Message& response, IkeSa& next) {
  // Closed meanwhile: the peer has a successor of it that nobody wants.
  if (sa_.phase == Phase::closing) return delete_unannounced(core_, next);
  // The peer may have shown already that its one survives, and taken over with it.
  const bool decided = sa_.phase == Phase::rekeyed;
  const Standing standing = compare(response.first<codec::NoncePayload>()->data);
  if (decided || standing.loses) {
    core_.progress(sa_, "the peer rekeyed the IKE SA at the same time; its one stays");
    delete_unannounced(core_, next);
    sa_.candidate.reset();
    if (decided) return;
    if (standing.theirs != nullptr) return promote(core_, sa_, *standing.theirs);
    if (collision_->deleted) return close_with_theirs();
    return retry(Duration::zero(), method_);
  }
  win(standing.theirs);
  promote(core_, sa_, next);
  // RFC 7296 2.8: the initiator deletes the old IKE SA, with the last request on it.
  sa_.tasks.push_back({.task = DeleteIkeTask{.reason = CloseReason::rekeyed}});
}

// RFC 7296 2.8.2: as with Child SAs, the lowest of the four nonces decides.
RekeyIkeSaInitiator::Standing RekeyIkeSaInitiator::compare(const Bytes& nonce_r) const {
  IkeSa* theirs = collision_ && collision_->ike_sa ? core_.sas.find(*collision_->ike_sa) : nullptr;
  if (theirs != nullptr && theirs->phase != Phase::candidate) theirs = nullptr;
  // RFC 9370 2.2.4: also before it is made. And when it is deleted already: the nonces tell why the peer did so.
  const bool stands = collision_ && (theirs != nullptr || collision_->deleted || awaits_rekey_of(sa_, std::nullopt));
  return {.theirs = theirs,
          .loses = stands && has_lowest_nonce(nonce_, nonce_r, collision_->nonce_i, collision_->nonce_r)};
}

void RekeyIkeSaInitiator::win(IkeSa* theirs) {
  sa_.candidate.reset();
  collision_.reset();
  cancel_rekey_of(core_, sa_, std::nullopt);
  if (theirs == nullptr) return;
  // The peer deletes it; until then it only answers.
  theirs->phase = Phase::closing;
  theirs->phase_deadline = core_.now + core_.answer_linger();
  core_.touch(*theirs);
}

void RekeyIkeSaInitiator::close_with_theirs() {
  core_.progress(sa_, "the peer has deleted the IKE SA that its rekey made");
  close_with_delete(core_, sa_, CloseReason::peer_deleted);
}

void RekeyIkeSaInitiator::handle_refusal(const codec::NotifyPayload& error) {
  if (sa_.phase != Phase::established) return;
  IkeSa* theirs = sa_.candidate ? core_.sas.find(*std::exchange(sa_.candidate, std::nullopt)) : nullptr;
  if (theirs != nullptr && theirs->phase == Phase::candidate) {
    // RFC 7296 2.8.2: only we noticed the collision; the peer's rekey is done.
    return promote(core_, sa_, *theirs);
  }
  // RFC 9370 2.2.4: likewise, but it is not done yet.
  if (awaits_rekey_of(sa_, std::nullopt)) return retry(Duration::zero(), method_);
  if (error.type == NotifyType::temporary_failure) {
    if (!give_up_on_temporary_failure(core_, sa_, retry_)) retry(collision_delay(core_, sa_.expire_at), method_);
    return;
  }
  if (error.type == NotifyType::invalid_ke_payload && error.data.size() == 2) {
    const auto wanted = static_cast<KeyExchangeMethod>(load_be16(error.data.data()));
    const auto methods = usable_methods(offered_);
    if (std::ranges::find(methods, wanted) != methods.end() && wanted != method_ && ++retry_.attempts < kMostMethods) {
      return retry(Duration::zero(), wanted);
    }
  }
  fail(failure_kind(error.type), error.type,
       fmt::format("the peer refused to rekey the IKE SA with {}; we offered {}", describe(error.type),
                   describe(offered_)));
}

void RekeyIkeSaInitiator::fail(FailureKind kind, std::optional<NotifyType> notify, std::string detail) {
  if (sa_.phase != Phase::established) return;
  report_child_failure(core_, sa_, Role::initiator, kind, notify, std::move(detail));
  retry_ = {};
  retry(retry_delay(core_, sa_.expire_at));
}

void RekeyIkeSaInitiator::retry(Duration after, KeyExchangeMethod method) {
  Retry next = retry_;
  next.method = method;
  sa_.tasks.push_back({.task = RekeyIkeTask{.retry = next}, .not_before = core_.now + after});
  core_.touch(sa_);
}

IkeSa* make_rekeyed_ike_sa(Core& core, IkeSa& old, const model::IkeSuite& suite, Role role, model::IkeSpi spi_i,
                           model::IkeSpi spi_r, ByteView shared_secret, ByteView nonce_i, ByteView nonce_r,
                           ByteView further) {
  IkeSa& next = core.sas.add(core.next_ike_sa_id());
  next.phase = Phase::candidate;
  next.role = role;
  next.spi_i = spi_i;
  next.spi_r = spi_r;
  next.path = old.path;
  next.connection = old.connection;
  next.local_id = old.local_id;
  next.remote_id = old.remote_id;
  next.admission = old.admission;
  next.one_of_many = old.one_of_many;
  next.inner = old.inner;
  next.nat_traversal = old.nat_traversal;
  next.local_behind_nat = old.local_behind_nat;
  next.remote_behind_nat = old.remote_behind_nat;
  next.mobike = old.mobike;
  next.ppk_use = old.ppk_use;
  next.message_id_sync = old.message_id_sync;
  next.replay_counter_sync = old.replay_counter_sync;
  // RFC 7383 2.3: IKE_SA_INIT alone agrees on it; what its peers know goes on with the IKE SAs that come of it.
  next.fragmentation.agreed = old.fragmentation.agreed;
  next.fragmentation.size = old.fragmentation.size;
  next.predecessor = old.id;
  next.authenticated = true;
  next.begun_at = old.begun_at;
  next.begun_order = old.begun_order;
  next.creations = old.creations;
  inherit_life(old, next);
  next.last_inbound = core.now;
  core.sas.index_spi(next);
  core.touch(next);
  // RFC 7296 2.18: the prf of the old IKE SA makes SKEYSEED, that of the new one the keys.
  const SecretBytes skeyseed = skeyseed_rekey(old.prf, old.keys.sk_d(), shared_secret, nonce_i, nonce_r, further);
  if (key_ike_sa(core, next, suite, skeyseed.view(), nonce_i, nonce_r)) return &next;
  next.phase = Phase::gone;
  return nullptr;
}

}  // namespace culvert::ike::v2
