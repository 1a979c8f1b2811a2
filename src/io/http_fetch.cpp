#include "io/http_fetch.hpp"

#include <algorithm>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "base/check.hpp"
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

/// Of this host, or of the link alone.
bool is_near(const asio::ip::address& address) {
  if (address.is_loopback() || address.is_unspecified()) return true;
  if (address.is_v4()) return (address.to_v4().to_uint() >> 16) == 0xa9fe;  // RFC 3927
  if (address.to_v6().is_v4_mapped())
    return is_near(asio::ip::address(asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6())));
  return address.to_v6().is_link_local();
}

/// The addresses to connect to; the error is a sentence.
Result<std::vector<asio::ip::tcp::endpoint>, std::string> endpoints_of(const HttpPlace& place,
                                                                       std::chrono::milliseconds patience,
                                                                       bool may_be_near) {
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
    if (error) continue;
    if (is_near(made) && !may_be_near)
      return err(fmt::format("{} is an address of this host or its link", address.to_string()));
    endpoints.emplace_back(made, place.port);
  }
  if (endpoints.empty()) return err(std::string("its host has no address that can be used"));
  return endpoints;
}

/// What a server says: the content, or where to look instead.
struct HttpAnswer {
  Bytes content;
  std::optional<std::string> location = {};
};

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

  Result<HttpAnswer, std::string> run(const std::vector<asio::ip::tcp::endpoint>& endpoints, Clock::time_point end,
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
    auto& answer = parser_.get();
    const auto status = answer.result_int();
    if (status == 200) {
      result_ = HttpAnswer{Bytes(std::move(answer.body()))};
      return;
    }
    // RFC 9110 15.4: 301 to 303 may make a GET of what was posted, and the question would be lost.
    const bool moved = status == 307 || status == 308 || (what_.body.empty() && status >= 301 && status <= 303);
    const auto location = answer.find(http::field::location);
    if (moved && location != answer.end()) {
      result_ = HttpAnswer{.content = {}, .location = std::string(location->value())};
      return;
    }
    result_ = err(fmt::format("status {}", status));
  }

  asio::io_context io_{1};
  beast::tcp_stream stream_;
  const HttpFetch& what_;
  http::request<http::vector_body<std::uint8_t>> request_;
  http::response_parser<http::vector_body<std::uint8_t>> parser_;
  beast::flat_buffer buffer_{kHeaderLimit + 65536};
  Result<HttpAnswer, std::string> result_ = err(std::string("it was given up"));
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

Result<std::string, std::string> redirect_target(std::string_view url, std::string_view location) {
  const auto base = parse_http_url(url);
  CHECK(base.has_value());
  const std::string shown = escaped(location, 120);
  if (location.starts_with("https://")) return err(fmt::format("leads to {}, and https is not fetched", shown));
  std::string target;
  const std::size_t scheme = location.find("://");
  if (scheme != std::string_view::npos && scheme < location.find_first_of("/?#")) {
    target = location;
  } else if (location.starts_with("//")) {
    target = fmt::format("http:{}", location);
  } else if (location.starts_with('/')) {
    target = fmt::format("http://{}{}", base->authority, location);
  } else {
    const std::string_view path = std::string_view(base->target).substr(0, base->target.find('?'));
    // RFC 3986 5.2.3: it stands in place of what is behind the last slash.
    const auto kept = location.starts_with('?') ? path : path.substr(0, path.rfind('/') + 1);
    target = fmt::format("http://{}{}{}", base->authority, kept, location);
  }
  const auto place = parse_http_url(target);
  if (location.empty() || !place) return err(fmt::format("leads to {}, which is no URL of http", shown));
  const std::string path = place->target.substr(0, place->target.find('?')) + "/";
  // Servers take them for other places than their text says, which a prefix would not see.
  if (path.find("/../") != std::string::npos || path.find("/./") != std::string::npos)
    return err(fmt::format("leads to {}, a path with dots in it", shown));
  return target.substr(0, target.find('#'));
}

Result<Bytes, std::string> fetch(const HttpFetch& what, std::chrono::milliseconds patience,
                                 const std::stop_token& stop) {
  const auto end = Clock::now() + patience;
  std::string url = what.url;
  bool may_be_near = what.may_be_near;
  for (unsigned redirects = 0;; ++redirects) {
    const auto said = [&](const std::string& fault) {
      return err(redirects == 0 ? fault : fmt::format("it redirects to {}: {}", url, fault));
    };
    const auto place = parse_http_url(url);
    if (!place) return said("it is no URL of http");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (redirects > 0 && left.count() <= 0) return said("no connection in time");
    const auto endpoints = endpoints_of(*place, left / 2, may_be_near);
    if (!endpoints) return said(endpoints.error());
    // Whoever has a server of ours asked must not reach by it what listens on this host alone; where we were sent to
    // such an address by the first URL, that is known to be wanted.
    may_be_near = std::ranges::all_of(*endpoints, [](const auto& one) { return is_near(one.address()); });
    auto answer = Conversation(what, *place).run(*endpoints, end, stop);
    if (!answer) return said(answer.error());
    if (!answer->location) return std::move(answer->content);
    if (redirects == kMostRedirects) return said(fmt::format("more than {} redirects", kMostRedirects));
    auto target = redirect_target(url, *answer->location);
    if (!target) return said(fmt::format("it {}", target.error()));
    const auto allowed = [&](const std::string& prefix) { return target->starts_with(prefix); };
    if (!what.within.empty() && std::ranges::none_of(what.within, allowed))
      return said(fmt::format("it leads to {}, which is not allowed", *target));
    url = std::move(*target);
  }
}

}  // namespace culvert::io
