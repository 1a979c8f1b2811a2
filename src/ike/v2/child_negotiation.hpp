// What IKE_AUTH and CREATE_CHILD_SA have in common about a Child SA: the offer, the choice, the check of the answer,
// and the pair that comes of it (RFC 7296 2.7, 2.9, 2.17). Same rules for initiator and responder of the exchange.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "crypto/key_exchange.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/child_wish.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// Our side of a Child SA negotiation as initiator. Its SPI goes back to the data plane unless the pair is made.
struct ChildOffer {
  model::Spi spi_inbound;
  std::vector<model::Proposal> proposals;  // numbered, with our SPI
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  std::optional<ChildWish> wish;
  Boxed<ChildScope> scope;
  ResourceGroup group;
  bool announce_group = false;  // with SA_RESOURCE_INFO
  bool transport = false;
  std::optional<model::Aggfrag> aggfrag;
  std::vector<model::SecurityLabel> labels;           // RFC 9478: the peer takes one of these, if there are any
  std::unique_ptr<crypto::KeyExchange> key_exchange;  // null without one
  model::KeyExchangeMethod method = model::KeyExchangeMethod::none;
};

/// What was agreed on.
struct ChildAgreement {
  model::ConnectionId connection;
  model::EspSuite suite;
  model::Spi spi_inbound;
  model::Spi spi_outbound;
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  model::Mode mode = model::Mode::tunnel;
  /// Ours, with what the peer requires (RFC 9347 5.1).
  std::optional<model::Aggfrag> aggfrag;
  Boxed<ChildScope> scope;
  ResourceGroup group;
  std::optional<model::SecurityLabel> label = {};
  /// When we asked for the pair; as responder, when we agreed to it, where key exchanges follow. Nothing: now.
  std::optional<Instant> asked_at = {};
  /// RFC 7296 2.23.1: in transport mode, the peer's own words for the addresses, where they are not those of the path.
  std::optional<net::IpAddress> original_local = {};
  std::optional<net::IpAddress> original_remote = {};
};

/// Why there is no Child SA, for the peer (as responder) and for the user.
struct ChildRefusal {
  model::NotifyType notify = model::NotifyType::no_proposal_chosen;
  Bytes data;
  FailureKind kind = FailureKind::no_proposal_chosen;
  std::string detail;
};

enum class ChildExchange : std::uint8_t { ike_auth, create_child_sa };

/// The proposals as IKE_AUTH may carry them: without key exchange (RFC 7296 1.2).
[[nodiscard]] std::vector<model::Proposal> without_key_exchange(std::vector<model::Proposal> proposals);
/// The methods of all proposals that our crypto can do, in order, each once.
[[nodiscard]] std::vector<model::KeyExchangeMethod> usable_methods(const std::vector<model::Proposal>& proposals);

/// The key exchange of an offer in CREATE_CHILD_SA: `wanted` if the peer asked for one, else the first of the
/// proposals; none when they have none.
[[nodiscard]] model::KeyExchangeMethod method_to_offer(const std::vector<model::Proposal>& proposals,
                                                       model::KeyExchangeMethod wanted);

/// What an offer is for: `old` is the pair to be rekeyed, `wish` what a new one is wanted for, `fallback` the pair
/// beside which that is for one resource; `method` the key exchange that it is to have, with `key_exchange`, our part
/// of it.
struct OfferPurpose {
  ChildExchange exchange = ChildExchange::ike_auth;
  const ChildSa* old = nullptr;
  const ChildSa* fallback = nullptr;
  const std::optional<ChildWish>& wish;
  bool single_pair = false;  // of the wish, the packet's own addresses only
  model::KeyExchangeMethod method = model::KeyExchangeMethod::none;
  std::unique_ptr<crypto::KeyExchange> key_exchange = nullptr;
};
[[nodiscard]] Result<ChildOffer, ChildRefusal> make_child_offer(Core& core, const IkeSa& sa,
                                                                const model::ConnectionConfig& config,
                                                                OfferPurpose purpose);
/// Adds USE_TRANSPORT_MODE or USE_AGGFRAG, SA_RESOURCE_INFO, SA, TSi and TSr. The caller puts Ni and KEi between, see
/// RFC 7296 1.3.1.
void add_child_sa_payload(codec::Message& message, const ChildOffer& offer);
void add_child_ts_payloads(codec::Message& message, const ChildOffer& offer);
void withdraw_offer(Core& core, const ChildOffer& offer);

/// TSi and TSr of our answer.
void add_answer_ts_payloads(codec::Message& answer, const ChildAgreement& agreement);

/// As initiator: the peer's answer, with SA, TSi and TSr (their presence is the caller's check). `old` is the pair that
/// must be covered at least: the one to be rekeyed, or the fallback of one for a single resource.
[[nodiscard]] Result<ChildAgreement, ChildRefusal> check_child_answer(const IkeSa& sa,
                                                                      const model::ConnectionConfig& config,
                                                                      ChildExchange exchange, const ChildOffer& offer,
                                                                      const ChildSa* old, const codec::Message& answer);

/// A pair for a single resource, in place of one in its own right: beside which, and for what.
struct PairBeside {
  const ChildSa& fallback;
  ResourceGroup group;
};
/// As responder: what to answer to the peer's offer. Takes an SPI from the data plane only on success; withdraw_choice
/// gives it back.
struct ChildChoice {
  ChildAgreement agreement;
  model::Proposal proposal;  // for the SA payload, with our SPI
  bool announce_group = false;
};
[[nodiscard]] Result<ChildChoice, ChildRefusal> choose_child(Core& core, const IkeSa& sa,
                                                             const model::ConnectionConfig& config,
                                                             ChildExchange exchange, const ChildSa* old,
                                                             const codec::Message& request,
                                                             const PairBeside* beside = nullptr);
/// Adds USE_TRANSPORT_MODE and SA_RESOURCE_INFO where they belong into the answer.
void add_child_notifies(codec::Message& answer, const ChildChoice& choice);

void withdraw_choice(Core& core, const ChildChoice& choice);

/// Key material and parameters of the pair, installed. `child` says how it relates to others (held, redundant,
/// replaces); `further` are the secrets of additional key exchanges, one behind the other (RFC 9370 2.2.4).
ChildSa& build_child(Core& core, IkeSa& sa, const model::ConnectionConfig& config, const ChildAgreement& agreement,
                     model::Role role, ByteView shared_secret, ByteView nonce_i, ByteView nonce_r, ChildSa child,
                     ByteView further = {});

}  // namespace culvert::ike::v2
