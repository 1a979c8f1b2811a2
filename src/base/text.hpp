// Text helpers: what a peer or a user wrote is escaped before it reaches a log or a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace culvert {

/// The text with every octet outside printable ASCII, and the backslash, written as \xNN; cut after `limit` octets with
/// "...". For any string that came from outside (identities, vendor ids, notify data).
[[nodiscard]] std::string escaped(std::string_view text, std::size_t limit = 256);

/// The whole text as a decimal number without sign, spaces or leading plus; nothing otherwise or on overflow.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text);

}  // namespace culvert
