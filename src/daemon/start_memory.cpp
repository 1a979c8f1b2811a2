#include "daemon/start_memory.hpp"

#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

#include <link.h>
#include <malloc.h>

namespace culvert::daemon {
namespace {

// What may be written may have been, by the loader too (RELRO), and would be lost: only segments that never were. Pages
// at their ends that belong to a neighbour's mapping stay.
int release_segments(dl_phdr_info* object, std::size_t, void*) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr + page - 1) & ~(page - 1);
    const std::uintptr_t end = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz) & ~(page - 1);
    if (begin >= end) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the loader says where segments are in numbers
    (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void release_start_memory() {
  (void)::malloc_trim(0);
  (void)::dl_iterate_phdr(release_segments, nullptr);
}

}  // namespace culvert::daemon
