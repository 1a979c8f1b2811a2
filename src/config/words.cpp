#include "config/words.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <numeric>
#include <vector>

#include "base/text.hpp"
#include "net/address.hpp"

namespace culvert::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
constexpr std::array<Unit, 5> kUnits = {{{"d", 86'400'000'000'000},
                                         {"h", 3'600'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"s", 1'000'000'000},
                                         {"ms", 1'000'000}}};
constexpr std::int64_t kLongest = 100LL * 365 * 86'400'000'000'000;

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::size_t span_of(std::string_view text, int (*predicate)(int)) {
  std::size_t count = 0;
  while (count < text.size() && predicate(static_cast<unsigned char>(text[count])) != 0) ++count;
  return count;
}

/// Levenshtein's distance, a swap of neighbours counted as one step.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  std::iota(cost[0].begin(), cost[0].end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    const std::size_t digits = span_of(text, std::isdigit);
    const auto number = parse_decimal(text.substr(0, digits));
    text.remove_prefix(digits);
    if (!number || *number > static_cast<std::uint64_t>(kLongest)) return std::nullopt;
    std::string_view name = text.substr(0, span_of(text, std::isalpha));
    text.remove_prefix(name.size());
    if (name.empty()) {  // a bare number stands alone
      if (!text.empty() || next_unit != 0) return std::nullopt;
      name = "s";
    }
    std::size_t unit = next_unit;
    while (unit < kUnits.size() && kUnits[unit].name != name) ++unit;
    if (unit == kUnits.size()) return std::nullopt;
    next_unit = unit + 1;
    std::int64_t part = 0;
    if (__builtin_mul_overflow(static_cast<std::int64_t>(*number), kUnits[unit].nanoseconds, &part))
      return std::nullopt;
    if (__builtin_add_overflow(total, part, &total) || total > kLongest) return std::nullopt;
  }
  return Duration(total);
}

std::string duration_text(Duration duration) {
  std::int64_t rest = std::max<std::int64_t>(duration.count(), 0);
  std::string out;
  for (const Unit& unit : kUnits) {
    if (rest >= unit.nanoseconds) out += std::to_string(rest / unit.nanoseconds) + std::string(unit.name);
    rest %= unit.nanoseconds;
  }
  return out.empty() ? "0s" : out;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const std::size_t digits = span_of(text, std::isdigit);
  const auto number = parse_decimal(text.substr(0, digits));
  std::string_view unit = text.substr(digits);
  if (!number) return std::nullopt;
  if (unit.empty() || unit == "B") return number;
  constexpr std::string_view kPrefixes = "KMGT";
  const char letter = unit.front() == 'k' ? 'K' : unit.front();
  const std::size_t power = kPrefixes.find(letter);
  if (power == std::string_view::npos) return std::nullopt;
  unit.remove_prefix(1);
  const bool binary = unit == "iB" || unit == "i";
  if (!binary && unit != "B" && !unit.empty()) return std::nullopt;
  std::uint64_t value = *number;
  for (std::size_t i = 0; i <= power; ++i) {
    if (__builtin_mul_overflow(value, binary ? 1024ULL : 1000ULL, &value)) return std::nullopt;
  }
  return value;
}

Result<SecretBytes, std::string> parse_secret(std::string_view text) {
  if (text.empty()) return err(std::string("the secret is empty"));
  if (!text.starts_with("0x") && !text.starts_with("0s")) return SecretBytes::copy_of(as_bytes(text));
  const bool hex = text.starts_with("0x");
  std::optional<Bytes> octets = hex ? from_hex(text.substr(2)) : from_base64(text.substr(2));
  if (!octets) {
    return err(std::string(hex ? "what follows 0x is not an even number of hexadecimal digits"
                               : "what follows 0s is not base64"));
  }
  if (octets->empty()) return err(std::string("the secret is empty"));
  SecretBytes secret = SecretBytes::copy_of(*octets);
  wipe(*octets);
  return secret;
}

std::string to_base64(ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < count ? bytes[at + i] : 0u);
    for (std::size_t i = 0; i < 4; ++i) out.push_back(i <= count ? kBase64[group >> (18 - 6 * i) & 63] : '=');
  }
  return out;
}

std::optional<Bytes> from_base64(std::string_view text) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  Bytes out;
  out.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const std::size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<std::uint8_t>(bits >> held));
    }
  }
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;  // RFC 4648 3.5: the unused bits are zero
  return out;
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > 64) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string_view candidate : candidates) {
    const std::size_t allowed = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    const std::size_t found = distance(word, candidate);
    if (found <= allowed && found < best_distance) {
      best = candidate;
      best_distance = found;
    }
  }
  return best;
}

std::string in_quotes(std::string_view text) { return '"' + escaped(text, 60) + '"'; }

std::string one_of(std::span<const std::string_view> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

bool is_gateway(std::string_view text) {
  constexpr std::size_t kLongestName = 253;
  if (const auto address = net::IpAddress::parse(text)) return !address->is_unspecified() && !address->is_multicast();
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
  };
  // A letter: "300.1.2.3" is a mistyped address, not a name.
  return text.size() <= kLongestName && std::ranges::any_of(text, is_letter) && text.front() != '.' &&
         text.front() != '-' && std::ranges::all_of(text, allowed);
}

}  // namespace culvert::config
