#include "crypto/openssl/packet_mac.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/available.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/hmac_context.hpp"

namespace culvert::crypto::openssl {
namespace {

constexpr std::size_t kLargestMac = 64;

/// HMAC and CMAC, which the library has.
class LibraryMac final : public PacketMac {
 public:
  explicit LibraryMac(MacCtx context) : context_(std::move(context)) {}

  void compute(std::initializer_list<ByteView> parts, MutableByteView icv) override {
    EVP_MAC_CTX* mac = context_.get();
    bool done = EVP_MAC_init(mac, nullptr, 0, nullptr) == 1;  // keeps the key
    for (const ByteView part : parts) done = done && EVP_MAC_update(mac, part.data(), part.size()) == 1;
    std::array<std::uint8_t, kLargestMac> out;
    std::size_t size = 0;
    CHECK(done && EVP_MAC_final(mac, out.data(), &size, out.size()) == 1 && size >= icv.size());
    std::copy_n(out.begin(), icv.size(), icv.begin());
  }

 private:
  MacCtx context_;
};

MadePacketMac make_cmac(ByteView key) {
  const Mac mac(EVP_MAC_fetch(nullptr, "CMAC", nullptr));
  if (!mac) return err(CryptoError::unsupported);
  MacCtx context(EVP_MAC_CTX_new(mac.get()));
  std::string cipher = "AES-128-CBC";
  const std::array parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher.data(), 0),
                              OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_init(context.get(), key.data(), key.size(), parameters.data()) != 1) {
    return err(CryptoError::backend_failure);
  }
  return std::make_unique<LibraryMac>(std::move(context));
}

}  // namespace

MadePacketMac make_packet_mac(IntegrityId id, ByteView key) {
  const auto hmac_of = [&](HashId hash) -> MadePacketMac {
    if (!is_available(hash)) return err(CryptoError::unsupported);
    return std::make_unique<LibraryMac>(keyed_hmac(hash, key));
  };
  switch (id) {
    case IntegrityId::hmac_sha2_256_128: return hmac_of(HashId::sha2_256);
    case IntegrityId::hmac_sha2_384_192: return hmac_of(HashId::sha2_384);
    case IntegrityId::hmac_sha2_512_256: return hmac_of(HashId::sha2_512);
    case IntegrityId::hmac_sha1_96: return hmac_of(HashId::sha1);
    case IntegrityId::hmac_md5_96: return hmac_of(HashId::md5);
    case IntegrityId::aes_cmac_96: return make_cmac(key);
    case IntegrityId::aes_xcbc_96: return make_xcbc(key);
    case IntegrityId::none:
    case IntegrityId::aes_128_gmac:
    case IntegrityId::aes_192_gmac:
    case IntegrityId::aes_256_gmac: break;
  }
  return err(CryptoError::unsupported);
}

}  // namespace culvert::crypto::openssl
