// Where the parts of a packet go around ESP and AH in every mode but plain ESP in tunnel mode, which needs none of this
// (RFC 4303 3.1, RFC 4302 3.1, draft-nikander-esp-beet-mode-09 5.4).
//
//   inner packet:   [ strip ][ payload ]
//   ESP             [ front ][ ESP header, IV ][ pseudo ][ payload ][ trailer, ICV ]
//   AH              [ front ][ AH             ][ pseudo ][ payload ]
//
// In transport mode `front` is `strip`, or is the kernel's (ESP in UDP); in BEET mode `strip` is gone and `pseudo`
// keeps its IPv4 options; in tunnel mode nothing is stripped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/sa.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

inline constexpr std::size_t kAhFixedSize = 12;  // next header to sequence number
/// draft-nikander-esp-beet-mode-09 5.4: the pseudo header that carries IPv4 options.
inline constexpr std::uint8_t kBeetPseudoHeader = 94;
inline constexpr std::size_t kMaxIpv4HeaderSize = 60;

/// The same for all packets that a super-packet stands for.
struct Wrapping {
  std::size_t strip = 0;           // octets of headers in front of the inner packet's payload
  std::size_t front = 0;           // octets of IP headers that we write; 0: the kernel does
  std::size_t pseudo = 0;          // octets of BEET's pseudo header
  std::size_t next_header_at = 0;  // transport mode: the octet in `front` that names ESP or AH
  std::uint8_t next_header = 0;    // for the ESP trailer or AH
};

/// How this packet goes into this SA. `transport_fragment`, `transport_address`, `headers_unfit` when it cannot.
[[nodiscard]] Result<Wrapping, DropReason> wrap(const SaPair& sa, ByteView packet, const net::PacketInfo& info);

/// Writes BEET's pseudo header for the options of `header`, an IPv4 header with options, to `at`, which has
/// Wrapping::pseudo octets of room.
void write_beet_pseudo_header(std::uint8_t* at, ByteView header);

/// Writes AH up to its payload: next header, length, SPI, low sequence number, and zeros for the ICV field.
void write_ah(std::uint8_t* at, std::size_t ah_size, std::uint8_t next_header, std::uint32_t spi,
              std::uint64_t sequence);

/// The job of an AH packet (RFC 4302 3.3.3): `covered` holds what the ICV covers up to AH's end, with zeros for the ICV
/// (AES-GMAC's IV in front of it as it is); `ah` and the payload behind it are the packet's own.
[[nodiscard]] crypto::PacketJob make_ah_job(const EspLayout& layout, ByteView covered, std::uint8_t* ah,
                                            std::size_t ah_size, std::size_t payload_length, std::uint64_t sequence);

}  // namespace culvert::ipsec
