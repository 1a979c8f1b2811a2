// AES-CCM for ESP and IKE (RFC 4309, RFC 5282): 11 octets of nonce, which leaves 4 for the length.
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

constexpr std::size_t kSaltSize = 3;
constexpr std::size_t kNonceSize = 11;

class Ccm final : public PacketCipher {
 public:
  Ccm(CipherCtx seal, CipherCtx open, ByteView salt, std::size_t icv_size)
      : seal_(std::move(seal)), open_(std::move(open)), icv_size_(static_cast<int>(icv_size)) {
    std::ranges::copy(salt, nonce_.begin());
  }
  Ccm(const Ccm&) = delete;
  Ccm& operator=(const Ccm&) = delete;
  ~Ccm() override { wipe(nonce_); }

  void seal(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      EVP_CIPHER_CTX* context = seal_.get();
      const bool sealed =
          transform(context, job) && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, icv_size_, job.icv) == 1;
      CHECK(sealed);  // no input makes it fail, and what was not sealed must never be sent
      job.ok = true;
    }
  }

  void open(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      EVP_CIPHER_CTX* context = open_.get();
      job.ok = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, icv_size_, job.icv) == 1 && transform(context, job);
    }
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  [[nodiscard]] bool transform(EVP_CIPHER_CTX* context, const PacketJob& job) {
    CHECK(job.length <= INT_MAX && job.aad.size() <= INT_MAX);
    // RFC 4309 4: the nonce is the salt, then the packet's IV.
    std::copy_n(job.iv, kNonceSize - kSaltSize, nonce_.begin() + kSaltSize);
    const auto length = static_cast<int>(job.length);
    int written = 0;
    if (EVP_CipherInit_ex2(context, nullptr, nullptr, nonce_.data(), -1, nullptr) != 1) return false;
    // CCM's first block holds the length of the text, so that comes before all else.
    if (EVP_CipherUpdate(context, nullptr, &written, nullptr, length) != 1) return false;
    if (!job.aad.empty() &&
        EVP_CipherUpdate(context, nullptr, &written, job.aad.data(), static_cast<int>(job.aad.size())) != 1) {
      return false;
    }
    // A move to the front may overwrite IV and additional data, so it waits until both were read.
    move_to_output(job);
    // One call does it all: opening compares the ICV in constant time here. It wants a place also for an empty text.
    std::uint8_t nothing[16]{};
    std::uint8_t* const text = job.length > 0 ? job.output : nothing;
    return EVP_CipherUpdate(context, text, &written, text, length) == 1;
  }

  CipherCtx seal_;
  CipherCtx open_;
  int icv_size_;
  std::array<std::uint8_t, kNonceSize> nonce_{};
};

CipherCtx keyed(const EVP_CIPHER* cipher, ByteView key, std::size_t icv_size, bool sealing) {
  CipherCtx context(EVP_CIPHER_CTX_new());
  const int direction = sealing ? 1 : 0;
  // The sizes go in before the key, which is bound to them.
  if (!context || EVP_CipherInit_ex2(context.get(), cipher, nullptr, nullptr, direction, nullptr) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, kNonceSize, nullptr) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(icv_size), nullptr) != 1 ||
      EVP_CipherInit_ex2(context.get(), nullptr, key.data(), nullptr, direction, nullptr) != 1) {
    return nullptr;
  }
  return context;
}

}  // namespace

MadePacketCipher make_ccm(const PacketSuite& suite, ByteView key_and_salt) {
  const Cipher cipher = fetch_cipher(suite);
  if (!cipher) return err(CryptoError::unsupported);
  const std::size_t icv_size = sizes_of(suite).icv;
  const std::size_t key_size = suite.key_bits / 8;
  CipherCtx seal = keyed(cipher.get(), key_and_salt.first(key_size), icv_size, true);
  CipherCtx open = keyed(cipher.get(), key_and_salt.first(key_size), icv_size, false);
  if (!seal || !open) return err(CryptoError::backend_failure);
  return std::make_unique<Ccm>(std::move(seal), std::move(open), key_and_salt.subspan(key_size), icv_size);
}

}  // namespace culvert::crypto::openssl
