// ChunkedSet: an ordered set that keeps its keys in blocks of many. For sets in which a gateway has a key for each SA:
// a node of std::set takes 40 octets beside its key; here keys that come in their order take next to nothing, and those
// that come at random up to their own size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

namespace culvert {

/// As std::set, but every change moves keys, ends iterators, and costs a little with the square root of their number.
/// Keys that come in their order fill the blocks.
template <typename Key, typename Less = std::less<Key>>
class ChunkedSet {
  using Chunk = std::vector<Key>;  // never empty

 public:
  class Iterator {
   public:
    using iterator_concept = std::bidirectional_iterator_tag;
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = Key;
    using difference_type = std::ptrdiff_t;
    using pointer = const Key*;
    using reference = const Key&;

    Iterator() = default;
    reference operator*() const { return (*chunks_)[chunk_][place_]; }
    pointer operator->() const { return &**this; }
    Iterator& operator++() {
      if (++place_ == (*chunks_)[chunk_].size()) ++chunk_, place_ = 0;
      return *this;
    }
    Iterator operator++(int) { return std::exchange(*this, std::next(*this)); }
    Iterator& operator--() {
      if (place_ == 0) place_ = (*chunks_)[--chunk_].size();
      --place_;
      return *this;
    }
    Iterator operator--(int) { return std::exchange(*this, std::prev(*this)); }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    friend ChunkedSet;
    Iterator(const std::vector<Chunk>* chunks, std::size_t chunk, std::size_t place)
        : chunks_(chunks), chunk_(chunk), place_(place) {}
    const std::vector<Chunk>* chunks_ = nullptr;
    std::size_t chunk_ = 0;  // behind the last: the end
    std::size_t place_ = 0;
  };
  using const_iterator = Iterator;
  using iterator = Iterator;
  using value_type = Key;

  [[nodiscard]] bool empty() const { return chunks_.empty(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const_iterator begin() const { return {&chunks_, 0, 0}; }
  [[nodiscard]] const_iterator end() const { return {&chunks_, chunks_.size(), 0}; }
  [[nodiscard]] auto rbegin() const { return std::reverse_iterator(end()); }
  [[nodiscard]] auto rend() const { return std::reverse_iterator(begin()); }

  /// By anything that `Less` compares with a key.
  template <typename Like>
  [[nodiscard]] const_iterator lower_bound(const Like& like) const {
    return first_without([&](const Key& key) { return Less()(key, like); });
  }
  template <typename Like>
  [[nodiscard]] const_iterator upper_bound(const Like& like) const {
    return first_without([&](const Key& key) { return !Less()(like, key); });
  }
  template <typename Like>
  [[nodiscard]] std::pair<const_iterator, const_iterator> equal_range(const Like& like) const {
    return {lower_bound(like), upper_bound(like)};
  }
  template <typename Like>
  [[nodiscard]] const_iterator find(const Like& like) const {
    const const_iterator at = lower_bound(like);
    return at != end() && !Less()(like, *at) ? at : end();
  }
  template <typename Like>
  [[nodiscard]] bool contains(const Like& like) const {
    return find(like) != end();
  }

  /// Where the key is, and whether it was not there before.
  std::pair<const_iterator, bool> insert(Key key) {
    const_iterator at = lower_bound(key);
    if (at != end() && !Less()(key, *at)) return {at, false};
    at = room_at(at);
    Chunk& chunk = chunks_[at.chunk_];
    chunk.insert(chunk.begin() + static_cast<std::ptrdiff_t>(at.place_), std::move(key));
    ++size_;
    return {at, true};
  }
  void erase(const_iterator at) {
    Chunk& chunk = chunks_[at.chunk_];
    chunk.erase(chunk.begin() + static_cast<std::ptrdiff_t>(at.place_));
    --size_;
    if (chunk.empty()) return remove(at.chunk_);
    if (chunk.size() >= kFew) return;
    // Those few that are left of very many share their blocks.
    if (at.chunk_ + 1 < chunks_.size()) join(at.chunk_);
    if (at.chunk_ > 0) join(at.chunk_ - 1);
  }
  template <typename Like>
  std::size_t erase(const Like& like) {
    const const_iterator at = find(like);
    if (at == end()) return 0;
    erase(at);
    return 1;
  }

 private:
  // NOLINTNEXTLINE(bugprone-sizeof-expression): of sets of pointers the keys are the pointers
  static constexpr std::size_t kMost = std::max<std::size_t>(16, 512 / sizeof(Key));  // in one block
  static constexpr std::size_t kFew = kMost / 4;

  /// Of keys of which `goes_before` is true up to some place.
  template <typename Before>
  [[nodiscard]] const_iterator first_without(Before goes_before) const {
    const auto chunk = std::ranges::partition_point(chunks_, [&](const Chunk& one) { return goes_before(one.back()); });
    if (chunk == chunks_.end()) return end();
    const auto place = std::ranges::partition_point(*chunk, goes_before);
    return {&chunks_, static_cast<std::size_t>(chunk - chunks_.begin()),
            static_cast<std::size_t>(place - chunk->begin())};
  }
  /// The place for a key that goes in front of `at`, in a block with room for it.
  [[nodiscard]] const_iterator room_at(const_iterator at) {
    if (chunks_.empty()) {
      chunks_.emplace_back();
      return begin();
    }
    if (at.chunk_ == chunks_.size()) {
      --at.chunk_;
      at.place_ = chunks_.back().size();
    }
    if (chunks_[at.chunk_].size() < kMost) return at;
    const auto behind = chunks_.begin() + static_cast<std::ptrdiff_t>(at.chunk_) + 1;
    Chunk fresh;
    fresh.reserve(kMost);
    if (at.place_ == kMost) {
      chunks_.insert(behind, std::move(fresh));
      return {&chunks_, at.chunk_ + 1, 0};
    }
    Chunk& full = chunks_[at.chunk_];
    const auto half = full.begin() + kMost / 2;
    fresh.assign(std::move_iterator(half), std::move_iterator(full.end()));
    full.erase(half, full.end());
    chunks_.insert(behind, std::move(fresh));
    if (at.place_ <= kMost / 2) return at;
    return {&chunks_, at.chunk_ + 1, at.place_ - kMost / 2};
  }
  /// What is in the next block comes into this one, if there is not much of it.
  void join(std::size_t chunk) {
    Chunk& here = chunks_[chunk];
    Chunk& next = chunks_[chunk + 1];
    if (here.size() + next.size() > kMost - kFew) return;
    here.insert(here.end(), std::move_iterator(next.begin()), std::move_iterator(next.end()));
    remove(chunk + 1);
  }
  void remove(std::size_t chunk) {
    chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk));
    if (chunks_.empty()) chunks_.shrink_to_fit();
  }

  std::vector<Chunk> chunks_;
  std::size_t size_ = 0;
};

}  // namespace culvert
