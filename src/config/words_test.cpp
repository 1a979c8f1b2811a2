#include "config/words.hpp"

#include <array>

#include <gtest/gtest.h>

namespace culvert::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(ParseDuration, ReadsWhatPeopleWrite) {
  EXPECT_EQ(parse_duration("30s"), Duration(seconds(30)));
  EXPECT_EQ(parse_duration("4h"), Duration(hours(4)));
  EXPECT_EQ(parse_duration("1h30m"), Duration(minutes(90)));
  EXPECT_EQ(parse_duration("1d2h3m4s5ms"), Duration(hours(26) + minutes(3) + seconds(4) + milliseconds(5)));
  EXPECT_EQ(parse_duration("90"), Duration(seconds(90)));
  EXPECT_EQ(parse_duration("0"), Duration(0));
}

TEST(ParseDuration, RefusesTheRest) {
  for (const char* text :
       {"", "s", "-1s", "1 h", "30m1h", "1h1h", "1h30", "1w", "1.5h", "9999999999999999999h", "36501d", "5H", "1hh"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(DurationText, IsReadBack) {
  for (const char* text : {"0s", "30s", "4h", "1h30m", "1d", "500ms", "1d2h3m4s5ms"}) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(duration_text(*parsed), text);
  }
}

TEST(ParseSize, KnowsBothKindsOfPrefix) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("10GB"), 10'000'000'000u);
  EXPECT_EQ(parse_size("10GiB"), 10ull << 30);
  EXPECT_EQ(parse_size("1k"), 1000u);
  EXPECT_EQ(parse_size("1TiB"), 1ull << 40);
  for (const char* text : {"", "GB", "-1", "1.5GB", "1 GB", "1XB", "99999999TiB", "1GBB", "1Bi"})
    EXPECT_FALSE(parse_size(text)) << text;
}

std::string octets(std::string_view text) {
  const auto secret = parse_secret(text);
  return secret ? to_hex(secret->view()) : "refused: " + secret.error();
}

TEST(ParseSecret, ReadsTextHexAndBase64) {
  EXPECT_EQ(octets("abc"), "616263");
  EXPECT_EQ(octets("0xDEADbeef"), "deadbeef");
  EXPECT_EQ(octets("0sAQIDBA=="), "01020304");
  EXPECT_EQ(octets("0sAQIDBA"), "01020304");
  EXPECT_EQ(octets("0"), "30");
}

TEST(ParseSecret, NeverShowsWhatItRefuses) {
  EXPECT_EQ(octets(""), "refused: the secret is empty");
  EXPECT_EQ(octets("0x"), "refused: the secret is empty");
  EXPECT_EQ(octets("0s"), "refused: the secret is empty");
  EXPECT_EQ(octets("0x123"), "refused: what follows 0x is not an even number of hexadecimal digits");
  EXPECT_EQ(octets("0xhunter2!"), "refused: what follows 0x is not an even number of hexadecimal digits");
  EXPECT_EQ(octets("0s hunter2"), "refused: what follows 0s is not base64");
}

// RFC 4648 10: test vectors.
TEST(Base64, RfcVectors) {
  const std::array<std::pair<std::string_view, std::string_view>, 7> vectors = {{{"", ""},
                                                                                 {"f", "Zg=="},
                                                                                 {"fo", "Zm8="},
                                                                                 {"foo", "Zm9v"},
                                                                                 {"foob", "Zm9vYg=="},
                                                                                 {"fooba", "Zm9vYmE="},
                                                                                 {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), coded);
    const auto decoded = from_base64(coded);
    ASSERT_TRUE(decoded) << coded;
    EXPECT_TRUE(equal(*decoded, as_bytes(plain))) << coded;
  }
}

// RFC 4648 3.5: unused bits that are not zero are refused.
TEST(Base64, RefusesWhatNoEncoderMakes) {
  for (const char* text : {"Z", "Zh==", "Zm9=", "Zg===", "Z g=", "Zm9v\n"}) EXPECT_FALSE(from_base64(text)) << text;
}

TEST(Nearest, FindsTheMistypedWordOnly) {
  const std::array<std::string_view, 4> words = {"remote", "remote_id", "secret", "start"};
  EXPECT_EQ(nearest("remtoe", words), "remote");
  EXPECT_EQ(nearest("remoteid", words), "remote_id");
  EXPECT_EQ(nearest("secrets", words), "secret");
  EXPECT_EQ(nearest("left", words), std::nullopt);
  EXPECT_EQ(nearest("", words), std::nullopt);
  EXPECT_EQ(nearest(std::string(100'000, 'x'), words), std::nullopt);
}

TEST(OneOf, ReadsAsASentence) {
  const std::array<std::string_view, 3> words = {"a", "b", "c"};
  EXPECT_EQ(one_of(words), "a, b or c");
  EXPECT_EQ(one_of(std::span(words).first(1)), "a");
}

}  // namespace
}  // namespace culvert::config
