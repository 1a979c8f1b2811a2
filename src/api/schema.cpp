#include "api/schema.hpp"

#include "api/handlers.hpp"
#include "base/text.hpp"

namespace culvert::api {

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_request: return "bad_request";
    case ErrorCode::no_such_tunnel: return "no_such_tunnel";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::method_not_allowed: return "method_not_allowed";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::too_large: return "too_large";
    case ErrorCode::config_invalid: return "config_invalid";
    case ErrorCode::overloaded: return "overloaded";
    case ErrorCode::unreachable: return "unreachable";
    case ErrorCode::internal: return "internal";
  }
  return "unknown";
}

unsigned http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_request: return 400;
    case ErrorCode::no_such_tunnel:
    case ErrorCode::not_found: return 404;
    case ErrorCode::method_not_allowed: return 405;
    case ErrorCode::conflict: return 409;
    case ErrorCode::too_large: return 413;
    case ErrorCode::config_invalid: return 422;
    case ErrorCode::overloaded:
    case ErrorCode::unreachable: return 503;
    case ErrorCode::internal: return 500;
  }
  return 500;
}

std::string_view name_of(TunnelState state) {
  switch (state) {
    case TunnelState::down: return "down";
    case TunnelState::waiting: return "waiting";
    case TunnelState::connecting: return "connecting";
    case TunnelState::up: return "up";
    case TunnelState::retrying: return "retrying";
    case TunnelState::closing: return "closing";
  }
  return "unknown";
}

std::string_view name_of(RekeyWhat what) {
  switch (what) {
    case RekeyWhat::ike: return "ike";
    case RekeyWhat::child: return "child";
    case RekeyWhat::all: return "all";
  }
  return "unknown";
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "unknown";
}

Error no_such_tunnel(const std::string& name) {
  return {.code = ErrorCode::no_such_tunnel,
          .message = "there is no tunnel \"" + escaped(name, 64) + "\"",
          .hint =
              "`culvert list` shows the tunnels there are; after a change of the files, `culvert apply` makes the "
              "daemon read them",
          .field = "name",
          .problems = {}};
}

}  // namespace culvert::api
