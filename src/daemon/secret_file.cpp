#include "daemon/secret_file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io/file_descriptor.hpp"

namespace culvert::daemon {
namespace {

std::string failure(std::string_view what, const std::filesystem::path& path, int error, std::string_view price) {
  return fmt::format("cannot {} {}: {}; {}", what, path.string(), std::strerror(error), price);
}

/// 0, or an errno.
int write(const std::filesystem::path& path, ByteView secret) {
  const std::filesystem::path fresh = path.string() + ".new";
  ::unlink(fresh.c_str());
  const io::FileDescriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return errno;
  const ssize_t wrote = ::write(file.get(), secret.data(), secret.size());
  if (wrote != static_cast<ssize_t>(secret.size())) return wrote < 0 ? errno : EIO;
  if (::fsync(file.get()) != 0) return errno;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return errno;
  const io::FileDescriptor folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return folder.get() < 0 || ::fsync(folder.get()) != 0 ? errno : 0;
}

}  // namespace

Result<std::optional<SecretBytes>, std::string> read_secret_file(const std::filesystem::path& path, std::size_t most,
                                                                 std::string_view danger, std::string_view price) {
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::optional<SecretBytes>();
    return err(failure("read", path, errno, price));
  }
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return err(failure("look at", path, errno, price));
  if (!S_ISREG(facts.st_mode) || (facts.st_mode & 077) != 0)
    return err(fmt::format("{} can be read by others, who could {}: remove it, and culvertd makes another one",
                           path.string(), danger));
  SecretBytes secret(most + 1);
  const ssize_t got = ::read(file.get(), secret.mutable_view().data(), secret.size());
  if (got < 0) return err(failure("read", path, errno, price));
  return std::optional(SecretBytes::copy_of(secret.view().first(static_cast<std::size_t>(got))));
}

Result<void, std::string> write_secret_file(const std::filesystem::path& path, ByteView secret,
                                            std::string_view price) {
  std::error_code problem;
  std::filesystem::create_directories(path.parent_path(), problem);
  if (problem) return err(failure("make", path.parent_path(), problem.value(), price));
  if (const int error = write(path, secret); error != 0) return err(failure("write", path, error, price));
  return {};
}

}  // namespace culvert::daemon
