// The command against a daemon with canned answers: what it prints, in full, and its exit codes.
#include "cli/run.hpp"

#include <fstream>
#include <sstream>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/json.hpp"
#include "cli/status_printer.hpp"
#include "cli/testing/command.hpp"
#include "cli/text.hpp"
#include "config/credential_files.hpp"
#include "config/words.hpp"

namespace culvert::cli {
namespace {

using ::testing::AllOf;
using testing::Command;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(Command, StatusSaysWhichWorkerAChildSaIsFor) {
  office_is_up();
  auto& children = daemon_.handlers.office.ike_sas.at(0).children;
  children.push_back(children[0]);
  children[1].resource = 3;
  daemon_.start();
  EXPECT_EQ(run({"status", "office"}), 0);
  EXPECT_NE(out().find("\n    Child SA 2: aes"), std::string::npos) << out();
  EXPECT_NE(out().find("\n    Child SA 2 for worker 3: aes"), std::string::npos) << out();
}

TEST_F(Command, StatusSaysWhatThePeerGaveUs) {
  office_is_up();
  daemon_.handlers.office.given = {.addresses = {"10.9.0.7"},
                                   .dns_servers = {"10.1.0.53"},
                                   .encrypted_dns = {"10.1.0.54:853#dns.example.org dot"},
                                   .domains = {"example.org"},
                                   .subnets = {}};
  daemon_.start();
  EXPECT_EQ(run({"status", "office"}), 0);
  EXPECT_NE(out().find("  our address is 10.9.0.7; name servers 10.1.0.53; encrypted name servers\n"
                       "  10.1.0.54:853#dns.example.org dot for example.org\n"),
            std::string::npos)
      << out();
}

TEST_F(Command, StatusGolden) {
  office_is_up();
  api::Status& status = daemon_.handlers.answer;
  status.daemon = {"0.1.0", 1234, 3725, "/etc/culvert", "culvert0", 500, 4500, "/tmp/keys", {}};
  status.daemon.data_path = {"tcp+udp", 262'140, true, true, true, false, "epoll", 1};
  api::TunnelStatus home{.name = "home",
                         .state = api::TunnelState::retrying,
                         .start = "auto",
                         .peer = "198.51.100.7",
                         .local = {"10.1.0.0/16"},
                         .remote = {"10.9.0.0/16"},
                         .place = "home.toml:3"};
  home.last_failure = api::Failure{4, 1'000'000'000, "no_answer", "the peer 198.51.100.7 did not answer",
                                   "is it running, and do firewalls let UDP ports 500 and 4500 through?"};
  home.retry_in = 12;
  status.tunnels.push_back(home);
  status.ike_counters = {{"datagrams_in", 10}, {"datagrams_out", 12}, {"retransmissions", 2}, {"repeated", 5}};
  status.ike_drops = {{"malformed", 3}, {"unknown_ike_sa", 1000}};
  status.ike_refusals = {{"no_common_algorithms", 2}, {"invalid_request", 7}};
  status.packet_drops = {{"replayed", 4}};
  daemon_.start();
  EXPECT_EQ(run({"status"}), 0);
  EXPECT_EQ(out(),
            R"(culvertd 0.1.0, up 1h2m, pid 1234, configuration /etc/culvert
interface culvert0, UDP ports 500 and 4500
packets: epoll, 1 worker; TUN super-packets tcp+udp, TCP up to 255 KiB; with
UDP_SEGMENT, with UDP_GRO, with raw ESP and AH, without IPv6
ALL KEYS ARE WRITTEN to /tmp/keys

office  up  peer 192.0.2.2  start auto  (office.toml:1)
  10.1.0.0/16 <-> 10.2.0.0/16
  IKE SA 1: initiator, aes256gcm16-prfsha256-x25519, 2m5s old, rekey in 3h30m
    192.0.2.1:4500 (192.0.2.1) <-> 192.0.2.2:4500 (gw.example.net)
    SPIs 0x0123456789abcdef 0xfedcba9876543210
    the peer is behind a NAT, or says so to have ESP in UDP
    Child SA 2: aes128gcm16-esn by ipsec-mb 1.3.0, tunnel, ESP in UDP, 1m5s old,
    rekey in 50m
      10.1.0.0/16 <-> 10.2.0.0/16
      in   SPI 0xc0000001       1,234,567 packets    1.5 GB
      out  SPI 0xc0000002               9 packets     756 B
      dropped: 3 replayed, 0 with a wrong integrity check

home  retrying  peer 198.51.100.7  start auto  (home.toml:3)
  10.1.0.0/16 <-> 10.9.0.0/16
  failed 1m ago: the peer 198.51.100.7 did not answer
    is it running, and do firewalls let UDP ports 500 and 4500 through?
  next attempt in 12s

IKE: 10 datagrams in, 12 out, 2 sent again, 0 half-open
5 requests of peers came again: they, or our answers, were lost or late
IKE datagrams dropped: unknown_ike_sa 1,000, malformed 3
IKE messages refused: invalid_request 7, no_common_algorithms 2
packets dropped: replayed 4
)");
  EXPECT_EQ(err(), "");
  std::istringstream lines(out());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), kWidth) << line;
  EXPECT_EQ(out().find('\x1b'), std::string::npos);
  EXPECT_EQ(run({"status"}, true), 0);
  EXPECT_THAT(out(), HasSubstr("\x1b[32mup\x1b[0m"));
  EXPECT_EQ(run({"status", "office"}), 0);
  EXPECT_THAT(out(), StartsWith("office  up"));
  EXPECT_EQ(run({"status", "--json"}), 0);
  EXPECT_THAT(out(), StartsWith("{\n  \"daemon\": {\n    \"version\": \"0.1.0\""));
}

TEST_F(Command, StatusInPartsIsTheSame) {
  daemon_.handlers.have_many();
  daemon_.handlers.answer.manual.emplace_back().name = "wire";
  api::Status whole = daemon_.handlers.answer;
  whole.tunnels.insert(whole.tunnels.begin(), daemon_.handlers.office);
  daemon_.start();
  EXPECT_EQ(run({"status", "--json"}), 0);
  EXPECT_EQ(out(), api::to_json_text(whole, 2) + '\n');
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"status"}, {"status", "--json"}, {"status", "office"}, {"status", "office", "--json"}, {"list"}}) {
    daemon_.handlers.most_at_once = 1000;
    EXPECT_EQ(run(arguments), 0);
    const std::string at_once = out();
    EXPECT_THAT(at_once, HasSubstr("office"));
    daemon_.handlers.most_at_once = 2;
    EXPECT_EQ(run(arguments), 0);
    EXPECT_EQ(out(), at_once);
  }
  EXPECT_EQ(run({"status", "nowhere"}), 5);
}

TEST_F(Command, StatusOfNoTunnelsAtAll) {
  // "office" is always there with these handlers: what is printed of nothing is seen without them.
  std::ostringstream text;
  StatusPrinter people(text, {}, std::nullopt);
  people.take({});
  people.finish();
  EXPECT_THAT(text.str(), HasSubstr("\nno tunnels\n"));
  std::ostringstream json;
  StatusPrinter programs(json, {}, 2);
  programs.take({});
  programs.finish();
  EXPECT_EQ(json.str(), api::to_json_text(api::Status{}, 2) + '\n');
}

TEST_F(Command, ListGolden) {
  daemon_.handlers.office.remote.push_back("10.3.0.0/16");
  daemon_.start();
  EXPECT_EQ(run({"list"}), 0);
  EXPECT_EQ(out(),
            "NAME    STATE  START  PEER       LOCAL <-> REMOTE\n"
            "office  down   auto   192.0.2.2  10.1.0.0/16 <-> 10.2.0.0/16 and 1 more\n");
}

TEST_F(Command, LeasesGolden) {
  daemon_.start();
  EXPECT_EQ(run({"leases"}), 0);
  EXPECT_EQ(out(), "no leases\n");
  daemon_.handlers.leased.leases = {
      {.address = "10.9.0.7", .identity = "amy@example.org", .pool = "staff", .sessions = 1},
      {.address = "10.9.0.8", .identity = "bob@example.org", .pool = "staff", .sessions = 0}};
  EXPECT_EQ(run({"leases"}), 0);
  EXPECT_EQ(out(),
            "ADDRESS   IDENTITY         POOL   SESSIONS\n"
            "10.9.0.7  amy@example.org  staff  1\n"
            "10.9.0.8  bob@example.org  staff  none\n");
}

TEST_F(Command, WhyGolden) {
  daemon_.start();
  EXPECT_EQ(run({"why"}), 0);
  EXPECT_EQ(out(), "nothing that went wrong is known\n");
  constexpr std::int64_t now = 1'000'060'000;
  daemon_.handlers.failed.failures = {{.time = now - 12'000,
                                       .since = now - 3'600'000,
                                       .times = 3,
                                       .tunnel = "office",
                                       .peer = "192.0.2.7",
                                       .identity = "amy@example.org",
                                       .began = "peer",
                                       .what = "IKE SA",
                                       .kind = "authentication_failed",
                                       .message = "her certificate has expired",
                                       .hint = "Give her a new one."},
                                      {.time = now - 60'000,
                                       .since = now - 60'000,
                                       .times = 1,
                                       .tunnel = "",
                                       .peer = "198.51.100.9",
                                       .identity = "",
                                       .began = "peer",
                                       .what = "IKE SA",
                                       .kind = "unknown_peer",
                                       .message = "no connection is configured for these addresses",
                                       .hint = ""}};
  const std::string amy =
      "office  192.0.2.7, amy@example.org  12s ago, 3 times in 1h\n"
      "  the IKE SA that it began failed: her certificate has expired\n"
      "    Give her a new one.\n";
  const std::string stranger =
      "no tunnel  198.51.100.9  1m ago\n"
      "  the IKE SA that it began failed: no connection is configured for these\n"
      "  addresses\n";
  EXPECT_EQ(run({"why"}), 0);
  EXPECT_EQ(out(), amy + '\n' + stranger);
  for (const char* who : {"office", "192.0.2.7", "amy"}) {
    EXPECT_EQ(run({"why", who}), 0);
    EXPECT_EQ(out(), amy) << who;
  }
  EXPECT_EQ(run({"why", "198.51.100.9"}), 0);
  EXPECT_EQ(out(), stranger);
  EXPECT_EQ(run({"why", "192.0.2"}), 0);
  EXPECT_EQ(out(), "nothing that went wrong is known\n") << "a part of an address is none";
  daemon_.handlers.failed.failures[1].identity = "198.51.100.9";
  EXPECT_EQ(run({"why", "198.51.100.9"}), 0);
  EXPECT_EQ(out(), stranger) << "an identity that is the address says nothing more";
}

TEST_F(Command, UpTellsTheStory) {
  daemon_.log.append(0, api::LogLevel::info, "office", "an old story");
  daemon_.handlers.on_poll = [this, polls = 0](api::TunnelStatus& tunnel) mutable {
    if (++polls == 1) daemon_.log.append(1, api::LogLevel::info, "office", "sent IKE_SA_INIT request");
    if (polls == 1) daemon_.log.append(1, api::LogLevel::debug, "office", "a detail");
    if (polls == 3) office_is_up(), tunnel.state = api::TunnelState::up;
  };
  daemon_.start();
  EXPECT_EQ(run({"up", "office"}), 0);
  EXPECT_EQ(out(), "  sent IKE_SA_INIT request\noffice is up: 192.0.2.1:4500 <-> 192.0.2.2:4500, aes128gcm16-esn\n");
  EXPECT_EQ(run({"up", "office", "--wait", "0"}), 0);
}

TEST_F(Command, UpThatFailsSaysWhyAndWhatToDo) {
  daemon_.handlers.office.last_failure = api::Failure{0, 0, "no_answer", "an old failure", ""};
  daemon_.handlers.on_poll = [](api::TunnelStatus& tunnel) {
    tunnel.state = api::TunnelState::retrying;
    tunnel.last_failure = api::Failure{tunnel.attempts, 0, "authentication_failed", "the peer refused our secret",
                                       "compare the secret on both sides"};
    tunnel.retry_in = 5;
  };
  daemon_.start();
  EXPECT_EQ(run({"up", "office"}), 1);
  EXPECT_EQ(err(),
            "culvert: office did not come up: the peer refused our secret\n  compare the secret on both sides\n  "
            "culvertd tries again by itself\n");
  EXPECT_EQ(run({"up", "office", "--json"}), 1);
  EXPECT_THAT(out(), HasSubstr("\"message\": \"the peer refused our secret\""));
}

// The reason stands in the log as well, and may be read there before the tunnel's state says that this is the end.
TEST_F(Command, UpThatFailsSaysTheReasonOnce) {
  const std::string reason = "the peer 192.0.2.2 refused our secret";
  daemon_.handlers.on_poll = [&, polls = 0](api::TunnelStatus& tunnel) mutable {
    if (++polls == 1) {
      daemon_.log.append(1, api::LogLevel::info, "office", "sent IKE_SA_INIT request");
      daemon_.log.append(1, api::LogLevel::error, "office", "a route could not be had");
    }
    if (polls == 2) {
      daemon_.log.append(1, api::LogLevel::error, "office", "IKE SA set-up failed with 192.0.2.2:500: " + reason);
      daemon_.log.append(1, api::LogLevel::info, "office", "trying again in 5 s");
    }
    if (polls == 3) tunnel.last_failure = api::Failure{tunnel.attempts, 0, "authentication_failed", reason, ""};
  };
  daemon_.start();
  EXPECT_EQ(run({"up", "office"}), 1);
  EXPECT_EQ(out(), "  sent IKE_SA_INIT request\n  a route could not be had\n  trying again in 5 s\n");
  EXPECT_EQ(err(), "culvert: office did not come up: " + reason + '\n');
}

TEST_F(Command, UpThatTakesTooLongKeepsNothingOfTheStoryBack) {
  daemon_.log.append(0, api::LogLevel::info, "office", "an old story");
  daemon_.handlers.on_up = [&](api::TunnelStatus&) {
    daemon_.log.append(1, api::LogLevel::error, "office", "a route could not be had");
  };
  daemon_.start();
  EXPECT_EQ(run({"up", "office", "-w", "1"}), 6);
  EXPECT_EQ(out(), "  a route could not be had\n");
}

TEST_F(Command, UpThatTakesTooLong) {
  daemon_.start();
  EXPECT_EQ(run({"up", "office", "-w", "1"}), 6);
  EXPECT_THAT(err(), StartsWith("culvert: office is not up after 1 s; it is connecting\n"));
  const auto after = [&](const char* step) {
    daemon_.handlers.on_up = [step](api::TunnelStatus& tunnel) { tunnel.progress = step; };
    EXPECT_EQ(run({"up", "office", "-w", "1"}), 6);
    return err();
  };
  EXPECT_THAT(after("sent IKE_SA_INIT request to 192.0.2.2:500, offering much"),
              StartsWith("culvert: office is not up after 1 s; the peer 192.0.2.2 has not answered since we sent "
                         "IKE_SA_INIT request to 192.0.2.2:500\n"));
  EXPECT_THAT(after("sent IKE_AUTH request as CN=gw, O=Example to 192.0.2.2:4500"),
              HasSubstr("has not answered since we sent IKE_AUTH request as CN=gw, O=Example to 192.0.2.2:4500\n"));
  EXPECT_THAT(after("received IKE_SA_INIT request"),
              StartsWith("culvert: office is not up after 1 s; the last step with the peer 192.0.2.2: received "
                         "IKE_SA_INIT request\n"));
}

TEST_F(Command, DownRekeyApply) {
  api::ApplyResult& result = daemon_.handlers.apply_answer;
  result.added = {"lab"};
  result.changed = {{"office", {"peer: 192.0.2.2 -> 192.0.2.9"}, true}};
  result.unchanged = {"home"};
  daemon_.start();
  EXPECT_EQ(run({"down", "office"}), 0);
  EXPECT_EQ(out(), "office is down\n");
  EXPECT_EQ(run({"redirect", "office", "gw2.example.net"}), 0);
  EXPECT_EQ(out(), "office: sending the peers of 2 IKE SAs to gw2.example.net, as far as they can follow\n");
  EXPECT_EQ(run({"redirect", "office"}), 2);
  EXPECT_EQ(run({"rekey", "office"}), 0);
  EXPECT_EQ(out(), "office: rekeying 0 IKE and 1 Child SAs\n");
  EXPECT_EQ(run({"rekey", "office", "--ike"}), 0);
  EXPECT_EQ(out(), "office: rekeying 1 IKE and 0 Child SAs\n");
  EXPECT_EQ(run({"rekey", "office", "--ike", "--child", "--json"}), 0);
  EXPECT_EQ(out(), "{\n  \"ike_sas\": 1,\n  \"child_sas\": 1\n}\n");
  EXPECT_EQ(run({"apply", "--dry-run"}), 0);
  EXPECT_EQ(out(),
            "+ lab  new\n~ office  is set up anew\n    peer: 192.0.2.2 -> 192.0.2.9\n"
            "nothing was applied (dry run): 1 new, 0 removed, 1 changed, 1 as before\n");
}

TEST_F(Command, ApplyOfABrokenConfiguration) {
  daemon_.handlers.failure =
      api::Error{api::ErrorCode::config_invalid,
                 "the configuration has 1 error; nothing was changed",
                 "",
                 "",
                 {{"error", "a.toml", 3, 4, "tunnel.a.peer", "\"x y\" is no name", "write a name"}}};
  daemon_.start();
  EXPECT_EQ(run({"apply"}), 4);
  EXPECT_EQ(err(),
            "culvert: the configuration has 1 error; nothing was changed\na.toml:3:4: error: tunnel.a.peer: \"x y\" is "
            "no name\n  write a name\n");
}

TEST_F(Command, Log) {
  daemon_.log.append(1'000, api::LogLevel::info, "office", "is up");
  daemon_.log.append(2'500, api::LogLevel::warning, "", "careful");
  daemon_.start();
  EXPECT_EQ(run({"log"}), 0);
  EXPECT_EQ(out(), "1970-01-01 00:00:01.000 info    office: is up\n1970-01-01 00:00:02.500 warning careful\n");
  EXPECT_EQ(run({"log", "-n", "1"}), 0);
  EXPECT_EQ(out(), "1970-01-01 00:00:02.500 warning careful\n");
  follow_rounds_ = 1;
  EXPECT_EQ(run({"log", "-f", "office", "--json"}), 0);
  EXPECT_THAT(out(), HasSubstr(R"("tunnel":"office","text":"later"})"));
}

TEST_F(Command, ErrorsAndTheirExitCodes) {
  EXPECT_EQ(run({"status"}), 3);
  EXPECT_THAT(err(), HasSubstr("culvert: culvertd is not running: there is no socket"));
  EXPECT_EQ(run({"status", "--json"}), 3);
  EXPECT_THAT(out(), StartsWith("{\n  \"code\": \"unreachable\""));
  daemon_.start();
  EXPECT_EQ(run({"up", "nowhere"}), 5);
  EXPECT_THAT(err(), StartsWith("culvert: there is no tunnel \"nowhere\"\n"));
  EXPECT_EQ(run({"stauts"}), 2);
  EXPECT_EQ(
      err(),
      "culvert: there is no command \"stauts\"\n  did you mean \"status\"?\n  `culvert --help` lists the commands\n");
  EXPECT_EQ(run({"--sokcet", "x", "status"}), 2);
  EXPECT_THAT(err(), AllOf(HasSubstr("--sokcet"), HasSubstr("\n  `culvert --help` lists")));
  EXPECT_EQ(run({"up"}), 2);
  EXPECT_EQ(err(), "culvert: up: NAME is required\n  `culvert up --help` says more\n");
  EXPECT_EQ(run({"sa"}), 2);
  EXPECT_EQ(err(), "culvert: sa wants to be told what to do: list, add, del\n  `culvert sa --help` says more\n");
  EXPECT_EQ(run({"policy", "lsit"}), 2);
  EXPECT_THAT(err(), StartsWith("culvert: policy wants to be told what to do: list, add, del\n"));
  EXPECT_EQ(run({"up", "office", "--wait", "-5"}), 2);
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(err(), "culvert: say what to do\n  `culvert --help` lists the commands\n");
  EXPECT_EQ(run({"--help"}), 0);
  for (const char* word : {"Exit codes", "keygen", "not reachable"}) EXPECT_THAT(out(), HasSubstr(word));
}

TEST_F(Command, KeygenIsReadByTheParser) {
  EXPECT_EQ(run({"keygen"}), 0);
  const std::string first = out().substr(0, out().size() - 1);
  const auto secret = config::parse_secret(first);
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->size(), 32u);
  EXPECT_EQ(run({"keygen"}), 0);
  EXPECT_NE(out(), first + "\n");
  const auto file = (daemon_.folder() / "new.psk").string();
  EXPECT_EQ(run({"keygen", "-o", file}), 0);
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(run({"keygen", "-o", file}), 1) << "never overwritten";
}

TEST_F(Command, KeygenMakesPairsOfKeysThatFit) {
  const auto file = (daemon_.folder() / "new.key").string();
  EXPECT_EQ(run({"keygen", "--key"}), 1);
  EXPECT_THAT(err(), HasSubstr("a private key is not shown"));
  EXPECT_EQ(run({"keygen", "--key", "-o", file, "--json"}), 0);
  const auto made = nlohmann::json::parse(out());
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  config::CredentialFiles files(0);
  const auto& key = files.key(file);
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(config::to_base64(key->public_key().spki()), made["public_key"]);
  EXPECT_EQ(run({"keygen", "--key", "-o", file}), 1) << "never overwritten";
}

TEST_F(Command, TransformsNeedsNoDaemon) {
  EXPECT_EQ(run({"transforms"}), 0);
  for (const char* text : {"aes128gcm16", "chacha20poly1305iiv", "camellia256ctr", "aesxcbc", "RFC 8221", "modp1024",
                           "needs compat \"3des\""}) {
    EXPECT_THAT(out(), HasSubstr(text));
  }
  EXPECT_EQ(run({"transforms", "--json"}), 0);
  const auto all = nlohmann::json::parse(out())["transforms"];
  const auto row = [&](const char* type, const char* word) {
    for (const auto& entry : all) {
      if (entry["type"] == type && entry["word"] == word) return entry;
    }
    return nlohmann::json();
  };
  const auto ccm = row("encryption", "aes192ccm12");
  EXPECT_EQ(ccm["number"], 15);
  EXPECT_EQ(ccm["key_bits"], 192);
  EXPECT_EQ(ccm["salt"], 3);
  EXPECT_EQ(ccm["iv"], 8);
  EXPECT_EQ(ccm["icv"], 12);
  EXPECT_EQ(ccm["ah"], false);
  EXPECT_THAT(ccm["backend"].get<std::string>(), StartsWith("OpenSSL 3."));
  EXPECT_EQ(row("encryption", "aes256gcm16iiv")["iv"], 0);
  const auto gmac = row("integrity", "aes256gmac");
  EXPECT_EQ(gmac["key_bits"], 256);
  EXPECT_EQ(gmac["salt"], 4);
  EXPECT_EQ(gmac["iv"], 8);
  EXPECT_EQ(gmac["ah"], true);
  EXPECT_EQ(gmac["esp"], false);
  EXPECT_EQ(row("integrity", "md5")["compat"], "md5");
  EXPECT_EQ(row("integrity", "md5")["rfc8221"], "MUST NOT");
  EXPECT_EQ(row("key exchange", "modp768")["refused"], true);
}

TEST_F(Command, CheckNeedsNoDaemon) {
  const auto file = (daemon_.folder() / "a.toml").string();
  std::ofstream(file) << "[tunnel.office]\npeer = \"192.0.2.2\"\nsecret = \"0123456789abcdef\"\nlocal = "
                         "[\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n";
  ::chmod(file.c_str(), 0600);
  EXPECT_EQ(run({"check", file}), 0);
  EXPECT_THAT(out(), HasSubstr("good, 1 tunnel:"));
  std::ofstream(file, std::ios::app) << "remot = 1\n";
  EXPECT_EQ(run({"check", file}), 4);
  EXPECT_EQ(out(), file + ":6:1: error: tunnel.office.remot: there is no such setting\n  did you mean \"remote\"?\n" +
                       file + ": 1 error\n");
  EXPECT_EQ(run({"check", file, "--json"}), 4);
  EXPECT_THAT(out(), StartsWith("{\n  \"ok\": false"));
}

}  // namespace
}  // namespace culvert::cli
