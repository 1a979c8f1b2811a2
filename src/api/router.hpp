// Router: one parsed HTTP request to the call of a handler, and back to a reply. Knows paths and methods, no socket.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "api/handlers.hpp"
#include "api/log_ring.hpp"

namespace culvert::api {

enum class Method : std::uint8_t { get, post, other };

struct Request {
  Method method = Method::other;
  std::string_view target;  // "/v1/log?after=7", as sent
  std::string_view body;
};

struct Reply {
  unsigned status = 200;
  std::string body;  // JSON
};

/// What GET /v1/log asks for.
struct LogQuery {
  std::optional<std::uint64_t> after;
  std::size_t limit = 100;
  std::string tunnel;
  std::chrono::milliseconds wait{0};
  friend bool operator==(const LogQuery&, const LogQuery&) = default;
};

/// A reply, or a query of the log that may have to wait (its reply comes from `log_reply`).
struct Routed {
  std::optional<LogQuery> log;
  Reply reply;
};

struct RouterLimits {
  std::chrono::milliseconds longest_wait{60000};
  std::size_t log_page = 1000;
};

/// Total: any target and body are allowed. An exception of a handler becomes an internal error.
[[nodiscard]] Routed route(const Request& request, Handlers& handlers, const RouterLimits& limits);

/// The page for a query; nothing when there is no entry yet and `may_wait`.
[[nodiscard]] std::optional<Reply> log_reply(const LogRing& ring, const LogQuery& query, bool may_wait);

[[nodiscard]] Reply error_reply(const Error& error);

/// "%41b" -> "Ab"; nothing when a % is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);
/// Everything but letters, digits and -._~ as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace culvert::api
