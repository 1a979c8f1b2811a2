// AES-CCM for ESP and IKE (RFC 4309, RFC 5282). Its MAC is a chain, so the library gains by computing those of several
// packets side by side.
#if HAVE_IPSEC_MB

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/ipsec_mb/manager.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"
#include "crypto/job_memory.hpp"
#include "crypto/openssl/packet_ciphers.hpp"

namespace culvert::crypto::ipsec_mb {
namespace {

constexpr std::size_t kSaltSize = 3;
constexpr std::size_t kIvSize = 8;
constexpr std::size_t kMostAad = 46;  // that the library takes; ESP has up to 12 octets, IKE 36
constexpr std::size_t kMostText = 65'000;
constexpr std::size_t kIcvRoom = 16;
constexpr std::size_t kRoundKeys = 240;  // octets, of the longest key
using Nonce = std::array<std::uint8_t, kSaltSize + kIvSize>;
using Icv = std::array<std::uint8_t, kIcvRoom>;

class Ccm final : public PacketCipher {
 public:
  Ccm(const IMB_MGR& manager, const PacketSuite& suite, ByteView key_and_salt)
      : suite_(suite),
        icv_size_(sizes_of(suite).icv),
        key_size_(suite.key_bits / 8),
        key_(SecretBytes::copy_of(key_and_salt)) {
    const keyexp_t expand = key_size_ == 16 ? manager.keyexp_128 : manager.keyexp_256;
    std::array<std::uint8_t, kRoundKeys> unused;
    expand(key_and_salt.data(), round_keys_.data(), unused.data());
    wipe(unused);
  }
  Ccm(const Ccm&) = delete;
  Ccm& operator=(const Ccm&) = delete;
  ~Ccm() override { wipe(round_keys_); }

  void seal(std::span<PacketJob> jobs) override { run(jobs, true); }
  void open(std::span<PacketJob> jobs) override { run(jobs, false); }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  struct Scratch {
    std::array<Nonce, kBurst> nonces;
    std::array<std::array<std::uint8_t, kMostAad>, kBurst> aads;
    std::array<Icv, kBurst> icvs;
    std::array<PacketJob*, kBurst> jobs;
  };

  void run(std::span<PacketJob> jobs, bool sealing) {
    Scratch scratch;
    std::uint32_t count = 0;
    for (PacketJob& job : jobs) {
      if (job.aad.size() > kMostAad || job.length == 0 || job.length > kMostText) {
        run_elsewhere(job, sealing);
        continue;
      }
      scratch.jobs[count++] = &job;
      if (count < kBurst) continue;
      run_burst(scratch, count, sealing);
      count = 0;
    }
    if (count > 0) run_burst(scratch, count, sealing);
  }

  void run_burst(Scratch& scratch, std::uint32_t count, bool sealing) {
    Workspace& work = thread_workspace();
    for (std::uint32_t i = 0; i < count; ++i) {
      const PacketJob& job = *scratch.jobs[i];
      // RFC 4309 4: the nonce is the salt, then the packet's IV. A move to the front may overwrite IV and additional
      // data.
      std::ranges::copy(key_.view().last(kSaltSize), scratch.nonces[i].begin());
      std::copy_n(job.iv, kIvSize, scratch.nonces[i].begin() + kSaltSize);
      std::ranges::copy(job.aad, scratch.aads[i].begin());
      move_to_output(job);
      IMB_JOB& slot = work.jobs[i];
      slot.cipher_mode = IMB_CIPHER_CCM;
      slot.hash_alg = IMB_AUTH_AES_CCM;
      slot.cipher_direction = sealing ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
      slot.chain_order = sealing ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;  // the MAC is the plaintext's
      slot.enc_keys = round_keys_.data();
      slot.dec_keys = round_keys_.data();
      slot.key_len_in_bytes = key_size_;
      slot.src = job.output;
      slot.dst = job.output;
      slot.cipher_start_src_offset_in_bytes = 0;
      slot.hash_start_src_offset_in_bytes = 0;
      slot.msg_len_to_cipher_in_bytes = job.length;
      slot.msg_len_to_hash_in_bytes = job.length;
      slot.iv = scratch.nonces[i].data();
      slot.iv_len_in_bytes = scratch.nonces[i].size();
      slot.auth_tag_output = sealing ? job.icv : scratch.icvs[i].data();
      slot.auth_tag_output_len_in_bytes = icv_size_;
      slot.u.CCM.aad = scratch.aads[i].data();
      slot.u.CCM.aad_len_in_bytes = job.aad.size();
    }
    const std::uint32_t done = run_queue(work, count);
    CHECK(done == count);  // what was not sealed must never be sent
    for (std::uint32_t i = 0; i < count; ++i) {
      CHECK(work.jobs[i].status == IMB_STATUS_COMPLETED);
      PacketJob& job = *scratch.jobs[i];
      job.ok = sealing || constant_time_equal(ByteView(scratch.icvs[i]).first(icv_size_), {job.icv, icv_size_});
    }
  }

  /// What the library does not take and no protocol here has; so nothing is kept for it.
  void run_elsewhere(PacketJob& job, bool sealing) const {
    const auto other = openssl::make(suite_, key_.view(), {});
    CHECK(other.has_value());
    sealing ? (*other)->seal({&job, 1}) : (*other)->open({&job, 1});
  }

  alignas(64) std::array<std::uint8_t, kRoundKeys> round_keys_{};
  PacketSuite suite_;
  std::size_t icv_size_;
  std::size_t key_size_;
  SecretBytes key_;  // with salt
};

}  // namespace

MadePacketCipher make_ccm(const PacketSuite& suite, ByteView key_and_salt) {
  if (suite.key_bits == 192) return err(CryptoError::unsupported);
  return std::make_unique<Ccm>(*shared_manager(), suite, key_and_salt);
}

}  // namespace culvert::crypto::ipsec_mb

#endif
