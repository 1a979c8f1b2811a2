// Stand-ins for resolvectl and resolvconf write down how they were called.
#include "daemon/name_servers.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"

namespace culvert::daemon {
namespace {

using ::testing::HasSubstr;

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

class NameServers : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::getenv("PATH");
    std::filesystem::create_directory(folder_ / "bin");
    ::setenv("PATH", (folder_ / "bin").c_str(), 1);
  }
  void TearDown() override { ::setenv("PATH", path_.c_str(), 1); }
  void install(const std::string& program, const std::string& more = {}) {
    const auto file = folder_ / "bin" / program;
    std::ofstream(file) << "#!/bin/sh\n{ echo \"$(/usr/bin/basename \"$0\") $*\"; [ \"$1\" != -a ] || /bin/cat; } >> "
                        << calls_file() << "\n"
                        << more << "\n";
    ::chmod(file.c_str(), 0700);
  }
  void run_resolved() { std::filesystem::create_directory(folder_ / "resolve"); }
  [[nodiscard]] std::string calls_file() const { return (folder_ / "calls").string(); }
  [[nodiscard]] std::string calls() const {
    std::ostringstream all;
    all << std::ifstream(calls_file()).rdbuf();
    return all.str();
  }
  [[nodiscard]] HostNameServers::Options options() const {
    return {.link = "culvert0", .folder = folder_ / "state", .resolved = folder_ / "resolve"};
  }
  HostNameServers made() {
    return HostNameServers(options(), [this](std::string text) { problems_ += text + "\n"; });
  }
  TemporaryFolder folder_;
  std::string path_;
  std::string problems_;
};

const control::NameServerWish kAll{{ip("10.1.0.53"), ip("fd00:1::53")}, {}, {}};
const control::NameServerWish kSplit{{ip("10.1.0.53")}, {"example.org", "corp.example.net"}, {}};
const control::NameServerWish kOverTls{
    {ip("10.1.0.53")}, {}, {{ip("10.1.0.54"), 853, "dns.example.org"}, {ip("fd00:1::54"), 8853, "dns.example.org"}}};

TEST_F(NameServers, OverTlsInsteadOfInClear) {
  run_resolved();
  install("resolvectl");
  HostNameServers servers = made();
  servers.apply(kOverTls);
  servers.wait();
  EXPECT_EQ(calls(),
            "resolvectl dnsovertls culvert0 yes\n"
            "resolvectl dns culvert0 10.1.0.54:853#dns.example.org [fd00:1::54]:8853#dns.example.org\n"
            "resolvectl domain culvert0 ~.\n"
            "resolvectl default-route culvert0 yes\n");
  servers.apply(kAll);
  servers.wait();
  EXPECT_THAT(calls(), HasSubstr("resolvectl dnsovertls culvert0 no\nresolvectl dns culvert0 10.1.0.53 fd00:1::53\n"));
  EXPECT_EQ(problems_, "");
}

TEST_F(NameServers, ResolvconfKnowsNoTls) {
  install("resolvconf");
  HostNameServers servers = made();
  servers.apply(kOverTls);
  servers.wait();
  EXPECT_EQ(calls(), "resolvconf -a tun.culvert0 -m 0 -x\nnameserver 10.1.0.53\n");
  control::NameServerWish only = kOverTls;
  only.servers.clear();
  servers.apply(only);
  servers.wait();
  EXPECT_TRUE(calls().ends_with("resolvconf -d tun.culvert0\n"));
  EXPECT_THAT(problems_, HasSubstr("run systemd-resolved"));
}

TEST_F(NameServers, SystemdResolvedIsToldAndTakenBack) {
  run_resolved();
  install("resolvectl");
  install("resolvconf");
  {
    HostNameServers servers = made();
    servers.apply(kSplit);
    servers.wait();
    EXPECT_EQ(calls(),
              "resolvectl dns culvert0 10.1.0.53\n"
              "resolvectl domain culvert0 ~example.org ~corp.example.net\n"
              "resolvectl default-route culvert0 no\n");
    EXPECT_TRUE(std::filesystem::exists(folder_ / "state" / "name-servers"));
    servers.apply({});
    servers.wait();
    EXPECT_THAT(calls(), HasSubstr("resolvectl revert culvert0\n"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "state" / "name-servers"));
    std::filesystem::remove(calls_file());
    servers.apply(kAll);
    servers.wait();
    EXPECT_THAT(calls(), HasSubstr("domain culvert0 ~.\nresolvectl default-route culvert0 yes\n"));
  }
  EXPECT_TRUE(calls().ends_with("resolvectl revert culvert0\n"));
  EXPECT_EQ(problems_, "");
}

TEST_F(NameServers, ResolvconfWithoutSystemdResolved) {
  install("resolvectl");
  install("resolvconf");
  {
    HostNameServers servers = made();
    servers.apply(kSplit);
    servers.wait();
    EXPECT_EQ(calls(),
              "resolvconf -a tun.culvert0 -m 0 -x\nnameserver 10.1.0.53\nsearch example.org corp.example.net\n");
    EXPECT_THAT(problems_, HasSubstr("all names are looked up"));
  }
  EXPECT_TRUE(calls().ends_with("resolvconf -d tun.culvert0\n"));
}

TEST_F(NameServers, WhatACrashLeftIsTakenBack) {
  install("resolvconf");
  std::filesystem::create_directory(folder_ / "state");
  std::ofstream(folder_ / "state" / "name-servers") << "resolvconf culvert7\n";
  (void)made();
  EXPECT_EQ(calls(), "resolvconf -d culvert7\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state" / "name-servers"));
}

TEST_F(NameServers, WithoutEitherTheUserIsTold) {
  HostNameServers servers = made();
  servers.apply({});
  servers.apply(kAll);
  servers.wait();
  EXPECT_THAT(problems_, HasSubstr("neither systemd-resolved runs nor resolvconf"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state" / "name-servers"));
}

TEST_F(NameServers, AFailureIsToldInItsWords) {
  run_resolved();
  install("resolvectl", "echo 'Failed to set DNS: Access denied' >&2; exit 1");
  {
    HostNameServers servers = made();
    servers.apply(kAll);
    servers.wait();
    EXPECT_THAT(problems_, HasSubstr("Failed to set DNS: Access denied"));
  }
  // It could not be taken back either: the next run shall try.
  EXPECT_TRUE(std::filesystem::exists(folder_ / "state" / "name-servers"));
}

}  // namespace
}  // namespace culvert::daemon
