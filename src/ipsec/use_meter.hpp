// How much of an SA is used up: lifetimes in packets and bytes (RFC 4301 4.4.2.1), and the sequence numbers (RFC
// 4303 3.3.3).
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>

namespace culvert::ipsec {

/// Bounds on one direction's use. A value is reached when the counter gets there; without a bound never.
struct UseBounds {
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t soft_packets = kNone;
  std::uint64_t soft_bytes = kNone;
  std::uint64_t hard_packets = kNone;
  std::uint64_t hard_bytes = kNone;
  friend auto operator<=>(const UseBounds&, const UseBounds&) = default;
};

/// What the event of a reached bound still has to tell. Each is told once.
enum class ExpiryNews : std::uint8_t { none, soft, hard };

/// Counts one direction's packets and bytes against its bounds. SAs share these and there are very many, so who asks
/// brings them along: always the same.
class UseMeter {
 public:
  explicit UseMeter(const UseBounds& bounds);

  /// Room for `packets` more with `bytes` of inner packets in all? False when a hard bound would be passed; nothing is
  /// counted then, and the direction stays closed.
  [[nodiscard]] bool admit(std::uint64_t packets, std::uint64_t bytes, const UseBounds& bounds) {
    if (__builtin_expect(packets_ + packets > quiet_packets_ || bytes_ + bytes > quiet_bytes_, 0)) {
      if (!admit_near_bound(packets, bytes, bounds)) return false;
    }
    packets_ += packets;
    bytes_ += bytes;
    return true;
  }
  /// True when so many more reach no bound: `count` may then be called instead of `admit`, and there are no news.
  [[nodiscard]] bool far_from_bounds(std::uint64_t packets, std::uint64_t bytes) const {
    return packets_ + packets <= quiet_packets_ && bytes_ + bytes <= quiet_bytes_;
  }
  /// How many packets of up to `longest` octets reach no bound, at least.
  [[nodiscard]] std::uint64_t far_packets(std::uint64_t longest) const {
    if (packets_ >= quiet_packets_ || bytes_ >= quiet_bytes_) return 0;
    return std::min(quiet_packets_ - packets_, (quiet_bytes_ - bytes_) / longest);
  }
  void count(std::uint64_t packets, std::uint64_t bytes) {
    packets_ += packets;
    bytes_ += bytes;
  }
  /// Asks for a rekey although no bound was reached (the sequence numbers run out).
  void raise(ExpiryNews level);
  /// Admits nothing from now on, and says so.
  void shut();

  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] ExpiryNews news() const { return news_; }
  void told() { news_ = ExpiryNews::none; }
  [[nodiscard]] std::uint64_t packets() const { return packets_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] bool admit_near_bound(std::uint64_t packets, std::uint64_t bytes, const UseBounds& bounds);

  std::uint64_t packets_ = 0;
  std::uint64_t quiet_packets_;  // up to here nothing has to be looked at
  std::uint64_t bytes_ = 0;
  std::uint64_t quiet_bytes_;
  ExpiryNews news_ = ExpiryNews::none;
  ExpiryNews raised_ = ExpiryNews::none;
  bool closed_ = false;
};

/// A run of packets that reach no bound, whatever their length, and so are not looked at one by one; and what they took
/// so far, which the meter learns at the end. A word, so that it stands beside what else each packet changes, and a
/// packet changes it once.
class UnwatchedRun {
 public:
  /// The most packets of a run, each of up to 65,535 octets: the octets are counted in 32 bits.
  static constexpr std::uint64_t kMost = 65535;

  /// So many packets more may be taken. None before `allow`, and behind `end`.
  [[nodiscard]] std::uint16_t left() const { return static_cast<std::uint16_t>(word_ >> kLeftShift); }
  [[gnu::always_inline]] void take(std::size_t packets, std::size_t bytes) {
    word_ = word_ + bytes - (std::uint64_t{packets} << kLeftShift);
  }
  /// One packet, or false where none is left: the subtraction says so itself.
  [[nodiscard, gnu::always_inline]] bool take_one(std::size_t bytes) {
    std::uint64_t word = 0;
    if (__builtin_sub_overflow(word_, (std::uint64_t{1} << kLeftShift) - bytes, &word)) return false;
    word_ = word;
    return true;
  }
  [[nodiscard]] std::uint64_t packets() const { return (word_ >> kAllowedShift & 0xffff) - left(); }
  [[nodiscard]] std::uint64_t bytes() const { return static_cast<std::uint32_t>(word_); }

  /// What packets take off the word. There is one left if the word is not below `taken(1, 0)`.
  [[nodiscard]] static constexpr std::uint64_t taken(std::uint64_t packets, std::uint64_t bytes) {
    return (packets << kLeftShift) - bytes;
  }

  /// Behind `end`; up to kMost packets.
  void allow(std::uint64_t packets) { word_ = packets << kLeftShift | packets << kAllowedShift; }
  void end(UseMeter& meter) {
    meter.count(packets(), bytes());
    *this = {};
  }

 private:
  // On top what is left, then what was allowed; the octets at the bottom.
  static constexpr unsigned kLeftShift = 48;
  static constexpr unsigned kAllowedShift = 32;
  std::uint64_t word_ = 0;
};

/// Hands out sequence numbers from 1 on, each once; the AEADs' IVs are the same numbers, so no IV repeats under one key
/// (RFC 4106 3.1, RFC 7634 2).
class SequenceCounter {
 public:
  /// `granted` bounds the numbers for now (see grant); 0: only the protocol does.
  explicit SequenceCounter(bool extended, std::uint64_t last_used = 0, std::uint64_t granted = 0)
      : last_(last_used), limit_(0), extended_(extended) {
    last_ = std::min(last_, end());
    limit_ = end();
    if (granted != 0) limit_ = std::clamp(granted, last_, end());
    watch();
  }

  /// `count` numbers in a row: the first of them, or nothing when fewer are left. RFC 4303 3.3.3: they never cycle.
  [[nodiscard]] std::optional<std::uint64_t> take(std::uint32_t count) {
    if (limit_ - last_ < count) return std::nullopt;
    const std::uint64_t first = last_ + 1;
    last_ += count;
    return first;
  }
  /// How many more numbers can be taken and leave `quiet` true; so often `take_quietly` may be called instead of
  /// `take`.
  [[nodiscard]] std::uint64_t quiet_left() const { return last_ < quiet_ ? quiet_ - last_ : 0; }
  [[nodiscard]] std::uint64_t take_quietly() { return ++last_; }
  /// `count` of them in a row: the first.
  [[nodiscard]] std::uint64_t take_quietly(std::uint32_t count) {
    const std::uint64_t first = last_ + 1;
    last_ += count;
    return first;
  }
  /// Raises the highest number that may be used; never lowers it, never beyond what the protocol has.
  void grant(std::uint64_t granted) {
    limit_ = std::min(std::max(limit_, granted), end());
    watch();
  }
  /// So many numbers are never used. Beyond the last one there are none left.
  void skip(std::uint64_t count) {
    last_ += std::min(count, end() - last_);
    limit_ = std::max(limit_, last_);
  }
  [[nodiscard]] std::uint64_t last() const { return last_; }
  /// False once `running_out` or `grant_low` may have something to say.
  [[nodiscard]] bool quiet() const { return last_ <= quiet_; }
  /// True once fifteen sixteenths are used: time for a rekey.
  [[nodiscard]] bool running_out() const { return last_ > soft_end(); }
  /// True once less than a quarter of the last grant is left, and a further one could help.
  [[nodiscard]] bool grant_low() const { return limit_ != end() && last_ > quiet_; }
  /// Whether the protocol has `count` more numbers, granted or not.
  [[nodiscard]] bool has(std::uint64_t count) const { return end() - last_ >= count; }

 private:
  void watch() {
    const std::uint64_t low = limit_ - (limit_ - last_) / 4;
    quiet_ = limit_ != end() ? std::min(soft_end(), low == 0 ? 0 : low - 1) : soft_end();
  }
  // The last number that the protocol has, and the one behind which a rekey is due.
  [[nodiscard]] std::uint64_t end() const { return extended_ ? UseBounds::kNone : 0xffff'ffffU; }
  [[nodiscard]] std::uint64_t soft_end() const { return end() - end() / 16; }

  std::uint64_t last_;   // the last one handed out
  std::uint64_t limit_;  // the last one granted
  std::uint64_t quiet_ = 0;
  bool extended_;
};

}  // namespace culvert::ipsec
