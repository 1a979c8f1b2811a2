// Session: one connection to the server: requests one after the other, each within its bounds of size and time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "api/handlers.hpp"
#include "api/log_ring.hpp"
#include "api/router.hpp"
#include "api/server.hpp"

namespace culvert::api {

class Session;

/// What a session needs of its server.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  [[nodiscard]] virtual Handlers& handlers() = 0;
  [[nodiscard]] virtual const LogRing& log() = 0;
  [[nodiscard]] virtual const ServerLimits& limits() = 0;
  virtual void ended(const std::shared_ptr<Session>& session) = 0;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Protocol = boost::asio::local::stream_protocol;

  [[nodiscard]] static std::shared_ptr<Session> make(Protocol::socket socket, std::weak_ptr<SessionOwner> owner);

  void start();
  /// Tells the client that there are too many, and ends.
  void refuse();
  /// The log has new entries: a request that waits for one is answered.
  void log_grew();
  /// Ends at once; pending operations are cancelled. Calls the owner back never again.
  void close();

 private:
  using ErrorCodeRef = const boost::system::error_code&;

  Session(Protocol::socket socket, std::weak_ptr<SessionOwner> owner);
  void await_request(std::chrono::milliseconds patience);
  void read_request();
  void request_read(ErrorCodeRef error);
  void answer();
  void await_log(const LogQuery& query);
  void watch_for_hangup();
  void reply(Reply reply, bool keep_alive);
  void end();

  boost::beast::basic_stream<Protocol> stream_;
  boost::asio::steady_timer log_timer_;
  std::weak_ptr<SessionOwner> owner_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
  std::optional<LogQuery> waiting_;
  bool ended_ = false;
};

}  // namespace culvert::api
