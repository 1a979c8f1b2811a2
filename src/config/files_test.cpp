// Files, folders, secret files and who may read them.
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"
#include "config/config_test_support.hpp"

namespace culvert::config {
namespace {

using ::testing::HasSubstr;
using testing::lines;
using testing::tunnel;

class Files : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text, unsigned mode = 0600) const {
    return folder_.file(name, text, mode).string();
  }
  [[nodiscard]] std::string problems(const std::filesystem::path& path) const {
    const auto result = load(path);
    std::string text = lines(result ? result->warnings : result.error());
    for (std::size_t at = 0; (at = text.find(folder_.string(), at)) != std::string::npos;)
      text.replace(at, folder_.string().size(), "DIR");
    return text;
  }

  TemporaryFolder folder_;
};

std::string with_secret_file(std::string_view file) {
  return "[tunnel.office]\npeer = \"192.0.2.2\"\nsecret_file = \"" + std::string(file) +
         "\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n";
}

TEST_F(Files, FolderIsReadInSortedOrder) {
  std::string second = tunnel({}, "b");
  second.replace(second.find("10.2.0.0"), 8, "10.3.0.0");
  write("20-b.toml", second);
  write("10-a.toml", tunnel({}, "a"));
  write(".hidden.toml", "nonsense");
  write("note.txt", "nonsense");
  const auto config = load(folder_.path());
  ASSERT_TRUE(config) << lines(config.error());
  ASSERT_EQ(config->tunnels.size(), 2u);
  EXPECT_EQ(config->tunnels[0].connection.name, "a");
  EXPECT_EQ(config->files, (std::vector<std::string>{folder_ / "10-a.toml", folder_ / "20-b.toml"}));
}

TEST_F(Files, MissingAndEmpty) {
  EXPECT_EQ(problems(folder_ / "none"),
            "DIR/none: error: there is no such file or folder\n"
            "  write a configuration there, or name another path: `culvert check PATH`, `culvertd --config PATH`\n");
  EXPECT_EQ(problems(folder_.path()),
            "DIR: warning: there is no *.toml file in this folder, so there is no tunnel\n"
            "  put a file such as office.toml there; culvert.toml(5) has an example\n");
  EXPECT_THAT(problems("/dev/null"), HasSubstr("this is neither a file nor a folder"));
}

TEST_F(Files, SecretFileIsRelativeToItsFile) {
  write("office.psk",
        "0s"
        "MDEyMzQ1Njc4OWFiY2RlZg=="
        "\n");
  const auto config = load(write("a.toml", with_secret_file("office.psk"), 0644));
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_TRUE(equal(config->tunnels[0].secret.view(), as_bytes("0123456789abcdef")));
  EXPECT_TRUE(config->warnings.empty()) << lines(config->warnings);
}

TEST_F(Files, SecretFileThatIsNot) {
  const std::string path = write("a.toml", with_secret_file("office.psk"));
  EXPECT_EQ(problems(path),
            "DIR/a.toml:3:15: error: tunnel.office.secret_file: \"DIR/office.psk\" does not exist\n"
            "  the path is relative to the configuration file's folder\n");
  std::filesystem::create_directory(folder_ / "office.psk");
  EXPECT_THAT(problems(path), HasSubstr("cannot be read as a file"));
}

TEST_F(Files, SecretFileOfAnySize) {
  const std::string path = write("a.toml", with_secret_file("office.psk"));
  write("office.psk", std::string(10'000'000, 'x'));
  EXPECT_THAT(problems(path), HasSubstr("the secret has more than 4096 octets"));
  write("office.psk", "\n");
  EXPECT_THAT(problems(path), HasSubstr("the secret is empty"));
}

TEST_F(Files, OthersMustNotReadSecrets) {
  EXPECT_EQ(problems(write("a.toml", tunnel(), 0644)),
            "DIR/a.toml: error: \"DIR/a.toml\" holds a secret and has mode 644: everybody can read it\n"
            "  type: chmod 600 DIR/a.toml\n");
  EXPECT_THAT(problems(write("a.toml", tunnel(), 0602)), HasSubstr("everybody can change it"));
  EXPECT_EQ(problems(write("a.toml", tunnel(), 0600)), "");
  write("office.psk", "0123456789abcdef", 0604);
  EXPECT_EQ(problems(write("a.toml", with_secret_file("office.psk"), 0644)),
            "DIR/a.toml:3:15: error: tunnel.office.secret_file: \"DIR/office.psk\" holds a secret and has mode 604: "
            "everybody can read it\n"
            "  type: chmod 600 DIR/office.psk\n");
}

TEST_F(Files, GroupMayReadWithAWarning) {
  const std::string path = write("a.toml", tunnel(), 0640);
  if (::chown(path.c_str(), static_cast<uid_t>(-1), 65534) != 0) GTEST_SKIP() << "only root can give a file to a group";
  EXPECT_EQ(problems(path),
            "DIR/a.toml: warning: \"DIR/a.toml\" holds a secret and has mode 640: group 65534 can read it\n"
            "  type: chmod 600 DIR/a.toml\n");
  ASSERT_EQ(::chmod(path.c_str(), 0660), 0);
  EXPECT_THAT(problems(path),
              HasSubstr("error: \"DIR/a.toml\" holds a secret and has mode 660: group 65534 can change it"));
}

}  // namespace
}  // namespace culvert::config
