#include "ike/v2/ppk_intermediate.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;

// RFC 9867 3.1: so many octets of the prf's output are shown.
constexpr std::size_t kShown = 8;
// A peer may name several, and several connections may call theirs the same; each costs a prf or two.
constexpr std::size_t kMostNamed = 16;
constexpr std::size_t kMostCandidates = 8;
// Before RFC 9867 had a number: libreswan 5.2 and 5.3.
constexpr NotifyType kDraftIdentityKey{50208};

NotifyType identity_key(const PpkState& ppk) { return ppk.draft ? kDraftIdentityKey : NotifyType::ppk_identity_key; }

// RFC 9867 3.1: Ni | Nr | SPIi | SPIr, so that it holds for this IKE SA only.
Bytes confirmed_octets(const IkeSa& sa) {
  ByteWriter octets;
  octets.bytes(sa.init->nonce_i);
  octets.bytes(sa.init->nonce_r);
  octets.u64(sa.spi_i.value());
  octets.u64(sa.spi_r.value());
  return to_bytes(octets.view());
}

}  // namespace

bool ppk_is_due(const IkeSa& sa) { return sa.ppk && sa.ppk->intermediate && !sa.ppk->settled; }

RequestToken ask_to_mix_ppk(Core& core, const IkeSa& sa, model::ConnectionId connection, SecretBytes sk_d) {
  const RequestToken token = core.expect_completion(sa);
  core.requests.push_back(PpkRequest{.token = token,
                                     .connection = connection,
                                     .prf = sa.suite.prf,
                                     .keys = {std::move(sk_d), SecretBytes(), SecretBytes()},
                                     .confirmed = confirmed_octets(sa)});
  return token;
}

Bytes shown_confirmation(const PpkResult& result) {
  return to_bytes(ByteView(result.confirmation).first(std::min(kShown, result.confirmation.size())));
}

bool is_confirmed(const PpkResult& result, ByteView shown) {
  return result.keys && constant_time_equal(shown_confirmation(result), shown);
}

void name_ppk(codec::Message& request, const IkeSa& sa, const model::Ppk& ppk, ByteView confirmation) {
  Bytes data = octets_of_id(ppk);
  data.insert(data.end(), confirmation.begin(), confirmation.end());
  request.add_notify(identity_key(*sa.ppk), data);
}

std::optional<std::string> settle_named_ppk(Core& core, IkeSa& sa, const codec::Message& response,
                                            const model::ConnectionConfig& config) {
  CHECK(config.ppk);
  const model::Ppk& ours = *config.ppk;
  sa.ppk->settled = true;
  const auto* taken = response.notify(NotifyType::ppk_identity);
  if (taken != nullptr && taken->data == octets_of_id(ours)) {
    sa.ppk->in_use = true;
    return std::nullopt;
  }
  if (taken != nullptr)
    return fmt::format("the peer takes another PPK than '{}', which is all it was offered", escaped(ours.id));
  if (ours.required) {
    return fmt::format("the peer does not have the PPK '{}', which connection '{}' insists on", escaped(ours.id),
                       config.name);
  }
  core.progress(sa, fmt::format("the peer does not have the PPK '{}'; going on without", escaped(ours.id)));
  return std::nullopt;
}

bool names_ppk(const IkeSa& sa, const codec::Message& request) {
  return request.notify(identity_key(*sa.ppk)) != nullptr;
}

std::vector<PpkCandidate> named_ppks(const Core& core, const IkeSa& sa, const net::Path& path,
                                     const codec::Message& request) {
  std::vector<PpkCandidate> found;
  std::size_t named = 0;
  for (const codec::Payload& payload : request.payloads) {
    const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
    if (notify == nullptr || notify->type != identity_key(*sa.ppk) || named++ == kMostNamed) continue;
    if (notify->data.size() <= kShown) continue;
    const ByteView identity = ByteView(notify->data).first(notify->data.size() - kShown);
    core.connections.find_candidate(path, [&](const model::ConnectionConfig& one) {
      if (one.ppk && one.ppk->exchange != model::PpkExchange::ike_auth && equal(octets_of_id(*one.ppk), identity)) {
        found.push_back({.connection = one.id,
                         .identity = to_bytes(identity),
                         .confirmation = to_bytes(ByteView(notify->data).last(kShown))});
      }
      return found.size() == kMostCandidates;
    });
    if (found.size() == kMostCandidates) break;
  }
  return found;
}

bool all_insist_on_ppk(const Core& core, const net::Path& path) {
  return core.connections.find_kind(
             path, [](const model::ConnectionConfig& one) { return !one.ppk || !one.ppk->required; }) == nullptr;
}

PpkVerdict judge_mixed_ppk(Core& core, IkeSa& sa, const model::ConnectionConfig& config) {
  if (!sa.ppk || !sa.ppk->intermediate) return {};
  const bool required = config.ppk && config.ppk->required;
  if (!sa.ppk->in_use) {
    if (!required) return {};
    return {.asked = std::nullopt,
            .refusal = fmt::format("connection '{}': the peer has not named the PPK '{}', on which it insists",
                                   config.name, escaped(config.ppk->id))};
  }
  if (config.id == sa.ppk->connection || !config.ppk) return {};
  // The same name at another connection may be for another secret.
  if (octets_of_id(*config.ppk) == sa.ppk->identity)
    return {.asked = ask_to_mix_ppk(core, sa, config.id, SecretBytes::copy_of(sa.keys.sk_d())),
            .refusal = std::nullopt};
  if (!required) return {};
  return {.asked = std::nullopt,
          .refusal = fmt::format("connection '{}': the peer uses another PPK than '{}', on which it insists",
                                 config.name, escaped(config.ppk->id))};
}

std::optional<std::string> mixed_ppk_fault(const IkeSa& sa, const PpkResult& result,
                                           const model::ConnectionConfig& config) {
  const auto& ours = config.ppk;
  if (is_confirmed(result, sa.ppk->confirmation) || !ours || !ours->required) return std::nullopt;
  return fmt::format("connection '{}': the PPK '{}' that the peer uses is not the one of that name on which it insists",
                     config.name, escaped(ours->id));
}

void note_mixed_ppk(Core& core, IkeSa& sa, const model::Ppk& ppk) {
  sa.ppk_use = PpkUse::intermediate;
  core.progress(sa, fmt::format("keys with the PPK '{}' from IKE_INTERMEDIATE on", escaped(ppk.id)));
}

}  // namespace culvert::ike::v2
