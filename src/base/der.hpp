// DerReader: ASN.1 in DER (X.690) element by element, for the few places outside crypto that meet it. Definite lengths
// in their shortest form and tags of one octet only; total, allocates nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"

namespace culvert {

namespace der {
inline constexpr std::uint8_t kInteger = 0x02;
inline constexpr std::uint8_t kNull = 0x05;
inline constexpr std::uint8_t kObjectIdentifier = 0x06;
inline constexpr std::uint8_t kUtf8String = 0x0c;
inline constexpr std::uint8_t kNumericString = 0x12;
inline constexpr std::uint8_t kPrintableString = 0x13;
inline constexpr std::uint8_t kIa5String = 0x16;
inline constexpr std::uint8_t kSequence = 0x30;
inline constexpr std::uint8_t kSet = 0x31;

struct Element {
  std::uint8_t tag = 0;
  ByteView content;
};
}  // namespace der

class DerReader {
 public:
  explicit DerReader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  /// The next element; nothing when there is none, or when the octets are no DER. What follows it stays.
  [[nodiscard]] std::optional<der::Element> next();
  /// The content of the next element when it has this tag; nothing otherwise.
  [[nodiscard]] std::optional<ByteView> next(std::uint8_t tag);

 private:
  ByteView rest_;
};

/// Tag, shortest length, content.
[[nodiscard]] Bytes der_element(std::uint8_t tag, ByteView content);

}  // namespace culvert
