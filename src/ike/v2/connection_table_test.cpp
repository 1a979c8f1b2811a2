#include "ike/v2/connection_table.hpp"

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

model::ConnectionConfig connection(std::uint32_t id, const char* peer, const char* identity) {
  model::ConnectionConfig config = testing::config_of(true);
  config.id = model::ConnectionId(id);
  config.peer.reset();
  config.remote_id.reset();
  if (peer != nullptr) config.peer = ip(peer);
  if (identity != nullptr) config.remote_id = model::Identity::parse(identity);
  return config;
}

class ConnectionTableTest : public ::testing::Test {
 protected:
  /// The ids in the order in which they are visited.
  std::vector<std::uint32_t> by_address(const char* remote, const char* local = "192.0.2.1") const {
    std::vector<std::uint32_t> ids;
    table.find_candidate(path(remote, local), [&](const model::ConnectionConfig& one) {
      ids.push_back(one.id.value());
      return false;
    });
    return ids;
  }
  std::vector<std::uint32_t> by_identity(const char* remote, const char* identity,
                                         const char* local = "192.0.2.1") const {
    std::vector<std::uint32_t> ids;
    table.find_candidate(path(remote, local), model::Identity::parse(identity),
                         [&](const model::ConnectionConfig& one) {
                           ids.push_back(one.id.value());
                           return false;
                         });
    return ids;
  }
  /// The ids of which IKE_SA_INIT visits all of a kind by the first.
  std::vector<std::uint32_t> kinds(const char* remote, const char* local = "192.0.2.1") const {
    std::vector<std::uint32_t> ids;
    table.find_kind(path(remote, local), [&](const model::ConnectionConfig& one) {
      ids.push_back(one.id.value());
      return false;
    });
    return ids;
  }
  static net::Path path(const char* remote, const char* local) { return {{ip(local), 500}, {ip(remote), 500}}; }

  ConnectionTable table;
  using Ids = std::vector<std::uint32_t>;
};

TEST_F(ConnectionTableTest, WhoNamesTheAddressComesFirst) {
  table.put(connection(1, nullptr, "road.example"));
  table.put(connection(2, "192.0.2.7", "seven.example"));
  table.put(connection(3, "192.0.2.8", nullptr));
  table.put(connection(4, nullptr, nullptr));
  EXPECT_EQ(by_address("192.0.2.7"), (Ids{2, 1, 4}));
  EXPECT_EQ(by_address("192.0.2.9"), (Ids{1, 4}));
  EXPECT_EQ(table.find_candidate(path("192.0.2.7", "192.0.2.1"), [](const auto&) { return true; })->id.value(), 2U);
}

TEST_F(ConnectionTableTest, AnIdentityIsExpectedOrIsTheAddress) {
  table.put(connection(1, nullptr, "road.example"));
  table.put(connection(2, "192.0.2.7", "seven.example"));
  table.put(connection(3, "192.0.2.7", nullptr));
  table.put(connection(4, nullptr, nullptr));
  table.put(connection(5, nullptr, "road.example"));
  EXPECT_EQ(by_identity("192.0.2.9", "road.example"), (Ids{1, 5}));
  EXPECT_EQ(by_identity("192.0.2.7", "seven.example"), (Ids{2}));
  EXPECT_EQ(by_identity("192.0.2.9", "seven.example"), Ids{}) << "from another address than its own";
  EXPECT_EQ(by_identity("192.0.2.7", "192.0.2.7"), (Ids{3, 4}));
  EXPECT_EQ(by_identity("192.0.2.9", "192.0.2.9"), (Ids{4}));
}

TEST_F(ConnectionTableTest, ManyBehindOneAddressAreToldApart) {
  for (std::uint32_t id = 10; id < 20; ++id)
    table.put(connection(id, "192.0.2.7", ("site" + std::to_string(id) + ".example").c_str()));
  model::ConnectionConfig pattern = connection(1, "192.0.2.7", nullptr);
  pattern.remote_pattern = model::IdentityPattern::parse("*.example");
  table.put(pattern);
  model::ConnectionConfig places = connection(2, "192.0.2.8", nullptr);
  places.further_peers = {"192.0.2.7"};
  table.put(places);
  EXPECT_EQ(by_identity("192.0.2.7", "site13.example"), (Ids{13, 1})) << "the name before the pattern";
  EXPECT_EQ(by_identity("192.0.2.7", "192.0.2.7"), (Ids{2})) << "of several places this one";
  EXPECT_EQ(by_identity("192.0.2.8", "192.0.2.7"), Ids{});
  EXPECT_EQ(by_identity("192.0.2.8", "192.0.2.8"), (Ids{2}));
  table.remove(model::ConnectionId(1));
  table.remove(model::ConnectionId(2));
  table.remove(model::ConnectionId(13));
  EXPECT_EQ(by_identity("192.0.2.7", "site13.example"), Ids{});
  EXPECT_EQ(by_identity("192.0.2.7", "192.0.2.7"), Ids{});
  EXPECT_EQ(by_identity("192.0.2.7", "site14.example"), (Ids{14}));
}

TEST_F(ConnectionTableTest, OurAddressMustFit) {
  model::ConnectionConfig config = connection(1, "192.0.2.7", nullptr);
  config.local_address = ip("192.0.2.1");
  table.put(std::move(config));
  EXPECT_EQ(by_address("192.0.2.7", "192.0.2.1"), (Ids{1}));
  EXPECT_EQ(by_address("192.0.2.7", "192.0.2.2"), Ids{});
}

TEST_F(ConnectionTableTest, OfOurAddressesThoseThatFitAndThoseThatNameNoneByIdTogether) {
  const auto at = [](model::ConnectionConfig config, const char* local) {
    config.local_address = ip(local);
    return config;
  };
  table.put(at(connection(5, "192.0.2.7", "hub.example"), "192.0.2.1"));
  table.put(connection(4, "192.0.2.7", "hub.example"));
  table.put(at(connection(3, "192.0.2.7", "hub.example"), "192.0.2.2"));
  table.put(at(connection(2, "192.0.2.7", "hub.example"), "192.0.2.1"));
  table.put(at(connection(8, nullptr, "hub.example"), "192.0.2.2"));
  table.put(connection(7, nullptr, "hub.example"));
  table.put(at(connection(6, nullptr, nullptr), "192.0.2.1"));
  for (const bool named : {false, true}) {
    const auto found = [&](const char* local) {
      return named ? by_identity("192.0.2.7", "hub.example", local) : by_address("192.0.2.7", local);
    };
    EXPECT_EQ(found("192.0.2.1"), named ? (Ids{2, 4, 5, 7}) : (Ids{2, 4, 5, 6, 7}));
    EXPECT_EQ(found("192.0.2.2"), (Ids{3, 4, 7, 8}));
    EXPECT_EQ(found("192.0.2.3"), (Ids{4, 7}));
  }
  table.put(connection(2, "192.0.2.7", "hub.example"));
  EXPECT_EQ(by_address("192.0.2.7", "192.0.2.3"), (Ids{2, 4, 7})) << "it names no address of ours any more";
  for (std::uint32_t id = 2; id < 9; ++id) table.remove(model::ConnectionId(id));
  EXPECT_EQ(by_address("192.0.2.7"), Ids{});
  EXPECT_EQ(by_identity("192.0.2.7", "hub.example", "192.0.2.2"), Ids{});
}

TEST_F(ConnectionTableTest, AReplacedOneIsFoundByTheNewWordsOnly) {
  table.put(connection(1, "192.0.2.7", "seven.example"));
  table.put(connection(1, nullptr, "eight.example"));
  EXPECT_EQ(by_address("192.0.2.7"), (Ids{1}));
  EXPECT_EQ(by_identity("192.0.2.7", "seven.example"), Ids{});
  EXPECT_EQ(by_identity("192.0.2.7", "eight.example"), (Ids{1}));
  table.put(connection(1, "192.0.2.8", nullptr));
  EXPECT_EQ(by_address("192.0.2.7"), Ids{});
  EXPECT_EQ(by_identity("192.0.2.7", "eight.example"), Ids{});
  table.remove(model::ConnectionId(1));
  table.remove(model::ConnectionId(1));
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(by_address("192.0.2.8"), Ids{});
}

TEST_F(ConnectionTableTest, WhatIsRemovedIsForgottenAltogether) {
  const auto shared = [](std::uint32_t id) {
    model::ConnectionConfig config = connection(id, "192.0.2.7", "seven.example");
    config.name = "site" + std::to_string(id);
    config.share_ike_sa = true;
    config.credential_group = 3;
    return config;
  };
  const auto sharing = [&](const model::ConnectionConfig& config) {
    Ids ids;
    table.find_sharing(config, [&](const model::ConnectionConfig& one) {
      ids.push_back(one.id.value());
      return false;
    });
    return ids;
  };
  table.put(shared(1));
  table.put(shared(2));
  model::ConnectionConfig by_certificate = shared(3);
  by_certificate.authentication = model::Authentication::certificate;
  table.put(by_certificate);
  ASSERT_EQ(sharing(shared(9)), (Ids{1, 2, 3}));
  ASSERT_TRUE(table.uses_certificates());
  ASSERT_NE(table.find("site3"), nullptr);
  table.remove(model::ConnectionId(3));
  EXPECT_EQ(sharing(shared(9)), (Ids{1, 2}));
  EXPECT_FALSE(table.uses_certificates());
  EXPECT_EQ(table.find("site3"), nullptr);
  table.remove(model::ConnectionId(1));
  table.remove(model::ConnectionId(2));
  EXPECT_EQ(sharing(shared(9)), Ids{});
}

// One datagram of a stranger must not make us look at as many connections as there are.
TEST_F(ConnectionTableTest, OfAThousandThatAnIkeSaInitCannotTellApartOneIsVisited) {
  const auto other = [](model::ConnectionConfig config) {
    config.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, "aes256-sha256-x25519")};
    return config;
  };
  for (std::uint32_t id = 1000; id < 2000; ++id) {
    const std::string name = "site" + std::to_string(id) + ".example";
    table.put(id % 2 == 0 ? connection(id, "192.0.2.7", name.c_str()) : other(connection(id, nullptr, name.c_str())));
  }
  EXPECT_EQ(kinds("192.0.2.7"), (Ids{1000, 1001}));
  EXPECT_EQ(kinds("192.0.2.8"), (Ids{1001}));
  table.put(other(connection(500, "192.0.2.7", nullptr)));
  EXPECT_EQ(kinds("192.0.2.7"), (Ids{500, 1000, 1001})) << "who names the address first, each by id";
  EXPECT_EQ(table.find_kind(path("192.0.2.7", "192.0.2.1"), [](const auto&) { return true; })->id.value(), 500U);
  table.remove(model::ConnectionId(1000));
  table.put(connection(500, "192.0.2.7", nullptr));
  EXPECT_EQ(kinds("192.0.2.7"), (Ids{500, 1001})) << "it is of another kind now";
  model::ConnectionConfig ours = connection(400, "192.0.2.7", nullptr);
  ours.local_address = ip("192.0.2.1");
  table.put(std::move(ours));
  EXPECT_EQ(kinds("192.0.2.7"), (Ids{400, 500, 1001}));
  EXPECT_EQ(kinds("192.0.2.7", "192.0.2.2"), (Ids{500, 1001}));
}

TEST_F(ConnectionTableTest, FragmentationAndPpkMakeKinds) {
  table.put(connection(1, "192.0.2.7", nullptr));
  model::ConnectionConfig config = connection(2, "192.0.2.7", nullptr);
  config.ike_fragmentation = model::IkeFragmentation::required;
  table.put(config);
  config = connection(3, "192.0.2.7", nullptr);
  config.ppk = model::Ppk{.id = "three"};
  table.put(config);
  config.id = model::ConnectionId(4);
  config.ppk->id = "four";
  table.put(config);
  config.id = model::ConnectionId(5);
  config.ppk->required = false;
  table.put(config);
  config.id = model::ConnectionId(6);
  config.ppk->exchange = model::PpkExchange::ike_auth;
  table.put(config);
  EXPECT_EQ(kinds("192.0.2.7"), (Ids{1, 2, 3, 5, 6}));
  for (std::uint32_t id = 1; id < 7; ++id) table.remove(model::ConnectionId(id));
  EXPECT_EQ(kinds("192.0.2.7"), Ids{});
}

}  // namespace
}  // namespace culvert::ike::v2
