// Distinguished names (X.501 Name) as identities of IKE: written by users, shown in logs, compared (RFC 5280 4.1.2.4,
// 7.1; RFC 4945 3.1.5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace culvert::model {

/// The Name in DER of "C=CH, O=Example, CN=gw.example.net", in the order written, one attribute for each part; a
/// backslash takes the next character as it is. Nothing for an unknown attribute, an empty value or name.
[[nodiscard]] std::optional<Bytes> parse_distinguished_name(std::string_view text);

/// The same form, with what is not printable ASCII escaped; parts of several attributes joined by " + ". For octets
/// that are no Name: "malformed name 0x...".
[[nodiscard]] std::string distinguished_name_text(ByteView der);

/// Equal for names that are the same by RFC 5280 7.1, as far as ASCII goes: the kind of string, the case of letters and
/// the number of blanks do not matter. Octets that are no Name stand for themselves.
[[nodiscard]] Bytes comparable_name(ByteView der);

}  // namespace culvert::model
