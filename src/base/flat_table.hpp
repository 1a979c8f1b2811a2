// FlatTable: entries found by a number, in one array and nothing else: for tables of which a gateway has an entry for
// each SA. An entry costs its own size and a third to twice of it in vacant places.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace culvert {

/// Open addressing with linear probing. `Entry` is movable, false when default-constructed and true otherwise;
/// `KeyOf()(entry)` is its key, a 64-bit number, which several entries may share. References to entries and their
/// places do not outlive the next change.
template <typename Entry, typename KeyOf>
class FlatTable {
 public:
  FlatTable() : FlatTable(0) {}
  /// With a secret `seed` nobody who chooses keys can choose their places.
  explicit FlatTable(std::uint64_t seed) : multiplier_(0x9e37'79b9'7f4a'7c15U ^ (seed & ~std::uint64_t{1})) {}
  FlatTable(FlatTable&&) noexcept = default;
  FlatTable& operator=(FlatTable&&) noexcept = default;

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return count_; }

  /// Does not look whether the key is there already.
  Entry& insert(Entry entry) {
    // Seven eighths at the most: one more makes the table twice as long.
    if ((count_ + 1) * 8 > places_.size() * 7) grow();
    ++count_;
    return put(std::move(entry));
  }
  /// An entry with this key for which `fits` is true, or null.
  template <typename Fits>
  [[nodiscard]] Entry* find(std::uint64_t key, Fits fits) {
    return find_in(*this, key, std::move(fits));
  }
  template <typename Fits>
  [[nodiscard]] const Entry* find(std::uint64_t key, Fits fits) const {
    return find_in(*this, key, std::move(fits));
  }
  [[nodiscard]] Entry* find(std::uint64_t key) {
    return find(key, [](const Entry&) { return true; });
  }
  [[nodiscard]] const Entry* find(std::uint64_t key) const {
    return find(key, [](const Entry&) { return true; });
  }

  /// Takes out an entry that `find` has found. The key must still be the one that it came with.
  Entry erase(Entry* entry) {
    Entry gone = std::exchange(*entry, Entry());
    --count_;
    // What was displaced by it moves up, so that no search ends too early.
    auto vacant = static_cast<std::size_t>(entry - places_.data());
    for (std::size_t at = next(vacant); places_[at]; at = next(at)) {
      const std::size_t wanted = home(KeyOf()(places_[at]));
      if (distance(wanted, at) < distance(vacant, at)) continue;
      places_[vacant] = std::exchange(places_[at], Entry());
      vacant = at;
    }
    if (count_ == 0) places_ = std::vector<Entry>();
    return gone;
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Entry& entry : places_) {
      if (entry) visit(entry);
    }
  }

 private:
  static constexpr std::size_t kFirst = 8;

  /// `Table` may be const; so is then what it finds.
  template <typename Table, typename Fits>
  [[nodiscard]] static auto find_in(Table& table, std::uint64_t key, Fits fits) -> decltype(table.places_.data()) {
    if (table.count_ == 0) return nullptr;
    for (std::size_t at = table.home(key); table.places_[at]; at = table.next(at)) {
      if (KeyOf()(table.places_[at]) == key && fits(table.places_[at])) return &table.places_[at];
    }
    return nullptr;
  }

  [[nodiscard]] std::size_t home(std::uint64_t key) const {
    return static_cast<std::size_t>((key * multiplier_) >>
                                    (64U - static_cast<unsigned>(std::countr_zero(places_.size()))));
  }
  [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (places_.size() - 1); }
  [[nodiscard]] std::size_t distance(std::size_t from, std::size_t to) const {
    return (to - from) & (places_.size() - 1);
  }
  Entry& put(Entry entry) {
    std::size_t at = home(KeyOf()(entry));
    while (places_[at]) at = next(at);
    places_[at] = std::move(entry);
    return places_[at];
  }
  void grow() {
    std::vector<Entry> old(places_.empty() ? kFirst : 2 * places_.size());
    old.swap(places_);
    for (Entry& entry : old) {
      if (entry) put(std::move(entry));
    }
  }

  std::uint64_t multiplier_;  // odd
  std::size_t count_ = 0;
  std::vector<Entry> places_;  // as many as a power of two, or none
};

}  // namespace culvert
