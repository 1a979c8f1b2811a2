// Server: the control protocol over HTTP/1.1 on a Unix socket. Whoever may open the socket may do everything: mode
// 0660, root's group.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "api/handlers.hpp"
#include "api/log_ring.hpp"
#include "base/result.hpp"

namespace boost::asio {
class io_context;
}

namespace culvert::api {

/// Bounds on what a client may cost. A client beyond them is answered or cut off; the others do not notice.
struct ServerLimits {
  std::size_t connections = 64;
  std::size_t header_bytes = std::size_t{8} * 1024;
  std::size_t body_bytes = std::size_t{64} * 1024;
  std::chrono::milliseconds request_time{5000};   // from the first to the last octet of a request
  std::chrono::milliseconds write_time{10000};    // for the client to take an answer
  std::chrono::milliseconds idle_time{60000};     // between requests
  std::chrono::milliseconds longest_wait{60000};  // of GET /v1/log?wait=
  std::size_t log_page = 1000;                    // entries in one answer
};

/// Serves until `close` or destruction. Runs on the io_context's one thread; construct and destroy it there (or while
/// it does not run).
class Server {
 public:
  /// Binds the socket. Replaces the file of a daemon that died; refuses where a live one answers, where the path is no
  /// socket, and where it is too long for the system (107 octets). The error is a sentence that names the path and the
  /// way out. `handlers` and `log` must outlive the server.
  [[nodiscard]] static Result<std::unique_ptr<Server>, Error> listen(boost::asio::io_context& io,
                                                                     const std::filesystem::path& socket,
                                                                     Handlers& handlers, LogRing& log,
                                                                     ServerLimits limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Ends all connections, long polls too, and removes the socket file if it is still ours.
  void close();
  [[nodiscard]] std::size_t connections() const;

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace culvert::api
