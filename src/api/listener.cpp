#include "api/listener.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/check.hpp"

namespace culvert::api {
namespace {

constexpr std::size_t kPathLimit = sizeof(sockaddr_un::sun_path) - 1;
constexpr mode_t kUmaskFor0660 = 0117;
constexpr int kBacklog = 64;

Error system_error(std::string what, const std::filesystem::path& path, int code) {
  return {ErrorCode::internal,
          fmt::format("{} {}: {}", what, path.string(), std::strerror(code)),
          code == EACCES || code == EPERM ? "run culvertd as root, or choose another path with --socket"
                                          : "choose another path with --socket",
          "socket",
          {}};
}

Error in_use(const std::filesystem::path& path) {
  return {ErrorCode::conflict,
          fmt::format("another culvertd is running: it holds {}", path.string()),
          "stop it first, or give this one its own path with --socket",
          "socket",
          {}};
}

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.native().size() <= kPathLimit);
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

/// Whether somebody accepts connections at the path.
bool is_alive(const std::filesystem::path& path) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return true;  // cannot tell: leave the file alone
  const sockaddr_un address = address_of(path);
  const bool connected = ::connect(probe, generic(address), sizeof address) == 0;
  const int code = errno;
  ::close(probe);
  return connected || (code != ECONNREFUSED && code != ENOENT);
}

/// Removes the socket of a daemon that died.
Result<void, Error> clear_the_way(const std::filesystem::path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return err(system_error("cannot look at", path, errno));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return err(Error{ErrorCode::bad_request,
                     fmt::format("{} exists and is no socket", path.string()),
                     "remove it, or choose another path with --socket",
                     "socket",
                     {}});
  }
  if (is_alive(path)) return err(in_use(path));
  if (::unlink(path.c_str()) != 0) return err(system_error("cannot remove the stale socket", path, errno));
  return {};
}

}  // namespace

Result<ListeningSocket, Error> ListeningSocket::open(const std::filesystem::path& path) {
  if (path.empty() || path.native().size() > kPathLimit || path.native().find('\0') != std::string::npos) {
    return err(Error{ErrorCode::bad_request,
                     fmt::format("the socket path {} has {} octets; the system allows 1 to {}", path.string(),
                                 path.native().size(), kPathLimit),
                     "choose a shorter path with --socket",
                     "socket",
                     {}});
  }
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error) return err(system_error("cannot make the folder of", path, error.value()));

  ListeningSocket out;
  out.path_ = path;
  // The lock decides between two daemons that start at the same moment; it goes with the process, however that ends.
  const std::string lock_path = path.string() + ".lock";
  out.lock_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (out.lock_ < 0) return err(system_error("cannot open", lock_path, errno));
  if (::flock(out.lock_, LOCK_EX | LOCK_NB) != 0) return err(in_use(path));
  if (auto clear = clear_the_way(path); !clear) return err(clear.error());

  out.descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (out.descriptor_ < 0) return err(system_error("cannot make a socket for", path, errno));
  const sockaddr_un address = address_of(path);
  const mode_t before = ::umask(kUmaskFor0660);
  const int bound = ::bind(out.descriptor_, generic(address), sizeof address);
  const int code = errno;
  ::umask(before);
  if (bound != 0) return err(system_error("cannot bind", path, code));
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || ::listen(out.descriptor_, kBacklog) != 0)
    return err(system_error("cannot listen at", path, errno));
  out.device_ = status.st_dev;
  out.inode_ = status.st_ino;
  return out;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      lock_(std::exchange(other.lock_, -1)),
      device_(other.device_),
      inode_(std::exchange(other.inode_, 0)) {}

ListeningSocket::~ListeningSocket() {
  struct stat status{};
  if (inode_ != 0 && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
    ::unlink(path_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
  if (lock_ >= 0) ::close(lock_);
}

int ListeningSocket::release_descriptor() { return std::exchange(descriptor_, -1); }

}  // namespace culvert::api
