#include "ipsec/tcp_framing.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::ipsec {
namespace {

Bytes frame(const Bytes& message) {
  const auto length = stream_length(message.size());
  Bytes out(length.begin(), length.end());
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes prefix() { return {kStreamPrefix.begin(), kStreamPrefix.end()}; }

/// Gives the reader `stream` in portions of `step`; what comes out, or the fault.
Result<std::vector<Bytes>, StreamFault> read(StreamReader& reader, Bytes stream, std::size_t step) {
  std::vector<Bytes> out;
  std::vector<MutableByteView> messages;
  for (std::size_t at = 0; at < stream.size(); at += step) {
    const auto portion = MutableByteView(stream).subspan(at, std::min(step, stream.size() - at));
    if (auto taken = reader.take(portion, messages); !taken) return err(taken.error());
    for (const MutableByteView message : messages) out.push_back(to_bytes(message));
  }
  return out;
}

// RFC 9329 3, 4: prefix, length that counts itself, messages in their order; however the octets arrive.
TEST(TcpFraming, TakesApartWhatComesInAnyPortions) {
  const Bytes ike{0, 0, 0, 0, 1, 2, 3};
  const Bytes esp{0x12, 0x34, 0x56, 0x78, 9};
  const Bytes keepalive{0xff};
  const Bytes longest(kMaxStreamMessage, 0x5a);
  const Bytes stream = prefix() + frame(ike) + frame(esp) + frame(keepalive) + frame(longest) + frame(esp);
  for (const std::size_t step : {1UL, 2UL, 3UL, 5UL, 7UL, 64UL, 4096UL, 65536UL, 200000UL}) {
    StreamReader reader(true);
    const auto messages = read(reader, stream, step);
    ASSERT_TRUE(messages) << step;
    EXPECT_EQ(*messages, (std::vector<Bytes>{ike, esp, keepalive, longest, esp})) << step;
  }
  EXPECT_EQ(frame(esp), (Bytes{0, 7, 0x12, 0x34, 0x56, 0x78, 9}));
}

// RFC 9329 4: who opened the stream gets no prefix.
TEST(TcpFraming, HasNoPrefixTheOtherWay) {
  StreamReader reader(false);
  EXPECT_TRUE(reader.begun());
  const auto messages = read(reader, frame({7, 7}), 100);
  ASSERT_TRUE(messages);
  EXPECT_EQ(*messages, (std::vector<Bytes>{{7, 7}}));
}

// RFC 9329 6.1: the whole prefix comes first, and nothing else is taken for it.
TEST(TcpFraming, RefusesAStreamThatIsNotForUs) {
  const std::string get = "GET / HTTP/1.1\r\n";
  for (std::size_t wrong = 0; wrong < kStreamPrefix.size(); ++wrong) {
    Bytes stream = prefix();
    stream[wrong] ^= 1;
    StreamReader reader(true);
    const auto messages = read(reader, stream + frame({1}), 3);
    ASSERT_FALSE(messages) << wrong;
    EXPECT_EQ(messages.error(), StreamFault::wrong_prefix);
  }
  StreamReader reader(true);
  EXPECT_FALSE(read(reader, Bytes(get.begin(), get.end()), 1));
  StreamReader begun(true);
  EXPECT_TRUE(read(begun, Bytes(kStreamPrefix.begin(), kStreamPrefix.begin() + 5), 5));
  EXPECT_FALSE(begun.begun());
}

// RFC 9329 3.1: a length of 0 or 1 is fatal. 3: an empty message, of length 2, is ignored.
TEST(TcpFraming, KnowsImpossibleLengths) {
  for (const std::uint8_t length : {std::uint8_t{0}, std::uint8_t{1}}) {
    for (const std::size_t step : {1UL, 100UL}) {
      StreamReader reader(false);
      const auto messages = read(reader, frame({5}) + Bytes{0, length, 1, 2, 3}, step);
      ASSERT_FALSE(messages);
      EXPECT_EQ(messages.error(), StreamFault::bad_length);
    }
  }
  for (const std::size_t step : {1UL, 100UL}) {
    StreamReader reader(false);
    const auto messages = read(reader, frame({}) + frame({5}) + frame({}), step);
    ASSERT_TRUE(messages);
    EXPECT_EQ(*messages, (std::vector<Bytes>{{5}}));
  }
}

TEST(TcpFraming, SurvivesRandomPortionsOfRandomMessages) {
  const std::uint64_t seed = 9329;
  SeededRandom random(seed);
  for (int round = 0; round < 200; ++round) {
    Bytes stream = prefix();
    std::vector<Bytes> sent;
    for (std::uint64_t n = random.below(20); n > 0; --n) {
      Bytes message(1 + random.below(random.below(4) == 0 ? 3000 : 40));
      for (std::uint8_t& octet : message) octet = static_cast<std::uint8_t>(random.below(256));
      stream = stream + frame(message);
      sent.push_back(std::move(message));
    }
    StreamReader reader(true);
    std::vector<Bytes> got;
    std::vector<MutableByteView> messages;
    for (MutableByteView rest = stream; !rest.empty();) {
      const std::size_t count = std::min<std::size_t>(1 + random.below(900), rest.size());
      ASSERT_TRUE(reader.take(rest.first(count), messages)) << "seed " << seed;
      for (const MutableByteView message : messages) got.push_back(to_bytes(message));
      rest = rest.subspan(count);
    }
    ASSERT_EQ(got, sent) << "seed " << seed << " round " << round;
  }
}

}  // namespace
}  // namespace culvert::ipsec
