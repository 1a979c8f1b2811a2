#include "crypto/random.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>

#include <openssl/rand.h>

#include "base/check.hpp"
#include "base/secret.hpp"

namespace culvert::crypto {
namespace {

void draw(MutableByteView out) {
  while (!out.empty()) {
    const std::size_t part = std::min<std::size_t>(out.size(), INT_MAX);
    const bool system_has_entropy = RAND_bytes(out.data(), static_cast<int>(part)) == 1;
    CHECK(system_has_entropy);
    out = out.subspan(part);
  }
}

/// What is drawn ahead for one thread: a draw costs the library as much for 8 octets as for 256. What was handed out is
/// wiped here. A process that forks and goes on in both halves would get the same octets twice; ours only forks to run
/// another program.
class DrawnAhead {
 public:
  static constexpr std::size_t kMost = 16;  // at a time

  DrawnAhead() = default;
  DrawnAhead(const DrawnAhead&) = delete;
  DrawnAhead& operator=(const DrawnAhead&) = delete;
  ~DrawnAhead() { wipe(octets_); }

  void take(MutableByteView out) {
    if (octets_.size() - used_ < out.size()) {
      draw(octets_);
      used_ = 0;
    }
    const MutableByteView taken = MutableByteView(octets_).subspan(used_, out.size());
    std::ranges::copy(taken, out.begin());
    wipe(taken);
    used_ += out.size();
  }

 private:
  std::array<std::uint8_t, 256> octets_{};
  std::size_t used_ = 256;
};

}  // namespace

void SystemRandom::fill(MutableByteView out) {
  thread_local DrawnAhead ahead;
  if (out.size() > DrawnAhead::kMost) return draw(out);
  ahead.take(out);
}

}  // namespace culvert::crypto
