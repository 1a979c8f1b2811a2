// HostNameServers: has the host ask the tunnels' name servers (RFC 7296 3.15.1, RFC 8598) by way of systemd-resolved,
// or else of resolvconf, and takes it back. On a thread of its own, for both are other programs that may take their
// time. A file tells the next run what a run that crashed left behind.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "control/outputs.hpp"

namespace culvert::daemon {

class HostNameServers {
 public:
  struct Options {
    std::string link;                                         // the TUN device
    std::filesystem::path folder;                             // of what must outlive the process
    std::filesystem::path resolved = "/run/systemd/resolve";  // there while systemd-resolved runs
  };
  /// `problem` is called with one sentence, on the other thread.
  HostNameServers(Options options, std::function<void(std::string)> problem);
  /// Takes everything back, and waits for that.
  ~HostNameServers();
  HostNameServers(const HostNameServers&) = delete;
  HostNameServers& operator=(const HostNameServers&) = delete;

  /// From now on; what is under way is finished first. Does not wait.
  void apply(const control::NameServerWish& wish);
  /// Waits until the last wish is in force, or could not be brought about.
  void wait();

 private:
  enum class Way : std::uint8_t { none, resolved, resolvconf };
  void run();
  void bring_about(const control::NameServerWish& wish);
  void take_back();
  void take_back_of_a_crash();
  [[nodiscard]] Way find_way() const;
  [[nodiscard]] bool note(Way way);
  bool call(std::vector<std::string> words, const std::string& input = {});
  [[nodiscard]] std::filesystem::path file() const { return options_.folder / "name-servers"; }

  const Options options_;
  const std::function<void(std::string)> problem_;
  Way in_force_ = Way::none;
  bool over_tls_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<control::NameServerWish> wanted_;
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;  // begun with the first wish
};

}  // namespace culvert::daemon
