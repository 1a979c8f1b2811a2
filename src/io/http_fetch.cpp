#include "io/http_fetch.hpp"

#include <algorithm>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "base/text.hpp"
#include "io/name_lookup.hpp"
#include "net/address.hpp"

namespace culvert::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestUrl = 512;
constexpr std::uint32_t kHeaderLimit = 8192;
constexpr std::size_t kMostAddresses = 4;  // of a host, that are tried

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  unsigned port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port >= 1 && port <= 0xffff ? std::optional(static_cast<std::uint16_t>(port)) : std::nullopt;
}

/// The addresses to connect to; the error is a sentence.
Result<std::vector<asio::ip::tcp::endpoint>, std::string> endpoints_of(const HttpPlace& place,
                                                                       std::chrono::milliseconds patience) {
  std::vector<net::IpAddress> addresses;
  if (const auto literal = net::IpAddress::parse(place.host)) {
    addresses.push_back(*literal);
  } else {
    NameAnswer answer = std::move(look_up({place.host}, patience).front());
    if (answer.addresses.empty())
      return err(fmt::format("{} is not found: {}", escaped(place.host, 100), answer.error));
    addresses = std::move(answer.addresses);
  }
  std::vector<asio::ip::tcp::endpoint> endpoints;
  for (const net::IpAddress& address : addresses) {
    if (endpoints.size() == kMostAddresses) break;
    error_code error;
    const auto made = asio::ip::make_address(address.to_string(), error);
    if (!error) endpoints.emplace_back(made, place.port);
  }
  return endpoints;
}

/// One request and its answer, driven by an io_context of its own until done or out of time.
class Conversation {
 public:
  Conversation(const HttpFetch& what, const HttpPlace& place) : stream_(io_), what_(what) {
    request_.method(what.body.empty() ? http::verb::get : http::verb::post);
    request_.target(place.target);
    request_.version(11);
    request_.set(http::field::host, place.authority);
    request_.set(http::field::user_agent, "culvert");
    request_.set(http::field::connection, "close");
    if (!what.body.empty()) {
      request_.set(http::field::content_type, what.content_type);
      request_.body() = what.body;
      request_.prepare_payload();
    }
    parser_.body_limit(what.limit);
    parser_.header_limit(kHeaderLimit);
  }

  Result<Bytes, std::string> run(const std::vector<asio::ip::tcp::endpoint>& endpoints, Clock::time_point end,
                                 const std::stop_token& stop) {
    const std::stop_callback stopping(stop, [this] { io_.stop(); });
    stream_.expires_at(end);
    stream_.async_connect(endpoints, [this](const error_code& error, const asio::ip::tcp::endpoint&) {
      if (error) return fail("no connection", error);
      http::async_write(stream_, request_, [this](const error_code& written, std::size_t) {
        if (written) return fail("the request was not taken", written);
        http::async_read_header(stream_, buffer_, parser_, [this](const error_code& header, std::size_t) {
          if (header) return fail("no complete answer", header);
          read_body();
        });
      });
    });
    io_.run();
    return std::move(result_);
  }

 private:
  /// What the header announces is judged before there is room made for it: not every version of the parser does.
  void read_body() {
    if (parser_.content_length() && *parser_.content_length() > what_.limit)
      return fail("no complete answer", http::error::body_limit);
    http::async_read(stream_, buffer_, parser_, [this](const error_code& read, std::size_t) {
      if (read) return fail("no complete answer", read);
      judge();
    });
  }
  void fail(std::string_view what, const error_code& error) {
    result_ = err(error == beast::error::timeout       ? fmt::format("{} in time", what)
                  : error == http::error::body_limit   ? fmt::format("the answer has more than {} octets", what_.limit)
                  : error == http::error::header_limit ? std::string("the answer's header is too long")
                                                       : fmt::format("{}: {}", what, error.message()));
  }
  void judge() {
    const auto status = parser_.get().result_int();
    // A redirect would lead wherever the answering host wants.
    if (status != 200) {
      result_ = err(status >= 300 && status < 400 ? fmt::format("status {}: redirects are not followed", status)
                                                  : fmt::format("status {}", status));
      return;
    }
    result_ = Bytes(std::move(parser_.get().body()));
  }

  asio::io_context io_{1};
  beast::tcp_stream stream_;
  const HttpFetch& what_;
  http::request<http::vector_body<std::uint8_t>> request_;
  http::response_parser<http::vector_body<std::uint8_t>> parser_;
  beast::flat_buffer buffer_{kHeaderLimit + 65536};
  Result<Bytes, std::string> result_ = err(std::string("it was given up"));
};

}  // namespace

std::optional<HttpPlace> parse_http_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  const bool plain = std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7f; });
  if (!url.starts_with(kScheme) || url.size() > kLongestUrl || !plain) return std::nullopt;
  std::string_view rest = url.substr(kScheme.size(), url.find('#') - kScheme.size());
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  rest.remove_prefix(end);
  HttpPlace place{.host = {}, .port = 80, .target = std::string(rest), .authority = std::string(authority)};
  if (!place.target.starts_with('/')) place.target.insert(0, "/");
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const auto address = net::IpAddress::parse(authority.substr(1, close - 1));
    if (!address || address->is_v4()) return std::nullopt;
    place.host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    place.host = authority.substr(0, colon);
    port = authority.substr(colon);
    if (place.host.empty() || !std::ranges::all_of(place.host, is_host_character)) return std::nullopt;
  }
  if (port.empty()) return place;
  const auto number = port.front() == ':' ? parse_port(port.substr(1)) : std::nullopt;
  if (!number) return std::nullopt;
  place.port = *number;
  return place;
}

Result<Bytes, std::string> fetch(const HttpFetch& what, std::chrono::milliseconds patience,
                                 const std::stop_token& stop) {
  const auto end = Clock::now() + patience;
  const auto place = parse_http_url(what.url);
  if (!place) return err(std::string("it is no URL of http"));
  const auto endpoints = endpoints_of(*place, patience / 2);
  if (!endpoints) return err(endpoints.error());
  if (endpoints->empty()) return err(std::string("its host has no address that can be used"));
  return Conversation(what, *place).run(*endpoints, end, stop);
}

}  // namespace culvert::io
