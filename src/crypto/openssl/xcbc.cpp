// AES-XCBC-MAC (RFC 3566), which the library does not have: CBC under a first derived key, the last block changed by a
// second or a third one.
#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/packet_mac.hpp"

namespace culvert::crypto::openssl {
namespace {

constexpr std::size_t kBlock = 16;
using Block = std::array<std::uint8_t, kBlock>;

class Xcbc final : public PacketMac {
 public:
  Xcbc(CipherCtx context, const Block& full_mask, const Block& padded_mask)
      : context_(std::move(context)), full_mask_(full_mask), padded_mask_(padded_mask) {}
  Xcbc(const Xcbc&) = delete;
  Xcbc& operator=(const Xcbc&) = delete;
  ~Xcbc() override {
    wipe(full_mask_);
    wipe(padded_mask_);
  }

  void compute(std::initializer_list<ByteView> parts, MutableByteView icv) override {
    constexpr Block kZeros{};
    CHECK(EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, kZeros.data(), 1, nullptr) == 1);
    Block held{};  // up to one whole block, since the last one is special
    std::size_t count = 0;
    for (ByteView part : parts) {
      while (!part.empty()) {
        if (count == kBlock) {
          chain(held);
          count = 0;
        }
        if (count == 0 && part.size() > kBlock) {
          const std::size_t whole = (part.size() - 1) / kBlock * kBlock;
          chain(part.first(whole));
          part = part.subspan(whole);
        }
        const std::size_t taken = std::min(kBlock - count, part.size());
        std::copy_n(part.begin(), taken, held.begin() + static_cast<std::ptrdiff_t>(count));
        count += taken;
        part = part.subspan(taken);
      }
    }
    // RFC 3566 4: a whole last block gets K2, another one is padded with a single bit and gets K3.
    const Block& mask = count == kBlock ? full_mask_ : padded_mask_;
    if (count < kBlock) {
      held[count] = 0x80;
      std::fill(held.begin() + static_cast<std::ptrdiff_t>(count) + 1, held.end(), std::uint8_t{0});
    }
    for (std::size_t i = 0; i < kBlock; ++i) held[i] ^= mask[i];
    const Block mac = chain(held);
    CHECK(icv.size() <= mac.size());
    std::copy_n(mac.begin(), icv.size(), icv.begin());
  }

 private:
  /// Runs whole blocks through the chain; gives the last one that comes out.
  Block chain(ByteView blocks) {
    std::array<std::uint8_t, 32 * kBlock> out;
    std::size_t size = 0;
    for (; !blocks.empty(); blocks = blocks.subspan(size)) {
      size = std::min(blocks.size(), out.size());
      int written = 0;
      CHECK(EVP_CipherUpdate(context_.get(), out.data(), &written, blocks.data(), static_cast<int>(size)) == 1 &&
            static_cast<std::size_t>(written) == size);
    }
    Block last;
    std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(size - kBlock), kBlock, last.begin());
    return last;
  }

  CipherCtx context_;
  Block full_mask_;
  Block padded_mask_;
};

CipherCtx keyed(const char* name, const std::uint8_t* key) {
  const Cipher cipher(EVP_CIPHER_fetch(nullptr, name, nullptr));
  CipherCtx context(EVP_CIPHER_CTX_new());
  if (!cipher || !context || EVP_CipherInit_ex2(context.get(), cipher.get(), key, nullptr, 1, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
    return nullptr;
  }
  return context;
}

}  // namespace

MadePacketMac make_xcbc(ByteView key) {
  CHECK(key.size() == kBlock);
  const CipherCtx plain = keyed("AES-128-ECB", key.data());
  if (!plain) return err(CryptoError::backend_failure);
  // RFC 3566 4: K1, K2 and K3 are blocks of 01, 02 and 03 encrypted under the key.
  std::array<Block, 3> derived;
  for (std::size_t i = 0; i < derived.size(); ++i) {
    Block seed;
    seed.fill(static_cast<std::uint8_t>(i + 1));
    int written = 0;
    if (EVP_CipherUpdate(plain.get(), derived[i].data(), &written, seed.data(), kBlock) != 1) {
      return err(CryptoError::backend_failure);
    }
  }
  CipherCtx context = keyed("AES-128-CBC", derived[0].data());
  MadePacketMac made = err(CryptoError::backend_failure);
  if (context) made = std::make_unique<Xcbc>(std::move(context), derived[1], derived[2]);
  for (Block& block : derived) wipe(block);
  return made;
}

}  // namespace culvert::crypto::openssl
