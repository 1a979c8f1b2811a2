#include "ike/v2/follow_up_series.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/describe.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/messages.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

SecretBytes appended(const SecretBytes& secrets, ByteView one) {
  SecretBytes out(secrets.size() + one.size());
  std::ranges::copy(one, std::ranges::copy(secrets.view(), out.mutable_view().begin()).out);
  return out;
}

FollowUpSeries::Step FollowUpSeries::begin(const codec::Message& response) {
  if (!take_link(response)) {
    return fail(FailureKind::protocol_error, std::nullopt,
                "the peer agreed on additional key exchanges and says nothing of them");
  }
  return begin_next();
}

// RFC 9370 2.2.4: what the responder says goes back to it as it is.
bool FollowUpSeries::take_link(const codec::Message& response) {
  const auto* notify = response.notify(NotifyType::additional_key_exchange);
  if (notify == nullptr) return false;
  link_ = notify->data;
  return true;
}

FollowUpSeries::Step FollowUpSeries::begin_next() {
  sent_ = answered_ = false;
  token_ = ask_for_key_pair(core_, sa_, methods_[done_]);
  return Step::waiting;
}

FollowUpSeries::Step FollowUpSeries::take(RequestToken token, Completion result) {
  if (token != token_) return Step::waiting;
  const model::KeyExchangeMethod method = methods_[done_];
  KeyExchangeResult computed = key_exchange_result(std::move(result));
  if (!computed.own) {
    return fail(FailureKind::local_error, std::nullopt,
                fmt::format("no key pair for {}: {}", describe(method), fault_of(computed)));
  }
  if (!answered_) {
    // The peer has nothing yet that would have to be deleted.
    if (sa_.phase != Phase::established) return fail(FailureKind::local_error, std::nullopt, "the IKE SA is closed");
    own_ = std::move(computed.own);
    codec::Message request;
    request.add(codec::KePayload{.method = method, .public_value = to_bytes(own_->public_value())});
    request.add_notify(NotifyType::additional_key_exchange, link_);
    send_request(core_, sa_, model::ExchangeType::ike_followup_ke, std::move(request));
    sent_ = true;
    core_.progress(sa_, fmt::format("sent IKE_FOLLOWUP_KE request with a key exchange by {}", describe(method)));
    return Step::waiting;
  }
  if (computed.fault) {
    return fail(
        FailureKind::protocol_error, std::nullopt,
        fmt::format("the peer's value for {} is refused: {}", describe(method), crypto::to_string(*computed.fault)));
  }
  secrets_ = appended(secrets_, computed.shared_secret.view());
  if (done_ + 1 == methods_.size()) return Step::done;
  ++done_;
  return begin_next();
}

FollowUpSeries::Step FollowUpSeries::take(const codec::Message& response) {
  const model::KeyExchangeMethod method = methods_[done_];
  const auto* ke = response.first<codec::KePayload>();
  if (ke == nullptr) {
    const NotifyType error = response.error_notify()->type;
    return fail(
        failure_kind(error), error,
        fmt::format("the peer refused an additional key exchange by {} with {}", describe(method), describe(error)));
  }
  // RFC 9370 2.2.4: the method is the one that was agreed on.
  if (ke->method != method) {
    return fail(
        FailureKind::protocol_error, std::nullopt,
        fmt::format("the peer answered a key exchange by {} with one by {}", describe(method), describe(ke->method)));
  }
  if (done_ + 1 < methods_.size() && !take_link(response)) {
    return fail(FailureKind::protocol_error, std::nullopt,
                fmt::format("the peer leaves out the key exchanges behind that by {}", describe(method)));
  }
  answered_ = true;
  token_ = ask_for_shared_secret(core_, sa_, method, std::move(own_), ke->public_value);
  return Step::waiting;
}

FollowUpSeries::Step FollowUpSeries::fail(FailureKind kind, std::optional<NotifyType> notify, std::string detail) {
  fault_ = {.kind = kind, .notify = notify, .detail = std::move(detail)};
  return Step::failed;
}

}  // namespace culvert::ike::v2
