// Which memory a cipher touches: none outside the parts of its job, seen by pages that nobody may use.
#include <algorithm>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/check.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::vectors {
namespace {

using crypto::CipherId;

constexpr std::size_t kIv = 8;

/// Two pages that may be used between two that may not.
class GuardedMemory {
 public:
  GuardedMemory() : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    base_ = static_cast<std::uint8_t*>(mmap(nullptr, 4 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(base_ != MAP_FAILED && mprotect(base_ + page_, 2 * page_, PROT_READ | PROT_WRITE) == 0);
  }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  ~GuardedMemory() { munmap(base_, 4 * page_); }
  [[nodiscard]] std::uint8_t* begin() const { return base_ + page_; }
  [[nodiscard]] std::uint8_t* end() const { return base_ + 3 * page_; }

 private:
  std::size_t page_;
  std::uint8_t* base_;
};

// Each part of a job once begins where memory begins and once ends where memory ends.
TEST(CryptoBounds, OwnGcmTouchesNothingOutsideTheJob) {
  if (!crypto::own_available()) GTEST_SKIP() << "this CPU lacks AVX-512, VAES or VPCLMULQDQ";
  const GuardedMemory text;
  const GuardedMemory iv;
  const GuardedMemory aad;
  const GuardedMemory icv;
  const CipherId ciphers[] = {CipherId::aes_gcm_16, CipherId::aes_gcm_12, CipherId::aes_gcm_8};
  for (std::size_t length = 0; length <= 700; ++length) {
    const crypto::PacketSuite suite{ciphers[length % 3], 128 + 64 * (static_cast<unsigned>(length) / 3 % 3)};
    const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
    const auto cipher =
        crypto::make_packet_cipher(suite, Bytes(sizes.encryption_key, 7), {}, crypto::Backend::own).value();
    const std::size_t icv_size = sizes.icv;
    const std::size_t aad_size = length % 20;
    for (const bool at_end : {false, true}) {
      const auto place = [&](const GuardedMemory& memory, std::size_t size) {
        return at_end ? memory.end() - size : memory.begin();
      };
      // One alone takes another way than several.
      for (const std::size_t count : {1u, 4u}) {
        std::vector<crypto::PacketJob> jobs;
        for (std::size_t i = 0; i < count; ++i) {
          crypto::PacketJob job;
          job.iv = place(iv, kIv);
          job.aad = {place(aad, aad_size), aad_size};
          // The others stand behind the one or in front of it.
          const std::ptrdiff_t move = static_cast<std::ptrdiff_t>(i * length) * (at_end ? -1 : 1);
          job.input = job.output = place(text, length) + move;
          job.length = length;
          job.icv = place(icv, icv_size) + static_cast<std::ptrdiff_t>(i * icv_size) * (at_end ? -1 : 1);
          jobs.push_back(job);
        }
        cipher->seal(jobs);
        cipher->open(jobs);
        ASSERT_TRUE(std::ranges::all_of(jobs, &crypto::PacketJob::ok)) << length;
      }
    }
  }
}

}  // namespace
}  // namespace culvert::vectors
