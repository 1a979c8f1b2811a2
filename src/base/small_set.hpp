// SmallSet: a set of few entries in one block of memory, and none while it is empty. For records of which there are
// very many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace culvert {

/// As std::set, sorted; but each change moves the entries, and its costs grow with their number.
template <typename Key>
class SmallSet {
 public:
  [[nodiscard]] bool empty() const { return keys_.empty(); }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  [[nodiscard]] auto begin() const { return keys_.begin(); }
  [[nodiscard]] auto end() const { return keys_.end(); }
  [[nodiscard]] bool contains(const Key& key) const { return std::ranges::binary_search(keys_, key); }
  void insert(const Key& key) {
    const auto at = std::ranges::lower_bound(keys_, key);
    if (at == keys_.end() || *at != key) keys_.insert(at, key);
  }
  void erase(const Key& key) {
    if (std::erase(keys_, key) != 0) keys_.shrink_to_fit();
  }

 private:
  std::vector<Key> keys_;
};

}  // namespace culvert
