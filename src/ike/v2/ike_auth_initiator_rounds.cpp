// IKE_AUTH as initiator with several rounds on either side (RFC 4739): what the response says of the responder comes
// first, then what it means for the round of ours, then what the next request is.
#include <utility>

#include <fmt/format.h>

#include "ike/v2/auth_rounds.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/eap_auth.hpp"
#include "ike/v2/ike_auth_initiator.hpp"
#include "ike/v2/messages.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

namespace {

// RFC 7296 1.2: the IKE SA stands, without a Child SA.
bool is_about_child(NotifyType error) {
  switch (error) {
    case NotifyType::no_proposal_chosen:
    case NotifyType::ts_unacceptable:
    case NotifyType::single_pair_required:
    case NotifyType::internal_address_failure:
    case NotifyType::failed_cp_required: return true;
    default: return false;
  }
}

}  // namespace

Progression IkeAuthInitiator::start_rounds() {
  // RFC 4739 2.1: both sides must know of it; who we are is not for a peer that does not.
  if (!sa_.init->wishes.several_rounds) {
    std::string detail = fmt::format("{} does not know of several rounds of authentication, which connection '{}' has",
                                     sa_.path.remote.to_string(), config_.name);
    auto refusal = rounds_refusal(detail);
    fail_negotiation(core_, sa_, FailureKind::authentication_failed, std::nullopt, std::move(detail), Phase::gone,
                     std::move(refusal));
    return Progression::done;
  }
  rounds_.emplace();
  return begin_own_round();
}

Progression IkeAuthInitiator::begin_own_round() {
  id_i_ = {.side = Role::initiator, .identity = own_identity(config_, sa_, rounds().own), .reserved = {}};
  rounds().proof_sent = false;
  if (!own_way(config_, rounds().own)) {
    eap_ = EapStage::first_answer;
    return send_round(nullptr);
  }
  rounds().wait = InitiatorRounds::Wait::own_proof;
  token_ = ask_for_proof(core_, sa_, in_own_round(config_, rounds().own), id_i_);
  return Progression::waiting;
}

Progression IkeAuthInitiator::send_round(const OwnProof* proof) {
  rounds().wait = InitiatorRounds::Wait::response;
  rounds().proof_sent = proof != nullptr;
  if (rounds().own == 0) {
    send(proof);
    return Progression::waiting;
  }
  codec::Message message;
  message.add(id_i_);
  if (proof != nullptr) {
    add_certificates(message, *proof);
    message.add(codec::AuthPayload{.method = proof->method, .data = proof->auth});
    add_another_round(message, config_, rounds().own);
  }
  send_request(core_, sa_, type(), std::move(message));
  core_.progress(sa_, fmt::format("sent IKE_AUTH request of round {} as {}{}", rounds().own + 1,
                                  id_i_.identity.to_string(), proof == nullptr ? ", for EAP" : ""));
  return Progression::waiting;
}

// All of ours has been sent, and the responder has nothing more to say.
bool IkeAuthInitiator::stands_there() const {
  const bool in_last =
      rounds().own + 1 == own_round_count(config_) && (rounds().proof_sent || eap_ == EapStage::server_auth);
  const bool all_sent = rounds().own == own_round_count(config_) || in_last;
  return all_sent && (!response_ || response_->notify(NotifyType::another_auth_follows) == nullptr) &&
         rounds().peer + 1 >= peer_round_count(config_);
}

Progression IkeAuthInitiator::handle_round_completion(Completion result) {
  if (const auto* step = std::get_if<EapResult>(&result)) return take_eap_step(*step);
  if (rounds().wait == InitiatorRounds::Wait::own_proof) {
    auto proof = own_proof(std::move(result), in_own_round(config_, rounds().own));
    if (proof) return send_round(&*proof);
    abandon();
    fail_negotiation(core_, sa_, FailureKind::local_error, std::nullopt, std::move(proof.error()), Phase::gone);
    return Progression::done;
  }
  CHECK(response_);
  if (auto fault = peer_fault(result, sa_, in_peer_round(config_, rounds().peer), *response_))
    return refuse_round(fault->kind, std::move(fault->detail), std::move(fault->refusal));
  ++rounds().peer;
  rounds().wait = InitiatorRounds::Wait::response;
  core_.progress(sa_, fmt::format("round {} of {} of the peer's authentication has gone well", rounds().peer,
                                  peer_round_count(config_)));
  const codec::Message judged = std::move(*response_);
  response_.reset();
  return go_on(judged);
}

Progression IkeAuthInitiator::handle_round_response(const codec::Message& response) {
  const auto* auth = response.first<codec::AuthPayload>();
  const auto* id_r = response.id(Role::responder);
  const auto* error = response.error_notify();
  response_ = response;
  if (sa_.terminating) {
    const bool established = error == nullptr && stands_there();
    abandon();
    if (established) {
      delete_unannounced(core_, sa_);
    } else {
      close_ike_sa(core_, sa_, CloseReason::local_request, Phase::gone);
    }
    return Progression::done;
  }
  if (error != nullptr && auth == nullptr) {
    // Without an AUTH of its own it may still be the end of all that was asked for.
    const bool done = rounds().peer == peer_round_count(config_) && stands_there() && eap_ == EapStage::none;
    if (eap_ != EapStage::none) return handle_eap_response(response);
    if (!done || !is_about_child(error->type)) return refused_in_round(error->type);
  }
  if (id_r == nullptr) {
    if (eap_ == EapStage::server_auth || rounds().peer == peer_round_count(config_)) return go_on(response);
    handle_bad_response(
        fmt::format("the {} payload of round {} is missing", name_of(model::PayloadType::id_r), rounds().peer + 1));
    return Progression::done;
  }
  if (rounds().peer == peer_round_count(config_)) {
    handle_bad_response("it begins a round that was not announced");
    return Progression::done;
  }
  auto fault = way_fault(config_, sa_, rounds().peer, response);
  if (fault) {
    auto refusal = rounds_refusal(*fault);
    return refuse_round(FailureKind::authentication_failed, std::move(*fault), std::move(refusal));
  }
  id_r_ = *id_r;
  rounds().wait = InitiatorRounds::Wait::verdict;
  token_ = ask_about_peer(core_, sa_, in_peer_round(config_, rounds().peer), response, *id_r, rounds().peer);
  return Progression::waiting;
}

Progression IkeAuthInitiator::go_on(const codec::Message& response) {
  const bool own_auth = response.first<codec::AuthPayload>() != nullptr && response.id(Role::responder) == nullptr;
  const auto* eap = response.first<codec::EapPayload>();
  const bool packet_due = eap_ == EapStage::first_answer || eap_ == EapStage::server;
  if (packet_due != (eap != nullptr) || own_auth != (eap_ == EapStage::server_auth)) {
    handle_bad_response(fmt::format("it is not what round {} wants now", rounds().own + 1));
    return Progression::done;
  }
  if (packet_due) {
    eap_ = EapStage::step;
    token_ = ask_eap(core_, sa_, config_, EapRequest::Step::packet, eap->message);
    return Progression::waiting;
  }
  response_ = response;
  if (own_auth) return check_eap_auth(response);
  if (rounds().proof_sent) return end_own_round(response);
  return next_round(response);
}

Progression IkeAuthInitiator::end_own_round(const codec::Message& response) {
  eap_ = EapStage::none;
  rounds().proof_sent = false;
  ++rounds().own;
  core_.progress(sa_,
                 fmt::format("round {} of {} of our authentication was taken", rounds().own, own_round_count(config_)));
  return next_round(response);
}

Progression IkeAuthInitiator::next_round(const codec::Message& response) {
  const bool own_left = rounds().own < own_round_count(config_);
  if (!own_left && rounds().peer == peer_round_count(config_)) {
    conclude(response);
    return Progression::done;
  }
  // RFC 4739 2.2: the Child SA comes with the last of them.
  if (response.first<codec::SaPayload>() != nullptr) {
    handle_bad_response("it ends the authentication before all rounds are over");
    return Progression::done;
  }
  response_.reset();
  if (own_left) return begin_own_round();
  // RFC 4739 2.5: the responder has more to prove, and we have nothing.
  rounds().wait = InitiatorRounds::Wait::response;
  send_request(core_, sa_, type(), codec::Message{});
  return Progression::waiting;
}

// RFC 7296 2.21.2: as with a refusal in the only round.
Progression IkeAuthInitiator::refused_in_round(NotifyType error) {
  std::string detail = fmt::format(
      "{} refused round {} of IKE_AUTH with {}; we are {}: does it know us by that, and does it expect the same "
      "rounds?",
      sa_.path.remote.to_string(), rounds().own + 1, describe(error), id_i_.identity.to_string());
  abandon();
  fail_negotiation(core_, sa_, failure_kind(error), error, std::move(detail), Phase::gone);
  return Progression::done;
}

Progression IkeAuthInitiator::refuse_round(FailureKind kind, std::string detail,
                                           std::optional<model::AuthenticationRefusal> refusal) {
  refuse_peer(kind, std::move(detail), std::move(refusal));
  return Progression::done;
}

}  // namespace culvert::ike::v2
