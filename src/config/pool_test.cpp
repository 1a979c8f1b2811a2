// [pool.NAME], tunnels with a pool, tunnels that ask for an address, patterns of identities.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/diff.hpp"

namespace culvert::config {
namespace {

using ::testing::HasSubstr;
using testing::load_text;
using testing::problems_of;

std::string pool(std::string_view extra = {}, std::string_view name = "staff",
                 std::string_view addresses = R"(["10.9.0.0/24", "fd00:9::/64", "10.8.0.10-10.8.0.12"])") {
  return "[pool." + std::string(name) + "]\naddresses = " + std::string(addresses) + "\n" + std::string(extra) + "\n";
}

std::string tunnel(std::string_view extra = {}, std::string_view name = "road") {
  return "[tunnel." + std::string(name) +
         "]\npeer = \"any\"\nremote_id = \"*@example.org\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
         "local = [\"10.1.0.0/16\"]\npool = [\"staff\"]\n" +
         std::string(extra) + "\n";
}

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

TEST(Pool, IsReadWhole) {
  const auto config =
      load_text(tunnel("sessions = 2\nmore_sessions = \"refuse\"") +
                pool("dns = [\"10.1.0.53\", \"fd00:1::53\"]\ndomains = [\"example.org\"]\n"
                     "dns_over_tls = [\"10.1.0.53#dns.example.org\", \"[fd00:1::53]:8853#dns.example.org\"]\n"
                     "subnets = [\"10.1.0.0/16\"]\nfixed = { \"amy@example.org\" = \"10.9.0.7\" }"));
  ASSERT_TRUE(config) << testing::lines(config.error());
  ASSERT_EQ(config->pools.size(), 1U);
  const PoolConfig& read = config->pools.front();
  // The ends of a prefix are no host's; those of a range are.
  ASSERT_EQ(read.ranges.size(), 3U);
  EXPECT_EQ(read.ranges[0].to_string(), "10.9.0.1-10.9.0.254");
  EXPECT_EQ(read.ranges[1].first, ip("fd00:9::1"));
  EXPECT_EQ(read.ranges[1].last, ip("fd00:9::ffff:ffff:ffff:ffff"));
  EXPECT_EQ(read.ranges[2].to_string(), "10.8.0.10-10.8.0.12");
  EXPECT_EQ(read.dns_servers, (std::vector{ip("10.1.0.53"), ip("fd00:1::53")}));
  ASSERT_EQ(read.encrypted_dns.size(), 2U);
  EXPECT_EQ(read.encrypted_dns[0].addresses, std::vector{ip("10.1.0.53")});
  EXPECT_EQ(read.encrypted_dns[0].name, "dns.example.org");
  EXPECT_FALSE(read.encrypted_dns[0].port);
  EXPECT_EQ(read.encrypted_dns[1].addresses, std::vector{ip("fd00:1::53")});
  EXPECT_EQ(read.encrypted_dns[1].port, 8853);
  EXPECT_EQ(read.encrypted_dns[1].protocols, std::vector<std::string>{"dot"});
  EXPECT_EQ(read.domains, std::vector<std::string>{"example.org"});
  EXPECT_EQ(read.fixed.at(model::Identity::parse("amy@example.org")), std::vector{ip("10.9.0.7")});
  const model::ConnectionConfig& connection = config->tunnels.front().connection;
  EXPECT_EQ(connection.pools, std::vector<std::string>{"staff"});
  EXPECT_EQ(connection.remote.size(), 3U);
  EXPECT_EQ(connection.sessions, 2U);
  EXPECT_TRUE(connection.refuse_more_sessions);
  ASSERT_TRUE(connection.remote_pattern);
  EXPECT_TRUE(connection.remote_pattern->matches(model::Identity::parse("amy@example.org")));
}

TEST(Pool, PatternsOfIdentities) {
  const auto matches = [](std::string_view pattern, std::string_view who) {
    return model::IdentityPattern::parse(pattern)->matches(model::Identity::parse(who));
  };
  EXPECT_TRUE(matches("*@example.org", "amy@example.org"));
  EXPECT_FALSE(matches("*@example.org", "@example.org"));
  EXPECT_FALSE(matches("*@example.org", "amy@sub.example.org"));
  EXPECT_FALSE(matches("*@example.org", "amy@badexample.org"));
  EXPECT_TRUE(matches("*.example.org", "pc1.example.org"));
  EXPECT_FALSE(matches("*.example.org", "example.org"));
  EXPECT_FALSE(matches("*.example.org", "keyid:pc1.example.org"));  // octets alone do not make it a name
  EXPECT_TRUE(matches("*", "192.0.2.1"));
  for (const std::string_view none : {"", "amy@example.org", "*amy@example.org", "**", "*@a@b", "*.", "*x"})
    EXPECT_FALSE(model::IdentityPattern::parse(none)) << none;
}

TEST(Pool, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> wrong[] = {
      {tunnel(), "there is no pool \"staff\""},
      {tunnel() + pool("", "staff", "[]"), "the list is empty"},
      {tunnel() + pool("", "staff", "[\"10.9.0.0/33\"]"), "no range of addresses"},
      {tunnel() + pool("", "staff", "[\"224.0.0.0/24\"]"), "no range of addresses"},
      {tunnel() + pool("", "staff", "[\"10.9.0.0/24\", \"10.9.0.9\"]"),
       "overlaps 10.9.0.1-10.9.0.254 of the same pool"},
      {tunnel() + pool() + pool("", "other", "[\"10.9.0.200\"]"), "of pool staff"},
      {tunnel() + pool() + "[pool.'a b']\naddresses = \"10.7.0.1\"\n", "cannot name a pool"},
      {tunnel() + pool("dns = [\"dns.example\"]"), "is not an address"},
      {tunnel() + pool("dns = [\"10.1.0.53\"]\ndomains = [\"a b\"]"), "is not a domain name"},
      {tunnel() + pool("dns_over_tls = [\"10.1.0.53\"]"), "no server with the name in its certificate"},
      {tunnel() + pool("dns_over_tls = [\"10.1.0.53:0#a.example\"]"), "no server with the name in its certificate"},
      {tunnel() + pool("dns_over_tls = [\"10.1.0.53#a b\"]"), "no server with the name in its certificate"},
      {tunnel() + pool("domains = [\"example.org\"]"), "there is no server"},
      {tunnel() + pool("subnets = [\"10.1.0.1/16\"]"), "is not a prefix"},
      {tunnel() + pool("fixed = { \"amy@example.org\" = \"10.7.0.1\" }"), "is not of this pool"},
      {tunnel() + pool("fixed = { \"a@x\" = \"10.9.0.7\", \"b@x\" = \"10.9.0.7\" }"), "is kept for another"},
      {tunnel() + pool("fixed = { \"*@x\" = \"10.9.0.7\" }"), "this is no identity"},
      {tunnel("remote = [\"10.2.0.0/16\"]") + pool(), "the pool says what the peer's addresses are"},
      {tunnel("more_sessions = \"refuse\"") + pool(), "there is no bound"},
      {tunnel() + tunnel("", "road2") + pool(), "a packet can take one tunnel only"},
      {testing::tunnel("remote_id = \"*@example.org\"\n"), "one identity is all that it can have"},
      {"[tunnel.a]\npeer = \"any\"\nremote_id = \"*@example.org\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
       "local = \"10.1.0.0/16\"\nremote = \"10.2.0.0/16\"\n",
       "several peers need an address each"},
      {"[tunnel.a]\npeer = \"192.0.2.1\"\nsecret = \"0123456789abcdef0123456789abcdef\"\nlocal = \"10.1.0.0/16\"\n"
       "pool = \"staff\"\n" +
           pool(),
       "a pool is for those that call"},
  };
  for (const auto& [text, expected] : wrong) EXPECT_THAT(problems_of(text), HasSubstr(expected)) << text;
}

TEST(Pool, AClientAsksForTheFamiliesOfWhatItWantsToReach) {
  const auto client = [](std::string_view remote, std::string_view extra = {}) {
    return "[tunnel.home]\npeer = \"192.0.2.1\"\nsecret = \"0123456789abcdef0123456789abcdef\"\naddress = \"request\"\n"
           "remote = " +
           std::string(remote) + "\n" + std::string(extra);
  };
  const auto config = load_text(client(R"(["10.1.0.0/16"])"));
  ASSERT_TRUE(config) << testing::lines(config.error());
  const model::ConnectionConfig& connection = config->tunnels.front().connection;
  EXPECT_EQ(connection.request_addresses, std::vector{net::Family::v4});
  EXPECT_TRUE(connection.addresses.empty());
  ASSERT_EQ(connection.local.size(), 1U);
  EXPECT_EQ(connection.local.front().addresses, net::AddressRange::all(net::Family::v4));
  const auto both = load_text(client(R"(["0.0.0.0/0", "::/0"])"));
  ASSERT_TRUE(both) << testing::lines(both.error());
  EXPECT_EQ(both->tunnels.front().connection.request_addresses, (std::vector{net::Family::v4, net::Family::v6}));
  EXPECT_THAT(problems_of(client(R"(["10.1.0.0/16"])", "local = \"10.9.0.0/16\"\n")), HasSubstr("take local out"));
  EXPECT_FALSE(config->tunnels.front().only_peer_subnets);
  const auto only = load_text(client(R"(["0.0.0.0/0"])", "only_peer_subnets = true\n"));
  ASSERT_TRUE(only) << testing::lines(only.error());
  EXPECT_TRUE(only->tunnels.front().only_peer_subnets);
  const Diff difference = diff(*load_text(client(R"(["0.0.0.0/0"])")), *only);
  ASSERT_EQ(difference.changed.size(), 1U);
  EXPECT_FALSE(difference.changed[0].restarts);
  EXPECT_THAT(problems_of(tunnel("only_peer_subnets = true\n")),
              HasSubstr("only_peer_subnets: the peer names its subnets along with the address that it gives"));
}

TEST(Pool, ADifferenceIsSeen) {
  const auto before = load_text(tunnel() + pool());
  const auto dns = load_text(tunnel() + pool("dns = [\"10.1.0.53\"]"));
  const auto ranges = load_text(tunnel() + pool("", "staff", "[\"10.9.0.0/25\"]"));
  ASSERT_TRUE(before && dns && ranges);
  const Diff soft = diff(*before, *dns);
  EXPECT_TRUE(soft.pools_changed);
  EXPECT_TRUE(soft.changed.empty());
  EXPECT_FALSE(soft.empty());
  const Diff hard = diff(*before, *ranges);
  ASSERT_EQ(hard.changed.size(), 1U);
  EXPECT_TRUE(hard.changed.front().restarts);
  EXPECT_TRUE(diff(*before, *before).empty());
}

}  // namespace
}  // namespace culvert::config
