#include "io/command.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <spawn.h>

#include "base/text.hpp"
#include "io/file_descriptor.hpp"

namespace culvert::io {
namespace {

constexpr std::size_t kInputLimit = 4096;  // fits a pipe, so that writing never waits
constexpr std::size_t kSaidLimit = 300;

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

std::optional<Pipe> open_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
  return Pipe{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

/// Waits for the end of the child, then for nothing: what it left running is not ours.
bool ends_within(pid_t child, Duration limit) {
  const FileDescriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!handle.valid()) return false;
  pollfd ready{handle.get(), POLLIN, 0};
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return ::poll(&ready, 1, static_cast<int>(milliseconds)) == 1;
}

std::string what_it_said(int fd) {
  std::array<char, kSaidLimit> text{};
  const ssize_t count = ::read(fd, text.data(), text.size());
  std::string_view said(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  while (said.ends_with('\n')) said.remove_suffix(1);
  return said.empty() ? "it says nothing" : escaped(said, kSaidLimit);
}

Result<pid_t, IoError> spawn(std::span<const std::string> words, int input, int said) {
  std::vector<char*> arguments;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): posix_spawn only reads them, and does not say so
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  // A plain environment: what ours holds is not the other program's business.
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  if (const char* own = std::getenv("PATH"); own != nullptr) path = std::string("PATH=") + own;
  std::string language = "LC_ALL=C.UTF-8";
  std::array<char*, 3> environment{path.data(), language.data(), nullptr};
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&files, input, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, said, 2);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t child = -1;
  const int failed =
      ::posix_spawn(&child, words.front().c_str(), &files, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return err(system_error(fmt::format("{} cannot be run", words.front()), failed));
  return child;
}

}  // namespace

std::string find_program(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    if (!folder.starts_with('/')) continue;
    std::string candidate = fmt::format("{}/{}", folder, name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

Result<void, IoError> run_command(std::span<const std::string> words, std::string_view input, Duration limit) {
  const std::string shown = fmt::format("{}", words.front());
  auto in = open_pipe();
  auto said = open_pipe();
  if (!in || !said) return err(system_error(fmt::format("{} cannot be run", shown), errno));
  if (input.size() > kInputLimit)
    return err(IoError{IoErrorCode::invalid, 0, fmt::format("{} would be told too much", shown)});
  // The other side reads as anybody would.
  (void)::fcntl(in->read.get(), F_SETFL, 0);
  const auto child = spawn(words, in->read.get(), said->write.get());
  if (!child) return err(child.error());
  in->read.reset();
  if (!input.empty()) (void)!::write(in->write.get(), input.data(), input.size());
  in->write.reset();
  const bool ended = ends_within(*child, limit);
  if (!ended) (void)::kill(*child, SIGKILL);
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) continue;
  if (!ended) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(limit).count();
    return err(IoError{IoErrorCode::system, ETIMEDOUT, fmt::format("{} did not end within {} s", shown, seconds)});
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return err(IoError{IoErrorCode::system, 0,
                     fmt::format("{} failed with {}: {}", shown,
                                 WIFEXITED(status) ? fmt::format("status {}", WEXITSTATUS(status))
                                                   : fmt::format("signal {}", WTERMSIG(status)),
                                 what_it_said(said->read.get()))});
}

}  // namespace culvert::io
