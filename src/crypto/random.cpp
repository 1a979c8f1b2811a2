#include "crypto/random.hpp"

#include <algorithm>
#include <climits>

#include <openssl/rand.h>

#include "base/check.hpp"

namespace culvert::crypto {

void SystemRandom::fill(MutableByteView out) {
  while (!out.empty()) {
    const std::size_t part = std::min<std::size_t>(out.size(), INT_MAX);
    const bool system_has_entropy = RAND_bytes(out.data(), static_cast<int>(part)) == 1;
    CHECK(system_has_entropy);
    out = out.subspan(part);
  }
}

}  // namespace culvert::crypto
