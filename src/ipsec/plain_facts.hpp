// PlainFacts: what the way into ESP wants to know of a plain packet besides its flow, in one word: what is stored in
// pieces and read as a whole waits for the pieces.
#pragma once

#include <cstdint>

#include "net/header_writer.hpp"
#include "net/plain_packet.hpp"

namespace culvert::ipsec {

class PlainFacts {
 public:
  /// How a packet stands to the one in front of it.
  enum class Kind : std::uint8_t {
    other,    // not plain
    fresh,    // plain
    repeats,  // plain, and of the same flow as a plain one in front
    twin      // as well, and like it in all that these facts say
  };

  PlainFacts() = default;
  /// Of a fresh packet. `special`: its Offload asks for something.
  PlainFacts(const net::PlainPacket& plain, bool special)
      : word_(plain.total_length | (plain.syn ? kSyn : 0) | (special ? kSpecial : 0) |
              std::uint64_t{plain.tos()} << kTosShift | (plain.dont_fragment() ? kDontFragment : 0) |
              static_cast<std::uint64_t>(plain.family()) << kOuterShift |
              ((static_cast<std::uint64_t>(plain.family()) << 2) | ((0 - plain.total_length - 2) & 3))
                  << kTrailerShift |
              static_cast<std::uint64_t>(Kind::fresh) << kKindShift) {}
  [[nodiscard, gnu::always_inline]] PlainFacts as(Kind kind) const {
    PlainFacts facts;
    facts.word_ = (word_ & ~(std::uint64_t{0xff} << kKindShift)) | static_cast<std::uint64_t>(kind) << kKindShift;
    return facts;
  }

  friend bool operator==(const PlainFacts&, const PlainFacts&) = default;

  [[nodiscard]] Kind kind() const { return static_cast<Kind>(word_ >> kKindShift); }
  [[nodiscard]] std::uint32_t length() const { return marked_length() & ~kMarks; }
  /// The length, and far more for a packet that needs a look at itself: one with the SYN bit, and one whose Offload
  /// asks for something.
  [[nodiscard]] std::uint32_t marked_length() const { return static_cast<std::uint32_t>(word_); }
  [[nodiscard]] bool syn() const { return (word_ & kSyn) != 0; }
  /// All that an outer header may take from the packet.
  [[nodiscard]] std::uint16_t outer() const { return static_cast<std::uint16_t>(word_ >> kOuterShift); }
  [[nodiscard]] net::Family family() const { return static_cast<net::Family>(word_ >> kOuterShift & 1); }
  [[nodiscard]] bool dont_fragment() const { return (word_ & kDontFragment) != 0; }
  [[nodiscard]] std::uint8_t tos() const { return static_cast<std::uint8_t>(word_ >> kTosShift); }
  /// The trailer that the packet gets where padding goes up to four octets, and zeros behind it: as it lies in memory.
  [[nodiscard, gnu::always_inline]] std::uint64_t trailer() const {
    std::uint64_t octets = 0;
    __builtin_memcpy(&octets, kTrailers[static_cast<std::uint8_t>(word_ >> kTrailerShift)], sizeof octets);
    return octets;
  }

 private:
  static constexpr std::uint32_t kSyn = 1U << 31;
  static constexpr std::uint32_t kSpecial = 1U << 30;
  static constexpr std::uint32_t kMarks = kSyn | kSpecial;
  static constexpr unsigned kOuterShift = 32;  // the family, DF and TOS
  static constexpr std::uint64_t kDontFragment = std::uint64_t{2} << kOuterShift;
  static constexpr unsigned kTosShift = kOuterShift + 2;
  static constexpr unsigned kTrailerShift = 48;  // which of the eight: the family, then how much padding there is
  // RFC 4303 2.4: padding octets count 1, 2, 3; behind them their number, then the next header.
  static constexpr std::uint8_t kTrailers[8][8] = {
      {0, 4},  {1, 1, 4},  {1, 2, 2, 4},  {1, 2, 3, 3, 4},  // IPv4
      {0, 41}, {1, 1, 41}, {1, 2, 2, 41}, {1, 2, 3, 3, 41},
  };
  static_assert(static_cast<unsigned>(net::IpProtocol::ipv4) == 4 &&
                static_cast<unsigned>(net::IpProtocol::ipv6) == 41);
  static constexpr unsigned kKindShift = 56;

  std::uint64_t word_ = 0;
};

}  // namespace culvert::ipsec
