#include "crypto/des.hpp"

#include <memory>

#include <openssl/evp.h>

#include "base/check.hpp"
#include "base/secret.hpp"

namespace culvert::crypto {
namespace {

struct Free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

}  // namespace

DesBlock des_encrypt(const std::array<std::uint8_t, 7>& key, const DesBlock& block) {
  // RFC 2759 8.6: seven bits to an octet. Triple DES with one key is DES, and is there where DES alone is not.
  std::array<std::uint8_t, 24> triple{};
  std::uint64_t bits = 0;
  for (const std::uint8_t octet : key) bits = bits << 8 | octet;
  for (std::size_t i = 0; i < 8; ++i) {
    const auto seven = static_cast<std::uint8_t>(bits >> (49 - 7 * i) & 0x7f);
    const auto odd = static_cast<std::uint8_t>(__builtin_parity(seven) == 0 ? 1 : 0);
    triple[i] = triple[8 + i] = triple[16 + i] = static_cast<std::uint8_t>(seven << 1 | odd);
  }
  const std::unique_ptr<EVP_CIPHER_CTX, Free> context(EVP_CIPHER_CTX_new());
  DesBlock out{};
  int length = 0;
  CHECK(context != nullptr);
  CHECK(EVP_EncryptInit_ex2(context.get(), EVP_des_ede3_ecb(), triple.data(), nullptr, nullptr) == 1);
  CHECK(EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1);
  CHECK(EVP_EncryptUpdate(context.get(), out.data(), &length, block.data(), static_cast<int>(block.size())) == 1);
  CHECK(length == static_cast<int>(out.size()));
  wipe(triple);
  return out;
}

}  // namespace culvert::crypto
