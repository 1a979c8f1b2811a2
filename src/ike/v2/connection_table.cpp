#include "ike/v2/connection_table.hpp"

#include <utility>

#include "ike/v2/auth_rounds.hpp"

namespace culvert::ike::v2 {

model::Identity local_identity(const model::ConnectionConfig& config, const net::Path& path) {
  return config.local_id ? *config.local_id : model::Identity::of(path.local.address);
}

model::Identity remote_identity(const model::ConnectionConfig& config, const net::Path& path) {
  if (config.remote_id) return *config.remote_id;
  // Of several places of the peer the one that this is.
  if (!config.further_peers.empty()) return model::Identity::of(path.remote.address);
  return model::Identity::of(config.peer ? *config.peer : path.remote.address);
}

bool takes_any_identity(const model::ConnectionConfig& config) {
  const auto& eap = config.eap;
  return eap && !eap->client && begins_by_eap(config) && !config.remote_id;
}

bool expects(const model::ConnectionConfig& config, const net::Path& path, const model::Identity& presented) {
  if (config.remote_pattern) return config.remote_pattern->matches(presented);
  return remote_identity(config, path).comparable() == presented;
}

namespace {

/// Where the peer may call from, if that is known.
std::set<net::IpAddress> peer_addresses(const model::ConnectionConfig& config) {
  std::set<net::IpAddress> addresses;
  if (!config.peer) return addresses;
  addresses.insert(*config.peer);
  for (const std::string& place : config.further_peers) {
    if (const auto address = net::IpAddress::parse(place)) addresses.insert(*address);
  }
  if (const auto address = net::IpAddress::parse(config.peer_name)) addresses.insert(*address);
  return addresses;
}

}  // namespace

std::set<ConnectionTable::PeerIdentity> ConnectionTable::peer_identities(const model::ConnectionConfig& config) {
  std::set<PeerIdentity> all;
  for (const net::IpAddress& address : peer_addresses(config)) {
    if (config.remote_pattern || takes_any_identity(config)) all.emplace(address, std::nullopt);
    if (!config.remote_pattern) all.emplace(address, remote_identity(config, {{}, {address, 0}}).comparable());
  }
  return all;
}

bool is_shareable(const model::ConnectionConfig& config) {
  return config.share_ike_sa && config.credential_group != 0 && !config.eap && config.own_rounds.empty() &&
         config.peer_rounds.empty() && !config.remote_pattern && config.pools.empty() && config.groups.empty() &&
         config.request_addresses.empty() && config.authentication != model::Authentication::none &&
         config.expected() != model::Authentication::none;
}

ConnectionTable::ShareKey ConnectionTable::share_key(const model::ConnectionConfig& config) {
  return {config.credential_group, config.peer, config.local_id, config.remote_id};
}

bool same_share_key(const model::ConnectionConfig& a, const model::ConnectionConfig& b) {
  return is_shareable(a) && is_shareable(b) && ConnectionTable::share_key(a) == ConnectionTable::share_key(b);
}

template <typename Table, typename Place>
void ConnectionTable::places_of(Table& table, const model::ConnectionConfig& config, Place place) {
  if (config.peer) {
    for (const net::IpAddress& address : peer_addresses(config)) place(table.by_peer_, address);
    for (const PeerIdentity& peer : peer_identities(config)) place(table.by_peer_identity_, peer);
    return;
  }
  place(table.open_, Anywhere{});
  if (config.remote_pattern) {
    place(table.open_by_pattern_, Anywhere{});
  } else if (config.remote_id) {
    place(table.open_by_identity_, config.remote_id->comparable());
  } else {
    place(table.open_without_identity_, Anywhere{});
  }
}

void ConnectionTable::put(model::ConnectionConfig config) {
  remove(config.id);
  const model::ConnectionId id = config.id;
  places_of(*this, config, [&](auto& index, const auto& key) { index[{key, config.local_address}].insert(id); });
  kinds_.put(config, peer_addresses(config));
  if (v2::uses_certificates(config)) ++certificates_;
  by_name_.insert_or_assign(config.name, id);
  if (is_shareable(config)) sharing_[share_key(config)].insert(id);
  connections_.emplace(id, std::move(config));
}

void ConnectionTable::remove(model::ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto take_out = [id](auto& index, const auto& key) {
    const auto place = index.find(key);
    place->second.erase(id);
    if (place->second.empty()) index.erase(place);
  };
  const model::ConnectionConfig& config = found->second;
  places_of(*this, config,
            [&](auto& index, const auto& key) { take_out(index, std::pair(key, config.local_address)); });
  kinds_.remove(config, peer_addresses(config));
  if (v2::uses_certificates(config)) --certificates_;
  if (const auto named = by_name_.find(config.name); named != by_name_.end() && named->second == id)
    by_name_.erase(named);
  if (is_shareable(config)) take_out(sharing_, share_key(config));
  connections_.erase(found);
}

Bytes ConnectionTable::authorities_for(const net::Path& path) const {
  constexpr std::size_t kDigest = 20;
  constexpr std::size_t kMostDigests = 8;
  constexpr int kMostVisits = 64;
  std::set<Bytes> seen;
  Bytes all;
  int visits = 0;
  find_candidate(path, [&](const model::ConnectionConfig& config) {
    for (std::size_t at = 0; at + kDigest <= config.authorities.size() && seen.size() < kMostDigests; at += kDigest) {
      const Bytes digest = to_bytes(ByteView(config.authorities).subspan(at, kDigest));
      if (seen.insert(digest).second) all.insert(all.end(), digest.begin(), digest.end());
    }
    return ++visits == kMostVisits || seen.size() == kMostDigests;
  });
  return all;
}

const model::ConnectionConfig* ConnectionTable::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : find(found->second);
}

const model::ConnectionConfig* ConnectionTable::find(model::ConnectionId id) const {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : &found->second;
}

}  // namespace culvert::ike::v2
