// ReplayWindow: RFC 4303 3.4.3 and Appendix A2. The check stands apart from the update, because a packet that was not
// authenticated must never move the window.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/check.hpp"
#include "base/dense_memory.hpp"

namespace culvert::ipsec {

/// Remembers which of the last `size` sequence numbers were received. A ring of one bit per number, at least a word
/// long: the bit of number n stands at n modulo the ring's length. Numbers that come in order only move the window's
/// right edge; their bits are written when one that does not goes on with the row. So most packets read and write
/// nothing but this object.
class ReplayWindow {
 public:
  enum class Verdict : std::uint8_t { fresh, replayed, too_old };

  /// RFC 4303 3.4.3: 32 is the least that a receiver must support.
  static constexpr std::uint32_t kSmallest = 32;
  static constexpr std::uint32_t kLargest = 65536;
  [[nodiscard]] static constexpr bool is_size(std::uint32_t size) {
    return size == 0 || (size >= kSmallest && size <= kLargest && (size & (size - 1)) == 0);
  }

  /// `size` is a power of two from 32 to 65,536, or 0: then nothing is ever a replay (RFC 4303 3.4.3 allows it for the
  /// receiver).
  ReplayWindow(std::uint32_t size, bool extended)
      : size_(static_cast<std::uint16_t>(size / kUnit)), extended_(extended) {
    CHECK(is_size(size));
    if (size == 0) return;
    void* const memory = allocate_dense(octets());
    bits_ = static_cast<std::uint64_t*>(std::memset(memory, 0, octets()));
  }

  ~ReplayWindow() {
    if (bits_ != nullptr) free_dense(bits_, octets());
  }
  ReplayWindow(const ReplayWindow&) = delete;
  ReplayWindow& operator=(const ReplayWindow&) = delete;

  /// The full sequence number that the 32 bits in the packet stand for; nothing when it would lie before number 0.
  ///
  /// RFC 4303 A2.2: the number is taken to lie in the window or to the right of it; which of the neighbouring
  /// 2^32-subspaces that means follows from the window's edges.
  [[nodiscard]] std::optional<std::uint64_t> infer(std::uint32_t low) const {
    std::uint64_t sequence = 0;
    return infer(low, sequence) ? std::optional(sequence) : std::nullopt;
  }
  /// The same, and what `check` says of it; `sequence` is good if that is `fresh`.
  [[nodiscard]] Verdict check(std::uint32_t low, std::uint64_t& sequence) const {
    return infer(low, sequence) ? check(sequence) : Verdict::too_old;
  }

  [[nodiscard]] Verdict check(std::uint64_t sequence) const {
    // RFC 4303 3.3.3: the first packet of an SA has number 1.
    if (sequence == 0) return Verdict::too_old;
    if (size_ == 0 || sequence > top_) return Verdict::fresh;
    if (top_ - sequence >= size()) return Verdict::too_old;
    if (top_ - sequence < unmarked()) return Verdict::replayed;
    return (word(sequence) & bit(sequence)) != 0 ? Verdict::replayed : Verdict::fresh;
  }

  /// Checks again and marks the number as received. Only after authentication. Between `check` and here other packets
  /// of the same batch may have moved the window.
  Verdict update(std::uint64_t sequence) { return take_next(sequence) ? Verdict::fresh : update_out_of_row(sequence); }
  /// The same for the number behind the highest one; false says nothing, and changes nothing.
  [[nodiscard, gnu::always_inline]] bool take_next(std::uint64_t sequence) {
    // Not beyond 2^32 in a row: `unmarked` could not say more.
    if (sequence != top_ + 1 || static_cast<std::uint32_t>(sequence) == 0) [[unlikely]]
      return false;
    top_ = sequence;
    return true;
  }

  /// As `check`, with a short way for what packets in order are.
  [[nodiscard, gnu::always_inline]] Verdict check_next(std::uint32_t low, std::uint64_t& sequence) const {
    const auto top_low = static_cast<std::uint32_t>(top_);
    const std::uint32_t step = low - top_low;
    // To the right of the window and in the same subspace, and not so far that the one before could be meant.
    if (low <= top_low || step > kLongStep) [[unlikely]]
      return check(low, sequence);
    sequence = top_ + step;
    return Verdict::fresh;
  }

  /// The highest number received, 0 before the first.
  [[nodiscard]] std::uint64_t top() const { return top_; }
  [[nodiscard]] std::uint32_t size() const { return std::uint32_t{size_} * kUnit; }

 private:
  [[nodiscard]] bool infer(std::uint32_t low, std::uint64_t& sequence) const {
    std::uint32_t high = 0;
    if (extended_) {
      const auto top_low = static_cast<std::uint32_t>(top_);
      high = static_cast<std::uint32_t>(top_ >> 32);
      // Without a window the nearest number on either side is meant.
      const std::uint32_t width = size_ != 0 ? size() : 0x8000'0000U;
      const std::uint32_t bottom_low = top_low - width + 1;  // modulo 2^32
      if (top_low >= width - 1) {
        if (low < bottom_low) {  // Case A: the window lies within one subspace, the packet in the next
          if (high == 0xffff'ffffU) return false;
          ++high;
        }
      } else if (low >= bottom_low) {  // Case B: the window spans two subspaces, the packet is of the older one
        if (high == 0) return false;
        --high;
      }
    }
    sequence = (std::uint64_t{high} << 32) | low;
    return true;
  }

  // Numbers that come later than those behind them, or behind a gap.
  Verdict update_out_of_row(std::uint64_t sequence) {
    const Verdict verdict = check(sequence);
    if (verdict != Verdict::fresh) return verdict;
    if (sequence > top_) {
      mark_row();
      if (size_ != 0 && sequence - top_ > 1) forget(top_ + 1, sequence);
      top_ = sequence;
      marked_ = static_cast<std::uint32_t>(sequence);
    }
    if (size_ != 0) word(sequence) |= bit(sequence);
    return Verdict::fresh;
  }

  /// How many numbers up to the highest were received without having their bits.
  [[nodiscard]] std::uint32_t unmarked() const { return static_cast<std::uint32_t>(top_) - marked_; }
  // Gives them their bits.
  void mark_row() {
    if (size_ == 0 || unmarked() == 0) return;
    std::uint64_t first = top_ + 1 - std::min(unmarked(), ring());
    for (; (first ^ top_) >= kWordBits; first = (first | 63) + 1) word(first) |= ~std::uint64_t{0} << (first & 63);
    word(top_) |= (~std::uint64_t{0} << (first & 63)) & (~std::uint64_t{0} >> (63 - (top_ & 63)));
  }

  static constexpr std::uint32_t kUnit = kSmallest;  // of sizes
  static constexpr std::uint32_t kLongStep = 0x7fff'0000;
  static constexpr std::uint32_t kWordBits = 64;
  [[nodiscard]] static std::uint64_t bit(std::uint64_t sequence) { return std::uint64_t{1} << (sequence & 63); }
  [[nodiscard]] std::size_t octets() const { return ring() / 8; }
  [[nodiscard]] std::uint32_t ring() const { return std::max(size(), kWordBits); }
  [[nodiscard]] std::uint64_t& word(std::uint64_t sequence) const { return bits_[(sequence & (ring() - 1)) >> 6]; }

  // Clears the bits of the numbers from `first` to `last`, which enter the window from the right.
  void forget(std::uint64_t first, std::uint64_t last) {
    if (last - first >= ring() - 1) {
      for (std::uint32_t i = 0; i < ring() / kWordBits; ++i) bits_[i] = 0;
      return;
    }
    for (;;) {
      const std::uint64_t end_of_word = first | 63;
      const std::uint64_t mask_low = ~std::uint64_t{0} << (first & 63);
      const std::uint64_t mask_high = end_of_word <= last ? ~std::uint64_t{0} : ~std::uint64_t{0} >> (63 - (last & 63));
      word(first) &= ~(mask_low & mask_high);
      if (end_of_word >= last) return;
      first = end_of_word + 1;
    }
  }

  std::uint64_t* bits_ = nullptr;  // dense memory
  std::uint32_t marked_ = 0;       // the lower half of the last number whose bit was written, see `unmarked`
  std::uint16_t size_;             // in units
  bool extended_;
  std::uint64_t top_ = 0;  // the last member: all that packets in order touch
};

}  // namespace culvert::ipsec
