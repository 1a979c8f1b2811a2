// IKE_AUTH as initiator that proves itself by EAP (RFC 7296 2.16): the responder's proof first, and nothing of ours
// before it is found right; then the method, then AUTH by its key from both sides.
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/text.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/eap_auth.hpp"
#include "ike/v2/ike_auth_initiator.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/ppk.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

Progression IkeAuthInitiator::handle_eap_response(const codec::Message& response) {
  if (sa_.terminating && eap_ != EapStage::server_auth) {
    // The responder takes nothing for established yet.
    abandon();
    close_ike_sa(core_, sa_, CloseReason::local_request, Phase::gone);
    return Progression::done;
  }
  const auto* eap = response.first<codec::EapPayload>();
  const auto* error = response.error_notify();
  if (error != nullptr && response.first<codec::AuthPayload>() == nullptr) {
    if (eap_ == EapStage::server && eap != nullptr) {
      eap_end_ = error->type;
      eap_ = EapStage::step;
      token_ = ask_eap(core_, sa_, config_, EapRequest::Step::packet, eap->message, eap_only_);
      return Progression::waiting;
    }
    return refused_by_peer(error->type, std::nullopt);
  }
  switch (eap_) {
    case EapStage::first_answer: return begin_eap(response);
    case EapStage::server:
      if (eap == nullptr || response.first<codec::AuthPayload>() != nullptr) break;
      eap_ = EapStage::step;
      token_ = ask_eap(core_, sa_, config_, EapRequest::Step::packet, eap->message, eap_only_);
      return Progression::waiting;
    case EapStage::server_auth:
      if (eap != nullptr || response.first<codec::AuthPayload>() == nullptr) break;
      return check_eap_auth(response);
    default: break;
  }
  handle_bad_response("it is not what EAP wants now");
  return Progression::done;
}

Progression IkeAuthInitiator::begin_eap(const codec::Message& response) {
  const auto* id_r = response.id(Role::responder);
  const auto* eap = response.first<codec::EapPayload>();
  if (id_r == nullptr) {
    handle_bad_response(fmt::format("the {} payload is missing", name_of(model::PayloadType::id_r)));
    return Progression::done;
  }
  // RFC 7296 2.16: the responder proves itself before EAP; who we are is for nobody else. RFC 5998 3: unless EAP alone
  // was asked for. A responder that does not know that has AUTH, and is judged by it.
  CHECK(config_.eap);
  eap_only_ = config_.eap->only && response.first<codec::AuthPayload>() == nullptr;
  if (response.first<codec::AuthPayload>() == nullptr && !eap_only_)
    return refuse_in_eap(FailureKind::authentication_failed,
                         fmt::format("{} wants EAP of us without proving who it is", sa_.path.remote.to_string()));
  if (eap == nullptr)
    return refuse_in_eap(FailureKind::authentication_failed,
                         fmt::format("{} does not ask for EAP, connection '{}' has nothing else",
                                     sa_.path.remote.to_string(), config_.name));
  if (!fits_responder(response)) return Progression::done;
  id_r_ = *id_r;
  response_ = response;
  if (eap_only_) {
    eap_ = EapStage::step;
    token_ = ask_eap(core_, sa_, config_, EapRequest::Step::packet, eap->message, true);
    return Progression::waiting;
  }
  eap_packet_ = eap->message;
  eap_ = EapStage::verdict;
  token_ = ask_about_peer(core_, sa_, config_, response, *id_r);
  return Progression::waiting;
}

Progression IkeAuthInitiator::handle_eap_completion(Completion result) {
  if (const auto* step = std::get_if<EapResult>(&result)) return take_eap_step(*step);
  if (auto* mixed = std::get_if<PpkResult>(&result)) {
    if (take_ppk(core_, sa_, std::move(*mixed), config_)) return prove_by_eap();
    return refuse_in_eap(FailureKind::local_error, fmt::format("there is no PPK for connection '{}'", config_.name));
  }
  CHECK(response_);
  if (auto fault = peer_fault(result, sa_, config_, *response_))
    return refuse_in_eap(fault->kind, std::move(fault->detail), std::move(fault->refusal));
  eap_ = EapStage::step;
  token_ = ask_eap(core_, sa_, config_, EapRequest::Step::packet, std::exchange(eap_packet_, {}));
  return Progression::waiting;
}

Progression IkeAuthInitiator::take_eap_step(const EapResult& result) {
  if (result.state != EapResult::State::going) end_eap(core_, sa_);
  if (eap_end_) return refused_by_peer(*eap_end_, result.refusal);
  codec::Message message;
  switch (result.state) {
    case EapResult::State::failure:
      return refuse_in_eap(FailureKind::authentication_failed,
                           fmt::format("{} with {} failed: {}", describe(result), sa_.path.remote.to_string(),
                                       result.refusal ? result.refusal->to_string() : "no reason is known"),
                           result.refusal);
    case EapResult::State::going:
      eap_ = EapStage::server;
      message.add(codec::EapPayload{.message = result.packet});
      break;
    case EapResult::State::success:
      if (eap_only_) {
        if (auto fault = eap_only_fault(result))
          return refuse_in_eap(FailureKind::authentication_failed, std::move(*fault));
      }
      core_.progress(sa_, fmt::format("{} has gone well", describe(result)));
      sa_.admission.set_eap_identity(result.identity);
      msk_ = result.msk.clone();
      return prove_by_eap();
  }
  send_request(core_, sa_, type(), std::move(message));
  return Progression::waiting;
}

Progression IkeAuthInitiator::prove_by_eap() {
  Bytes auth = to_bytes(eap_auth(sa_, id_i_, msk_).view());
  if (sa_.ppk && !sa_.ppk->intermediate && eap_ != EapStage::ppk) {
    eap_ = EapStage::ppk;
    // RFC 8784 3: for a responder that does not have this PPK.
    if (!config_.ppk->required) sa_.ppk->auth_without = std::move(auth);
    token_ = ask_for_ppk(core_, sa_, config_);
    return Progression::waiting;
  }
  eap_ = EapStage::server_auth;
  codec::Message message;
  message.add(codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic, .data = std::move(auth)});
  add_ppk(message, sa_, config_);
  if (rounds_) add_another_round(message, config_, rounds().own);
  send_request(core_, sa_, type(), std::move(message));
  return Progression::waiting;
}

// RFC 7296 2.21.2: before the responder's proof it may be anyone's word, but the IKE SA cannot go on.
Progression IkeAuthInitiator::refused_by_peer(NotifyType error,
                                              const std::optional<model::AuthenticationRefusal>& refusal) {
  CHECK(config_.eap);
  std::string detail =
      fmt::format("{} refused IKE_AUTH with {}; we are {}, '{}' within EAP", sa_.path.remote.to_string(),
                  describe(error), sa_.local_id.to_string(), escaped(config_.eap->identity));
  if (refusal) detail += fmt::format(": {}", refusal->to_string());
  abandon();
  fail_negotiation(core_, sa_, failure_kind(error), error, std::move(detail), Phase::gone, refusal);
  return Progression::done;
}

Progression IkeAuthInitiator::check_eap_auth(const codec::Message& response) {
  if (auto missing = settle_ppk(sa_, response, config_)) {
    refuse_peer(FailureKind::authentication_failed, std::move(*missing));
    return Progression::done;
  }
  const auto* auth = response.first<codec::AuthPayload>();
  const bool right = auth->method == model::AuthenticationMethod::shared_key_mic &&
                     auth::auth_matches(eap_auth(sa_, id_r_, msk_), auth->data);
  if (!right) {
    refuse_peer(
        FailureKind::authentication_failed,
        fmt::format("the AUTH of the peer {} at {} does not fit the key that EAP has made; is somebody between us?",
                    sa_.remote_id.to_string(), sa_.path.remote.to_string()));
    return Progression::done;
  }
  if (rounds_) return end_own_round(response);
  conclude(response);
  return Progression::done;
}

Progression IkeAuthInitiator::refuse_in_eap(FailureKind kind, std::string detail,
                                            std::optional<model::AuthenticationRefusal> refusal) {
  abandon();
  fail_negotiation(core_, sa_, kind, std::nullopt, std::move(detail), Phase::gone, std::move(refusal));
  return Progression::done;
}

}  // namespace culvert::ike::v2
