// The framing of IKE and ESP in a stream (RFC 9329 3, 4): a prefix once, then messages, each behind its length. What a
// message holds, IKE behind the non-ESP marker, ESP, or a keepalive, is told as in UDP. Memory is bounded by one
// message in each of two buffers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::ipsec {

/// RFC 9329 4: "IKETCP", from who opened the stream, once.
inline constexpr std::array<std::uint8_t, 6> kStreamPrefix{0x49, 0x4b, 0x45, 0x54, 0x43, 0x50};
/// RFC 9329 3: the 16-bit length counts itself.
inline constexpr std::size_t kStreamLengthSize = 2;
inline constexpr std::size_t kMaxStreamMessage = 65535 - kStreamLengthSize;

/// The two octets in front of a message of `size` octets, at most kMaxStreamMessage.
[[nodiscard]] constexpr std::array<std::uint8_t, kStreamLengthSize> stream_length(std::size_t size) {
  const std::size_t length = size + kStreamLengthSize;
  return {static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)};
}

/// After which a stream cannot be read any further; it is to be closed.
enum class StreamFault : std::uint8_t {
  wrong_prefix,  // it is not for us
  bad_length     // 0 or 1
};

/// Takes a stream apart. One for each connection.
class StreamReader {
 public:
  /// With `expects_prefix` for who accepted the stream.
  explicit StreamReader(bool expects_prefix) : prefix_left_(expects_prefix ? kStreamPrefix.size() : 0) {}

  /// Takes what came next, any octets in any portions, and puts the messages that are whole into `messages`, in their
  /// order, replacing what is there; they are parts of `octets` or of the reader's own memory, good until the next
  /// call.
  [[nodiscard]] Result<void, StreamFault> take(MutableByteView octets, std::vector<MutableByteView>& messages);
  /// The prefix has come, or there is none.
  [[nodiscard]] bool begun() const { return prefix_left_ == 0; }

 private:
  [[nodiscard]] bool take_prefix(MutableByteView& rest);
  /// Adds to the message that is not whole yet.
  [[nodiscard]] Result<void, StreamFault> complete(MutableByteView& rest, std::vector<MutableByteView>& messages);

  std::size_t prefix_left_;
  Bytes partial_;  // the beginning of a message, with its length
  Bytes joined_;   // a message that came in portions
};

}  // namespace culvert::ipsec
