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
#include "ike/v2/proof_wishes.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

void continue_set_up(Core& core, IkeSa& sa, model::ConnectionConfig config) {
  const auto method = additional_method(sa.suite, sa.additional_done());
  if (!method) return start_proof(core, sa, std::move(config));
  sa.exchange = std::make_unique<IntermediateInitiator>(core, sa, std::move(config), *method);
  if (sa.exchange->start() == Progression::done) sa.exchange.reset();
  core.touch(sa);
}

IntermediateInitiator::IntermediateInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config,
                                             model::KeyExchangeMethod method)
    : core_(core), sa_(sa), config_(std::move(config)), method_(method) {}

Progression IntermediateInitiator::start() {
  token_ = ask_for_key_pair(core_, sa_, method_);
  return Progression::waiting;
}

Progression IntermediateInitiator::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return Progression::waiting;
  KeyExchangeResult computed = key_exchange_result(std::move(result));
  if (!computed.own) {
    return fail(FailureKind::local_error, std::nullopt,
                fmt::format("no key pair for {}: {}", describe(method_), crypto::to_string(*computed.fault)));
  }
  if (!answered_) {
    own_ = std::move(computed.own);
    codec::Message request;
    request.add(codec::KePayload{.method = method_, .public_value = to_bytes(own_->public_value())});
    send_request(core_, sa_, type(), std::move(request));
    core_.progress(sa_, fmt::format("sent IKE_INTERMEDIATE request with a key exchange by {}", describe(method_)));
    return Progression::waiting;
  }
  if (computed.fault) {
    return fail(
        FailureKind::protocol_error, std::nullopt,
        fmt::format("the peer's value for {} is refused: {}", describe(method_), crypto::to_string(*computed.fault)));
  }
  if (const auto keyed = add_key_exchange(core_, sa_, computed.shared_secret.view(), *answered_); !keyed)
    return fail(FailureKind::local_error, std::nullopt, std::string(crypto::to_string(keyed.error())));
  continue_set_up(core_, sa_, std::move(config_));
  return Progression::done;
}

Progression IntermediateInitiator::handle_response(const codec::Message& response) {
  if (sa_.terminating) {
    // The peer has nothing yet that could be deleted.
    close_ike_sa(core_, sa_, CloseReason::local_request, Phase::gone);
    return Progression::done;
  }
  const auto* ke = response.first<codec::KePayload>();
  if (ke == nullptr) {
    // RFC 9242 3.4, RFC 7296 2.21.2: only who took part in the key exchange can have written it.
    const NotifyType error = response.error_notify()->type;
    return fail(failure_kind(error), error,
                fmt::format("{} refused IKE_INTERMEDIATE with {}", sa_.path.remote.to_string(), describe(error)));
  }
  // RFC 9370 2.2.2: the method is the one that was agreed on.
  if (ke->method != method_) {
    return fail(
        FailureKind::protocol_error, std::nullopt,
        fmt::format("the peer answered a key exchange by {} with one by {}", describe(method_), describe(ke->method)));
  }
  take_owed_methods(response, sa_.init->wishes);
  answered_ = response.header.message_id;
  token_ = ask_for_shared_secret(core_, sa_, method_, std::move(own_), ke->public_value);
  return Progression::waiting;
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
