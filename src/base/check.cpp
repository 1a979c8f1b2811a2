#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace culvert {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "culvert: broken invariant: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace culvert
