// Result: a value or a typed error; the only way a failure caused by input travels in Culvert (DESIGN section 4).
#pragma once

#include <expected>
#include <utility>

namespace culvert {

template <typename T, typename E>
using Result = std::expected<T, E>;

/// Wraps an error for return from a function that answers a Result: `return err(ParseError::truncated);`
template <typename E>
[[nodiscard]] constexpr auto err(E&& error) {
  return std::unexpected<std::decay_t<E>>(std::forward<E>(error));
}

}  // namespace culvert
