#include "ike/v2/child_negotiation.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/resource_sas.hpp"
#include "ike/v2/security_labels.hpp"
#include "ike/v2/transport_addresses.hpp"

namespace culvert::ike::v2 {
namespace {

using model::KeyExchangeMethod;
using model::NotifyType;
using model::Role;

Bytes spi_octets(model::Spi spi) {
  ByteWriter writer;
  writer.u32(spi.value());
  return writer.take();
}

std::optional<model::Spi> spi_of(const model::Proposal& proposal) {
  if (proposal.spi.size() != 4) return std::nullopt;
  const model::Spi spi(load_be32(proposal.spi.data()));
  // RFC 4303 2.1: 0 is for local use, 1 to 255 are reserved.
  if (spi.value() < 256) return std::nullopt;
  return spi;
}

bool is_usable(const model::EspSuite& suite) {
  const auto methods = model::methods_of(suite.additional);
  return model::packet_suite(suite.encryption, suite.key_bits, suite.integrity) &&
         std::ranges::all_of(methods, [](KeyExchangeMethod one) { return model::key_exchange_id(one).has_value(); });
}

model::SelectionOptions selection(ChildExchange exchange, KeyExchangeMethod prefer) {
  return {.prefer_method = prefer,
          .ignore_key_exchange = exchange == ChildExchange::ike_auth,
          .additional_key_exchanges = exchange == ChildExchange::create_child_sa};
}

ChildRefusal local_error(std::string detail) {
  return {.notify = NotifyType::no_additional_sas,
          .data = {},
          .kind = FailureKind::local_error,
          .detail = std::move(detail)};
}

ChildRefusal selector_refusal(const model::TrafficSelectors& local, const model::TrafficSelectors& remote,
                              const model::ConnectionConfig& config) {
  return {.notify = NotifyType::ts_unacceptable,
          .data = {},
          .kind = FailureKind::traffic_selectors,
          .detail = fmt::format("the peer's traffic selectors {} have nothing in common with ours, {}",
                                describe(local, remote), describe(config.local, config.remote))};
}

// RFC 9478 2.2, 3.
ChildRefusal label_refusal(std::string detail) {
  return {.notify = NotifyType::ts_unacceptable,
          .data = {},
          .kind = FailureKind::traffic_selectors,
          .detail = std::move(detail)};
}

// RFC 9347 6.1.4: requirement flags.
constexpr std::uint8_t kAggfragDontFragment = 0x01;
constexpr std::uint8_t kAggfragCongestionControl = 0x02;

// What we require of the peer: to be told of congestion when we follow it. Fragments we take.
Bytes aggfrag_flags(const model::Aggfrag& aggfrag) {
  return {aggfrag.congestion_control ? kAggfragCongestionControl : std::uint8_t{0}};
}

/// What the connection has of AGGFRAG, with what the peer's notify requires of it. A connection that is configured for
/// it gets no Child SA without: its packets would show what it is there to hide. One that is not lets the peer's notify
/// go unanswered.
Result<std::optional<model::Aggfrag>, ChildRefusal> agree_on_aggfrag(const model::ConnectionConfig& config,
                                                                     const codec::Message& message) {
  if (!config.treatment.aggfrag) return std::optional<model::Aggfrag>();
  const auto refuse = [&](std::string detail) {
    return err(ChildRefusal{.notify = NotifyType::no_proposal_chosen,
                            .data = {},
                            .kind = FailureKind::peer_refused,
                            .detail = std::move(detail)});
  };
  const codec::NotifyPayload* const notify = message.notify(NotifyType::use_aggfrag);
  if (notify == nullptr) {
    return refuse(
        fmt::format("the peer does not use AGGFRAG (RFC 9347), connection '{}' is configured for it", config.name));
  }
  constexpr std::uint8_t kKnown = kAggfragDontFragment | kAggfragCongestionControl;
  if (notify->data.size() != 1 || (notify->data[0] & ~kKnown) != 0) {
    return refuse(fmt::format("the peer requires something of AGGFRAG that is not known: flags {}",
                              to_hex(ByteView(notify->data).first(std::min<std::size_t>(notify->data.size(), 8)))));
  }
  model::Aggfrag agreed = *config.treatment.aggfrag;
  agreed.dont_fragment |= (notify->data[0] & kAggfragDontFragment) != 0;
  agreed.congestion_control |= (notify->data[0] & kAggfragCongestionControl) != 0;
  return std::optional(agreed);
}

// What the new pair shall carry at most.
void choose_selectors(ChildOffer& offer, const model::ConnectionConfig& config, const OfferPurpose& purpose) {
  const ChildSa* old = purpose.old;
  offer.local = config.local;
  offer.remote = config.remote;
  if (purpose.wish) {
    offer.wish = purpose.wish;
    offer.scope = purpose.fallback != nullptr ? purpose.fallback->scope : scope_of(*purpose.wish, config);
    // RFC 9611 4: those of the packet are in front for one that is for a single resource, too.
    std::tie(offer.local, offer.remote) = selectors_to_offer(*purpose.wish);
    if (purpose.single_pair) {
      offer.local.resize(std::min<std::size_t>(offer.local.size(), 1));
      offer.remote.resize(std::min<std::size_t>(offer.remote.size(), 1));
      offer.scope = ChildScope{offer.local, offer.remote};
    }
  } else if (old != nullptr && old->scope) {
    offer.scope = old->scope;
    offer.local = old->scope->local;
    offer.remote = old->scope->remote;
  }
  // RFC 7296 2.9.2: a rekey never proposes less than the pair in use covers.
  if (old != nullptr && (!model::is_subset(old->local, offer.local) || !model::is_subset(old->remote, offer.remote))) {
    offer.local = old->local;
    offer.remote = old->remote;
  }
}

// The new pair's place among those with the same selectors.
void choose_group(Core& core, ChildOffer& offer, const model::ConnectionConfig& config, const OfferPurpose& purpose) {
  // RFC 9611 3: a rekeyed pair is bound to the same resource as the one it replaces.
  if (purpose.old != nullptr) offer.group = purpose.old->group;
  if (purpose.fallback != nullptr) {
    // Nothing else is made beside a fallback.
    const auto& wish = purpose.wish;
    CHECK(wish && wish->resource);
    offer.group = group_beside(core, *wish->resource);
  }
  // RFC 9611 3: who wants several pairs says so with the first.
  offer.announce_group = offer.group.open || resource_limit(config) > 0;
}

// RFC 7296 2.23.1: what stands in `agreement` as the peer wrote it, with the addresses that we see, if these lie within
// `local` and `remote`; else it stays.
void take_addresses(ChildAgreement& agreement, const IkeSa& sa, const model::TrafficSelectors& local,
                    const model::TrafficSelectors& remote) {
  const SelectorPair heard{agreement.local, agreement.remote};
  SelectorPair seen = as_seen(heard, seen_addresses(sa));
  if (model::narrow(seen.local, local, 1).empty() || model::narrow(seen.remote, remote, 1).empty()) return;
  agreement.local = std::move(seen.local);
  agreement.remote = std::move(seen.remote);
  if (sa.local_behind_nat) agreement.original_local = original_address(heard.local, sa.path.local.address);
  if (sa.remote_behind_nat) agreement.original_remote = original_address(heard.remote, sa.path.remote.address);
}

// As responder: the peer's wish. In transport mode with the addresses that we see.
SelectorPair asked_for(ChildAgreement& agreement, const IkeSa& sa, const model::ConnectionConfig& config,
                       const codec::Message& request) {
  agreement.remote = request.ts(Role::initiator)->selectors;
  agreement.local = request.ts(Role::responder)->selectors;
  const bool transport = request.notify(NotifyType::use_transport_mode) != nullptr;
  if (transport && config.mode == model::Mode::transport) take_addresses(agreement, sa, config.local, config.remote);
  return {std::move(agreement.local), std::move(agreement.remote)};
}

// As responder: what the pair carries of what the peer asks for.
void answer_selectors(ChildAgreement& agreement, const model::ConnectionConfig& config, const ChildSa* old,
                      const SelectorPair& asked) {
  const auto& theirs = asked.remote;
  const auto& ours = asked.local;
  // RFC 7296 2.9: the responder narrows to what its policy allows, keeping the order and with it the initiator's first
  // choice.
  agreement.remote = model::narrow(theirs, config.remote);
  agreement.local = model::narrow(ours, config.local);
  if (old != nullptr &&
      (!model::is_subset(old->local, agreement.local) || !model::is_subset(old->remote, agreement.remote)) &&
      model::is_subset(old->local, ours) && model::is_subset(old->remote, theirs)) {
    // RFC 7296 2.9.2: never narrower than what is in use, even if the configuration has changed since.
    agreement.local = old->local;
    agreement.remote = old->remote;
  }
  // Not all that the connection has: the peer wanted this pair for some of it, and so will a rekey of ours.
  if (!model::is_subset(config.local, ours) || !model::is_subset(config.remote, theirs))
    agreement.scope = ChildScope{agreement.local, agreement.remote};
}

}  // namespace

std::vector<model::Proposal> without_key_exchange(std::vector<model::Proposal> proposals) {
  for (model::Proposal& proposal : proposals) {
    std::erase_if(proposal.transforms, [](const model::Transform& one) {
      return one.type == model::TransformType::key_exchange || model::is_additional_key_exchange(one.type);
    });
  }
  return proposals;
}

std::vector<KeyExchangeMethod> usable_methods(const std::vector<model::Proposal>& proposals) {
  std::vector<KeyExchangeMethod> methods;
  for (const model::Proposal& proposal : proposals) {
    for (const model::Transform& transform : proposal.transforms) {
      if (transform.type != model::TransformType::key_exchange) continue;
      const auto method = static_cast<KeyExchangeMethod>(transform.id);
      if (model::key_exchange_id(method) && std::ranges::find(methods, method) == methods.end())
        methods.push_back(method);
    }
  }
  return methods;
}

KeyExchangeMethod method_to_offer(const std::vector<model::Proposal>& proposals, KeyExchangeMethod wanted) {
  if (wanted != KeyExchangeMethod::none) return wanted;
  const auto methods = usable_methods(proposals);
  return methods.empty() ? KeyExchangeMethod::none : methods.front();
}

Result<ChildOffer, ChildRefusal> make_child_offer(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                                  OfferPurpose purpose) {
  const ChildSa* old = purpose.old;
  ChildOffer offer;
  offer.proposals =
      purpose.exchange == ChildExchange::ike_auth ? without_key_exchange(config.esp_proposals) : config.esp_proposals;
  // RFC 9611 3: further pairs are exactly like the first, but for their keys.
  const ChildSa* like = old != nullptr ? old : purpose.fallback;
  if (purpose.fallback != nullptr) offer.proposals = proposals_like(offer.proposals, purpose.fallback->suite);
  if (offer.proposals.empty()) return err(local_error("the suite of the Child SA to be joined is offered no more"));
  choose_selectors(offer, config, purpose);
  choose_group(core, offer, config, purpose);
  offer.transport = like != nullptr ? like->mode == model::Mode::transport : config.mode == model::Mode::transport;
  if (offer.transport) {
    // RFC 7296 2.23.1: of each end the one address between which the packets go.
    offer.local = about(offer.local, sa.path.local.address);
    offer.remote = about(offer.remote, sa.path.remote.address);
  }
  offer.labels = labels_for(config, like);
  offer.aggfrag = config.treatment.aggfrag;
  offer.method = purpose.method;
  offer.key_exchange = std::move(purpose.key_exchange);
  const auto spi = core.esp_spis.allocate(offer.group.resource);
  if (!spi) return err(local_error("the data plane has no free SPI"));
  offer.spi_inbound = *spi;
  std::uint8_t number = 0;
  for (model::Proposal& proposal : offer.proposals) {
    proposal.number = ++number;
    proposal.spi = spi_octets(*spi);
  }
  return offer;
}

void add_child_sa_payload(codec::Message& message, const ChildOffer& offer) {
  if (offer.transport) message.add_notify(NotifyType::use_transport_mode);
  if (offer.aggfrag) message.add_notify(NotifyType::use_aggfrag, aggfrag_flags(*offer.aggfrag));
  if (offer.announce_group) message.add_notify(NotifyType::sa_resource_info, offer.group.info);
  message.add(codec::SaPayload{offer.proposals});
}

void add_child_ts_payloads(codec::Message& message, const ChildOffer& offer) {
  message.add(ts_payload(Role::initiator, offer.local, offer.labels));
  message.add(ts_payload(Role::responder, offer.remote, offer.labels));
}

void add_answer_ts_payloads(codec::Message& answer, const ChildAgreement& agreement) {
  answer.add(ts_payload(Role::initiator, agreement.remote, agreement.label));
  answer.add(ts_payload(Role::responder, agreement.local, agreement.label));
}

void withdraw_offer(Core& core, const ChildOffer& offer) { core.esp_spis.release(offer.spi_inbound); }

void withdraw_choice(Core& core, const ChildChoice& choice) { core.esp_spis.release(choice.agreement.spi_inbound); }

Result<ChildAgreement, ChildRefusal> check_child_answer(const IkeSa& sa, const model::ConnectionConfig& config,
                                                        ChildExchange exchange, const ChildOffer& offer,
                                                        const ChildSa* old, const codec::Message& answer) {
  const auto& proposals = answer.first<codec::SaPayload>()->proposals;
  const auto accepted = model::accept_answer(proposals, offer.proposals, selection(exchange, offer.method));
  const auto spi = accepted ? spi_of(accepted->proposal) : std::nullopt;
  if (!accepted || !spi || !is_usable(accepted->esp)) {
    return err(ChildRefusal{.notify = NotifyType::no_proposal_chosen,
                            .data = {},
                            .kind = FailureKind::protocol_error,
                            .detail = fmt::format("the peer chose {}, which is no valid choice from our offer {}",
                                                  describe(proposals), describe(offer.proposals))});
  }
  ChildAgreement agreement{.connection = config.id,
                           .suite = accepted->esp,
                           .spi_inbound = offer.spi_inbound,
                           .spi_outbound = *spi,
                           .local = {},
                           .remote = {}};
  agreement.scope = offer.scope;
  agreement.local = answer.ts(Role::initiator)->selectors;
  agreement.remote = answer.ts(Role::responder)->selectors;
  if (offer.transport) take_addresses(agreement, sa, offer.local, offer.remote);
  // RFC 7296 2.19: asked for with all addresses, before there was one. What of the answer is not ours we do not use.
  if (!config.request_addresses.empty() && model::is_subset(agreement.local, offer.local))
    agreement.local = model::narrow(agreement.local, config.local);
  // RFC 7296 2.9: the responder may narrow, never widen; 2.9.2: nor narrow below the pair being rekeyed.
  const bool within = !agreement.local.empty() && !agreement.remote.empty() &&
                      model::is_subset(agreement.local, offer.local) &&
                      model::is_subset(agreement.remote, offer.remote);
  const bool enough = old == nullptr || (model::is_subset(old->local, agreement.local) &&
                                         model::is_subset(old->remote, agreement.remote));
  if (!within || !enough) {
    return err(ChildRefusal{
        .notify = NotifyType::ts_unacceptable,
        .data = {},
        .kind = FailureKind::traffic_selectors,
        .detail =
            fmt::format("the peer answered with traffic selectors {}, which is {} our offer {}",
                        describe(agreement.local, agreement.remote),
                        within ? "less than what is in use of" : "not within", describe(offer.local, offer.remote))});
  }
  // The first pair is kept as narrow as the peer makes it; a further one would be of no use.
  if (offer.wish && exchange == ChildExchange::create_child_sa &&
      !carries(agreement.local, agreement.remote, offer.wish->packet)) {
    return err(ChildRefusal{
        .notify = NotifyType::ts_unacceptable,
        .data = {},
        .kind = FailureKind::traffic_selectors,
        .detail = fmt::format("the peer narrowed {} to {}, which leaves out the packet {} that it is wanted for",
                              describe(offer.local, offer.remote), describe(agreement.local, agreement.remote),
                              describe(offer.wish->packet))});
  }
  auto label = label_in_answer(answer, offer.labels);
  if (!label) return err(label_refusal(std::move(label.error())));
  agreement.label = std::move(*label);
  const bool transport = answer.notify(NotifyType::use_transport_mode) != nullptr;
  if (transport != offer.transport) {
    return err(ChildRefusal{.notify = NotifyType::no_proposal_chosen,
                            .data = {},
                            .kind = FailureKind::peer_refused,
                            .detail = fmt::format("the peer wants {} mode, connection '{}' is configured for {} mode",
                                                  transport ? "transport" : "tunnel", config.name,
                                                  offer.transport ? "transport" : "tunnel")});
  }
  agreement.mode = transport ? model::Mode::transport : model::Mode::tunnel;
  // RFC 9347 5.1: without it in the answer the pair would go without, and what the configuration asks for it.
  const auto aggfrag = agree_on_aggfrag(config, answer);
  if (!aggfrag) return err(aggfrag.error());
  agreement.aggfrag = *aggfrag;
  agreement.group = offer.group;
  // RFC 9611 3: a responder that takes several says so, too. Once open, a group stays so whatever a rekey says.
  const bool announced = offer.announce_group && answer.notify(NotifyType::sa_resource_info) != nullptr;
  agreement.group.open = agreement.group.open || announced;
  return agreement;
}

Result<ChildChoice, ChildRefusal> choose_child(Core& core, const IkeSa& sa, const model::ConnectionConfig& config,
                                               ChildExchange exchange, const ChildSa* old,
                                               const codec::Message& request, const PairBeside* beside) {
  const auto& offered = request.first<codec::SaPayload>()->proposals;
  const auto* ke = request.first<codec::KePayload>();
  const auto method = ke != nullptr ? ke->method : KeyExchangeMethod::none;
  // RFC 9611 3: further pairs are exactly like the first, but for their keys.
  const auto acceptable =
      beside != nullptr ? proposals_like(config.esp_proposals, beside->fallback.suite) : config.esp_proposals;
  const auto chosen = model::select_proposal(offered, acceptable, selection(exchange, method));
  const auto spi = chosen ? spi_of(chosen->proposal) : std::nullopt;
  if (!chosen || !spi || !is_usable(chosen->esp)) {
    return err(ChildRefusal{.notify = NotifyType::no_proposal_chosen,
                            .data = {},
                            .kind = FailureKind::no_proposal_chosen,
                            .detail = fmt::format("the peer offers ESP {}, connection '{}' accepts {}",
                                                  describe(offered), config.name, describe(acceptable))});
  }
  if (exchange == ChildExchange::create_child_sa && chosen->esp.key_exchange != KeyExchangeMethod::none &&
      chosen->esp.key_exchange != method) {
    // RFC 7296 1.3: two octets with the method that would be accepted.
    ByteWriter data;
    data.u16(static_cast<std::uint16_t>(chosen->esp.key_exchange));
    return err(ChildRefusal{.notify = NotifyType::invalid_ke_payload,
                            .data = data.take(),
                            .kind = FailureKind::no_proposal_chosen,
                            .detail = fmt::format("the peer's key exchange is {}, ours shall be {}", describe(method),
                                                  describe(chosen->esp.key_exchange))});
  }

  ChildChoice choice{.agreement = {.connection = config.id,
                                   .suite = chosen->esp,
                                   .spi_inbound = {},
                                   .spi_outbound = *spi,
                                   .local = {},
                                   .remote = {}},
                     .proposal = chosen->proposal};
  ChildAgreement& agreement = choice.agreement;
  if (beside != nullptr) {
    (void)asked_for(agreement, sa, config, request);
    agreement.local = beside->fallback.local;
    agreement.remote = beside->fallback.remote;
    agreement.scope = beside->fallback.scope;
    agreement.group = beside->group;
  } else {
    answer_selectors(agreement, config, old, asked_for(agreement, sa, config, request));
    if (old != nullptr) agreement.group = old->group;
  }
  if (agreement.local.empty() || agreement.remote.empty()) {
    return err(
        selector_refusal(request.ts(Role::responder)->selectors, request.ts(Role::initiator)->selectors, config));
  }
  auto label = agree_on_label(request, labels_for(config, old != nullptr      ? old
                                                          : beside != nullptr ? &beside->fallback
                                                                              : nullptr));
  if (!label) return err(label_refusal(std::move(label.error())));
  agreement.label = std::move(*label);
  // RFC 9611 3: a responder that takes several pairs with the same selectors says so when it is asked.
  const bool asked = request.notify(NotifyType::sa_resource_info) != nullptr;
  agreement.group.open = agreement.group.open || (asked && resource_limit(config) > 0);
  choice.announce_group = asked && agreement.group.open;
  if (config.mode == model::Mode::transport) {
    // RFC 7296 1.3.1: the initiator asks for it, or it is tunnel mode; that is not what our rules say.
    if (request.notify(NotifyType::use_transport_mode) == nullptr) {
      return err(ChildRefusal{
          .notify = NotifyType::no_proposal_chosen,
          .data = {},
          .kind = FailureKind::no_proposal_chosen,
          .detail = fmt::format("the peer wants tunnel mode, connection '{}' is configured for transport mode",
                                config.name)});
    }
    agreement.mode = model::Mode::transport;
    if (beside == nullptr) {
      agreement.local = about(agreement.local, sa.path.local.address);
      agreement.remote = about(agreement.remote, sa.path.remote.address);
    }
  }
  const auto aggfrag = agree_on_aggfrag(config, request);
  if (!aggfrag) return err(aggfrag.error());
  agreement.aggfrag = *aggfrag;

  const auto own_spi = core.esp_spis.allocate(agreement.group.resource);
  if (!own_spi) return err(local_error("the data plane has no free SPI"));
  agreement.spi_inbound = *own_spi;
  choice.proposal.spi = spi_octets(*own_spi);
  return choice;
}

void add_child_notifies(codec::Message& answer, const ChildChoice& choice) {
  const ChildAgreement& agreement = choice.agreement;
  if (agreement.mode == model::Mode::transport) answer.add_notify(NotifyType::use_transport_mode);
  if (agreement.aggfrag) answer.add_notify(NotifyType::use_aggfrag, aggfrag_flags(*agreement.aggfrag));
  if (choice.announce_group) answer.add_notify(NotifyType::sa_resource_info, agreement.group.info);
}

ChildSa& build_child(Core& core, IkeSa& sa, const model::ConnectionConfig& config, const ChildAgreement& agreement,
                     Role role, ByteView shared_secret, ByteView nonce_i, ByteView nonce_r, ChildSa child,
                     ByteView further) {
  const auto suite =
      model::packet_suite(agreement.suite.encryption, agreement.suite.key_bits, agreement.suite.integrity);
  CHECK(suite);
  ChildKeys keys = derive_child_keys(sa.prf, *suite, sa.keys.sk_d(), shared_secret, nonce_i, nonce_r, role, further);
  child.id = core.next_child_id();
  child.connection = config.id;
  child.spi_inbound = agreement.spi_inbound;
  child.spi_outbound = agreement.spi_outbound;
  child.suite = agreement.suite;
  child.mode = agreement.mode;
  child.local = agreement.local;
  child.remote = agreement.remote;
  child.scope = agreement.scope;
  child.group = agreement.group;
  child.label = agreement.label;
  const ChildSa* old = child.replaces ? sa.find_child(*child.replaces) : nullptr;
  child.origin = old != nullptr
                     ? old->origin
                     : ChildOrigin{.role = role,
                                   .initiators_spi = role == Role::initiator ? child.spi_inbound : child.spi_outbound,
                                   .at = agreement.asked_at.value_or(core.now)};

  model::ChildSaParams params;
  params.id = child.id;
  params.connection = config.id;
  params.ike_sa = sa.id;
  params.role = role;
  params.spi_inbound = child.spi_inbound;
  params.spi_outbound = child.spi_outbound;
  params.suite = child.suite;
  params.inbound = std::move(keys.inbound);
  params.outbound = std::move(keys.outbound);
  params.resource = child.group.resource;
  params.per_resource = child.group.open;
  params.mode = child.mode;
  params.encapsulation = encapsulation_of(core, sa, config.encapsulation);
  params.path = sa.path;
  if (params.encapsulation == model::Encapsulation::none) params.path.local.port = params.path.remote.port = 0;
  params.local = child.local;
  params.remote = child.remote;
  params.original_local = agreement.original_local;
  params.original_remote = agreement.original_remote;
  Bounds bounds = bounds_of(core, config.child_lifetime, config.rekey_margin);
  params.soft = bounds.soft;
  params.hard = bounds.hard;
  params.replay_window = config.replay_window;
  params.treatment.aggfrag = agreement.aggfrag;
  return install_child(core, sa, std::move(child), std::move(params));
}

}  // namespace culvert::ike::v2
