#if HAVE_IPSEC_MB

#include "crypto/ipsec_mb/aead.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"

namespace culvert::crypto::ipsec_mb {
namespace {

/// The library's functions for one key size.
struct Kernel {
  aes_gcm_enc_dec_t seal;
  aes_gcm_enc_dec_t open;
  aes_gcm_pre_t expand;
};

Kernel kernel_for(const IMB_MGR& manager, unsigned key_bits) {
  switch (key_bits) {
    case 128: return {manager.gcm128_enc, manager.gcm128_dec, manager.gcm128_pre};
    case 192: return {manager.gcm192_enc, manager.gcm192_dec, manager.gcm192_pre};
    default: return {manager.gcm256_enc, manager.gcm256_dec, manager.gcm256_pre};
  }
}

class AesGcm final : public PacketCipher {
 public:
  AesGcm(const Kernel& kernel, std::size_t key_size, std::size_t icv_size, ByteView key_and_salt)
      : kernel_(kernel), key_size_(key_size), icv_size_(icv_size) {
    kernel_.expand(key_and_salt.data(), &key_);
    std::ranges::copy(key_and_salt.subspan(key_size), salt_.begin());
  }
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;
  ~AesGcm() override {
    wipe({reinterpret_cast<std::uint8_t*>(&key_), sizeof key_});
    wipe(salt_);
  }

  void seal(std::span<PacketJob> jobs) override {
    if (jobs.size() != 1)
      return run_aead(jobs, salt_, icv_size_, true, [this](IMB_JOB& slot, const PacketJob& job) { fill(slot, job); });
    PacketJob& job = jobs.front();
    run_one(kernel_.seal, job, job.icv);
    job.ok = true;
  }

  void open(std::span<PacketJob> jobs) override {
    if (jobs.size() != 1)
      return run_aead(jobs, salt_, icv_size_, false, [this](IMB_JOB& slot, const PacketJob& job) { fill(slot, job); });
    PacketJob& job = jobs.front();
    Icv icv;
    run_one(kernel_.open, job, icv.data());
    job.ok = constant_time_equal(ByteView(icv).first(icv_size_), {job.icv, icv_size_});
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  void run_one(aes_gcm_enc_dec_t function, const PacketJob& job, std::uint8_t* icv) {
    const Nonce nonce = make_nonce(salt_, job.iv);
    gcm_context_data context;
    function(&key_, &context, job.output, job.input, job.length, nonce.data(), job.aad.data(), job.aad.size(), icv,
             icv_size_);
  }

  void fill(IMB_JOB& slot, const PacketJob& job) const {
    slot.cipher_mode = IMB_CIPHER_GCM;
    slot.hash_alg = IMB_AUTH_AES_GMAC;
    slot.enc_keys = &key_;
    slot.dec_keys = &key_;
    slot.key_len_in_bytes = key_size_;
    slot.src = job.input;
    slot.u.GCM.aad = job.aad.data();
    slot.u.GCM.aad_len_in_bytes = job.aad.size();
  }

  // The library loads the key with aligned instructions.
  alignas(64) gcm_key_data key_;
  Kernel kernel_;
  std::size_t key_size_;
  std::size_t icv_size_;
  std::array<std::uint8_t, kSaltSize> salt_{};
};

}  // namespace

MadePacketCipher make_aes_gcm(const PacketSuite& suite, ByteView key_and_salt) {
  return std::make_unique<AesGcm>(kernel_for(*shared_manager(), suite.key_bits), suite.key_bits / 8,
                                  sizes_of(suite).icv, key_and_salt);
}

}  // namespace culvert::crypto::ipsec_mb

#endif
