// FollowUps: two endpoints that agree on additional key exchanges, for rekeys and new pairs with IKE_FOLLOWUP_KE (RFC
// 9370 2.2.4). Header only; never part of the product.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

using model::ExchangeType;
using std::chrono::minutes;

inline constexpr const char* kIke = "aes256gcm16-prfsha256-x25519-ke1_mlkem512";
inline constexpr const char* kIkeTwo = "aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256";
inline constexpr const char* kIkePlain = "aes256gcm16-prfsha256-x25519";
inline constexpr const char* kEsp = "aes128gcm16-x25519-ke1_mlkem512-ke2_ecp384-esn";
inline constexpr const char* kEspPlain = "aes128gcm16-x25519-esn";
inline constexpr const char* kEspOptional = "aes128gcm16-x25519-ke1_mlkem512-ke1_none-ke2_ecp384-ke2_none-esn";

inline model::Proposal parsed(model::ProtocolId protocol, std::string_view text) {
  auto made = model::parse_proposal(protocol, text);
  EXPECT_TRUE(made) << made.error();
  return std::move(*made);
}
inline model::Proposal ike(std::string_view text) { return parsed(model::ProtocolId::ike, text); }
inline model::Proposal esp(std::string_view text) { return parsed(model::ProtocolId::esp, text); }

struct Suites {
  std::vector<model::Proposal> ike_a{ike(kIke)};
  std::vector<model::Proposal> ike_b{ike(kIke)};
  std::vector<model::Proposal> esp_a{esp(kEsp)};
  std::vector<model::Proposal> esp_b{esp(kEsp)};
};

inline void start(Pair& pair, const Suites& suites = {}) {
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = suites.ike_a;
  b.ike_proposals = suites.ike_b;
  a.esp_proposals = suites.esp_a;
  b.esp_proposals = suites.esp_b;
  configure(pair, std::move(a), std::move(b));
  initiate(pair);
  pair.settle();
}

inline std::size_t count(const Pair& pair, ExchangeType exchange, bool response) {
  return static_cast<std::size_t>(std::ranges::count_if(pair.wire, [&](const Datagram& one) {
    return one.header().exchange == exchange && one.header().response == response;
  }));
}

inline std::vector<Duration> lost() { return {}; }
inline std::vector<Duration> usual() { return {Pair::kLatency}; }

class FollowUps : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    start(pair);
    ASSERT_TRUE(in_step(pair)) << (pair.a.failures.empty() ? "" : pair.a.failures.front().detail);
    pair.wire.clear();
  }
  Host& one() { return pair.host(GetParam()); }
  Host& other() { return pair.host(!GetParam()); }
  void rekey_child(Host& host) { pair.command(host, RekeyChildSa{host.children.begin()->first}); }
  void rekey_ike(Host& host) { pair.command(host, RekeyIkeSa{host.ike_sa().ike_sa}); }
  [[nodiscard]] bool quiet(Duration limit = minutes(2)) {
    pair.settle();
    return pair.run_until([&] { return in_step(pair); }, limit);
  }
  /// Loses messages of the kind, `times` of them, sent by the host.
  void lose(const Host& from, ExchangeType exchange, bool response, int times = 1) {
    pair.fate = [from_a = &from == &pair.a, exchange, response, left = times](const Datagram& d) mutable {
      const bool meant = d.from_a == from_a && d.header().exchange == exchange && d.header().response == response;
      return meant && left-- > 0 ? lost() : usual();
    };
  }
  void expect_all_kept() {
    EXPECT_TRUE(no_leaks(pair));
    EXPECT_TRUE(pair.a.failures.empty()) << pair.a.failures.front().detail;
    EXPECT_TRUE(pair.b.failures.empty()) << pair.b.failures.front().detail;
    pair.advance(minutes(2));
    EXPECT_TRUE(in_step(pair)) << "and it stays so";
    EXPECT_TRUE(no_leaks(pair));
  }

  Pair pair;
};

}  // namespace culvert::ike::v2::testing
