// AES-CBC, AES-CTR or NULL with HMAC, AES-XCBC or AES-CMAC. Stages of a seal: move, encrypt the batch, MAC the batch.
// Of an open: MAC the batch, compare, decrypt what was right.
#if HAVE_IPSEC_MB

#include <algorithm>
#include <array>
#include <span>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/ipsec_mb/mac_key.hpp"
#include "crypto/ipsec_mb/manager.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"
#include "crypto/job_memory.hpp"

namespace culvert::crypto::ipsec_mb {
namespace {

constexpr std::size_t kAesBlock = 16;
constexpr std::size_t kSaltSize = 4;
constexpr std::size_t kCounterIv = 8;
constexpr std::size_t kLargestIcv = 32;
using Icv = std::array<std::uint8_t, kLargestIcv>;

class CipherThenMac final : public PacketCipher {
 public:
  CipherThenMac(const IMB_MGR& manager, const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key)
      : mac_key_(manager, suite.integrity, integrity_key),
        sizes_(sizes_of(suite)),
        encrypts_(suite.encrypts()),
        counts_(suite.cipher == CipherId::aes_ctr),
        key_size_(static_cast<IMB_KEY_SIZE_BYTES>(suite.key_bits / 8)) {
    if (!encrypts_) return;
    const keyexp_t expand = suite.key_bits == 128   ? manager.keyexp_128
                            : suite.key_bits == 192 ? manager.keyexp_192
                                                    : manager.keyexp_256;
    expand(encryption_key.data(), encrypt_key_.data(), decrypt_key_.data());
    if (counts_) std::ranges::copy(encryption_key.last(kSaltSize), salt_.begin());
  }
  CipherThenMac(const CipherThenMac&) = delete;
  CipherThenMac& operator=(const CipherThenMac&) = delete;
  ~CipherThenMac() override {
    wipe(encrypt_key_);
    wipe(decrypt_key_);
    wipe(salt_);
  }

  void seal(std::span<PacketJob> jobs) override {
    Workspace& work = thread_workspace();
    std::array<Icv, kBurst> icvs;
    for (; !jobs.empty(); jobs = jobs.subspan(std::min(jobs.size(), kBurst))) {
      const auto batch = jobs.first(std::min(jobs.size(), kBurst));
      for (PacketJob& job : batch) {
        CHECK(job.length % sizes_.block == 0 && mac_input_fits(job, sizes_));
        job.ok = true;
      }
      run_cipher(work, batch, IMB_DIR_ENCRYPT);
      run_mac(work, batch, icvs, true);
      for (std::size_t i = 0; i < batch.size(); ++i) std::copy_n(icvs[i].begin(), sizes_.icv, batch[i].icv);
    }
  }

  void open(std::span<PacketJob> jobs) override {
    Workspace& work = thread_workspace();
    std::array<Icv, kBurst> icvs;
    for (; !jobs.empty(); jobs = jobs.subspan(std::min(jobs.size(), kBurst))) {
      const auto batch = jobs.first(std::min(jobs.size(), kBurst));
      for (PacketJob& job : batch) job.ok = job.length % sizes_.block == 0 && mac_input_fits(job, sizes_);
      run_mac(work, batch, icvs, false);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        PacketJob& job = batch[i];
        job.ok = job.ok && constant_time_equal(ByteView(icvs[i]).first(sizes_.icv), {job.icv, sizes_.icv});
      }
      run_cipher(work, batch, IMB_DIR_DECRYPT);
    }
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  /// Brings text from input to output for all jobs that are still ok.
  void run_cipher(Workspace& work, std::span<PacketJob> batch, IMB_CIPHER_DIRECTION direction) {
    std::array<std::array<std::uint8_t, kAesBlock>, kBurst> ivs;
    std::uint32_t count = 0;
    for (PacketJob& job : batch) {
      if (!job.ok) continue;
      if (encrypts_) take_iv(job, ivs[count]);  // a move to the front may overwrite it
      const bool in_place = !encrypts_ || overlaps_partly(job);
      if (in_place) move_to_output(job);
      if (!encrypts_ || job.length == 0) continue;
      IMB_JOB& slot = work.jobs[count];
      slot.enc_keys = encrypt_key_.data();
      slot.dec_keys = decrypt_key_.data();
      slot.src = in_place ? job.output : job.input;
      slot.dst = job.output;
      slot.cipher_start_src_offset_in_bytes = 0;
      slot.msg_len_to_cipher_in_bytes = job.length;
      slot.iv = ivs[count].data();
      slot.iv_len_in_bytes = kAesBlock;
      ++count;
    }
    if (count == 0) return;
    const std::uint32_t done = IMB_SUBMIT_CIPHER_BURST_NOCHECK(
        work.manager.get(), work.jobs.data(), count, counts_ ? IMB_CIPHER_CNTR : IMB_CIPHER_CBC, direction, key_size_);
    check_done(work, done, count);
  }

  /// The IV of CBC, or the first counter block (RFC 3686 4).
  void take_iv(const PacketJob& job, std::array<std::uint8_t, kAesBlock>& out) const {
    if (!counts_) {
      std::copy_n(job.iv, kAesBlock, out.begin());
      return;
    }
    std::ranges::copy(salt_, out.begin());
    std::copy_n(job.iv, kCounterIv, out.begin() + kSaltSize);
    store_be32(out.data() + kSaltSize + kCounterIv, 1);
  }

  /// Computes the ICVs of all jobs that are still ok, over what stands in their output (sealing) or input.
  void run_mac(Workspace& work, std::span<PacketJob> batch, std::array<Icv, kBurst>& icvs, bool sealing) {
    // Room first: a slot points into it, so it must not grow afterwards.
    std::size_t room = 0;
    for (const PacketJob& job : batch) room += job.aad.size() + sizes_.iv + job.length + job.mac_suffix_length;
    std::size_t gathered = 0;
    std::array<bool, kBurst> suffix_in_packet{};
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      PacketJob& job = batch[i];
      if (!job.ok) continue;
      const std::uint8_t* ciphertext = sealing ? job.output : job.input;
      IMB_JOB& slot = work.jobs[count++];
      slot.hash_start_src_offset_in_bytes = 0;
      slot.msg_len_to_hash_in_bytes = job.aad.size() + sizes_.iv + job.length + job.mac_suffix_length;
      slot.auth_tag_output = icvs[i].data();
      slot.auth_tag_output_len_in_bytes = sizes_.icv;
      mac_key_.fill(slot);
      if (lies_in_one_piece(job, ciphertext)) {
        slot.src = job.aad.data();
        if (job.mac_suffix_length != 0) {
          // RFC 4303 2.2.1: the high half follows the ciphertext without being sent. For the moment it takes the ICV's
          // place.
          suffix_in_packet[i] = true;
          swap_suffix(job);
        }
      } else {
        if (work.gathered.size() < room) work.gathered.resize(room);
        slot.src = work.gathered.data() + gathered;
        gathered += gather(job, ciphertext, work.gathered.data() + gathered);
      }
    }
    if (count == 0) return;
    for (std::uint32_t i = 0; i < count; ++i) {
      IMB_JOB& slot = work.jobs[i];  // only the queue asks for these
      slot.cipher_mode = IMB_CIPHER_NULL;
      slot.cipher_direction = IMB_DIR_ENCRYPT;
      slot.chain_order = IMB_ORDER_HASH_CIPHER;
      slot.msg_len_to_cipher_in_bytes = 0;
    }
    const std::uint32_t done =
        mac_key_.has_bursts()
            ? IMB_SUBMIT_HASH_BURST_NOCHECK(work.manager.get(), work.jobs.data(), count, mac_key_.algorithm())
            : run_queue(work, count);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (suffix_in_packet[i]) swap_suffix(batch[i]);
    }
    check_done(work, done, count);
  }

  /// The packet as it is sent: additional data, IV, ciphertext and, where a suffix needs its room, the ICV.
  [[nodiscard]] bool lies_in_one_piece(const PacketJob& job, const std::uint8_t* ciphertext) const {
    const std::uint8_t* aad_end = job.aad.data() + job.aad.size();
    const bool head = !job.aad.empty() && (sizes_.iv == 0 || aad_end == job.iv) && aad_end + sizes_.iv == ciphertext;
    return head && (job.mac_suffix_length == 0 || job.icv == ciphertext + job.length);
  }

  static void swap_suffix(PacketJob& job) {
    std::swap_ranges(job.mac_suffix.begin(), job.mac_suffix.begin() + job.mac_suffix_length, job.icv);
  }

  [[nodiscard]] std::size_t gather(const PacketJob& job, const std::uint8_t* ciphertext, std::uint8_t* at) const {
    std::uint8_t* const begin = at;
    at = std::copy(job.aad.begin(), job.aad.end(), at);
    at = std::copy_n(job.iv, sizes_.iv, at);
    at = std::copy_n(ciphertext, job.length, at);
    at = std::copy_n(job.mac_suffix.begin(), job.mac_suffix_length, at);
    return static_cast<std::size_t>(at - begin);
  }

  static void check_done(const Workspace& work, std::uint32_t done, std::uint32_t count) {
    CHECK(done == count);  // what was not sealed must never be sent
    for (std::uint32_t i = 0; i < count; ++i) CHECK(work.jobs[i].status == IMB_STATUS_COMPLETED);
  }

  alignas(64) std::array<std::uint8_t, 15 * 16> encrypt_key_{};
  alignas(64) std::array<std::uint8_t, 15 * 16> decrypt_key_{};
  MacKey mac_key_;
  SuiteSizes sizes_;
  bool encrypts_;
  bool counts_;
  std::array<std::uint8_t, kSaltSize> salt_{};
  IMB_KEY_SIZE_BYTES key_size_;
};

}  // namespace

MadePacketCipher make_cipher_then_mac(const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key) {
  return std::make_unique<CipherThenMac>(*shared_manager(), suite, encryption_key, integrity_key);
}

}  // namespace culvert::crypto::ipsec_mb

#endif
