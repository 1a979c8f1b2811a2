#include "control/credential_groups.hpp"

#include <algorithm>
#include <compare>
#include <string>

namespace culvert::control {
namespace {

std::strong_ordering order(ByteView a, ByteView b) {
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

std::string revocation_of(const config::Credentials& credentials) {
  return credentials.revocation ? config::text_of(*credentials.revocation) : std::string();
}

std::strong_ordering order(const config::TunnelConfig& a, const config::TunnelConfig& b) {
  if (const auto by = order(a.secret.view(), b.secret.view()); by != 0) return by;
  if (const auto by = order(a.ppk.view(), b.ppk.view()); by != 0) return by;
  if (const auto by = a.credentials.has_value() <=> b.credentials.has_value(); by != 0) return by;
  if (!a.credentials) return std::strong_ordering::equal;
  if (const auto by = order(a.credentials->own_fingerprint, b.credentials->own_fingerprint); by != 0) return by;
  if (const auto by = order(a.credentials->trust_fingerprint, b.credentials->trust_fingerprint); by != 0) return by;
  if (const auto by = revocation_of(*a.credentials) <=> revocation_of(*b.credentials); by != 0) return by;
  return a.credentials->fetch_from <=> b.credentials->fetch_from;
}

}  // namespace

std::vector<std::vector<const config::TunnelConfig*>> credential_groups(const config::Config& config) {
  std::vector<const config::TunnelConfig*> all;
  for (const config::TunnelConfig& tunnel : config.tunnels) all.push_back(&tunnel);
  std::ranges::stable_sort(all, [](const auto* a, const auto* b) { return order(*a, *b) < 0; });
  std::vector<std::vector<const config::TunnelConfig*>> groups;
  for (const config::TunnelConfig* tunnel : all) {
    if (groups.empty() || order(*groups.back().front(), *tunnel) != 0) groups.emplace_back();
    groups.back().push_back(tunnel);
  }
  return groups;
}

}  // namespace culvert::control
