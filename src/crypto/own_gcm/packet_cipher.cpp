#include "crypto/own_gcm/packet_cipher.hpp"

#include <algorithm>
#include <array>

#include "base/dense_memory.hpp"
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
class alignas(64) AesGcm final : public KeyedCipher<Rounds>, public Dense {
 public:
  AesGcm(ByteView key_and_salt, std::size_t icv_size) {
    expand(key_and_salt.first(key_and_salt.size() - kSaltSize), key_and_salt.last(kSaltSize), icv_size, this->key);
  }
  ~AesGcm() override { wipe({reinterpret_cast<std::uint8_t*>(&this->key), sizeof this->key}); }

  void seal(std::span<PacketJob> jobs) override {
    for_each_part(jobs, [](std::span<const KeyedJob> work) { own_gcm::seal<Rounds>(work); });
  }
  void open(std::span<PacketJob> jobs) override {
    for_each_part(jobs, [](std::span<const KeyedJob> work) { own_gcm::open<Rounds>(work); });
    for (PacketJob& job : jobs) wipe_refused(job);
  }

  [[nodiscard]] const char* backend() const override { return kName; }
  [[nodiscard]] const ManyKeys* many_keys() const override { return &kManyKeys; }

 private:
  template <typename Operation>
  void for_each_part(std::span<PacketJob> jobs, Operation operation) {
    if (jobs.size() == 1) {
      const KeyedJob one{this, jobs.data()};
      return operation(std::span(&one, 1));
    }
    std::array<KeyedJob, kAtOnce> work;
    while (!jobs.empty()) {
      const std::size_t count = std::min(jobs.size(), kAtOnce);
      for (std::size_t i = 0; i < count; ++i) work[i] = {this, &jobs[i]};
      operation(std::span<const KeyedJob>(work).first(count));
      jobs = jobs.subspan(count);
    }
  }

  static void open_many(std::span<const KeyedJob> jobs) {
    own_gcm::open<Rounds>(jobs);
    for (const KeyedJob& keyed : jobs) wipe_refused(*keyed.job);
  }
  static void open_esp(std::span<EspJob> jobs) {
    own_gcm::open<Rounds>(jobs);
    for (const EspJob& job : jobs) {
      if (!job.ok) wipe({job.packet + EspJob::kHead, job.length});
    }
  }
  static constexpr ManyKeys kManyKeys{&own_gcm::seal<Rounds>, &open_many, &own_gcm::seal<Rounds>, &open_esp};
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
