#include "base/text.hpp"

#include <charconv>

namespace culvert {

std::string escaped(std::string_view text, std::size_t limit) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  const std::string_view shown = text.substr(0, limit);
  for (const char c : shown) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0x20 && octet < 0x7f && c != '\\') {
      out.push_back(c);
    } else {
      out += "\\x";
      out.push_back(kDigits[octet >> 4]);
      out.push_back(kDigits[octet & 15]);
    }
  }
  if (shown.size() < text.size()) out += "...";
  return out;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace culvert
