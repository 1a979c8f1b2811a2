#include "config/diff.hpp"

#include <gtest/gtest.h>

#include "config/config_test_support.hpp"

namespace culvert::config {
namespace {

using testing::load_text;
using testing::tunnel;

Config config(std::string_view text) {
  auto result = load_text(text);
  if (!result) ADD_FAILURE() << testing::lines(result.error());
  return result ? std::move(*result) : Config{};
}

TEST(Diff, NothingChanged) {
  const Diff same = diff(config(tunnel()), config("# moved down\n\n" + tunnel()));
  EXPECT_TRUE(same.empty());
  EXPECT_EQ(same.unchanged, std::vector<std::string>{"office"});
}

TEST(Diff, AddedAndRemoved) {
  const Diff change = diff(config(tunnel({}, "old")), config(tunnel({}, "new")));
  EXPECT_EQ(change.added, std::vector<std::string>{"new"});
  EXPECT_EQ(change.removed, std::vector<std::string>{"old"});
}

TEST(Diff, SaysWhatChangedInWords) {
  std::string after = tunnel(
      "start = \"manual\"\nchild_lifetime = { time = \"30m\", bytes = \"1GB\" }\nmtu = 1300\nlocal_id = \"amy\"\n");
  after.replace(after.find("192.0.2.2"), 9, "192.0.2.9");
  const Diff change = diff(config(tunnel()), config(after));
  ASSERT_EQ(change.changed.size(), 1u);
  EXPECT_EQ(change.changed[0].name, "office");
  EXPECT_TRUE(change.changed[0].restarts);
  EXPECT_EQ(
      change.changed[0].changes,
      (std::vector<std::string>{"peer: 192.0.2.2 -> 192.0.2.9", "local_id: default -> amy", "start: auto -> manual",
                                "child_lifetime: 1h -> 30m, 1000000000 bytes", "mtu: none -> 1300"}));
}

TEST(Diff, SecretIsNotShown) {
  std::string after = tunnel();
  after.replace(after.find(testing::kSecret), 32, "fedcba9876543210fedcba9876543210");
  const Diff change = diff(config(tunnel()), config(after));
  ASSERT_EQ(change.changed.size(), 1u);
  EXPECT_EQ(change.changed[0].changes, std::vector<std::string>{"secret: changed"});
}

TEST(Diff, TimingAloneNeedsNoRestart) {
  const Diff change = diff(config(tunnel()), config(tunnel("liveness = \"10s\"\nike_lifetime = \"1h\"\n")));
  ASSERT_EQ(change.changed.size(), 1u);
  EXPECT_FALSE(change.changed[0].restarts);
  EXPECT_EQ(change.changed[0].changes, (std::vector<std::string>{"ike_lifetime: 4h -> 1h", "liveness: 30s -> 10s"}));
}

TEST(Diff, WhatNeedsARestartIsNotInForce) {
  const Config running = config("[daemon]\nexport_keys = \"/tmp/keys\"\n");
  Config wanted = config("[daemon]\nlog_level = \"debug\"\nike_port = 501\n");
  wanted.daemon = in_force(running.daemon, wanted.daemon);
  EXPECT_EQ(wanted.daemon.export_keys, "/tmp/keys") << "keys are still written, and the status must say so";
  EXPECT_EQ(wanted.daemon.ike_port, 500);
  EXPECT_EQ(wanted.daemon.log_level, LogLevel::debug);
  EXPECT_TRUE(diff(wanted, config("[daemon]\nlog_level = \"debug\"\nike_port = 501\n")).daemon_restart_needed)
      << "until it is restarted";
}

TEST(Diff, DaemonAndPolicies) {
  const Diff change =
      diff(config(""),
           config("[daemon]\nlog_level = \"debug\"\nike_port = 501\nfwmark = 7\n[[policy]]\naction = \"discard\"\n"));
  EXPECT_TRUE(change.policies_changed);
  EXPECT_TRUE(change.daemon_restart_needed);
  EXPECT_EQ(change.daemon,
            (std::vector<std::string>{"log_level: info -> debug", "ike_port: 500 -> 501", "fwmark: 4500 -> 7"}));
  EXPECT_FALSE(diff(config(""), config("[daemon]\nlog_level = \"debug\"\n")).daemon_restart_needed);
}

}  // namespace
}  // namespace culvert::config
