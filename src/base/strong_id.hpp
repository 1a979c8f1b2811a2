// StrongId: a number with a type of its own, so that an SPI is never taken for a message id.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>

namespace culvert {

/// Wraps `Rep` under a tag type. Host byte order inside; only codecs turn it into octets.
template <typename Tag, typename Rep>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;

 private:
  Rep value_{};
};

}  // namespace culvert

template <typename Tag, typename Rep>
struct std::hash<culvert::StrongId<Tag, Rep>> {
  std::size_t operator()(culvert::StrongId<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
