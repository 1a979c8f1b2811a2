#include "daemon/notify.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace culvert::daemon {
namespace {

// sd_notify(3): one datagram to the socket that the environment names, a path or, with @ in front, an abstract name.
// libsystemd would do the same, and bring five libraries and a megabyte of pages.
void tell(std::string_view state) {
  const char* const name = ::secure_getenv("NOTIFY_SOCKET");
  if (name == nullptr) return;
  const std::size_t length = std::strlen(name);
  sockaddr_un address{};
  if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name, length);
  if (name[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  (void)::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
  (void)::close(fd);
}

}  // namespace

void notify_ready(const std::string& status) { tell("READY=1\nSTATUS=" + status); }

void notify_stopping() { tell("STOPPING=1"); }

void notify_reloading() { tell("RELOADING=1"); }

}  // namespace culvert::daemon
