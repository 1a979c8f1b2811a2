// OptionalId: a StrongId that may be absent, for records of which there are very many.
#pragma once

#include <optional>

namespace culvert {

/// An id that may be absent, in no more room than an id; of those that count from 1.
template <typename Id>
class OptionalId {
 public:
  constexpr OptionalId() = default;
  constexpr OptionalId(std::nullopt_t /*unused*/) {}
  constexpr OptionalId(Id id) : id_(id) {}
  constexpr OptionalId(std::optional<Id> id) : id_(id.value_or(Id())) {}
  [[nodiscard]] constexpr bool has_value() const { return id_ != Id(); }
  [[nodiscard]] constexpr explicit operator bool() const { return has_value(); }
  [[nodiscard]] constexpr Id operator*() const { return id_; }
  constexpr operator std::optional<Id>() const { return has_value() ? std::optional(id_) : std::nullopt; }
  constexpr void reset() { id_ = Id(); }
  friend constexpr bool operator==(OptionalId, OptionalId) = default;
  /// Absent is no id's equal.
  friend constexpr bool operator==(OptionalId a, Id b) { return a.has_value() && a.id_ == b; }

 private:
  Id id_{};
};

}  // namespace culvert
