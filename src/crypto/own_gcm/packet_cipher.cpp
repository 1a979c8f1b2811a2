#include "crypto/own_gcm/packet_cipher.hpp"

#include <algorithm>
#include <array>

#include "base/secret.hpp"
#include "crypto/own_gcm/kernel.hpp"

namespace culvert::crypto::own_gcm {
namespace {

constexpr std::size_t kSaltSize = 4;
constexpr std::size_t kAtOnce = 64;
constexpr const char* kName = "Culvert AVX-512";

void wipe_refused(PacketJob& job) {
  if (!job.ok) wipe({job.output, job.length});
}

template <int Rounds>
class alignas(64) AesGcm final : public PacketCipher {
 public:
  AesGcm(ByteView key_and_salt, std::size_t icv_size) {
    expand(key_and_salt.first(key_and_salt.size() - kSaltSize), key_and_salt.last(kSaltSize), icv_size, key_);
  }
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;
  ~AesGcm() override { wipe({reinterpret_cast<std::uint8_t*>(&key_), sizeof key_}); }

  void seal(std::span<PacketJob> jobs) override {
    for_each_part(jobs, [](std::span<const Work<Rounds>> work) { own_gcm::seal<Rounds>(work); });
  }
  void open(std::span<PacketJob> jobs) override {
    for_each_part(jobs, [](std::span<const Work<Rounds>> work) { own_gcm::open<Rounds>(work); });
    for (PacketJob& job : jobs) wipe_refused(job);
  }

  [[nodiscard]] const char* backend() const override { return kName; }
  [[nodiscard]] const ManyKeys* many_keys() const override { return &kManyKeys; }

 private:
  template <typename Operation>
  void for_each_part(std::span<PacketJob> jobs, Operation operation) const {
    std::array<Work<Rounds>, kAtOnce> work;
    while (!jobs.empty()) {
      const std::size_t count = std::min(jobs.size(), kAtOnce);
      for (std::size_t i = 0; i < count; ++i) work[i] = {&key_, &jobs[i]};
      operation(std::span<const Work<Rounds>>(work).first(count));
      jobs = jobs.subspan(count);
    }
  }

  template <typename Operation>
  static void for_each_part(std::span<const KeyedJob> jobs, Operation operation) {
    std::array<Work<Rounds>, kAtOnce> work;
    while (!jobs.empty()) {
      const std::size_t count = std::min(jobs.size(), kAtOnce);
      for (std::size_t i = 0; i < count; ++i) {
        work[i] = {&static_cast<const AesGcm&>(*jobs[i].cipher).key_, jobs[i].job};
      }
      operation(std::span<const Work<Rounds>>(work).first(count));
      jobs = jobs.subspan(count);
    }
  }
  static void seal_many(std::span<const KeyedJob> jobs) {
    for_each_part(jobs, [](std::span<const Work<Rounds>> work) { own_gcm::seal<Rounds>(work); });
  }
  static void open_many(std::span<const KeyedJob> jobs) {
    for_each_part(jobs, [](std::span<const Work<Rounds>> work) { own_gcm::open<Rounds>(work); });
    for (const KeyedJob& keyed : jobs) wipe_refused(*keyed.job);
  }
  static constexpr ManyKeys kManyKeys{&seal_many, &open_many};

  ExpandedKey<Rounds> key_;
};
static_assert(sizeof(AesGcm<10>) == 448 && sizeof(AesGcm<12>) == 512 && sizeof(AesGcm<14>) == 512);

}  // namespace

bool available() { return runs_here(); }

Result<std::unique_ptr<PacketCipher>, CryptoError> make(const PacketSuite& suite, ByteView key_and_salt) {
  if (!available()) return err(CryptoError::unsupported);
  switch (suite.cipher) {
    case CipherId::aes_gcm_8:
    case CipherId::aes_gcm_12:
    case CipherId::aes_gcm_16:
    case CipherId::aes_gcm_16_iiv: break;
    default: return err(CryptoError::unsupported);
  }
  const std::size_t icv_size = sizes_of(suite).icv;
  switch (suite.key_bits) {
    case 128: return std::make_unique<AesGcm<10>>(key_and_salt, icv_size);
    case 192: return std::make_unique<AesGcm<12>>(key_and_salt, icv_size);
    default: return std::make_unique<AesGcm<14>>(key_and_salt, icv_size);
  }
}

}  // namespace culvert::crypto::own_gcm
