// Which address families a gateway has (RFC 8983), and an address that goes on through a new proof (RFC 4478).
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/codec/configuration.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/testing/remote_access.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using model::NotifyType;
using net::Family;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

// RFC 8983 5, table 1: what is returned depends on what the responder has, not on what was asked for.
TEST(AddressFamilies, TheTableOfTheRfc) {
  const auto asked = [](std::initializer_list<Family> families) {
    std::vector<model::AddressWish> wishes;
    for (const Family family : families) wishes.push_back({family, std::nullopt});
    codec::Message request;
    request.add(codec::make_request(wishes));
    return request;
  };
  for (const bool v4 : {true, false}) {
    for (const bool v6 : {true, false}) {
      auto config = remote_gateway();
      config.remote.clear();
      if (v4) config.remote.push_back(model::TrafficSelector::of(*net::Prefix::parse("10.9.0.0/24")));
      if (v6) config.remote.push_back(model::TrafficSelector::of(*net::Prefix::parse("2001:db8:9::/64")));
      for (const auto& request : {asked({Family::v4}), asked({Family::v6}), asked({Family::v4, Family::v6})}) {
        codec::Message answer;
        add_allowed_families(answer, config, request);
        EXPECT_EQ(answer.notify(NotifyType::ip4_allowed) != nullptr, v4);
        EXPECT_EQ(answer.notify(NotifyType::ip6_allowed) != nullptr, v6);
      }
      codec::Message answer;
      add_allowed_families(answer, config, codec::Message{});
      EXPECT_TRUE(answer.payloads.empty()) << "nothing was asked";
    }
  }
  codec::Message answer;
  add_allowed_families(answer, config_of(false), asked({Family::v4}));
  EXPECT_TRUE(answer.payloads.empty()) << "there is no pool";
}

TEST(AddressFamilies, AClientThatAsksForTheOtherOneHearsWhy) {
  Pair pair;
  pair.b.addresses = [](const AddressRequest&) { return AddressResult{err(std::string("no pool has IPv4"))}; };
  auto gateway = remote_gateway();
  gateway.remote = subnet("2001:db8:9::/64");
  configure(pair, remote_client(), gateway);
  initiate(pair);
  pair.settle();
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_EQ(pair.a.failures[0].kind, FailureKind::no_address);
  EXPECT_THAT(pair.a.failures[0].detail, HasSubstr("it has addresses of IPv6 only"));
}

// The client asks for the address that it has, and the IKE SA that has it is named: it may be taken over.
TEST(Reauthentication, KeepsTheAddress) {
  Pair pair;
  pair.b.addresses = [](const AddressRequest&) {
    model::Configuration given;
    given.addresses.push_back(ip("10.9.0.7"));
    return AddressResult{given};
  };
  auto gateway = remote_gateway();
  gateway.life.reauthentication = minutes(10);
  gateway.sessions = 1;
  gateway.refuse_more_sessions = true;
  configure(pair, remote_client(), gateway);
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  const model::IkeSaId old = pair.b.ike_sa().ike_sa;
  const model::IkeSpi spi = pair.b.ike_sa().spi_i;
  pair.advance(minutes(11));
  ASSERT_TRUE(in_step(pair)) << (pair.b.failures.empty() ? "" : pair.b.failures[0].detail);
  EXPECT_NE(pair.b.ike_sa().spi_i, spi);
  ASSERT_EQ(pair.b.address_requests.size(), 2u);
  const AddressRequest& asked = pair.b.address_requests.back();
  EXPECT_EQ(asked.wishes.front().address, ip("10.9.0.7"));
  EXPECT_EQ(asked.ending, std::vector{old});
  EXPECT_TRUE(pair.b.failures.empty()) << "the one session that is allowed is the one that ends";
}

// Another device of the same user has no claim to it.
TEST(Reauthentication, AnotherHostDoesNotTakeTheAddress) {
  Pair pair;
  pair.b.addresses = [](const AddressRequest& asked) {
    model::Configuration given;
    given.addresses.push_back(ip(asked.ending.empty() ? "10.9.0.8" : "10.9.0.7"));
    return AddressResult{given};
  };
  configure(pair, remote_client(), remote_gateway());
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  // Its next IKE SA comes from elsewhere.
  pair.translation = [](const Datagram& datagram) {
    net::Path path{datagram.path.remote, datagram.path.local};
    if (datagram.from_a) path.remote.address = ip("198.51.100.7");
    return path;
  };
  pair.command(pair.a, Reauthenticate{pair.a.ike_sas.begin()->first});
  pair.settle();
  ASSERT_EQ(pair.b.address_requests.size(), 2u);
  EXPECT_TRUE(pair.b.address_requests.back().ending.empty());
}

}  // namespace
}  // namespace culvert::ike::v2
