#include "api/log_ring.hpp"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace culvert::api {
namespace {

std::vector<std::uint64_t> sequences(const LogPage& page) {
  std::vector<std::uint64_t> out;
  for (const LogEntry& entry : page.entries) out.push_back(entry.sequence);
  return out;
}

using Sequences = std::vector<std::uint64_t>;

TEST(LogRing, NewestWithoutAfter) {
  LogRing ring(10);
  EXPECT_TRUE(ring.read({}, 5).entries.empty());
  for (int i = 0; i < 4; ++i) ring.append(i, LogLevel::info, i % 2 == 0 ? "even" : "odd", "x");
  EXPECT_EQ(sequences(ring.read({}, 2)), (Sequences{3, 4}));
  EXPECT_EQ(sequences(ring.read({}, 9, "odd")), (Sequences{2, 4}));
  EXPECT_EQ(ring.read({}, 2).next, 4u);
}

TEST(LogRing, PagesWithoutGaps) {
  LogRing ring(10);
  for (int i = 0; i < 5; ++i) ring.append(i, LogLevel::info, "", "x");
  const LogPage first = ring.read(0, 2);
  EXPECT_EQ(sequences(first), (Sequences{1, 2}));
  EXPECT_EQ(first.next, 2u);
  EXPECT_EQ(sequences(ring.read(first.next, 2)), (Sequences{3, 4}));
  EXPECT_TRUE(ring.read(5, 2).entries.empty());
  EXPECT_EQ(ring.read(5, 2).lost, 0u);
}

TEST(LogRing, SaysWhatItLost) {
  LogRing ring(3);
  for (int i = 0; i < 10; ++i) ring.append(i, LogLevel::info, "", "x");
  const LogPage page = ring.read(2, 100);
  EXPECT_EQ(page.lost, 5u);
  EXPECT_EQ(sequences(page), (Sequences{8, 9, 10}));
}

TEST(LogRing, FilteredReaderMovesOn) {
  LogRing ring(10);
  for (int i = 0; i < 4; ++i) ring.append(i, LogLevel::info, "other", "x");
  const LogPage page = ring.read(0, 10, "office");
  EXPECT_TRUE(page.entries.empty());
  EXPECT_EQ(page.next, 4u);
}

TEST(LogRing, ReaderOfAnEarlierRunBeginsAnew) {
  LogRing ring(10);
  ring.append(0, LogLevel::info, "", "x");
  EXPECT_EQ(sequences(ring.read(500, 10)), Sequences{1});
}

TEST(LogRing, TextIsEscapedAndCut) {
  LogRing ring(10);
  ring.append(0, LogLevel::info, "a\nb", std::string("\x1b[31m") + std::string(5000, 'x'));
  const LogPage page = ring.read({}, 1);
  EXPECT_EQ(page.entries[0].tunnel, "a\\x0ab");
  EXPECT_TRUE(page.entries[0].text.starts_with("\\x1b[31mxx"));
  EXPECT_LT(page.entries[0].text.size(), 2100u);
}

TEST(LogRing, ManyWritersOneListener) {
  LogRing ring(1000);
  int calls = 0;
  ring.set_listener([&] { ++calls; });
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) ring.append(0, LogLevel::info, "", "x");
    });
  }
  for (auto& writer : writers) writer.join();
  ring.set_listener({});
  ring.append(0, LogLevel::info, "", "x");
  EXPECT_EQ(calls, 400);
  EXPECT_EQ(ring.read(0, 1000).entries.size(), 401u);
}

}  // namespace
}  // namespace culvert::api
