#include "base/der.hpp"

namespace culvert {

std::optional<der::Element> DerReader::next() {
  ByteReader reader(rest_);
  der::Element element;
  element.tag = reader.u8();
  std::size_t length = reader.u8();
  if ((element.tag & 0x1f) == 0x1f) return std::nullopt;
  if (length > 0x80) {
    const std::size_t octets = length & 0x7f;
    if (octets > 4) return std::nullopt;
    length = 0;
    for (std::size_t i = 0; i < octets; ++i) length = length << 8 | reader.u8();
    // Not the shortest form.
    if (length < 0x80 || (octets > 1 && length >> (8 * (octets - 1)) == 0)) return std::nullopt;
  } else if (length == 0x80) {
    return std::nullopt;
  }
  element.content = reader.bytes(length);
  if (!reader.ok()) return std::nullopt;
  rest_ = reader.rest();
  return element;
}

std::optional<ByteView> DerReader::next(std::uint8_t tag) {
  const auto element = next();
  return element && element->tag == tag ? std::optional(element->content) : std::nullopt;
}

Bytes der_element(std::uint8_t tag, ByteView content) {
  Bytes out = {tag};
  if (content.size() < 0x80) {
    out.push_back(static_cast<std::uint8_t>(content.size()));
  } else {
    Bytes length;
    for (std::size_t rest = content.size(); rest != 0; rest >>= 8)
      length.insert(length.begin(), static_cast<std::uint8_t>(rest));
    out.push_back(static_cast<std::uint8_t>(0x80 | length.size()));
    out.insert(out.end(), length.begin(), length.end());
  }
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

}  // namespace culvert
