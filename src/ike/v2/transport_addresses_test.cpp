// Transport mode with a NAT between (RFC 7296 2.23.1): each end has the selectors in its own words.
#include "ike/v2/transport_addresses.hpp"

#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::Mode;

const net::IpAddress kOutside = *net::IpAddress::parse("203.0.113.9");  // of the NAT in front of a
const net::IpAddress kPublic = *net::IpAddress::parse("198.51.100.7");  // by which a knows b

model::TrafficSelectors one(const net::IpAddress& address, std::string_view rest = "") {
  return {*model::TrafficSelector::parse(address.to_string() + std::string(rest))};
}

// a is behind a NAT; with the parameter b is, too, and a knows it by kPublic.
class TransportAddresses : public ::testing::TestWithParam<bool> {
 protected:
  TransportAddresses() {
    a.mode = b.mode = Mode::transport;
    a.peer = at_b();
    a.local = one(address_of(true), "[udp/1701]");
    a.remote = one(at_b(), "[udp/1701]");
    b.peer.reset();
    b.local = one(address_of(false), "[udp/1701]");
    b.remote = {*model::TrafficSelector::parse("0.0.0.0/0[udp]")};
    pair.translation = [this](const Datagram& d) {
      if (d.from_a) return net::Path{{address_of(false), d.path.remote.port}, {kOutside, 10001}};
      return net::Path{{address_of(true), d.path.local.port}, {at_b(), d.path.local.port}};
    };
  }
  [[nodiscard]] net::IpAddress at_b() const { return GetParam() ? kPublic : address_of(false); }

  void expect_seen() {
    ASSERT_EQ(pair.a.children.size(), 1u);
    ASSERT_EQ(pair.b.children.size(), 1u);
    const model::ChildSaParams& mine = pair.a.child();
    const model::ChildSaParams& theirs = pair.b.child();
    EXPECT_EQ(mine.mode, Mode::transport);
    EXPECT_EQ(theirs.mode, Mode::transport);
    EXPECT_EQ(mine.local, one(address_of(true), "[udp/1701]"));
    EXPECT_EQ(mine.remote, one(at_b(), "[udp/1701]"));
    EXPECT_EQ(theirs.local, one(address_of(false), "[udp/1701]"));
    EXPECT_EQ(theirs.remote, one(kOutside, "[udp/1701]"));
    // What the other end's checksums are made with.
    EXPECT_EQ(mine.original_local, kOutside);
    EXPECT_EQ(theirs.original_remote, address_of(true));
    const auto behind = [](const net::IpAddress& address) {
      return GetParam() ? std::optional(address) : std::optional<net::IpAddress>();
    };
    EXPECT_EQ(mine.original_remote, behind(address_of(false)));
    EXPECT_EQ(theirs.original_local, behind(kPublic));
  }

  Pair pair;
  model::ConnectionConfig a = config_of(true);
  model::ConnectionConfig b = config_of(false);
};
INSTANTIATE_TEST_SUITE_P(OneOrTwoNats, TransportAddresses, ::testing::Bool());

TEST_P(TransportAddresses, EachEndHasItsOwnWords) {
  configure(pair, a, b);
  pair.command(pair.a, Initiate{.connection = kConnection, .path = {{address_of(true), 500}, {at_b(), 500}}});
  pair.settle();
  expect_seen();
  // RFC 7296 2.23.1: one address at each end.
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
}

TEST_P(TransportAddresses, RekeysFromEitherSideToo) {
  configure(pair, a, b);
  pair.command(pair.a, Initiate{.connection = kConnection, .path = {{address_of(true), 500}, {at_b(), 500}}});
  pair.settle();
  for (const bool first : {true, false}) {
    Host& host = pair.host(first);
    const auto before = host.child().id;
    pair.command(host, RekeyChildSa{before});
    pair.settle();
    EXPECT_NE(host.child().id, before);
    expect_seen();
  }
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
}

// A configuration for whatever address this end or the peer has.
TEST_P(TransportAddresses, ARangeIsOfferedAsTheAddressInUse) {
  a.local = {*model::TrafficSelector::parse("0.0.0.0/0[udp/1701]")};
  a.remote = {*model::TrafficSelector::parse("0.0.0.0/0[udp/1701]")};
  b.local = {*model::TrafficSelector::parse("0.0.0.0/0[udp]")};
  configure(pair, a, b);
  pair.command(pair.a, Initiate{.connection = kConnection, .path = {{address_of(true), 500}, {at_b(), 500}}});
  pair.settle();
  expect_seen();
}

// A peer's address is not another's: who is not behind a NAT is taken at its word.
TEST(SeenAddresses, OnlyWhereANatIs) {
  IkeSa sa;
  sa.path = {{address_of(false), 4500}, {kOutside, 10001}};
  const SelectorPair heard{one(kPublic), one(address_of(true))};
  EXPECT_EQ(as_seen(heard, seen_addresses(sa)).remote, one(address_of(true)));
  sa.remote_behind_nat = true;
  EXPECT_EQ(as_seen(heard, seen_addresses(sa)).remote, one(kOutside));
  EXPECT_EQ(as_seen(heard, seen_addresses(sa)).local, one(kPublic));
  // RFC 7296 2.23.1: a range is no host's address.
  const model::TrafficSelectors range = subnet("10.0.0.0/24");
  EXPECT_EQ(as_seen({range, range}, seen_addresses(sa)).remote, range);
  EXPECT_EQ(original_address(one(address_of(true)), kOutside), address_of(true));
  EXPECT_FALSE(original_address(one(kOutside), kOutside));
  EXPECT_FALSE(original_address(range, kOutside));
  EXPECT_FALSE(original_address({}, kOutside));
}

}  // namespace
}  // namespace culvert::ike::v2
