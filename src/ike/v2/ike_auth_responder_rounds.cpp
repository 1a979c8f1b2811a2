// IKE_AUTH as responder with several rounds on either side (RFC 4739): each request is judged as the round of the
// initiator that it belongs to, then the answer takes our own next round along, and with the last of both sides the
// Child SA.
#include <utility>

#include <fmt/format.h>

#include "ike/v2/auth_rounds.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/eap_auth.hpp"
#include "ike/v2/ike_auth_responder.hpp"
#include "ike/v2/messages.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

void IkeAuthResponder::start_rounds() {
  rounds_.emplace();
  begin_peer_round(request_);
}

void IkeAuthResponder::begin_peer_round(const codec::Message& request) {
  if (auto fault = way_fault(connection_config(), sa_, rounds().peer, request)) return refuse_round(std::move(*fault));
  id_i_ = *request.id(Role::initiator);
  if (request.first<codec::AuthPayload>() == nullptr) {
    eap_ = EapStage::step;
    token_ = ask_eap(core_, sa_, connection_config(), EapRequest::Step::begin);
    return;
  }
  rounds().request = request;
  rounds().asked_for_proof = false;
  token_ = ask_about_peer(core_, sa_, in_peer_round(connection_config(), rounds().peer), request, id_i_, rounds().peer);
}

void IkeAuthResponder::handle_round_completion(Completion result) {
  if (auto* step = std::get_if<EapResult>(&result)) return take_eap_step(std::move(*step));
  if (!rounds().asked_for_proof) {
    if (auto fault = peer_fault(result, sa_, in_peer_round(connection_config(), rounds().peer), rounds().request))
      return refuse(NotifyType::authentication_failed, fault->kind, std::move(fault->detail),
                    std::move(fault->refusal));
    return end_peer_round();
  }
  rounds().asked_for_proof = false;
  auto proof = own_proof(std::move(result), in_own_round(connection_config(), rounds().own));
  if (!proof) return refuse(NotifyType::authentication_failed, FailureKind::local_error, std::move(proof.error()));
  add_proof(std::move(*proof), true);
  add_another_round(first_answer_, connection_config(), rounds().own);
  ++rounds().own;
  deliver_round();
}

void IkeAuthResponder::end_peer_round() {
  eap_ = EapStage::none;
  ++rounds().peer;
  core_.progress(sa_, fmt::format("round {} of {} of the authentication of {} has gone well", rounds().peer,
                                  peer_round_count(connection_config()), id_i_.identity.to_string()));
  answer_round();
}

void IkeAuthResponder::answer_round() {
  // One AUTH to a message: ours waits where that of EAP goes.
  const bool room = first_answer_.first<codec::AuthPayload>() == nullptr;
  if (rounds().own == own_round_count(connection_config()) || !room) return deliver_round();
  id_r_ = {.side = Role::responder, .identity = own_identity(connection_config(), sa_, rounds().own), .reserved = {}};
  rounds().asked_for_proof = true;
  token_ = ask_for_proof(core_, sa_, in_own_round(connection_config(), rounds().own), id_r_);
}

void IkeAuthResponder::deliver_round() {
  // RFC 4739 2.1: only when all of them have gone well is there an IKE SA.
  if (rounds().peer == peer_round_count(connection_config()) && rounds().own == own_round_count(connection_config())) {
    if (auto refusal = admission_refusal(core_, sa_, connection_config(), request_, group_))
      return refuse(NotifyType::authentication_failed, FailureKind::peer_refused, std::move(*refusal));
    return finish();
  }
  send_response(core_, sa_, model::ExchangeType::ike_auth, answering_, std::exchange(first_answer_, {}), path_);
}

void IkeAuthResponder::further_round(const codec::Message& request) {
  const bool begins = request.id(Role::initiator) != nullptr;
  const bool proves = request.first<codec::AuthPayload>() != nullptr || request.first<codec::EapPayload>() != nullptr;
  const bool peer_left = rounds().peer < peer_round_count(connection_config());
  if (peer_left && begins) return begin_peer_round(request);
  // RFC 4739 2.5: it has nothing more to prove, and asks for what is left of ours.
  if (!peer_left && !begins && !proves) return answer_round();
  refuse_round(peer_left ? fmt::format("the peer {} at {} does not begin round {} of {} that connection '{}' expects",
                                       sa_.remote_id.to_string(), path_.remote.to_string(), rounds().peer + 1,
                                       peer_round_count(connection_config()), connection_config().name)
                         : fmt::format("the peer {} at {} goes on after round {}; connection '{}' expects no other",
                                       sa_.remote_id.to_string(), path_.remote.to_string(), rounds().peer,
                                       connection_config().name));
}

void IkeAuthResponder::end_eap_round(const codec::Message& request) {
  if (auto fault = follow_fault(connection_config(), rounds().peer, request)) return refuse_round(std::move(*fault));
  first_answer_.add(codec::AuthPayload{.method = model::AuthenticationMethod::shared_key_mic,
                                       .data = to_bytes(eap_auth(sa_, id_r_, msk_).view())});
  end_peer_round();
}

void IkeAuthResponder::refuse_round(std::string why) {
  auto refusal = rounds_refusal(why);
  refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(why), std::move(refusal));
}

}  // namespace culvert::ike::v2
