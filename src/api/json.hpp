// The JSON form of the schema: member names are the keys, enumerators are their names, an absent optional is left out.
#pragma once

#include <string>
#include <string_view>

#include "api/schema.hpp"
#include "base/result.hpp"

namespace culvert::api {

/// `indent` negative: one line. Octets that are not UTF-8 become U+FFFD. For every struct of schema.hpp.
template <typename T>
[[nodiscard]] std::string to_json_text(const T& value, int indent = -1);

/// From any text. The error is a sentence that names the member at fault: "time: a number is needed".
template <typename T>
[[nodiscard]] Result<T, std::string> from_json_text(std::string_view text);

}  // namespace culvert::api
