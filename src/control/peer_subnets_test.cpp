// RFC 7296 3.15.2: which part of a wide `remote` goes to the peer that has named subnets.
#include "control/peer_subnets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::control {
namespace {

using ::testing::UnorderedElementsAre;

net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }
model::TrafficSelectors selectors(std::initializer_list<std::string_view> all) {
  model::TrafficSelectors made;
  for (const std::string_view text : all) made.push_back(*model::TrafficSelector::parse(text));
  return made;
}
std::vector<std::string> left(const model::TrafficSelectors& remote, const model::Configuration& given) {
  std::vector<std::string> texts;
  for (const model::TrafficSelector& one : only_peer_subnets(remote, given)) texts.push_back(one.to_string());
  return texts;
}

TEST(PeerSubnets, OfEverythingWhatThePeerNames) {
  model::Configuration given;
  given.subnets = {prefix("10.1.0.0/16"), prefix("192.0.2.0/24"), prefix("fd00:1::/64")};
  EXPECT_THAT(left(selectors({"0.0.0.0/0"}), given), UnorderedElementsAre("10.1.0.0/16", "192.0.2.0/24"));
  EXPECT_THAT(left(selectors({"0.0.0.0/0", "::/0"}), given),
              UnorderedElementsAre("10.1.0.0/16", "192.0.2.0/24", "fd00:1::/64"));
  // Never more than the configuration has.
  EXPECT_THAT(left(selectors({"10.0.0.0/8"}), given), UnorderedElementsAre("10.1.0.0/16"));
  EXPECT_THAT(left(selectors({"10.1.7.0/24[tcp/443]"}), given), UnorderedElementsAre("10.1.7.0/24[tcp/443]"));
}

TEST(PeerSubnets, ItsNameServersAreAskedThroughTheTunnel) {
  model::Configuration given;
  given.subnets = {prefix("10.1.0.0/16")};
  given.dns_servers = {*net::IpAddress::parse("10.1.0.53"), *net::IpAddress::parse("10.9.9.9")};
  given.encrypted_dns.resize(1);
  given.encrypted_dns[0].addresses = {*net::IpAddress::parse("198.51.100.5")};
  EXPECT_THAT(left(selectors({"0.0.0.0/0"}), given), UnorderedElementsAre("10.1.0.0/16", "10.9.9.9", "198.51.100.5"));
}

// Who says nothing of use gets everything, not nothing: no packet leaves in clear for want of a list.
TEST(PeerSubnets, WithoutAnyItIsAllOfIt) {
  model::Configuration given;
  given.dns_servers = {*net::IpAddress::parse("10.1.0.53")};
  EXPECT_THAT(left(selectors({"0.0.0.0/0"}), given), UnorderedElementsAre("0.0.0.0/0"));
  given.subnets = {prefix("172.16.0.0/12")};
  EXPECT_THAT(left(selectors({"10.0.0.0/8"}), given), UnorderedElementsAre("10.0.0.0/8"));
}

}  // namespace
}  // namespace culvert::control
