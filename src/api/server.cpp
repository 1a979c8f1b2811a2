#include "api/server.hpp"

#include <atomic>
#include <set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/listener.hpp"
#include "api/session.hpp"
#include "base/check.hpp"

namespace culvert::api {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;

/// Accepts, counts and ends the sessions. Lives as long as an operation of it is under way.
class Server::Impl : public SessionOwner, public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, ListeningSocket socket, Handlers& handlers, LogRing& log, ServerLimits limits)
      : io_(io),
        socket_(std::move(socket)),
        acceptor_(io),
        retry_(io),
        handlers_(handlers),
        log_(log),
        limits_(limits) {
    boost::system::error_code error;
    acceptor_.assign(Protocol(), socket_->release_descriptor(), error);
    CHECK(!error);
  }

  void start() {
    log_.set_listener([weak = weak_from_this(), pending = pending_, &io = io_] {
      if (pending->exchange(true)) return;  // a wake-up is on its way already
      asio::post(io, [weak, pending] {
        pending->store(false);
        if (const auto self = weak.lock()) self->wake();
      });
    });
    accept();
  }

  void close() {
    if (closed_) return;
    closed_ = true;
    log_.set_listener({});
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    const auto sessions = sessions_;
    for (const auto& session : sessions) session->close();
    sessions_.clear();
    socket_.reset();
  }

  [[nodiscard]] std::size_t connections() const { return sessions_.size(); }

  [[nodiscard]] Handlers& handlers() override { return handlers_; }
  [[nodiscard]] const LogRing& log() override { return log_; }
  [[nodiscard]] const ServerLimits& limits() override { return limits_; }
  void ended(const std::shared_ptr<Session>& session) override { sessions_.erase(session); }

 private:
  void accept() {
    acceptor_.async_accept(
        [self = shared_from_this()](const boost::system::error_code& error, Protocol::socket socket) {
          if (self->closed_) return;
          if (error) return self->retry_later();
          self->admit(std::move(socket));
          self->accept();
        });
  }

  /// Out of descriptors, most likely: time heals.
  void retry_later() {
    retry_.expires_after(std::chrono::milliseconds(100));
    retry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && !self->closed_) self->accept();
    });
  }

  void admit(Protocol::socket socket) {
    if (sessions_.size() >= limits_.connections + kRefusals) return;  // closed without a word
    const bool full = sessions_.size() >= limits_.connections;
    const auto session = Session::make(std::move(socket), weak_from_this());
    sessions_.insert(session);
    if (full) {
      session->refuse();
    } else {
      session->start();
    }
  }

  void wake() {
    const auto sessions = sessions_;
    for (const auto& session : sessions) session->log_grew();
  }

  static constexpr std::size_t kRefusals = 16;  // clients that are being told that there are too many

  asio::io_context& io_;
  std::optional<ListeningSocket> socket_;
  Protocol::acceptor acceptor_;
  asio::steady_timer retry_;
  Handlers& handlers_;
  LogRing& log_;
  const ServerLimits limits_;
  std::set<std::shared_ptr<Session>> sessions_;
  std::shared_ptr<std::atomic<bool>> pending_ = std::make_shared<std::atomic<bool>>(false);
  bool closed_ = false;
};

Result<std::unique_ptr<Server>, Error> Server::listen(asio::io_context& io, const std::filesystem::path& socket,
                                                      Handlers& handlers, LogRing& log, ServerLimits limits) {
  auto listening = ListeningSocket::open(socket);
  if (!listening) return err(listening.error());
  auto impl = std::make_shared<Impl>(io, std::move(*listening), handlers, log, limits);
  impl->start();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { impl_->close(); }
void Server::close() { impl_->close(); }
std::size_t Server::connections() const { return impl_->connections(); }

}  // namespace culvert::api
