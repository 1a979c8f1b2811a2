#include "base/large_memory.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>

#include "base/check.hpp"

namespace culvert {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kPage = 4096;

std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) & ~(unit - 1); }

}  // namespace

void* allocate_zeroed(std::size_t size, std::size_t alignment) {
  CHECK(alignment != 0 && alignment <= kPage && (alignment & (alignment - 1)) == 0);
  if (size > SIZE_MAX / 2) throw std::bad_alloc();
  if (size == 0) size = 1;
  // The mapping is made longer by a huge page, and what lies before and behind the aligned part goes back at once.
  const std::size_t wanted = round_up(size, kPage);
  const std::size_t slack = size >= kLargeMemory ? kHugePage : 0;
  void* const mapped = ::mmap(nullptr, wanted + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();  // NOLINT: the system's macro casts
  if (slack == 0) return mapped;
  const auto start = reinterpret_cast<std::uintptr_t>(mapped);
  const std::size_t before = round_up(start, kHugePage) - start;
  auto* const memory = static_cast<std::uint8_t*>(mapped) + before;
  if (before != 0) CHECK(::munmap(mapped, before) == 0);
  if (before != slack) CHECK(::munmap(memory + wanted, slack - before) == 0);
  // A system without them, or with none to give, says so or gives small pages: the memory is the same.
  (void)::madvise(memory, wanted, MADV_HUGEPAGE);
  return memory;
}

void free_zeroed(void* memory, std::size_t size) noexcept {
  if (memory != nullptr) (void)::munmap(memory, round_up(size == 0 ? 1 : size, kPage));
}

}  // namespace culvert
