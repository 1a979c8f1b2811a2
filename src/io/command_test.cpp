#include "io/command.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"

namespace culvert::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class Command : public ::testing::Test {
 protected:
  [[nodiscard]] std::string script(const std::string& text) const {
    return folder_.file("script", "#!/bin/sh\n" + text + "\n", 0700).string();
  }
  std::string output() {
    std::ostringstream all;
    all << std::ifstream(folder_ / "out").rdbuf();
    return all.str();
  }
  TemporaryFolder folder_;
};

TEST_F(Command, GetsItsWordsAndItsInputAsTheyAre) {
  const std::string path =
      script("printf '%s|' \"$@\" > " + (folder_ / "out").string() + "; cat >> " + (folder_ / "out").string());
  const std::vector<std::string> words{path, "a b", "$HOME;x", "*"};
  const auto done = run_command(words, "line\n", seconds(20));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(output(), "a b|$HOME;x|*|line\n");
}

TEST_F(Command, AFailureTellsWhatWasSaid) {
  const std::vector<std::string> words{script("echo 'no such link' >&2; exit 3")};
  const auto done = run_command(words, "", seconds(20));
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().text, HasSubstr("status 3: no such link"));
}

TEST_F(Command, OneThatHangsIsKilled) {
  const std::vector<std::string> words{script("exec sleep 1000")};
  const auto done = run_command(words, "", milliseconds(200));
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().text, HasSubstr("did not end within"));
}

TEST_F(Command, OneThatIsNotThere) {
  const std::vector<std::string> words{(folder_ / "nothing").string()};
  EXPECT_FALSE(run_command(words, "", seconds(20)));
  EXPECT_EQ(find_program("no-such-program-here"), "");
  EXPECT_TRUE(find_program("sh").ends_with("/sh"));
}

}  // namespace
}  // namespace culvert::io
