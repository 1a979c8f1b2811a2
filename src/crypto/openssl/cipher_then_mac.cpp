// A cipher that does not authenticate, or none, with a MAC over its ciphertext (RFC 4303 3.2, RFC 7296 3.14).
#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/job_memory.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/packet_ciphers.hpp"
#include "crypto/openssl/packet_mac.hpp"

namespace culvert::crypto::openssl {
namespace {

constexpr std::size_t kLargestIcv = 32;
constexpr std::size_t kCounterSalt = 4;
constexpr std::size_t kCounterIv = 8;

/// Encryption alone. A CBC cipher has another expanded key in each direction; CTR encrypts only.
class TextCipher {
 public:
  TextCipher(CipherCtx encrypt, CipherCtx decrypt, ByteView salt)
      : encrypt_(std::move(encrypt)), decrypt_(std::move(decrypt)), counts_(!salt.empty()) {
    std::ranges::copy(salt, counter_.begin());
    counter_.back() = 1;  // RFC 3686 4, RFC 5529: the packet's first counter block
  }
  TextCipher(const TextCipher&) = delete;
  TextCipher& operator=(const TextCipher&) = delete;
  ~TextCipher() { wipe(counter_); }

  /// Brings text from input to output.
  [[nodiscard]] bool run(const PacketJob& job, bool sealing) {
    const bool encrypts = sealing || counts_;
    EVP_CIPHER_CTX* const context = (encrypts ? encrypt_ : decrypt_).get();
    const std::uint8_t* iv = job.iv;
    if (counts_) {
      std::copy_n(job.iv, kCounterIv, counter_.begin() + kCounterSalt);
      iv = counter_.data();
    }
    // The IV goes in before the move: a move to the front may overwrite it.
    if (EVP_CipherInit_ex2(context, nullptr, nullptr, iv, encrypts ? 1 : 0, nullptr) != 1) return false;
    move_to_output(job);
    if (job.length == 0) return true;
    const auto length = static_cast<int>(job.length);
    int written = 0;
    return EVP_CipherUpdate(context, job.output, &written, job.output, length) == 1 && written == length;
  }

 private:
  CipherCtx encrypt_;
  CipherCtx decrypt_;
  bool counts_;
  std::array<std::uint8_t, 16> counter_{};
};

class CipherThenMac final : public PacketCipher {
 public:
  CipherThenMac(std::unique_ptr<TextCipher> cipher, std::unique_ptr<PacketMac> mac, const SuiteSizes& sizes)
      : cipher_(std::move(cipher)), mac_(std::move(mac)), sizes_(sizes) {}

  void seal(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      CHECK(job.length % sizes_.block == 0 && mac_input_fits(job, sizes_));
      const bool encrypted = run_cipher(job, true);
      CHECK(encrypted);  // no input makes it fail, and what was not encrypted must never be sent
      std::uint8_t icv[kLargestIcv];
      compute_mac(job, job.output, icv);
      std::copy_n(icv, sizes_.icv, job.icv);
      job.ok = true;
    }
  }

  void open(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      job.ok = false;
      if (job.length % sizes_.block != 0 || !mac_input_fits(job, sizes_)) continue;
      std::uint8_t icv[kLargestIcv];
      compute_mac(job, job.input, icv);
      if (!constant_time_equal({icv, sizes_.icv}, {job.icv, sizes_.icv})) continue;
      job.ok = run_cipher(job, false);
    }
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  [[nodiscard]] bool run_cipher(const PacketJob& job, bool sealing) {
    if (cipher_) return cipher_->run(job, sealing);
    move_to_output(job);
    return true;
  }

  void compute_mac(const PacketJob& job, const std::uint8_t* ciphertext, std::uint8_t* icv) {
    mac_->compute(
        {job.aad, {job.iv, sizes_.iv}, {ciphertext, job.length}, ByteView(job.mac_suffix).first(job.mac_suffix_length)},
        {icv, sizes_.icv});
  }

  std::unique_ptr<TextCipher> cipher_;  // null for NULL
  std::unique_ptr<PacketMac> mac_;
  SuiteSizes sizes_;
};

CipherCtx keyed(const EVP_CIPHER* cipher, ByteView key, bool sealing) {
  CipherCtx context(EVP_CIPHER_CTX_new());
  if (!context || EVP_CipherInit_ex2(context.get(), cipher, key.data(), nullptr, sealing ? 1 : 0, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
    return nullptr;
  }
  return context;
}

}  // namespace

MadePacketCipher make_cipher_then_mac(const PacketSuite& suite, ByteView encryption_key, ByteView integrity_key) {
  std::unique_ptr<TextCipher> text_cipher;
  if (suite.encrypts()) {
    const Cipher cipher = fetch_cipher(suite);
    if (!cipher) return err(CryptoError::unsupported);
    const ByteView key = encryption_key.first(suite.key_bits / 8);
    CipherCtx encrypt = keyed(cipher.get(), key, true);
    CipherCtx decrypt = keyed(cipher.get(), key, false);
    if (!encrypt || !decrypt) return err(CryptoError::backend_failure);
    text_cipher =
        std::make_unique<TextCipher>(std::move(encrypt), std::move(decrypt), encryption_key.subspan(key.size()));
  }
  auto mac = make_packet_mac(suite.integrity, integrity_key);
  if (!mac) return err(mac.error());
  return std::make_unique<CipherThenMac>(std::move(text_cipher), std::move(*mac), sizes_of(suite));
}

}  // namespace culvert::crypto::openssl
