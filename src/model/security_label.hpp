// SecurityLabel: what a system of mandatory access control calls traffic by; to IKE and ESP a string of octets without
// meaning, the same or not (RFC 9478 2.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace culvert::model {

struct SecurityLabel {
  Bytes octets;  // one at least

  /// No label that is configured is longer.
  static constexpr std::size_t kLongest = 1024;

  /// "0x" and hexadecimal digits, or the text itself. Nothing when it has no octets, or too many, or is no hexadecimal
  /// number where it begins like one.
  [[nodiscard]] static std::optional<SecurityLabel> parse(std::string_view text);
  /// As `parse` takes it: the text where all of it is printable ASCII, else digits. Safe to print.
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const SecurityLabel&, const SecurityLabel&) = default;
};

}  // namespace culvert::model
