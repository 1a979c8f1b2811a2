#include "net/address.hpp"

#include <algorithm>

#include <arpa/inet.h>

#include "base/check.hpp"
#include "base/text.hpp"

namespace culvert::net {
namespace {

constexpr std::size_t kMaxAddressText = 46;  // INET6_ADDRSTRLEN, terminator included

/// The address with the bits behind `length` set to `bit`.
IpAddress with_host_bits(const IpAddress& address, unsigned length, bool bit) {
  std::array<std::uint8_t, 16> octets{};
  std::ranges::copy(address.bytes(), octets.begin());
  for (std::size_t i = 0; i < address.size(); ++i) {
    const unsigned kept = std::clamp<int>(static_cast<int>(length) - static_cast<int>(8 * i), 0, 8);
    const auto host = static_cast<std::uint8_t>(0xffu >> kept);
    octets[i] = static_cast<std::uint8_t>(bit ? octets[i] | host : octets[i] & ~host);
  }
  return IpAddress::load(address.family(), octets.data());
}

/// How many bits at the end of the address are zero.
unsigned trailing_zero_bits(const IpAddress& address) {
  unsigned count = 0;
  const ByteView octets = address.bytes();
  for (std::size_t i = octets.size(); i-- > 0;) {
    if (octets[i] != 0) return count + static_cast<unsigned>(__builtin_ctz(octets[i]));
    count += 8;
  }
  return count;
}

std::optional<unsigned> parse_small_number(std::string_view text, std::uint64_t limit) {
  if (text.size() > 5 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  const auto value = parse_decimal(text);
  if (!value || *value > limit) return std::nullopt;
  return static_cast<unsigned>(*value);
}

}  // namespace

std::optional<IpAddress> IpAddress::from_bytes(ByteView octets) {
  if (octets.size() == 4) return load(Family::v4, octets.data());
  if (octets.size() == 16) return load(Family::v6, octets.data());
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton wants a terminated string and would stop at an embedded NUL.
  std::array<char, kMaxAddressText> buffer{};
  if (text.empty() || text.size() >= buffer.size() || text.find('\0') != text.npos) return std::nullopt;
  std::ranges::copy(text, buffer.begin());
  const Family family = text.find(':') == text.npos ? Family::v4 : Family::v6;
  std::array<std::uint8_t, 16> octets{};
  if (inet_pton(family == Family::v4 ? AF_INET : AF_INET6, buffer.data(), octets.data()) != 1) return std::nullopt;
  return load(family, octets.data());
}

IpAddress IpAddress::any(Family family) {
  IpAddress address;
  address.family_ = family;
  return address;
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](std::uint8_t octet) { return octet == 0; });
}

bool IpAddress::is_multicast() const { return is_v4() ? (octets_[0] & 0xf0) == 0xe0 : octets_[0] == 0xff; }

bool IpAddress::is_loopback() const {
  if (is_v4()) return octets_[0] == 127;
  return octets_[15] == 1 &&
         std::all_of(octets_.begin(), octets_.end() - 1, [](std::uint8_t octet) { return octet == 0; });
}

std::optional<IpAddress> IpAddress::next() const {
  IpAddress result = *this;
  for (std::size_t i = size(); i-- > 0;) {
    if (++result.octets_[i] != 0) return result;
  }
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::previous() const {
  IpAddress result = *this;
  for (std::size_t i = size(); i-- > 0;) {
    if (result.octets_[i]-- != 0) return result;
  }
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  std::array<char, kMaxAddressText> buffer{};
  CHECK(inet_ntop(is_v4() ? AF_INET : AF_INET6, octets_.data(), buffer.data(), buffer.size()) != nullptr);
  return buffer.data();
}

std::optional<Prefix> Prefix::make(const IpAddress& address, unsigned length) {
  if (length > address.bits()) return std::nullopt;
  return Prefix{with_host_bits(address, length, false), static_cast<std::uint8_t>(length)};
}

std::optional<Prefix> Prefix::parse(std::string_view text, bool allow_host_bits) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == text.npos) return make(*address, address->bits());
  const auto length = parse_small_number(text.substr(slash + 1), address->bits());
  if (!length) return std::nullopt;
  const auto prefix = make(*address, *length);
  if (prefix && !allow_host_bits && prefix->address != *address) return std::nullopt;
  return prefix;
}

bool Prefix::contains(const IpAddress& other) const {
  return other.family() == address.family() && with_host_bits(other, length, false) == address;
}

IpAddress Prefix::last() const { return with_host_bits(address, length, true); }

std::string Prefix::to_string() const { return address.to_string() + "/" + std::to_string(length); }

AddressRange AddressRange::all(Family family) { return of(Prefix{IpAddress::any(family), 0}); }

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == text.npos) {
    const auto prefix = Prefix::parse(text);
    if (!prefix) return std::nullopt;
    return of(*prefix);
  }
  const auto first = IpAddress::parse(text.substr(0, dash));
  const auto last = IpAddress::parse(text.substr(dash + 1));
  if (!first || !last || first->family() != last->family() || *last < *first) return std::nullopt;
  return AddressRange{*first, *last};
}

std::optional<AddressRange> AddressRange::intersection(const AddressRange& other) const {
  if (!overlaps(other)) return std::nullopt;
  return AddressRange{std::max(first, other.first), std::min(last, other.last)};
}

std::optional<Prefix> AddressRange::as_prefix() const {
  // The ends of a prefix share its leading bits; behind them stand only zeros in the first and only ones in the last.
  unsigned length = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const unsigned difference = first.bytes()[i] ^ last.bytes()[i];
    if (difference != 0) {
      length += static_cast<unsigned>(__builtin_clz(difference)) - 24;
      break;
    }
    length += 8;
  }
  const auto prefix = Prefix::make(first, length);
  if (!prefix || prefix->address != first || prefix->last() != last) return std::nullopt;
  return prefix;
}

std::vector<Prefix> AddressRange::prefixes() const {
  std::vector<Prefix> result;
  IpAddress at = first;
  for (;;) {
    // The largest prefix that starts here and does not pass the end.
    unsigned length = at.bits() - std::min(trailing_zero_bits(at), at.bits());
    while (with_host_bits(at, length, true) > last) ++length;
    const Prefix prefix{at, static_cast<std::uint8_t>(length)};
    result.push_back(prefix);
    if (prefix.last() >= last) return result;
    at = *prefix.last().next();
  }
}

std::string AddressRange::to_string() const {
  if (first == last) return first.to_string();
  if (const auto prefix = as_prefix()) return prefix->to_string();
  return first.to_string() + "-" + last.to_string();
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  const auto port = parse_small_number(text.substr(colon + 1), 0xffff);
  if (!address || !port || bracketed == address->is_v4()) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::to_string() const {
  const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
  return host + ":" + std::to_string(port);
}

}  // namespace culvert::net
