// Segmenter: cuts a super-packet from TUN (TSO, USO) into the IP packets that it stands for, and completes partial
// checksums, so that everything that goes into ESP is right by itself.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/packet_io.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// Whether a packet of `total_length` octets has what its partial checksum is said to cover, and the field.
[[nodiscard]] bool partial_checksum_fits(const Offload& offload, std::size_t header_length, std::size_t total_length);
/// Makes a partial checksum, for which the above holds, whole. `packet` has just its own length.
void complete_checksum(MutableByteView packet, std::size_t start, std::size_t field, std::uint8_t protocol);

/// A view of one inner packet; valid as long as its bytes.
class Segmenter {
 public:
  /// Checks the offload facts against the headers; virtio's header length is not believed. `offload_mismatch` when they
  /// do not fit.
  [[nodiscard]] static Result<Segmenter, DropReason> make(const InnerPacket& packet, const net::PacketInfo& info);

  /// How many packets come out: 1 or more.
  [[nodiscard]] std::uint32_t count() const { return count_; }
  /// Octets of packet `index`. All but the last are equal.
  [[nodiscard]] std::size_t length(std::uint32_t index) const;
  /// The octets of all packets together.
  [[nodiscard]] std::size_t total_length() const { return std::size_t{count_} * header_ + payload_; }
  /// Writes packet `index` to `out`, which has room for `length(index)` octets and does not overlap the source.
  void write(std::uint32_t index, std::uint8_t* out) const;

  /// For cutting a super-packet where it lies: each packet's headers go in front of its payload, over the end of the
  /// payload before, so that one must be done with by then. `original` is a copy of the super-packet's own headers.
  [[nodiscard]] bool is_super_packet() const { return step_ != 0; }
  [[nodiscard]] std::size_t header_length() const { return header_; }
  /// Where the headers of packet `index` begin then, counted from the super-packet's.
  [[nodiscard]] std::size_t offset(std::uint32_t index) const { return index * step_; }
  /// What the payload of packet `index` adds to its checksum.
  [[nodiscard]] std::uint64_t payload_sum(std::uint32_t index) const;
  void write_headers(std::uint32_t index, const std::uint8_t* original, std::uint64_t payload_sum,
                     std::uint8_t* out) const;

 private:
  enum class Kind : std::uint8_t { plain, partial_checksum, tcp, udp };
  Segmenter() = default;
  void fix_ip(std::uint8_t* out, const std::uint8_t* original, std::uint32_t index, std::size_t length) const;
  void fix_transport(std::uint8_t* out, const std::uint8_t* original, std::uint32_t index, std::size_t length,
                     std::uint64_t payload_sum) const;

  const std::uint8_t* source_ = nullptr;
  std::size_t header_ = 0;   // IP and transport header, repeated in each packet; 0 when nothing is cut
  std::size_t payload_ = 0;  // octets behind it, of all packets
  std::size_t step_ = 0;     // payload octets per packet
  std::uint32_t count_ = 1;
  std::uint16_t transport_ = 0;  // where the TCP or UDP header starts, or the checksum's range
  std::uint16_t checksum_at_ = 0;
  std::uint64_t ip_sum_ = 0;         // of the IPv4 header fields that all packets share
  std::uint64_t transport_sum_ = 0;  // likewise, with the pseudo header's but for the length
  std::uint8_t protocol_ = 0;
  net::Family family_ = net::Family::v4;
  Kind kind_ = Kind::plain;
};

}  // namespace culvert::ipsec
