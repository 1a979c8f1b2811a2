// The keys of tickets: kept over restarts, changed every day, for nobody else's eyes.
#include "daemon/ticket_keys.hpp"

#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kHour = 3600;

class TicketKeysTest : public ::testing::Test {
 protected:
  TicketKeysTest() {
    std::string text = (std::filesystem::temp_directory_path() / "culvert-tickets-XXXXXX").string();
    folder = ::mkdtemp(text.data());
  }
  ~TicketKeysTest() override { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::filesystem::path file() const { return folder / "state" / "ticket-keys"; }
  [[nodiscard]] std::vector<ike::TicketKey> load(std::int64_t now) {
    auto keys = load_ticket_keys(folder / "state", random, now);
    EXPECT_TRUE(keys) << keys.error();
    return keys ? std::move(*keys) : std::vector<ike::TicketKey>();
  }

  std::filesystem::path folder;
  SeededRandom random{7};
};

TEST_F(TicketKeysTest, AreTheSameInTheNextRun) {
  const auto first = load(1'000'000);
  const auto second = load(1'000'000 + 23 * kHour);
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(first[0].id, second[0].id);
  EXPECT_EQ(first[0].key.size(), 32u);
  EXPECT_TRUE(equal(first[0].key.view(), second[0].key.view()));
  struct stat facts{};
  ASSERT_EQ(::stat(file().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST_F(TicketKeysTest, ChangeEveryDayAndStayForAsLongAsATicketIsGood) {  // RFC 5723 9.5
  const auto first = load(1'000'000);
  const auto second = load(1'000'000 + 24 * kHour);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_NE(second[0].id, first[0].id);
  EXPECT_EQ(second[1].id, first[0].id);
  EXPECT_EQ(load(1'000'000 + 47 * kHour).size(), 2u);
  const auto third = load(1'000'000 + 48 * kHour);
  ASSERT_EQ(third.size(), 2u);
  EXPECT_EQ(third[1].id, second[0].id);
  // After a long time off nothing of the old is left.
  EXPECT_EQ(load(1'000'000 + 500 * kHour).size(), 1u);
}

TEST_F(TicketKeysTest, RemovedOnesAreNotThoseOfTheNextRun) {
  EXPECT_TRUE(remove_ticket_keys(folder / "state")) << "where there are none";
  const auto first = load(1'000'000);
  ASSERT_TRUE(std::filesystem::exists(file()));
  EXPECT_TRUE(remove_ticket_keys(folder / "state"));
  EXPECT_FALSE(std::filesystem::exists(file()));
  const auto second = load(1'000'000);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_FALSE(equal(first[0].key.view(), second[0].key.view()));
}

TEST_F(TicketKeysTest, OfTheFutureAreNone) {
  const auto first = load(1'000'000);
  const auto second = load(1'000'000 - kHour);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_NE(second[0].id, first[0].id);
}

TEST_F(TicketKeysTest, WhatOthersCanReadOrIsTornIsRefused) {
  (void)load(1'000'000);
  ::chmod(file().c_str(), 0644);
  auto refused = load_ticket_keys(folder / "state", random, 1'000'000);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("can be read by others"));
  ::chmod(file().c_str(), 0600);
  std::filesystem::resize_file(file(), 30);
  refused = load_ticket_keys(folder / "state", random, 1'000'000);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("remove it"));
}

}  // namespace
}  // namespace culvert::daemon
