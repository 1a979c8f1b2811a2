// AES-GMAC (RFC 4543): GCM without text. What it covers: openssl/gmac.cpp.
#if HAVE_IPSEC_MB

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/ipsec_mb/aead.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"
#include "crypto/job_memory.hpp"

namespace culvert::crypto::ipsec_mb {
namespace {

/// The library's functions for one key size.
struct Kernel {
  aes_gcm_pre_t expand;
  aes_gmac_init_t begin;
  aes_gmac_update_t add;
  aes_gmac_finalize_t end;
};

Kernel kernel_for(const IMB_MGR& manager, std::size_t key_size) {
  switch (key_size) {
    case 16: return {manager.gcm128_pre, manager.gmac128_init, manager.gmac128_update, manager.gmac128_finalize};
    case 24: return {manager.gcm192_pre, manager.gmac192_init, manager.gmac192_update, manager.gmac192_finalize};
    default: return {manager.gcm256_pre, manager.gmac256_init, manager.gmac256_update, manager.gmac256_finalize};
  }
}

class Gmac final : public PacketCipher {
 public:
  Gmac(const Kernel& kernel, const PacketSuite& suite, ByteView key_and_salt)
      : kernel_(kernel), sizes_(sizes_of(suite)), covers_iv_(suite.cipher == CipherId::null_aes_gmac) {
    kernel_.expand(key_and_salt.data(), &key_);
    std::ranges::copy(key_and_salt.last(kSaltSize), salt_.begin());
  }
  Gmac(const Gmac&) = delete;
  Gmac& operator=(const Gmac&) = delete;
  ~Gmac() override {
    wipe({reinterpret_cast<std::uint8_t*>(&key_), sizeof key_});
    wipe(salt_);
  }

  void seal(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      CHECK(mac_input_fits(job, sizes_));
      const Icv icv = compute(job);
      move_to_output(job);
      std::ranges::copy(icv, job.icv);
      job.ok = true;
    }
  }

  void open(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      job.ok = mac_input_fits(job, sizes_) && constant_time_equal(compute(job), {job.icv, kLongestIcv});
      if (job.ok) move_to_output(job);
    }
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  [[nodiscard]] Icv compute(const PacketJob& job) const {
    // RFC 4543 3.2: the nonce is the salt, then the packet's IV.
    const Nonce nonce = make_nonce(salt_, job.iv);
    gcm_context_data context;
    const auto add = [&](const std::uint8_t* part, std::size_t size) {
      if (size > 0) kernel_.add(&key_, &context, part, size);
    };
    kernel_.begin(&key_, &context, nonce.data(), nonce.size());
    add(job.aad.data(), job.aad.size());
    if (covers_iv_) add(job.iv, kIvSize);
    add(job.input, job.length);
    add(job.mac_suffix.data(), job.mac_suffix_length);
    Icv icv;
    kernel_.end(&key_, &context, icv.data(), icv.size());
    return icv;
  }

  // The library loads the key with aligned instructions.
  alignas(64) gcm_key_data key_;
  Kernel kernel_;
  SuiteSizes sizes_;
  bool covers_iv_;
  std::array<std::uint8_t, kSaltSize> salt_{};
};

}  // namespace

MadePacketCipher make_gmac(const PacketSuite& suite, ByteView key_and_salt) {
  return std::make_unique<Gmac>(kernel_for(*shared_manager(), key_and_salt.size() - kSaltSize), suite, key_and_salt);
}

}  // namespace culvert::crypto::ipsec_mb

#endif
