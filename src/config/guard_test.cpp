// Hostile inputs: whatever stands in a file, loading ends with a Config or with problems.
#include "config/guard.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "config/config_test_support.hpp"

namespace culvert::config {
namespace {

using ::testing::HasSubstr;
using testing::problems_of;
using ::testing::StartsWith;
using testing::tunnel;

std::string repeated(std::string_view part, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += part;
  return out;
}

TEST(Guard, LetsOrdinaryFilesThrough) {
  EXPECT_EQ(guard(tunnel()), std::nullopt);
  EXPECT_EQ(
      guard("# [[[[[[[[[[[[[[[[[[[[[[[[[\na = \"[[[[[[[[[[[[[[[[[[[[[[[[[\"\nb = '''\n[[[[[[[[[[[[[[[[[[[[[[\n'''\n"),
      std::nullopt);
  EXPECT_EQ(guard("a = \"quote \\\" and [[[[[[[[[[[[[[[[[[[[[[[\"\n"), std::nullopt);
  EXPECT_EQ(guard(""), std::nullopt);
}

TEST(Guard, NamesThePlaceOfDeepNesting) {
  const auto problem = guard("a = 1\nb = " + repeated("[", 1000));
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->position, (Position{{}, 2, 21}));
  EXPECT_EQ(problem->message, "more than 16 nested brackets");
}

TEST(Guard, DeepNestingOfEveryKindIsRefused) {
  for (const std::string& text :
       {repeated("[", 500'000), repeated("a.", 500'000) + "b = 1", "[" + repeated("a.", 400'000) + "b]",
        "x = " + repeated("{a=", 300'000), "x = {" + repeated("a.", 300'000) + "b = 1}"}) {
    EXPECT_THAT(problems_of(text), HasSubstr("nested"));
  }
}

TEST(Guard, TenMegabytesAreRefusedAtOnce) {
  EXPECT_THAT(problems_of(repeated("# padding\n", 1'000'000)),
              StartsWith("a.toml: error: the file has 10000000 octets; 1048576 are allowed\n"));
}

TEST(Hostile, NulsAndControlCharacters) {
  EXPECT_THAT(problems_of(std::string("[tunnel.a]\npeer = \"a\0b\"\n", 22)), HasSubstr("a.toml:2"));
  EXPECT_THAT(problems_of(tunnel("local_id = \"a\\u0000b\"\n")),
              StartsWith("a.toml:6:12: error: tunnel.office.local_id: \"a\\x00b\" has control characters in it\n"));
  EXPECT_THAT(problems_of(tunnel("\"\\u001b[31mred\" = 1\n")),
              HasSubstr("tunnel.office.\\x1b[31mred: there is no such setting"));
  EXPECT_THAT(problems_of(std::string_view("\xff\xfe\x00\x00", 4)), StartsWith("a.toml:1"));
}

TEST(Hostile, HugeNumbers) {
  EXPECT_THAT(problems_of(tunnel("mtu = 99999999999999999999999999\n")), HasSubstr("a.toml:6"));
  EXPECT_THAT(problems_of(tunnel("mtu = 9223372036854775807\n")), HasSubstr("9223372036854775807 is out of range"));
  EXPECT_THAT(problems_of(tunnel("mtu = -9223372036854775808\n")), HasSubstr("-9223372036854775808 is out of range"));
  EXPECT_THAT(problems_of(tunnel("ike_lifetime = -1\n")), HasSubstr("-1 is not a time"));
  EXPECT_THAT(problems_of(tunnel("child_lifetime = \"99999999999999999999h\"\n")), HasSubstr("is not a time"));
  EXPECT_THAT(problems_of(tunnel("child_lifetime = { bytes = -5 }\n")), HasSubstr("-5 is not an amount of data"));
  EXPECT_THAT(problems_of(tunnel("rekey_margin = inf\n")), HasSubstr("is not a margin"));
}

TEST(Hostile, LongTextsAndLists) {
  EXPECT_THAT(problems_of(tunnel("local_id = \"" + repeated("x", 300) + "\"\n")),
              HasSubstr("the identity has 300 octets"));
  EXPECT_THAT(problems_of(tunnel("local_id = \"" + repeated("x", 100'000) + "\"\n")),
              HasSubstr("the text has 100000 octets"));
  EXPECT_THAT(problems_of(tunnel("ike = [" + repeated("\"aes256gcm16-prfsha256-x25519\",", 1000) + "]\n")),
              HasSubstr("the list has 1000 entries; 16 are allowed"));
  const std::string wide = problems_of(tunnel("\"" + repeated("x", 100'000) + "\" = 1\n"));
  EXPECT_LT(wide.size(), 2000u) << "what a file says is cut before it is shown";
}

TEST(Hostile, NoSecretIsEverShown) {
  for (const char* line :
       {"secret = \"0xhunter2hunter2\"\n", "secret = \"0shunter2 hunter2\"\n", "secret = \"hunter2\"\n",
        "secret = [\"hunter2\"]\n", "secret = { a = \"hunter2\" }\n", "secret = hunter2\n", "secret = \"hunter2\n",
        "secret = 'hunter2\n", "secret = \"\\hunter2\"\n", "secret = 0xhunter2\n", "secret = \"a\" hunter2\n"}) {
    EXPECT_EQ(problems_of(std::string("[tunnel.a]\n") + line).find("hunter2"), std::string::npos) << line;
  }
}

// Single octets of a good file changed at random: every outcome is a Config or problems with a place.
TEST(Hostile, ChangedOctetsNeverEndTheProcess) {
  const std::string good = tunnel(
      "ike = [\"aes256gcm16-prfsha256-x25519\"]\nchild_lifetime = { time = \"1h\", bytes = \"1GB\" }\n"
      "[daemon]\nlog_level = \"info\"\n[[policy]]\naction = \"bypass\"\nremote = [\"192.168.0.0/16[udp/53]\"]\n");
  SeededRandom random(1);
  for (int round = 0; round < 5000; ++round) {
    std::string text = good;
    for (std::uint64_t i = 1 + random.below(3); i > 0; --i)
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    const auto result = testing::load_text(text);
    if (result) continue;
    ASSERT_FALSE(result.error().empty());
    for (const Problem& problem : result.error()) ASSERT_EQ(problem.position.file, "a.toml");
  }
}

}  // namespace
}  // namespace culvert::config
