// One request's life: await_request (idle) -> read_request -> request_read -> answer -> [await_log -> log_grew] ->
// reply -> await_request.
#include "api/session.hpp"

#include <fmt/format.h>

namespace culvert::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

Method method_of(http::verb verb) {
  if (verb == http::verb::get) return Method::get;
  return verb == http::verb::post ? Method::post : Method::other;
}

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::shared_ptr<Session> Session::make(Protocol::socket socket, std::weak_ptr<SessionOwner> owner) {
  return std::shared_ptr<Session>(new Session(std::move(socket), std::move(owner)));
}

Session::Session(Protocol::socket socket, std::weak_ptr<SessionOwner> owner)
    : stream_(std::move(socket)), log_timer_(stream_.get_executor()), owner_(std::move(owner)) {}

void Session::start() {
  const auto owner = owner_.lock();
  if (!owner) return;
  buffer_.max_size(owner->limits().header_bytes + owner->limits().body_bytes);
  await_request(owner->limits().request_time);
}

void Session::await_request(std::chrono::milliseconds patience) {
  if (buffer_.size() > 0) return read_request();  // the client sent the next request with the last one
  stream_.expires_after(patience);
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](ErrorCodeRef error, std::size_t count) {
    if (error || self->ended_) return self->end();
    self->buffer_.commit(count);
    self->read_request();
  });
}

void Session::read_request() {
  const auto owner = owner_.lock();
  if (!owner || ended_) return end();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(owner->limits().header_bytes));
  parser_->body_limit(owner->limits().body_bytes);
  stream_.expires_after(owner->limits().request_time);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](ErrorCodeRef error, std::size_t) { self->request_read(error); });
}

void Session::request_read(ErrorCodeRef error) {
  if (ended_) return;
  if (!error) return answer();
  const bool gone = error == http::error::end_of_stream || error == http::error::partial_message ||
                    error == asio::error::operation_aborted || error.category() == asio::error::get_system_category();
  if (gone || error == beast::error::timeout) return end();
  const bool large =
      error == http::error::body_limit || error == http::error::header_limit || error == http::error::buffer_overflow;
  reply(error_reply({large ? ErrorCode::too_large : ErrorCode::bad_request,
                     large ? std::string("the request is too large")
                           : fmt::format("the request is malformed: {}", error.message()),
                     "speak HTTP/1.1 as culvertd(8) describes it",
                     {},
                     {}}),
        false);
}

void Session::answer() {
  const auto owner = owner_.lock();
  if (!owner) return end();
  const auto& request = parser_->get();
  const ServerLimits& limits = owner->limits();
  const Routed routed = route({method_of(request.method()), view(request.target()), request.body()}, owner->handlers(),
                              {limits.longest_wait, limits.log_page});
  if (ended_) return;  // the handler closed the server
  if (!routed.log) return reply(routed.reply, request.keep_alive());
  if (auto page = log_reply(owner->log(), *routed.log, routed.log->wait.count() > 0))
    return reply(std::move(*page), request.keep_alive());
  await_log(*routed.log);
}

void Session::await_log(const LogQuery& query) {
  waiting_ = query;
  if (!waiting_->after) waiting_->after = 0;
  stream_.expires_never();
  log_timer_.expires_after(query.wait);
  log_timer_.async_wait([self = shared_from_this()](ErrorCodeRef error) {
    if (error || self->ended_ || !self->waiting_) return;
    const auto owner = self->owner_.lock();
    if (!owner) return self->end();
    auto page = log_reply(owner->log(), *self->waiting_, false);
    self->waiting_.reset();
    self->reply(std::move(*page), self->parser_->get().keep_alive());
  });
  watch_for_hangup();
}

void Session::log_grew() {
  const auto owner = owner_.lock();
  if (!waiting_ || ended_ || !owner) return;
  auto page = log_reply(owner->log(), *waiting_, true);
  if (!page) return;
  waiting_.reset();
  log_timer_.cancel();
  reply(std::move(*page), parser_->get().keep_alive());
}

/// A client that goes away while it waits gives its place back at once.
void Session::watch_for_hangup() {
  stream_.socket().async_wait(Protocol::socket::wait_read, [self = shared_from_this()](ErrorCodeRef error) {
    if (error || self->ended_ || !self->waiting_) return;
    boost::system::error_code ignored;
    if (self->stream_.socket().available(ignored) == 0) self->end();
  });
}

void Session::refuse() {
  reply(error_reply({ErrorCode::overloaded,
                     "too many clients are connected",
                     "try again, or end a `culvert log -f` that is not needed",
                     {},
                     {}}),
        false);
}

void Session::reply(Reply reply, bool keep_alive) {
  const auto owner = owner_.lock();
  if (!owner || ended_) return end();
  response_ = {};
  response_.version(11);
  response_.result(reply.status);
  response_.set(http::field::content_type, "application/json");
  response_.set(http::field::cache_control, "no-store");
  response_.body() = std::move(reply.body);
  response_.keep_alive(keep_alive);
  response_.prepare_payload();
  stream_.expires_after(owner->limits().write_time);
  http::async_write(stream_, response_, [self = shared_from_this(), keep_alive](ErrorCodeRef error, std::size_t) {
    const auto server = self->owner_.lock();
    if (error || self->ended_ || !keep_alive || !server) return self->end();
    self->await_request(server->limits().idle_time);
  });
}

void Session::close() {
  ended_ = true;
  waiting_.reset();
  log_timer_.cancel();
  stream_.close();
}

void Session::end() {
  if (ended_) return;
  close();
  if (const auto owner = owner_.lock()) owner->ended(shared_from_this());
}

}  // namespace culvert::api
