// Checks across tunnels and files: each complaint names both places.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/draft.hpp"

namespace culvert::config {
namespace {

using model::TrafficSelector;

std::string field_of(const DraftTunnel& tunnel, std::string_view key) {
  return fmt::format("tunnel.{}.{}", tunnel.config.connection.name, key);
}

bool is_everything(const TrafficSelector& selector) {
  return selector.addresses == net::AddressRange::all(selector.addresses.family());
}

/// A local subnet that is also remote: packets between its hosts would go into the tunnel. Everything (0.0.0.0/0) on
/// one side is the usual way to send all traffic through a gateway, and is meant.
void check_sides(const DraftTunnel& tunnel, Problems& problems) {
  if (!tunnel.config.connection.request_addresses.empty()) return;
  for (std::size_t i = 0; i < tunnel.remote.selectors.size(); ++i) {
    for (std::size_t j = 0; j < tunnel.local.selectors.size(); ++j) {
      const TrafficSelector& remote = tunnel.remote.selectors[i];
      const TrafficSelector& local = tunnel.local.selectors[j];
      const bool both = is_everything(remote) && is_everything(local);
      if (!remote.intersection(local) || (!both && (is_everything(remote) || is_everything(local)))) continue;
      problems.push_back({Severity::error, tunnel.remote.positions[i], field_of(tunnel, "remote"),
                          fmt::format("{} overlaps the local subnet {} at {}", remote.to_string(), local.to_string(),
                                      tunnel.local.positions[j].to_string()),
                          "the two sides need different subnets; cut ranges (\"10.0.0.0-10.0.255.255\") around the "
                          "smaller one, or write "
                          "0.0.0.0/0 on one side to mean everything"});
    }
  }
}

/// Two tunnels that claim the same packets. Only where both sides overlap is the choice between them not clear.
void check_pair(const DraftTunnel& first, const DraftTunnel& second, Problems& problems) {
  // Of one that asks for its address nobody knows yet what is local; its rule stands behind those of the others.
  const auto asks = [](const DraftTunnel& one) { return !one.config.connection.request_addresses.empty(); };
  if (asks(first) != asks(second)) return;
  for (std::size_t i = 0; i < second.remote.selectors.size(); ++i) {
    for (std::size_t j = 0; j < first.remote.selectors.size(); ++j) {
      const TrafficSelector& a = second.remote.selectors[i];
      const TrafficSelector& b = first.remote.selectors[j];
      if (!a.intersection(b)) continue;
      const bool same_local = std::ranges::any_of(second.local.selectors, [&](const TrafficSelector& x) {
        return x.addresses.family() == a.addresses.family() &&
               std::ranges::any_of(first.local.selectors,
                                   [&](const TrafficSelector& y) { return x.intersection(y).has_value(); });
      });
      if (!same_local) continue;
      problems.push_back({Severity::error, second.remote.positions[i], field_of(second, "remote"),
                          fmt::format("{} overlaps {} of tunnel {} at {}", a.to_string(), b.to_string(),
                                      first.config.connection.name, first.remote.positions[j].to_string()),
                          "a packet can take one tunnel only: give each its own subnets, or its own protocols and "
                          "ports (\"[tcp/443]\")"});
      return;  // one complaint for a pair of tunnels
    }
  }
}

bool same_peers(const model::ConnectionConfig& a, const model::ConnectionConfig& b) {
  return !a.peer_name.empty() && a.peer_name == b.peer_name && a.peer_port == b.peer_port &&
         a.local_address == b.local_address && a.local_id == b.local_id && a.remote_id == b.remote_id &&
         a.remote_pattern == b.remote_pattern;
}

/// The peer begins by EAP, and its identity in IKE, if any is wanted, is all that is known of it till then.
bool is_told_by_eap(const model::ConnectionConfig& one) {
  return one.eap && !one.eap->client &&
         std::ranges::all_of(one.peer_rounds, [](const model::AuthRound& round) { return round.by.has_value(); });
}

/// RFC 7296 2.16: the responder has proved itself, and begun EAP, before it knows who the user is.
void check_eap_servers(const DraftTunnel& first, const DraftTunnel& second, Problems& problems) {
  const model::ConnectionConfig& a = first.config.connection;
  const model::ConnectionConfig& b = second.config.connection;
  if (!same_peers(a, b) || !is_told_by_eap(a) || !is_told_by_eap(b)) return;
  problems.push_back(
      {Severity::error, second.peer, field_of(second, "peer"),
       fmt::format("the tunnel {} at {} takes the same peers by EAP: all of them would come to that one, "
                   "and none to this",
                   a.name, first.header.to_string()),
       "tell them apart by local_id or remote_id; or write one tunnel, and by groups who gets and may "
       "reach what"});
}

/// The responder finds the secret by addresses and identities; where these are the same it cannot choose.
void check_secrets(const DraftTunnel& first, const DraftTunnel& second, Problems& problems) {
  const model::ConnectionConfig& a = first.config.connection;
  const model::ConnectionConfig& b = second.config.connection;
  if (!same_peers(a, b)) return;
  if (first.config.credentials && second.config.credentials) {
    const Credentials& x = *first.config.credentials;
    const Credentials& y = *second.config.credentials;
    if (x.own_fingerprint == y.own_fingerprint && x.trust_fingerprint == y.trust_fingerprint) return;
    problems.push_back({Severity::error, second.peer, field_of(second, "peer"),
                        fmt::format("the tunnel {} at {} has the same peer and identities, but another certificate or "
                                    "authority",
                                    a.name, first.header.to_string()),
                        "give both the same files, or tell them apart by local_id or remote_id"});
    return;
  }
  if (first.config.secret.empty() || second.config.secret.empty()) return;
  if (constant_time_equal(first.config.secret.view(), second.config.secret.view())) return;
  problems.push_back({Severity::error, second.peer, field_of(second, "peer"),
                      fmt::format("the tunnel {} at {} has the same peer and identities, but another secret", a.name,
                                  first.header.to_string()),
                      "give both the same secret, or tell them apart by local_id or remote_id"});
}

/// Positions of two tunnels in the draft: the later one, and one before it.
using Pair = std::pair<std::size_t, std::size_t>;
Pair in_order(std::size_t a, std::size_t b) { return {std::max(a, b), std::min(a, b)}; }

/// What the tunnels have on one side, each with its tunnel's position, in the order of their first addresses.
using Ranges = std::vector<std::pair<net::AddressRange, std::size_t>>;

Ranges ranges_of(const std::vector<DraftTunnel>& tunnels, auto side) {
  Ranges ranges;
  for (std::size_t at = 0; at < tunnels.size(); ++at) {
    for (const TrafficSelector& selector : (tunnels[at].*side).selectors) ranges.emplace_back(selector.addresses, at);
  }
  std::ranges::sort(ranges, {}, [](const auto& entry) { return std::pair(entry.first.first, entry.second); });
  return ranges;
}

/// How many of them have some address in common, two by two.
std::size_t count_overlaps(const Ranges& sorted) {
  std::vector<net::IpAddress> ends;
  for (const auto& [range, at] : sorted) ends.push_back(range.last);
  std::ranges::sort(ends);
  std::size_t pairs = 0;
  std::size_t begun = 0;
  for (const auto& [range, at] : sorted) {
    const auto over = std::ranges::lower_bound(ends, range.first) - ends.begin();
    pairs += begun++ - static_cast<std::size_t>(over);
  }
  return pairs;
}

/// Tunnels whose addresses may overlap. A gateway may have ten thousand, so they are found by one sweep over all
/// ranges, not by trying each with each; on that side where fewer are the same, since all may have one network of ours,
/// or lead to one of theirs.
std::set<Pair> overlapping(const std::vector<DraftTunnel>& tunnels) {
  Ranges ranges = ranges_of(tunnels, &DraftTunnel::remote);
  if (Ranges locals = ranges_of(tunnels, &DraftTunnel::local); count_overlaps(locals) < count_overlaps(ranges))
    ranges = std::move(locals);
  std::set<Pair> pairs;
  std::multimap<net::IpAddress, std::size_t> open;  // by their last address
  for (const auto& [range, at] : ranges) {
    open.erase(open.begin(), open.lower_bound(range.first));
    for (const auto& [last, other] : open) {
      if (other != at) pairs.insert(in_order(at, other));
    }
    open.emplace(range.last, at);
  }
  return pairs;
}

/// Whether a third tunnel gets along with the one as with the other.
bool same_claim(const DraftTunnel& a, const DraftTunnel& b) {
  const model::ConnectionConfig& x = a.config.connection;
  const model::ConnectionConfig& y = b.config.connection;
  return same_peers(x, y) && a.config.credentials.has_value() == b.config.credentials.has_value() &&
         a.config.secret.empty() == b.config.secret.empty() && is_told_by_eap(x) == is_told_by_eap(y);
}

/// Tunnels between which a responder must choose by what each says of the peer and of us. Each is compared with those
/// before it that differ: of ten thousand with one peer, which all have its secret, with the first.
template <typename Counts>
void check_same_peers(const std::vector<DraftTunnel>& tunnels, Counts counts, Problems& problems) {
  const auto key = [](const DraftTunnel& tunnel) {
    const model::ConnectionConfig& config = tunnel.config.connection;
    return std::tie(config.peer_name, config.peer_port, config.local_address, config.local_id, config.remote_id);
  };
  std::vector<std::size_t> order(tunnels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t at) { return key(tunnels[at]); });
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const DraftTunnel& tunnel = tunnels[order[i]];
    if (i != 0 && key(tunnel) != key(tunnels[order[i - 1]])) kept.clear();
    const std::size_t before = problems.size();
    bool known = false;
    for (std::size_t one = 0; one < kept.size() && problems.size() == before; ++one) {
      if (!counts(Pair{order[i], kept[one]})) continue;
      check_secrets(tunnels[kept[one]], tunnel, problems);
      check_eap_servers(tunnels[kept[one]], tunnel, problems);
      known = known || same_claim(tunnels[kept[one]], tunnel);
    }
    if (!known && problems.size() == before) kept.push_back(order[i]);
  }
}

/// The first tunnel of the same name, for each that is not the first.
std::map<std::size_t, std::size_t> check_names(Draft& draft) {
  std::map<std::string_view, std::size_t> first;
  std::map<std::size_t, std::size_t> later;
  for (std::size_t at = 0; at < draft.tunnels.size(); ++at) {
    const std::string& name = draft.tunnels[at].config.connection.name;
    const auto [taken, is_new] = first.emplace(name, at);
    if (is_new) continue;
    later.emplace(at, taken->second);
    draft.problems.push_back(
        {Severity::error, draft.tunnels[at].header, "tunnel." + name,
         fmt::format("the name is taken by the tunnel at {}", draft.tunnels[taken->second].header.to_string()),
         "give one of the two another name"});
  }
  return later;
}

}  // namespace

void check_across(Draft& draft) {
  const auto later = check_names(draft);
  // What is written twice by mistake need not be complained about again.
  const auto counts = [&](const Pair& pair) {
    const auto same = later.find(pair.first);
    return same == later.end() || pair.second < same->second;
  };
  for (const DraftTunnel& tunnel : draft.tunnels) check_sides(tunnel, draft.problems);
  for (const Pair& pair : overlapping(draft.tunnels)) {
    if (counts(pair)) check_pair(draft.tunnels[pair.second], draft.tunnels[pair.first], draft.problems);
  }
  check_same_peers(draft.tunnels, counts, draft.problems);
}

}  // namespace culvert::config
