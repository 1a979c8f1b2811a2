// Reassembler: puts fragments of either family together where an SA needs whole packets: transport mode protects no
// fragments (RFC 4303 3.3.4, RFC 4302 3.3.4). Bounded in packets, fragments, octets and time; an overlap ends the whole
// packet (RFC 5722).
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "ipsec/fragment.hpp"
#include "ipsec/fragment_ranges.hpp"
#include "ipsec/fragment_tracker.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

struct ReassemblyBounds {
  std::size_t packets = 64;    // incomplete at a time; the oldest gives way
  std::size_t fragments = 64;  // of one packet
  std::size_t bytes = std::size_t{1024} * 1024;
  Duration age = std::chrono::seconds(30);
};

enum class ReassemblyError : std::uint8_t {
  overlap,  // the fragment overlaps, or its packet was refused for that before
  limit,    // no room, or the packet would be longer than packets can be
  ecn       // RFC 3168 5.3: some fragments are marked CE, others not capable of it
};

class Reassembler {
 public:
  explicit Reassembler(const ReassemblyBounds& bounds) : bounds_(bounds) {}

  /// Takes one fragment (`fields` were read from it). The whole packet when it was the last that was missing, nothing
  /// when others are. An exact duplicate is taken and forgotten.
  [[nodiscard]] Result<std::optional<Bytes>, ReassemblyError> add(ByteView packet, const net::PacketInfo& info,
                                                                  const FragmentFields& fields, Instant now);
  /// Forgets what is too old; the fragments thrown away, those that had to give way since the last call included.
  std::size_t expire(Instant now);
  [[nodiscard]] std::optional<Instant> next_expiry() const;
  [[nodiscard]] std::size_t packets() const { return partial_.size(); }
  /// Octets held, with a charge for each fragment.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Piece {
    std::uint16_t offset = 0;
    Bytes bytes;
  };
  struct Partial {
    FragmentKey key;
    Instant since;
    FragmentRanges ranges;
    std::vector<Piece> pieces;  // by offset
    Bytes header;               // of the first fragment
    FragmentFields first;
    std::uint8_t ecn_seen = 0;  // one bit for each codepoint
    bool refused = false;
  };
  using Position = std::list<Partial>::iterator;

  [[nodiscard]] Position find_or_make(const FragmentKey& key, Instant now);
  [[nodiscard]] static bool says_the_same(const Partial& partial, ByteView payload, const FragmentFields& fields);
  void keep(Partial& partial, ByteView packet, const FragmentFields& fields);
  [[nodiscard]] Result<std::optional<Bytes>, ReassemblyError> finish(Position partial);
  [[nodiscard]] ReassemblyError refuse(Partial& partial, ReassemblyError error);
  void forget(Position partial);
  void release(Partial& partial);

  ReassemblyBounds bounds_;
  std::list<Partial> partial_;  // oldest first
  std::size_t bytes_ = 0;
  std::size_t lost_ = 0;
};

}  // namespace culvert::ipsec
