#include "ike/v2/rekey_ike_sa_responder.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/ike_keys.hpp"
#include "ike/v2/rekey_ike_sa_initiator.hpp"
#include "ike/v2/resumption.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

codec::Message refusal(NotifyType type, ByteView data = {}) {
  codec::Message answer;
  answer.add_notify(type, data);
  return answer;
}

}  // namespace

bool RekeyIkeSaResponder::busy() const {
  // RFC 7296 2.25.2: being closed, or rekeyed already.
  if (sa_.phase != Phase::established || sa_.candidate || sa_.successor) return true;
  const bool leaving = std::ranges::any_of(
      sa_.tasks, [](const QueuedTask& queued) { return std::holds_alternative<DeleteIkeTask>(queued.task); });
  if (leaving) return true;
  // RFC 7296 2.25.1: not while a Child SA is being created, rekeyed or closed; beside others there is nothing else.
  if (std::ranges::any_of(sa_.beside, [](const auto& one) { return !one->not_begun(); })) return true;
  const auto activity = sa_.activity();
  if (!activity) return false;
  switch (*activity) {
    // RFC 7296 2.25.1: not while a Child SA is being created, rekeyed or closed.
    case Activity::create_child:
    case Activity::rekey_child:
    case Activity::delete_child:
    case Activity::delete_ike:
    case Activity::set_up: return true;
    // RFC 9370 2.2.4: a rekey of ours that is past CREATE_CHILD_SA comes to its end first.
    case Activity::rekey_ike: return sa_.exchange->type() == model::ExchangeType::ike_followup_ke;
    case Activity::inform: return false;
  }
  return true;
}

std::optional<codec::Message> RekeyIkeSaResponder::handle(const codec::Message& request) {
  if (busy() || (!key_exchange_.computed && !sa_.creations.allow(core_.now)))
    return refusal(NotifyType::temporary_failure);
  const model::ConnectionConfig* config = core_.connections.find(sa_.connection);
  if (config == nullptr) return refusal(NotifyType::no_additional_sas);
  const auto& offered = request.first<codec::SaPayload>()->proposals;
  const auto* ke = request.first<codec::KePayload>();
  const auto method = ke != nullptr ? ke->method : model::KeyExchangeMethod::none;
  auto chosen = model::select_proposal(offered, config->ike_proposals,
                                       {.prefer_method = method, .additional_key_exchanges = true});
  const bool spi_fits = chosen && chosen->proposal.spi.size() == 8 && load_be64(chosen->proposal.spi.data()) != 0;
  if (!spi_fits || !is_usable(chosen->ike)) {
    report_child_failure(core_, sa_, model::Role::responder, FailureKind::no_proposal_chosen,
                         NotifyType::no_proposal_chosen,
                         fmt::format("the peer wants to rekey the IKE SA with {}, connection '{}' accepts {}",
                                     describe(offered), config->name, describe(config->ike_proposals)));
    return refusal(NotifyType::no_proposal_chosen);
  }
  if (chosen->ike.key_exchange != method) {
    // RFC 7296 1.3.2: the KE payload must be there, of the method chosen.
    ByteWriter data;
    data.u16(static_cast<std::uint16_t>(chosen->ike.key_exchange));
    return refusal(NotifyType::invalid_ke_payload, data.view());
  }
  if (!key_exchange_.is_ready(method)) return std::nullopt;
  CHECK(key_exchange_.computed);
  const KeyExchangeResult& computed = *key_exchange_.computed;
  if (computed.fault) return refusal(NotifyType::invalid_syntax);

  const Bytes& nonce_i = request.first<codec::NoncePayload>()->data;
  const Bytes nonce_r = core_.new_nonce();
  const model::IkeSpi spi_i(load_be64(chosen->proposal.spi.data()));
  const model::IkeSpi spi_r = core_.new_ike_spi();
  ByteWriter spi;
  spi.u64(spi_r.value());
  chosen->proposal.spi = spi.take();
  codec::Message answer;
  answer.add(codec::SaPayload{{chosen->proposal}});
  answer.add(codec::NoncePayload{nonce_r});
  answer.add(codec::KePayload{.method = method, .public_value = to_bytes(computed.own->public_value())});
  if (auto methods = model::methods_of(chosen->ike.additional); !methods.empty()) {
    return await_further(
        std::move(answer),
        {.outcome =
             AwaitedIkeSa{.suite = chosen->ike, .spi_i = spi_i, .spi_r = spi_r, .promise = core_.sas.promise(spi_r)},
         .methods = std::move(methods),
         .shared_secret = computed.shared_secret.clone(),
         .further = {},
         .nonce_i = nonce_i,
         .nonce_r = nonce_r,
         .link = {},
         .until = {}});
  }
  IkeSa* next = make_rekeyed_ike_sa(core_, sa_, chosen->ike, model::Role::responder, spi_i, spi_r,
                                    computed.shared_secret.view(), nonce_i, nonce_r);
  if (next == nullptr) return refusal(NotifyType::no_proposal_chosen);
  add_crash_token(answer, core_, *next, *config);
  take_over(core_, sa_, *next, nonce_i, nonce_r);
  // RFC 5723 4.1.
  answer_ticket_request(answer, core_, *next, request);
  return answer;
}

codec::Message RekeyIkeSaResponder::await_further(codec::Message answer, FollowUp awaited) {
  const RekeyCollision collision{
      .child = std::nullopt, .ike_sa = std::nullopt, .nonce_i = awaited.nonce_i, .nonce_r = awaited.nonce_r};
  if (!await_follow_up(core_, sa_, std::move(awaited), answer)) return refusal(NotifyType::temporary_failure);
  // RFC 9370 2.2.4: the nonces decide before there are any IKE SAs.
  if (sa_.activity() == Activity::rekey_ike) sa_.exchange->note_collision(collision);
  return answer;
}

void take_over(Core& core, IkeSa& sa, IkeSa& next, ByteView nonce_i, ByteView nonce_r) {
  if (sa.activity() != Activity::rekey_ike) return promote(core, sa, next);
  // RFC 7296 2.8.2: which of the two inherits the Child SAs is known when our own request is answered.
  sa.candidate = next.id;
  next.phase_deadline = core.now + 2 * core.answer_linger();
  sa.exchange->note_collision(
      {.child = std::nullopt, .ike_sa = next.id, .nonce_i = to_bytes(nonce_i), .nonce_r = to_bytes(nonce_r)});
}

}  // namespace culvert::ike::v2
