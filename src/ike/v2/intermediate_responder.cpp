#include "ike/v2/intermediate_responder.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/proof_wishes.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

IntermediateResponder::IntermediateResponder(Core& core, IkeSa& sa, const net::Path& path)
    : core_(core), sa_(sa), path_(path), method_(*additional_method(sa.suite, sa.additional_done())) {}

void IntermediateResponder::start(const codec::Message& request) {
  answering_ = request.header.message_id;
  // The initiator may have moved to port 4500 (RFC 7296 2.23, RFC 9242 3.2); this request is authentic and fresh.
  sa_.path = path_;
  const auto* ke = request.first<codec::KePayload>();
  // RFC 9370 2.2.2: the method is the one that was agreed on.
  if (ke->method != method_) {
    return refuse(FailureKind::protocol_error, fmt::format("the peer began a key exchange by {} where {} was agreed on",
                                                           describe(ke->method), describe(method_)));
  }
  token_ = ask_for_answer(core_, sa_, method_, ke->public_value);
}

void IntermediateResponder::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return;
  const KeyExchangeResult computed = key_exchange_result(std::move(result));
  if (computed.fault) {
    return refuse(computed.own ? FailureKind::protocol_error : FailureKind::local_error,
                  fmt::format("no key exchange by {}: {}", describe(method_), crypto::to_string(*computed.fault)));
  }
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  codec::Message answer;
  answer.add(codec::KePayload{.method = method_, .public_value = to_bytes(computed.own->public_value())});
  if (!additional_method(sa_.suite, sa_.additional_done() + 1))
    add_owed_methods(answer, sa_.init->response, core_.connections, sa_.path);
  send_response(core_, sa_, model::ExchangeType::ike_intermediate, answering_, std::move(answer), path_);
  core_.progress(sa_, fmt::format("a key exchange by {} in IKE_INTERMEDIATE", describe(method_)));
  if (const auto keyed = add_key_exchange(core_, sa_, computed.shared_secret.view(), answering_); !keyed) {
    fail_negotiation(core_, sa_, FailureKind::local_error, std::nullopt, std::string(crypto::to_string(keyed.error())),
                     Phase::gone);
  }
}

// RFC 9242 3.4: as in IKE_AUTH, but for what concerns authentication.
void IntermediateResponder::refuse(FailureKind kind, std::string detail) {
  const auto self = std::move(sa_.responder);  // ends with this function
  codec::Message answer;
  answer.add_notify(NotifyType::invalid_syntax);
  send_response(core_, sa_, model::ExchangeType::ike_intermediate, answering_, std::move(answer), path_);
  fail_negotiation(core_, sa_, kind, NotifyType::invalid_syntax, std::move(detail), Phase::defunct);
}

}  // namespace culvert::ike::v2
