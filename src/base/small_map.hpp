// SmallMap: a map of few entries in one block of memory, and none while it is empty. For records of which there are
// very many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace culvert {

/// As std::map, sorted; but each change moves the entries, and its costs grow with their number. `Value` is movable.
template <typename Key, typename Value>
class SmallMap {
 public:
  using Entry = std::pair<Key, Value>;
  using iterator = typename std::vector<Entry>::iterator;
  using const_iterator = typename std::vector<Entry>::const_iterator;

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] iterator begin() { return entries_.begin(); }
  [[nodiscard]] iterator end() { return entries_.end(); }
  [[nodiscard]] const_iterator begin() const { return entries_.begin(); }
  [[nodiscard]] const_iterator end() const { return entries_.end(); }
  [[nodiscard]] auto rbegin() const { return entries_.rbegin(); }
  [[nodiscard]] auto rend() const { return entries_.rend(); }
  [[nodiscard]] iterator find(const Key& key) {
    const auto at = place_of(key);
    return at != entries_.end() && at->first == key ? at : entries_.end();
  }
  [[nodiscard]] const_iterator find(const Key& key) const {
    const auto at = place_of(key);
    return at != entries_.end() && at->first == key ? at : entries_.end();
  }
  [[nodiscard]] bool contains(const Key& key) const { return find(key) != end(); }
  [[nodiscard]] Value& at(const Key& key) {
    const auto found = find(key);
    CHECK(found != end());
    return found->second;
  }
  [[nodiscard]] const Value& at(const Key& key) const {
    const auto found = find(key);
    CHECK(found != end());
    return found->second;
  }

  /// What is there already stays.
  template <typename... Arguments>
  std::pair<iterator, bool> try_emplace(const Key& key, Arguments&&... arguments) {
    const auto at = place_of(key);
    if (at != entries_.end() && at->first == key) return {at, false};
    return {entries_.emplace(at, std::piecewise_construct, std::forward_as_tuple(key),
                             std::forward_as_tuple(std::forward<Arguments>(arguments)...)),
            true};
  }
  std::size_t erase(const Key& key) {
    return erase_if(*this, [&](const Entry& entry) { return entry.first == key; });
  }
  void erase(iterator at) {
    entries_.erase(at);
    fit();
  }
  void clear() { entries_ = std::vector<Entry>(); }

  template <typename Goes>
  friend std::size_t erase_if(SmallMap& map, Goes goes) {
    const std::size_t count = std::erase_if(map.entries_, goes);
    if (count != 0) map.fit();
    return count;
  }

 private:
  [[nodiscard]] iterator place_of(const Key& key) { return place_in(entries_, key); }
  [[nodiscard]] const_iterator place_of(const Key& key) const { return place_in(entries_, key); }
  template <typename Entries>
  [[nodiscard]] static auto place_in(Entries& entries, const Key& key) {
    return std::ranges::lower_bound(entries, key, {}, [](const Entry& entry) -> const Key& { return entry.first; });
  }
  void fit() { entries_.shrink_to_fit(); }

  std::vector<Entry> entries_;
};

}  // namespace culvert
