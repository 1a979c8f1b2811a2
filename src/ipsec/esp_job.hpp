// The crypto job of one ESP packet: what is authenticated and where IV, ciphertext and ICV stand (RFC 4303 2, RFC 4106
// 5, RFC 7634 2.1).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"
#include "ipsec/sa.hpp"

namespace culvert::ipsec {

inline constexpr std::size_t kMaxEspAad = 12;

/// For the packet at `packet`, whose plaintext or ciphertext has `text_length` octets, worked on in place. `sequence`
/// is the full number; `aad` must live as long as the job.
[[nodiscard]] inline crypto::PacketJob make_esp_job(const EspLayout& layout, std::uint8_t* packet,
                                                    std::size_t text_length, std::uint64_t sequence,
                                                    std::array<std::uint8_t, kMaxEspAad>& aad) {
  crypto::PacketJob job;
  std::uint8_t* const text = packet + layout.head();
  job.iv = layout.iv == 0 ? nullptr : packet + kEspHeaderSize;
  job.input = text;
  job.output = text;
  job.length = text_length;
  job.icv = text + text_length;
  if (layout.aead && layout.extended) {
    // RFC 4106 5: SPI and the whole 64-bit sequence number.
    __builtin_memcpy(aad.data(), packet, 4);
    store_be64(aad.data() + 4, sequence);
    job.aad = {aad.data(), 12};
  } else {
    job.aad = {packet, kEspHeaderSize};
    if (!layout.aead && layout.extended) {
      // RFC 4303 2.2.1: the high half is appended for the MAC only.
      store_be32(job.mac_suffix.data(), static_cast<std::uint32_t>(sequence >> 32));
      job.mac_suffix_length = 4;
    }
  }
  return job;
}

}  // namespace culvert::ipsec
