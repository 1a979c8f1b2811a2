#include "cli/text.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>

namespace culvert::cli {

std::string colored(std::string_view text, Color color, bool enabled) {
  if (!enabled || color == Color::none) return std::string(text);
  constexpr std::array<int, 6> kCodes = {0, 1, 2, 32, 33, 31};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<std::size_t>(color)], text);
}

std::string duration_text(std::uint64_t seconds) {
  struct Unit {
    char name;
    std::uint64_t seconds;
  };
  constexpr std::array<Unit, 4> kUnits = {{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}}};
  for (std::size_t i = 0; i + 1 < kUnits.size(); ++i) {
    if (seconds < kUnits[i].seconds) continue;
    const std::uint64_t rest = seconds % kUnits[i].seconds / kUnits[i + 1].seconds;
    const std::string first = fmt::format("{}{}", seconds / kUnits[i].seconds, kUnits[i].name);
    return rest == 0 ? first : fmt::format("{}{}{}", first, rest, kUnits[i + 1].name);
  }
  return fmt::format("{}s", seconds);
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  constexpr std::string_view kUnits = "kMGTPE";
  for (value /= 1000; value >= 999.5 && unit + 1 < kUnits.size(); value /= 1000) ++unit;
  return value < 9.95 ? fmt::format("{:.1f} {}B", value, kUnits[unit]) : fmt::format("{:.0f} {}B", value, kUnits[unit]);
}

std::string count_text(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) out += std::string(indent, ' ') + line + '\n';
    line.clear();
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    if (!line.empty() && indent + line.size() + 1 + word.size() > kWidth) flush();
    if (!word.empty()) line += (line.empty() ? "" : " ") + std::string(word);
    if (end < text.size() && text[end] == '\n') flush();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  flush();
  return out;
}

std::string joined(const std::vector<std::string>& parts, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(parts.size(), most); ++i) out += (i == 0 ? "" : ", ") + parts[i];
  if (parts.size() > most) out += fmt::format(" and {} more", parts.size() - most);
  return out;
}

std::string columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    if (widths.size() < row.size()) widths.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += fmt::format("{:<{}}", row[i], i + 1 < row.size() ? widths[i] + 2 : 0);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

std::string time_text(std::int64_t milliseconds) {
  std::int64_t seconds = milliseconds / 1000;
  std::int64_t rest = milliseconds % 1000;
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  const std::time_t time = seconds;
  std::tm parts{};
  if (::localtime_r(&time, &parts) == nullptr) return std::to_string(milliseconds);
  std::array<char, 64> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return fmt::format("{}.{:03}", std::string_view(text.data(), size), rest);
}

}  // namespace culvert::cli
