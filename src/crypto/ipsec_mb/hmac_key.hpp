#pragma once

#include <array>

#include <intel-ipsec-mb.h>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::ipsec_mb {

/// HMAC's two inner states after their first block (RFC 2104 4), which is all that the library wants to know of a key.
class HmacKey {
 public:
  /// `key` is no longer than a block of the hash.
  HmacKey(const IMB_MGR& manager, IntegrityId id, ByteView key);
  HmacKey(const HmacKey&) = delete;
  HmacKey& operator=(const HmacKey&) = delete;
  ~HmacKey();

  [[nodiscard]] IMB_HASH_ALG algorithm() const { return algorithm_; }
  void fill(IMB_JOB& slot) const {
    slot.hash_alg = algorithm_;
    slot.u.HMAC._hashed_auth_key_xor_ipad = inner_.data();
    slot.u.HMAC._hashed_auth_key_xor_opad = outer_.data();
  }

 private:
  IMB_HASH_ALG algorithm_;
  alignas(64) std::array<std::uint8_t, 64> inner_{};
  alignas(64) std::array<std::uint8_t, 64> outer_{};
};

}  // namespace culvert::crypto::ipsec_mb
