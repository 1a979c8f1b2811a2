// Server and client over a real socket: the protocol, and what garbage, slow, silent and too many clients get.
#include "api/server.hpp"

#include <future>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/client.hpp"
#include "api/fake_daemon.hpp"
#include "base/random.hpp"

namespace culvert::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeDaemon;
using testing::FakeHandlers;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A plain connection that sends and reads octets.
class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& socket) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~RawClient() { ::close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  [[nodiscard]] bool connected() const { return connected_; }
  void send(std::string_view octets) const {
    while (!octets.empty()) {
      const auto sent = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      octets.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void finish_sending() const { ::shutdown(fd_, SHUT_WR); }
  /// All until the server closes; "(silence)" at the end when it did not.
  [[nodiscard]] std::string read_all() const {
    std::string out;
    char buffer[4096];
    while (true) {
      const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
      if (count > 0) {
        out.append(buffer, static_cast<std::size_t>(count));
        continue;
      }
      if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) out += "(silence)";
      return out;
    }
  }

 private:
  int fd_;
  bool connected_ = false;
};

class ServerTest : public ::testing::Test {
 protected:
  void expect_alive() {
    const auto status = Client(daemon_.socket()).status();
    ASSERT_TRUE(status) << status.error().error.message;
    EXPECT_EQ(status->tunnels[0].name, "office");
  }
  FakeDaemon daemon_;
};

TEST_F(ServerTest, EveryCall) {
  daemon_.handlers.answer.daemon.version = "1.2.3";
  daemon_.handlers.answer.packet_drops = {{"replayed", 4}};
  daemon_.handlers.answer.ike_refusals = {{"invalid_request", 2}};
  daemon_.start();
  const Client client(daemon_.socket());
  const auto status = client.status();
  ASSERT_TRUE(status) << status.error().error.message;
  EXPECT_EQ(status->daemon.version, "1.2.3");
  EXPECT_EQ(status->packet_drops.at("replayed"), 4u);
  EXPECT_EQ(status->ike_refusals.at("invalid_request"), 2u);
  EXPECT_EQ(client.list()->tunnels.at(0).name, "office");
  EXPECT_EQ(client.up("office")->state, TunnelState::connecting);
  EXPECT_EQ(client.tunnel("office")->attempts, 1u);
  EXPECT_EQ(client.rekey("office", {RekeyWhat::all})->child_sas, 1u);
  EXPECT_EQ(client.down("office")->state, TunnelState::down);
  EXPECT_FALSE(client.apply({.dry_run = true})->applied);
  EXPECT_TRUE(client.apply({})->applied);
  const auto missing = client.up("no/such tunnel");
  ASSERT_FALSE(missing);
  EXPECT_FALSE(missing.error().unreachable);
  EXPECT_EQ(missing.error().error.code, ErrorCode::no_such_tunnel);
  EXPECT_EQ(missing.error().error.message, "there is no tunnel \"no/such tunnel\"");
}

TEST_F(ServerTest, ManyTunnelsComeInParts) {
  daemon_.handlers.have_many();
  daemon_.handlers.answer.daemon.version = "1.2.3";
  daemon_.handlers.answer.packet_drops = {{"replayed", 4}};
  daemon_.start();
  const Client client(daemon_.socket());
  const auto whole = client.status();
  ASSERT_TRUE(whole);
  ASSERT_EQ(whole->tunnels.size(), 5u);
  EXPECT_EQ(whole->tunnels[0].ike_sas.size(), 3u);
  for (const std::size_t most : {2u, 3u, 4u, 7u}) {
    daemon_.handlers.most_at_once = most;
    daemon_.handlers.calls = 0;
    const auto joined = client.status();
    ASSERT_TRUE(joined);
    EXPECT_EQ(*joined, *whole) << most;
    EXPECT_GT(daemon_.handlers.calls, 1);
    EXPECT_EQ(client.list()->tunnels.size(), 5u) << most;
    std::vector<std::uint64_t> ids;
    ASSERT_TRUE(client.each_status("office", [&](const Status& part) {
      for (const TunnelStatus& tunnel : part.tunnels) {
        EXPECT_EQ(tunnel.name, "office");
        for (const IkeSa& sa : tunnel.ike_sas) ids.push_back(sa.id);
      }
    }));
    EXPECT_EQ(ids, (std::vector<std::uint64_t>{1, 2, 3})) << most;
  }
  EXPECT_EQ(client.each_status("nowhere", [](const Status&) {}).error().error.code, ErrorCode::no_such_tunnel);
}

TEST_F(ServerTest, ErrorsKeepTheirProblems) {
  const Error error{ErrorCode::config_invalid,
                    "the configuration is not whole",
                    "mend it",
                    "",
                    {{"error", "a.toml", 3, 4, "tunnel.a.peer", "m", "h"}}};
  daemon_.handlers.failure = error;
  daemon_.start();
  const auto result = Client(daemon_.socket()).apply({});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().error, error);
}

TEST_F(ServerTest, SocketIsForRootAndItsGroupOnly) {
  daemon_.start();
  struct stat status{};
  ASSERT_EQ(::stat(daemon_.socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
  daemon_.stop();
  EXPECT_FALSE(std::filesystem::exists(daemon_.socket())) << "removed at the end";
}

TEST_F(ServerTest, TwoRequestsOnOneConnection) {
  daemon_.start();
  const RawClient client(daemon_.socket());
  client.send(
      "GET /v1/tunnels HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 404 Not Found\r\n"));
}

TEST_F(ServerTest, ChunkedBody) {
  daemon_.start();
  const RawClient client(daemon_.socket());
  client.send(
      "POST /v1/apply HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
      "chunked\r\n\r\n10\r\n{\"dry_run\": true}\r\n0\r\n\r\n");
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 400")) << "the chunk is one octet longer than it says";
  const RawClient again(daemon_.socket());
  again.send(
      "POST /v1/apply HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
      "chunked\r\n\r\n11\r\n{\"dry_run\": true}\r\n0\r\n\r\n");
  EXPECT_THAT(again.read_all(), HasSubstr("\"applied\":false"));
}

TEST_F(ServerTest, GarbageIsAnsweredOrCutOff) {
  daemon_.limits.request_time = milliseconds(300);
  daemon_.start();
  SeededRandom random(3);
  for (int i = 0; i < 300; ++i) {
    std::string octets =
        i % 2 == 0
            ? std::string()
            : std::string(
                  "POST /v1/tunnels/office/rekey HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{\"what\":\"all\"}");
    if (octets.empty()) octets.resize(1 + random.below(200));
    for (int j = 0; j < 6; ++j) octets[random.below(octets.size())] = static_cast<char>(random.below(256));
    const RawClient client(daemon_.socket());
    client.send(octets);
    client.finish_sending();
    ASSERT_THAT(client.read_all(), ::testing::Not(HasSubstr("(silence)")));
  }
  expect_alive();
}

TEST_F(ServerTest, OversizedRequestsAreRefused) {
  daemon_.start();
  const RawClient headers(daemon_.socket());
  headers.send("GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n");
  EXPECT_THAT(headers.read_all(), StartsWith("HTTP/1.1 413"));
  const RawClient body(daemon_.socket());
  body.send("POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_THAT(body.read_all(), StartsWith("HTTP/1.1 413"));
  const RawClient chunks(daemon_.socket());
  chunks.send("POST /v1/apply HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n" +
              std::string(100'000, 'a'));
  EXPECT_THAT(chunks.read_all(), StartsWith("HTTP/1.1 4"));
  expect_alive();
}

TEST_F(ServerTest, SlowRequestIsCutOff) {
  daemon_.limits.request_time = milliseconds(100);
  daemon_.start();
  const RawClient silent(daemon_.socket());
  const RawClient slow(daemon_.socket());
  slow.send("GET /v1/status HTTP/1.1\r\nHost:");
  EXPECT_EQ(slow.read_all(), "");
  EXPECT_EQ(silent.read_all(), "");
  expect_alive();
}

TEST_F(ServerTest, TooManyClientsAreTold) {
  daemon_.limits.connections = 2;
  daemon_.start();
  const RawClient first(daemon_.socket());
  const RawClient second(daemon_.socket());
  // The server has surely accepted both when it answers on the second.
  second.send("GET /v1/tunnels HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawClient third(daemon_.socket());
  const std::string answer = third.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("too many clients"));
}

TEST_F(ServerTest, LogWaitsForTheNextEntry) {
  daemon_.log.append(1, LogLevel::info, "office", "first");
  daemon_.start();
  const Client client(daemon_.socket());
  EXPECT_EQ(client.log({})->entries.size(), 1u);
  auto waiting = std::async(std::launch::async, [&] { return client.log({.after = 1, .wait = seconds(30)}); });
  EXPECT_EQ(waiting.wait_for(milliseconds(50)), std::future_status::timeout);
  daemon_.log.append(2, LogLevel::warning, "office", "second");
  const auto page = waiting.get();
  ASSERT_TRUE(page) << page.error().error.message;
  ASSERT_EQ(page->entries.size(), 1u);
  EXPECT_EQ(page->entries[0].text, "second");
}

TEST_F(ServerTest, ClientPutsPartsOfLeasesTogether) {
  for (const char* address : {"10.9.0.1", "10.9.0.2", "10.9.0.3"})
    daemon_.handlers.leased.leases.push_back({.address = address});
  daemon_.handlers.most_at_once = 2;
  daemon_.start();
  const auto leases = Client(daemon_.socket()).leases();
  ASSERT_TRUE(leases) << leases.error().error.message;
  daemon_.stop();
  EXPECT_EQ(*leases, daemon_.handlers.leased);
  EXPECT_EQ(daemon_.handlers.calls, 2);
}

TEST_F(ServerTest, LogWaitEndsEmpty) {
  daemon_.limits.longest_wait = milliseconds(50);
  daemon_.start();
  const auto page = Client(daemon_.socket()).log({.after = 0, .wait = seconds(30)});
  ASSERT_TRUE(page) << page.error().error.message;
  EXPECT_TRUE(page->entries.empty());
}

TEST_F(ServerTest, WaiterThatGoesAwayGivesItsPlaceBack) {
  daemon_.limits.connections = 1;
  daemon_.start();
  for (int i = 0; i < 5; ++i) {
    // A refused connection means that the server has not seen the last one go yet.
    for (int attempt = 0; attempt < 500; ++attempt) {
      const auto status = Client(daemon_.socket()).status();
      if (status) break;
      ASSERT_EQ(status.error().error.code, ErrorCode::overloaded);
      std::this_thread::sleep_for(milliseconds(10));
    }
    const RawClient waiter(daemon_.socket());
    waiter.send("GET /v1/log?after=0&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n");
    waiter.finish_sending();
  }
}

TEST_F(ServerTest, StopsWithClientsConnected) {
  daemon_.start();
  const RawClient idle(daemon_.socket());
  const RawClient waiter(daemon_.socket());
  waiter.send("GET /v1/log?after=0&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_alive();
  daemon_.stop();
  EXPECT_THAT(waiter.read_all(), ::testing::Not(HasSubstr("(silence)")));
}

// ---------------------------------------------------------------- the socket file

class SocketFile : public ::testing::Test {
 protected:
  std::string refusal(const std::filesystem::path& path) {
    auto server = Server::listen(io_, path, handlers_, log_);
    if (server) return "listening";
    return server.error().message + " / " + server.error().hint;
  }
  TemporaryFolder folder_;
  boost::asio::io_context io_;
  FakeHandlers handlers_;
  LogRing log_;
};

TEST_F(SocketFile, OfALiveDaemonIsRefused) {
  const auto path = folder_.path() / "s";
  auto first = Server::listen(io_, path, handlers_, log_);
  ASSERT_TRUE(first);
  EXPECT_EQ(refusal(path), "another culvertd is running: it holds " + path.string() +
                               " / stop it first, or give this one its own path with --socket");
  first->reset();
  EXPECT_EQ(refusal(path), "listening");
}

TEST_F(SocketFile, OfSomeOtherServerIsRefused) {
  const auto path = folder_.path() / "s";
  boost::asio::local::stream_protocol::acceptor other(io_,
                                                      boost::asio::local::stream_protocol::endpoint(path.string()));
  EXPECT_THAT(refusal(path), StartsWith("another culvertd is running"));
  EXPECT_TRUE(std::filesystem::exists(path));
  other.close();  // the file stays, as after SIGKILL
  EXPECT_EQ(refusal(path), "listening");
}

TEST_F(SocketFile, OtherFilesAreLeftAlone) {
  const auto path = folder_.path() / "s";
  std::filesystem::create_directory(path);
  EXPECT_EQ(refusal(path),
            path.string() + " exists and is no socket / remove it, or choose another path with --socket");
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(SocketFile, PathTooLong) {
  EXPECT_THAT(refusal(folder_.path() / std::string(120, 'x')), HasSubstr("the system allows 1 to 107"));
  EXPECT_THAT(refusal(""), HasSubstr("has 0 octets"));
}

TEST_F(SocketFile, FolderIsMadeWhenMissing) {
  EXPECT_EQ(refusal(folder_.path() / "run" / "culvert" / "s"), "listening");
}

// ---------------------------------------------------------------- the client's errors

TEST_F(SocketFile, ClientSaysWhyThereIsNoDaemon) {
  const auto path = folder_.path() / "s";
  const auto missing = Client(path).status();
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().unreachable);
  EXPECT_EQ(missing.error().error.message, "culvertd is not running: there is no socket " + path.string());
  EXPECT_THAT(missing.error().error.hint, HasSubstr("systemctl start culvertd"));
  {
    const boost::asio::local::stream_protocol::acceptor dead(
        io_, boost::asio::local::stream_protocol::endpoint(path.string()));
  }
  EXPECT_EQ(Client(path).status().error().error.message, "culvertd is not running: nobody answers at " + path.string());
  EXPECT_TRUE(Client(std::string(200, 'x')).status().error().unreachable);
}

TEST_F(SocketFile, ClientGivesUpOnASilentServer) {
  const auto path = folder_.path() / "s";
  const boost::asio::local::stream_protocol::acceptor silent(
      io_, boost::asio::local::stream_protocol::endpoint(path.string()));
  const auto status = Client(path, milliseconds(50)).status();
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().unreachable);
  EXPECT_EQ(status.error().error.message, "culvertd does not answer at " + path.string());
}

}  // namespace
}  // namespace culvert::api
