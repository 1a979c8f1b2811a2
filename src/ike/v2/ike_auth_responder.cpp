#include "ike/v2/ike_auth_responder.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/childless.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/connection_choice.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/establish.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/ppk.hpp"
#include "ike/v2/ppk_intermediate.hpp"
#include "ike/v2/proof_wishes.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/redirect.hpp"
#include "ike/v2/refusals.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/session_resume_responder.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

namespace {
std::string in_words(model::Authentication authentication) { return fmt::format("a {}", name_of(authentication)); }
}  // namespace

void IkeAuthResponder::start(const codec::Message& request) {
  request_ = request;
  sa_.init->wishes = wishes_of(request);
  answering_ = request.header.message_id;
  // The initiator may have moved to port 4500 (RFC 7296 2.23); this request is authentic and fresh.
  sa_.path = path_;
  if (request.id(Role::initiator) == nullptr)
    return refuse(NotifyType::invalid_syntax, FailureKind::protocol_error,
                  "the first IKE_AUTH request has no IDi payload");
  if (was_translated(request, path_)) {
    return refuse(NotifyType::unexpected_nat_detected, FailureKind::peer_refused,
                  fmt::format("the peer's addresses were changed on the way, it came from {}, and it takes no NAT",
                              path_.remote.to_string()));
  }
  if (sa_.resumption) return start_resumed();
  const auto* auth = request.first<codec::AuthPayload>();
  const auto by = claimed_method();
  if (auth != nullptr && !by) {
    return refuse(
        NotifyType::authentication_failed, FailureKind::authentication_failed,
        fmt::format("the peer {} wants to authenticate by {}, only a shared key, a certificate or EAP is accepted",
                    request.id(Role::initiator)->identity.to_string(), name_of(auth->method)));
  }
  std::string why_not;
  const model::ConnectionConfig* config = choose_connection(by, why_not);
  if (config == nullptr) {
    sa_.remote_id = request_.id(Role::initiator)->identity;
    model::AuthenticationRefusal refusal{.subject = {}, .serial = {}, .check = "identity", .found = why_not};
    report_unknown(why_not, refusal);
    return refuse(NotifyType::authentication_failed, FailureKind::unknown_peer, std::move(why_not), std::move(refusal));
  }
  config_ = *config;
  sa_.connection = config->id;
  sa_.local_id = local_identity(*config, path_);
  // As configured: a name may be written in several ways.
  sa_.remote_id = takes_any_identity(*config) ? request_.id(Role::initiator)->identity
                  : config->remote_pattern    ? request_.id(Role::initiator)->identity.comparable()
                                              : remote_identity(*config, path_);
  sa_.one_of_many = config->remote_pattern || !config->pools.empty();
  id_i_ = *request_.id(Role::initiator);
  if (lacks_child()) return refuse_childless();
  const PpkVerdict mixed = judge_mixed_ppk(core_, sa_, connection_config());
  if (mixed.refusal)
    return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, *mixed.refusal);
  if (!mixed.asked) return begin_proof();
  token_ = *mixed.asked;
}

// RFC 7296 2.16: without AUTH the initiator asks for EAP.
std::optional<model::Authentication> IkeAuthResponder::claimed_method() const {
  const auto* auth = request_.first<codec::AuthPayload>();
  return auth == nullptr ? std::nullopt : authentication_by(auth->method);
}

void IkeAuthResponder::begin_proof() {
  if (has_rounds(connection_config())) {
    if (auto missing = ppk_missing(sa_, connection_config()))
      return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(*missing));
    return start_rounds();
  }
  if (!claimed_method()) {
    if (auto missing = ppk_missing(sa_, connection_config()))
      return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(*missing));
    id_r_ = {.side = Role::responder, .identity = sa_.local_id, .reserved = {}};
    return start_eap();
  }
  PpkVerdict ppk = judge_ppk(core_, sa_, request_, connection_config());
  if (ppk.refusal)
    return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(*ppk.refusal));
  token_ =
      ppk.asked ? *ppk.asked : ask_about_peer(core_, sa_, connection_config(), request_, *request_.id(Role::initiator));
}

// RFC 6023 3.
bool IkeAuthResponder::lacks_child() const {
  return is_childless(request_) && connection_config().life.childless == model::Childless::never;
}

void IkeAuthResponder::refuse_childless() {
  refuse(NotifyType::invalid_syntax, FailureKind::protocol_error,
         fmt::format("the peer {} wants an IKE SA without a Child SA, which connection '{}' refuses (\"childless\")",
                     id_i_.identity.to_string(), connection_config().name));
}

// RFC 5723 4.3.3: who it is, and by which connection, is known from the ticket.
void IkeAuthResponder::start_resumed() {
  CHECK(sa_.resumption && sa_.connection);
  const TicketState& state = sa_.resumption->state;
  const model::ConnectionConfig* config = core_.connections.find(sa_.connection);
  if (config == nullptr)
    return refuse(NotifyType::authentication_failed, FailureKind::unknown_peer, "its connection is gone meanwhile");
  if (auto fault = resumption_fault(core_, sa_, *config, request_))
    return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(*fault));
  config_ = as_resumed(*config);
  id_i_ = *request_.id(Role::initiator);
  sa_.local_id = state.id_r;
  sa_.remote_id = state.id_i;
  sa_.admission.set_eap_identity(state.eap_identity);
  sa_.admission.set_group(state.group);
  sa_.one_of_many = config->remote_pattern || !config->pools.empty();
  if (lacks_child()) return refuse_childless();
  token_ = ask_about_peer(core_, sa_, connection_config(), request_, id_i_);
}

const model::ConnectionConfig* IkeAuthResponder::choose_connection(std::optional<model::Authentication> by,
                                                                   std::string& why_not) const {
  const model::Identity& theirs = request_.id(Role::initiator)->identity;
  const auto* wanted = request_.id(Role::responder);
  ConnectionChoice choice(request_, seen_addresses(sa_));
  core_.connections.find_candidate(path_, theirs, [&](const model::ConnectionConfig& one) {
    if (wanted != nullptr && local_identity(one, path_).comparable() != wanted->identity.comparable()) return false;
    if (one.eap && one.eap->client) {
      why_not =
          fmt::format("connection '{}' is for the peer {}, but begins itself, by EAP", one.name, theirs.to_string());
      return false;
    }
    const bool expects_eap = begins_by_eap(one);
    if (expects_eap ? by.has_value() : by != one.expected()) {
      why_not = fmt::format("connection '{}' is for the peer {} but expects {}, not {}", one.name, theirs.to_string(),
                            expects_eap ? "EAP" : in_words(one.expected()), by ? in_words(*by) : "EAP");
      return false;
    }
    if (auto fault = rounds_fault(one, request_)) {
      why_not = fmt::format("the peer {} is refused: {}", theirs.to_string(), *fault);
      return false;
    }
    // IKE_SA_INIT was answered before the identity was known: its algorithms must be good for this connection as well.
    if (model::accepts(one.ike_proposals, sa_.suite)) return choice.take(one);
    why_not = fmt::format(
        "connection '{}' is for the peer {} but does not accept {}, which was chosen before its identity was known",
        one.name, theirs.to_string(), model::to_string(sa_.suite));
    return false;
  });
  if (choice.best() != nullptr || !why_not.empty()) return choice.best();
  why_not =
      fmt::format("the peer at {} says it is {} and asks for {}; {}", path_.remote.to_string(), theirs.to_string(),
                  wanted != nullptr ? wanted->identity.to_string() : "nobody in particular", expectations());
  return nullptr;
}

// Where only one connection is for the peer's address, whoever asks that one why it is not up is told; of several none
// is to blame, and that IKE_SA_INIT was answered for one of them says nothing.
void IkeAuthResponder::report_unknown(const std::string& why_not, const model::AuthenticationRefusal& refusal) {
  int candidates = 0;
  core_.connections.find_candidate(path_, [&](const model::ConnectionConfig&) { return ++candidates == 2; });
  if (candidates < 2) return;
  core_.emit(NegotiationFailed{.connection = std::nullopt,
                               .path = path_,
                               .role = Role::responder,
                               .kind = FailureKind::unknown_peer,
                               .notify = NotifyType::authentication_failed,
                               .detail = why_not,
                               .child_only = false,
                               .wish = std::nullopt,
                               .refusal = refusal,
                               .identity = named_peer(sa_)});
  reported_ = true;
}

std::string IkeAuthResponder::expectations() const {
  constexpr int kNamed = 8;  // a hub may have thousands
  std::string expected;
  int named = 0;
  core_.connections.find_candidate(path_, [&](const model::ConnectionConfig& one) {
    if (!expected.empty()) expected += "; ";
    if (named == kNamed) {
      expected += "others";
      return true;
    }
    ++named;
    const std::string whom = one.remote_pattern        ? one.remote_pattern->to_string()
                             : takes_any_identity(one) ? "anybody whom EAP knows"
                                                       : remote_identity(one, path_).to_string();
    expected += fmt::format("'{}' expects {} and is {}", one.name, whom, local_identity(one, path_).to_string());
    return false;
  });
  return expected.empty() ? "no connection is for its address" : expected;
}

void IkeAuthResponder::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return;
  if (auto* addresses = std::get_if<AddressResult>(&result)) {
    given_ = std::move(*addresses);
    return answer();
  }
  if (auto* mixed = std::get_if<PpkResult>(&result)) {
    if (sa_.ppk->intermediate) {
      if (auto fault = mixed_ppk_fault(sa_, *mixed, connection_config()))
        return refuse(NotifyType::authentication_failed, FailureKind::authentication_failed, std::move(*fault));
      return begin_proof();
    }
    if (!take_ppk(core_, sa_, std::move(*mixed), connection_config())) {
      return refuse(NotifyType::authentication_failed, FailureKind::local_error,
                    fmt::format("there is no PPK for connection '{}'", connection_config().name));
    }
    if (eap_ != EapStage::none) return take_eap_auth(std::exchange(eap_request_, {}));
    token_ = ask_about_peer(core_, sa_, connection_config(), request_, *request_.id(Role::initiator));
    return;
  }
  if (rounds_) return handle_round_completion(std::move(result));
  if (eap_ != EapStage::none) return handle_eap_completion(std::move(result));
  if (!verified_) {
    if (auto fault = peer_fault(result, sa_, connection_config(), request_)) {
      // RFC 7296 2.21.2: the peer hears that it failed, and no more.
      return refuse(NotifyType::authentication_failed, fault->kind, std::move(fault->detail),
                    std::move(fault->refusal));
    }
    note_proof(result);
    if (auto refusal = admission_refusal(core_, sa_, connection_config(), request_))
      return refuse(NotifyType::authentication_failed, FailureKind::peer_refused, std::move(*refusal));
    verified_ = true;
    id_r_ = {.side = Role::responder, .identity = sa_.local_id, .reserved = {}};
    token_ = ask_for_proof(core_, sa_, connection_config(), id_r_);
    return;
  }
  auto proof = own_proof(std::move(result), connection_config());
  if (!proof) return refuse(NotifyType::authentication_failed, FailureKind::local_error, std::move(proof.error()));
  add_proof(std::move(*proof), true);
  finish();
}

void IkeAuthResponder::note_proof(const Completion& result) {
  if (const auto* verified = std::get_if<VerifyResult>(&result)) note_proof_end(sa_, verified->good_until);
  if (!sa_.resumption) return;
  // RFC 5723 4.3.1, 4.3.4: nobody resumes from it again, and what it was for ends.
  spend_ticket(core_, sa_.resumption->state);
  end_resumed_from(core_, sa_.resumption->state);
}

void IkeAuthResponder::add_proof(OwnProof proof, bool with_identity) {
  if (with_identity) {
    first_answer_.add(id_r_);
    add_certificates(first_answer_, proof);
  }
  first_answer_.add(codec::AuthPayload{.method = proof.method, .data = std::move(proof.auth)});
}

void IkeAuthResponder::finish() {
  // Last of all, so that nothing is given to a peer that is refused.
  if (const auto asked = ask_for_addresses(core_, sa_, connection_config(), request_)) {
    token_ = *asked;
    return;
  }
  answer();
}

void IkeAuthResponder::answer() {
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  codec::Message answer = std::move(first_answer_);
  // RFC 8784 3: empty, to say that it is used.
  if (sa_.ppk && !sa_.ppk->intermediate && sa_.ppk->in_use) answer.add_notify(NotifyType::ppk_identity);
  if (const auto gateway = redirect_for(core_, connection_config(), sa_)) return send_away(std::move(answer), *gateway);
  add_crash_token(answer, core_, sa_, connection_config());
  take_crash_token(core_, sa_, request_);
  add_auth_lifetime(answer, core_, sa_, connection_config());
  begin_authentication_life(core_, sa_, connection_config(), nullptr);
  auto init = sa_.init;
  agree_on_mobike(sa_, request_, connection_config());
  if (sa_.mobike) add_mobike(answer, core_, sa_, connection_config());
  agree_on_counter_sync(sa_, request_, connection_config());
  add_counter_sync(answer, sa_, connection_config());
  establish(core_, sa_, connection_config());
  sa_.init = std::move(init);
  const Rivalry rivalry = find_rival(core_, sa_);
  answer_ticket_request(answer, core_, sa_, request_);
  answer_child(answer, rivalry);
  sa_.init.reset();
  send_response(core_, sa_, model::ExchangeType::ike_auth, answering_, std::move(answer), path_);
  settle_duplicates(core_, sa_, rivalry, begins_anew(connection_config(), request_));
}

// RFC 5685 6: both have proved who they are, and there is an IKE SA, which the peer deletes.
void IkeAuthResponder::send_away(codec::Message answer, const std::string& gateway) {
  core_.progress(sa_, fmt::format("sending the peer {} to {}", sa_.remote_id.to_string(), gateway));
  answer.add_notify(NotifyType::redirect, encode_gateway(gateway));
  send_response(core_, sa_, model::ExchangeType::ike_auth, answering_, std::move(answer), path_);
  close_ike_sa(core_, sa_, CloseReason::redirected, Phase::closing);
}

void IkeAuthResponder::answer_child(codec::Message& answer, const Rivalry& rivalry) {
  const bool complete = request_.first<codec::SaPayload>() != nullptr && request_.ts(Role::initiator) != nullptr &&
                        request_.ts(Role::responder) != nullptr;
  AddressAnswer addresses = answer_addresses(sa_, connection_config(), request_, std::move(given_));
  if (addresses.reply) answer.add(std::move(*addresses.reply));
  add_allowed_families(answer, connection_config(), request_);
  if (!sa_.inner.ours) place_unspecified(request_, sa_.inner.addresses);
  if (!complete) return core_.progress(sa_, "the peer set up the IKE SA without a Child SA");
  if (connection_config().life.childless == model::Childless::force) {
    // The algorithms without a key exchange of their own are what is refused; CREATE_CHILD_SA has others.
    answer.add_notify(NotifyType::no_proposal_chosen);
    return report_child_failure(core_, sa_, Role::responder, FailureKind::no_proposal_chosen,
                                NotifyType::no_proposal_chosen,
                                fmt::format("the peer {} wants a Child SA in IKE_AUTH, which connection '{}' refuses "
                                            "(\"childless\")",
                                            sa_.remote_id.to_string(), connection_config().name));
  }
  if (auto narrowed = narrowed_to_peer(connection_config(), sa_)) config_ = std::move(narrowed);
  auto chosen = addresses.refusal
                    ? Result<ChildChoice, ChildRefusal>(err(std::move(*addresses.refusal)))
                    : choose_child(core_, sa_, connection_config(), ChildExchange::ike_auth, nullptr, request_);
  if (!chosen) {
    // RFC 7296 1.2: the IKE SA stands, the notification stands in for SA and TS.
    answer.add_notify(chosen.error().notify, chosen.error().data);
    return report_child_failure(core_, sa_, Role::responder, chosen.error().kind, chosen.error().notify,
                                chosen.error().detail);
  }
  ChildSa child;
  child.redundant = rivalry.loser == sa_.id;
  child.replaces = rival_child(core_, rivalry, chosen->agreement.local, chosen->agreement.remote);
  child.hold_outbound = child.replaces.has_value();
  add_child_notifies(answer, *chosen);
  add_more_possible(answer, core_, sa_, connection_config(), request_);
  answer.add(codec::SaPayload{{chosen->proposal}});
  add_answer_ts_payloads(answer, chosen->agreement);
  build_child(core_, sa_, connection_config(), chosen->agreement, Role::responder, {}, sa_.init->nonce_i,
              sa_.init->nonce_r, std::move(child));
}

void IkeAuthResponder::refuse(NotifyType type, FailureKind kind, std::string detail,
                              std::optional<model::AuthenticationRefusal> refusal) {
  const auto self = std::move(sa_.responder);  // ends with this function
  core_.refuse(refusal_for(kind, Role::responder, type));
  codec::Message answer;
  if (!eap_farewell_.empty()) answer.add(codec::EapPayload{.message = std::move(eap_farewell_)});
  answer.add_notify(type);
  send_response(core_, sa_, model::ExchangeType::ike_auth, answering_, std::move(answer), path_);
  // The answer stays for retransmissions of the request, the rest goes.
  if (reported_) return close_ike_sa(core_, sa_, CloseReason::negotiation_failed, Phase::defunct);
  fail_negotiation(core_, sa_, kind, type, std::move(detail), Phase::defunct, std::move(refusal));
}

}  // namespace culvert::ike::v2
