// Text for people: units, wrapping, columns and colours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::cli {

inline constexpr std::size_t kWidth = 80;

enum class Color : std::uint8_t { none, bold, dim, green, yellow, red };
/// The text in the colour when `enabled`.
[[nodiscard]] std::string colored(std::string_view text, Color color, bool enabled);

/// "3d4h", "1h2m", "2m3s", "45s": the two largest units.
[[nodiscard]] std::string duration_text(std::uint64_t seconds);
/// "999 B", "1.5 kB", "12 MB": powers of 1000, at most three digits.
[[nodiscard]] std::string size_text(std::uint64_t bytes);
/// "1,234,567".
[[nodiscard]] std::string count_text(std::uint64_t count);
/// "3 tunnels", "1 tunnel".
[[nodiscard]] std::string plural(std::uint64_t count, std::string_view noun);

/// The words of `text` in lines of at most `kWidth` columns where the words allow it, each after `indent` blanks and
/// with a line end.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indent);
/// "a, b, c", or "a, b and 7 more" when there are more than `most`.
[[nodiscard]] std::string joined(const std::vector<std::string>& parts, std::size_t most = 1000);
/// The rows with their columns aligned by blanks, two between columns, none at the end; each row ends a line.
[[nodiscard]] std::string columns(const std::vector<std::vector<std::string>>& rows);

/// "2026-11-21 13:05:09.123" in the local time zone.
[[nodiscard]] std::string time_text(std::int64_t milliseconds);

}  // namespace culvert::cli
