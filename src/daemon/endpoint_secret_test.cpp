// The secret behind crash tokens: made once, kept, for nobody else's eyes.
#include "daemon/endpoint_secret.hpp"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

using ::testing::HasSubstr;

class EndpointSecretTest : public ::testing::Test {
 protected:
  EndpointSecretTest() {
    std::string text = (std::filesystem::temp_directory_path() / "culvert-secret-XXXXXX").string();
    folder = ::mkdtemp(text.data());
  }
  ~EndpointSecretTest() override { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::filesystem::path file() const { return folder / "state" / "crash-secret"; }
  [[nodiscard]] Result<SecretBytes, std::string> load() { return load_endpoint_secret(folder / "state", random); }

  std::filesystem::path folder;
  SeededRandom random{7};
};

TEST_F(EndpointSecretTest, IsTheSameInTheNextRun) {  // RFC 6290 5.1
  const auto first = load();
  ASSERT_TRUE(first) << first.error();
  EXPECT_EQ(first->size(), 32u);
  const auto second = load();
  ASSERT_TRUE(second) << second.error();
  EXPECT_TRUE(equal(first->view(), second->view()));
  struct stat facts{};
  ASSERT_EQ(::stat(file().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(file().string() + ".new"));
}

TEST_F(EndpointSecretTest, OneThatOthersCanReadIsNone) {
  ASSERT_TRUE(load());
  ::chmod(file().c_str(), 0640);
  const auto refused = load();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("can be read by others"));
}

TEST_F(EndpointSecretTest, ATornOneIsNone) {
  ASSERT_TRUE(load());
  std::filesystem::resize_file(file(), 31);
  const auto refused = load();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("does not have 32 octets"));
  std::filesystem::resize_file(file(), 33);
  EXPECT_FALSE(load());
  std::filesystem::remove(file());
  EXPECT_TRUE(load());
}

TEST_F(EndpointSecretTest, ALinkIsNotFollowed) {  // somebody else's file is neither read nor written
  std::filesystem::create_directories(folder / "state");
  std::ofstream(folder / "other") << "32 octets that somebody else has";
  std::filesystem::create_symlink(folder / "other", file());
  EXPECT_FALSE(load());
}

}  // namespace
}  // namespace culvert::daemon
