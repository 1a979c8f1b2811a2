#if HAVE_IPSEC_MB

#include "crypto/ipsec_mb/mac_key.hpp"

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
    case IntegrityId::hmac_md5_96: return {IMB_AUTH_MD5, manager.md5_one_block, 64};
    default: return {IMB_AUTH_HMAC_SHA_256, manager.sha256_one_block, 64};
  }
}

}  // namespace

MacKey::MacKey(const IMB_MGR& manager, IntegrityId id, ByteView key) {
  if (id == IntegrityId::aes_xcbc_96) {
    algorithm_ = IMB_AUTH_AES_XCBC;
    manager.xcbc_keyexp(key.data(), first_.data(), second_.data(), third_.data());
    return;
  }
  if (id == IntegrityId::aes_cmac_96) {
    algorithm_ = IMB_AUTH_AES_CMAC;
    std::array<std::uint8_t, kRoundKeys> unused;
    manager.keyexp_128(key.data(), first_.data(), unused.data());
    manager.cmac_subkey_gen_128(first_.data(), second_.data(), third_.data());
    wipe(unused);
    return;
  }
  const Hash hash = hash_for(manager, id);
  algorithm_ = hash.algorithm;
  CHECK(key.size() <= hash.block_size);
  const auto state_after = [&](std::uint8_t pad, std::uint8_t* state) {
    alignas(64) std::array<std::uint8_t, 128> block;
    block.fill(pad);
    for (std::size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
    hash.one_block(block.data(), state);
    wipe(block);
  };
  state_after(0x36, first_.data());
  state_after(0x5c, second_.data());
}

MacKey::~MacKey() {
  wipe(first_);
  wipe(second_);
  wipe(third_);
}

void MacKey::fill(IMB_JOB& slot) const {
  slot.hash_alg = algorithm_;
  switch (algorithm_) {
    case IMB_AUTH_AES_XCBC:
      slot.u.XCBC._k1_expanded = reinterpret_cast<const std::uint32_t*>(first_.data());
      slot.u.XCBC._k2 = second_.data();
      slot.u.XCBC._k3 = third_.data();
      break;
    case IMB_AUTH_AES_CMAC:
      slot.u.CMAC._key_expanded = first_.data();
      slot.u.CMAC._skey1 = second_.data();
      slot.u.CMAC._skey2 = third_.data();
      break;
    default:
      slot.u.HMAC._hashed_auth_key_xor_ipad = first_.data();
      slot.u.HMAC._hashed_auth_key_xor_opad = second_.data();
      break;
  }
}

}  // namespace culvert::crypto::ipsec_mb

#endif
