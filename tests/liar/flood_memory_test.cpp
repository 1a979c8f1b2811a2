// A million malformed messages of strangers: as much memory is in use afterwards as before (CVE-2025-20182, RFC 7296
// 2.6, 2.21). Beside it tests/liar tells each of its lies some dozens of times and looks at what is held.
#include <algorithm>

#include <gtest/gtest.h>
#include <malloc.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::liar {
namespace {

using namespace ike::v2::testing;
using std::chrono::microseconds;
using std::chrono::minutes;

std::size_t heap() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// The first request of an honest set-up, to be bent.
Bytes honest_request() {
  Pair pair;
  configure(pair);
  initiate(pair);
  return pair.wire.at(0).message;
}

class Flood {
 public:
  Flood() {
    auto config = config_of(false);
    config.peer.reset();
    host_.secrets[config.id] = to_bytes(as_bytes("a shared secret"));
    host_.endpoint().handle_command(ike::ConfigureConnection{config}, now_);
    host_.failures.clear();
  }

  void send(unsigned count) {
    for (unsigned n = 0; n < count; ++n) {
      now_ += microseconds(100);
      const net::Path path{{address_of(false), std::uint16_t{500}},
                           {from(), static_cast<std::uint16_t>(1024 + chance_.below(60000))}};
      host_.endpoint().handle_datagram(path, bent(), now_);
      answers_ += host_.drain(now_).size();
      if (const auto due = host_.endpoint().poll_timeout(); due && *due <= now_) host_.endpoint().handle_timeout(now_);
      forget();
    }
    // Whatever was begun comes to its end.
    for (int minute = 0; minute < 5; ++minute) {
      now_ += minutes(1);
      host_.endpoint().handle_timeout(now_);
      (void)host_.drain(now_);
      forget();
    }
  }
  [[nodiscard]] std::uint64_t answers() const { return answers_; }
  Host& host() { return host_; }

 private:
  net::IpAddress from() {
    return net::IpAddress::v4(
        {203, 0, static_cast<std::uint8_t>(chance_.below(16)), static_cast<std::uint8_t>(chance_.below(256))});
  }
  /// A request whose SPI is new, with a few octets of it changed, or its end cut off, or with another length.
  Bytes bent() {
    Bytes message = honest_;
    store_be64(message.data(), chance_.u64() | 1);
    for (std::uint64_t n = chance_.below(5); n > 0; --n)
      message[chance_.below(message.size())] = static_cast<std::uint8_t>(chance_.u64());
    switch (chance_.below(4)) {
      case 0: message.resize(chance_.below(message.size())); break;
      case 1: message.resize(message.size() + chance_.below(64)); break;
      default: break;
    }
    if (message.size() >= 28 && chance_.below(2) == 0)
      store_be32(message.data() + 24, static_cast<std::uint32_t>(message.size()));
    return message;
  }
  /// What the stand-in for control writes down.
  void forget() {
    host_.failures = {};
    host_.log = {};
    host_.closed = {};
  }

  const Bytes honest_ = honest_request();
  SeededRandom chance_{5};
  Instant now_{std::chrono::hours(1)};
  Host host_{"b", 4, {}};
  std::uint64_t answers_ = 0;
};

TEST(FloodMemory, IsAsItWasAfterAMillionMalformedMessages) {
  Flood flood;
  // Until queues and tables have the room that they need once.
  flood.send(50'000);
  const std::size_t before = heap();
  // Sanitizers have an allocator of their own, which tells nothing; they see what is lost at the end.
  const bool told = before != 0;
  flood.send(told ? 1'000'000 : 20'000);
  EXPECT_LE(heap(), before + 4096) << "one octet left behind by each two hundredth would be more";
  EXPECT_GT(flood.answers(), 1000u) << "some were whole enough to be answered";
  EXPECT_EQ(flood.host().endpoint().counters().half_open, 0u);
  EXPECT_FALSE(flood.host().endpoint().poll_timeout());
}

}  // namespace
}  // namespace culvert::liar
