#include "crypto/random.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace culvert::crypto {
namespace {

// Short ones come out of what was drawn ahead, across its end too, and on each thread out of its own.
TEST(SystemRandom, NothingComesTwice) {
  constexpr std::size_t kSize = 12;
  constexpr std::size_t kEach = 200;
  std::vector<std::vector<std::string>> of_thread(3);
  std::vector<std::thread> threads;
  for (auto& drawn : of_thread) {
    threads.emplace_back([&drawn] {
      SystemRandom random;
      for (std::size_t i = 0; i < kEach; ++i) {
        Bytes octets(kSize);
        random.fill(octets);
        drawn.push_back(to_hex(octets));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& drawn : of_thread) all.insert(drawn.begin(), drawn.end());
  EXPECT_EQ(all.size(), of_thread.size() * kEach);
}

// All of it, and nothing else: an octet that stays zero forty times over is not drawn.
TEST(SystemRandom, AnyLength) {
  SystemRandom random;
  constexpr std::size_t kAround = 8;
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 255U, 256U, 257U, 1000U}) {
    Bytes ever(size);
    for (int round = 0; round < 40; ++round) {
      Bytes octets(size + 2 * kAround);
      random.fill(MutableByteView(octets).subspan(kAround, size));
      for (std::size_t i = 0; i < size; ++i) ever[i] |= octets[kAround + i];
      std::fill_n(octets.begin() + kAround, size, std::uint8_t{0});
      ASSERT_EQ(octets, Bytes(octets.size())) << size;
    }
    EXPECT_EQ(std::ranges::count(ever, 0), 0) << size;
  }
}

}  // namespace
}  // namespace culvert::crypto
