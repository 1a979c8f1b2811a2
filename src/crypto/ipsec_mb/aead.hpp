// What AES-GCM and ChaCha20-Poly1305 share: nonces, bursts of jobs, the comparison of ICVs.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "base/check.hpp"
#include "base/secret.hpp"
#include "crypto/ipsec_mb/manager.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::crypto::ipsec_mb {

inline constexpr std::size_t kSaltSize = 4;
inline constexpr std::size_t kIvSize = 8;
inline constexpr std::size_t kLongestIcv = 16;

using Nonce = std::array<std::uint8_t, kSaltSize + kIvSize>;
using Icv = std::array<std::uint8_t, kLongestIcv>;

/// RFC 4106 4, RFC 7634 2: the nonce is the salt, then the packet's IV.
[[nodiscard]] inline Nonce make_nonce(const std::array<std::uint8_t, kSaltSize>& salt, const std::uint8_t* iv) {
  Nonce nonce;
  std::ranges::copy(salt, nonce.begin());
  std::copy_n(iv, kIvSize, nonce.begin() + kSaltSize);
  return nonce;
}

/// Runs jobs in bursts through the thread's queue. `fill(slot, job)` sets algorithm, key, source and additional data;
/// the rest is done here. Both algorithms finish inside the call and in order.
template <typename Fill>
void run_aead(std::span<PacketJob> jobs, const std::array<std::uint8_t, kSaltSize>& salt, std::size_t icv_size,
              bool sealing, Fill&& fill) {
  IMB_MGR* manager = thread_workspace().manager.get();
  std::array<IMB_JOB*, kBurst> slots;
  std::array<Nonce, kBurst> nonces;
  std::array<Icv, kBurst> icvs;
  for (; !jobs.empty(); jobs = jobs.subspan(std::min(jobs.size(), kBurst))) {
    const auto count = static_cast<std::uint32_t>(std::min(jobs.size(), kBurst));
    const std::uint32_t free_slots = IMB_GET_NEXT_BURST(manager, count, slots.data());
    CHECK(free_slots == count);
    for (std::uint32_t i = 0; i < count; ++i) {
      PacketJob& job = jobs[i];
      IMB_JOB& slot = *slots[i];
      nonces[i] = make_nonce(salt, job.iv);
      slot.cipher_direction = sealing ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
      slot.chain_order = sealing ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
      slot.dst = job.output;
      slot.cipher_start_src_offset_in_bytes = 0;
      slot.msg_len_to_cipher_in_bytes = job.length;
      slot.hash_start_src_offset_in_bytes = 0;
      slot.msg_len_to_hash_in_bytes = job.length;
      slot.iv = nonces[i].data();
      slot.iv_len_in_bytes = nonces[i].size();
      slot.auth_tag_output = sealing ? job.icv : icvs[i].data();
      slot.auth_tag_output_len_in_bytes = icv_size;
      fill(slot, job);
    }
    const std::uint32_t done = IMB_SUBMIT_BURST_NOCHECK(manager, count, slots.data());
    CHECK(done == count);  // what was not sealed must never be sent
    for (std::uint32_t i = 0; i < count; ++i) {
      CHECK(slots[i]->status == IMB_STATUS_COMPLETED);
      jobs[i].ok = sealing || constant_time_equal(ByteView(icvs[i]).first(icv_size), {jobs[i].icv, icv_size});
    }
  }
}

}  // namespace culvert::crypto::ipsec_mb
