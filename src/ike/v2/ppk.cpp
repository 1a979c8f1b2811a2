#include "ike/v2/ppk.hpp"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "ike/v2/authentication.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/ike_auth_initiator.hpp"
#include "ike/v2/intermediate_initiator.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/sessions.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

// RFC 8784 5.1: octets that both sides have written down.
constexpr std::uint8_t kFixed = 2;

Bytes octets_of_id(const model::Ppk& ppk) {
  Bytes octets{kFixed};
  const ByteView id = as_bytes(ppk.id);
  octets.insert(octets.end(), id.begin(), id.end());
  return octets;
}

bool knows_ppk(const codec::Message& message) { return message.notify(NotifyType::use_ppk) != nullptr; }

PpkKeys copy_of_keys(const IkeSa& sa) { return {sa.keys.sk_d.clone(), sa.keys.sk_pi.clone(), sa.keys.sk_pr.clone()}; }

void put_keys(IkeSa& sa, PpkKeys keys) {
  sa.keys.sk_d = std::move(keys[0]);
  sa.keys.sk_pi = std::move(keys[1]);
  sa.keys.sk_pr = std::move(keys[2]);
}

/// The keys are with the PPK.
bool in_use(const IkeSa& sa) { return sa.ppk && sa.ppk->in_use; }

}  // namespace

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

void offer_ppk(codec::Message& message, const model::ConnectionConfig& config) {
  if (config.ppk) message.add_notify(NotifyType::use_ppk);
}

void agree_on_ppk(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config) {
  if (config.ppk && knows_ppk(peer)) sa.ppk = PpkState{};
}

bool lacks_ppk(const codec::Message& peer, const model::ConnectionConfig& config) {
  return config.ppk && config.ppk->required && !knows_ppk(peer);
}

void start_proof(Core& core, IkeSa& sa, model::ConnectionConfig config) {
  // RFC 8784 3: the PPK goes with AUTH, and with EAP that comes last.
  const bool by_eap = config.eap && config.eap->client;
  if (!sa.ppk || by_eap) return start_ike_auth(core, sa, std::move(config));
  sa.exchange = std::make_unique<PpkInitiator>(core, sa, std::move(config));
  if (sa.exchange->start() == Progression::done) sa.exchange.reset();
  core.touch(sa);
}

Progression PpkInitiator::start() {
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
  if (!in_use(sa)) return;
  request.add_notify(NotifyType::ppk_identity, octets_of_id(*config.ppk));
  if (!sa.ppk->auth_without.empty()) request.add_notify(NotifyType::no_ppk_auth, sa.ppk->auth_without);
}

std::optional<std::string> settle_ppk(IkeSa& sa, const codec::Message& response,
                                      const model::ConnectionConfig& config) {
  // RFC 8784 3: its content means nothing.
  if (!in_use(sa) || response.notify(NotifyType::ppk_identity) != nullptr) return std::nullopt;
  if (config.ppk->required) {
    return fmt::format("the peer does not use the PPK '{}', which connection '{}' insists on", escaped(config.ppk->id),
                       config.name);
  }
  put_keys(sa, std::move(sa.ppk->without));
  sa.ppk->in_use = false;
  return std::nullopt;
}

bool agrees_on_ppk(const Core& core, const net::Path& path, const codec::Message& request) {
  if (!knows_ppk(request)) return false;
  return core.connections.find_candidate(
             path, [](const model::ConnectionConfig& one) { return one.ppk.has_value(); }) != nullptr;
}

std::optional<std::string> ppk_missing(const IkeSa& sa, const model::ConnectionConfig& config) {
  if (sa.ppk || !config.ppk || !config.ppk->required) return std::nullopt;
  return fmt::format("connection '{}': the peer does not know PPK (RFC 8784), which it insists on", config.name);
}

// RFC 8784 3, table 1.
PpkVerdict judge_ppk(Core& core, IkeSa& sa, codec::Message& request, const model::ConnectionConfig& config) {
  const bool required = config.ppk && config.ppk->required;
  const auto refuse = [&](std::string_view why) {
    return PpkVerdict{.asked = std::nullopt, .refusal = fmt::format("connection '{}': {}", config.name, why)};
  };
  if (!sa.ppk) return {.asked = std::nullopt, .refusal = ppk_missing(sa, config)};
  const auto* named = request.notify(NotifyType::ppk_identity);
  if (named == nullptr) return refuse("the peer does not say which PPK it uses");
  if (config.ppk && named->data == octets_of_id(*config.ppk)) {
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
  if (!result.keys) return false;
  sa.ppk->without = copy_of_keys(sa);
  put_keys(sa, std::move(*result.keys));
  sa.ppk->in_use = true;
  core.progress(sa, fmt::format("keys with the PPK '{}'", escaped(config.ppk->id)));
  return true;
}

}  // namespace culvert::ike::v2
