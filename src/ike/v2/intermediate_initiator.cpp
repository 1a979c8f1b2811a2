#include "ike/v2/intermediate_initiator.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/ppk.hpp"
#include "ike/v2/ppk_intermediate.hpp"
#include "ike/v2/proof_wishes.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

void continue_set_up(Core& core, IkeSa& sa, model::ConnectionConfig config) {
  const auto method = additional_method(sa.suite, sa.additional_done());
  if (!method && !ppk_is_due(sa)) return start_proof(core, sa, std::move(config));
  sa.exchange = std::make_unique<IntermediateInitiator>(core, sa, std::move(config), method);
  if (sa.exchange->start() == Progression::done) sa.exchange.reset();
  core.touch(sa);
}

// RFC 9867 3.1: the PPK goes with the last of these exchanges, so that all of them are done when it is mixed in.
IntermediateInitiator::IntermediateInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config,
                                             std::optional<model::KeyExchangeMethod> method)
    : core_(core),
      sa_(sa),
      config_(std::move(config)),
      method_(method),
      names_ppk_(ppk_is_due(sa) && (!method || !additional_method(sa.suite, sa.additional_done() + 1))) {}

Progression IntermediateInitiator::start() {
  token_ = method_ ? ask_for_key_pair(core_, sa_, *method_)
                   : ask_to_mix_ppk(core_, sa_, config_.id, SecretBytes::copy_of(sa_.keys.sk_d()));
  return Progression::waiting;
}

Progression IntermediateInitiator::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return Progression::waiting;
  if (auto* ppk = std::get_if<PpkResult>(&result)) return handle_ppk(std::move(*ppk));
  return handle_key_exchange(key_exchange_result(std::move(result)));
}

Progression IntermediateInitiator::handle_key_exchange(KeyExchangeResult computed) {
  CHECK(method_);
  if (!computed.own) {
    return fail(FailureKind::local_error, std::nullopt,
                fmt::format("no key pair for {}: {}", describe(*method_), fault_of(computed)));
  }
  if (!answered_) {
    own_ = std::move(computed.own);
    if (names_ppk_) {
      token_ = ask_to_mix_ppk(core_, sa_, config_.id, SecretBytes::copy_of(sa_.keys.sk_d()));
    } else {
      send();
    }
    return Progression::waiting;
  }
  if (computed.fault) {
    return fail(
        FailureKind::protocol_error, std::nullopt,
        fmt::format("the peer's value for {} is refused: {}", describe(*method_), crypto::to_string(*computed.fault)));
  }
  skeyseed_ = skeyseed_with(sa_, computed.shared_secret.view());
  return mix();
}

Progression IntermediateInitiator::handle_ppk(PpkResult result) {
  if (!result.keys) {
    return fail(FailureKind::local_error, std::nullopt,
                fmt::format("there is no PPK for connection '{}'", config_.name));
  }
  if (answered_) {
    note_mixed_ppk(core_, sa_, ppk());
    return finish(result.keys->front().view());
  }
  confirmation_ = shown_confirmation(result);
  send();
  return Progression::waiting;
}

void IntermediateInitiator::send() {
  codec::Message request;
  if (method_) request.add(codec::KePayload{.method = *method_, .public_value = to_bytes(own_->public_value())});
  if (names_ppk_) name_ppk(request, sa_, ppk(), confirmation_);
  send_request(core_, sa_, type(), std::move(request));
  if (method_) {
    core_.progress(sa_, fmt::format("sent IKE_INTERMEDIATE request with a key exchange by {}{}", describe(*method_),
                                    names_ppk_ ? " and a PPK" : ""));
  } else {
    core_.progress(sa_, "sent IKE_INTERMEDIATE request with a PPK");
  }
}

Progression IntermediateInitiator::handle_response(const codec::Message& response) {
  if (sa_.terminating) {
    // The peer has nothing yet that could be deleted.
    close_ike_sa(core_, sa_, CloseReason::local_request, Phase::gone);
    return Progression::done;
  }
  const auto* ke = response.first<codec::KePayload>();
  const auto* refusal = ke == nullptr ? response.error_notify() : nullptr;
  if (refusal != nullptr) {
    // RFC 9242 3.4, RFC 7296 2.21.2: only who took part in the key exchange can have written it.
    return fail(failure_kind(refusal->type), refusal->type,
                fmt::format("{} refused IKE_INTERMEDIATE with {}{}", sa_.path.remote.to_string(),
                            describe(refusal->type), names_ppk_ ? "; has it the same PPK under this name?" : ""));
  }
  if ((ke != nullptr) != method_.has_value()) {
    handle_bad_response(ke == nullptr ? "the KE payload is missing" : "a KE payload does not belong there");
    return Progression::done;
  }
  // RFC 9370 2.2.2: the method is the one that was agreed on.
  if (method_ && ke->method != *method_) {
    return fail(
        FailureKind::protocol_error, std::nullopt,
        fmt::format("the peer answered a key exchange by {} with one by {}", describe(*method_), describe(ke->method)));
  }
  if (names_ppk_) {
    if (auto fault = settle_named_ppk(core_, sa_, response, config_))
      return fail(FailureKind::authentication_failed, std::nullopt, std::move(*fault));
  }
  take_owed_methods(response, sa_.init->wishes);
  answered_ = response.header.message_id;
  if (!method_) return mix();
  token_ = ask_for_shared_secret(core_, sa_, *method_, std::move(own_), ke->public_value);
  return Progression::waiting;
}

Progression IntermediateInitiator::mix() {
  if (!names_ppk_ || !sa_.ppk->in_use) return finish(skeyseed_.view());
  token_ = ask_to_mix_ppk(core_, sa_, config_.id, sk_d_with(sa_, skeyseed_.view()));
  return Progression::waiting;
}

Progression IntermediateInitiator::finish(ByteView skeyseed) {
  CHECK(answered_);
  if (const auto keyed = end_intermediate(core_, sa_, *answered_, method_.has_value(), skeyseed); !keyed)
    return fail(FailureKind::local_error, std::nullopt, std::string(crypto::to_string(keyed.error())));
  continue_set_up(core_, sa_, std::move(config_));
  return Progression::done;
}

void IntermediateInitiator::handle_bad_response(const std::string& fault) {
  (void)fail(FailureKind::protocol_error, std::nullopt,
             fmt::format("the peer's IKE_INTERMEDIATE response is invalid: {}", fault));
}

void IntermediateInitiator::give_up() {
  if (sa_.terminating) return close_ike_sa(core_, sa_, CloseReason::local_request, Phase::gone);
  (void)fail(
      FailureKind::no_answer, std::nullopt,
      fmt::format("{} answered IKE_SA_INIT but not IKE_INTERMEDIATE, sent to {}; is UDP port {} open on the way, "
                  "and for large packets?",
                  sa_.path.remote.address.to_string(), sa_.path.remote.to_string(), sa_.path.remote.port));
}

Progression IntermediateInitiator::fail(FailureKind kind, std::optional<NotifyType> notify, std::string detail) {
  fail_negotiation(core_, sa_, kind, notify, std::move(detail), Phase::gone);
  return Progression::done;
}

}  // namespace culvert::ike::v2
