// RoundsPair: two endpoints that prove themselves in several rounds (RFC 4739). Header only; never part of the product.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"
#include "ike/v2/testing/faults.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

inline Bytes octets(std::string_view text) { return to_bytes(as_bytes(text)); }

struct RoundsWorld {
  crypto::testing::TestKey key = crypto::testing::TestKey::make("P-256");
  crypto::testing::TestCertificate root = crypto::testing::TestCertificate::make(
      crypto::testing::TestKey::make("P-256"), crypto::testing::authority("root"));
};
inline const RoundsWorld& rounds_world() {
  static const RoundsWorld made;
  return made;
}

inline Credentials rounds_credentials(bool first) {
  const auto own = crypto::testing::TestCertificate::make(
      rounds_world().key, crypto::testing::peer(first ? "a" : "b", first ? "DNS:a.example" : "DNS:b.example"),
      &rounds_world().root);
  return {.certificates = {own.der()},
          .key = own.key().private_key(),
          .peer = crypto::TrustStore::make(std::vector{rounds_world().root.certificate()}, {})};
}

using Way = std::optional<model::Authentication>;  // nothing: EAP
inline constexpr Way kSecret = model::Authentication::shared_key;
inline constexpr Way kCertificate = model::Authentication::certificate;
inline constexpr Way kEap = std::nullopt;

inline std::string in_words(const std::vector<Way>& ways) {
  std::string out;
  for (const Way& way : ways) out += std::string(way ? name_of(*way) : "eap") + " ";
  return out;
}

/// a proves itself by the one list, b by the other; only a by EAP, as carol.
struct RoundsPair : Pair {
  RoundsPair(std::vector<Way> first, std::vector<Way> second, std::uint64_t seed = 1, EndpointSettings settings = {})
      : Pair(seed, settings), ways_a(std::move(first)), ways_b(std::move(second)) {
    for (Host* one : {&a, &b}) {
      const bool is_a = one == &a;
      one->calendar = crypto::testing::kToday;
      one->credentials.emplace(kConnection, rounds_credentials(is_a));
      one->secrets[kConnection] = octets("a shared secret");
      one->users["carol"] = octets("a pass phrase");
      model::ConnectionConfig config = config_of(is_a);
      config.authorities = rounds_world().root.certificate().key_digest();
      const bool eap = std::ranges::find(ways_a, kEap) != ways_a.end();
      if (eap)
        config.eap = model::EapSettings{.client = is_a, .methods = {model::EapType::mschapv2}, .identity = "carol"};
      set(config, is_a ? ways_a : ways_b, true);
      set(config, is_a ? ways_b : ways_a, false);
      if (is_a) name_eap(config);
      configs[is_a ? 0 : 1] = std::move(config);
    }
  }
  static void set(model::ConnectionConfig& config, const std::vector<Way>& ways, bool own) {
    const model::Authentication begin = ways.front().value_or(model::Authentication::shared_key);
    if (own) {
      config.authentication = begin;
    } else {
      config.peer_authentication = begin;
    }
    auto& more = own ? config.own_rounds : config.peer_rounds;
    for (std::size_t i = 1; i < ways.size(); ++i) more.push_back({.by = ways[i]});
  }
  static void name_eap(model::ConnectionConfig& config) {
    for (model::AuthRound& round : config.own_rounds) {
      if (!round.by) round.id = model::Identity::parse("carol");
    }
  }
  void start() {
    command(a, ConfigureConnection{configs[0]});
    command(b, ConfigureConnection{configs[1]});
    initiate(*this);
    settle();
  }
  [[nodiscard]] std::string faults() const { return faults_of(a, b); }
  /// Long after: neither end has anything, and b has never had an IKE SA.
  void expect_nothing(std::string_view reason) {
    advance(std::chrono::minutes(5));
    EXPECT_TRUE(a.ike_sas.empty() && b.ike_sas.empty());
    EXPECT_TRUE(no_leaks(*this));
    EXPECT_EQ(a.eap_sessions.size() + b.eap_sessions.size(), 0U);
    EXPECT_THAT(faults(), ::testing::HasSubstr(std::string(reason)));
  }
  [[nodiscard]] std::size_t auth_requests() const {
    std::set<std::uint32_t> seen;
    for (const Datagram& one : wire) {
      const codec::Header header = one.header();
      if (one.from_a && header.exchange == model::ExchangeType::ike_auth) seen.insert(header.message_id.value());
    }
    return seen.size();
  }
  std::vector<Way> ways_a, ways_b;
  std::array<model::ConnectionConfig, 2> configs;
};

}  // namespace culvert::ike::v2::testing
