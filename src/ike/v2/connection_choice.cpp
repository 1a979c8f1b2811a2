#include "ike/v2/connection_choice.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ike/v2/security_labels.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::ike::v2 {
namespace {

using model::Role;

// That are compared: an identity may be meant by thousands of patterns.
constexpr std::size_t kMostCompared = 64;

// Who is told more exactly stands apart: by its identity, by a pattern, or by EAP alone.
unsigned exactness(const model::ConnectionConfig& config) {
  return config.remote_pattern ? 1U : takes_any_identity(config) ? 2U : 0U;
}

SelectorFit fit_of(const model::ConnectionConfig& config, const SelectorPair& asked) {
  if (model::narrow(asked.remote, config.remote, 1).empty() || model::narrow(asked.local, config.local, 1).empty())
    return SelectorFit::none;
  const bool all = model::is_subset(asked.remote, config.remote) && model::is_subset(asked.local, config.local);
  if (!all) return SelectorFit::partly;
  const bool no_more = model::is_subset(config.remote, asked.remote) && model::is_subset(config.local, asked.local);
  return no_more ? SelectorFit::exactly : SelectorFit::within;
}

}  // namespace

SelectorFit selector_fit(const model::ConnectionConfig& config, const codec::Message& request,
                         const SeenAddresses& seen) {
  const auto* theirs = request.ts(Role::initiator);
  const auto* ours = request.ts(Role::responder);
  if (theirs == nullptr || ours == nullptr) return SelectorFit::none;
  // RFC 9478 4: what fits but for the label does not fit.
  if (!agree_on_label(request, config.security_labels)) return SelectorFit::none;
  const bool transport = request.notify(model::NotifyType::use_transport_mode) != nullptr;
  if (config.mode == model::Mode::transport && !transport) return SelectorFit::none;
  const SelectorPair heard{ours->selectors, theirs->selectors};
  if (config.mode != model::Mode::transport) {
    const SelectorFit fit = fit_of(config, heard);
    return transport ? std::min(fit, SelectorFit::partly) : fit;
  }
  // RFC 7296 2.23.1: first with the addresses that we see; where nothing is found, as they were written.
  const SelectorFit fit = fit_of(config, as_seen(heard, seen));
  return fit != SelectorFit::none ? fit : fit_of(config, heard);
}

// RFC 4301 4.4.3.4: what a peer may have is told by the entry that its identity finds; where several entries have the
// identity, what it asks for tells which of them it means. An entry that says less of who the peer is never gives it
// what one that says more does not.
bool ConnectionChoice::take(const model::ConnectionConfig& config) {
  if (best_ != nullptr && exactness(config) != exactness(*best_)) return ++seen_ >= kMostCompared;
  const SelectorFit fit = selector_fit(config, request_, addresses_);
  if (best_ == nullptr || fit > fit_) {
    best_ = &config;
    fit_ = fit;
  }
  return fit_ == SelectorFit::exactly || ++seen_ >= kMostCompared;
}

std::optional<std::string> meant_elsewhere(const ConnectionTable& connections, const model::ConnectionConfig& config,
                                           const IkeSa& sa, const codec::Message& request) {
  const SeenAddresses addresses = seen_addresses(sa);
  std::size_t seen = 0;
  bool fits = false;
  const auto* other = connections.find_candidate(sa.path, sa.remote_id, [&](const model::ConnectionConfig& one) {
    fits = one.id != config.id && selector_fit(one, request, addresses) != SelectorFit::none;
    return fits || ++seen >= kMostCompared;
  });
  if (other == nullptr || !fits) return std::nullopt;
  return fmt::format(
      "; connection '{}' has them, but this IKE SA is that of '{}': let the peer begin an IKE SA of its own for it, or "
      "write the subnets of both into one tunnel",
      other->name, config.name);
}

}  // namespace culvert::ike::v2
