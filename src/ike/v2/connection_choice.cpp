#include "ike/v2/connection_choice.hpp"

#include <algorithm>

#include <fmt/format.h>

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

}  // namespace

SelectorFit selector_fit(const model::ConnectionConfig& config, const codec::Message& request) {
  const auto* theirs = request.ts(Role::initiator);
  const auto* ours = request.ts(Role::responder);
  if (theirs == nullptr || ours == nullptr) return SelectorFit::none;
  const bool transport = request.notify(model::NotifyType::use_transport_mode) != nullptr;
  if (config.mode == model::Mode::transport && !transport) return SelectorFit::none;
  if (model::narrow(theirs->selectors, config.remote, 1).empty() ||
      model::narrow(ours->selectors, config.local, 1).empty())
    return SelectorFit::none;
  const bool all =
      model::is_subset(theirs->selectors, config.remote) && model::is_subset(ours->selectors, config.local);
  if (!all || (transport && config.mode != model::Mode::transport)) return SelectorFit::partly;
  const bool no_more =
      model::is_subset(config.remote, theirs->selectors) && model::is_subset(config.local, ours->selectors);
  return no_more ? SelectorFit::exactly : SelectorFit::within;
}

// RFC 4301 4.4.3.4: what a peer may have is told by the entry that its identity finds; where several entries have the
// identity, what it asks for tells which of them it means. An entry that says less of who the peer is never gives it
// what one that says more does not.
bool ConnectionChoice::take(const model::ConnectionConfig& config) {
  if (best_ != nullptr && exactness(config) != exactness(*best_)) return ++seen_ >= kMostCompared;
  const SelectorFit fit = selector_fit(config, request_);
  if (best_ == nullptr || fit > fit_) {
    best_ = &config;
    fit_ = fit;
  }
  return fit_ == SelectorFit::exactly || ++seen_ >= kMostCompared;
}

std::optional<std::string> meant_elsewhere(const ConnectionTable& connections, const model::ConnectionConfig& config,
                                           const net::Path& path, const model::Identity& peer,
                                           const codec::Message& request) {
  std::size_t seen = 0;
  bool fits = false;
  const auto* other = connections.find_candidate(path, peer, [&](const model::ConnectionConfig& one) {
    fits = one.id != config.id && selector_fit(one, request) != SelectorFit::none;
    return fits || ++seen >= kMostCompared;
  });
  if (other == nullptr || !fits) return std::nullopt;
  return fmt::format(
      "; connection '{}' has them, but this IKE SA is that of '{}': let the peer begin an IKE SA of its own for it, or "
      "write the subnets of both into one tunnel",
      other->name, config.name);
}

}  // namespace culvert::ike::v2
