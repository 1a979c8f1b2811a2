#include "daemon/endpoint_secret.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io/file_descriptor.hpp"

namespace culvert::daemon {
namespace {

constexpr std::size_t kSize = 32;
constexpr std::string_view kName = "crash-secret";

std::string failure(std::string_view what, const std::filesystem::path& path, int error) {
  return fmt::format(
      "cannot {} {}: {}; until that is mended, peers notice a restart of culvertd only when it is silent", what,
      path.string(), std::strerror(error));
}

/// Nothing where there is no file.
Result<std::optional<SecretBytes>, std::string> read(const std::filesystem::path& path) {
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::optional<SecretBytes>();
    return err(failure("read", path, errno));
  }
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0) return err(failure("look at", path, errno));
  if (!S_ISREG(facts.st_mode) || (facts.st_mode & 077) != 0)
    return err(
        fmt::format("{} can be read by others, who could end our peers' tunnels: remove it, and culvertd makes "
                    "another one",
                    path.string()));
  SecretBytes secret(kSize + 1);
  const ssize_t got = ::read(file.get(), secret.mutable_view().data(), secret.size());
  if (got < 0) return err(failure("read", path, errno));
  if (got != static_cast<ssize_t>(kSize))
    return err(
        fmt::format("{} does not have {} octets: remove it, and culvertd makes another one", path.string(), kSize));
  return std::optional(SecretBytes::copy_of(secret.view().first(kSize)));
}

/// 0, or an errno. On 0 it is on stable storage, and whole under its name.
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

Result<SecretBytes, std::string> load_endpoint_secret(const std::filesystem::path& folder, RandomSource& random) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) return err(failure("make", folder, problem.value()));
  const std::filesystem::path path = folder / kName;
  auto known = read(path);
  if (!known) return err(std::move(known.error()));
  if (*known) return std::move(**known);
  SecretBytes made(kSize);
  random.fill(made.mutable_view());
  if (const int error = write(path, made.view()); error != 0) return err(failure("write", path, error));
  return made;
}

}  // namespace culvert::daemon
