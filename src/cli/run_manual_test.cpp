// `culvert sa` and `culvert policy` against a daemon with canned answers.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/testing/command.hpp"

namespace culvert::cli {
namespace {

using testing::Command;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(Command, SaAddTakesKeysFromFilesAndStandardInput) {
  daemon_.start();
  const auto key = (daemon_.folder() / "in.key").string();
  std::ofstream(key) << "0x0102\n";
  in_.str("0x0304\n");
  EXPECT_EQ(run({"sa", "add", "lab", "peer=192.0.2.2", "encryption_key_in=@" + key, "encryption_key_out=-"}), 0);
  EXPECT_EQ(daemon_.handlers.added,
            (api::AddRequest{
                "lab", {{"peer", "192.0.2.2"}, {"encryption_key_in", "0x0102"}, {"encryption_key_out", "0x0304"}}}));
  EXPECT_THAT(out(), StartsWith("lab  up  manual keys"));
  EXPECT_EQ(err(), "");
}

TEST_F(Command, KeysOnTheCommandLineAreWarnedOfAndMissingOnesRefused) {
  daemon_.start();
  EXPECT_EQ(run({"sa", "add", "lab", "encryption_key_in=0x0102"}), 0);
  EXPECT_THAT(err(), HasSubstr("a key on the command line is seen by everybody"));
  EXPECT_THAT(err(), ::testing::Not(HasSubstr("0102")));
  EXPECT_EQ(run({"sa", "add", "lab", "encryption_key_in=@/nowhere/key"}), 2);
  EXPECT_THAT(err(), HasSubstr("encryption_key_in: cannot read \"/nowhere/key\""));
  EXPECT_EQ(run({"sa", "add", "lab", "encryption_key_in=-"}), 2);
  EXPECT_THAT(err(), HasSubstr("encryption_key_in: standard input has no line for it"));
  EXPECT_EQ(run({"sa", "add", "lab", "peer"}), 2);
  EXPECT_THAT(err(), HasSubstr("\"peer\" is no SETTING=VALUE"));
  EXPECT_EQ(run({"sa"}), 2) << "a verb is missing";
}

TEST_F(Command, SaListShowsOneOrAllAndDelRemoves) {
  daemon_.start();
  EXPECT_EQ(run({"sa", "list"}), 0);
  EXPECT_EQ(out(), "no manual SAs\n");
  api::ManualSa lab{.name = "lab", .state = "up", .place = "lab.toml:3", .protocol = "ah"};
  lab.local_address = "192.0.2.1";
  lab.peer = "192.0.2.2";
  lab.sequence_granted = 1048576;
  lab.sa = {.spi_inbound = "0x00001001",
            .spi_outbound = "0x00001002",
            .suite = "sha256-esn",
            .mode = "transport",
            .encapsulation = "none",
            .local = {"192.0.2.1"},
            .remote = {"192.0.2.2"}};
  lab.sa.counters.outbound_sequence = 12;
  daemon_.handlers.sas.sas = {lab};
  EXPECT_EQ(run({"sa", "list", "lab"}), 0);
  EXPECT_EQ(out(),
            "lab  up  manual keys  (lab.toml:3)\n"
            "  ah transport sha256-esn, in IP, 192.0.2.1 <-> 192.0.2.2\n"
            "  192.0.2.1 <-> 192.0.2.2\n"
            "    in   SPI 0x00001001               0 packets       0 B\n"
            "    out  SPI 0x00001002               0 packets       0 B\n"
            "    sequence number 12 of 1048576 reserved\n");
  EXPECT_EQ(run({"sa", "list", "other"}), 1);
  EXPECT_THAT(err(), HasSubstr("there is no manual SA other"));
  EXPECT_EQ(run({"sa", "del", "lab"}), 0);
  EXPECT_EQ(daemon_.handlers.removed, "sa lab");
}

TEST_F(Command, PolicyListIsInTheOrderOfTheRules) {
  daemon_.start();
  api::PolicyEntry rule;
  rule.position = 1;
  rule.action = "bypass";
  rule.direction = "both";
  rule.local = {"0.0.0.0/0", "::/0"};
  rule.remote = {"10.2.0.0/16[tcp/22]"};
  rule.name = "ssh";
  rule.origin = rule.place = "command";
  daemon_.handlers.rules.policies = {rule};
  EXPECT_EQ(run({"policy", "list"}), 0);
  EXPECT_EQ(out(),
            "#  ACTION  DIR   LOCAL <-> REMOTE             NAME  SA  FROM\n"
            "1  bypass  both  any <-> 10.2.0.0/16[tcp/22]  ssh   -   command\n");
  EXPECT_EQ(run({"policy", "add", "ssh", "action=bypass", "remote=10.2.0.0/16[tcp/22]"}), 0);
  EXPECT_EQ(daemon_.handlers.added.settings.size(), 2U);
  EXPECT_EQ(run({"policy", "del", "ssh"}), 0);
  EXPECT_EQ(daemon_.handlers.removed, "rule ssh");
}

}  // namespace
}  // namespace culvert::cli
