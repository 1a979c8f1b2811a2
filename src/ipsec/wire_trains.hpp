// WireTrains: the trains of a call until they are sent, begun in as few stores as there can be.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "ipsec/packet_io.hpp"

namespace culvert::ipsec {

/// What a WireTrain says between its path and its bytes, as it lies there: a word, so that it is written and compared
/// as one. Put together by shifts: octets that are stored one by one and read as a word wait for the stores.
class TrainWord {
 public:
  TrainWord() = default;
  /// The parts that are not named are zero.
  struct Parts {
    model::Encapsulation encapsulation{};
    bool with_ip_header = false;
    std::uint8_t hop_limit = 0;
    std::uint8_t tos = 0;
    bool dont_fragment = false;
    std::uint16_t segment_size = 0;
  };
  explicit TrainWord(const Parts& parts)
      : word_(at(kEncapsulation, static_cast<std::uint64_t>(parts.encapsulation), 1) |
              at(offsetof(WireTrain, with_ip_header), parts.with_ip_header, 1) |
              at(offsetof(WireTrain, hop_limit), parts.hop_limit, 1) | at(offsetof(WireTrain, tos), parts.tos, 1) |
              at(offsetof(WireTrain, dont_fragment), parts.dont_fragment, 1) |
              at(offsetof(WireTrain, segment_size), parts.segment_size, 2)) {}
  [[nodiscard, gnu::always_inline]] static TrainWord of(const WireTrain& train) {
    TrainWord word;
    std::memcpy(&word.word_, reinterpret_cast<const std::uint8_t*>(&train) + kEncapsulation, sizeof word_);
    word.word_ &= ~at(kUnused, 0xff, 1);
    return word;
  }
  [[gnu::always_inline]] void write_to(WireTrain& train) const {
    std::memcpy(reinterpret_cast<std::uint8_t*>(&train) + kEncapsulation, &word_, sizeof word_);
  }
  /// The same with parts that were not named before.
  [[nodiscard, gnu::always_inline]] TrainWord with(model::Encapsulation encapsulation) const {
    return TrainWord(word_ | at(kEncapsulation, static_cast<std::uint64_t>(encapsulation), 1));
  }
  [[nodiscard, gnu::always_inline]] TrainWord with_segment(std::size_t segment) const {
    return TrainWord(word_ | at(offsetof(WireTrain, segment_size), segment, 2));
  }
  [[nodiscard]] std::uint64_t word() const { return word_; }
  friend bool operator==(const TrainWord&, const TrainWord&) = default;

 private:
  static constexpr std::size_t kEncapsulation = offsetof(WireTrain, encapsulation);
  static constexpr std::size_t kUnused = offsetof(WireTrain, dont_fragment) + 1;  // no member is there
  static_assert(offsetof(WireTrain, segment_size) == kUnused + 1);
  static_assert(offsetof(WireTrain, bytes) == kEncapsulation + sizeof(std::uint64_t));
  explicit TrainWord(std::uint64_t word) : word_(word) {}
  // A number of so many octets where WireTrain has them, `offset` from its beginning.
  [[nodiscard, gnu::always_inline]] static std::uint64_t at(std::size_t offset, std::uint64_t number,
                                                            std::size_t octets) {
    const std::size_t before = offset - kEncapsulation;
    return number << 8 * (std::endian::native == std::endian::little ? before : sizeof(number) - before - octets);
  }

  std::uint64_t word_ = 0;
};

class WireTrains {
 public:
  explicit WireTrains(std::size_t capacity) : trains_(make(capacity)), capacity_(capacity) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::span<WireTrain> all() { return {trains_.get(), size_}; }
  [[nodiscard]] WireTrain& back() { return trains_[size_ - 1]; }
  [[nodiscard]] WireTrain& operator[](std::size_t index) { return trains_[index]; }

  /// Where the next train comes to stand, with room for `count`; what is there says nothing. `added` tells how many
  /// came.
  [[nodiscard]] WireTrain* make_room(std::size_t count) {
    if (capacity_ - size_ < count) [[unlikely]]
      grow(count);
    return trains_.get() + size_;
  }
  void added(std::size_t count) { size_ += count; }
  void replace(std::span<const WireTrain> trains) {
    size_ = 0;
    std::ranges::copy(trains, make_room(trains.size()));
    size_ = trains.size();
  }
  void drop_empty() {
    const auto left = std::ranges::remove_if(all(), [](const WireTrain& train) { return train.bytes.empty(); });
    size_ -= left.size();
  }
  void clear() { size_ = 0; }

 private:
  // A cache line each.
  static constexpr std::align_val_t kAligned{64};
  static_assert(sizeof(WireTrain) == 64 && std::is_trivially_destructible_v<WireTrain>);
  struct Free {
    void operator()(WireTrain* trains) const { ::operator delete(trains, kAligned); }
  };
  using Trains = std::unique_ptr<WireTrain[], Free>;
  static Trains make(std::size_t capacity) {
    return Trains(new (::operator new(capacity * sizeof(WireTrain), kAligned)) WireTrain[capacity]);
  }

  [[gnu::noinline]] void grow(std::size_t count) {
    const std::size_t capacity = std::max(2 * capacity_, size_ + count);
    Trains more = make(capacity);
    std::ranges::copy(all(), more.get());
    trains_ = std::move(more);
    capacity_ = capacity;
  }

  Trains trains_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

}  // namespace culvert::ipsec
