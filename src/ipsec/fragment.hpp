// IP fragments: what one says of its packet, and the cutting of packets into them (RFC 791 2.3 and 3.2, RFC 8200 4.5).
// For packets of the protected side that must get shorter before ESP or AH, and for outer packets that we originate.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// Where a fragment belongs. `packet` below is the packet that these fields were read from.
struct FragmentFields {
  std::uint32_t identification = 0;
  std::uint16_t offset = 0;          // octets of the original's payload in front of this one's
  std::uint16_t length = 0;          // octets of payload here
  bool more = false;                 // others follow
  std::uint8_t protocol = 0;         // what the reassembled payload begins with, as the IP or Fragment header says
  std::uint16_t header_length = 0;   // octets of `packet` that stay in front of the reassembled payload
  std::uint16_t payload_at = 0;      // where the payload begins in `packet`
  std::uint16_t next_header_at = 0;  // IPv6: the octet that names the Fragment header
  [[nodiscard]] std::uint32_t end() const { return std::uint32_t{offset} + length; }
};

/// The fields of a packet for which `info.is_fragment` holds. Nothing when they make no sense: no payload, payload that
/// is no multiple of 8 octets although more follows, an end beyond what a packet can have, or two Fragment headers that
/// contradict each other.
[[nodiscard]] std::optional<FragmentFields> fragment_fields(ByteView packet, const net::PacketInfo& info);

/// True when a fragment that is not the first begins within the transport header.
/// RFC 1858 3.2.1, RFC 3128: such fragments only serve to rewrite ports or flags behind the back of a filter; whoever
/// fragments honestly has the whole header in the first one.
[[nodiscard]] bool rewrites_transport_header(const FragmentFields& fields);

/// Plans and writes the fragments of one packet. A view; valid as long as the packet's bytes.
class FragmentCutter {
 public:
  /// `longest`: octets that each fragment may have; `identification`: for IPv6 only, IPv4 packets have their own. An
  /// IPv4 packet may be a fragment itself. Nothing when the packet fits as it is, when not even 8 octets of payload
  /// would fit, or for an IPv6 packet that has a Fragment header. Whether the packet may be cut at all (DF, IPv6 of
  /// others) the caller has decided.
  [[nodiscard]] static std::optional<FragmentCutter> make(ByteView packet, const net::PacketInfo& info,
                                                          std::size_t longest, std::uint32_t identification);

  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::size_t length(std::size_t index) const { return head_of(index) + payload_of(index); }
  [[nodiscard]] std::size_t total_length() const;
  /// Writes fragment `index` to `out`, which has room for `length(index)` and does not overlap the packet.
  void write(std::size_t index, std::uint8_t* out) const;

 private:
  FragmentCutter() = default;
  [[nodiscard]] bool plan(std::size_t longest);
  void copy_options_for_later();
  [[nodiscard]] bool find_unfragmentable_part();
  [[nodiscard]] std::size_t head_of(std::size_t index) const { return index == 0 ? first_head_ : later_head_; }
  [[nodiscard]] std::size_t start_of(std::size_t index) const {
    return index == 0 ? 0 : first_step_ + (index - 1) * later_step_;
  }
  [[nodiscard]] std::size_t payload_of(std::size_t index) const;
  void write_v4(std::size_t index, std::uint8_t* out) const;
  void write_v6(std::size_t index, std::uint8_t* out) const;

  ByteView packet_;
  net::Family family_ = net::Family::v4;
  std::array<std::uint8_t, 60> later_header_{};  // IPv4: with the options that are copied
  std::size_t kept_ = 0;                         // octets of the packet in front of what is cut
  std::size_t first_head_ = 0;                   // of the first fragment, a Fragment header included
  std::size_t later_head_ = 0;
  std::size_t first_step_ = 0;  // payload octets of the first fragment
  std::size_t later_step_ = 0;
  std::size_t count_ = 0;
  std::size_t next_header_at_ = 0;  // IPv6
  std::uint32_t identification_ = 0;
};

}  // namespace culvert::ipsec
