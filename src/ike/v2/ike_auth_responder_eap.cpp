// IKE_AUTH as responder where the peer proves itself by EAP (RFC 7296 2.16): our proof goes first, then the method has
// as many rounds as it needs, then both sides show by AUTH that they ended with the same key.
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/auth/shared_key.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/eap_auth.hpp"
#include "ike/v2/ike_auth_responder.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/ppk.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

void IkeAuthResponder::start_eap() {
  eap_only_ = is_eap_only(request_, connection_config());
  if (eap_only_) {
    first_answer_.add(id_r_);
    eap_ = EapStage::step;
    token_ = ask_eap(core_, sa_, connection_config(), EapRequest::Step::begin, {}, true);
    return;
  }
  eap_ = EapStage::own_proof;
  token_ = ask_for_proof(core_, sa_, connection_config(), id_r_);
}

void IkeAuthResponder::handle_eap_completion(Completion result) {
  if (auto* step = std::get_if<EapResult>(&result)) return take_eap_step(std::move(*step));
  auto proof = own_proof(std::move(result), connection_config());
  if (!proof) return refuse(NotifyType::authentication_failed, FailureKind::local_error, std::move(proof.error()));
  add_proof(std::move(*proof), true);
  eap_ = EapStage::step;
  token_ = ask_eap(core_, sa_, connection_config(), EapRequest::Step::begin);
}

void IkeAuthResponder::take_eap_step(EapResult result) {
  switch (result.state) {
    case EapResult::State::going:
      // Some clients hang up instead of acknowledging: the reason must not wait for them.
      if (result.refusal && !std::exchange(reported_, true)) core_.emit(refused_in_eap(result));
      eap_ = EapStage::peer;
      return send_eap(std::move(result.packet));
    case EapResult::State::success:
      end_eap(core_, sa_);
      if (eap_only_) {
        if (auto fault = eap_only_fault(result))
          return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(*fault));
      }
      sa_.admission.set_eap_identity(result.identity);
      note_proof_end(sa_, result.good_until);
      sa_.admission.set_authorization(std::move(result.authorization));
      msk_ = std::move(result.msk);
      group_ = std::move(result.group);
      core_.progress(sa_, fmt::format("{} has gone well", describe(result)));
      eap_ = EapStage::peer_auth;
      return send_eap(std::move(result.packet));
    case EapResult::State::failure: break;
  }
  end_eap(core_, sa_);
  // Told here, since only EAP knows who came.
  if (!std::exchange(reported_, true)) core_.emit(refused_in_eap(result));
  eap_farewell_ = std::move(result.packet);
  refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, {});
}

NegotiationFailed IkeAuthResponder::refused_in_eap(const EapResult& result) const {
  return {.connection = sa_.connection,
          .path = path_,
          .role = Role::responder,
          .kind = FailureKind::authentication_failed,
          .notify = NotifyType::authentication_failed,
          .detail = fmt::format("the peer {} at {} is refused by connection '{}': {}: {}", sa_.remote_id.to_string(),
                                path_.remote.to_string(), connection_config().name, describe(result),
                                result.refusal ? result.refusal->to_string() : "it failed"),
          .child_only = false,
          .wish = std::nullopt,
          .refusal = result.refusal,
          // Many clients say no more than their address in IKE, and share it behind a NAT.
          .identity = result.identity.empty() ? named_peer(sa_) : escaped(result.identity)};
}

void IkeAuthResponder::send_eap(Bytes packet) {
  if (rounds_) {
    first_answer_.add(codec::EapPayload{.message = std::move(packet)});
    return answer_round();
  }
  codec::Message answer = std::exchange(first_answer_, {});
  answer.add(codec::EapPayload{.message = std::move(packet)});
  send_response(core_, sa_, model::ExchangeType::ike_auth, answering_, std::move(answer), path_);
}

void IkeAuthResponder::handle_further(const codec::Message& request, const net::Path& path) {
  path_ = path;
  sa_.path = path;
  answering_ = request.header.message_id;
  const auto* eap = request.first<codec::EapPayload>();
  const auto* auth = request.first<codec::AuthPayload>();
  const bool first = request.id(Role::initiator) != nullptr;
  if (eap_ == EapStage::peer && eap != nullptr && auth == nullptr && !first) {
    eap_ = EapStage::step;
    token_ = ask_eap(core_, sa_, connection_config(), EapRequest::Step::packet, eap->message, eap_only_);
    return;
  }
  if (eap_ == EapStage::peer_auth && auth != nullptr && eap == nullptr && !first) return check_eap_auth(request);
  if (rounds_ && eap_ == EapStage::none) return further_round(request);
  refuse(NotifyType::invalid_syntax, FailureKind::protocol_error,
         fmt::format("the peer {} sent another IKE_AUTH request that has no place there", sa_.path.remote.to_string()));
}

// RFC 8784 3: the PPK is named with the AUTH behind EAP; our own first AUTH was without it.
void IkeAuthResponder::check_eap_auth(codec::Message request) {
  if (rounds_) return take_eap_auth(request);  // which have no PPK
  PpkVerdict ppk = judge_ppk(core_, sa_, request, connection_config());
  if (ppk.refusal)
    return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(*ppk.refusal));
  if (!ppk.asked) return take_eap_auth(request);
  eap_ = EapStage::ppk;
  eap_request_ = std::move(request);
  token_ = *ppk.asked;
}

void IkeAuthResponder::take_eap_auth(const codec::Message& request) {
  const auto* auth = request.first<codec::AuthPayload>();
  const bool right = auth->method == model::AuthenticationMethod::shared_key_mic &&
                     auth::auth_matches(eap_auth(sa_, id_i_, msk_), auth->data);
  if (!right) {
    return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed,
                  fmt::format("the peer {} at {} is refused by connection '{}': its AUTH does not fit the key that EAP "
                              "has made; is somebody between us?",
                              sa_.remote_id.to_string(), path_.remote.to_string(), connection_config().name));
  }
  if (rounds_) return end_eap_round(request);
  if (auto refusal = admission_refusal(core_, sa_, connection_config(), request_, group_))
    return refuse(NotifyType::authentication_failed, FailureKind::peer_refused, std::move(*refusal));
  eap_ = EapStage::step;  // nothing more is expected of the peer
  add_proof({.method = model::AuthenticationMethod::shared_key_mic,
             .auth = to_bytes(eap_auth(sa_, id_r_, msk_).view()),
             .certificates = {},
             .raw_key = {}},
            false);
  finish();
}

}  // namespace culvert::ike::v2
