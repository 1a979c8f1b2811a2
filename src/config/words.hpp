// Words: what settings are written in (durations, sizes, secrets) and how they are shown again; and the nearest word to
// a wrong one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"

namespace culvert::config {

/// "30s", "4h", "1h30m", "1d", "500ms", or a plain number of seconds. Units fall from left to right, each once. Nothing
/// on other text and beyond 100 years.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
/// The shortest form that parse_duration reads: "1h30m"; "0s".
[[nodiscard]] std::string duration_text(Duration duration);

/// "10GB" (powers of 1000), "10GiB" (powers of 1024), "4096": octets. B, K, M, G, T with or without B; nothing on other
/// text or overflow.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// The octets of a pre-shared key: hexadecimal after "0x", base64 after "0s", else the text itself. The error is a
/// sentence without any of the text in it.
[[nodiscard]] Result<SecretBytes, std::string> parse_secret(std::string_view text);

/// Standard base64 with padding (RFC 4648 4).
[[nodiscard]] std::string to_base64(ByteView bytes);
/// Padding may be left out; nothing on other characters or a length that cannot be.
[[nodiscard]] std::optional<Bytes> from_base64(std::string_view text);

/// The candidate that differs from `word` in the fewest letters, if it is near enough to be what was meant.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> candidates);

/// `"text"`, escaped and cut for a message.
[[nodiscard]] std::string in_quotes(std::string_view text);
/// "a, b or c".
[[nodiscard]] std::string one_of(std::span<const std::string_view> words);

/// An address that a host can have, or a DNS name: where peers can be sent.
[[nodiscard]] bool is_gateway(std::string_view text);

}  // namespace culvert::config
