#include "control/credential_groups.hpp"

#include <algorithm>
#include <compare>
#include <string>
#include <unordered_set>

#include "base/bytes.hpp"
#include "crypto/prf.hpp"

namespace culvert::control {
namespace {

std::strong_ordering order(ByteView a, ByteView b) {
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

std::string revocation_of(const config::Credentials& credentials) {
  return credentials.revocation ? config::text_of(*credentials.revocation) : std::string();
}

bool asks_users(const config::TunnelConfig& tunnel) {
  const auto& eap = tunnel.connection.eap;
  return eap && !eap->client && eap->radius.empty();
}

std::strong_ordering order(const config::TunnelConfig& a, const config::TunnelConfig& b) {
  if (const auto by = order(a.secret.view(), b.secret.view()); by != 0) return by;
  if (const auto by = order(a.ppk.view(), b.ppk.view()); by != 0) return by;
  if (const auto by = order(a.eap_secret.view(), b.eap_secret.view()); by != 0) return by;
  if (const auto by = asks_users(a) <=> asks_users(b); by != 0) return by;
  if (const auto by = a.credentials.has_value() <=> b.credentials.has_value(); by != 0) return by;
  if (!a.credentials || !b.credentials) return std::strong_ordering::equal;
  if (const auto by = order(a.credentials->own_fingerprint, b.credentials->own_fingerprint); by != 0) return by;
  if (const auto by = order(a.credentials->trust_fingerprint, b.credentials->trust_fingerprint); by != 0) return by;
  if (const auto by = revocation_of(*a.credentials) <=> revocation_of(*b.credentials); by != 0) return by;
  return a.credentials->fetch_from <=> b.credentials->fetch_from;
}

// A digest of a digest of each part: nothing can be moved from one to the next.
void add(Bytes& parts, ByteView part) {
  const Bytes digest = crypto::hash(crypto::HashId::sha2_256, {part});
  parts.insert(parts.end(), digest.begin(), digest.end());
}

Bytes digest_of_users(const config::Config& config) {
  std::vector<const config::UserConfig*> users;
  users.reserve(config.users.size());
  for (const config::UserConfig& user : config.users) users.push_back(&user);
  std::ranges::sort(users, {}, [](const auto* user) -> const std::string& { return user->name; });
  Bytes parts;
  for (const config::UserConfig* user : users) {
    add(parts, as_bytes(user->name));
    add(parts, user->secret.view());
  }
  return crypto::hash(crypto::HashId::sha2_256, {parts});
}

// Over all that `order` looks at and what else decides whom EAP believes. It is 32 bits long: two groups that happen to
// have the same get different ones; that a change of a secret goes unnoticed is one chance in four billion.
std::uint32_t number_of(const config::TunnelConfig& tunnel, const Bytes& users,
                        std::unordered_set<std::uint32_t>& taken) {
  Bytes parts;
  add(parts, tunnel.secret.view());
  add(parts, tunnel.ppk.view());
  add(parts, tunnel.eap_secret.view());
  add(parts, asks_users(tunnel) ? ByteView(users) : ByteView());
  if (tunnel.credentials) {
    add(parts, tunnel.credentials->own_fingerprint);
    add(parts, tunnel.credentials->trust_fingerprint);
    add(parts, as_bytes(revocation_of(*tunnel.credentials)));
    for (const std::string& prefix : tunnel.credentials->fetch_from) add(parts, as_bytes(prefix));
  }
  const Bytes digest = crypto::hash(crypto::HashId::sha2_256, {as_bytes("culvert credentials"), parts});
  std::uint32_t number = load_be32(digest.data());
  while (number == 0 || !taken.insert(number).second) ++number;
  return number;
}

}  // namespace

std::vector<CredentialGroup> credential_groups(const config::Config& config) {
  std::vector<const config::TunnelConfig*> all;
  all.reserve(config.tunnels.size());
  for (const config::TunnelConfig& tunnel : config.tunnels) all.push_back(&tunnel);
  std::ranges::stable_sort(all, [](const auto* a, const auto* b) { return order(*a, *b) < 0; });
  const Bytes users = digest_of_users(config);
  std::vector<CredentialGroup> groups;
  std::unordered_set<std::uint32_t> taken;
  for (const config::TunnelConfig* tunnel : all) {
    if (groups.empty() || order(*groups.back().tunnels.front(), *tunnel) != 0)
      groups.push_back({.number = number_of(*tunnel, users, taken), .tunnels = {}});
    groups.back().tunnels.push_back(tunnel);
  }
  return groups;
}

}  // namespace culvert::control
