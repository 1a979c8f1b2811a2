// IP addresses, prefixes, ranges and endpoints: plain ordered values, IPv4 and IPv6 alike.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace culvert::net {

enum class Family : std::uint8_t { v4, v6 };

/// An IPv4 or IPv6 address. Ordered by family, then as an unsigned number. Default: 0.0.0.0.
class IpAddress {
 public:
  constexpr IpAddress() = default;
  [[nodiscard]] static constexpr IpAddress v4(std::array<std::uint8_t, 4> octets) {
    IpAddress address;
    for (std::size_t i = 0; i < octets.size(); ++i) address.octets_[i] = octets[i];
    return address;
  }
  [[nodiscard]] static constexpr IpAddress v6(std::array<std::uint8_t, 16> octets) {
    IpAddress address;
    address.family_ = Family::v6;
    address.octets_ = octets;
    return address;
  }
  /// From memory that is known to hold 4 or 16 octets in network order: for packet headers whose length was checked
  /// before.
  [[nodiscard]] static IpAddress load(Family family, const std::uint8_t* octets) {
    IpAddress address;
    address.family_ = family;
    if (family == Family::v4) {
      __builtin_memcpy(address.octets_.data(), octets, 4);
    } else {
      __builtin_memcpy(address.octets_.data(), octets, 16);
    }
    return address;
  }
  /// From 4 or 16 octets in network order; nothing for any other length.
  [[nodiscard]] static std::optional<IpAddress> from_bytes(ByteView octets);
  /// From text, "192.0.2.1" or "2001:db8::1" (no zone, no brackets, no prefix length).
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  /// All zeros, "any address" of the family.
  [[nodiscard]] static IpAddress any(Family family);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == Family::v4; }
  /// 4 or 16 octets in network order.
  [[nodiscard]] ByteView bytes() const { return {octets_.data(), size()}; }
  [[nodiscard]] std::size_t size() const { return is_v4() ? 4 : 16; }
  [[nodiscard]] unsigned bits() const { return is_v4() ? 32 : 128; }
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_multicast() const;
  [[nodiscard]] bool is_loopback() const;
  /// The address one higher or lower; nothing at the end of the family's range.
  [[nodiscard]] std::optional<IpAddress> next() const;
  [[nodiscard]] std::optional<IpAddress> previous() const;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::v4;
  std::array<std::uint8_t, 16> octets_{};  // IPv4 uses the first four, the others stay zero
};

/// An address and how many of its leading bits count. The bits after them are zero (`parse` and `make` clear them).
struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;

  /// Clears the host bits; nothing when `length` exceeds the family's bits.
  [[nodiscard]] static std::optional<Prefix> make(const IpAddress& address, unsigned length);
  /// "10.0.0.0/8", "2001:db8::/32", or a bare address (its full length). Host bits must be zero unless
  /// `allow_host_bits`.
  [[nodiscard]] static std::optional<Prefix> parse(std::string_view text, bool allow_host_bits = false);
  [[nodiscard]] bool contains(const IpAddress& other) const;
  [[nodiscard]] IpAddress first() const { return address; }
  [[nodiscard]] IpAddress last() const;
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

/// All addresses from `first` to `last`, both included, of one family.
struct AddressRange {
  IpAddress first;
  IpAddress last;

  [[nodiscard]] static AddressRange of(const Prefix& prefix) { return {prefix.first(), prefix.last()}; }
  [[nodiscard]] static AddressRange of(const IpAddress& address) { return {address, address}; }
  [[nodiscard]] static AddressRange all(Family family);
  /// A prefix, an address, or "first-last"; nothing when the ends are of two families or reversed.
  [[nodiscard]] static std::optional<AddressRange> parse(std::string_view text);
  [[nodiscard]] Family family() const { return first.family(); }
  [[nodiscard]] bool contains(const IpAddress& address) const { return first <= address && address <= last; }
  [[nodiscard]] bool contains(const AddressRange& other) const { return first <= other.first && other.last <= last; }
  [[nodiscard]] bool overlaps(const AddressRange& other) const { return first <= other.last && other.first <= last; }
  [[nodiscard]] std::optional<AddressRange> intersection(const AddressRange& other) const;
  /// The prefix that covers exactly this range, if there is one.
  [[nodiscard]] std::optional<Prefix> as_prefix() const;
  /// The shortest list of prefixes that covers exactly this range, in order.
  [[nodiscard]] std::vector<Prefix> prefixes() const;
  /// A prefix or an address where the range is one, else "first-last".
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const AddressRange&, const AddressRange&) = default;
};

/// What carries messages between two endpoints: a datagram each, or frames in a stream (RFC 9329).
enum class Transport : std::uint8_t { udp, tcp };

/// An address and a port of UDP, or of TCP.
struct Endpoint {
  constexpr Endpoint() = default;
  constexpr Endpoint(const IpAddress& host, std::uint16_t number = 0, Transport by = Transport::udp)
      : address(host), transport(by), port(number) {}

  IpAddress address;
  Transport transport = Transport::udp;  // where there would be padding
  std::uint16_t port = 0;

  /// "192.0.2.1:500" or "[2001:db8::1]:500", over UDP; the text does not say the transport.
  [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// The two ends of a path as this host sees them; both have the same transport.
///
/// Over TCP a path names one stream. For who opened it `local` has the port that it was opened from first, and names
/// the stream for as long as it is wanted, whatever port it is opened from again; for who accepted it the path is the
/// connection's own.
struct Path {
  Endpoint local;
  Endpoint remote;

  [[nodiscard]] constexpr bool over_tcp() const { return remote.transport == Transport::tcp; }
  friend auto operator<=>(const Path&, const Path&) = default;
};

static_assert(sizeof(Endpoint) == 20 && sizeof(Path) == 40);  // SAs are laid out around them

}  // namespace culvert::net
