// Fetches small signed things by plain HTTP: revocation lists, OCSP responses, certificates (RFC 5280 4.2, RFC 6960 A,
// RFC 7296 3.6). Bounded in time and size, one connection each, few redirects, no TLS: what comes is signed, and judged
// by whoever asked.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::io {

struct HttpPlace {
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 80;
  std::string target;     // path and query
  std::string authority;  // as the Host field has it
};
/// "http://HOST[:PORT][/PATH][?QUERY]", printable ASCII of at most 512 octets; nothing for any other text, such as one
/// with another scheme or with a user's name in it.
[[nodiscard]] std::optional<HttpPlace> parse_http_url(std::string_view url);

/// Where a Location field leads that came in answer to the URL (RFC 3986 4.2, without "." and ".."): a URL of http. The
/// error is the end of a sentence about it.
[[nodiscard]] Result<std::string, std::string> redirect_target(std::string_view url, std::string_view location);

struct HttpFetch {
  std::string url;
  Bytes body = {};                // posted; empty: GET
  std::string content_type = {};  // of the body
  std::size_t limit = 65536;      // octets of the answer
  /// A redirect may lead only to a URL that begins with one of these; none: anywhere.
  std::vector<std::string> within = {};
  bool may_be_near = true;  // at an address of this host, or of its link alone
};

inline constexpr unsigned kMostRedirects = 3;

/// Follows redirects, but not from elsewhere to this host or its link, and with a body only where it is to be sent
/// again (RFC 9110 15.4.8). Blocks for `patience` at the most, including the look-up of the name, of which it gives at
/// most half; less when it is stopped. The error is a sentence without the URL.
[[nodiscard]] Result<Bytes, std::string> fetch(const HttpFetch& what, std::chrono::milliseconds patience,
                                               const std::stop_token& stop = {});

}  // namespace culvert::io
