// For tests only: network namespaces that live in this process, and commands run inside them. Nothing of them has a
// name in the system, so nothing can be left behind and tests can run side by side.
#pragma once

#include <array>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spawn.h>

#include "io/file_descriptor.hpp"

extern char** environ;  // NOLINT: POSIX leaves its declaration to the program

namespace culvert::io::testing {

struct CommandResult {
  int status = -1;
  std::string output;  // both streams
};

/// Runs a shell command in the calling thread's network namespace.
inline CommandResult shell(const std::string& command) {
  CommandResult result;
  FILE* pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe))
    result.output.append(buffer.data(), got);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

/// A shell command in the background; ended with its group when the object goes. Begin it with `exec`, so that the end
/// of the shell is the end of the program.
class BackgroundCommand {
 public:
  explicit BackgroundCommand(const std::string& command) {
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::string text = command + " >/dev/null 2>&1";
    std::string shell_name = "sh";
    std::string option = "-c";
    std::array<char*, 4> arguments{shell_name.data(), option.data(), text.data(), nullptr};
    if (::posix_spawn(&pid_, "/bin/sh", nullptr, &attributes, arguments.data(), environ) != 0) pid_ = -1;
    posix_spawnattr_destroy(&attributes);
  }
  BackgroundCommand(BackgroundCommand&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  BackgroundCommand& operator=(BackgroundCommand&&) = delete;
  ~BackgroundCommand() { stop(); }

  void stop(int signal = SIGTERM) {
    if (pid_ <= 0) return;
    ::kill(-pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
};

class NetworkNamespace {
 public:
  /// Nothing when this process may not make namespaces.
  static std::optional<NetworkNamespace> create() {
    NetworkNamespace made;
    std::thread([&] {
      if (::unshare(CLONE_NEWNET) != 0) return;
      made.fd_ = FileDescriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
      shell("ip link set lo up");
    }).join();
    if (!made.fd_.valid()) return {};
    return made;
  }

  /// Runs `work` on a thread inside the namespace and waits for it. Sockets opened there belong to the namespace for
  /// good.
  void run(const std::function<void()>& work) const {
    std::thread([&] {
      if (::setns(fd_.get(), CLONE_NEWNET) == 0) work();
    }).join();
  }

  CommandResult command(const std::string& text) const {
    CommandResult result;
    run([&] { result = shell(text); });
    return result;
  }

  BackgroundCommand background(const std::string& text) const {
    std::optional<BackgroundCommand> started;
    run([&] { started.emplace(text); });
    return std::move(*started);
  }

  /// A path by which `ip link set X netns PATH` finds it.
  [[nodiscard]] std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
  }

 private:
  FileDescriptor fd_;
};

inline constexpr const char* kNeedsRoot = "this process may not make network namespaces: run it as root";

}  // namespace culvert::io::testing
