#include "base/large_memory.hpp"

#include <cstdint>
#include <limits>
#include <new>
#include <vector>

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(LargeMemory, IsZeroAlignedAndWritableToItsEnds) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4097}, kLargeMemory - 1, kLargeMemory,
                                 kLargeMemory + 1, 3 * kLargeMemory + 4096}) {
    // Several, so that mappings begin at different places between huge pages.
    std::vector<std::uint8_t*> blocks;
    for (int i = 0; i < 3; ++i) {
      blocks.push_back(static_cast<std::uint8_t*>(allocate_zeroed(size, 256)));
      const std::size_t alignment = size >= kLargeMemory ? std::size_t{2} << 20 : 256;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks.back()) % alignment, 0U) << size;
    }
    for (std::uint8_t* const block : blocks) {
      for (std::size_t at = 0; at < size; at += 4096) {
        ASSERT_EQ(block[at], 0);
        block[at] = 1;
      }
      if (size != 0) {
        ASSERT_LE(block[size - 1], 1);
        block[size - 1] = 1;
      }
    }
    for (std::uint8_t* const block : blocks) free_zeroed(block, size);
  }
}

TEST(LargeMemory, TooMuchThrows) {
  EXPECT_THROW((void)allocate_zeroed(std::numeric_limits<std::size_t>::max(), 64), std::bad_alloc);
  EXPECT_THROW((void)allocate_zeroed(std::numeric_limits<std::size_t>::max() / 2, 64), std::bad_alloc);
}

TEST(LargeMemory, VectorsGrowAcrossTheBound) {
  std::vector<std::uint32_t, LargeAllocator<std::uint32_t>> numbers;
  const std::uint32_t count = kLargeMemory / sizeof(std::uint32_t) * 3;
  for (std::uint32_t i = 0; i < count; ++i) numbers.push_back(i);
  auto copy = numbers;
  numbers.clear();
  numbers.shrink_to_fit();
  for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(copy[i], i);
}

}  // namespace
}  // namespace culvert
