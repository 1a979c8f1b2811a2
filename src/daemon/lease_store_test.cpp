#include "daemon/lease_store.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"

namespace culvert::daemon {
namespace {

using control::LeaseRecord;
using ::testing::HasSubstr;

LeaseRecord record(std::string_view address, std::string_view who, std::uint64_t order) {
  return {*net::IpAddress::parse(address), model::Identity::parse(who), order};
}

class LeaseStoreTest : public ::testing::Test {
 protected:
  std::vector<LeaseRecord> stored() {
    auto store = LeaseStore::open(folder_);
    EXPECT_TRUE(store) << store.error();
    auto records = store->load();
    EXPECT_TRUE(records) << records.error();
    return *records;
  }
  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
};

TEST_F(LeaseStoreTest, KeepsTheNewestOfEachAddress) {
  {
    auto store = LeaseStore::open(folder_ / "state");
    ASSERT_TRUE(store) << store.error();
    EXPECT_TRUE(store->load()->empty());
    ASSERT_TRUE(store->store(std::vector{record("10.9.0.1", "amy@x", 1), record("fd00:9::1", "bob@x", 2)}));
    ASSERT_TRUE(store->store(std::vector{record("10.9.0.1", "cat@x", 3), {*net::IpAddress::parse("10.9.0.2"), {}, 4}}));
  }
  folder_ /= "state";
  const auto records = stored();
  EXPECT_EQ(records.size(), 3U);
  EXPECT_NE(std::ranges::find(records, record("10.9.0.1", "cat@x", 3)), records.end());
  EXPECT_NE(std::ranges::find(records, record("fd00:9::1", "bob@x", 2)), records.end());
  struct stat facts{};
  ASSERT_EQ(::stat((folder_ / "leases.sqlite").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  folder_ = folder_.parent_path();
}

TEST_F(LeaseStoreTest, WhatWasStoredSurvivesTheProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto store = LeaseStore::open(folder_);
    if (!store || !store->store(std::vector{record("10.9.0.1", "amy@x", 1)})) ::_exit(1);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(stored(), std::vector{record("10.9.0.1", "amy@x", 1)});
}

TEST_F(LeaseStoreTest, ADamagedFileIsToldOf) {
  std::ofstream(folder_ / "leases.sqlite") << std::string(5000, 'x');
  const auto store = LeaseStore::open(folder_);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error(), HasSubstr("leases.sqlite"));
  EXPECT_THAT(store.error(), HasSubstr("move it away"));
}

TEST_F(LeaseStoreTest, AFolderThatCannotBeWrittenIsToldOf) {
  std::ofstream(folder_ / "file") << "x";
  const auto store = LeaseStore::open(folder_ / "file");
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error(), HasSubstr("choose another folder"));
}

}  // namespace
}  // namespace culvert::daemon
