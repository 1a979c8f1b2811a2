// Streams over the loopback: one end opens them, the other accepts.
#include "datapath/tcp_streams.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "io/clock.hpp"
#include "io/socket_address.hpp"
#include "io/tcp_socket.hpp"

namespace culvert::datapath {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const net::IpAddress kLoopback = *net::IpAddress::parse("127.0.0.1");

Bytes ike_behind_marker(const Bytes& message) {
  Bytes out(4, 0);
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

struct End final : TcpStreamSink {
  explicit End(TcpStreamOptions options) {
    auto opened = TcpStreams::open(std::move(options));
    if (!opened) {
      ADD_FAILURE() << opened.error().text;
      std::abort();
    }
    streams = std::move(*opened);
  }
  void stream_messages(const net::Path& path, std::span<const MutableByteView> messages) override {
    for (const MutableByteView message : messages) {
      if (keep) got.emplace_back(path, to_bytes(message));
      ++count;
    }
  }
  void turn() {
    streams->turn(io::MonotonicClock::now(), *this, counters);
    for (TcpStreamEvent& event : streams->take_events()) events.push_back(std::move(event));
  }

  std::unique_ptr<TcpStreams> streams;
  std::vector<std::pair<net::Path, Bytes>> got;
  std::size_t count = 0;
  bool keep = true;
  std::vector<TcpStreamEvent> events;
  IoCounters counters;
};

class TcpStreamsTest : public ::testing::Test {
 protected:
  // A port that nobody had a moment ago.
  static std::uint16_t free_port() {
    const auto bound = io::bind_tcp(kLoopback, 0);
    return bound ? bound->local.port : std::uint16_t{0};
  }
  static Instant now() { return io::MonotonicClock::now(); }
  TcpStreamOptions listening() const { return {.listen = {port}}; }
  net::Endpoint called() const { return {kLoopback, port, net::Transport::tcp}; }
  // Turns both ends until the condition holds; they have seconds for what takes a moment.
  template <typename Condition>
  bool until(Condition condition, Duration most = seconds(10)) {
    for (const Instant end = now() + most; now() < end;) {
      caller.turn();
      answerer.turn();
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return condition();
  }
  net::Path open() {
    const auto path = caller.streams->open_stream(kLoopback, called(), now());
    EXPECT_TRUE(path) << (path ? "" : path.error().text);
    return path ? *path : net::Path{};
  }
  // A client that may say anything.
  int stranger(std::string_view words) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage to{};
    const socklen_t length = io::to_sockaddr(called(), to);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), length), 0);
    EXPECT_EQ(::send(fd, words.data(), words.size(), 0), static_cast<ssize_t>(words.size()));
    return fd;
  }

  std::uint16_t port = free_port();
  End answerer{listening()};
  End caller{{}};
};

const Bytes kIke{1, 2, 3, 4, 5};
const Bytes kEsp{0x12, 0x34, 0x56, 0x78, 9, 9, 9, 9};

TEST_F(TcpStreamsTest, CarriesIkeAndEspBothWays) {  // RFC 9329 3, 6.1
  const net::Path path = open();
  EXPECT_TRUE(path.over_tcp() && path.local.transport == net::Transport::tcp);
  // IKE waits for the connection, and a retransmission of it does not wait as well.
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0);
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0);
  ASSERT_TRUE(until([&] { return !answerer.got.empty(); }));
  const net::Path back = answerer.got[0].first;
  EXPECT_EQ(back, (net::Path{path.remote, path.local}));
  EXPECT_EQ(answerer.got[0].second, ike_behind_marker(kIke));
  answerer.streams->hold(back, true, now());
  caller.streams->hold(path, true, now());
  // A train of three ESP packets, the last shorter.
  Bytes train(20, 7);
  caller.streams->send_esp(path, train, 8, caller.counters);
  EXPECT_EQ(answerer.streams->send_ike(back, kIke), 0);
  answerer.streams->send_esp(back, kEsp, 8, answerer.counters);
  ASSERT_TRUE(until([&] { return answerer.got.size() == 4 && caller.got.size() == 2; }));
  EXPECT_EQ(answerer.got[1].second, Bytes(8, 7));
  EXPECT_EQ(answerer.got[3].second, Bytes(4, 7));
  EXPECT_EQ(caller.got[0].second, ike_behind_marker(kIke));
  EXPECT_EQ(caller.got[1].second, kEsp);
  EXPECT_EQ(caller.got[1].first, path);
  EXPECT_TRUE(caller.events.empty() && answerer.events.empty());
}

TEST_F(TcpStreamsTest, OpensAgainWhatWasLost) {  // RFC 9329 6.1
  const net::Path path = open();
  caller.streams->hold(path, true, now());
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0);
  ASSERT_TRUE(until([&] { return !answerer.got.empty(); }));
  const net::Path first = answerer.got[0].first;
  // The answerer is started anew: it knows nothing of the stream, and never opens one itself.
  answerer.streams.reset();
  answerer.got.clear();
  answerer.streams = std::move(*TcpStreams::open(listening()));
  EXPECT_EQ(answerer.streams->send_ike(first, kIke), ENOTCONN);
  ASSERT_TRUE(
      until([&] { return !caller.events.empty() && caller.events.back().kind == TcpStreamEvent::Kind::opened_again; }));
  EXPECT_EQ(caller.events.back().path, path) << "under its first name";
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0);
  ASSERT_TRUE(until([&] { return !answerer.got.empty(); })) << "behind a prefix of its own";
  EXPECT_EQ(answerer.got[0].second, ike_behind_marker(kIke));
}

TEST_F(TcpStreamsTest, GoesOnTryingAndSaysWhyOnce) {
  answerer.streams = std::move(*TcpStreams::open({}));
  const net::Path path = open();
  ASSERT_TRUE(until([&] { return !caller.events.empty(); }));
  EXPECT_EQ(caller.events[0].kind, TcpStreamEvent::Kind::failed);
  EXPECT_FALSE(caller.events[0].text.empty());
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0) << "it waits";
  answerer.streams = std::move(*TcpStreams::open(listening()));
  ASSERT_TRUE(until([&] { return !answerer.got.empty(); }));
  EXPECT_EQ(caller.events.size(), 1u) << "it never stood before, so it is nothing to tell";
}

// Time is the test's own here, and behind the real one, so that every timer of the system is due at once: what counts
// is how often a peer that takes each connection and closes it is called in ten seconds.
TEST_F(TcpStreamsTest, IsSlowerEachTimeWithAPeerThatClosesAtOnce) {
  answerer.streams = std::move(*TcpStreams::open({}));
  const auto rude = io::bind_tcp(kLoopback, 0);
  ASSERT_TRUE(rude);
  ASSERT_EQ(::listen(rude->fd.get(), 16), 0);
  ASSERT_EQ(::fcntl(rude->fd.get(), F_SETFL, O_NONBLOCK), 0);
  Instant at = now() - std::chrono::hours(1);
  const auto path = caller.streams->open_stream(kLoopback, {kLoopback, rude->local.port, net::Transport::tcp}, at);
  ASSERT_TRUE(path);
  caller.streams->hold(*path, true, at);
  const auto pass = [&](Duration duration, auto answer) {
    unsigned taken = 0;
    for (const Instant end = at + duration; at < end; at += milliseconds(10)) {
      if (const int fd = ::accept(rude->fd.get(), nullptr, nullptr); fd >= 0) {
        ++taken;
        answer(fd);
        ::close(fd);
      }
      caller.streams->turn(at, caller, caller.counters);
      std::this_thread::sleep_for(milliseconds(1));
    }
    return taken;
  };
  const unsigned calls = pass(seconds(10), [](int) {});
  EXPECT_GE(calls, 3u);
  EXPECT_LE(calls, 8u) << "50 ms, 150, 450, 1350, 4050, 5000";
  // Whoever has said something is called again at once.
  unsigned answered = 0;
  const unsigned heard = pass(seconds(10), [&](int fd) {
    const Bytes frame{0, 7, 0, 0, 0, 0, 9};
    EXPECT_EQ(::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
    ++answered;
    for (int n = 0; n < 100 && caller.count < answered; ++n) {
      caller.streams->turn(at, caller, caller.counters);
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  EXPECT_EQ(caller.count, answered);
  EXPECT_GT(heard, 20u);
}

TEST_F(TcpStreamsTest, ClosesWhatNobodyHolds) {  // RFC 9329 6.1
  answerer.streams.reset();
  TcpStreamOptions quick = listening();
  quick.unheld_time = milliseconds(100);
  quick.farewell = milliseconds(100);
  answerer.streams = std::move(*TcpStreams::open(quick));
  caller.streams = std::move(*TcpStreams::open({.farewell = milliseconds(100)}));
  const net::Path path = open();
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0);
  ASSERT_TRUE(until([&] { return !answerer.got.empty(); }));
  answerer.streams->hold(answerer.got[0].first, true, now());
  caller.streams->hold(path, true, now());
  // Held they stay; another one, that is not, goes.
  const int other = stranger("IKETCP");
  ASSERT_TRUE(until([&] { return answerer.streams->count() == 2; }));
  ASSERT_TRUE(until([&] { return answerer.streams->count() == 1; }));
  caller.streams->hold(path, false, now());
  ASSERT_TRUE(until([&] { return caller.streams->count() == 0 && answerer.streams->count() == 0; }));
  EXPECT_EQ(caller.streams->send_ike(path, kIke), ENOTCONN);
  caller.streams->send_esp(path, kEsp, 4, caller.counters);
  EXPECT_EQ(caller.counters.of(IoDrop::stream_closed), 2u);
  ::close(other);
}

TEST_F(TcpStreamsTest, ClosesWhatIsNotForUs) {  // RFC 9329 3.1, 6.1
  using namespace std::string_view_literals;
  std::vector<int> fds;
  std::uint64_t wrong = 0;
  for (const std::string_view words : {"GET / HTTP/1.1\r\n\r\n"sv, "IKETCP\0\1x"sv, "IKETCP\0\0"sv, "IKEUDP"sv}) {
    fds.push_back(stranger(words));
    ++wrong;
    ASSERT_TRUE(until([&] { return answerer.counters.of(IoDrop::stream_corrupt) == wrong; }));
    EXPECT_TRUE(until([&] { return answerer.streams->count() == 0; }));
  }
  EXPECT_TRUE(answerer.got.empty());
  for (const int fd : fds) ::close(fd);
}

TEST_F(TcpStreamsTest, BoundsStrangers) {
  answerer.streams.reset();
  TcpStreamOptions few = listening();
  few.most_unheld = 2;
  answerer.streams = std::move(*TcpStreams::open(few));
  std::vector<int> fds;
  for (int i = 0; i < 3; ++i) fds.push_back(stranger("IKETCP"));
  ASSERT_TRUE(until([&] { return answerer.counters.of(IoDrop::stream_refused) == 1; }));
  EXPECT_EQ(answerer.streams->count(), 2u);
  // Who goes makes room.
  ::close(fds[0]);
  ASSERT_TRUE(until([&] { return answerer.streams->count() == 1; }));
  fds[0] = stranger("IKETCP");
  ASSERT_TRUE(until([&] { return answerer.streams->count() == 2; }));
  for (const int fd : fds) ::close(fd);
}

TEST_F(TcpStreamsTest, DropsEspAndKeepsIkeWhenThePeerDoesNotRead) {
  const net::Path path = open();
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0);
  ASSERT_TRUE(until([&] { return !answerer.got.empty(); }));
  answerer.keep = false;
  answerer.count = 0;
  // Nobody turns the answerer: what the system takes, and what is kept, comes to an end.
  const Bytes packet(1400, 0x11);
  std::size_t sent = 0;
  while (caller.counters.of(IoDrop::stream_full) == 0 && sent < 1'000'000) {
    caller.streams->send_esp(path, packet, packet.size(), caller.counters);
    ++sent;
  }
  ASSERT_EQ(caller.counters.of(IoDrop::stream_full), 1u);
  EXPECT_EQ(caller.streams->send_ike(path, kIke), 0) << "there is room left for IKE";
  // Then all but what was dropped arrives, and in one piece.
  ASSERT_TRUE(until([&] { return answerer.count == sent; }, seconds(30))) << answerer.count << " of " << sent;
  EXPECT_EQ(answerer.counters.of(IoDrop::stream_corrupt), 0u);
}

// Whoever sends does so while the owner connects, reads and closes.
TEST_F(TcpStreamsTest, AnyThreadSends) {
  const net::Path path = open();
  constexpr std::size_t kEach = 2000;
  const auto send = [&](std::uint8_t mark) {
    const Bytes packet(200, mark);
    for (std::size_t i = 0; i < kEach; ++i) {
      caller.streams->send_esp(path, packet, packet.size(), caller.counters);
      if (i % 100 == 0) (void)caller.streams->send_ike(path, {&mark, 1});
      if (i % 500 == 0) caller.streams->hold(path, true, now());
    }
  };
  std::thread first(send, std::uint8_t{1});
  std::thread second(send, std::uint8_t{2});
  const auto lost = [&] { return caller.counters.of(IoDrop::stream_closed) + caller.counters.of(IoDrop::stream_full); };
  // Each is there, in one piece, but for what is counted as lost; of IKE at least what was no repetition.
  ASSERT_TRUE(until([&] { return answerer.count + lost() >= 2 * kEach + 2; }, seconds(30)));
  first.join();
  second.join();
  for (const auto& [from, message] : answerer.got) {
    ASSERT_TRUE(message.size() == 200 || message.size() == 5) << message.size();
    EXPECT_EQ(std::ranges::count(message, message.back()), message.size() == 200 ? 200 : 1);
  }
}

}  // namespace
}  // namespace culvert::datapath
