#if HAVE_IPSEC_MB

#include "crypto/ipsec_mb/aead.hpp"
#include "crypto/ipsec_mb/packet_ciphers.hpp"
#include "crypto/job_memory.hpp"

namespace culvert::crypto::ipsec_mb {
namespace {

constexpr std::size_t kKeySize = 32;

class ChaCha20Poly1305 final : public PacketCipher {
 public:
  explicit ChaCha20Poly1305(ByteView key_and_salt) {
    std::ranges::copy(key_and_salt.first(kKeySize), key_.begin());
    std::ranges::copy(key_and_salt.subspan(kKeySize), salt_.begin());
  }
  ChaCha20Poly1305(const ChaCha20Poly1305&) = delete;
  ChaCha20Poly1305& operator=(const ChaCha20Poly1305&) = delete;
  ~ChaCha20Poly1305() override {
    wipe(key_);
    wipe(salt_);
  }

  void seal(std::span<PacketJob> jobs) override { run(jobs, true); }
  void open(std::span<PacketJob> jobs) override { run(jobs, false); }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  void run(std::span<PacketJob> jobs, bool sealing) {
    while (!jobs.empty()) {
      const auto moved = std::ranges::find_if(jobs, overlaps_partly);
      const auto ahead = static_cast<std::size_t>(moved - jobs.begin());
      run_apart(jobs.first(ahead), sealing);
      if (moved != jobs.end()) run_moved(*moved, sealing);
      jobs = jobs.subspan(std::min(jobs.size(), ahead + 1));
    }
  }

  /// The library promises nothing for memory that overlaps in part: the text moves first, then the work is done in
  /// place. The move may overwrite IV and additional data, so both are saved.
  void run_moved(PacketJob& job, bool sealing) {
    std::array<std::uint8_t, kIvSize> iv;
    std::copy_n(job.iv, kIvSize, iv.begin());
    Bytes& aad = thread_workspace().gathered;
    if (aad.size() < job.aad.size()) aad.resize(job.aad.size());
    std::ranges::copy(job.aad, aad.begin());
    PacketJob in_place = job;
    in_place.iv = iv.data();
    in_place.aad = ByteView(aad).first(job.aad.size());
    in_place.input = job.output;
    move_to_output(job);
    run_apart({&in_place, 1}, sealing);
    job.ok = in_place.ok;
  }

  void run_apart(std::span<PacketJob> jobs, bool sealing) {
    run_aead(jobs, salt_, kLongestIcv, sealing, [this](IMB_JOB& slot, const PacketJob& job) {
      slot.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
      slot.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
      slot.enc_keys = key_.data();
      slot.dec_keys = key_.data();
      slot.key_len_in_bytes = kKeySize;
      slot.src = job.input;
      slot.u.CHACHA20_POLY1305.aad = job.aad.data();
      slot.u.CHACHA20_POLY1305.aad_len_in_bytes = job.aad.size();
    });
  }

  alignas(64) std::array<std::uint8_t, kKeySize> key_{};
  std::array<std::uint8_t, kSaltSize> salt_{};
};

}  // namespace

MadePacketCipher make_chacha20_poly1305(ByteView key_and_salt) {
  return std::make_unique<ChaCha20Poly1305>(key_and_salt);
}

}  // namespace culvert::crypto::ipsec_mb

#endif
