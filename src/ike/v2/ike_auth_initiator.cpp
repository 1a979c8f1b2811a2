#include "ike/v2/ike_auth_initiator.hpp"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/childless.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/eap_auth.hpp"
#include "ike/v2/establish.hpp"
#include "ike/v2/initial_contact.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/ppk.hpp"
#include "ike/v2/proof_wishes.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/redirect.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/session_resume_initiator.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

void start_ike_auth(Core& core, IkeSa& sa, model::ConnectionConfig config) {
  sa.exchange = std::make_unique<IkeAuthInitiator>(core, sa, std::move(config));
  if (sa.exchange->start() == Progression::done) sa.exchange.reset();
  core.touch(sa);
}

IkeAuthInitiator::IkeAuthInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config)
    : core_(core), sa_(sa), config_(std::move(config)) {}

Progression IkeAuthInitiator::start() {
  sa_.local_id = local_identity(config_, sa_.path);
  sa_.remote_id = remote_identity(config_, sa_.path);
  if (sa_.resumption) {
    // RFC 5723 4.3.3.
    config_ = as_resumed(std::move(config_));
    const TicketState& state = sa_.resumption->state;
    sa_.local_id = state.id_i;
    sa_.remote_id = state.id_r;
    sa_.admission.set_eap_identity(state.eap_identity);
  }
  if (has_rounds(config_)) return start_rounds();
  id_i_ = {.side = Role::initiator, .identity = sa_.local_id, .reserved = {}};
  if (config_.eap && config_.eap->client) {
    eap_ = EapStage::first_answer;
    send(nullptr);
    return Progression::waiting;
  }
  token_ = ask_for_proof(core_, sa_, config_, id_i_);
  return Progression::waiting;
}

Progression IkeAuthInitiator::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return Progression::waiting;
  if (rounds_) return handle_round_completion(std::move(result));
  if (eap_ != EapStage::none) return handle_eap_completion(std::move(result));
  if (response_) {
    finish(result, *response_);
    return Progression::done;
  }
  auto proof = own_proof(std::move(result), config_);
  if (!proof) {
    fail_negotiation(core_, sa_, FailureKind::local_error, std::nullopt, std::move(proof.error()), Phase::gone);
    return Progression::done;
  }
  send(&*proof);
  return Progression::waiting;
}

void IkeAuthInitiator::send(const OwnProof* proof) {
  codec::Message message;
  message.add(id_i_);
  if (proof != nullptr) add_certificates(message, *proof);
  add_certificate_request(message, config_.authorities, config_.peer_by_key);
  add_proof_wishes(message, config_);
  if (config_.remote_id)
    message.add(codec::IdPayload{.side = Role::responder, .identity = *config_.remote_id, .reserved = {}});
  // RFC 7296 2.4: only while there is no other IKE SA between these identities.
  if (sa_.replaces_doubtful || is_first_contact(core_, sa_, config_)) message.add_notify(NotifyType::initial_contact);
  // RFC 7296 2.16: without AUTH it asks for EAP.
  if (proof == nullptr) add_eap_notifies(message, config_);
  if (proof != nullptr) message.add(codec::AuthPayload{.method = proof->method, .data = proof->auth});
  add_ppk(message, sa_, config_);
  add_rounds_supported(message, config_);
  if (proof != nullptr) add_another_round(message, config_, 0);
  add_crash_token(message, core_, sa_, config_);
  request_ticket(message, config_);
  add_configuration_request(message, core_, config_);
  childless_ = begins_childless(sa_, config_);
  auto offer = childless_
                   ? Result<ChildOffer, ChildRefusal>(err(ChildRefusal{}))
                   : make_child_offer(core_, sa_, config_, {.exchange = ChildExchange::ike_auth, .wish = sa_.wish});
  if (childless_) {
    // RFC 6023 5: nothing of it, nor what goes with it.
  } else if (offer) {
    offer_ = std::move(*offer);
    add_child_sa_payload(message, *offer_);
    add_child_ts_payloads(message, *offer_);
  } else {
    no_offer_ = std::move(offer.error());
  }
  add_mobike(message, core_, sa_, config_);
  add_counter_sync(message, sa_, config_);
  send_request(core_, sa_, type(), std::move(message));
  core_.progress(
      sa_, fmt::format("sent IKE_AUTH request as {} to {}, {}", sa_.local_id.to_string(), sa_.path.remote.to_string(),
                       offer_ ? describe(offer_->local, offer_->remote) : "without a Child SA"));
}

Progression IkeAuthInitiator::handle_response(const codec::Message& response) {
  if (rounds_) return handle_round_response(response);
  if (eap_ != EapStage::none) return handle_eap_response(response);
  if (sa_.terminating) {
    abandon();
    delete_unannounced(core_, sa_);
    return Progression::done;
  }
  const auto* auth = response.first<codec::AuthPayload>();
  if (auth == nullptr && response.error_notify() == nullptr) {
    handle_bad_response(fmt::format("the {} payload is missing", name_of(model::PayloadType::auth)));
    return Progression::done;
  }
  if (auth == nullptr && sa_.resumption) {
    abandon();
    auto& beginning = sa_.resumption->beginning;
    CHECK(beginning);
    begin_in_full(core_, sa_, std::move(*beginning),
                  fmt::format("the peer refused the resumed IKE SA with {}", describe(response.error_notify()->type)));
    return Progression::done;
  }
  if (auth == nullptr) {
    // RFC 7296 2.21.2: the peer has not proved who it is, but only a man in the middle of the key exchange could have
    // written this.
    const NotifyType error = response.error_notify()->type;
    std::string detail = fmt::format("{} refused IKE_AUTH with {}", sa_.path.remote.to_string(), describe(error));
    if (error == NotifyType::authentication_failed) {
      detail +=
          fmt::format("; we are {} and asked for {}: {}", sa_.local_id.to_string(), sa_.remote_id.to_string(),
                      config_.authentication == model::Authentication::certificate
                          ? "does it believe our certificate's authority, and are the identities what each expects?"
                          : "do the secret and the identities agree at both ends?");
    }
    abandon();
    fail_negotiation(core_, sa_, failure_kind(error), error, std::move(detail), Phase::gone);
    return Progression::done;
  }
  const auto* id_r = response.id(Role::responder);
  if (id_r == nullptr) {
    handle_bad_response(fmt::format("the {} payload is missing", name_of(model::PayloadType::id_r)));
    return Progression::done;
  }
  if (!fits_responder(response)) return Progression::done;
  if (auto missing = settle_ppk(sa_, response, config_)) {
    refuse_peer(FailureKind::authentication_failed, std::move(*missing));
    return Progression::done;
  }
  response_ = response;
  // Its issuers may have to be asked whether it is revoked, which takes as long as they take.
  if (config_.expected() == model::Authentication::certificate) {
    core_.progress(sa_, "received IKE_AUTH response, its proof is being checked");
  }
  token_ = ask_about_peer(core_, sa_, config_, response, *id_r);
  return Progression::waiting;
}

bool IkeAuthInitiator::fits_responder(const codec::Message& response) {
  const auto* auth = response.first<codec::AuthPayload>();
  const auto* id_r = response.id(Role::responder);
  if (id_r->identity.comparable() != sa_.remote_id.comparable()) {
    refuse_peer(FailureKind::authentication_failed,
                fmt::format("the peer says it is {}, connection '{}' expects {}", id_r->identity.to_string(),
                            config_.name, sa_.remote_id.to_string()));
    return false;
  }
  if (auth != nullptr && authentication_by(auth->method) != config_.expected()) {
    refuse_peer(FailureKind::authentication_failed,
                fmt::format("the peer authenticates by method {} ({}), connection '{}' expects a {}",
                            static_cast<unsigned>(auth->method), name_of(auth->method), config_.name,
                            name_of(config_.expected())));
    return false;
  }
  return true;
}

void IkeAuthInitiator::finish(const Completion& verdict, const codec::Message& response) {
  if (auto fault = peer_fault(verdict, sa_, config_, response))
    return refuse_peer(fault->kind, std::move(fault->detail), std::move(fault->refusal));
  if (const auto* verified = std::get_if<VerifyResult>(&verdict)) note_proof_end(sa_, verified->good_until);
  conclude(response);
}

void IkeAuthInitiator::conclude(const codec::Message& response) {
  if (sa_.terminating) {
    abandon();
    return delete_unannounced(core_, sa_);
  }
  if (const auto note = redirect_in(core_, sa_, response, &config_)) return leave_for(*note);
  auto given = Result<model::Configuration, std::string>();
  if (!config_.request_addresses.empty()) {
    given = accept_configuration(core_, sa_, config_, response);
    if (!given) return refuse_configuration(response, std::move(given.error()));
  }
  const Bytes nonce_i = sa_.init->nonce_i;
  const Bytes nonce_r = sa_.init->nonce_r;
  agree_on_mobike(sa_, response, config_);
  agree_on_counter_sync(sa_, response, config_);
  take_crash_token(core_, sa_, response);
  begin_authentication_life(core_, sa_, config_, &response);
  establish(core_, sa_, config_);
  note_resumed(core_, sa_);
  take_ticket(core_, sa_, response);
  if (auto narrowed = narrowed_to_peer(config_, sa_)) {
    config_ = std::move(*narrowed);
    core_.emit(ConfigurationReceived{.ike_sa = sa_.id, .connection = config_.id, .configuration = std::move(*given)});
  }
  const Rivalry rivalry = find_rival(core_, sa_);
  const bool complete = response.first<codec::SaPayload>() != nullptr && response.ts(Role::initiator) != nullptr &&
                        response.ts(Role::responder) != nullptr;
  if (childless_) {
    sa_.tasks.push_back({.task = CreateChildTask{.retry = {}, .wish = sa_.wish}});
  } else if (!complete || !offer_) {
    finish_child(response);
  } else if (auto agreed = check_child_answer(sa_, config_, ChildExchange::ike_auth, *offer_, nullptr, response);
             !agreed) {
    report_child_failure(core_, sa_, Role::initiator, agreed.error().kind, agreed.error().notify, agreed.error().detail,
                         sa_.wish);
    // The peer believes that there is a pair.
    sa_.tasks.push_back({.task = DeleteUnknownChildTask{.spi_inbound = offer_->spi_inbound}});
  } else {
    note_more_possible(core_, sa_, response, *offer_, *agreed);
    const bool loses = rivalry.loser == sa_.id;
    ChildSa child;
    child.hold_outbound = loses;
    child.redundant = loses;
    child.replaces = rival_child(core_, rivalry, agreed->local, agreed->remote);
    build_child(core_, sa_, config_, *agreed, Role::initiator, {}, nonce_i, nonce_r, std::move(child));
    offer_.reset();
  }
  // What our INITIAL_CONTACT ends at the peer has ended here too.
  const bool alone = sa_.replaces_doubtful || begins_anew(config_, response);
  settle_duplicates(core_, sa_, rivalry, alone);
  finish_replacement(core_, sa_);
}

// RFC 5685 6: the responder is who it says it is, and has no Child SA for us; its IKE SA is deleted.
void IkeAuthInitiator::leave_for(const GatewayNote& note) {
  abandon();
  const auto standing = sa_.life ? sa_.life->replaces : std::nullopt;
  if (auto why_not = follow(core_, sa_, config_, note, standing)) {
    fail_negotiation(core_, sa_, FailureKind::peer_refused, NotifyType::redirect, std::move(*why_not), Phase::closing);
    sa_.tasks.push_back({.task = DeleteIkeTask{}});
    return;
  }
  delete_unannounced(core_, sa_);
}

// RFC 7296 1.2, 2.21.2: the IKE SA stands even if the Child SA failed.
void IkeAuthInitiator::finish_child(const codec::Message& response) {
  if (no_offer_)
    return report_child_failure(core_, sa_, Role::initiator, no_offer_->kind, std::nullopt, no_offer_->detail,
                                sa_.wish);
  const std::string asked = offer_ ? describe(offer_->local, offer_->remote) : std::string();
  abandon();
  const auto* error = response.error_notify();
  if (error == nullptr) {
    return report_child_failure(core_, sa_, Role::initiator, FailureKind::protocol_error, std::nullopt,
                                "the peer's IKE_AUTH response has no Child SA and no reason why", sa_.wish);
  }
  core_.refuse(Refusal::refused_by_peer);
  report_child_failure(core_, sa_, Role::initiator, failure_kind(error->type), error->type,
                       fmt::format("the peer refused the Child SA with {}; we offered {}", describe(error->type),
                                   describe_refused(error->type, without_key_exchange(config_.esp_proposals), asked)),
                       sa_.wish);
}

void IkeAuthInitiator::refuse_peer(FailureKind kind, std::string detail,
                                   std::optional<model::AuthenticationRefusal> refusal) {
  if (sa_.resumption) forget_ticket(core_, config_.id);
  const bool half_open_there = rounds_ ? !stands_there() : eap_ != EapStage::none && eap_ != EapStage::server_auth;
  if (half_open_there) return (void)refuse_in_eap(kind, std::move(detail), std::move(refusal));
  abandon();
  // RFC 7296 2.21.2: the peer takes the IKE SA for established; AUTHENTICATION_FAILED in an INFORMATIONAL ends it
  // there.
  fail_negotiation(core_, sa_, kind, NotifyType::authentication_failed, std::move(detail), Phase::closing,
                   std::move(refusal));
  sa_.tasks.push_back({.task = NotifyTask{.type = NotifyType::authentication_failed, .data = {}}});
}

// RFC 7296 3.15.4: it may be torn down and tried again later.
void IkeAuthInitiator::refuse_configuration(const codec::Message& response, std::string detail) {
  abandon();
  const auto* error = response.error_notify();
  if (error != nullptr) core_.refuse(Refusal::refused_by_peer);
  fail_negotiation(core_, sa_, FailureKind::no_address, error != nullptr ? std::optional(error->type) : std::nullopt,
                   std::move(detail), Phase::closing);
  sa_.tasks.push_back({.task = DeleteIkeTask{}});
}

void IkeAuthInitiator::handle_bad_response(const std::string& fault) {
  abandon();
  fail_negotiation(core_, sa_, FailureKind::protocol_error, std::nullopt,
                   fmt::format("the peer's IKE_AUTH response is invalid: {}", fault), Phase::gone);
}

void IkeAuthInitiator::abandon() {
  if (offer_) withdraw_offer(core_, *offer_);
  offer_.reset();
}

void IkeAuthInitiator::give_up() {
  // Nobody waits for it any more.
  if (sa_.terminating) return close_ike_sa(core_, sa_, CloseReason::local_request, Phase::gone);
  if (sa_.resumption) note_unanswered(core_, config_.id);
  fail_negotiation(
      core_, sa_, FailureKind::no_answer, std::nullopt,
      fmt::format("{} answered {} but not IKE_AUTH, sent to {}; is UDP port {} open on the way?",
                  sa_.path.remote.address.to_string(), sa_.resumption ? "IKE_SESSION_RESUME" : "IKE_SA_INIT",
                  sa_.path.remote.to_string(), sa_.path.remote.port),
      Phase::gone);
}

}  // namespace culvert::ike::v2
