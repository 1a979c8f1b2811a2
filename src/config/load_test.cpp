#include "config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/fields.hpp"

namespace culvert::config {
namespace {

using testing::kSecret;
using testing::lines;
using testing::load_text;
using testing::problems_of;
using testing::tunnel;

TEST(Load, SmallestTunnelHasTheDocumentedDefaults) {
  const auto config = load_text(tunnel());
  ASSERT_TRUE(config) << lines(config.error());
  ASSERT_EQ(config->tunnels.size(), 1u);
  const model::ConnectionConfig& connection = config->tunnels[0].connection;
  EXPECT_EQ(connection.name, "office");
  EXPECT_EQ(connection.place.to_string(), "a.toml:1");
  EXPECT_EQ(connection.peer, net::IpAddress::parse("192.0.2.2"));
  EXPECT_EQ(config->tunnels[0].peer_kind, PeerKind::address);
  EXPECT_EQ(connection.peer_port, 500);
  EXPECT_TRUE(equal(config->tunnels[0].secret.view(), as_bytes(kSecret)));
  EXPECT_EQ(model::to_string(connection.local), "10.1.0.0/16");
  EXPECT_EQ(model::to_string(connection.remote), "10.2.0.0/16");
  EXPECT_EQ(connection.ike_proposals, model::default_ike_proposals());
  EXPECT_EQ(connection.esp_proposals, model::default_esp_proposals());
  EXPECT_EQ(connection.start, model::StartMode::automatic);
  EXPECT_EQ(connection.replay_window, 1024u);
  EXPECT_TRUE(connection.security_labels.empty());
  EXPECT_TRUE(connection.counter_sync);
  EXPECT_EQ(connection.resource_sas, std::nullopt) << "as many as the daemon has use for";
  EXPECT_TRUE(config->warnings.empty()) << lines(config->warnings);
  EXPECT_EQ(config->daemon, DaemonConfig{});
}

TEST(Load, EveryFieldIsTaken) {
  const auto config = load_text(R"(
[daemon]
log_level = "debug"
socket = "/tmp/c.sock"
tun_name = "tun7"
workers = 5
xdp = ["eth0", "eth1.7"]
ike_threads = 3
measure_ciphers = false
cookie_threshold = 10
half_open_limit = 5000
half_open_per_address = 300
half_open_per_network = 700
puzzle_threshold = 2000
puzzle_bits = 12
ike_port = 1500
nat_port = 14500
listen_tcp = [4500, 443]
routing_table = 220
fwmark = 0x2a

[tunnel.a-b_c]
peer = "gw.example.net"
peer_port = 4500
local_address = "192.0.2.1"
local_id = "amy@example.net"
remote_id = "gw.example.net"
secret = "0s////////////////////////////////////////////"
ppk = "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
ppk_id = "office"
ppk_required = false
local = ["10.1.0.0/16[tcp/80-90]", "2001:db8:1::/48"]
remote = ["10.2.0.1-10.2.0.9", "2001:db8:2::/48"]
address = ["10.1.0.1/16", "2001:db8:1::1"]
start = "on-demand"
ike = ["aes256gcm16-prfsha384-x25519", "aes128-sha256-modp2048"]
esp = "aes128gcm16-esn"
mode = "tunnel"
encapsulation = "esp"
tcp = "fallback"
tcp_port = 443
ike_fragmentation = "force"
ike_fragment_size = 1400
mobike = false
ike_lifetime = "8h"
child_lifetime = { time = "30m", bytes = "10GB", packets = 1000000 }
rekey_margin = "20%"
child_idle = "90s"
liveness = 0
keepalive = "1m"
replay_window = 4096
per_resource_sas = 6
security_label = ["system_u:object_r:ipsec_t:s0", "0x6100"]
counter_sync = false
mtu = 1300

[[policy]]
action = "bypass"
remote = ["192.168.0.0/16[udp/53]"]
[[policy]]
action = "discard"
local = "10.1.9.0/24"
)");
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_EQ(config->daemon.log_level, LogLevel::debug);
  EXPECT_EQ(config->daemon.socket, "/tmp/c.sock");
  EXPECT_EQ(config->daemon.tun_name, "tun7");
  EXPECT_FALSE(config->daemon.measure_ciphers);
  EXPECT_EQ(config->daemon.workers, 5U);
  EXPECT_EQ(config->daemon.xdp, (std::vector<std::string>{"eth0", "eth1.7"}));
  EXPECT_EQ(config->daemon.ike_threads, 3U);
  EXPECT_EQ(config->daemon.set_ups, (SetUpBounds{.cookie_threshold = 10,
                                                 .half_open_limit = 5000,
                                                 .half_open_per_address = 300,
                                                 .half_open_per_network = 700,
                                                 .puzzle_threshold = 2000,
                                                 .puzzle_bits = 12}));
  EXPECT_FALSE(load_text("[daemon]\npuzzle_bits = 7\n"));
  EXPECT_FALSE(load_text("[daemon]\ncookie_threshold = 1024\n"));
  EXPECT_FALSE(load_text("[daemon]\nhalf_open_per_address = 0\n"));
  EXPECT_EQ(config->daemon.ike_port, 1500);
  EXPECT_EQ(config->daemon.nat_port, 14500);
  EXPECT_EQ(config->daemon.listen_tcp, (std::vector<std::uint16_t>{4500, 443}));
  EXPECT_EQ(config->daemon.routing_table, 220u);
  EXPECT_EQ(config->daemon.fwmark, 42u);
  const TunnelConfig* tunnel = config->find("a-b_c");
  ASSERT_NE(tunnel, nullptr);
  const model::ConnectionConfig& connection = tunnel->connection;
  EXPECT_EQ(tunnel->peer_kind, PeerKind::dns_name);
  EXPECT_EQ(connection.peer_name, "gw.example.net");
  EXPECT_EQ(connection.peer, std::nullopt);
  EXPECT_EQ(connection.peer_port, 4500);
  EXPECT_EQ(connection.local_address, net::IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(connection.local_id, model::Identity::parse("amy@example.net"));
  EXPECT_EQ(connection.remote_id, model::Identity::parse("gw.example.net"));
  EXPECT_EQ(tunnel->secret.size(), 33u);
  EXPECT_EQ(tunnel->ppk.size(), 32u);
  EXPECT_EQ(connection.ppk, (model::Ppk{.id = "office", .required = false}));
  EXPECT_EQ(connection.local.size(), 2u);
  EXPECT_EQ(connection.local[0].start_port, 80);
  ASSERT_EQ(connection.addresses.size(), 2u);
  EXPECT_EQ(connection.addresses[0], (model::InnerAddress{*net::IpAddress::parse("10.1.0.1"), 16}));
  EXPECT_EQ(connection.addresses[1].prefix_length, 128);
  EXPECT_EQ(connection.start, model::StartMode::on_demand);
  ASSERT_EQ(connection.ike_proposals.size(), 2u);
  EXPECT_EQ(connection.ike_proposals[1].number, 2);
  EXPECT_EQ(connection.esp_proposals.size(), 1u);
  EXPECT_EQ(connection.encapsulation, model::EncapsulationPolicy::esp);
  EXPECT_EQ(connection.tcp, model::TcpPolicy::fallback);
  EXPECT_EQ(connection.tcp_port, 443);
  EXPECT_EQ(connection.ike_fragmentation, model::IkeFragmentation::required);
  EXPECT_EQ(connection.ike_fragment_size, 1400);
  EXPECT_FALSE(connection.mobike);
  EXPECT_EQ(connection.ike_lifetime, Duration(std::chrono::hours(8)));
  EXPECT_EQ(connection.child_lifetime,
            (model::Lifetime{.time = std::chrono::minutes(30), .bytes = 10'000'000'000, .packets = 1'000'000}));
  EXPECT_DOUBLE_EQ(connection.rekey_margin, 0.2);
  EXPECT_EQ(connection.child_idle, std::chrono::seconds(90));
  EXPECT_EQ(connection.liveness_interval, Duration(0));
  EXPECT_EQ(connection.nat_keepalive_interval, Duration(std::chrono::minutes(1)));
  EXPECT_EQ(connection.replay_window, 4096u);
  EXPECT_EQ(connection.resource_sas, 6u);
  EXPECT_EQ(connection.security_labels, (std::vector<model::SecurityLabel>{
                                            *model::SecurityLabel::parse("system_u:object_r:ipsec_t:s0"), {{'a', 0}}}));
  EXPECT_FALSE(connection.counter_sync);
  EXPECT_EQ(connection.inner_mtu, 1300);
  ASSERT_EQ(config->policies.size(), 2u);
  EXPECT_EQ(config->policies[0].action, RuleAction::bypass);
  EXPECT_EQ(config->policies[0].local.size(), 2u) << "a side that is left out means everything";
  EXPECT_EQ(config->policies[1].local.size(), 1u);
  EXPECT_EQ(config->policies[1].place.line, 60u);
}

TEST(Load, SeveralPlacesOfThePeerStandInTheirOrder) {
  const std::string rest = "secret = \"0123456789abcdef0123\"\nlocal = \"10.1.0.0/16\"\nremote = \"10.2.0.0/16\"\n";
  const auto loaded = load_texts(
      {{"a.toml",
        "[tunnel.t]\npeer = [\"192.0.2.2\", \"gw.example.net\", \"2001:db8::2\"]\npeer_choice = \"random\"\n" + rest}});
  ASSERT_TRUE(loaded);
  const model::ConnectionConfig& connection = loaded->tunnels[0].connection;
  EXPECT_EQ(connection.peer_name, "192.0.2.2");
  EXPECT_EQ(connection.peer, net::IpAddress::parse("192.0.2.2"));
  EXPECT_EQ(connection.further_peers, (std::vector<std::string>{"gw.example.net", "2001:db8::2"}));
  EXPECT_TRUE(connection.random_peer);
  for (const char* bad : {"[\"192.0.2.2\", \"any\"]", "[\"any\", \"192.0.2.2\"]", "[\"192.0.2.2\", \"300.1.2.3\"]",
                          "[\"192.0.2.2\", \"224.0.0.1\"]", "\"192.0.2.2\"\npeer_choice = \"random\"", "[]"})
    EXPECT_FALSE(load_texts({{"a.toml", "[tunnel.t]\npeer = " + std::string(bad) + "\n" + rest}})) << bad;
}

TEST(Load, PeerAnyWaitsForThePeer) {
  const auto config = load_text(
      "[tunnel.rw]\npeer = \"any\"\nremote_id = \"bob\"\nsecret = \"0123456789abcdef\"\n"
      "local = [\"0.0.0.0/0\"]\nremote = [\"10.9.0.5\"]\n");
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_EQ(config->tunnels[0].peer_kind, PeerKind::any);
  EXPECT_EQ(config->tunnels[0].connection.start, model::StartMode::manual);
  EXPECT_EQ(config->tunnels[0].connection.peer, std::nullopt);
}

TEST(Load, AllProblemsOfAllFilesComeTogetherInOrder) {
  const auto result = load_texts(
      {{"a.toml", "[tunnel.a]\npeer = 7\n[daemon]\nikeport = 5\n"}, {"b.toml", "[tunnel.b\n"}, {"c.toml", "x = 1\n"}});
  ASSERT_FALSE(result);
  EXPECT_EQ(
      lines(result.error()),
      "a.toml:1:1: error: tunnel.a.secret: the setting is missing\n"
      "  write secret = \"...\" or secret_file = \"PATH\" (make one with `culvert keygen`), or certificate = \"PATH\"\n"
      "a.toml:1:1: error: tunnel.a.local: the setting is missing\n"
      "  write local = [\"10.1.0.0/16\"]: the subnets on this side\n"
      "a.toml:1:1: error: tunnel.a.remote: the setting is missing\n"
      "  write remote = [\"10.2.0.0/16\"]: the subnets behind the peer\n"
      "a.toml:2:8: error: tunnel.a.peer: text is needed, the number 7 was found\n"
      "  write it in quotes: \"7\"\n"
      "a.toml:4:1: error: daemon.ikeport: there is no such setting\n"
      "  did you mean \"ike_port\"?\n"
      "b.toml:1:10: error: this is no TOML: Error while parsing table header: expected ']', saw '\\n'\n"
      "  settings are NAME = VALUE, text stands in double quotes, lists in [ ], and each name stands once in a "
      "section\n"
      "c.toml:1:1: error: x: there is no such section or setting\n"
      "  allowed here: [daemon], [tunnel.NAME], [user.NAME], [manual.NAME], [pool.NAME], [group.NAME], [radius.NAME] "
      "and "
      "[[policy]]\n");
}

struct Case {
  const char* name;
  std::string text;
  const char* problems;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Complaint : public ::testing::TestWithParam<Case> {};

TEST(UnknownSetting, IsAnsweredWithAllThatThereAre) {
  const std::string problems = problems_of(tunnel("left = \"x\"\n"));
  EXPECT_TRUE(
      problems.starts_with("a.toml:6:1: error: tunnel.office.left: there is no such setting\n"
                           "  allowed here: peer, peer_choice, "))
      << problems;
  for (const FieldInfo& field : kTunnelFields)
    EXPECT_NE((problems + ",").find(" " + std::string(field.name)), std::string::npos) << field.name;
}

TEST_P(Complaint, HasPlaceFieldAndWayOut) { EXPECT_EQ(problems_of(GetParam().text), GetParam().problems); }

std::string with_peer(std::string_view peer) {
  std::string text = tunnel();
  return text.replace(text.find("192.0.2.2"), 9, peer);
}
std::string with_remote(std::string_view remote) {
  std::string text = tunnel();
  return text.replace(text.find("\"10.2.0.0/16\""), 13, remote);
}
std::string with_secret(std::string_view secret) {
  std::string text = tunnel();
  return text.replace(text.find(kSecret), kSecret.size(), secret);
}

INSTANTIATE_TEST_SUITE_P(
    Sections, Complaint,
    ::testing::Values(
        Case{"section", "[tunel.office]\npeer = 1\n",
             "a.toml:1:2: error: tunel: there is no such section or setting\n"
             "  did you mean \"tunnel\"? allowed here: [daemon], [tunnel.NAME], [user.NAME], [manual.NAME], "
             "[pool.NAME], [group.NAME], [radius.NAME] and [[policy]]\n"},
        Case{"loose_setting", "peer = \"192.0.2.2\"\n",
             "a.toml:1:1: error: peer: there is no such section or setting\n"
             "  put a line [tunnel.NAME] above it: peer is a setting of a tunnel\n"},
        Case{"nameless", "[tunnel]\npeer = \"192.0.2.2\"\n",
             "a.toml:2:1: error: tunnel.peer: a section is needed, text was found\n"
             "  write a line [tunnel.NAME] above each tunnel's settings\n"},
        Case{"bad_name", "[tunnel.\"my office\"]\n",
             "a.toml:1:9: error: tunnel.my office: this cannot name a tunnel\n"
             "  use 1 to 63 letters, digits, '-', '_' and '.', with a letter or digit first\n"},
        Case{"policy_table", "[policy]\naction = \"bypass\"\n",
             "a.toml:1:1: error: policy: a list of sections is needed, a table was found\n"
             "  write [[policy]] with two brackets\n"},
        Case{"policy_action", "[[policy]]\naction = \"bypas\"\nlocal = [\"10.0.0.0/33\"]\n",
             "a.toml:2:10: error: policy[1].action: \"bypas\" is not known here\n"
             "  did you mean \"bypass\"? write bypass, discard or protect\n"
             "a.toml:3:10: error: policy[1].local: \"10.0.0.0/33\" has a wrong prefix length\n"
             "  write a number from 0 to 32 after the '/'\n"},
        Case{"same_ports", "[daemon]\nike_port = 4500\n",
             "a.toml:2:12: error: daemon.ike_port: ike_port and nat_port are both 4500\n"
             "  give them different numbers; 500 and 4500 are the standard ones\n"},
        Case{"port_zero", "[daemon]\nnat_port = 0\n",
             "a.toml:2:12: error: daemon.nat_port: 0 is out of range\n"
             "  write a whole number from 1 to 65535\n"},
        Case{"tcp_ports", "[daemon]\nlisten_tcp = [4500, 0, 4500, \"443\"]\n",
             "a.toml:2:21: error: daemon.listen_tcp: the number 0 is no port\n"
             "  write a list of TCP ports, listen_tcp = [4500]\n"
             "a.toml:2:24: error: daemon.listen_tcp: port 4500 is there twice\n"
             "  write a list of TCP ports, listen_tcp = [4500]\n"
             "a.toml:2:30: error: daemon.listen_tcp: text is no port\n"
             "  write a list of TCP ports, listen_tcp = [4500]\n"},
        Case{"log_level", "[daemon]\nlog_level = \"Info\"\n",
             "a.toml:2:13: error: daemon.log_level: \"Info\" is not known here\n"
             "  did you mean \"info\"? write trace, debug, info, warning or error\n"},
        Case{"socket", "[daemon]\nsocket = \"run/x\"\n",
             "a.toml:2:10: error: daemon.socket: \"run/x\" is not an absolute path\n"
             "  begin it with \"/\"\n"},
        Case{"tun_name", "[daemon]\ntun_name = \"averyverylongname\"\n",
             "a.toml:2:12: error: daemon.tun_name: \"averyverylongname\" cannot name a network interface\n"
             "  write at most 15 letters, digits, '-', '_' or '.'\n"},
        Case{"routing_table", "[daemon]\nrouting_table = 255\n",
             "a.toml:2:17: error: daemon.routing_table: table 255 is the kernel's own (253 default, 254 main, "
             "255 local)\n"
             "  write the number of a table that nothing else uses; 4500 is the default\n"},
        Case{"export_keys", "[daemon]\nexport_keys = \"/tmp/keys\"\n",
             "a.toml:2:15: warning: daemon.export_keys: ALL SESSION KEYS ARE WRITTEN to \"/tmp/keys\": who reads them "
             "can decrypt the "
             "traffic\n"
             "  take the setting out when you have seen what you wanted to see\n"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Peers, Complaint,
    ::testing::Values(
        Case{"mistyped_address", with_peer("300.1.2.3"),
             "a.toml:2:8: error: tunnel.office.peer: \"300.1.2.3\" is neither an address nor a DNS name\n"
             "  write an address (192.0.2.1, 2001:db8::1), a DNS name (gw.example.net), or \"any\"\n"},
        Case{"with_port", with_peer("192.0.2.2:500"),
             "a.toml:2:8: error: tunnel.office.peer: \"192.0.2.2:500\" is neither an address nor a DNS name\n"
             "  write the port as peer_port = N\n"},
        Case{"unspecified", with_peer("0.0.0.0"),
             "a.toml:2:8: error: tunnel.office.peer: 0.0.0.0 is not the address of one host\n"
             "  write \"any\" for a peer whose address is not known\n"},
        Case{"multicast", with_peer("224.0.0.1"),
             "a.toml:2:8: error: tunnel.office.peer: 224.0.0.1 is not the address of one host\n"
             "  write the host's own address\n"},
        Case{"family", tunnel("local_address = \"2001:db8::1\"\n"),
             "a.toml:6:17: error: tunnel.office.local_address: 2001:db8::1 is IPv6, but the peer 192.0.2.2 is IPv4\n"
             "  use two addresses of one family\n"},
        Case{"itself", tunnel("local_address = \"192.0.2.2\"\n"),
             "a.toml:6:17: error: tunnel.office.local_address: 192.0.2.2 is the peer's address too\n"
             "  write this host's address here and the other host's as peer\n"},
        Case{"any_without_identity", with_peer("any"),
             "a.toml:1:1: error: tunnel.office.remote_id: the setting is missing\n"
             "  a peer without a known address is told by its identity: write remote_id = \"NAME\"\n"},
        Case{"any_begins", with_peer("any") + "remote_id = \"bob\"\nstart = \"auto\"\n",
             "a.toml:7:9: error: tunnel.office.start: a tunnel whose peer is \"any\" cannot begin by itself: the peer "
             "must\n"
             "  take the setting out, or name the peer's address\n"},
        Case{"distinguished_name", tunnel("remote_id = \"C=DE, CN=gw\"\n"),
             "a.toml:6:13: error: tunnel.office.remote_id: \"C=DE, CN=gw\" looks like a distinguished name, which "
             "needs a certificate\n"
             "  write an address, a name (gw.example.net), a mail address (amy@example.net) or \"keyid:TEXT\"\n"},
        Case{"empty_identity", tunnel("local_id = \"@\"\n"),
             "a.toml:6:12: error: tunnel.office.local_id: the identity has 0 octets; 1 to 255 are allowed\n"
             "  write an address, a name (gw.example.net), a mail address (amy@example.net) or \"keyid:TEXT\"\n"},
        Case{"secret_empty", with_secret(""),
             "a.toml:3:10: error: tunnel.office.secret: the secret is empty\n"
             "  write text, \"0x\" and hexadecimal digits, or \"0s\" and base64; make one with `culvert keygen`\n"},
        Case{"secret_short", with_secret("hunter2"),
             "a.toml:3:10: warning: tunnel.office.secret: the secret has only 7 octets: whoever answers in the peer's "
             "place "
             "once can try all short ones at leisure\n"
             "  use at least 16 random octets; make one with `culvert keygen`\n"},
        Case{"secret_number",
             "[tunnel.a]\npeer = \"192.0.2.2\"\nsecret = 12345678\nlocal = \"10.1.0.0/16\"\nremote = \"10.2.0.0/16\"\n",
             "a.toml:3:10: error: tunnel.a.secret: text is needed, the number 12345678 was found\n"
             "  write it in quotes: \"12345678\"\n"},
        Case{"both_secrets", tunnel("secret_file = \"x.psk\"\n"),
             "a.toml:6:15: error: tunnel.office.secret_file: both secret and secret_file are given\n"
             "  keep one of them\n"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Subnets, Complaint,
    ::testing::Values(
        Case{"host_bits", with_remote("\"10.2.3.4/16\""),
             "a.toml:5:11: error: tunnel.office.remote: \"10.2.3.4/16\" has bits set after the prefix length\n"
             "  did you mean \"10.2.0.0/16\"?\n"},
        Case{"host_bits_with_port", with_remote("\"10.2.3.4/16[tcp/80]\""),
             "a.toml:5:11: error: tunnel.office.remote: \"10.2.3.4/16[tcp/80]\" has bits set after the prefix length\n"
             "  did you mean \"10.2.0.0/16[tcp/80]\"?\n"},
        Case{"second_entry", with_remote("\"10.2.0.0/16\", \"10.3.0.0-10.2.0.0\""),
             "a.toml:5:26: error: tunnel.office.remote: \"10.3.0.0-10.2.0.0\" is no range\n"
             "  write the lower address first, and both of one family\n"},
        Case{"no_subnet", with_remote("\"office\""),
             "a.toml:5:11: error: tunnel.office.remote: \"office\" is not a subnet\n"
             "  write a prefix \"10.1.0.0/16\", an address, a range \"10.1.0.1-10.1.0.9\", each also with \"[tcp]\" or "
             "\"[udp/53]\" "
             "behind it\n"},
        Case{"protocol", with_remote("\"10.2.0.0/16[tpc/80]\""),
             "a.toml:5:11: error: tunnel.office.remote: \"10.2.0.0/16[tpc/80]\" has no valid protocol and port in its "
             "brackets\n"
             "  write \"[tcp]\", \"[tcp/443]\", \"[udp/5000-5010]\", \"[icmp/8.0]\" or a protocol number\n"},
        Case{"empty_list", with_remote(""),
             "a.toml:5:10: error: tunnel.office.remote: the list is empty\n"
             "  write at least one entry, or take the setting out\n"},
        Case{"number_in_list", with_remote("10"),
             "a.toml:5:11: error: tunnel.office.remote: text in the list is needed, the number 10 was found\n"
             "  write it in quotes: \"10\"\n"},
        Case{"families", with_remote("\"2001:db8:2::/48\""),
             "a.toml:4:10: error: tunnel.office.local: 10.1.0.0/16 is IPv4, but remote has no IPv4 subnet: no packet "
             "could match\n"
             "  add an IPv4 subnet to remote, or take this one out\n"
             "a.toml:5:11: error: tunnel.office.remote: 2001:db8:2::/48 is IPv6, but local has no IPv6 subnet: no "
             "packet could match\n"
             "  add an IPv6 subnet to local, or take this one out\n"},
        Case{"own_overlap", with_remote("\"10.0.0.0/8\""),
             "a.toml:5:11: error: tunnel.office.remote: 10.0.0.0/8 overlaps the local subnet 10.1.0.0/16 at "
             "a.toml:4:10\n"
             "  the two sides need different subnets; cut ranges (\"10.0.0.0-10.0.255.255\") around the smaller one, "
             "or write "
             "0.0.0.0/0 on one side to mean everything\n"},
        Case{"everything_through_the_peer", with_remote("\"0.0.0.0/0\""), ""}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Values, Complaint,
    ::testing::Values(
        Case{"unknown", tunnel("remoteid = \"x\"\n"),
             "a.toml:6:1: error: tunnel.office.remoteid: there is no such setting\n"
             "  did you mean \"remote_id\"?\n"},
        Case{"tcp_port_alone", tunnel("tcp_port = 443\n"),
             "a.toml:6:12: error: tunnel.office.tcp_port: without tcp nothing goes over TCP\n"
             "  write tcp = \"fallback\" or \"always\", or take tcp_port out\n"},
        Case{"fragment_size", tunnel("ike_fragment_size = 200\n"),
             "a.toml:6:21: error: tunnel.office.ike_fragment_size: 200 is out of range\n"
             "  write a whole number from 296 to 65535\n"},
        Case{"no_fragments_but_a_size", tunnel("ike_fragmentation = \"no\"\nike_fragment_size = 1200\n"),
             "a.toml:7:21: error: tunnel.office.ike_fragment_size: with ike_fragmentation = \"no\" there are no "
             "fragments\n"
             "  take one of the two out\n"},
        Case{"weak", tunnel("ike = [\"3des-sha256-modp2048\"]\n"),
             "a.toml:6:8: error: tunnel.office.ike: \"3des\" in \"3des-sha256-modp2048\" is refused: "
             "3DES has blocks of 64 bits, which collide after some gigabytes\n"
             "  use a suite such as \"aes256gcm16-prfsha256-x25519\"; for a peer that can do no better, "
             "write compat = [\"3des\"] in [tunnel.office]\n"},
        Case{"weak_group", tunnel("ike = [\"aes256-sha256-modp1024\"]\n"),
             "a.toml:6:8: error: tunnel.office.ike: \"modp1024\" in \"aes256-sha256-modp1024\" is refused: "
             "groups below 2048 bits can be broken by precomputation\n"
             "  use a suite such as \"aes256gcm16-prfsha256-x25519\"; for a peer that can do no better, "
             "write compat = [\"modp1024\"] in [tunnel.office]\n"},
        Case{"refused_group", tunnel("ike = [\"aes256-sha256-modp768\"]\n"),
             "a.toml:6:8: error: tunnel.office.ike: \"modp768\" in \"aes256-sha256-modp768\" is refused: "
             "groups below 2048 bits can be broken by precomputation\n"
             "  use a suite such as \"aes256gcm16-prfsha256-x25519\", or \"aes256-sha256-modp2048\" for "
             "an old peer\n"},
        Case{"weak_half_allowed", tunnel("compat = \"3des\"\nesp = [\"3des-md5\"]\n"),
             "a.toml:7:8: warning: tunnel.office.esp: \"3des\" in \"3des-md5\" weakens this tunnel: 3DES has "
             "blocks of 64 bits, which collide after some gigabytes\n"
             "  once the peer can do better, use a suite such as \"aes128gcm16-x25519\" and take \"3des\" out "
             "of compat\n"
             "a.toml:7:8: error: tunnel.office.esp: \"md5\" in \"3des-md5\" is refused: MD5 is broken\n"
             "  use a suite such as \"aes128gcm16-x25519\"; for a peer that can do no better, write compat = "
             "[\"md5\"] in [tunnel.office]\n"},
        Case{"weak_allowed", tunnel("compat = [\"sha1\"]\nike = [\"aes128-sha1-modp2048\"]\n"),
             "a.toml:7:8: warning: tunnel.office.ike: \"sha1\" in \"aes128-sha1-modp2048\" weakens this "
             "tunnel: SHA-1 is broken as a hash and on its way out in HMAC\n"
             "  once the peer can do better, use a suite such as \"aes256gcm16-prfsha256-x25519\" and take "
             "\"sha1\" out of compat\n"},
        Case{"compat_word", tunnel("compat = [\"rc4\"]\n"),
             "a.toml:6:11: error: tunnel.office.compat: \"rc4\" is not a weak algorithm that can be allowed\n"
             "  write one or more of: 3des des sha1 md5 modp1536 modp1024\n"},
        Case{"compat_unused", tunnel("compat = [\"md5\"]\n"),
             "a.toml:6:11: warning: tunnel.office.compat: \"md5\" allows what no suite here uses\n"
             "  take it out, or name the weak algorithm in ike or esp\n"},
        Case{"null_cipher", tunnel("esp = \"null-sha256\"\n"),
             "a.toml:6:7: warning: tunnel.office.esp: \"null-sha256\" DOES NOT ENCRYPT: everybody on the "
             "way can read the traffic\n"
             "  NULL encryption is for tests only\n"},
        Case{"duration_word", tunnel("ike_lifetime = \"4 hours\"\n"),
             "a.toml:6:16: error: tunnel.office.ike_lifetime: \"4 hours\" is not a time\n"
             "  write a time from 10s to 365d, such as \"30s\", \"4h\", \"1h30m\", or plain seconds\n"},
        Case{"duration_range", tunnel("ike_lifetime = 5\n"),
             "a.toml:6:16: error: tunnel.office.ike_lifetime: 5 is out of range\n"
             "  write a time from 10s to 365d, such as \"30s\", \"4h\", \"1h30m\", or plain seconds\n"},
        Case{
            "mobike_in_transport_mode",
            "[tunnel.office]\npeer = \"192.0.2.2\"\nsecret = \"0123456789abcdef0123\"\nlocal = \"192.0.2.1\"\nremote = "
            "\"192.0.2.2\"\nmode = \"transport\"\nmobike = true\n",
            "a.toml:7:10: error: tunnel.office.mobike: MOBIKE (RFC 4555) moves SAs in tunnel mode only\n"
            "  take the setting out, or mode\n"},
        Case{"duration_type", tunnel("liveness = true\n"),
             "a.toml:6:12: error: tunnel.office.liveness: a time is needed, true was found\n"
             "  write a time from 1s to 1d, such as \"30s\", \"4h\", \"1h30m\", or plain seconds; 0 "
             "switches the check off\n"},
        Case{"lifetime_table", tunnel("child_lifetime = { times = \"1h\", bytes = \"10XB\", packets = 5 }\n"),
             "a.toml:6:20: error: tunnel.office.child_lifetime.times: there is no such setting\n"
             "  did you mean \"time\"?\n"
             "a.toml:6:42: error: tunnel.office.child_lifetime.bytes: \"10XB\" is not an amount of data\n"
             "  write a number of octets of at least 65536, such as 1000000000, \"10GB\" or \"10GiB\"\n"
             "a.toml:6:60: error: tunnel.office.child_lifetime.packets: 5 is out of range\n"
             "  write a whole number from 100 to 4611686018427387904\n"},
        Case{"margin", tunnel("rekey_margin = \"90%\"\n"),
             "a.toml:6:16: error: tunnel.office.rekey_margin: \"90%\" is not a margin\n"
             "  write \"1%\" to \"50%\", or 0.01 to 0.5\n"},
        Case{"margin_nan", tunnel("rekey_margin = nan\n"),
             "a.toml:6:16: error: tunnel.office.rekey_margin: the number nan is not a margin\n"
             "  write \"1%\" to \"50%\", or 0.01 to 0.5\n"},
        Case{"window", tunnel("replay_window = 1000\n"),
             "a.toml:6:17: error: tunnel.office.replay_window: 1000 packets cannot be the window\n"
             "  write a power of two from 32 to 65536\n"},
        Case{"label", tunnel("security_label = \"0x6\"\n"),
             "a.toml:6:18: error: tunnel.office.security_label: \"0x6\" is no security label\n"
             "  write its text, or \"0x\" and hexadecimal digits: 1 to 1024 octets\n"},
        Case{"label_twice", tunnel("security_label = [\"a\", \"0x61\"]\n"),
             "a.toml:6:24: error: tunnel.office.security_label: \"0x61\" stands here twice\n  take one out\n"},
        Case{"window_off", tunnel("replay_window = 0\n"),
             "a.toml:6:17: warning: tunnel.office.replay_window: 0 switches the protection against "
             "replayed packets off\n"
             "  use 1024 outside of tests\n"},
        Case{"mode", tunnel("mode = \"beet\"\n"),
             "a.toml:6:8: error: tunnel.office.mode: IKEv2 has no word for BEET mode, so two sides cannot agree on it\n"
             "  write \"tunnel\" or \"transport\", or use [manual.NAME]\n"},
        Case{"compress", tunnel("compress = true\n"),
             "a.toml:6:12: error: tunnel.office.compress: IKE of this version does not agree with the peer on IPComp\n"
             "  take it out, or use [manual.NAME] on both sides\n"},
        Case{
            "padded_transport", tunnel("mode = \"transport\"\ntfc_pad_to = 500\n"),
            "a.toml:7:14: error: tunnel.office.tfc_pad_to: packets in transport mode have no length of their own to be "
            "padded behind\n"
            "  take it out, or write mode = \"tunnel\"\n"},
        Case{"aggfrag_transport", tunnel("mode = \"transport\"\naggfrag = { }\n"),
             "a.toml:7:11: error: tunnel.office.aggfrag: AGGFRAG payloads are for tunnels\n"
             "  take it out, or write mode = \"tunnel\"\n"},
        Case{"mtu", tunnel("mtu = 500\n"),
             "a.toml:6:7: error: tunnel.office.mtu: 500 is out of range\n"
             "  write a whole number from 576 to 65535\n"},
        Case{"start", tunnel("start = \"ondemand\"\n"),
             "a.toml:6:9: error: tunnel.office.start: \"ondemand\" is not known here\n"
             "  did you mean \"on-demand\"? write auto, on-demand or manual\n"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace culvert::config
