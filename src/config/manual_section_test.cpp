// What is wrong with a [manual.NAME] or a [[policy]] is told with its place, its field and a way out; and what commands
// bring is held to the same.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/commands.hpp"
#include "config/config_test_support.hpp"

namespace culvert::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::problems_of;

constexpr std::string_view kIn = "0x0102030405060708090a0b0c0d0e0f1011121314";
constexpr std::string_view kOut = "0x2122232425262728292a2b2c2d2e2f3031323334";

using Lines = std::vector<std::pair<std::string, std::string>>;  // setting, value as TOML

Lines whole() {
  return {{"local_address", "\"192.0.2.1\""},
          {"peer", "\"192.0.2.2\""},
          {"spi_in", "0x1001"},
          {"spi_out", "0x1002"},
          {"suite", "\"aes128gcm16-esn\""},
          {"encryption_key_in", '"' + std::string(kIn) + '"'},
          {"encryption_key_out", '"' + std::string(kOut) + '"'},
          {"local", "[\"10.1.0.0/16\"]"},
          {"remote", "[\"10.2.0.0/16\"]"}};
}

/// The whole entry with these settings changed, added or, without a value, left out.
std::string entry(const Lines& changes = {}, const std::string& name = "lab") {
  Lines lines = whole();
  for (const auto& change : changes) {
    const auto found = std::ranges::find(lines, change.first, [](const auto& line) { return line.first; });
    if (found == lines.end()) {
      lines.push_back(change);
    } else if (change.second.empty()) {
      lines.erase(found);
    } else {
      found->second = change.second;
    }
  }
  std::string text = "[manual." + name + "]\n";
  for (const auto& [setting, value] : lines) text += setting + " = " + value + "\n";
  return text;
}

TEST(ManualSection, TheWholeEntryIsRight) { EXPECT_EQ(problems_of(entry()), ""); }

struct Wrong {
  const char* name;
  Lines changes;
  const char* field;
  const char* message;
};

class ManualComplaint : public ::testing::TestWithParam<Wrong> {};
TEST_P(ManualComplaint, NamesFieldAndReason) {
  EXPECT_THAT(problems_of(entry(GetParam().changes)),
              AllOf(HasSubstr("a.toml:"), HasSubstr(std::string("manual.lab.") + GetParam().field + ": "),
                    HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    All, ManualComplaint,
    ::testing::ValuesIn(std::vector<Wrong>{
        {"no_peer", {{"peer", ""}}, "peer", "write the address of the other host"},
        {"peer_by_name", {{"peer", "\"gw.example.net\""}}, "peer", "is not an address"},
        {"peer_is_a_group", {{"peer", "\"224.0.0.1\""}}, "peer", "not the address of one host"},
        {"two_families", {{"peer", "\"2001:db8::2\""}}, "peer", "use two addresses of one family"},
        {"own_address", {{"peer", "\"192.0.2.1\""}}, "peer", "is local_address too"},
        {"reserved_spi", {{"spi_in", "255"}}, "spi_in", "SPIs from 0 to 255 name no SA"},
        {"no_spi", {{"spi_out", ""}}, "spi_out", "write a number that is spi_in of the other host"},
        {"long_spi", {{"spi_in", "0x100000000"}}, "spi_in", "4294967295"},
        {"no_suite", {{"suite", ""}}, "suite", ""},
        {"no_word_on_esn", {{"suite", "\"aes128gcm16\""}}, "suite", "esn"},
        {"short_key",
         {{"encryption_key_in", "\"0x0102\""}},
         "encryption_key_in",
         "20 octets: 16 of key, then 4 of salt"},
        {"no_key", {{"encryption_key_out", ""}}, "encryption_key_out", "20 octets"},
        {"odd_key", {{"encryption_key_in", "\"0x012\""}}, "encryption_key_in", ""},
        {"plain_key", {{"encryption_key_in", "\"swordfish\""}}, "encryption_key_in", "is not written as a key"},
        {"key_nowhere", {{"encryption_key_in", "\"env:CULVERT_NO_SUCH\""}}, "encryption_key_in", "no variable"},
        {"key_too_many", {{"integrity_key_in", "\"0x01\""}}, "integrity_key_in", "takes no such key"},
        {"one_key_for_both",
         {{"encryption_key_out", '"' + std::string(kIn) + '"'}},
         "encryption_key_out",
         "both hosts would use the same nonces"},
        {"ah_in_udp", {{"protocol", "\"ah\""}, {"encapsulation", "\"udp\""}}, "encapsulation", "AH does not go in UDP"},
        {"port_without_udp",
         {{"encapsulation", "\"none\""}, {"peer_port", "4500"}},
         "peer_port",
         "no ports without UDP"},
        {"another_port", {{"local_port", "4600"}}, "local_port", "not culvertd's port"},
        {"no_remote", {{"remote", ""}}, "remote", "what is behind the peer"},
        {"beet_ranges", {{"mode", "\"beet\""}}, "local", "one inner address on each side"},
        {"transport_elsewhere", {{"mode", "\"transport\""}}, "remote", "between the outer addresses only"},
        {"no_window", {{"replay_window", "33"}}, "replay_window", ""},
        {"one_cpi", {{"cpi_in", "2"}}, "cpi_in", "belong together"},
        {"compression_alone", {{"compress", "true"}}, "compress", "needs the CPIs of both sides"},
        {"lifetime_without_end", {{"hard_lifetime", "\"0s\""}}, "hard_lifetime", ""},
        {"unknown", {{"colour", "1"}}, "colour", "no such setting"},
    }),
    [](const auto& one) { return std::string(one.param.name); });

// RFC 4301 5.1.2: transport mode is between the outer addresses, with any ports.
TEST(ManualSection, TransportModeIsBetweenTheOuterAddresses) {
  const auto loaded =
      testing::load_text(entry({{"mode", "\"transport\""}, {"local", ""}, {"remote", "[\"192.0.2.2[tcp/80]\"]"}}));
  ASSERT_TRUE(loaded) << testing::lines(loaded.error());
  EXPECT_EQ(model::to_string(loaded->manual[0].sa.local), "192.0.2.1");
}

TEST(ManualAcross, NamesSpisAndKeysAreTheirOwn) {
  const std::string first = entry();
  const std::string other_in = "\"0x4142434445464748494a4b4c4d4e4f5051525354\"";
  const std::string other_out = "\"0x6162636465666768696a6b6c6d6e6f7071727374\"";
  const auto second = [&](const Lines& changes, const std::string& name = "second") {
    Lines all = {{"spi_in", "0x2001"}, {"encryption_key_in", other_in}, {"encryption_key_out", other_out}};
    for (const auto& change : changes) {
      std::erase_if(all, [&](const auto& line) { return line.first == change.first; });
      all.push_back(change);
    }
    return problems_of(first + entry(all, name));
  };
  EXPECT_EQ(second({}), "");
  EXPECT_THAT(second({{"spi_in", "0x1001"}}),
              AllOf(HasSubstr("a.toml:14:"), HasSubstr("0x1001 is the SPI of lab at a.toml:4")));
  EXPECT_THAT(second({{"encryption_key_out", '"' + std::string(kOut) + '"'}}),
              HasSubstr("outbound key of lab at a.toml:1:1 too: numbers used twice under one key break the cipher"));
  EXPECT_THAT(second({{"encryption_key_out", '"' + std::string(kIn) + '"'}}),
              HasSubstr("the same key in the other direction"));
  EXPECT_THAT(problems_of(testing::tunnel() + entry({}, "office")),
              HasSubstr("the name \"office\" is taken at a.toml:1"));
}

std::string rule(const std::string& lines) { return entry() + "[[policy]]\n" + lines; }

TEST(PolicyAcross, WhatARuleRefersToIsThere) {
  EXPECT_EQ(problems_of(rule("action = \"bypass\"\nremote = [\"10.2.0.5\"]\nbefore = \"lab\"\n")), "");
  EXPECT_THAT(problems_of(rule("action = \"protect\"\nsa = \"lob\"\n")),
              HasSubstr("no tunnel and no manual entry \"lob\""));
  EXPECT_THAT(problems_of(rule("action = \"protect\"\n")), HasSubstr("write sa = \"NAME\""));
  EXPECT_THAT(problems_of(rule("action = \"bypass\"\nsa = \"lab\"\n")), HasSubstr("take one of the two out"));
  EXPECT_THAT(problems_of(rule("action = \"protect\"\nsa = \"lab\"\nremote = [\"10.9.0.0/16\"]\n")),
              HasSubstr("carries nothing of what this rule matches"));
  EXPECT_THAT(problems_of(rule("action = \"bypass\"\nbefore = \"lob\"\n")),
              AllOf(HasSubstr("policy.before: "), HasSubstr("no rule, tunnel or manual entry \"lob\"")));
  EXPECT_THAT(problems_of(rule("action = \"bypass\"\nname = \"x\"\nafter = \"x\"\n")),
              HasSubstr("a rule cannot stand beside itself"));
  EXPECT_THAT(problems_of(rule("action = \"bypass\"\nname = \"x\"\nafter = \"y\"\n[[policy]]\naction = "
                               "\"bypass\"\nname = \"y\"\nafter = \"x\"\n")),
              HasSubstr("in a circle"));
  EXPECT_THAT(problems_of(rule("action = \"bypass\"\nposition = \"first\"\nbefore = \"lab\"\n")),
              HasSubstr("exclude each other"));
  EXPECT_THAT(problems_of(rule("action = \"bypass\"\npopulate = [\"remote_port\"]\n")),
              HasSubstr("only a protect rule makes SAs"));
}

// RFC 4301 4.4.1.2: the values of a packet make an SA of its own, for which nobody has written keys.
TEST(PolicyAcross, NothingIsPopulatedForManualKeys) {
  const std::string text = "action = \"protect\"\nsa = \"lab\"\npopulate = [\"remote_address\"]\n";
  EXPECT_THAT(problems_of(rule(text)), AllOf(HasSubstr("policy.sa: "), HasSubstr("keys of lab are written down")));
}

TEST(DaemonSection, BoundsHaveBounds) {
  for (const auto& [line, field] : std::initializer_list<std::pair<const char*, const char*>>{
           {"flow_cache_entries = 63", "flow_cache_entries"},
           {"flow_cache_entries = 16777217", "flow_cache_entries"},
           {"expanded_keys = 15", "expanded_keys"},
           {"expanded_keys = 1000001", "expanded_keys"},
           {"min_pmtu = 67", "min_pmtu"},
           {"min_pmtu_ipv6 = 1279", "min_pmtu_ipv6"},
           {"mtu_expires = \"0s\"", "mtu_expires"},
           {"fragment_packets = 0", "fragment_packets"},
           {"fragment_time = \"1h\"", "fragment_time"},
           {"early_fragments = 1000001", "early_fragments"},
           {"early_fragment_bytes = 1000", "early_fragment_bytes"},
           {"early_fragment_time = \"1ms\"", "early_fragment_time"},
           {"reassembly_packets = 0", "reassembly_packets"},
           {"reassembly_fragments = 1", "reassembly_fragments"},
           {"reassembly_bytes = \"5TB\"", "reassembly_bytes"},
           {"reassembly_time = \"0s\"", "reassembly_time"}})
    EXPECT_THAT(problems_of("[daemon]\n" + std::string(line) + "\n"),
                AllOf(HasSubstr("a.toml:2:"), HasSubstr("error: daemon." + std::string(field) + ": ")));
}

// ---------------------------------------------------------------- commands

std::string policy_problem(const Settings& settings, const std::string& name = "rule") {
  const auto made = policy_from(name, settings);
  return made ? std::string() : testing::lines(made.error());
}

TEST(PolicyCommand, AnchorsAndPositions) {
  const auto before = policy_from("ssh", {{"action", "bypass"}, {"remote", "0.0.0.0/0[tcp/22]"}, {"before", "lab"}});
  ASSERT_TRUE(before) << testing::lines(before.error());
  EXPECT_EQ(before->name, "ssh");
  EXPECT_EQ(before->position.kind, RulePlace::Kind::before);
  EXPECT_EQ(before->position.anchor, "lab");
  const auto after = policy_from("ssh", {{"action", "bypass"}, {"after", "lab"}});
  ASSERT_TRUE(after);
  EXPECT_EQ(after->position.kind, RulePlace::Kind::after);
  EXPECT_EQ(after->position.anchor, "lab");
  const auto last = policy_from("ssh", {{"action", "discard"}, {"position", "last"}});
  ASSERT_TRUE(last);
  EXPECT_EQ(last->position.kind, RulePlace::Kind::last);
  EXPECT_EQ(last->position.anchor, "");
  EXPECT_THAT(policy_problem({{"action", "bypass"}, {"before", "a"}, {"after", "b"}}), HasSubstr("exclude each other"));
  EXPECT_THAT(policy_problem({{"action", "bypass"}, {"position", "middle"}}), HasSubstr("policy.position: "));
}

TEST(PolicyCommand, SettingsAreThoseOfTheFile) {
  EXPECT_EQ(policy_problem({{"action", "protect"}, {"sa", "lab"}, {"populate", "remote_address,remote_port"}}), "");
  EXPECT_THAT(policy_problem({{"action", "protect"}}), HasSubstr("write sa = \"NAME\""));
  EXPECT_THAT(policy_problem({{"action", "bypass"}, {"action", "discard"}}), HasSubstr("stands twice"));
  EXPECT_THAT(policy_problem({{"colour", "red"}, {"action", "bypass"}}), HasSubstr("no such setting"));
  EXPECT_THAT(policy_problem({{"action", "bypass"}, {"name", "other"}}), HasSubstr("has a name already"));
  EXPECT_THAT(policy_problem(Settings(100, {"remote", "10.0.0.0/8"})), HasSubstr("too many settings"));
  EXPECT_THAT(policy_problem({{"remote", std::string(10000, '1')}}), HasSubstr("too long"));
}

TEST(ManualCommand, KeysComeAsKeysOnly) {
  Settings settings = {{"local_address", "192.0.2.1"}, {"peer", "192.0.2.2"},
                       {"spi_in", "0x1001"},           {"spi_out", "0x1002"},
                       {"suite", "aes128gcm16-esn"},   {"encryption_key_in", std::string(kIn)},
                       {"local", "10.1.0.0/16"},       {"remote", "10.2.0.0/16,10.3.0.0/16"},
                       {"hard_lifetime.packets", "5"}, {"encryption_key_out", std::string(kOut)}};
  const auto made = manual_from("lab", settings, {});
  ASSERT_TRUE(made) << testing::lines(made.error());
  EXPECT_EQ(made->sa.remote.size(), 2U);
  EXPECT_EQ(made->sa.hard.packets, 5U);
  EXPECT_EQ(made->sa.path.local.port, DaemonConfig().nat_port);
  // The daemon reads no file for whoever may talk to its socket.
  settings.back().second = "file:/etc/shadow";
  const auto file = manual_from("lab", settings, {});
  ASSERT_FALSE(file);
  EXPECT_THAT(testing::lines(file.error()), HasSubstr("not written as a key"));
  EXPECT_FALSE(manual_from("not a name", settings, {}));
}

}  // namespace
}  // namespace culvert::config
