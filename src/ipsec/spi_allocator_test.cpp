#include "ipsec/spi_allocator.hpp"

#include <set>

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

TEST(SpiAllocator, SpisAreDistinctAndCarryNodeAndSlot) {
  SeededRandom random(1);
  const SpiLayout layout{.node_bits = 6, .slot_bits = 10, .node = 37};
  SpiAllocator allocator(layout, random);
  std::set<std::uint32_t> slots;
  for (std::uint32_t i = 0; i < layout.capacity(); ++i) {
    const auto spi = allocator.allocate();
    ASSERT_TRUE(spi.has_value());
    EXPECT_EQ(spi->value() >> 26, 37U);
    EXPECT_TRUE(slots.insert(layout.slot_of(*spi)).second);
  }
  const auto full = allocator.allocate();
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error(), DataPlaneError::no_free_spi);
}

// RFC 4303 2.1: SPIs 0 to 255 are reserved.
TEST(SpiAllocator, NeverAReservedSpi) {
  SeededRandom random(2);
  SpiAllocator allocator({.node_bits = 0, .slot_bits = 1, .node = 0}, random);
  for (int i = 0; i < 100000; ++i) {
    const auto spi = allocator.allocate();
    ASSERT_TRUE(spi.has_value());
    ASSERT_GT(spi->value(), 255U);
    allocator.release(*spi);
  }
}

TEST(SpiAllocator, ReleasedSlotComesBackWithAnotherSpi) {
  SeededRandom random(3);
  SpiAllocator allocator({.node_bits = 24, .slot_bits = 1, .node = 5}, random);
  for (int i = 0; i < 200; ++i) {
    const auto first = allocator.allocate();
    const auto second = allocator.allocate();
    ASSERT_TRUE(first && second);
    ASSERT_FALSE(allocator.allocate().has_value());
    allocator.release(*first);
    allocator.release(*first);  // a second release of the same SPI changes nothing
    const auto third = allocator.allocate();
    ASSERT_TRUE(third.has_value());
    EXPECT_NE(*third, *first);
    EXPECT_EQ(third->value() & 1, first->value() & 1);
    EXPECT_FALSE(allocator.allocate().has_value());
    allocator.release(*second);
    allocator.release(*third);
    EXPECT_EQ(allocator.in_use(), 0U);
  }
}

}  // namespace
}  // namespace culvert::ipsec
