// IdMap: a map by ids that are numbers, with entries that stay where they are; for maps in which a gateway has an entry
// for each SA. It has no order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/flat_table.hpp"

namespace culvert {

/// As std::map where it is used so; to go through all of it there are `ids`. `Id` is a StrongId.
template <typename Id, typename Value>
class IdMap {
 public:
  using Entry = std::pair<const Id, Value>;
  using iterator = Entry*;  // null: the end
  using const_iterator = const Entry*;

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] iterator end() { return nullptr; }
  [[nodiscard]] const_iterator end() const { return nullptr; }
  [[nodiscard]] iterator find(Id id) {
    const std::unique_ptr<Entry>* const found = entries_.find(id.value());
    return found == nullptr ? nullptr : found->get();
  }
  [[nodiscard]] const_iterator find(Id id) const {
    const std::unique_ptr<Entry>* const found = entries_.find(id.value());
    return found == nullptr ? nullptr : found->get();
  }
  [[nodiscard]] bool contains(Id id) const { return find(id) != nullptr; }
  [[nodiscard]] Value& at(Id id) {
    const iterator found = find(id);
    CHECK(found != nullptr);
    return found->second;
  }
  [[nodiscard]] const Value& at(Id id) const {
    const const_iterator found = find(id);
    CHECK(found != nullptr);
    return found->second;
  }
  /// All of them, the lowest first.
  [[nodiscard]] std::vector<Id> ids() const {
    std::vector<Id> all;
    all.reserve(size());
    entries_.for_each([&](const std::unique_ptr<Entry>& entry) { all.push_back(entry->first); });
    std::ranges::sort(all);
    return all;
  }

  Value& insert_or_assign(Id id, Value value) {
    if (const iterator found = find(id)) return found->second = std::move(value);
    return entries_.insert(std::make_unique<Entry>(id, std::move(value)))->second;
  }
  std::size_t erase(Id id) {
    std::unique_ptr<Entry>* const found = entries_.find(id.value());
    if (found == nullptr) return 0;
    (void)entries_.erase(found);
    return 1;
  }
  void erase(const_iterator entry) { (void)erase(Id(entry->first)); }

 private:
  struct KeyOf {
    std::uint64_t operator()(const std::unique_ptr<Entry>& entry) const { return entry->first.value(); }
  };
  FlatTable<std::unique_ptr<Entry>, KeyOf> entries_;
};

}  // namespace culvert
