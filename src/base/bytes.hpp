// Byte sequences and the only two ways to touch wire bytes: ByteReader moves forward and fails once, ByteWriter appends
// and fills in length fields when done. All multi-byte numbers are big-endian ("network order").
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace culvert {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

/// Reads big-endian numbers and slices from a byte sequence that it does not own.
///
/// A read past the end sets a sticky failure, answers zeros or an empty view, and consumes the rest: a parser may read
/// all its fields and ask `ok()` once. Never allocates, never throws.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  /// True when every byte was consumed and no read failed.
  [[nodiscard]] bool at_end() const { return ok_ && rest_.empty(); }
  [[nodiscard]] std::size_t remaining() const { return rest_.size(); }
  /// The bytes not yet read; does not consume them.
  [[nodiscard]] ByteView rest() const { return rest_; }

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  /// The next `count` octets, or an empty view and failure when fewer remain.
  ByteView bytes(std::size_t count);
  /// A reader over the next `count` octets; a failed reader when fewer remain.
  ByteReader sub(std::size_t count);
  void skip(std::size_t count) { (void)bytes(count); }
  /// Marks the reader failed, for a caller that finds a bad value.
  void fail();

 private:
  ByteView rest_;
  bool ok_ = true;
};

/// Appends big-endian numbers and byte sequences to a buffer that it owns.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void bytes(ByteView value) { out_.insert(out_.end(), value.begin(), value.end()); }
  void zeros(std::size_t count) { out_.insert(out_.end(), count, 0); }

  [[nodiscard]] std::size_t size() const { return out_.size(); }
  /// Overwrites two octets at `offset`, already written; for length fields that are known only afterwards.
  void patch_u16(std::size_t offset, std::uint16_t value);
  void patch_u32(std::size_t offset, std::uint32_t value);
  void patch_u8(std::size_t offset, std::uint8_t value);

  [[nodiscard]] ByteView view() const { return out_; }
  [[nodiscard]] MutableByteView mutable_view() { return out_; }
  [[nodiscard]] Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

/// Lower-case hexadecimal digits, two per octet.
[[nodiscard]] std::string to_hex(ByteView bytes);
/// The octets that an even number of hexadecimal digits (either case) stands for; nothing on any other text.
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text);

[[nodiscard]] inline Bytes to_bytes(ByteView view) { return Bytes(view.begin(), view.end()); }
[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
/// The views one after the other in a new buffer.
[[nodiscard]] Bytes concat(std::initializer_list<ByteView> parts);
[[nodiscard]] bool equal(ByteView a, ByteView b);

// Fixed-place access for packet headers whose length was checked before.
[[nodiscard]] inline std::uint16_t load_be16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>((at[0] << 8) | at[1]);
}
[[nodiscard]] inline std::uint32_t load_be32(const std::uint8_t* at) {
  std::uint32_t value;
  __builtin_memcpy(&value, at, 4);
  return __builtin_bswap32(value);
}
[[nodiscard]] inline std::uint64_t load_be64(const std::uint8_t* at) {
  std::uint64_t value;
  __builtin_memcpy(&value, at, 8);
  return __builtin_bswap64(value);
}
inline void store_be16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void store_be32(std::uint8_t* at, std::uint32_t value) {
  value = __builtin_bswap32(value);
  __builtin_memcpy(at, &value, 4);
}
inline void store_be64(std::uint8_t* at, std::uint64_t value) {
  value = __builtin_bswap64(value);
  __builtin_memcpy(at, &value, 8);
}

}  // namespace culvert
