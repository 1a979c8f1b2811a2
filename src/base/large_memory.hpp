// Memory for big tables that are looked up at random places: flow caches, classifiers, slots. With pages of 4 KiB such
// a lookup waits twice, once for the page's translation and once for the memory; so blocks of 2 MiB and more lie in
// huge pages of 2 MiB where the system has them to give (madvise; it may refuse, and then nothing is lost but time).
#pragma once

#include <cstddef>
#include <memory>

namespace culvert {

/// From this size on a block is asked for in huge pages, in octets.
inline constexpr std::size_t kLargeMemory = std::size_t{2} << 20;

/// `size` zero octets; of kLargeMemory and more aligned to 2 MiB, else to `alignment` (a power of two, at most 4096).
/// What is never touched costs no memory, give or take a huge page. Throws std::bad_alloc.
[[nodiscard]] void* allocate_zeroed(std::size_t size, std::size_t alignment);
/// Gives back what allocate_zeroed gave for the same size.
void free_zeroed(void* memory, std::size_t size) noexcept;

/// For vectors that may become large.
template <typename T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <typename U>
  LargeAllocator(const LargeAllocator<U>&) {}  // NOLINT(google-explicit-constructor): as allocators convert

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count >= kLargeMemory / sizeof(T)) {
      return static_cast<T*>(allocate_zeroed(count * sizeof(T), alignof(T)));
    }
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* memory, std::size_t count) {
    if (count >= kLargeMemory / sizeof(T)) return free_zeroed(memory, count * sizeof(T));
    std::allocator<T>().deallocate(memory, count);
  }
  friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
};

}  // namespace culvert
