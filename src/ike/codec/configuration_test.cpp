#include "ike/codec/configuration.hpp"

#include <set>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/serialize.hpp"

namespace culvert::ike::codec {
namespace {

using model::AddressWish;
using model::ConfigurationAttributeType;
using model::ConfigurationType;
using net::Family;
using net::IpAddress;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }

ConfigurationPayload reply_with(ConfigurationAttributeType type, std::string_view hex) {
  return {ConfigurationType::reply, {{static_cast<std::uint16_t>(type), *from_hex(hex)}}};
}

ConfigurationPayload through_the_wire(const ConfigurationPayload& payload) {
  const auto parsed = parse_payloads(model::PayloadType::configuration, serialize_payloads({payload}));
  EXPECT_TRUE(parsed);
  return std::get<ConfigurationPayload>(parsed->at(0));
}

// RFC 7296 3.15.1: the address asked for is a suggestion.
TEST(Configuration, ARequestSurvivesTheWire) {
  const std::vector<AddressWish> wishes = {
      {Family::v4, std::nullopt}, {Family::v4, ip("10.9.0.7")}, {Family::v6, ip("fd00:9::7")}};
  const ConfigurationRequest read = read_request(through_the_wire(make_request(wishes)));
  EXPECT_EQ(read.addresses, wishes);
  EXPECT_TRUE(read.domains);
  EXPECT_FALSE(read.version);
  EXPECT_FALSE(read.netmask);
  EXPECT_EQ(read.ignored, 0U);
  EXPECT_TRUE(read.encrypted_dns[0] && read.encrypted_dns[1]);
}

TEST(Configuration, AReplySurvivesTheWire) {
  model::Configuration given;
  given.addresses = {ip("10.9.0.7"), ip("fd00:9::7")};
  given.dns_servers = {ip("10.1.0.53"), ip("fd00:1::53")};
  given.domains = {"example.org", "corp.example.net"};
  given.subnets = {prefix("10.1.0.0/16"), prefix("192.0.2.64/26"), prefix("0.0.0.0/0"), prefix("fd00:1::/48")};
  ConfigurationRequest request;
  request.domains = true;
  const ConfigurationReply read = read_reply(through_the_wire(make_reply(given, request)));
  EXPECT_EQ(read.configuration, given);
  EXPECT_EQ(read.ignored, 0U);
}

// RFC 8598 2: INTERNAL_DNS_DOMAIN only for who asked for it.
TEST(Configuration, DomainsAreForThoseWhoKnowThem) {
  model::Configuration given;
  given.dns_servers = {ip("10.1.0.53")};
  given.domains = {"example.org"};
  EXPECT_TRUE(read_reply(make_reply(given, {})).configuration.domains.empty());
}

// RFC 7296 2.20, 3.15.1: version and supported attributes are answered when asked for, and only then.
TEST(Configuration, AnswersWhatIsAskedBesideTheAddress) {
  const auto count = [](const ConfigurationPayload& payload, ConfigurationAttributeType type) {
    std::size_t found = 0;
    for (const auto& one : payload.attributes) found += one.type == static_cast<std::uint16_t>(type) ? 1U : 0U;
    return found;
  };
  model::Configuration given;
  given.addresses = {ip("10.9.0.7")};
  ConfigurationRequest request;
  ConfigurationPayload reply = make_reply(given, request);
  EXPECT_EQ(reply.attributes.size(), 1U);
  request.version = request.supported = request.netmask = true;
  reply = make_reply(given, request);
  EXPECT_EQ(count(reply, ConfigurationAttributeType::application_version), 1U);
  EXPECT_EQ(count(reply, ConfigurationAttributeType::internal_ip4_netmask), 1U);
  ASSERT_EQ(count(reply, ConfigurationAttributeType::supported_attributes), 1U);
  // All that we ask for ourselves is among them, and what only answers are about.
  std::set<std::uint16_t> supported;
  ByteReader types(reply.attributes.back().value);
  while (types.ok() && !types.at_end()) supported.insert(types.u16());
  EXPECT_TRUE(types.ok());
  const auto asked = make_request({{net::Family::v4, std::nullopt}, {net::Family::v6, std::nullopt}});
  for (const auto& one : asked.attributes) EXPECT_TRUE(supported.contains(one.type)) << one.type;
  for (const auto type :
       {ConfigurationAttributeType::internal_ip4_netmask, ConfigurationAttributeType::application_version,
        ConfigurationAttributeType::supported_attributes})
    EXPECT_TRUE(supported.contains(static_cast<std::uint16_t>(type))) << name_of(type);
  EXPECT_EQ(supported.size(), asked.attributes.size() + 3);
}

TEST(Configuration, WrongLengthsAndValuesAreIgnored) {
  using enum ConfigurationAttributeType;
  const std::pair<ConfigurationAttributeType, std::string_view> useless[] = {
      {internal_ip4_address, "0a0900"},                             // too short
      {internal_ip4_address, "0a09000701"},                         // too long
      {internal_ip4_address, "00000000"},                           // no host's
      {internal_ip4_address, "e0000001"},                           // multicast
      {internal_ip4_dns, "7f000001"},                               // loopback
      {internal_ip6_address, "fd00"},                               //
      {internal_ip4_subnet, "0a010000ff00ff00"},                    // a mask with a hole
      {internal_ip4_subnet, "0a010000"},                            //
      {internal_ip6_subnet, "fd00000000000000000000000000000081"},  // 16 octets
      {internal_ip6_subnet, "fd0000000000000000000000000000000081"},
      {internal_dns_domain, "2d78"},        // "-x": would be an option
      {internal_dns_domain, "657861206d"},  // a blank
      {internal_dns_domain, "6578610a6d"},  // a line end
      {internal_dns_domain, "652e2e6d"},    // "e..m"
      {internal_ip4_netmask, "ffffffff"},   // means nothing to us
      {static_cast<ConfigurationAttributeType>(0x7000), "01"},
  };
  for (const auto& [type, hex] : useless) {
    const ConfigurationReply read = read_reply(reply_with(type, hex));
    EXPECT_EQ(read.configuration, model::Configuration()) << name_of(type) << " " << hex;
    EXPECT_EQ(read.ignored, 1U) << name_of(type) << " " << hex;
  }
}

// RFC 9464 3.1.
TEST(Configuration, EncryptedDns) {
  using enum ConfigurationAttributeType;
  // Priority 1, two addresses, "dns.example", ALPN "dot" and "h2", port 8853.
  const std::string whole =
      "0001"
      "02"
      "0b"
      "0a010035"
      "0a010036"
      "646e732e6578616d706c65"
      "0001"
      "0007"
      "03646f74"
      "026832"
      "0003"
      "0002"
      "2295";
  const auto read = read_reply(reply_with(encdns_ip4, whole));
  ASSERT_EQ(read.configuration.encrypted_dns.size(), 1U);
  const model::EncryptedDns& resolver = read.configuration.encrypted_dns.front();
  EXPECT_EQ(resolver.addresses, (std::vector{ip("10.1.0.53"), ip("10.1.0.54")}));
  EXPECT_EQ(resolver.name, "dns.example");
  EXPECT_EQ(resolver.protocols, (std::vector<std::string>{"dot", "h2"}));
  EXPECT_EQ(resolver.port, 8853);
  // Said again it is the same, octet by octet, and only to who asks for that family.
  ConfigurationRequest asks;
  EXPECT_TRUE(make_reply(read.configuration, asks).attributes.empty());
  asks.encrypted_dns[1] = true;
  EXPECT_TRUE(make_reply(read.configuration, asks).attributes.empty());
  asks.encrypted_dns[0] = true;
  EXPECT_EQ(make_reply(read.configuration, asks), reply_with(encdns_ip4, whole));
  // The other family has longer addresses, and is given to who asks for that one.
  const std::string sixth =
      "0001"
      "01"
      "0b"
      "fd000001000000000000000000000053"
      "646e732e6578616d706c65"
      "0001"
      "0004"
      "03646f74";
  const auto read6 = read_reply(reply_with(encdns_ip6, sixth));
  ASSERT_EQ(read6.configuration.encrypted_dns.size(), 1U);
  EXPECT_EQ(read6.configuration.encrypted_dns.front().addresses, std::vector{ip("fd00:1::53")});
  asks = {};
  asks.encrypted_dns[0] = true;
  EXPECT_TRUE(make_reply(read6.configuration, asks).attributes.empty());
  asks.encrypted_dns[1] = true;
  EXPECT_EQ(make_reply(read6.configuration, asks), reply_with(encdns_ip6, sixth));
  // Cut anywhere in front of the parameters, or within one, it says nothing.
  for (std::size_t octets = 1; octets < whole.size() / 2; ++octets) {
    const auto cut = read_reply(reply_with(encdns_ip4, whole.substr(0, 2 * octets)));
    const bool complete_so_far = octets == 23 || octets == 34;  // behind the name; behind ALPN
    EXPECT_EQ(cut.configuration.encrypted_dns.size(), complete_so_far ? 1U : 0U) << octets;
  }
  EXPECT_EQ(read_reply(reply_with(encdns_ip4, "000001000a010035")).ignored, 1U);                      // priority 0
  EXPECT_EQ(read_reply(reply_with(encdns_ip4, "000101000a01003500030001220003000122")).ignored, 1U);  // a short port
}

TEST(Configuration, ListsAreBounded) {
  ConfigurationPayload many{ConfigurationType::reply, {}};
  ConfigurationPayload asked{ConfigurationType::request, {}};
  for (std::uint8_t i = 1; i < 200; ++i) {
    many.attributes.push_back({1, {10, 9, 0, i}});
    many.attributes.push_back({25, {'a', i < 100 ? std::uint8_t{'b'} : std::uint8_t{'c'}}});
    asked.attributes.push_back({1, {}});
  }
  const ConfigurationReply reply = read_reply(many);
  EXPECT_EQ(reply.configuration.addresses.size(), kMostConfigurationAddresses);
  EXPECT_EQ(reply.configuration.domains.size(), kMostConfigurationValues);
  const ConfigurationRequest request = read_request(asked);
  EXPECT_EQ(request.addresses.size(), kMostConfigurationAddresses);
  EXPECT_EQ(request.ignored, 199 - kMostConfigurationAddresses);
}

TEST(Configuration, AnyOctetsCanBeRead) {
  SeededRandom random(20261121);
  for (int round = 0; round < 20'000; ++round) {
    ConfigurationPayload payload{ConfigurationType::reply, {}};
    const auto count = random.below(6);
    for (std::uint64_t i = 0; i < count; ++i) {
      Bytes value(random.below(40));
      random.fill(value);
      payload.attributes.push_back({static_cast<std::uint16_t>(random.below(32)), std::move(value)});
    }
    const ConfigurationReply reply = read_reply(payload);
    const ConfigurationRequest request = read_request(payload);
    EXPECT_LE(reply.ignored, count);
    EXPECT_LE(request.ignored, count);
    for (const std::string& name : reply.configuration.domains) EXPECT_TRUE(model::is_domain_name(name));
    // What was understood can be said again.
    ConfigurationRequest all;
    all.domains = true;
    model::Configuration plain = reply.configuration;
    plain.encrypted_dns.clear();
    if (plain.dns_servers.empty()) plain.domains.clear();
    EXPECT_EQ(read_reply(make_reply(plain, all)).configuration, plain);
  }
}

}  // namespace
}  // namespace culvert::ike::codec
