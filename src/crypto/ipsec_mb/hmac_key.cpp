#if HAVE_IPSEC_MB

#include "crypto/ipsec_mb/hmac_key.hpp"

#include "base/check.hpp"
#include "base/secret.hpp"

namespace culvert::crypto::ipsec_mb {
namespace {

struct Hash {
  IMB_HASH_ALG algorithm;
  hash_one_block_t one_block;
  std::size_t block_size;
};

Hash hash_for(const IMB_MGR& manager, IntegrityId id) {
  switch (id) {
    case IntegrityId::hmac_sha2_384_192: return {IMB_AUTH_HMAC_SHA_384, manager.sha384_one_block, 128};
    case IntegrityId::hmac_sha2_512_256: return {IMB_AUTH_HMAC_SHA_512, manager.sha512_one_block, 128};
    case IntegrityId::hmac_sha1_96: return {IMB_AUTH_HMAC_SHA_1, manager.sha1_one_block, 64};
    default: return {IMB_AUTH_HMAC_SHA_256, manager.sha256_one_block, 64};
  }
}

}  // namespace

HmacKey::HmacKey(const IMB_MGR& manager, IntegrityId id, ByteView key) {
  const Hash hash = hash_for(manager, id);
  algorithm_ = hash.algorithm;
  CHECK(key.size() <= hash.block_size);
  const auto state_after = [&](std::uint8_t pad, std::array<std::uint8_t, 64>& state) {
    alignas(64) std::array<std::uint8_t, 128> block;
    block.fill(pad);
    for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
    hash.one_block(block.data(), state.data());
    wipe(block);
  };
  state_after(0x36, inner_);
  state_after(0x5c, outer_);
}

HmacKey::~HmacKey() {
  wipe(inner_);
  wipe(outer_);
}

}  // namespace culvert::crypto::ipsec_mb

#endif
