#pragma once

#include <array>

#include <intel-ipsec-mb.h>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::ipsec_mb {

/// What the library wants to know of an integrity algorithm's key: HMAC's two inner states after their first block (RFC
/// 2104 4), or AES's round keys and the two masks of AES-XCBC (RFC 3566) and AES-CMAC (RFC 4493).
class MacKey {
 public:
  /// Any algorithm but NONE and AES-GMAC; `key` has its size.
  MacKey(const IMB_MGR& manager, IntegrityId id, ByteView key);
  MacKey(const MacKey&) = delete;
  MacKey& operator=(const MacKey&) = delete;
  ~MacKey();

  [[nodiscard]] IMB_HASH_ALG algorithm() const { return algorithm_; }
  /// The library's bursts of hashes have only some algorithms; the others go through its queue of jobs.
  [[nodiscard]] bool has_bursts() const {
    return algorithm_ != IMB_AUTH_MD5 && algorithm_ != IMB_AUTH_AES_XCBC && algorithm_ != IMB_AUTH_AES_CMAC;
  }
  void fill(IMB_JOB& slot) const;

 private:
  static constexpr std::size_t kRoundKeys = std::size_t{11} * 16;

  IMB_HASH_ALG algorithm_ = IMB_AUTH_NULL;
  alignas(64) std::array<std::uint8_t, kRoundKeys> first_{};  // or the inner state
  alignas(64) std::array<std::uint8_t, 64> second_{};         // or the outer state
  alignas(16) std::array<std::uint8_t, 16> third_{};
};

}  // namespace culvert::crypto::ipsec_mb
