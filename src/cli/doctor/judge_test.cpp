// What the facts mean: a healthy host has no problem, and each single thing that is wrong is named with its way out.
#include "cli/doctor/judge.hpp"

#include <algorithm>
#include <functional>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/doctor/doctor.hpp"
#include "cli/text.hpp"
#include "config/load.hpp"

namespace culvert::cli::doctor {
namespace {

using ::testing::HasSubstr;

config::Config configuration(const std::string& more = {}, const std::string& peer = "192.0.2.9") {
  auto loaded = config::load_texts({{"office.toml", "[tunnel.office]\npeer = \"" + peer +
                                                        "\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
                                                        "local = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n" +
                                                        more}});
  EXPECT_TRUE(loaded) << loaded.error().front().to_string();
  return std::move(*loaded);
}

io::InterfaceAddress address(unsigned index, const char* text, std::uint8_t length) {
  return {index, *net::IpAddress::parse(text), length, true, false};
}

/// A host and a daemon with one tunnel that is up; nothing is wrong with them.
Facts healthy() {
  Facts facts;
  HostFacts& host = facts.host;
  host.rights = {true, true, true, true};
  host.packets.tun = io::TunOffload::tcp_and_udp;
  host.packets.udp_v4 = {true, true, true, 64 * 1024 * 1024, 4 * 1024 * 1024, {}};
  host.packets.udp_v6 = host.packets.udp_v4;
  host.kernel_ipsec.available = true;
  host.filters = "";
  host.forward_v4 = host.forward_v6 = 1;
  host.congestion_control = "cubic";
  host.addresses = {address(2, "192.0.2.2", 24), address(3, "10.1.0.1", 16)};
  host.interfaces = {{2, "eth0"}, {3, "lan0"}};
  host.clock = {2'000'000'000, true};
  host.cpu = {{"AES-NI", true}, {"AVX-512", false}};
  host.ciphers = {{"aes128gcm16", "Culvert AVX-512"}};
  for (const std::uint16_t port : {std::uint16_t{500}, std::uint16_t{4500}}) {
    host.ports[port] = {{{*net::IpAddress::parse("0.0.0.0"), port}, 77, "culvertd"}};
  }
  facts.config.path = "/etc/culvert";
  facts.config.exists = true;
  facts.config.config = configuration();
  PeerFacts peer;
  peer.addresses = {*net::IpAddress::parse("192.0.2.9")};
  peer.reached = peer.addresses[0];
  peer.from = *net::IpAddress::parse("192.0.2.2");
  peer.mtu = 1500;
  facts.config.peers["office"] = peer;
  facts.daemon.socket = std::string(config::kDefaultSocket);
  api::Status status;
  status.daemon.version = "0.1.0";
  status.daemon.pid = 77;
  status.daemon.data_path = {"tcp+udp", 262'140, true, true, true, true, "epoll", 1};
  api::TunnelStatus tunnel;
  tunnel.name = "office";
  tunnel.state = api::TunnelState::up;
  tunnel.ike_sas.emplace_back();
  tunnel.ike_sas[0].children.push_back(
      {.id = 1, .suite = "aes128gcm16-esn", .encapsulation = "udp", .backend = "Culvert AVX-512"});
  tunnel.ike_sas[0].children[0].counters.inbound_packets = 5000;
  tunnel.ike_sas[0].children[0].counters.outbound_packets = 5000;
  status.tunnels.push_back(tunnel);
  facts.daemon.status = status;
  facts.daemon.pending = api::ApplyResult{};
  return facts;
}

void without_daemon(Facts& facts) {
  facts.daemon.status.reset();
  facts.daemon.pending.reset();
  facts.daemon.error = api::Error{api::ErrorCode::unreachable, "culvertd is not running", "start it", "socket", {}};
  facts.host.ports.clear();
}

TEST(Doctor, AHealthyHostHasNoProblemAndNoNote) {
  const Findings findings = judge(healthy());
  EXPECT_GE(findings.size(), 20U);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.state, State::ok) << finding.group << ": " << finding.what << ": " << finding.found;
    EXPECT_EQ(finding.way_out, "") << finding.what;
  }
  Facts alone = healthy();
  without_daemon(alone);
  const Findings without = judge(alone);
  EXPECT_EQ(std::ranges::count(without, State::problem, &Finding::state), 0);
  EXPECT_EQ(std::ranges::count(without, State::note, &Finding::state), 1) << "that culvertd does not run";
}

struct Case {
  const char* name;
  std::function<void(Facts&)> break_it;
  State state;
  const char* group;
  const char* what;
  const char* found;
  const char* way_out;
};

io::IoError refused(io::IoErrorCode code) { return {code, 1, "cannot do it"}; }
io::PortHolder holder(std::uint16_t port, int pid, const char* name) {
  return {{*net::IpAddress::parse("0.0.0.0"), port}, pid, name};
}
api::TunnelStatus& office(Facts& facts) { return facts.daemon.status->tunnels[0]; }

const Case kCases[] = {
    {"no root", [](Facts& f) { f.host.rights = {}; }, State::note, "machine", "rights", "not root", "sudo"},
    {"a poor container", [](Facts& f) { f.host.rights.net_admin = false; }, State::problem, "machine", "rights",
     "CAP_NET_ADMIN", "--cap-add"},
    {"no TUN", [](Facts& f) { f.host.packets.tun = err(refused(io::IoErrorCode::no_tun_device)); }, State::problem,
     "machine", "TUN", "cannot do it", "modprobe tun"},
    {"TUN refused", [](Facts& f) { f.host.packets.tun = err(refused(io::IoErrorCode::not_permitted)); }, State::problem,
     "machine", "TUN", "cannot do it", "CAP_NET_ADMIN"},
    {"no USO", [](Facts& f) { f.host.packets.tun = io::TunOffload::tcp; }, State::note, "machine", "TUN", "tcp;",
     "6.2"},
    {"no TSO", [](Facts& f) { f.host.packets.tun = io::TunOffload::none; }, State::note, "machine", "TUN", "alone",
     "kernel"},
    {"no GSO", [](Facts& f) { f.host.packets.udp_v4.segmentation = false; }, State::note, "machine", "UDP_SEGMENT",
     "one by one", "4.18"},
    {"no GRO", [](Facts& f) { f.host.packets.udp_v4.receive_offload = false; }, State::note, "machine", "UDP_GRO",
     "one by one", "5.0"},
    {"small buffers", [](Facts& f) { f.host.packets.udp_v4.receive_buffer = 212992; }, State::note, "machine",
     "socket buffers", "lose", "rmem_max=67108864"},
    {"no IPv6", [](Facts& f) { f.host.packets.udp_v6 = {}; }, State::note, "machine", "IPv6", "off", "disable_ipv6"},
    {"no raw sockets", [](Facts& f) { f.host.packets.raw_refusal = refused(io::IoErrorCode::not_permitted); },
     State::problem, "machine", "ESP, AH sockets", "cannot do it", "CAP_NET_RAW"},
    {"no AES-NI", [](Facts& f) { f.host.cpu[0].present = false; }, State::note, "machine", "CPU", "nothing",
     "chacha20"},
    {"no cipher", [](Facts& f) { f.host.ciphers.emplace_back("des", ""); }, State::problem, "machine", "cipher des",
     "no library", "esp"},
    {"1970", [](Facts& f) { f.host.clock = {100, true}; }, State::problem, "machine", "clock", "2025", "timedatectl"},
    {"a free clock", [](Facts& f) { f.host.clock.synchronized = false; }, State::note, "machine", "clock", "plausible",
     "timedatectl"},

    {"charon",
     [](Facts& f) {
       without_daemon(f);
       f.host.ports[500] = {holder(500, 12, "charon")};
     },
     State::problem, "network", "UDP port 500", "charon (pid 12) holds 0.0.0.0:500", "stop strongSwan"},
    {"another culvertd",
     [](Facts& f) {
       without_daemon(f);
       f.host.ports[4500] = {holder(4500, 12, "culvertd")};
     },
     State::problem, "network", "UDP port 4500", "another culvertd (pid 12)", "--socket"},
    {"a strange holder beside ours", [](Facts& f) { f.host.ports[4500].push_back(holder(4500, 12, "x\x1b[2J")); },
     State::problem, "network", "UDP port 4500", "x\\x1b[2J (pid 12)", "nat_port"},
    {"a hidden holder",
     [](Facts& f) {
       without_daemon(f);
       f.host.ports[500] = {holder(500, 0, "")};
     },
     State::problem, "network", "UDP port 500", "not to be seen", "ss -ulpn"},
    {"kernel SAs", [](Facts& f) { f.host.kernel_ipsec.sas = 2; }, State::note, "network", "kernel IPsec", "2 SAs",
     "ip xfrm"},
    {"kernel SAs and protocol 50",
     [](Facts& f) {
       f.host.kernel_ipsec.sas = 2;
       f.config.config = configuration("encapsulation = \"esp\"\n");
     },
     State::problem, "network", "kernel IPsec", "tunnels here use them", "ip xfrm"},
    {"kernel policies", [](Facts& f) { f.host.kernel_ipsec.policies = 1; }, State::problem, "network", "kernel IPsec",
     "1 policy", "ip xfrm"},
    {"a firewall without a hole",
     [](Facts& f) {
       f.host.filters = "table inet f {\n\tchain i {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n";
     },
     State::problem, "network", "packet filters", "inet f i drops UDP 500 in, UDP 4500 in (policy drop)",
     "nft 'insert rule inet f i udp dport { 500, 4500 } accept'"},
    {"a stateful firewall",
     [](Facts& f) {
       f.host.filters =
           "table inet f {\n\tchain i {\n\t\ttype filter hook input priority 0; policy drop;\n"
           "\t\tct state established accept\n\t}\n}\n";
     },
     State::note, "network", "packet filters", "this side can begin, the peer cannot", "insert rule"},
    {"a stateful firewall where only peers begin",
     [](Facts& f) {
       f.config.config = configuration("remote_id = \"peer.example\"\nlocal_id = \"here.example\"\n", "any");
       f.config.peers.clear();
       f.host.filters =
           "table inet f {\n\tchain i {\n\t\ttype filter hook input priority 0; policy drop;\n"
           "\t\tct state established accept\n\t}\n}\n";
     },
     State::problem, "network", "packet filters", "UDP 500 in", "insert rule"},
    {"a firewall against forwarding",
     [](Facts& f) {
       f.host.filters = "table ip f {\n\tchain F {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}\n";
     },
     State::problem, "network", "packet filters", "forwarding into tunnels", "oifname \"culvert0\" accept"},
    {"filters that cannot be read",
     [](Facts& f) {
       f.host.filters.reset();
       f.host.filters_refused = "the kernel has none";
     },
     State::note, "network", "packet filters", "the kernel has none", "iptables-save"},
    {"old iptables", [](Facts& f) { f.host.legacy_filters = {"filter"}; }, State::note, "network", "old iptables",
     "filter", "iptables-legacy"},
    {"strict rp_filter", [](Facts& f) { f.host.reverse_paths = {{"eth0", true, false}}; }, State::note, "network",
     "reverse path", "eth0", "rp_filter=2"},
    {"bbr", [](Facts& f) { f.host.congestion_control = "bbr"; }, State::note, "network", "TCP congestion", "pac",
     "reno"},
    {"guards",
     [](Facts& f) {
       without_daemon(f);
       f.host.guards = {*net::Prefix::parse("10.2.0.0/16")};
     },
     State::problem, "network", "left behind", "10.2.0.0/16", "flush table 4500"},

    {"no configuration",
     [](Facts& f) {
       f.config = {};
       f.config.path = "/etc/culvert";
     },
     State::note, "culvertd", "configuration", "there is no /etc/culvert", "keygen"},
    {"an unreadable configuration",
     [](Facts& f) {
       f.config.readable = false;
       f.config.config.reset();
     },
     State::note, "culvertd", "configuration", "may not read", "as root"},
    {"an error",
     [](Facts& f) {
       f.config.config.reset();
       f.config.problems = {{config::Severity::error, {"a.toml", 3, 1}, "tunnel.a.peer", "is wrong", "write it right"}};
     },
     State::problem, "culvertd", "configuration", "a.toml:3:1: tunnel.a.peer: is wrong", "write it right"},
    {"a warning",
     [](Facts& f) { f.config.problems = {{config::Severity::warning, {"a.toml", 3, 1}, "", "is odd", ""}}; },
     State::note, "culvertd", "configuration", "is odd", "mend"},
    {"another socket",
     [](Facts& f) {
       without_daemon(f);
       f.config.config->daemon.socket = "/tmp/other";
     },
     State::note, "culvertd", "daemon", "not running", "--socket /tmp/other doctor"},
    {"a slow data path", [](Facts& f) { f.daemon.status->daemon.data_path.udp_segmentation = false; }, State::note,
     "culvertd", "data path", "no UDP_SEGMENT", "kernel"},
    {"keys exported", [](Facts& f) { f.daemon.status->daemon.export_keys = "/tmp/k"; }, State::note, "culvertd",
     "exported keys", "ALL KEYS", "export_keys"},
    {"changes that wait", [](Facts& f) { f.daemon.pending->added = {"new"}; }, State::note, "culvertd", "pending",
     "not taken", "culvert apply"},

    {"an unknown name",
     [](Facts& f) {
       f.config.config = configuration("", "gw.example.net");
       f.config.peers["office"] = {};
       f.config.peers["office"].lookup_error = "Name or service not known";
     },
     State::problem, "tunnel office", "peer", "gw.example.net has no address: Name or", "getent hosts"},
    {"no route",
     [](Facts& f) {
       f.config.peers["office"].reached.reset();
       f.config.peers["office"].route_error = "no route to the peer";
     },
     State::problem, "tunnel office", "peer", "no route", "ip route"},
    {"the way leads into the tunnel",
     [](Facts& f) {
       f.host.addresses.push_back(address(9, "10.66.0.1", 24));
       f.host.interfaces[9] = "culvert0";
       f.config.peers["office"].from = *net::IpAddress::parse("10.66.0.1");
     },
     State::problem, "tunnel office", "peer", "into the tunnel itself", "ip rule"},
    {"a narrow way for IPv6",
     [](Facts& f) {
       f.config.config->tunnels[0].connection.remote = {*model::TrafficSelector::parse("2001:db8:2::/48")};
       f.config.peers["office"].mtu = 1300;
     },
     State::note, "tunnel office", "MTU", "1,280 octets do not fit", "mtu 1500"},
    {"no forwarding", [](Facts& f) { f.host.forward_v4 = 0; }, State::note, "tunnel office", "local",
     "only this host itself", "ip_forward=1"},
    {"no forwarding, no address",
     [](Facts& f) {
       f.host.forward_v4 = 0;
       f.host.addresses.pop_back();
     },
     State::problem, "tunnel office", "local", "no address in 10.1.0.0/16", "[tunnel.office]"},
    {"the same network on both sides", [](Facts& f) { f.host.addresses.push_back(address(2, "10.2.3.4", 24)); },
     State::problem, "tunnel office", "remote", "overlaps this host's own network 10.2.3.0/24 on eth0", "bypass"},
    {"unknown to the daemon", [](Facts& f) { f.daemon.status->tunnels.clear(); }, State::note, "tunnel office", "state",
     "does not know", "culvert apply"},
    {"it failed",
     [](Facts& f) {
       office(f).state = api::TunnelState::retrying;
       office(f).last_failure = api::Failure{1, 0, "auth", "the peer refused the secret", "compare the secrets"};
     },
     State::problem, "tunnel office", "state", "retrying; it failed: the peer refused the secret",
     "compare the secrets"},
    {"it failed, and is tried again",
     [](Facts& f) {
       office(f).state = api::TunnelState::connecting;
       office(f).attempts = 7;
       office(f).last_failure = api::Failure{6, 0, "auth", "no answer", "look there"};
     },
     State::problem, "tunnel office", "state", "connecting; it failed: no answer", "look there"},
    {"it failed once, and was taken down later",
     [](Facts& f) {
       office(f).state = api::TunnelState::down;
       office(f).attempts = 7;
       office(f).last_failure = api::Failure{2, 0, "auth", "no answer", "look there"};
     },
     State::note, "tunnel office", "state", "down", "culvert up office"},
    {"down", [](Facts& f) { office(f).state = api::TunnelState::down; }, State::note, "tunnel office", "state", "down",
     "culvert up office"},
    {"connecting",
     [](Facts& f) {
       office(f).state = api::TunnelState::connecting;
       office(f).progress = "sent IKE_SA_INIT";
     },
     State::note, "tunnel office", "state", "sent IKE_SA_INIT", "culvert log -f office"},
    {"packets changed on the way", [](Facts& f) { office(f).ike_sas[0].children[0].counters.integrity_drops = 400; },
     State::problem, "tunnel office", "packets", "integrity", "encapsulation"},
    {"nothing comes back", [](Facts& f) { office(f).ike_sas[0].children[0].counters.inbound_packets = 0; }, State::note,
     "tunnel office", "packets", "none came back", "4500"},
    {"a manual SA at its end",
     [](Facts& f) {
       f.daemon.status->manual.emplace_back();
       f.daemon.status->manual[0].name = "lab";
       f.daemon.status->manual[0].state = "ended";
       f.daemon.status->manual[0].reason = "hard limit";
     },
     State::problem, "manual lab", "state", "ended: hard limit", "new keys"},
};

TEST(Doctor, NamesWhatIsWrongAndTheWayOut) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    Facts facts = healthy();
    one.break_it(facts);
    const Findings findings = judge(facts);
    const auto found = std::ranges::find_if(findings, [&](const Finding& finding) {
      return finding.group == one.group && finding.what == one.what && finding.state != State::ok &&
             finding.found.find(one.found) != std::string::npos;
    });
    if (found == findings.end()) {
      ADD_FAILURE() << render(findings, false);
      continue;
    }
    EXPECT_EQ(found->state, one.state);
    EXPECT_THAT(found->way_out, HasSubstr(one.way_out));
    for (const Finding& finding : findings) {
      if (finding.state == State::problem) {
        EXPECT_NE(finding.way_out, "") << finding.what;
        EXPECT_EQ(one.state, State::problem) << "only a note was expected: " << finding.what << ": " << finding.found;
      }
    }
  }
}

// What another program may be called, or a file hold, reaches the terminal as printable text; no line is too long.
TEST(Doctor, FitsATerminal) {
  for (const Case& one : kCases) {
    Facts facts = healthy();
    one.break_it(facts);
    const std::string text = render(judge(facts), false);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), kWidth) << line;
      EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
    }
  }
}

TEST(Doctor, RendersGroupsAndTheSum) {
  const Findings findings = {{"machine", "rights", State::ok, "root", ""},
                             {"machine", "a very long name of a check", State::note, "found", "do this"},
                             {"tunnel office", "peer", State::problem,
                              "a sentence that is a good deal longer than what fits in the rest of a line", "do that"}};
  EXPECT_EQ(render(findings, false),
            R"(machine
  ok       rights           root
  note     a very long name of a check
                            found
                            -> do this

tunnel office
  PROBLEM  peer             a sentence that is a good deal longer than what fits
                            in the rest of a line
                            -> do that

1 problem, 1 note
)");
  EXPECT_THAT(render(findings, true), HasSubstr("\x1b[31mPROBLEM\x1b[0m  peer"));
  EXPECT_THAT(render({}, false), HasSubstr("no problem, no note"));
  const auto json = nlohmann::json::parse(to_json_text(findings));
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["problems"], 1);
  EXPECT_EQ(json["notes"], 1);
  EXPECT_EQ(json["checks"].size(), 3U);
  EXPECT_EQ(json["checks"][2]["state"], "problem");
  EXPECT_EQ(json["checks"][2]["way_out"], "do that");
}

}  // namespace
}  // namespace culvert::cli::doctor
