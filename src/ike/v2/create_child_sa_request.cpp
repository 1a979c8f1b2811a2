#include "ike/v2/create_child_sa_request.hpp"

#include <utility>

#include "base/check.hpp"
#include "ike/v2/create_child_sa_responder.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/rekey_ike_sa_responder.hpp"

namespace culvert::ike::v2 {

bool CreateChildSaRequest::start() {
  if (auto message = handle()) {
    answer(std::move(*message));
    return true;
  }
  token_ = ask_for_answer(core_, sa_, key_exchange_.method, request_.first<codec::KePayload>()->public_value);
  return false;
}

void CreateChildSaRequest::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return;
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  key_exchange_.computed = key_exchange_result(std::move(result));
  auto message = handle();
  if (!message) {
    // The configuration has changed meanwhile, and wants another one now: the peer may try again.
    message = codec::Message();
    message->add_notify(model::NotifyType::temporary_failure);
  }
  answer(std::move(*message));
}

std::optional<codec::Message> CreateChildSaRequest::handle() {
  if (form_ == MessageForm::rekey_ike_sa_request)
    return RekeyIkeSaResponder(core_, sa_, key_exchange_).handle(request_);
  return CreateChildSaResponder(core_, sa_, key_exchange_).handle(request_);
}

void CreateChildSaRequest::answer(codec::Message message) {
  send_response(core_, sa_, model::ExchangeType::create_child_sa, request_.header.message_id, std::move(message),
                path_);
}

}  // namespace culvert::ike::v2
