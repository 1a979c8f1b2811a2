// The server's socket file: made for us alone, taken over from a daemon that died, left alone where one lives.
#pragma once

#include <filesystem>
#include <string>

#include "api/schema.hpp"
#include "base/result.hpp"

namespace culvert::api {

/// A listening Unix socket, and the lock that says whose it is. Closing removes the file if it is still ours.
class ListeningSocket {
 public:
  /// Errors: conflict where a daemon lives, bad_request for a path that cannot be, internal for what the system
  /// refuses.
  [[nodiscard]] static Result<ListeningSocket, Error> open(const std::filesystem::path& path);

  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  /// Hands the descriptor to the caller, who closes it; the file stays with this object.
  [[nodiscard]] int release_descriptor();

 private:
  ListeningSocket() = default;

  std::filesystem::path path_;
  int descriptor_ = -1;
  int lock_ = -1;
  unsigned long long device_ = 0;
  unsigned long long inode_ = 0;
};

}  // namespace culvert::api
