#include "model/security_label.hpp"

#include <algorithm>

namespace culvert::model {

std::optional<SecurityLabel> SecurityLabel::parse(std::string_view text) {
  SecurityLabel label;
  if (text.starts_with("0x")) {
    auto octets = from_hex(text.substr(2));
    if (!octets) return std::nullopt;
    label.octets = std::move(*octets);
  } else {
    label.octets = to_bytes(as_bytes(text));
  }
  if (label.octets.empty() || label.octets.size() > kLongest) return std::nullopt;
  return label;
}

std::string SecurityLabel::to_string() const {
  const bool printable = std::ranges::all_of(octets, [](std::uint8_t octet) { return octet >= 0x20 && octet < 0x7f; });
  const std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
  return printable && !text.starts_with("0x") ? std::string(text) : "0x" + to_hex(octets);
}

}  // namespace culvert::model
