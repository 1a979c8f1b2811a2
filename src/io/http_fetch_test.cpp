// URLs of http and what is fetched from them, by servers that behave and servers that do not.
#include "io/http_fetch.hpp"

#include <array>
#include <atomic>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/file_descriptor.hpp"
#include "io/testing/network_namespace.hpp"

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
  explicit Server(std::string answer, bool answers = true, const char* at = "127.0.0.1")
      : answer_(std::move(answer)), answers_(answers) {
    listener_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    EXPECT_EQ(::inet_pton(AF_INET, at, &address.sin_addr), 1);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    url = "http://" + std::string(at) + ":" + std::to_string(ntohs(address.sin_port)) + "/x";
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
  Server nowhere("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(fault({.url = nowhere.url}), "status 302");
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

std::string moved_to(const std::string& where, int status = 302) {
  return "HTTP/1.1 " + std::to_string(status) + " Moved\r\nLocation: " + where + "\r\nContent-Length: 0\r\n\r\n";
}

TEST(HttpRedirect, LeadsWhereTheReferenceSays) {
  const std::string base = "http://a.example:81/x/y?q";
  const auto target = [&](std::string_view location) {
    const auto found = redirect_target(base, location);
    return found ? *found : "it " + found.error();
  };
  EXPECT_EQ(target("http://b.example/z"), "http://b.example/z");
  EXPECT_EQ(target("//b.example/z#part"), "http://b.example/z");
  EXPECT_EQ(target("/z"), "http://a.example:81/z");
  EXPECT_EQ(target("z"), "http://a.example:81/x/z");
  EXPECT_EQ(target("?other"), "http://a.example:81/x/y?other");
  EXPECT_EQ(target("/z?to=http://c.example/"), "http://a.example:81/z?to=http://c.example/");
  EXPECT_EQ(target("https://a.example/x"), "it leads to https://a.example/x, and https is not fetched");
  EXPECT_EQ(target("ftp://a.example/x"), "it leads to ftp://a.example/x, which is no URL of http");
  EXPECT_EQ(target("http://user@a.example/"), "it leads to http://user@a.example/, which is no URL of http");
  EXPECT_EQ(target("/a\x1b[2J"), "it leads to /a\\x1b[2J, which is no URL of http");
  EXPECT_EQ(target(""), "it leads to , which is no URL of http");
  for (const char* dots : {"/certs/../keys", "..", "/a/./b", "./"})
    EXPECT_THAT(target(dots), HasSubstr("dots")) << dots;
  EXPECT_THAT(target("/" + std::string(600, 'a')), HasSubstr("no URL of http"));
}

TEST(HttpRedirect, IsFollowedAFewTimes) {
  Server last("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  Server second(moved_to(last.url, 308));
  Server first(moved_to(second.url, 301));
  const auto got = fetch({.url = first.url}, 5s);
  ASSERT_TRUE(got) << got.error();
  EXPECT_EQ(*got, to_bytes(as_bytes("hello")));
  Server circle(moved_to("/x"));
  EXPECT_THAT(fault({.url = circle.url}), HasSubstr("more than 3 redirects"));
  Server https(moved_to("https://pki.example/list"));
  EXPECT_EQ(fault({.url = https.url}), "it leads to https://pki.example/list, and https is not fetched");
  Server missing("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  Server to_missing(moved_to(missing.url));
  EXPECT_EQ(fault({.url = to_missing.url}), "it redirects to " + missing.url + ": status 404");
  // All of it takes no longer than one.
  Server silent("", false);
  Server to_silent(moved_to(silent.url));
  EXPECT_THAT(fault({.url = to_silent.url}, 300ms), HasSubstr("in time"));
}

TEST(HttpRedirect, StaysWithinWhatIsAllowed) {
  Server last("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  Server first(moved_to(last.url));
  EXPECT_TRUE(fetch({.url = first.url, .within = {"http://pki.example/", last.url}}, 5s));
  EXPECT_EQ(fault({.url = first.url, .within = {"http://pki.example/"}}),
            "it leads to " + last.url + ", which is not allowed");
  EXPECT_TRUE(first.request.starts_with("GET"));
}

// RFC 9110 15.4: only 307 and 308 take the question along.
TEST(HttpRedirect, TakesAQuestionAlongOrIsNone) {
  Server last("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  const HttpFetch question{
      .url = {}, .body = to_bytes(as_bytes("question")), .content_type = "application/ocsp-request"};
  for (const auto& [status, taken] :
       {std::pair(301, false), std::pair(303, false), std::pair(307, true), std::pair(308, true)}) {
    last.request.clear();
    Server first(moved_to(last.url, status));
    HttpFetch what = question;
    what.url = first.url;
    EXPECT_EQ(fault(what), taken ? "" : "status " + std::to_string(status));
    EXPECT_EQ(last.request.starts_with("POST /x HTTP/1.1\r\n"), taken) << status;
    EXPECT_EQ(last.request.find("question") != std::string::npos, taken) << status;
  }
}

// A server elsewhere must not have us ask what listens on this host, or its link, alone.
TEST(HttpRedirect, FromElsewhereLeadsToNothingNear) {
  const auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    ASSERT_EQ(testing::shell("ip addr add 198.51.100.7/32 dev lo").status, 0);
    Server inside("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    Server elsewhere(moved_to(inside.url), true, "198.51.100.7");
    EXPECT_EQ(fault({.url = elsewhere.url}),
              "it redirects to " + inside.url + ": 127.0.0.1 is an address of this host or its link");
    EXPECT_EQ(inside.request, "");
    for (const char* near : {"169.254.169.254", "[::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "0.0.0.0"}) {
      Server other(moved_to("http://" + std::string(near) + "/"), true, "198.51.100.7");
      EXPECT_THAT(fault({.url = other.url}), HasSubstr("is an address of this host or its link")) << near;
    }
    // Nor where the first URL is not ours, but stands in a certificate.
    EXPECT_EQ(fault({.url = inside.url, .may_be_near = false}), "127.0.0.1 is an address of this host or its link");
    EXPECT_THAT(fault({.url = "http://localhost/", .may_be_near = false}),
                HasSubstr("is an address of this host or its link"));
    EXPECT_EQ(inside.request, "");
    Server good("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, "198.51.100.7");
    EXPECT_EQ(fault({.url = good.url, .may_be_near = false}), "");
    Server from_near(moved_to(good.url));
    EXPECT_EQ(fault({.url = from_near.url}), "");
  });
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
