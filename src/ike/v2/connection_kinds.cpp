#include "ike/v2/connection_kinds.hpp"

#include <algorithm>
#include <iterator>

#include "base/check.hpp"

namespace culvert::ike::v2 {

ConnectionKinds::Words ConnectionKinds::words_of(const model::ConnectionConfig& config) {
  Words words{.proposals = config.ike_proposals,
              .fragmentation_required = config.ike_fragmentation == model::IkeFragmentation::required,
              .ppk = std::nullopt};
  if (config.ppk) words.ppk.emplace(config.ppk->exchange, config.ppk->required);
  return words;
}

std::vector<ConnectionKinds::Place> ConnectionKinds::places_of(const model::ConnectionConfig& config,
                                                               const Addresses& peers) {
  std::vector<Place> places;
  for (const net::IpAddress& peer : peers) places.emplace_back(peer, config.local_address);
  if (peers.empty()) places.emplace_back(std::nullopt, config.local_address);
  return places;
}

void ConnectionKinds::put(const model::ConnectionConfig& config, const Addresses& peers) {
  const auto kind = kinds_.try_emplace(words_of(config)).first;
  for (const Place& place : places_of(config, peers)) {
    ++kind->second;
    places_[place][&*kind].insert(config.id);
  }
}

void ConnectionKinds::remove(const model::ConnectionConfig& config, const Addresses& peers) {
  const auto kind = kinds_.find(words_of(config));
  CHECK(kind != kinds_.end());
  for (const Place& place : places_of(config, peers)) {
    const auto there = places_.find(place);
    const auto ids = there->second.find(&*kind);
    CHECK(ids->second.erase(config.id) == 1);
    if (ids->second.empty()) there->second.erase(ids);
    if (there->second.empty()) places_.erase(there);
    --kind->second;
  }
  if (kind->second == 0) kinds_.erase(kind);
}

std::vector<model::ConnectionId> ConnectionKinds::firsts(const net::Path& path) const {
  std::vector<model::ConnectionId> all;
  for (const std::optional<net::IpAddress>& peer : {std::optional(path.remote.address), {}}) {
    const auto begin = static_cast<std::ptrdiff_t>(all.size());
    for (const std::optional<net::IpAddress>& local : {std::optional(path.local.address), {}}) {
      const auto there = places_.find({peer, local});
      if (there == places_.end()) continue;
      for (const auto& [kind, ids] : there->second) all.push_back(*ids.begin());
    }
    // A kind that is at both places is visited at each of them; and kinds lie in no order that means anything.
    std::sort(std::next(all.begin(), begin), all.end());
  }
  return all;
}

}  // namespace culvert::ike::v2
