#include "ike/v2/ppk.hpp"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/text.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/ike_auth_initiator.hpp"
#include "ike/v2/intermediate.hpp"
#include "ike/v2/intermediate_initiator.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/sessions.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

// RFC 8784 5.1: octets that both sides have written down.
constexpr std::uint8_t kFixed = 2;
// Before RFC 9867 had a number: libreswan 5.2 and 5.3.
constexpr NotifyType kDraftUsePpkInt{50209};

// RFC 9867 3.1: IKE_INTERMEDIATE before IKE_AUTH, where both may.
std::optional<PpkState> common_way(const codec::Message& peer, const model::Ppk& ours) {
  const auto has = [&](NotifyType type) { return peer.notify(type) != nullptr; };
  PpkState way;
  if (ours.exchange != model::PpkExchange::ike_auth && knows_intermediate(peer)) {
    way.draft = ours.exchange == model::PpkExchange::draft && has(kDraftUsePpkInt) && !has(NotifyType::use_ppk_int);
    way.intermediate = way.draft || has(NotifyType::use_ppk_int);
    if (way.intermediate) return way;
  }
  if (ours.exchange == model::PpkExchange::intermediate || !has(NotifyType::use_ppk)) return std::nullopt;
  return way;
}

PpkKeys copy_of_keys(const IkeSa& sa) {
  return {SecretBytes::copy_of(sa.keys.sk_d()), SecretBytes::copy_of(sa.keys.sk_pi()),
          SecretBytes::copy_of(sa.keys.sk_pr())};
}

void put_keys(IkeSa& sa, const PpkKeys& keys) {
  sa.keys.replace_prf_keys(keys[0].view(), keys[1].view(), keys[2].view());
}

/// The keys are with the PPK, since IKE_AUTH.
bool in_use(const IkeSa& sa) { return sa.ppk && !sa.ppk->intermediate && sa.ppk->in_use; }

}  // namespace

Bytes octets_of_id(const model::Ppk& ppk) {
  Bytes octets{kFixed};
  const ByteView id = as_bytes(ppk.id);
  octets.insert(octets.end(), id.begin(), id.end());
  return octets;
}

RequestToken ask_for_ppk(Core& core, const IkeSa& sa, const model::ConnectionConfig& config) {
  const RequestToken token = core.expect_completion(sa);
  core.requests.push_back(
      PpkRequest{.token = token, .connection = config.id, .prf = sa.suite.prf, .keys = copy_of_keys(sa)});
  return token;
}

PpkKeys mix_ppk(crypto::Prf prf, ByteView ppk, const PpkKeys& keys) {
  PpkKeys mixed;
  for (std::size_t n = 0; n < keys.size(); ++n) mixed[n] = prf_plus(prf, ppk, {keys[n].view()}, keys[n].size());
  return mixed;
}

PpkResult carry_out(crypto::Prf prf, ByteView ppk, const PpkRequest& request) {
  PpkResult result{.keys = mix_ppk(prf, ppk, request.keys)};
  if (!request.confirmed.empty()) result.confirmation = to_bytes(prf(ppk, {request.confirmed}).view());
  return result;
}

void offer_ppk(codec::Message& message, const model::ConnectionConfig& config) {
  if (!config.ppk) return;
  if (may_mix_ppk_early(config)) message.add_notify(NotifyType::use_ppk_int);
  if (config.ppk->exchange == model::PpkExchange::draft) message.add_notify(kDraftUsePpkInt);
  if (config.ppk->exchange != model::PpkExchange::intermediate) message.add_notify(NotifyType::use_ppk);
}

bool may_mix_ppk_early(const model::ConnectionConfig& config) {
  return config.ppk && config.ppk->exchange != model::PpkExchange::ike_auth;
}

void agree_on_ppk(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config) {
  if (!config.ppk) return;
  if (auto way = common_way(peer, *config.ppk)) sa.ppk = std::move(*way);
}

std::optional<std::string> ppk_lack(const codec::Message& peer, const model::ConnectionConfig& config) {
  if (!config.ppk || !config.ppk->required || common_way(peer, *config.ppk)) return std::nullopt;
  const bool early = config.ppk->exchange == model::PpkExchange::intermediate;
  return fmt::format("the peer has no PPK {}, which connection '{}' insists on",
                     early ? "in IKE_INTERMEDIATE (RFC 9867)" : "(RFC 8784)", config.name);
}

void start_proof(Core& core, IkeSa& sa, model::ConnectionConfig config) {
  // RFC 8784 3: the PPK goes with AUTH, and with EAP that comes last.
  const bool by_eap = config.eap && config.eap->client;
  if (!sa.ppk || sa.ppk->intermediate || by_eap) return start_ike_auth(core, sa, std::move(config));
  sa.exchange = std::make_unique<PpkInitiator>(core, sa, std::move(config));
  if (sa.exchange->start() == Progression::done) sa.exchange.reset();
  core.touch(sa);
}

Progression PpkInitiator::start() {
  CHECK(config_.ppk);
  if (config_.ppk->required) {
    token_ = ask_for_ppk(core_, sa_, config_);
  } else {
    // RFC 8784 3: for a responder that does not have this PPK.
    token_ =
        ask_for_proof(core_, sa_, config_,
                      {.side = model::Role::initiator, .identity = local_identity(config_, sa_.path), .reserved = {}});
  }
  return Progression::waiting;
}

Progression PpkInitiator::handle_completion(RequestToken token, Completion result) {
  if (token != token_) return Progression::waiting;
  if (auto* mixed = std::get_if<PpkResult>(&result)) {
    if (!take_ppk(core_, sa_, std::move(*mixed), config_))
      return fail(fmt::format("there is no PPK for connection '{}'", config_.name));
    start_ike_auth(core_, sa_, std::move(config_));
    return Progression::done;
  }
  auto proof = own_proof(std::move(result), config_);
  if (!proof) return fail(std::move(proof.error()));
  sa_.ppk->auth_without = std::move(proof->auth);
  token_ = ask_for_ppk(core_, sa_, config_);
  return Progression::waiting;
}

Progression PpkInitiator::fail(std::string detail) {
  fail_negotiation(core_, sa_, FailureKind::local_error, std::nullopt, std::move(detail), Phase::gone);
  return Progression::done;
}

void add_ppk(codec::Message& request, const IkeSa& sa, const model::ConnectionConfig& config) {
  const auto& ours = config.ppk;
  if (!ours || !in_use(sa)) return;
  request.add_notify(NotifyType::ppk_identity, octets_of_id(*ours));
  if (!sa.ppk->auth_without.empty()) request.add_notify(NotifyType::no_ppk_auth, sa.ppk->auth_without);
}

std::optional<std::string> settle_ppk(IkeSa& sa, const codec::Message& response,
                                      const model::ConnectionConfig& config) {
  // RFC 8784 3: its content means nothing.
  if (!in_use(sa) || response.notify(NotifyType::ppk_identity) != nullptr) return std::nullopt;
  CHECK(config.ppk);
  const model::Ppk& ours = *config.ppk;
  if (ours.required) {
    return fmt::format("the peer does not use the PPK '{}', which connection '{}' insists on", escaped(ours.id),
                       config.name);
  }
  put_keys(sa, std::exchange(sa.ppk->without, {}));
  sa.ppk->in_use = false;
  sa.ppk_use = PpkUse::none;
  return std::nullopt;
}

std::optional<PpkState> agreed_ppk(const Core& core, const net::Path& path, const codec::Message& request) {
  const bool knows = request.notify(NotifyType::use_ppk) != nullptr ||
                     request.notify(NotifyType::use_ppk_int) != nullptr || request.notify(kDraftUsePpkInt) != nullptr;
  if (!knows) return std::nullopt;
  std::optional<PpkState> agreed;
  core.connections.find_kind(path, [&](const model::ConnectionConfig& one) {
    auto way = one.ppk ? common_way(request, *one.ppk) : std::nullopt;
    if (way && (!agreed || way->intermediate)) agreed = std::move(*way);
    return agreed && agreed->intermediate;
  });
  return agreed;
}

// RFC 9867 3.1: one of the two, and never both.
void answer_ppk(codec::Message& answer, const IkeSa& sa) {
  if (!sa.ppk) return;
  const NotifyType early = sa.ppk->draft ? kDraftUsePpkInt : NotifyType::use_ppk_int;
  answer.add_notify(sa.ppk->intermediate ? early : NotifyType::use_ppk);
}

std::optional<std::string> ppk_missing(const IkeSa& sa, const model::ConnectionConfig& config) {
  if (!config.ppk || !config.ppk->required) return std::nullopt;
  // What can be said of one in IKE_INTERMEDIATE has been said.
  if (sa.ppk && (sa.ppk->intermediate || config.ppk->exchange != model::PpkExchange::intermediate)) return std::nullopt;
  const bool early = config.ppk->exchange == model::PpkExchange::intermediate;
  return fmt::format("connection '{}': the peer does not know PPK {}, which it insists on", config.name,
                     early ? "in IKE_INTERMEDIATE (RFC 9867)" : "(RFC 8784)");
}

// RFC 8784 3, table 1.
PpkVerdict judge_ppk(Core& core, IkeSa& sa, codec::Message& request, const model::ConnectionConfig& config) {
  const bool required = config.ppk && config.ppk->required;
  const auto refuse = [&](std::string_view why) {
    return PpkVerdict{.asked = std::nullopt, .refusal = fmt::format("connection '{}': {}", config.name, why)};
  };
  if (auto missing = ppk_missing(sa, config)) return {.asked = std::nullopt, .refusal = std::move(missing)};
  if (!sa.ppk || sa.ppk->intermediate) return {};
  const auto* named = request.notify(NotifyType::ppk_identity);
  if (named == nullptr) return refuse("the peer does not say which PPK it uses");
  const bool may = config.ppk && config.ppk->exchange != model::PpkExchange::intermediate;
  if (may && named->data == octets_of_id(*config.ppk)) {
    return {.asked = ask_for_ppk(core, sa, config), .refusal = std::nullopt};
  }
  const auto* without = request.notify(NotifyType::no_ppk_auth);
  if (required || without == nullptr) return refuse("the peer names a PPK that is not known here");
  for (codec::Payload& payload : request.payloads) {
    if (auto* auth = std::get_if<codec::AuthPayload>(&payload)) auth->data = without->data;
  }
  core.progress(sa, "the peer names a PPK that is not known here; going on without");
  return {};
}

bool take_ppk(Core& core, IkeSa& sa, PpkResult result, const model::ConnectionConfig& config) {
  const auto& ours = config.ppk;
  if (!result.keys || !ours) return false;
  sa.ppk->without = copy_of_keys(sa);
  put_keys(sa, *result.keys);
  sa.ppk->in_use = true;
  sa.ppk_use = PpkUse::ike_auth;
  core.progress(sa, fmt::format("keys with the PPK '{}'", escaped(ours->id)));
  return true;
}

}  // namespace culvert::ike::v2
