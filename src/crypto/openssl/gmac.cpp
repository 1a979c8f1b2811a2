// AES-GMAC (RFC 4543): GCM without text. For ESP the IV is authenticated where it stands, between sequence number and
// payload (figure 4; figures 2 and 3 leave it out, which the RFC's erratum 1821 mends). For AH the caller shows
// all that is authenticated, the IV included.
#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/job_memory.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/packet_ciphers.hpp"

namespace culvert::crypto::openssl {
namespace {

constexpr std::size_t kSaltSize = 4;
constexpr std::size_t kIvSize = 8;
constexpr std::size_t kIcvSize = 16;

class Gmac final : public PacketCipher {
 public:
  Gmac(CipherCtx context, ByteView salt, const PacketSuite& suite)
      : context_(std::move(context)), sizes_(sizes_of(suite)), covers_iv_(suite.cipher == CipherId::null_aes_gmac) {
    std::ranges::copy(salt, nonce_.begin());
  }
  Gmac(const Gmac&) = delete;
  Gmac& operator=(const Gmac&) = delete;
  ~Gmac() override { wipe(nonce_); }

  void seal(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      CHECK(mac_input_fits(job, sizes_));
      std::array<std::uint8_t, kIcvSize> icv;
      compute(job, icv.data());
      move_to_output(job);
      std::ranges::copy(icv, job.icv);
      job.ok = true;
    }
  }

  void open(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      job.ok = false;
      if (!mac_input_fits(job, sizes_)) continue;
      std::array<std::uint8_t, kIcvSize> icv;
      compute(job, icv.data());
      job.ok = constant_time_equal(icv, {job.icv, kIcvSize});
      if (job.ok) move_to_output(job);
    }
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  void compute(const PacketJob& job, std::uint8_t* icv) {
    // RFC 4543 3.2: the nonce is the salt, then the packet's IV.
    std::copy_n(job.iv, kIvSize, nonce_.begin() + kSaltSize);
    EVP_CIPHER_CTX* context = context_.get();
    int written = 0;
    std::uint8_t nothing[16];
    const bool done = EVP_CipherInit_ex2(context, nullptr, nullptr, nonce_.data(), 1, nullptr) == 1 && add(job.aad) &&
                      (!covers_iv_ || add({job.iv, kIvSize})) && add({job.input, job.length}) &&
                      add({job.mac_suffix.data(), job.mac_suffix_length}) &&
                      EVP_CipherFinal_ex(context, nothing, &written) == 1 &&
                      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kIcvSize, icv) == 1;
    CHECK(done);
  }

  [[nodiscard]] bool add(ByteView part) {
    int written = 0;
    return part.empty() ||
           EVP_CipherUpdate(context_.get(), nullptr, &written, part.data(), static_cast<int>(part.size())) == 1;
  }

  CipherCtx context_;
  SuiteSizes sizes_;
  bool covers_iv_;
  std::array<std::uint8_t, kSaltSize + kIvSize> nonce_{};
};

}  // namespace

MadePacketCipher make_gmac(const PacketSuite& suite, ByteView key_and_salt) {
  const Cipher cipher = fetch_cipher(suite);
  if (!cipher) return err(CryptoError::unsupported);
  CipherCtx context(EVP_CIPHER_CTX_new());
  if (!context || EVP_CipherInit_ex2(context.get(), cipher.get(), key_and_salt.data(), nullptr, 1, nullptr) != 1) {
    return err(CryptoError::backend_failure);
  }
  return std::make_unique<Gmac>(std::move(context), key_and_salt.last(kSaltSize), suite);
}

}  // namespace culvert::crypto::openssl
