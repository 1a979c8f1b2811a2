// URLs of http and what is fetched from them, by servers that behave and servers that do not.
#include "io/http_fetch.hpp"

#include <array>
#include <atomic>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/file_descriptor.hpp"

namespace culvert::io {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

TEST(HttpUrl, IsTakenApart) {
  const auto place = parse_http_url("http://pki.example.net:8080/a/b.crl?x=1#y");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->host, "pki.example.net");
  EXPECT_EQ(place->port, 8080);
  EXPECT_EQ(place->target, "/a/b.crl?x=1");
  EXPECT_EQ(place->authority, "pki.example.net:8080");
  EXPECT_EQ(parse_http_url("http://pki.example.net")->target, "/");
  EXPECT_EQ(parse_http_url("http://pki.example.net?q")->target, "/?q");
  EXPECT_EQ(parse_http_url("http://[2001:db8::1]:81/")->host, "2001:db8::1");
  EXPECT_EQ(parse_http_url("http://[2001:db8::1]:81/")->port, 81);
}

TEST(HttpUrl, OthersAreRefused) {
  for (const std::string url :
       {"", "http://", "http:///x", "https://a/", "ftp://a/", "file:///etc/passwd", "HTTP://a/", "http://a b/",
        "http://user@a/", "http://user:pw@a/", "http://a:0/", "http://a:65536/", "http://a:/", "http://a:8x/",
        "http://[::1/", "http://[1.2.3.4]/", "http://[::1]x/", "http://a/\r\nHost: b", "http://\x80/"}) {
    EXPECT_FALSE(parse_http_url(url)) << url;
  }
  EXPECT_FALSE(parse_http_url("http://a/" + std::string(600, 'x')));
}

/// A server on the loopback for one connection at a time: sends what it is told once it has read a request.
class Server {
 public:
  explicit Server(std::string answer, bool answers = true) : answer_(std::move(answer)), answers_(answers) {
    listener_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/x";
    thread_ = std::jthread([this] { run(); });
  }
  ~Server() {
    ending_ = true;
    (void)::shutdown(listener_.get(), SHUT_RDWR);
  }
  std::string url;
  std::string request;

 private:
  void run() {
    while (!ending_) {
      const FileDescriptor one(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (one.get() < 0) return;
      std::array<char, 4096> octets{};
      const ssize_t got = ::read(one.get(), octets.data(), octets.size());
      if (got > 0) request.assign(octets.data(), static_cast<std::size_t>(got));
      if (answers_) {
        for (std::string_view rest = answer_; !rest.empty();) {
          const ssize_t sent = ::send(one.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
          if (sent <= 0) break;
          rest.remove_prefix(static_cast<std::size_t>(sent));
        }
      } else {
        // Until the other end goes.
        while (::read(one.get(), octets.data(), octets.size()) > 0) continue;
      }
    }
  }
  FileDescriptor listener_{-1};
  std::string answer_;
  bool answers_;
  std::atomic<bool> ending_ = false;
  std::jthread thread_;
};

std::string fault(const HttpFetch& what, std::chrono::milliseconds patience = 5s) {
  const auto got = fetch(what, patience);
  return got ? "" : got.error();
}

TEST(HttpFetch, GetsAndPosts) {
  Server server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  const auto got = fetch({.url = server.url}, 5s);
  ASSERT_TRUE(got) << got.error();
  EXPECT_EQ(*got, to_bytes(as_bytes("hello")));
  EXPECT_THAT(server.request, StartsWith("GET /x HTTP/1.1\r\n"));
  const auto posted = fetch(
      {.url = server.url, .body = to_bytes(as_bytes("question")), .content_type = "application/ocsp-request"}, 5s);
  ASSERT_TRUE(posted) << posted.error();
  EXPECT_THAT(server.request, StartsWith("POST /x HTTP/1.1\r\n"));
  EXPECT_THAT(server.request, HasSubstr("application/ocsp-request"));
}

TEST(HttpFetch, WithoutALengthTheEndOfTheConnectionCounts) {
  Server server("HTTP/1.0 200 OK\r\n\r\nabc");
  const auto got = fetch({.url = server.url}, 5s);
  ASSERT_TRUE(got) << got.error();
  EXPECT_EQ(got->size(), 3U);
}

TEST(HttpFetch, WhatIsNoAnswerIsAFault) {
  Server moved("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(fault({.url = moved.url}), "status 302: redirects are not followed");
  Server missing("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(fault({.url = missing.url}), "status 404");
  Server large("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x'));
  EXPECT_EQ(fault({.url = large.url, .limit = 65536}), "the answer has more than 65536 octets");
  Server endless("HTTP/1.1 200 OK\r\n\r\n" + std::string(200000, 'x'));
  EXPECT_EQ(fault({.url = endless.url, .limit = 65536}), "the answer has more than 65536 octets");
  Server header("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x') + "\r\n\r\n");
  EXPECT_EQ(fault({.url = header.url}), "the answer's header is too long");
  Server cut("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc");
  EXPECT_THAT(fault({.url = cut.url}), StartsWith("no complete answer"));
  Server other("SSH-2.0-x\r\n");
  EXPECT_THAT(fault({.url = other.url}), StartsWith("no complete answer"));
  EXPECT_THAT(fault({.url = "http://127.0.0.1:1/"}), StartsWith("no connection"));
  EXPECT_THAT(fault({.url = "https://127.0.0.1/"}), HasSubstr("no URL of http"));
  EXPECT_THAT(fault({.url = "http://nowhere.invalid/"}, 2s), HasSubstr("nowhere.invalid is not found"));
}

TEST(HttpFetch, SilenceEndsInTimeOrOnRequest) {
  Server silent("", false);
  EXPECT_THAT(fault({.url = silent.url}, 200ms), HasSubstr("in time"));
  std::stop_source stop;
  const std::jthread later([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  const auto got = fetch({.url = silent.url}, 60s, stop.get_token());
  EXPECT_FALSE(got);
}

}  // namespace
}  // namespace culvert::io
