#include "daemon/notify.hpp"

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "io/file_descriptor.hpp"

namespace culvert::daemon {
namespace {

// A service manager that listens on `name`; @ in front means an abstract name.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    bound_ = ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
    (void)::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~Manager() { (void)::unsetenv("NOTIFY_SOCKET"); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  [[nodiscard]] bool bound() const { return bound_; }
  [[nodiscard]] std::optional<std::string> heard() const {
    std::string text(200, '\0');
    const ssize_t got = ::recv(fd_.get(), text.data(), text.size(), 0);
    if (got < 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(got));
    return text;
  }

 private:
  io::FileDescriptor fd_;
  bool bound_ = false;
};

TEST(Notify, TheServiceManagerHearsEachStateOnce) {
  const std::string path = testing::TempDir() + "notify." + std::to_string(::getpid());
  for (const std::string& name : {path, "@culvert-notify-test-" + std::to_string(::getpid())}) {
    const Manager manager(name);
    ASSERT_TRUE(manager.bound()) << name;
    notify_ready("2 tunnels");
    EXPECT_EQ(manager.heard(), "READY=1\nSTATUS=2 tunnels") << name;
    notify_reloading();
    EXPECT_EQ(manager.heard(), "RELOADING=1") << name;
    notify_stopping();
    EXPECT_EQ(manager.heard(), "STOPPING=1") << name;
    EXPECT_EQ(manager.heard(), std::nullopt);
  }
  (void)::unlink(path.c_str());
}

TEST(Notify, NoneNeedListen) {
  (void)::unsetenv("NOTIFY_SOCKET");
  notify_stopping();
  for (const std::string& name : {std::string(), std::string("relative"), std::string("@"), std::string(500, '/')}) {
    (void)::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    notify_stopping();
  }
  (void)::unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace culvert::daemon
