#include "ike/v2/follow_up_responder.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/create_child_sa_responder.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/follow_up_series.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/rekey_ike_sa_initiator.hpp"
#include "ike/v2/rekey_ike_sa_responder.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

void FollowUpResponder::start(const codec::Message& request) {
  answering_ = request.header.message_id;
  const auto* notify = request.notify(NotifyType::additional_key_exchange);
  FollowUp* const awaited = notify != nullptr ? find_follow_up(sa_, notify->data) : nullptr;
  // RFC 9370 2.2.4: given up long ago, or never begun; not fatal.
  if (awaited == nullptr || sa_.phase != Phase::established) return refuse(NotifyType::state_not_found);
  const auto* ke = request.first<codec::KePayload>();
  method_ = awaited->methods.front();
  // RFC 9370 2.2.4: the method is the one that was agreed on.
  if (ke->method != method_) {
    core_.progress(sa_, fmt::format("the peer began a key exchange by {} where {} was agreed on", describe(ke->method),
                                    describe(method_)));
    cancel_follow_up(core_, sa_, *awaited);
    return refuse(NotifyType::invalid_syntax);
  }
  link_ = awaited->link;
  awaited->until = core_.now + kFollowUpPatience;
  token_ = ask_for_answer(core_, sa_, method_, ke->public_value);
}

void FollowUpResponder::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return;
  const KeyExchangeResult computed = key_exchange_result(std::move(result));
  FollowUp* const awaited = find_follow_up(sa_, link_);
  // Meanwhile a rekey of our own has taken its place, or the peer's patience with us has ended.
  if (awaited == nullptr) return refuse(NotifyType::state_not_found);
  if (computed.fault) {
    core_.progress(sa_,
                   fmt::format("no key exchange by {}: {}", describe(method_), crypto::to_string(*computed.fault)));
    cancel_follow_up(core_, sa_, *awaited);
    // RFC 7296 2.21.3: a value that is none is a fault of form.
    return refuse(computed.own ? NotifyType::invalid_syntax : NotifyType::temporary_failure);
  }
  awaited->further = appended(awaited->further, computed.shared_secret.view());
  awaited->methods.erase(awaited->methods.begin());
  core_.progress(sa_, fmt::format("a key exchange by {} in IKE_FOLLOWUP_KE", describe(method_)));
  codec::Message message;
  message.add(codec::KePayload{.method = method_, .public_value = to_bytes(computed.own->public_value())});
  if (!awaited->methods.empty()) {
    await_next(core_, *awaited, message);
    core_.touch(sa_);
  } else if (const auto error = finish(take_follow_up(sa_, *awaited))) {
    return refuse(*error);
  }
  answer(std::move(message));
}

void FollowUpResponder::answer(codec::Message message) {
  const auto self = std::move(sa_.responder);  // ends with this function
  CHECK(self.get() == this);
  send_response(core_, sa_, model::ExchangeType::ike_followup_ke, answering_, std::move(message), path_);
}

void FollowUpResponder::refuse(NotifyType type) {
  codec::Message message;
  message.add_notify(type);
  answer(std::move(message));
}

std::optional<NotifyType> FollowUpResponder::finish(const FollowUp& done) {
  return std::visit([&](const auto& outcome) { return make(done, outcome); }, done.outcome);
}

std::optional<NotifyType> FollowUpResponder::make(const FollowUp& done, const AwaitedIkeSa& ike_sa) {
  const bool leaving = std::ranges::any_of(
      sa_.tasks, [](const QueuedTask& queued) { return std::holds_alternative<DeleteIkeTask>(queued.task); });
  if (leaving || sa_.candidate || sa_.successor) return NotifyType::temporary_failure;
  IkeSa* next = make_rekeyed_ike_sa(core_, sa_, ike_sa.suite, model::Role::responder, ike_sa.spi_i, ike_sa.spi_r,
                                    done.shared_secret.view(), done.nonce_i, done.nonce_r, done.further.view());
  if (next == nullptr) return NotifyType::no_proposal_chosen;
  take_over(core_, sa_, *next, done.nonce_i, done.nonce_r);
  return std::nullopt;
}

std::optional<NotifyType> FollowUpResponder::make(const FollowUp& done, const AwaitedChild& child) {
  const model::ConnectionConfig* config = core_.connections.find(child.agreement.connection);
  ChildSa* old = child.old ? sa_.find_child(*child.old) : nullptr;
  std::optional<NotifyType> error;
  if (config == nullptr) error = NotifyType::no_additional_sas;
  // The one that it was to replace has gone meanwhile: the peer hears so when it begins anew.
  if (child.old && old == nullptr) error = NotifyType::state_not_found;
  // RFC 7296 2.25.1
  if (old != nullptr && (old->deleting || old->replaced_by || old->redundant)) error = NotifyType::temporary_failure;
  if (error) {
    core_.esp_spis.release(child.agreement.spi_inbound);
    return error;
  }
  const auto narrowed = narrowed_to_peer(*config, sa_);
  install_answered(core_, sa_, narrowed ? *narrowed : *config, child.agreement, old,
                   {.request = answering_,
                    .shared_secret = done.shared_secret.view(),
                    .further = done.further.view(),
                    .nonce_i = done.nonce_i,
                    .nonce_r = done.nonce_r});
  return std::nullopt;
}

}  // namespace culvert::ike::v2
