#include "api/client.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "api/json.hpp"
#include "api/router.hpp"

namespace culvert::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::local::stream_protocol;

constexpr std::size_t kPathLimit = 107;
constexpr std::uint64_t kAnswerLimit = std::uint64_t{64} * 1024 * 1024;
constexpr std::string_view kStart =
    "start it with `systemctl start culvertd`, or in the foreground with `culvertd --config /etc/culvert`; if it ends "
    "at once, `culvert check` says what is wrong with its files";

CallError unreachable(std::string message, std::string hint) {
  return {true, {ErrorCode::unreachable, std::move(message), std::move(hint), "socket", {}}};
}

CallError connect_error(const std::filesystem::path& socket, const boost::system::error_code& error) {
  const std::string path = socket.string();
  switch (error.value()) {
    case ENOENT:
      return unreachable(fmt::format("culvertd is not running: there is no socket {}", path), std::string(kStart));
    case ECONNREFUSED:
      return unreachable(fmt::format("culvertd is not running: nobody answers at {}", path), std::string(kStart));
    case EACCES:
    case EPERM:
      return unreachable(fmt::format("no permission to open {}", path),
                         "run the command as root, or as a member of the socket's group");
    default:
      return unreachable(fmt::format("cannot reach culvertd at {}: {}", path, error.message()), std::string(kStart));
  }
}

/// One request and its answer, on an io_context of its own.
struct Exchange {
  asio::io_context io;
  beast::basic_stream<Protocol> stream{io};
  beast::flat_buffer buffer;
  http::request<http::string_body> request;
  http::response_parser<http::string_body> answer;
  boost::system::error_code connected = asio::error::would_block;
  boost::system::error_code received = asio::error::would_block;

  void run(const std::filesystem::path& socket, std::chrono::milliseconds timeout) {
    answer.body_limit(kAnswerLimit);
    stream.expires_after(timeout);
    stream.async_connect(Protocol::endpoint(socket.string()), [this](const boost::system::error_code& error) {
      connected = error;
      if (!error) send();
    });
    io.run();
  }

  void send() {
    // A server that refuses may close before it has read everything: what it said is read all the same.
    http::async_write(stream, request, [this](const boost::system::error_code&, std::size_t) {
      http::async_read(stream, buffer, answer,
                       [this](const boost::system::error_code& error, std::size_t) { received = error; });
    });
  }
};

template <typename T>
Answer<T> parsed(const Answer<std::string>& body) {
  if (!body) return err(body.error());
  auto value = from_json_text<T>(*body);
  if (value) return std::move(*value);
  return err(CallError{false,
                       {ErrorCode::internal,
                        "the answer of culvertd is not understood: " + value.error(),
                        "are culvert and culvertd of the same version?",
                        {},
                        {}}});
}

/// Answers that lead on without end are no daemon's.
bool is_further(const StatusPlace& next, const StatusPlace& than) {
  return std::pair(next.tunnel, next.ike_sa) > std::pair(than.tunnel, than.ike_sa);
}

/// "/v1/sas", or "/v1/sas/NAME/delete".
std::string listed_path(std::string_view list, const std::string& name = {}) {
  const std::string path = fmt::format("/v{}/{}", kApiVersion, list);
  return name.empty() ? path : fmt::format("{}/{}/delete", path, percent_encoded(name));
}

std::string tunnel_path(const std::string& name, std::string_view action = {}) {
  return fmt::format("/v{}/tunnels/{}{}{}", kApiVersion, percent_encoded(name), action.empty() ? "" : "/", action);
}

}  // namespace

Answer<std::string> Client::call(const std::string& method, const std::string& target, const std::string& body,
                                 std::chrono::milliseconds extra) const {
  if (socket_.native().empty() || socket_.native().size() > kPathLimit) {
    return err(unreachable(fmt::format("the socket path {} has {} octets; the system allows 1 to {}", socket_.string(),
                                       socket_.native().size(), kPathLimit),
                           "give another path with --socket"));
  }
  Exchange exchange;
  exchange.request = {http::string_to_verb(method), target, 11};
  exchange.request.set(http::field::host, "culvertd");
  exchange.request.set(http::field::user_agent, "culvert");
  exchange.request.keep_alive(false);
  exchange.request.body() = body;
  exchange.request.prepare_payload();
  exchange.run(socket_, timeout_ + extra);
  if (exchange.connected) return err(connect_error(socket_, exchange.connected));
  if (exchange.received == beast::error::timeout) {
    return err(unreachable(fmt::format("culvertd does not answer at {}", socket_.string()),
                           "look at its log: `journalctl -u culvertd`"));
  }
  if (exchange.received) {
    return err(unreachable(fmt::format("culvertd broke the connection off: {}", exchange.received.message()),
                           "look at its log: `journalctl -u culvertd`"));
  }
  const auto& answer = exchange.answer.get();
  if (answer.result() == http::status::ok) return answer.body();
  auto error = from_json_text<Error>(answer.body());
  if (error) return err(CallError{false, std::move(*error)});
  return err(CallError{false,
                       {ErrorCode::internal,
                        fmt::format("culvertd answered with HTTP status {}", answer.result_int()),
                        "is it culvertd that listens at the socket?",
                        {},
                        {}}});
}

Answer<void> Client::each_status(const std::optional<std::string>& tunnel,
                                 const std::function<void(Status)>& visit) const {
  StatusPlace from;
  while (true) {
    std::string target = fmt::format("/v{}/status?from={}&from_sa={}", kApiVersion, from.tunnel, from.ike_sa);
    if (tunnel) target += "&tunnel=" + percent_encoded(*tunnel);
    auto status = parsed<Status>(call("GET", target, {}));
    if (!status) return err(std::move(status.error()));
    const auto next = status->next;
    visit(std::move(*status));
    if (!next || !is_further(*next, from)) return {};
    from = *next;
  }
}

Answer<Status> Client::status() const {
  std::optional<Status> whole;
  const auto done = each_status({}, [&](Status part) {
    if (!whole) {
      whole = std::move(part);
      whole->next.reset();
      return;
    }
    for (TunnelStatus& tunnel : part.tunnels) {
      if (whole->tunnels.empty() || whole->tunnels.back().name != tunnel.name) {
        whole->tunnels.push_back(std::move(tunnel));
      } else {
        std::ranges::move(tunnel.ike_sas, std::back_inserter(whole->tunnels.back().ike_sas));
      }
    }
  });
  if (!done) return err(done.error());
  return std::move(*whole);
}

Answer<TunnelStatus> Client::tunnel(const std::string& name) const {
  return parsed<TunnelStatus>(call("GET", tunnel_path(name), {}));
}

Answer<TunnelList> Client::list() const {
  TunnelList whole;
  StatusPlace from;
  while (true) {
    auto part = parsed<TunnelList>(call("GET", fmt::format("/v{}/tunnels?from={}", kApiVersion, from.tunnel), {}));
    if (!part) return part;
    std::ranges::move(part->tunnels, std::back_inserter(whole.tunnels));
    if (!part->next || !is_further(*part->next, from)) return whole;
    from = *part->next;
  }
}

Answer<TunnelStatus> Client::up(const std::string& name) const {
  return parsed<TunnelStatus>(call("POST", tunnel_path(name, "up"), {}));
}

Answer<TunnelStatus> Client::down(const std::string& name) const {
  return parsed<TunnelStatus>(call("POST", tunnel_path(name, "down"), {}));
}

Answer<RedirectResult> Client::redirect(const std::string& name, const RedirectRequest& request) const {
  return parsed<RedirectResult>(call("POST", tunnel_path(name, "redirect"), to_json_text(request)));
}

Answer<RekeyResult> Client::rekey(const std::string& name, const RekeyRequest& request) const {
  return parsed<RekeyResult>(call("POST", tunnel_path(name, "rekey"), to_json_text(request)));
}

Answer<ApplyResult> Client::apply(const ApplyRequest& request) const {
  return parsed<ApplyResult>(call("POST", fmt::format("/v{}/apply", kApiVersion), to_json_text(request)));
}

Answer<LeaseList> Client::leases() const {
  LeaseList whole;
  std::uint64_t from = 0;
  while (true) {
    auto part = parsed<LeaseList>(call("GET", fmt::format("{}?from={}", listed_path("leases"), from), {}));
    if (!part) return part;
    std::ranges::move(part->leases, std::back_inserter(whole.leases));
    if (!part->next || *part->next <= from) return whole;
    from = *part->next;
  }
}

Answer<FailureList> Client::failures() const { return parsed<FailureList>(call("GET", listed_path("failures"), {})); }

Answer<ManualSaList> Client::manual_sas() const { return parsed<ManualSaList>(call("GET", listed_path("sas"), {})); }

Answer<ManualSa> Client::add_sa(const AddRequest& request) const {
  return parsed<ManualSa>(call("POST", listed_path("sas"), to_json_text(request)));
}

Answer<Removed> Client::remove_sa(const std::string& name) const {
  return parsed<Removed>(call("POST", listed_path("sas", name), {}));
}

Answer<PolicyList> Client::policies() const { return parsed<PolicyList>(call("GET", listed_path("policies"), {})); }

Answer<PolicyList> Client::add_policy(const AddRequest& request) const {
  return parsed<PolicyList>(call("POST", listed_path("policies"), to_json_text(request)));
}

Answer<Removed> Client::remove_policy(const std::string& name) const {
  return parsed<Removed>(call("POST", listed_path("policies", name), {}));
}

Answer<LogPage> Client::log(const LogQuery& query) const {
  std::string target = fmt::format("/v{}/log?limit={}&wait={}", kApiVersion, query.limit, query.wait.count());
  if (query.after) target += fmt::format("&after={}", *query.after);
  if (!query.tunnel.empty()) target += "&tunnel=" + percent_encoded(query.tunnel);
  return parsed<LogPage>(call("GET", target, {}, query.wait));
}

}  // namespace culvert::api
