// RareVector: a vector that is hardly ever anything but empty, and takes the room of a pointer then. For records of
// which there are very many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace culvert {

/// As std::vector where it is used so. The last entry that goes takes all memory along.
template <typename T>
class RareVector {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  [[nodiscard]] bool empty() const { return all_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return all_ ? all_->size() : 0; }
  [[nodiscard]] iterator begin() { return all_ ? all_->data() : nullptr; }
  [[nodiscard]] iterator end() { return begin() + size(); }
  [[nodiscard]] const_iterator begin() const { return all_ ? all_->data() : nullptr; }
  [[nodiscard]] const_iterator end() const { return begin() + size(); }
  [[nodiscard]] T& operator[](std::size_t place) { return (*all_)[place]; }
  [[nodiscard]] const T& operator[](std::size_t place) const { return (*all_)[place]; }
  [[nodiscard]] T& front() { return all_->front(); }
  [[nodiscard]] const T& front() const { return all_->front(); }

  void push_back(T value) { made().push_back(std::move(value)); }
  void insert(const_iterator before, T value) {
    const auto place = before - begin();
    std::vector<T>& all = made();
    all.insert(all.begin() + place, std::move(value));
  }
  void erase(const_iterator at) { erase(at, at + 1); }
  void erase(const_iterator first, const_iterator last) {
    if (first == last) return;
    all_->erase(all_->begin() + (first - begin()), all_->begin() + (last - begin()));
    fit();
  }
  void clear() { all_.reset(); }

  template <typename Goes>
  friend std::size_t erase_if(RareVector& vector, Goes goes) {
    if (vector.empty()) return 0;
    const std::size_t count = std::erase_if(*vector.all_, goes);
    vector.fit();
    return count;
  }

 private:
  std::vector<T>& made() {
    if (!all_) all_ = std::make_unique<std::vector<T>>();
    return *all_;
  }
  void fit() {
    if (all_->empty()) all_.reset();
  }

  std::unique_ptr<std::vector<T>> all_;  // null or not empty
};

}  // namespace culvert
