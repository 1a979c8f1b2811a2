// Which tunnels have the same credentials, and that the number of a group is of these credentials alone.
#include "control/credential_groups.hpp"

#include <functional>
#include <set>

#include <gtest/gtest.h>

namespace culvert::control {
namespace {

SecretBytes secret_of(std::string_view text) { return SecretBytes::copy_of(as_bytes(text)); }

void add(config::Config& config, const std::string& name, std::string_view secret) {
  config::TunnelConfig& tunnel = config.tunnels.emplace_back();
  tunnel.connection.name = name;
  tunnel.secret = secret_of(secret);
}

std::uint32_t number_of(const config::Config& config, std::string_view name) {
  for (const CredentialGroup& group : credential_groups(config)) {
    for (const config::TunnelConfig* tunnel : group.tunnels) {
      if (tunnel->connection.name == name) return group.number;
    }
  }
  return 0;
}

TEST(CredentialGroups, TheSameSecretIsTheSameGroup) {
  config::Config config;
  add(config, "a", "one");
  add(config, "b", "two");
  add(config, "c", "one");
  EXPECT_EQ(credential_groups(config).size(), 2U);
  EXPECT_EQ(number_of(config, "a"), number_of(config, "c"));
  EXPECT_NE(number_of(config, "a"), number_of(config, "b"));
  EXPECT_NE(number_of(config, "a"), 0U);
}

// So that it says the same after a restart, and another thing after any change.
TEST(CredentialGroups, TheNumberIsOfTheCredentialsAlone) {
  config::Config before;
  add(before, "a", "one");
  config::Config after;
  add(after, "z", "another");
  add(after, "a", "one");
  EXPECT_EQ(number_of(before, "a"), number_of(after, "a"));
}

TEST(CredentialGroups, WhateverDecidesWhomWeBelieveChangesTheNumber) {
  using Change = std::function<void(config::Config&)>;
  const Change changes[] = {
      [](config::Config&) {},
      [](config::Config& config) { config.tunnels[0].secret = secret_of("two"); },
      [](config::Config& config) { config.tunnels[0].ppk = secret_of("ppk"); },
      [](config::Config& config) { config.tunnels[0].eap_secret = secret_of("ppk"); },
      [](config::Config& config) { config.tunnels[0].credentials->own_fingerprint = Bytes(32, 9); },
      [](config::Config& config) { config.tunnels[0].credentials->trust_fingerprint = Bytes(32, 9); },
      [](config::Config& config) { config.tunnels[0].credentials->revocation.emplace(); },
      [](config::Config& config) { config.tunnels[0].credentials->revocation.emplace().strict = true; },
      [](config::Config& config) { config.tunnels[0].credentials->fetch_from = {"http://pki.example/"}; },
      [](config::Config& config) { config.users[0].secret = secret_of("changed"); },
      [](config::Config& config) { config.users.push_back({.name = "dave", .place = {}, .secret = secret_of("x")}); },
  };
  std::set<std::uint32_t> seen;
  for (const Change& change : changes) {
    config::Config config;
    add(config, "a", "one");
    config.tunnels[0].connection.eap.emplace();
    config.tunnels[0].credentials.emplace(config::Credentials{.certificates = {},
                                                              .key = {},
                                                              .peer = crypto::TrustStore::make({}, {}),
                                                              .own_fingerprint = {},
                                                              .trust_fingerprint = {}});
    config.users.push_back({.name = "carol", .place = {}, .secret = secret_of("hers")});
    change(config);
    seen.insert(number_of(config, "a"));
  }
  EXPECT_EQ(seen.size(), std::size(changes));
}

}  // namespace
}  // namespace culvert::control
