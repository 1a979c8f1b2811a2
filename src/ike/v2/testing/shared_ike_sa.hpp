// Two endpoints with several connections between them, for the tests of one IKE SA for all. Header only; never part of
// the product.
#pragma once

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {

inline constexpr model::ConnectionId kSecond{2};
inline constexpr model::ConnectionId kThird{3};

inline model::ConnectionConfig first_of(bool first) {
  model::ConnectionConfig config = config_of(first);
  config.credential_group = 1;
  return config;
}
inline model::ConnectionConfig further_of(bool first, model::ConnectionId id) {
  model::ConnectionConfig config = first_of(first);
  config.id = id;
  config.name += id == kSecond ? "-too" : "-as-well";
  const auto net = [&](bool one) {
    return subnet("10." + std::to_string(10 * id.value() + (one ? 1 : 2)) + ".0.0/16");
  };
  config.local = net(first);
  config.remote = net(!first);
  return config;
}

/// What both of a's connections have, in one.
inline model::ConnectionConfig two_in_one() {
  model::ConnectionConfig both = first_of(true);
  const model::ConnectionConfig further = further_of(true, kSecond);
  both.local.push_back(further.local.front());
  both.remote.push_back(further.remote.front());
  return both;
}

class SharedIkeSaTest : public ::testing::Test {
 protected:
  Pair pair;

  void configure_two() {
    configure(pair, first_of(true), first_of(false));
    configure(pair, further_of(true, kSecond), further_of(false, kSecond));
  }
  void begin(model::ConnectionId connection, bool first = true) {
    pair.command(pair.host(first), Initiate{.connection = connection, .path = path_from(first)});
  }
  void both_up() {
    configure_two();
    begin(kConnection);
    pair.settle();
    begin(kSecond);
    pair.settle();
    ASSERT_TRUE(stand({kConnection, kSecond}, 1));
  }
  [[nodiscard]] static std::multiset<model::ConnectionId> up_at(const Host& host) {
    std::multiset<model::ConnectionId> up;
    for (const auto& [id, child] : host.children) up.insert(child.params.connection);
    return up;
  }
  /// Both have a pair for each of the connections, in so many IKE SAs.
  [[nodiscard]] ::testing::AssertionResult stand(const std::multiset<model::ConnectionId>& wanted,
                                                 std::size_t ike_sas) {
    for (const Host* host : {&pair.a, &pair.b}) {
      if (host->ike_sas.size() != ike_sas)
        return ::testing::AssertionFailure() << host->name << " has " << host->ike_sas.size() << " IKE SAs";
      if (up_at(*host) != wanted)
        return ::testing::AssertionFailure() << host->name << " has " << host->children.size() << " pairs";
    }
    if (!no_leaks(pair)) return ::testing::AssertionFailure() << "SPIs leak";
    return ::testing::AssertionSuccess();
  }
  [[nodiscard]] static model::ChildSaId child_of(const Host& host, model::ConnectionId connection) {
    for (const auto& [id, child] : host.children) {
      if (child.params.connection == connection) return id;
    }
    return {};
  }
  /// Of two_in_one() a has the first alone, and now has a packet for the other.
  void a_packet_needs_the_rest() {
    ChildWish wish{.local = further_of(true, kSecond).local, .remote = further_of(true, kSecond).remote, .packet = {}};
    wish.packet.source = wish.local.front().addresses.first;
    wish.packet.destination = wish.remote.front().addresses.first;
    pair.command(pair.a, CreateChildSa{kConnection, wish});
    pair.settle();
    EXPECT_EQ(up_at(pair.b), (std::multiset<model::ConnectionId>{kConnection, kSecond}));
    EXPECT_EQ(pair.a.children.size(), 2U);
  }
};

}  // namespace culvert::ike::v2::testing
