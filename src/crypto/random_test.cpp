#include "crypto/random.hpp"

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

TEST(SystemRandom, AnyLength) {
  SystemRandom random;
  for (const std::size_t size : {0U, 1U, 16U, 17U, 256U, 1000U}) {
    Bytes octets(size);
    random.fill(octets);
    EXPECT_TRUE(size < 16 || octets != Bytes(size)) << size;
  }
}

}  // namespace
}  // namespace culvert::crypto
