#include "ike/v2/create_child_sa_initiator.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/key_exchange_work.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/refusals.hpp"
#include "ike/v2/resource_sas.hpp"
#include "ike/v2/retry.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

using model::KeyExchangeMethod;
using model::NotifyType;
using model::Role;

constexpr unsigned kMostMethods = 3;
constexpr Duration kWishPatience = std::chrono::seconds(10);

/// An established IKE SA always has one.
model::ConnectionId connection_of(const IkeSa& sa) {
  CHECK(sa.connection);
  return *sa.connection;
}

codec::NotifyPayload rekey_sa(model::Spi spi_inbound) {
  ByteWriter spi;
  spi.u32(spi_inbound.value());
  // RFC 7296 1.3.3: the SPI that we expect in inbound packets of the pair being replaced.
  return {.protocol = model::ProtocolId::esp, .spi = spi.take(), .type = NotifyType::rekey_sa, .data = {}};
}

// RFC 9370 2.2.4: each of them is a request more.
std::size_t most_additional(const model::ConnectionConfig* config) {
  std::size_t most = 0;
  if (config == nullptr) return most;
  for (const model::Proposal& proposal : config->esp_proposals) {
    std::set<model::TransformType> additional;
    for (const model::Transform& one : proposal.transforms) {
      if (model::is_additional_key_exchange(one.type)) additional.insert(one.type);
    }
    most = std::max(most, additional.size());
  }
  return most;
}

}  // namespace

CreateChildSaInitiator::CreateChildSaInitiator(Core& core, IkeSa& sa, const CreateChildTask& task)
    : core_(core),
      sa_(sa),
      connection_(task.guest ? *task.guest : connection_of(sa)),
      anew_(task.anew),
      wish_(task.wish),
      retry_(task.retry),
      additional_(most_additional(core.connections.find(connection_))) {}

CreateChildSaInitiator::CreateChildSaInitiator(Core& core, IkeSa& sa, model::ChildSaId old, Retry retry)
    : core_(core), sa_(sa), old_(old), connection_(connection_of(sa)), retry_(retry) {
  if (const ChildSa* child = sa.find_child(old)) connection_ = child->connection;
  additional_ = most_additional(core.connections.find(connection_));
}

bool CreateChildSaInitiator::settled_meanwhile(const ChildSa* old) const {
  if (old_) return old == nullptr || !old->is_current();
  // While this waited for its turn the peer may have made the pair; a guest's in an IKE SA of its own, too.
  if (!anew_ && connection_ != sa_.connection && has_current_child(core_, connection_, wish_)) return true;
  return std::ranges::any_of(sa_.children, [&](const auto& entry) {
    const ChildSa& child = entry.second;
    if (child.connection != connection_) return false;
    if (wish_) return fulfils(child, *wish_);
    return !child.deleting && !child.redundant && !child.scope && !child.group.resource;
  });
}

std::optional<Task> CreateChildSaInitiator::not_begun() const {
  return sent_at_ ? std::nullopt : std::optional(as_task(retry_));
}

std::size_t CreateChildSaInitiator::requests_left() const { return additional_ + (sent_at_ ? 0 : 1); }

Task CreateChildSaInitiator::as_task(const Retry& retry) const {
  if (old_) return RekeyChildTask{.child = *old_, .retry = retry};
  const bool guest = connection_ != sa_.connection;
  return CreateChildTask{
      .retry = retry, .wish = wish_, .guest = guest ? std::optional(connection_) : std::nullopt, .anew = anew_};
}

// Once more when the key pair is there: what has changed meanwhile counts.
Progression CreateChildSaInitiator::start() {
  if (sa_.phase != Phase::established || unwanted_) return Progression::done;
  const model::ConnectionConfig* config = core_.connections.find(connection_);
  const ChildSa* old = old_ ? sa_.find_child(*old_) : nullptr;
  if (config == nullptr || settled_meanwhile(old)) {
    end_wait(sa_, connection_);
    return Progression::done;
  }
  const ChildSa* fallback = wish_ && wish_->resource ? joinable(sa_, *config, *wish_) : nullptr;
  // What it was to stand beside is gone, or has as many beside it as there may be: the next packet asks again.
  if (wish_ && wish_->resource && fallback == nullptr) return Progression::done;
  config_ = *config;
  if (auto narrowed = narrowed_to_peer(config_, sa_)) config_ = std::move(*narrowed);
  if (!old_ && count_current(sa_) >= core_.settings.children_limit) {
    fail({.notify = NotifyType::no_additional_sas,
          .data = {},
          .kind = FailureKind::local_error,
          .detail = fmt::format("there are {} Child SAs already, and no more are made in one IKE SA",
                                core_.settings.children_limit)},
         false);
    return Progression::done;
  }
  const KeyExchangeMethod method = method_to_offer(
      fallback != nullptr ? proposals_like(config_.esp_proposals, fallback->suite) : config_.esp_proposals,
      retry_.method);
  if (method != KeyExchangeMethod::none && (!key_exchange_ || method_ != method)) {
    method_ = method;
    token_ = ask_for_key_pair(core_, sa_, method);
    return Progression::waiting;
  }
  if (method == KeyExchangeMethod::none) key_exchange_.reset();
  method_ = method;
  return send(old, fallback);
}

Progression CreateChildSaInitiator::send(const ChildSa* old, const ChildSa* fallback) {
  auto offer = make_child_offer(core_, sa_, config_,
                                {.exchange = ChildExchange::create_child_sa,
                                 .old = old,
                                 .fallback = fallback,
                                 .wish = wish_,
                                 .single_pair = retry_.single_pair,
                                 .method = method_,
                                 .key_exchange = std::move(key_exchange_)});
  if (!offer) {
    report_child_failure(core_, sa_, Role::initiator, offer.error().kind, std::nullopt, offer.error().detail, wish_,
                         connection_);
    if (wish_) end_wait(sa_, connection_);
    // Who has the wish asks again.
    if (!wish_) retry(retry_delay(core_, old));
    return Progression::done;
  }
  offer_ = std::move(*offer);
  nonce_ = core_.new_nonce();
  codec::Message message;
  if (old != nullptr) message.add(rekey_sa(old->spi_inbound));
  add_child_sa_payload(message, *offer_);
  message.add(codec::NoncePayload{nonce_});
  if (offer_->key_exchange) {
    message.add(
        codec::KePayload{.method = offer_->method, .public_value = to_bytes(offer_->key_exchange->public_value())});
  }
  add_child_ts_payloads(message, *offer_);
  send_request(core_, sa_, type(), std::move(message));
  sent_at_ = core_.now;
  core_.progress(sa_, old != nullptr ? fmt::format("rekeying Child SA {:08x}/{:08x}", old->spi_inbound.value(),
                                                   old->spi_outbound.value())
                                     : fmt::format("sent CREATE_CHILD_SA request for a new Child SA, {}",
                                                   describe(offer_->local, offer_->remote)));
  return Progression::waiting;
}

Progression CreateChildSaInitiator::handle_completion(RequestToken token, Completion result) {
  if (series_) return follow(series_->take(token, std::move(result)));
  if (token != token_) return Progression::waiting;
  KeyExchangeResult computed = key_exchange_result(std::move(result));
  if (response_) {
    offer().key_exchange = std::move(computed.own);
    computed_ = std::move(computed);
    return handle_response(*response_);
  }
  if (!computed.own) {
    fail({.notify = NotifyType::no_additional_sas,
          .data = {},
          .kind = FailureKind::local_error,
          .detail = fmt::format("no key pair for {}: {}", describe(method_), fault_of(computed))},
         false);
    return Progression::done;
  }
  key_exchange_ = std::move(computed.own);
  return start();
}

// Once more when the shared secret is there, as if the response had come only now.
Progression CreateChildSaInitiator::handle_response(const codec::Message& response) {
  if (sa_.phase != Phase::established) {
    abandon();
    return Progression::done;
  }
  if (series_) return follow(series_->take(response));
  if (response.first<codec::SaPayload>() == nullptr) {
    handle_refusal(*response.error_notify());
    return Progression::done;
  }
  const ChildSa* old = old_ ? sa_.find_child(*old_) : nullptr;
  const ChildSa* fallback = wish_ && wish_->resource ? find_fallback(sa_, wish_->local, wish_->remote) : nullptr;
  // RFC 9611 3: the selectors are those of the fallback, if that still stands.
  ChildOffer& offered = offer();
  auto agreed = check_child_answer(sa_, config_, ChildExchange::create_child_sa, offered,
                                   old != nullptr ? old : fallback, response);
  if (!agreed) {
    fail(agreed.error(), true);
    return Progression::done;
  }
  note_more_possible(core_, sa_, response, offered, *agreed);
  // Whether both sides asked at once is told by their requests, however long the answers take.
  agreed->asked_at = sent_at_;
  if (fallback != nullptr) {
    // The same as a set; the peer may have left the packet's own selectors in.
    agreed->local = fallback->local;
    agreed->remote = fallback->remote;
  }
  SecretBytes shared_secret;
  if (agreed->suite.key_exchange != KeyExchangeMethod::none) {
    const auto* ke = response.first<codec::KePayload>();
    const bool fits = offered.key_exchange && ke != nullptr && ke->method == agreed->suite.key_exchange &&
                      ke->method == offered.method;
    if (fits && !computed_) {
      response_ = response;
      token_ = ask_for_shared_secret(core_, sa_, offered.method, std::move(offered.key_exchange), ke->public_value);
      return Progression::waiting;
    }
    if (!fits || computed_->fault) {
      fail({.notify = NotifyType::invalid_ke_payload,
            .data = {},
            .kind = FailureKind::protocol_error,
            .detail = fmt::format("the peer's answer to the key exchange by {} is invalid", describe(offered.method))},
           true);
      return Progression::done;
    }
    if (!model::methods_of(agreed->suite.additional).empty()) return follow_up(std::move(*agreed), response);
    shared_secret = std::move(computed_->shared_secret);
  }
  handle_agreement(*agreed, response, shared_secret.view(), {});
  return Progression::done;
}

// RFC 7296 2.8.1: of two pairs that replace the same one, that with the lowest nonce is closed by the side that made
// it. It holds also when the peer's pair has been rekeyed or, having lost, deleted already.
bool CreateChildSaInitiator::loses_to_peer(const Bytes& nonce_r) const {
  return collision_ && has_lowest_nonce(nonce_, nonce_r, collision_->nonce_i, collision_->nonce_r);
}

void CreateChildSaInitiator::win() {
  if (!collision_) return;
  cancel_rekey_of(core_, sa_, old_);
  ChildSa* theirs = collision_->child ? sa_.find_child(*collision_->child) : nullptr;
  collision_.reset();
  if (theirs == nullptr) return;
  theirs->redundant = true;
  theirs->rekey_at.reset();
}

// Should the peer's additional key exchanges never come to their end, ours is due again.
void CreateChildSaInitiator::yield() {
  core_.progress(sa_, "the peer rekeyed at the same time; its Child SA stays");
  retry(Duration::zero(), retry_.method);
}

Progression CreateChildSaInitiator::follow_up(ChildAgreement agreement, const codec::Message& response) {
  // RFC 9370 2.2.4: there is nothing yet that could be deleted.
  if (loses_to_peer(response.first<codec::NoncePayload>()->data)) {
    abandon();
    yield();
    return Progression::done;
  }
  win();
  auto methods = model::methods_of(agreement.suite.additional);
  agreement_ = std::move(agreement);
  series_.emplace(core_, sa_, std::move(methods));
  return follow(series_->begin(response));
}

Progression CreateChildSaInitiator::follow(FollowUpSeries::Step step) {
  if (step == FollowUpSeries::Step::waiting) return Progression::waiting;
  CHECK(series_);
  if (sa_.phase != Phase::established) {
    abandon();
  } else if (step == FollowUpSeries::Step::failed) {
    fail_series(*series_);
  } else {
    handle_agreement(*agreement_, *response_, computed_->shared_secret.view(), series_->secrets());
  }
  return Progression::done;
}

void CreateChildSaInitiator::fail_series(const FollowUpSeries& series) {
  const FollowUpFault& fault = series.fault();
  // An answer of the peer's that is no refusal, and wrong: it may believe in the pair.
  const bool peer_has_it = !fault.notify && series.is_last();
  if (!peer_has_it) abandon();
  if (fault.notify == NotifyType::state_not_found) {
    core_.progress(sa_, fault.detail);
    return is_forgotten_for_good(core_, sa_, retry_) ? void() : retry(Duration::zero(), retry_.method);
  }
  if (fault.notify == NotifyType::temporary_failure) {
    if (give_up_on_temporary_failure(core_, sa_, retry_)) return;
    return retry(collision_delay(core_, old_ ? sa_.find_child(*old_) : nullptr), retry_.method);
  }
  fail({.notify = fault.notify.value_or(NotifyType::invalid_ke_payload),
        .data = {},
        .kind = fault.kind,
        .detail = fault.detail},
       peer_has_it);
}

void CreateChildSaInitiator::handle_agreement(const ChildAgreement& agreement, const codec::Message& response,
                                              ByteView shared_secret, ByteView further) {
  const Bytes& nonce_r = response.first<codec::NoncePayload>()->data;
  ChildSa* old = old_ ? sa_.find_child(*old_) : nullptr;
  const bool loses = loses_to_peer(nonce_r);
  ChildSa child;
  child.redundant = loses;
  child.hold_outbound = loses;
  if (old != nullptr) child.replaces = old->id;
  ChildSa& made = build_child(core_, sa_, config_, agreement, Role::initiator, shared_secret, nonce_, nonce_r,
                              std::move(child), further);
  offer_.reset();
  if (loses) {
    yield();
    return delete_child(core_, sa_, made, CloseReason::rekeyed);
  }
  win();
  if (unwanted_) {
    end_child(core_, sa_, made.id, CloseReason::local_request);
    if (old != nullptr) end_child(core_, sa_, old->id, CloseReason::local_request);
    return;
  }
  if (old == nullptr) return;
  // RFC 7296 2.8: who initiated the surviving rekey deletes the pair it replaces.
  old->replaced_by = made.id;
  delete_child(core_, sa_, *old, CloseReason::rekeyed);
}

void CreateChildSaInitiator::handle_refusal(const codec::NotifyPayload& error) {
  const std::string asked = describe(offer().local, offer().remote);
  abandon();
  ChildSa* old = old_ ? sa_.find_child(*old_) : nullptr;
  // RFC 7296 2.8.1: after a collision that only one side noticed, the peer's rekey stands and this answer means
  // nothing.
  if (old_ && (old == nullptr || collision_ || old->replaced_by)) return collision_ ? yield() : void();
  switch (error.type) {
    case NotifyType::temporary_failure:
      // RFC 7296 2.25: not again at once.
      if (give_up_wish()) break;
      return give_up_on_temporary_failure(core_, sa_, retry_) ? void()
                                                              : retry(collision_delay(core_, old), retry_.method);
    case NotifyType::child_sa_not_found:
      if (old != nullptr) {
        // RFC 7296 2.25: silently deleted, and made from scratch.
        const bool whole = !old->scope && !old->group.resource;
        remove_child(core_, sa_, old->id, CloseReason::peer_deleted, Duration::zero());
        // One for some traffic only comes again with that.
        if (whole) {
          old_.reset();
          retry_ = {};
          retry(Duration::zero());
        }
        return;
      }
      break;
    case NotifyType::invalid_ke_payload: {
      const auto wanted = error.data.size() == 2 ? static_cast<KeyExchangeMethod>(load_be16(error.data.data()))
                                                 : KeyExchangeMethod::none;
      const auto methods = usable_methods(config_.esp_proposals);
      if (std::ranges::find(methods, wanted) != methods.end() && wanted != retry_.method &&
          ++retry_.attempts < kMostMethods) {
        return retry(Duration::zero(), wanted);
      }
      break;
    }
    case NotifyType::single_pair_required:
      // RFC 7296 2.9: the peer wants one pair of addresses: that of the packet.
      if (wish_ && !wish_->resource && !std::exchange(retry_.single_pair, true))
        return retry(Duration::zero(), retry_.method);
      break;
    case NotifyType::ts_max_queue:
      // RFC 9611 5.2: no answer to a rekey, which makes none more; but who counts so would say it again and again. The
      // pair ends with its time, and its traffic goes over the fallback.
      if (!old_ && settled_meanwhile(nullptr)) return;  // the peer's own was there first
      if (old == nullptr || !old->group.resource) break;
      return core_.progress(sa_, "the peer takes no successor for a Child SA of one resource");
    default: break;
  }
  fail({.notify = error.type,
        .data = {},
        .kind = failure_kind(error.type),
        .detail =
            fmt::format("the peer refused {} with {}; we offered {}", old_ ? "to rekey the Child SA" : "the Child SA",
                        describe(error.type), describe_refused(error.type, config_.esp_proposals, asked))},
       false);
}

// A packet does not wait for ever, and what others need goes on meanwhile.
bool CreateChildSaInitiator::give_up_wish() const {
  return wish_ && retry_.refused_since && core_.now - *retry_.refused_since >= kWishPatience;
}

// Most peers take the Child SAs of one peer in one IKE SA; some look for them in one of their connections alone.
bool CreateChildSaInitiator::go_alone(const ChildRefusal& refusal) {
  if (old_ || anew_ || unwanted_ || connection_ == sa_.connection || refusal.kind == FailureKind::local_error)
    return false;
  const model::ConnectionConfig* config = core_.connections.find(connection_);
  if (config == nullptr || !waits(sa_, connection_)) return false;
  core_.progress(sa_, fmt::format("'{}' gets an IKE SA of its own: {}", config->name, refusal.detail));
  note_refused(core_, sa_, connection_);
  core_.homeless.push_back({connection_, sa_.path, wish_});
  return true;
}

void CreateChildSaInitiator::fail(const ChildRefusal& refusal, bool peer_has_it) {
  core_.refuse(refusal_for(refusal.kind, Role::initiator, refusal.notify));
  const bool alone = go_alone(refusal);
  end_wait(sa_, connection_);
  if (!alone && !unwanted_)
    report_child_failure(core_, sa_, Role::initiator, refusal.kind, refusal.notify, refusal.detail, wish_, connection_);
  if (peer_has_it && offer_) {
    sa_.tasks.push_back({.task = DeleteUnknownChildTask{.spi_inbound = offer_->spi_inbound}});
    offer_.reset();
  }
  // Later all methods may be tried again.
  retry_ = {};
  if (old_) retry(retry_delay(core_, sa_.find_child(*old_)));
}

void CreateChildSaInitiator::retry(Duration after, KeyExchangeMethod method) {
  if (unwanted_) return;
  Retry next = retry_;
  next.method = method;
  sa_.tasks.push_back({.task = as_task(next), .not_before = core_.now + after});
  core_.touch(sa_);
}

// The IKE SA ends with it, see messages.
void CreateChildSaInitiator::handle_bad_response(const std::string&) { abandon(); }

void CreateChildSaInitiator::abandon() {
  if (offer_) withdraw_offer(core_, *offer_);
  offer_.reset();
}

}  // namespace culvert::ike::v2
