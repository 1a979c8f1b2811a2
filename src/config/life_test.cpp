// How IKE SAs begin, are proved anew and move, as the file says it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/diff.hpp"

namespace culvert::config {
namespace {

using namespace testing;

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(LifeSection, Defaults) {
  const auto config = load_text(tunnel(""));
  ASSERT_TRUE(config);
  EXPECT_EQ(config->tunnels[0].connection.life, model::SaLife{});
  EXPECT_TRUE(config->tunnels[0].connection.life.crash_detection);
}

TEST(LifeSection, AllOfIt) {
  const auto config = load_text(
      tunnel("remote_id = \"gw.example\"\nchildless = \"force\"\ncrash_detection = false\nreauthentication = \"8h\"\n"
             "resumption = \"1h\"\n"
             "follow_redirect = true\nredirect_to = \"gw2.example.net\"\nredirect_above = 100\nredirect_grace = 30\n"));
  ASSERT_TRUE(config) << lines(config.error());
  const model::SaLife& life = config->tunnels[0].connection.life;
  EXPECT_EQ(life, (model::SaLife{.childless = model::Childless::force,
                                 .crash_detection = false,
                                 .reauthentication = hours(8),
                                 .resumption = hours(1),
                                 .follow_redirect = true,
                                 .redirect_to = "gw2.example.net",
                                 .redirect_above = 100,
                                 .redirect_grace = seconds(30)}));
}

TEST(LifeSection, WhatCannotBe) {
  struct Case {
    std::string_view text, says;
  };
  for (const auto& [text, says] :
       {Case{"childless = \"always\"", "childless"}, Case{"reauthentication = \"5s\"", "reauthentication"},
        Case{"resumption = \"30s\"", "resumption"}, Case{"resumption = \"25h\"", "resumption"},
        Case{"redirect_above = 5", "nobody is sent anywhere"}, Case{"redirect_to = \"0.0.0.0\"", "neither an address"},
        Case{"redirect_to = \"300.1.2.3\"", "neither an address"}, Case{"redirect_to = \"a b\"", "neither an address"},
        Case{"follow_redirect = true", "could not prove that it is the right one"}}) {
    const auto config = load_text(tunnel(text));
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(lines(config.error()), HasSubstr(std::string(says)));
  }
}

TEST(LifeSection, AChangeIsSeenAndEndsNothing) {
  const auto before = load_text(tunnel(""));
  const auto after =
      load_text(tunnel("childless = \"prefer\"\nredirect_to = \"192.0.2.9\"\nreauthentication = \"1h\"\n"));
  ASSERT_TRUE(before && after);
  const Diff found = diff(*before, *after);
  ASSERT_EQ(found.changed.size(), 1u);
  EXPECT_FALSE(found.changed[0].restarts);
  EXPECT_EQ(found.changed[0].changes.size(), 3u);
}

}  // namespace
}  // namespace culvert::config
