#include "base/dense_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace culvert {
namespace {

struct Held {
  std::uint8_t* at;
  std::size_t size;
  std::uint8_t mark;
};

bool is_whole(const Held& held) {
  for (std::size_t i = 0; i < held.size; ++i) {
    if (held.at[i] != held.mark) return false;
  }
  return true;
}

Held hold(std::size_t size, std::uint8_t mark) {
  const Held held{static_cast<std::uint8_t*>(allocate_dense(size)), size, mark};
  std::memset(held.at, mark, size);
  return held;
}

// Several blocks of each size come and go, in any order; nobody's memory is another's.
void churn(unsigned seed, std::size_t count) {
  std::mt19937 random(seed);
  std::vector<Held> all;
  for (std::size_t round = 0; round < 3; ++round) {
    while (all.size() < count) {
      const std::size_t sizes[] = {1, 64, 448, 512, kLargestDense, kLargestDense + 1};
      all.push_back(hold(sizes[random() % 6], static_cast<std::uint8_t>(random())));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(all.back().at) % 64, 0U);
    }
    std::shuffle(all.begin(), all.end(), random);
    const std::size_t left = round == 2 ? 0 : count / 7;
    while (all.size() > left) {
      ASSERT_TRUE(is_whole(all.back()));
      free_dense(all.back().at, all.back().size);
      all.pop_back();
    }
  }
}

TEST(DenseMemory, PiecesDoNotOverlapWhateverComesAndGoes) { churn(1, 30'000); }

TEST(DenseMemory, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) threads.emplace_back([i] { churn(i, 5'000); });
  for (std::thread& thread : threads) thread.join();
}

TEST(DenseMemory, GivenBackByAnotherThread) {
  std::vector<Held> all;
  for (int i = 0; i < 1000; ++i) all.push_back(hold(448, static_cast<std::uint8_t>(i)));
  std::thread([&all] {
    for (const Held& held : all) {
      EXPECT_TRUE(is_whole(held));
      free_dense(held.at, held.size);
    }
  }).join();
}

struct alignas(64) Base : Dense {
  virtual ~Base() = default;
};
struct Derived final : Base {
  std::uint8_t octets[300] = {};
};

TEST(DenseMemory, ClassesLieThere) {
  std::vector<std::unique_ptr<Base>> objects;
  for (int i = 0; i < 10'000; ++i) objects.push_back(std::make_unique<Derived>());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(objects[77].get()) % 64, 0U);
}

}  // namespace
}  // namespace culvert
