#include "ike/v2/intermediate_responder.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/proof_wishes.hpp"
#include "ike/v2/refusals.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

IntermediateResponder::IntermediateResponder(Core& core, IkeSa& sa, const net::Path& path)
    : core_(core),
      sa_(sa),
      path_(path),
      method_(additional_method(sa.suite, sa.additional_done())),
      last_(!method_ || !additional_method(sa.suite, sa.additional_done() + 1)) {}

void IntermediateResponder::start(const codec::Message& request) {
  answering_ = request.header.message_id;
  // The initiator may have moved to port 4500 (RFC 7296 2.23, RFC 9242 3.2); this request is authentic and fresh.
  sa_.path = path_;
  const auto* ke = request.first<codec::KePayload>();
  if ((ke != nullptr) != method_.has_value()) {
    return refuse(FailureKind::protocol_error, ke == nullptr
                                                   ? "the peer's IKE_INTERMEDIATE request has no KE payload"
                                                   : "the peer began a key exchange where none was agreed on");
  }
  // RFC 9370 2.2.2: the method is the one that was agreed on.
  if (ke != nullptr && ke->method != *method_) {
    return refuse(FailureKind::protocol_error, fmt::format("the peer began a key exchange by {} where {} was agreed on",
                                                           describe(ke->method), describe(*method_)));
  }
  // RFC 9867 3.1: in the last of these exchanges, which may be one of its own.
  if (last_ && ppk_is_due(sa_)) {
    ppk_named_ = names_ppk(sa_, request) || !method_;
    ppks_ = named_ppks(core_, sa_, path_, request);
    std::ranges::reverse(ppks_);
  }
  if (ke == nullptr) return try_next_ppk();
  token_ = ask_for_answer(core_, sa_, *method_, ke->public_value);
}

void IntermediateResponder::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return;
  if (auto* ppk = std::get_if<PpkResult>(&result)) return handle_ppk(std::move(*ppk));
  KeyExchangeResult computed = key_exchange_result(std::move(result));
  if (computed.fault) {
    return refuse(computed.own ? FailureKind::protocol_error : FailureKind::local_error,
                  fmt::format("no key exchange by {}: {}", describe(*method_), crypto::to_string(*computed.fault)));
  }
  own_ = std::move(computed.own);
  skeyseed_ = skeyseed_with(sa_, computed.shared_secret.view());
  try_next_ppk();
}

void IntermediateResponder::try_next_ppk() {
  if (ppks_.empty()) return answer();
  token_ = ask_to_mix_ppk(core_, sa_, ppks_.back().connection, sk_d_with(sa_, skeyseed_.view()));
}

void IntermediateResponder::handle_ppk(PpkResult result) {
  PpkCandidate candidate = std::move(ppks_.back());
  ppks_.pop_back();
  // RFC 9867 3.1: the same name for another secret is another PPK.
  if (!is_confirmed(result, candidate.confirmation)) return try_next_ppk();
  skeyseed_ = std::move(result.keys->front());
  sa_.ppk->in_use = true;
  sa_.ppk->connection = candidate.connection;
  sa_.ppk->identity = std::move(candidate.identity);
  sa_.ppk->confirmation = std::move(candidate.confirmation);
  answer();
}

void IntermediateResponder::answer() {
  const bool mixed = sa_.ppk && sa_.ppk->in_use;
  if (ppk_named_) {
    sa_.ppk->settled = true;
    if (!mixed && all_insist_on_ppk(core_, path_)) {
      return refuse(FailureKind::authentication_failed, "the peer names no PPK that is known here, and one is required",
                    NotifyType::authentication_failed);
    }
    if (!mixed) core_.progress(sa_, "the peer names no PPK that is known here; going on without");
  }
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  codec::Message answer;
  if (method_) answer.add(codec::KePayload{.method = *method_, .public_value = to_bytes(own_->public_value())});
  if (last_ && (method_ || sa_.additional_done() == 0))
    add_owed_methods(answer, sa_.init->response, core_.connections, sa_.path);
  if (mixed) answer.add_notify(NotifyType::ppk_identity, sa_.ppk->identity);
  send_response(core_, sa_, model::ExchangeType::ike_intermediate, answering_, std::move(answer), path_);
  if (method_) core_.progress(sa_, fmt::format("a key exchange by {} in IKE_INTERMEDIATE", describe(*method_)));
  const model::ConnectionConfig* config = mixed ? core_.connections.find(sa_.ppk->connection) : nullptr;
  if (config != nullptr && config->ppk) note_mixed_ppk(core_, sa_, *config->ppk);
  if (const auto keyed = end_intermediate(core_, sa_, answering_, method_.has_value(), skeyseed_.view()); !keyed) {
    fail_negotiation(core_, sa_, FailureKind::local_error, std::nullopt, std::string(crypto::to_string(keyed.error())),
                     Phase::gone);
  }
}

// RFC 9242 3.4: as in IKE_AUTH, but for what concerns authentication.
void IntermediateResponder::refuse(FailureKind kind, std::string detail, NotifyType notify) {
  const auto self = std::move(sa_.responder);  // ends with this function
  core_.refuse(refusal_for(kind, model::Role::responder, notify));
  codec::Message answer;
  answer.add_notify(notify);
  send_response(core_, sa_, model::ExchangeType::ike_intermediate, answering_, std::move(answer), path_);
  fail_negotiation(core_, sa_, kind, notify, std::move(detail), Phase::defunct);
}

}  // namespace culvert::ike::v2
