// The crypto job of one ESP packet: what is authenticated and where IV, ciphertext and ICV stand (RFC 4303 2, RFC 4106
// 5, RFC 7634 2.1, RFC 8750 4).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"
#include "ipsec/sa.hpp"

namespace culvert::ipsec {

inline constexpr std::size_t kMaxEspAad = 12;
/// What a job reads and the packet does not have: additional data, and an implicit IV behind them.
using EspScratch = std::array<std::uint8_t, kMaxEspAad + 8>;

/// Makes `job` one for the packet at `packet`, whose plaintext or ciphertext has `text_length` octets and comes from
/// `input`. `sequence` is the full number; `scratch` must live as long as the job. Written where it stays: copying what
/// was just stored in small pieces would wait for the stores.
template <typename Layout>
inline void make_esp_job(const Layout& layout, std::uint8_t* packet, const std::uint8_t* input, std::size_t text_length,
                         std::uint64_t sequence, EspScratch& scratch, crypto::PacketJob& job) {
  std::uint8_t* const text = packet + layout.head();
  job.iv = layout.iv == 0 ? nullptr : packet + kEspHeaderSize;
  if (layout.implicit_iv) {
    // RFC 8750 4: the sequence number, as 64 bits whether or not it is extended.
    store_be64(scratch.data() + kMaxEspAad, sequence);
    job.iv = scratch.data() + kMaxEspAad;
  }
  job.input = input;
  job.output = text;
  job.length = text_length;
  job.icv = text + text_length;
  job.mac_suffix_length = 0;
  job.ok = false;
  if (layout.aead && layout.extended) {
    // RFC 4106 5: SPI and the whole 64-bit sequence number.
    __builtin_memcpy(scratch.data(), packet, 4);
    store_be64(scratch.data() + 4, sequence);
    job.aad = {scratch.data(), kMaxEspAad};
  } else {
    job.aad = {packet, kEspHeaderSize};
    if (!layout.aead && layout.extended) {
      // RFC 4303 2.2.1: the high half is appended for the MAC only.
      store_be32(job.mac_suffix.data(), static_cast<std::uint32_t>(sequence >> 32));
      job.mac_suffix_length = 4;
    }
  }
}

/// The same, worked on in place.
template <typename Layout>
inline void make_esp_job(const Layout& layout, std::uint8_t* packet, std::size_t text_length, std::uint64_t sequence,
                         EspScratch& scratch, crypto::PacketJob& job) {
  make_esp_job(layout, packet, packet + layout.head(), text_length, sequence, scratch, job);
}

}  // namespace culvert::ipsec
