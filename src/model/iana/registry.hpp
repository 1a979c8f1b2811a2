// How every IANA registry header of this folder names its values: one table, from value to printable name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace culvert::model {

template <typename Value>
struct RegistryName {
  Value value;
  std::string_view name;
};

/// The name of `value` in `table`, or "unknown"; numbers without a name are printed by the caller.
template <typename Value, std::size_t size>
[[nodiscard]] constexpr std::string_view find_name(const RegistryName<Value> (&table)[size], Value value) {
  for (const RegistryName<Value>& row : table) {
    if (row.value == value) return row.name;
  }
  return "unknown";
}

/// True when `value` is in `table`.
template <typename Value, std::size_t size>
[[nodiscard]] constexpr bool is_known(const RegistryName<Value> (&table)[size], Value value) {
  for (const RegistryName<Value>& row : table) {
    if (row.value == value) return true;
  }
  return false;
}

}  // namespace culvert::model
