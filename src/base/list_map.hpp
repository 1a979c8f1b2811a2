// ListMap: a map of few entries that stay where they are, in the order of their keys. It takes the room of a pointer,
// and each entry that of one more. For records of which there are very many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <forward_list>
#include <iterator>
#include <utility>

namespace culvert {

/// As std::map where it is used so; but finding an entry costs their number.
template <typename Key, typename Value>
class ListMap {
 public:
  using Entry = std::pair<const Key, Value>;
  using iterator = typename std::forward_list<Entry>::iterator;
  using const_iterator = typename std::forward_list<Entry>::const_iterator;

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(std::distance(entries_.begin(), entries_.end()));
  }
  [[nodiscard]] iterator begin() { return entries_.begin(); }
  [[nodiscard]] iterator end() { return entries_.end(); }
  [[nodiscard]] const_iterator begin() const { return entries_.begin(); }
  [[nodiscard]] const_iterator end() const { return entries_.end(); }
  [[nodiscard]] iterator find(const Key& key) { return std::ranges::find(entries_, key, &Entry::first); }
  [[nodiscard]] const_iterator find(const Key& key) const { return std::ranges::find(entries_, key, &Entry::first); }
  [[nodiscard]] bool contains(const Key& key) const { return find(key) != end(); }

  /// What is there already stays.
  std::pair<iterator, bool> emplace(const Key& key, Value value) {
    iterator before = entries_.before_begin();
    for (iterator at = entries_.begin(); at != entries_.end() && !(key < at->first); before = at++) {
      if (at->first == key) return {at, false};
    }
    return {entries_.emplace_after(before, key, std::move(value)), true};
  }
  std::size_t erase(Key key) {
    return entries_.remove_if([&](const Entry& entry) { return entry.first == key; });
  }
  /// Takes over all that `other` has; no key is in both.
  void merge(ListMap& other) {
    entries_.merge(other.entries_, [](const Entry& a, const Entry& b) { return a.first < b.first; });
  }

 private:
  std::forward_list<Entry> entries_;
};

}  // namespace culvert
