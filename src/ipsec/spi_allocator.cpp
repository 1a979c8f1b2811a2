#include "ipsec/spi_allocator.hpp"

#include "base/check.hpp"

namespace culvert::ipsec {
namespace {

// How many released slots rest before the oldest is used again while unused slots remain.
constexpr std::size_t kRestingSlots = 256;

}  // namespace

SpiAllocator::SpiAllocator(const SpiLayout& layout, RandomSource& random) : layout_(layout), random_(random) {
  CHECK(layout.slot_bits >= 1 && layout.node_bits + layout.slot_bits <= 28);
  CHECK(layout.node_bits == 0 ? layout.node == 0 : layout.node < (std::uint32_t{1} << layout.node_bits));
}

Result<model::Spi, DataPlaneError> SpiAllocator::allocate() {
  std::uint32_t slot = 0;
  const bool unused_left = current_.size() < layout_.capacity();
  if (!resting_.empty() && (resting_.size() > kRestingSlots || !unused_left)) {
    slot = resting_.front();
    resting_.pop_front();
  } else if (unused_left) {
    slot = static_cast<std::uint32_t>(current_.size());
    current_.push_back(0);
    used_.push_back(false);
  } else {
    return err(DataPlaneError::no_free_spi);
  }
  // RFC 4303 2.1: 0 to 255 are reserved; with a generation of at least 1 and 4 bits or more the SPI lies above them
  // unless the slots are few.
  const std::uint32_t generations = std::uint32_t{1} << layout_.generation_bits();
  const std::uint32_t node = layout_.node_bits == 0 ? 0 : layout_.node << (32 - layout_.node_bits);
  std::uint32_t spi = 0;
  do {
    const auto generation = static_cast<std::uint32_t>(1 + random_.below(generations - 1));
    spi = node | (generation << layout_.slot_bits) | slot;
  } while (spi == current_[slot] || spi <= 255 || given_.contains(spi));
  current_[slot] = spi;
  used_[slot] = true;
  ++in_use_;
  return model::Spi{spi};
}

Result<void, DataPlaneError> SpiAllocator::reserve(model::Spi spi) {
  const std::uint32_t slot = layout_.slot_of(spi);
  const bool ours = slot < current_.size() && used_[slot] && current_[slot] == spi.value();
  if (spi.value() <= 255 || ours || !given_.insert(spi.value()).second) return err(DataPlaneError::no_free_spi);
  ++in_use_;
  return {};
}

void SpiAllocator::release(model::Spi spi) {
  if (given_.erase(spi.value()) != 0) {
    --in_use_;
    return;
  }
  const std::uint32_t slot = layout_.slot_of(spi);
  if (slot >= current_.size() || !used_[slot] || current_[slot] != spi.value()) return;
  used_[slot] = false;
  --in_use_;
  resting_.push_back(slot);
}

}  // namespace culvert::ipsec
