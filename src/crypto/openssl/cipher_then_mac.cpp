#include <string>

#include <openssl/crypto.h>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/job_memory.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/hmac_context.hpp"
#include "crypto/openssl/packet_ciphers.hpp"

namespace culvert::crypto::openssl {
namespace {

constexpr std::size_t kLargestMac = 64;

HashId hash_of(IntegrityId id) {
  switch (id) {
    case IntegrityId::hmac_sha2_384_192: return HashId::sha2_384;
    case IntegrityId::hmac_sha2_512_256: return HashId::sha2_512;
    default: return HashId::sha2_256;
  }
}

const char* cipher_name(unsigned key_bits) {
  switch (key_bits) {
    case 128: return "AES-128-CBC";
    case 192: return "AES-192-CBC";
    default: return "AES-256-CBC";
  }
}

/// AES-CBC in both directions, since the two have different expanded keys.
struct Cbc {
  CipherCtx encrypt;
  CipherCtx decrypt;
};

class CipherThenMac final : public PacketCipher {
 public:
  CipherThenMac(Cbc cbc, MacCtx mac, const SuiteSizes& sizes)
      : cbc_(std::move(cbc)), mac_(std::move(mac)), sizes_(sizes) {}

  void seal(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      CHECK(job.length % sizes_.block == 0 && mac_input_fits(job, sizes_));
      const bool encrypted = run(cbc_.encrypt.get(), job, true);
      CHECK(encrypted);  // no input makes it fail, and what was not encrypted must never be sent
      std::uint8_t mac[kLargestMac];
      compute_mac(job, job.output, mac);
      std::memcpy(job.icv, mac, sizes_.icv);
      job.ok = true;
    }
  }

  void open(std::span<PacketJob> jobs) override {
    for (PacketJob& job : jobs) {
      job.ok = false;
      if (job.length % sizes_.block != 0 || !mac_input_fits(job, sizes_)) continue;
      std::uint8_t mac[kLargestMac];
      compute_mac(job, job.input, mac);
      if (!constant_time_equal({mac, sizes_.icv}, {job.icv, sizes_.icv})) continue;
      job.ok = run(cbc_.decrypt.get(), job, false);
    }
  }

  [[nodiscard]] const char* backend() const override { return backend_name(); }

 private:
  /// Brings text from input to output. Without a cipher (NULL encryption) that is a move.
  [[nodiscard]] bool run(EVP_CIPHER_CTX* context, const PacketJob& job, bool sealing) {
    // The IV goes in before the move: a move to the front may overwrite it.
    if (context != nullptr && EVP_CipherInit_ex2(context, nullptr, nullptr, job.iv, sealing ? 1 : 0, nullptr) != 1) {
      return false;
    }
    move_to_output(job);
    if (context == nullptr || job.length == 0) return true;
    const auto length = static_cast<int>(job.length);
    int written = 0;
    return EVP_CipherUpdate(context, job.output, &written, job.output, length) == 1 && written == length;
  }

  void compute_mac(const PacketJob& job, const std::uint8_t* ciphertext, std::uint8_t* out) {
    EVP_MAC_CTX* mac = mac_.get();
    std::size_t size = 0;
    const bool done = EVP_MAC_init(mac, nullptr, 0, nullptr) == 1 &&  // keeps the key
                      EVP_MAC_update(mac, job.aad.data(), job.aad.size()) == 1 &&
                      EVP_MAC_update(mac, job.iv, sizes_.iv) == 1 && EVP_MAC_update(mac, ciphertext, job.length) == 1 &&
                      EVP_MAC_update(mac, job.mac_suffix.data(), job.mac_suffix_length) == 1 &&
                      EVP_MAC_final(mac, out, &size, kLargestMac) == 1;
    CHECK(done && size == 2 * sizes_.icv);
  }

  Cbc cbc_;
  MacCtx mac_;
  SuiteSizes sizes_;
};

CipherCtx keyed_cbc(const EVP_CIPHER* cipher, ByteView key, bool sealing) {
  CipherCtx context(EVP_CIPHER_CTX_new());
  if (!context || EVP_CipherInit_ex2(context.get(), cipher, key.data(), nullptr, sealing ? 1 : 0, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
    return nullptr;
  }
  return context;
}

}  // namespace

Result<std::unique_ptr<PacketCipher>, CryptoError> make_cipher_then_mac(const PacketSuite& suite,
                                                                        ByteView encryption_key,
                                                                        ByteView integrity_key) {
  const ErrorQueueGuard guard;
  Cbc cbc;
  if (suite.cipher == CipherId::aes_cbc) {
    const Cipher cipher(EVP_CIPHER_fetch(nullptr, cipher_name(suite.key_bits), nullptr));
    if (!cipher) return err(CryptoError::unsupported);
    cbc.encrypt = keyed_cbc(cipher.get(), encryption_key, true);
    cbc.decrypt = keyed_cbc(cipher.get(), encryption_key, false);
    if (!cbc.encrypt || !cbc.decrypt) return err(CryptoError::backend_failure);
  }
  return std::make_unique<CipherThenMac>(std::move(cbc), keyed_hmac(hash_of(suite.integrity), integrity_key),
                                         sizes_of(suite));
}

Result<std::unique_ptr<PacketCipher>, CryptoError> make(const PacketSuite& suite, ByteView encryption_key,
                                                        ByteView integrity_key) {
  return suite.is_aead() ? make_aead(suite, encryption_key)
                         : make_cipher_then_mac(suite, encryption_key, integrity_key);
}

const char* backend_name() {
  static const std::string name = std::string("OpenSSL ") + OpenSSL_version(OPENSSL_VERSION_STRING);
  return name.c_str();
}

}  // namespace culvert::crypto::openssl
