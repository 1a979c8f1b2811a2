#include "api/router.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "api/json.hpp"
#include "base/bytes.hpp"
#include "base/text.hpp"

namespace culvert::api {
namespace {

constexpr std::size_t kNameLimit = 255;
constexpr std::size_t kTargetLimit = 2048;
constexpr std::size_t kPartLimit = 8;

struct Target {
  std::vector<std::string> parts;  // after /v1
  std::map<std::string, std::string> query;
};

Error bad_request(std::string message, std::string field = {}) {
  return {ErrorCode::bad_request, std::move(message), "the paths are in culvertd(8)", std::move(field), {}};
}

Error no_such_path(std::string_view target) {
  return {ErrorCode::not_found,
          fmt::format("there is no path {}", escaped(target, 100)),
          "the paths are in culvertd(8)",
          {},
          {}};
}

bool has_controls(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// The pieces of `text` between `separator`, decoded.
Result<std::vector<std::string>, Error> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (true) {
    const std::size_t end = text.find(separator);
    auto piece = percent_decoded(text.substr(0, end));
    if (!piece || has_controls(*piece) || piece->size() > kNameLimit)
      return err(bad_request("the path or query is malformed"));
    out.push_back(std::move(*piece));
    if (out.size() > kPartLimit) return err(bad_request("the path or query has too many parts"));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

Result<Target, Error> parse_target(std::string_view target) {
  if (target.size() > kTargetLimit || !target.starts_with('/')) return err(bad_request("the path is malformed"));
  const std::size_t mark = target.find('?');
  auto parts = split(target.substr(1, mark == std::string_view::npos ? mark : mark - 1), '/');
  if (!parts) return err(parts.error());
  if (parts->front() != fmt::format("v{}", kApiVersion)) return err(no_such_path(target));
  Target out;
  out.parts.assign(parts->begin() + 1, parts->end());
  if (mark == std::string_view::npos) return out;
  auto pairs = split(target.substr(mark + 1), '&');
  if (!pairs) return err(pairs.error());
  for (const std::string& pair : *pairs) {
    const std::size_t equals = std::min(pair.find('='), pair.size());
    out.query[pair.substr(0, equals)] = equals < pair.size() ? pair.substr(equals + 1) : "";
  }
  return out;
}

Result<std::optional<std::uint64_t>, Error> number(const Target& target, const std::string& name) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return std::nullopt;
  const auto value = parse_decimal(found->second);
  if (!value) return err(bad_request(fmt::format("{} is not a whole number", name), name));
  return value;
}

template <typename T>
Reply reply_to(const Result<T, Error>& result) {
  if (!result) return error_reply(result.error());
  return {200, to_json_text(*result)};
}

/// The body as T; an empty body is all defaults.
template <typename T>
Result<T, Error> body_of(const Request& request) {
  if (request.body.empty()) return T{};
  auto value = from_json_text<T>(request.body);
  if (!value) return err(bad_request("the body is malformed: " + value.error()));
  return *value;
}

Result<StatusWish, Error> status_wish(const Target& target) {
  StatusWish wish;
  if (const auto wanted = target.query.find("tunnel"); wanted != target.query.end()) wish.tunnel = wanted->second;
  for (auto& [name, place] : {std::pair("from", &wish.from.tunnel), std::pair("from_sa", &wish.from.ike_sa)}) {
    const auto value = number(target, name);
    if (!value) return err(value.error());
    *place = value->value_or(0);
  }
  return wish;
}

Routed log_query(const Target& target, const RouterLimits& limits) {
  LogQuery query;
  const auto after = number(target, "after");
  const auto limit = number(target, "limit");
  const auto wait = number(target, "wait");
  for (const auto* result : {&after, &limit, &wait}) {
    if (!*result) return {std::nullopt, error_reply(result->error())};
  }
  query.after = *after;
  query.limit = static_cast<std::size_t>(std::clamp<std::uint64_t>(limit->value_or(query.limit), 1, limits.log_page));
  const auto longest = static_cast<std::uint64_t>(limits.longest_wait.count());
  query.wait = std::chrono::milliseconds(std::min(std::min(wait->value_or(0), longest) * 1000, longest));
  if (const auto found = target.query.find("tunnel"); found != target.query.end()) query.tunnel = found->second;
  return {query, {}};
}

Reply tunnel_reply(const Request& request, const Target& target, Handlers& handlers) {
  const std::string& name = target.parts[1];
  if (target.parts.size() == 2) {
    const auto from_sa = number(target, "from_sa");
    return from_sa ? reply_to(handlers.tunnel(name, from_sa->value_or(0))) : error_reply(from_sa.error());
  }
  const std::string& action = target.parts[2];
  if (action == "up") return reply_to(handlers.up(name));
  if (action == "down") return reply_to(handlers.down(name));
  if (action == "redirect") {
    const auto gateway = body_of<RedirectRequest>(request);
    if (!gateway) return error_reply(gateway.error());
    return reply_to(handlers.redirect(name, *gateway));
  }
  const auto wanted = body_of<RekeyRequest>(request);
  if (!wanted) return error_reply(wanted.error());
  return reply_to(handlers.rekey(name, *wanted));
}

/// "sas" and "policies": list, add, delete.
Reply listed_reply(const Request& request, const Target& target, Handlers& handlers) {
  const bool sas = target.parts[0] == "sas";
  if (target.parts.size() == 3)
    return sas ? reply_to(handlers.remove_sa(target.parts[1])) : reply_to(handlers.remove_policy(target.parts[1]));
  if (request.method == Method::get) return sas ? reply_to(handlers.manual_sas()) : reply_to(handlers.policies());
  const auto wanted = body_of<AddRequest>(request);
  if (!wanted) return error_reply(wanted.error());
  return sas ? reply_to(handlers.add_sa(*wanted)) : reply_to(handlers.add_policy(*wanted));
}

bool is_listed(const std::vector<std::string>& parts) { return parts[0] == "sas" || parts[0] == "policies"; }

/// The method that a path takes; nothing for a path that is not there.
std::optional<Method> method_of(const std::vector<std::string>& parts, Method asked) {
  if (!parts.empty() && is_listed(parts)) {
    if (parts.size() == 1) return asked == Method::post ? Method::post : Method::get;
    if (parts.size() == 3 && !parts[1].empty() && parts[2] == "delete") return Method::post;
    return std::nullopt;
  }
  if (parts.size() == 1) {
    constexpr auto kAsked = std::to_array<std::string_view>({"status", "tunnels", "log", "leases", "failures"});
    if (std::ranges::find(kAsked, parts[0]) != kAsked.end()) return Method::get;
    if (parts[0] == "apply") return Method::post;
  }
  if (parts.size() >= 2 && parts[0] == "tunnels" && !parts[1].empty()) {
    if (parts.size() == 2) return Method::get;
    const auto is = [&](std::string_view action) { return parts.size() == 3 && parts[2] == action; };
    if (is("up") || is("down") || is("rekey") || is("redirect")) return Method::post;
  }
  return std::nullopt;
}

Routed dispatch(const Request& request, Handlers& handlers, const RouterLimits& limits) {
  const auto target = parse_target(request.target);
  if (!target) return {std::nullopt, error_reply(target.error())};
  const auto method = method_of(target->parts, request.method);
  if (!method) return {std::nullopt, error_reply(no_such_path(request.target))};
  if (*method != request.method) {
    const char* wanted = *method == Method::get ? "GET" : "POST";
    return {std::nullopt, error_reply({ErrorCode::method_not_allowed,
                                       fmt::format("this path takes {} only", wanted),
                                       fmt::format("use {}", wanted),
                                       {},
                                       {}})};
  }
  const std::string& first = target->parts[0];
  if (first == "log") return log_query(*target, limits);
  if (target->parts.size() == 1 && (first == "status" || first == "tunnels")) {
    const auto wish = status_wish(*target);
    if (!wish) return {std::nullopt, error_reply(wish.error())};
    return {std::nullopt, first == "status" ? reply_to(handlers.status(*wish)) : reply_to(handlers.list(*wish))};
  }
  if (first == "apply") {
    const auto wanted = body_of<ApplyRequest>(request);
    return {std::nullopt, wanted ? reply_to(handlers.apply(*wanted)) : error_reply(wanted.error())};
  }
  if (first == "leases") {
    const auto from = number(*target, "from");
    return {std::nullopt, from ? reply_to(handlers.leases(from->value_or(0))) : error_reply(from.error())};
  }
  if (first == "failures") return {std::nullopt, reply_to(handlers.failures())};
  if (is_listed(target->parts)) return {std::nullopt, listed_reply(request, *target, handlers)};
  return {std::nullopt, tunnel_reply(request, *target, handlers)};
}

}  // namespace

Routed route(const Request& request, Handlers& handlers, const RouterLimits& limits) {
  try {
    return dispatch(request, handlers, limits);
  } catch (const std::exception& error) {
    return {std::nullopt, error_reply({ErrorCode::internal,
                                       fmt::format("the request failed: {}", escaped(error.what())),
                                       "see `culvert log`",
                                       {},
                                       {}})};
  }
}

std::optional<Reply> log_reply(const LogRing& ring, const LogQuery& query, bool may_wait) {
  const LogPage page = ring.read(query.after, query.limit, query.tunnel);
  if (may_wait && page.entries.empty() && page.lost == 0) return std::nullopt;
  return Reply{200, to_json_text(page)};
}

Reply error_reply(const Error& error) { return {http_status(error.code), to_json_text(error)}; }

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const auto octet = text.size() - i > 2 ? from_hex(text.substr(i + 1, 2)) : std::nullopt;
    if (!octet) return std::nullopt;
    out.push_back(static_cast<char>(octet->front()));
    i += 2;
  }
  return out;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace culvert::api
