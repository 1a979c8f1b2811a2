#include "base/dense_memory.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include <sys/mman.h>

#include "base/check.hpp"
#include "base/large_memory.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define CULVERT_PLAIN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CULVERT_PLAIN_HEAP 1
#endif
#endif

namespace culvert {
namespace {

constexpr std::size_t kUnit = 64;
constexpr std::size_t kBlock = kLargeMemory;  // aligned to its size, so that a piece leads to its block
constexpr std::size_t kSizes = kLargestDense / kUnit + 1;
// What the first block of a size may have in use before it becomes a huge page.
constexpr std::size_t kFew = kBlock / 8;

struct Piece {
  Piece* next;
};

// Stands at its own beginning.
struct alignas(kUnit) Block {
  Piece* given_back = nullptr;
  std::size_t fresh = kUnit;  // behind here nothing was given out yet
  std::size_t used = 0;       // pieces
  bool huge = true;
  // The others of the size that have room.
  Block* previous = nullptr;
  Block* next = nullptr;
};
static_assert(sizeof(Block) == kUnit);

Block& block_of(void* memory) {
  const std::uintptr_t within = reinterpret_cast<std::uintptr_t>(memory) & (kBlock - 1);
  return *std::launder(reinterpret_cast<Block*>(static_cast<std::uint8_t*>(memory) - within));
}

// All blocks of one size of pieces.
class Shelf {
 public:
  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    if (with_room_ == nullptr) add_block();
    Block& block = *with_room_;
    ++block.used;
    void* memory = block.given_back;
    if (memory != nullptr) {
      block.given_back = block.given_back->next;
    } else {
      memory = reinterpret_cast<std::uint8_t*>(&block) + block.fresh;
      block.fresh += size;
      if (!block.huge && block.fresh >= kFew) make_huge(block);
    }
    if (is_full(block, size)) remove(block);
    return memory;
  }

  void give_back(void* memory, std::size_t size) {
    const std::lock_guard lock(mutex_);
    Block& block = block_of(memory);
    const bool was_full = is_full(block, size);
    block.given_back = std::construct_at(static_cast<Piece*>(memory), block.given_back);
    --block.used;
    if (was_full) add(block);
    // One is kept, so that a size which comes and goes costs no mapping each time.
    if (block.used == 0 && (with_room_ != &block || block.next != nullptr)) {
      remove(block);
      free_zeroed(&block, kBlock);
      --blocks_;
    }
  }

 private:
  static bool is_full(const Block& block, std::size_t size) {
    return block.given_back == nullptr && block.fresh + size > kBlock;
  }
  void add_block() {
    void* const memory = allocate_zeroed(kBlock, kUnit);
    const bool first = blocks_++ == 0;
    // Before anything is written to it, so that so far it costs no huge page.
    if (first) (void)::madvise(memory, kBlock, MADV_NOHUGEPAGE);
    auto* const block = std::construct_at(static_cast<Block*>(memory));
    block->huge = !first;
    add(*block);
  }
  static void make_huge(Block& block) {
    block.huge = true;
    (void)::madvise(&block, kBlock, MADV_HUGEPAGE);
#ifdef MADV_COLLAPSE
    // At once; without it, or on kernels before 6.1, khugepaged comes by later.
    (void)::madvise(&block, kBlock, MADV_COLLAPSE);
#endif
  }
  void add(Block& block) {
    block.previous = nullptr;
    block.next = with_room_;
    if (with_room_ != nullptr) with_room_->previous = &block;
    with_room_ = &block;
  }
  void remove(Block& block) {
    if (block.previous != nullptr) {
      block.previous->next = block.next;
    } else {
      with_room_ = block.next;
    }
    if (block.next != nullptr) block.next->previous = block.previous;
    block.previous = block.next = nullptr;
  }

  std::mutex mutex_;
  Block* with_room_ = nullptr;
  std::size_t blocks_ = 0;
};

#ifndef CULVERT_PLAIN_HEAP
// Never destroyed: objects with static lifetime may be given back after any other.
Shelf& shelf(std::size_t size) {
  alignas(Shelf) static std::uint8_t memory[sizeof(std::array<Shelf, kSizes>)];
  static auto& shelves = *std::construct_at(reinterpret_cast<std::array<Shelf, kSizes>*>(memory));
  return shelves[size / kUnit - 1];
}
#endif

// An odd number of cache lines: with a power of two the same part of each object would come to lie in few of a cache's
// sets, and push the others' out. Small ones are looked at as a whole.
std::size_t round_up(std::size_t size) {
  const std::size_t lines = (size + kUnit - 1) / kUnit;
  return kUnit * (lines <= 2 ? std::max<std::size_t>(lines, 1) : lines | 1);
}

}  // namespace

#ifdef CULVERT_PLAIN_HEAP
// So that AddressSanitizer sees each object by itself.
void* allocate_dense(std::size_t size) { return ::operator new(round_up(size), std::align_val_t{kUnit}); }
void free_dense(void* memory, std::size_t size) noexcept {
  ::operator delete(memory, round_up(size), std::align_val_t{kUnit});
}
#else
void* allocate_dense(std::size_t size) {
  if (size > kLargestDense) return ::operator new(size, std::align_val_t{kUnit});
  return shelf(round_up(size)).take(round_up(size));
}
void free_dense(void* memory, std::size_t size) noexcept {
  if (memory == nullptr) return;
  if (size > kLargestDense) return ::operator delete(memory, size, std::align_val_t{kUnit});
  shelf(round_up(size)).give_back(memory, round_up(size));
}
#endif

}  // namespace culvert
