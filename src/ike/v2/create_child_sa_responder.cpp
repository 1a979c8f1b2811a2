#include "ike/v2/create_child_sa_responder.hpp"

#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "crypto/key_exchange.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/connection_choice.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/resource_sas.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

using model::KeyExchangeMethod;
using model::NotifyType;
using model::Role;

codec::Message refusal(NotifyType type, ByteView data = {}) {
  codec::Message answer;
  answer.add_notify(type, data);
  return answer;
}

// That the peer may have heard of.
InitiatorExchange* rekey_under_way(const IkeSa& sa, model::ChildSaId old) {
  InitiatorExchange* ours = sa.exchange_about(old);
  const bool begun = ours != nullptr && ours->activity() == Activity::rekey_child && !ours->not_begun();
  return begun ? ours : nullptr;
}

}  // namespace

std::optional<codec::Message> CreateChildSaResponder::handle(const codec::Message& request) {
  // RFC 7296 2.25.1, 2.25.2: not while the IKE SA itself is being rekeyed or closed.
  const bool busy = sa_.activity() == Activity::rekey_ike || sa_.activity() == Activity::delete_ike;
  if (sa_.phase != Phase::established || busy) return refusal(NotifyType::temporary_failure);
  // Nobody needs that many so fast; each costs keys and state for a while.
  if (!key_exchange_.computed && !sa_.creations.allow(core_.now)) return refusal(NotifyType::temporary_failure);
  const auto* rekey = request.notify(NotifyType::rekey_sa);
  if (rekey == nullptr) return create(request, nullptr);

  const auto spi = rekey->protocol == model::ProtocolId::esp ? rekey->child_spi() : std::nullopt;
  ChildSa* old = spi ? sa_.find_child_by_peer_spi(*spi) : nullptr;
  if (old == nullptr) {
    // RFC 7296 2.25: the SPI is copied from the REKEY_SA notification, where it has the form of one.
    codec::Message answer;
    codec::NotifyPayload not_found{
        .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::child_sa_not_found, .data = {}};
    if (spi) {
      not_found.protocol = rekey->protocol;
      not_found.spi = rekey->spi;
    }
    answer.add(std::move(not_found));
    return answer;
  }
  // RFC 7296 2.25.1: one that we are closing, be it for its successor's sake.
  if (old->deleting || old->replaced_by || old->redundant) return refusal(NotifyType::temporary_failure);
  // RFC 9370 2.2.4: nor one whose rekey of ours is past CREATE_CHILD_SA.
  const InitiatorExchange* ours = sa_.exchange_about(old->id);
  if (ours != nullptr && ours->type() == model::ExchangeType::ike_followup_ke)
    return refusal(NotifyType::temporary_failure);
  return create(request, old);
}

Result<ChildChoice, codec::Message> CreateChildSaResponder::choose(const codec::Message& request,
                                                                   const model::ConnectionConfig& config,
                                                                   const ChildSa* old) {
  // RFC 7296 1.3: whoever wants no more Child SAs says so. A rekey adds none, but what it replaces lingers.
  const std::size_t limit = core_.settings.children_limit;
  const bool full = sa_.children.size() >= 2 * limit || (old == nullptr && count_current(sa_) >= limit);
  const ChildSa* fallback = old == nullptr ? wanted_beside(sa_, config, request) : nullptr;
  // RFC 9611 6, 7: of those with the same selectors there is a most. NO_ADDITIONAL_SAS would be about all others, too.
  // One of ours that is under way does not count: else two requests that cross would both be refused.
  const NotifyType no_more = fallback != nullptr ? NotifyType::ts_max_queue : NotifyType::no_additional_sas;
  if (full || (fallback != nullptr && count_beside(sa_, *fallback) >= resource_limit(config))) {
    core_.progress(sa_, fmt::format("refused the peer a further Child SA with {}", describe(no_more)));
    return err(refusal(no_more));
  }
  std::optional<PairBeside> beside;
  if (fallback != nullptr)
    beside.emplace(PairBeside{*fallback, group_beside(core_, next_resource(core_, sa_, *fallback))});
  auto chosen =
      choose_child(core_, sa_, config, ChildExchange::create_child_sa, old, request, beside ? &*beside : nullptr);
  if (chosen) return std::move(*chosen);
  ChildRefusal& why = chosen.error();
  if (why.notify == NotifyType::ts_unacceptable)
    why.detail += meant_elsewhere(core_.connections, config, sa_, request).value_or("");
  if (why.notify == NotifyType::no_additional_sas) why.notify = no_more;
  if (why.notify != NotifyType::invalid_ke_payload)
    report_child_failure(core_, sa_, Role::responder, why.kind, why.notify, why.detail, std::nullopt, config.id);
  return err(refusal(why.notify, why.data));
}

std::optional<codec::Message> CreateChildSaResponder::create(const codec::Message& request, ChildSa* old) {
  const model::ConnectionConfig* config =
      old != nullptr ? core_.connections.find(old->connection) : core_.connections.find(sa_.connection);
  if (config == nullptr) return refusal(NotifyType::no_additional_sas);
  // RFC 7296 1.3: an IKE SA is for all the Child SAs of its two ends.
  if (old == nullptr) config = &connection_meant(core_, sa_, *config, request);
  const auto narrowed = narrowed_to_peer(*config, sa_);
  if (narrowed) config = &*narrowed;
  // One whose peer has no address of the pool has nothing to be narrowed to.
  if (sa_.inner.addresses.empty() && !config->pools.empty()) return refusal(NotifyType::failed_cp_required);
  auto chosen = choose(request, *config, old);
  if (!chosen) return std::move(chosen.error());
  const ChildAgreement& agreement = chosen->agreement;
  std::unique_ptr<crypto::KeyExchange> own;
  SecretBytes shared_secret;
  if (agreement.suite.key_exchange != KeyExchangeMethod::none) {
    if (!key_exchange_.is_ready(agreement.suite.key_exchange)) {
      withdraw_choice(core_, *chosen);
      return std::nullopt;
    }
    if (key_exchange_.computed->fault) {
      // RFC 7296 2.21.3: a value that is none is a fault of form.
      withdraw_choice(core_, *chosen);
      return refusal(NotifyType::invalid_syntax);
    }
    own = std::move(key_exchange_.computed->own);
    shared_secret = std::move(key_exchange_.computed->shared_secret);
  }
  const Bytes& nonce_i = request.first<codec::NoncePayload>()->data;
  const Bytes nonce_r = core_.new_nonce();
  codec::Message answer;
  add_child_notifies(answer, *chosen);
  if (old == nullptr) add_more_possible(answer, core_, sa_, *config, request);
  answer.add(codec::SaPayload{{chosen->proposal}});
  answer.add(codec::NoncePayload{nonce_r});
  if (own)
    answer.add(codec::KePayload{.method = agreement.suite.key_exchange, .public_value = to_bytes(own->public_value())});
  add_answer_ts_payloads(answer, agreement);

  if (old == nullptr && agreement.group.resource) core_.next_resource = *agreement.group.resource + 1;
  const ExchangedSecrets secrets{.request = request.header.message_id,
                                 .shared_secret = shared_secret.view(),
                                 .further = {},
                                 .nonce_i = nonce_i,
                                 .nonce_r = nonce_r};
  if (!model::methods_of(agreement.suite.additional).empty())
    return await_further(std::move(answer), *chosen, old, secrets);
  install_answered(core_, sa_, *config, agreement, old, secrets);
  return answer;
}

codec::Message CreateChildSaResponder::await_further(codec::Message answer, const ChildChoice& choice,
                                                     const ChildSa* old, const ExchangedSecrets& secrets) {
  const std::optional<model::ChildSaId> replaced = old != nullptr ? std::optional(old->id) : std::nullopt;
  FollowUp awaited{.outcome = AwaitedChild{.agreement = choice.agreement, .old = replaced},
                   .methods = model::methods_of(choice.agreement.suite.additional),
                   .shared_secret = SecretBytes::copy_of(secrets.shared_secret),
                   .further = {},
                   .nonce_i = to_bytes(secrets.nonce_i),
                   .nonce_r = to_bytes(secrets.nonce_r),
                   .link = {},
                   .until = {}};
  std::get<AwaitedChild>(awaited.outcome).agreement.asked_at = core_.now;
  if (!await_follow_up(core_, sa_, std::move(awaited), answer)) {
    withdraw_choice(core_, choice);
    return refusal(NotifyType::temporary_failure);
  }
  InitiatorExchange* ours = old != nullptr ? rekey_under_way(sa_, old->id) : nullptr;
  if (ours != nullptr) {
    // RFC 9370 2.2.4: the nonces decide before there are any pairs.
    ours->note_collision({.child = std::nullopt,
                          .ike_sa = std::nullopt,
                          .nonce_i = to_bytes(secrets.nonce_i),
                          .nonce_r = to_bytes(secrets.nonce_r)});
  }
  return answer;
}

void install_answered(Core& core, IkeSa& sa, const model::ConnectionConfig& config, const ChildAgreement& agreement,
                      ChildSa* old, const ExchangedSecrets& secrets) {
  ChildSa child;
  child.unconfirmed_until = core.now + core.answer_linger();
  child.confirmed_from = sa.window.proves(secrets.request);
  if (old != nullptr) {
    // RFC 7296 2.8: traffic stays on the old pair until the initiator surely has the new one.
    child.replaces = old->id;
    child.hold_outbound = true;
  }
  // Nor need one beside a fallback carry traffic before the initiator surely has it.
  if (agreement.group.resource) child.hold_outbound = true;
  const ChildSa& made = build_child(core, sa, config, agreement, Role::responder, secrets.shared_secret,
                                    secrets.nonce_i, secrets.nonce_r, std::move(child), secrets.further);
  if (old == nullptr) return;
  old->replaced_by = made.id;
  old->rekey_at.reset();
  InitiatorExchange* ours = rekey_under_way(sa, old->id);
  if (ours == nullptr) return;
  // RFC 7296 2.8.1: answered as usual; the nonces decide when our own rekey is answered.
  ours->note_collision({.child = made.id,
                        .ike_sa = std::nullopt,
                        .nonce_i = to_bytes(secrets.nonce_i),
                        .nonce_r = to_bytes(secrets.nonce_r)});
}

}  // namespace culvert::ike::v2
