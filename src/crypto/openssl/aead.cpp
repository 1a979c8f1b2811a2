// AES-GCM with ICVs of 8, 12 and 16 octets (RFC 4106) and ChaCha20-Poly1305 (RFC 7634).
#include <algorithm>
#include <array>
#include <climits>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/job_memory.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/packet_ciphers.hpp"

namespace culvert::crypto::openssl {
namespace {

constexpr std::size_t kSaltSize = 4;
constexpr std::size_t kNonceSize = 12;
class Aead final : public PacketCipher {
 public:
  Aead(CipherCtx context, ByteView salt, std::size_t icv_size)
      : context_(std::move(context)), icv_size_(static_cast<int>(icv_size)) {
    std::ranges::copy(salt, nonce_.begin());
  }
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;
  ~Aead() override { wipe(nonce_); }

  void seal(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      const bool sealed = transform(job, true);
      CHECK(sealed);  // no input makes it fail, and what was not sealed must never be sent
      job.ok = true;
    }
  }

  void open(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) job.ok = transform(job, false);
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  [[nodiscard]] bool transform(const PacketJob& job, bool sealing) {
    CHECK(job.length <= INT_MAX && job.aad.size() <= INT_MAX);
    // RFC 4106 4, RFC 7634 2: the nonce is the salt, then the packet's IV.
    std::copy_n(job.iv, kNonceSize - kSaltSize, nonce_.begin() + kSaltSize);
    EVP_CIPHER_CTX* context = context_.get();
    int written = 0;
    if (EVP_CipherInit_ex2(context, nullptr, nullptr, nonce_.data(), sealing ? 1 : 0, nullptr) != 1) return false;
    if (!sealing && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, icv_size_, job.icv) != 1) return false;
    if (!job.aad.empty() &&
        EVP_CipherUpdate(context, nullptr, &written, job.aad.data(), static_cast<int>(job.aad.size())) != 1) {
      return false;
    }
    // The library promises nothing for memory that overlaps in part. A move to the front may overwrite IV and
    // additional data, so it waits until both were read.
    const std::uint8_t* input = job.input;
    if (overlaps_partly(job)) {
      move_to_output(job);
      input = job.output;
    }
    if (job.length > 0 && EVP_CipherUpdate(context, job.output, &written, input, static_cast<int>(job.length)) != 1) {
      return false;
    }
    std::uint8_t nothing[16];
    if (EVP_CipherFinal_ex(context, nothing, &written) != 1) return false;  // compares the ICV in constant time
    return !sealing || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, icv_size_, job.icv) == 1;
  }

  CipherCtx context_;
  int icv_size_;
  std::array<std::uint8_t, kNonceSize> nonce_{};
};

}  // namespace

MadePacketCipher make_aead(const PacketSuite& suite, ByteView key_and_salt) {
  const Cipher cipher = fetch_cipher(suite);
  if (!cipher) return err(CryptoError::unsupported);
  CipherCtx context(EVP_CIPHER_CTX_new());
  const std::size_t key_size = suite.key_bits / 8;
  if (!context || EVP_CipherInit_ex2(context.get(), cipher.get(), key_and_salt.data(), nullptr, 1, nullptr) != 1) {
    return err(CryptoError::backend_failure);
  }
  return std::make_unique<Aead>(std::move(context), key_and_salt.subspan(key_size), sizes_of(suite).icv);
}

}  // namespace culvert::crypto::openssl
