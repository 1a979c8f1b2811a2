// Memory for very many objects of few sizes that are looked up at random places: SAs, expanded keys. They lie close
// together, in huge pages where the system has them to give (large_memory.hpp): with pages of 4 KiB each would wait for
// the page's translation before its memory.
#pragma once

#include <cstddef>
#include <new>

namespace culvert {

/// From this size on memory comes from elsewhere.
inline constexpr std::size_t kLargestDense = 1024;

/// `size` octets of unspecified content, aligned to 64. From any thread. Throws std::bad_alloc. Where there are few the
/// pages are small ones: few cost little.
[[nodiscard]] void* allocate_dense(std::size_t size);
/// Gives back what allocate_dense gave for the same size; on any thread.
void free_dense(void* memory, std::size_t size) noexcept;

/// Base of classes aligned to 64 whose objects lie there. Deleted as what they are, or by a virtual destructor.
struct Dense {
  static void* operator new(std::size_t size, std::align_val_t) { return allocate_dense(size); }
  static void operator delete(void* memory, std::size_t size, std::align_val_t) noexcept { free_dense(memory, size); }
};

}  // namespace culvert
