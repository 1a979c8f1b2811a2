#include "base/bytes.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace culvert {

std::uint8_t ByteReader::u8() {
  const ByteView b = bytes(1);
  return b.empty() ? std::uint8_t{0} : b[0];
}

std::uint16_t ByteReader::u16() {
  const ByteView b = bytes(2);
  return b.empty() ? std::uint16_t{0} : load_be16(b.data());
}

std::uint32_t ByteReader::u32() {
  const ByteView b = bytes(4);
  return b.empty() ? 0 : load_be32(b.data());
}

std::uint64_t ByteReader::u64() {
  const ByteView b = bytes(8);
  return b.empty() ? 0 : load_be64(b.data());
}

ByteView ByteReader::bytes(std::size_t count) {
  if (count > rest_.size()) {
    fail();
    return {};
  }
  const ByteView taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

ByteReader ByteReader::sub(std::size_t count) {
  if (count > rest_.size()) {
    fail();
    ByteReader failed({});
    failed.ok_ = false;
    return failed;
  }
  return ByteReader(bytes(count));
}

void ByteReader::fail() {
  ok_ = false;
  rest_ = {};
}

void ByteWriter::u16(std::uint16_t value) {
  std::uint8_t raw[2];
  store_be16(raw, value);
  bytes(raw);
}

void ByteWriter::u32(std::uint32_t value) {
  std::uint8_t raw[4];
  store_be32(raw, value);
  bytes(raw);
}

void ByteWriter::u64(std::uint64_t value) {
  std::uint8_t raw[8];
  store_be64(raw, value);
  bytes(raw);
}

void ByteWriter::patch_u8(std::size_t offset, std::uint8_t value) {
  CHECK(offset < out_.size());
  out_[offset] = value;
}

void ByteWriter::patch_u16(std::size_t offset, std::uint16_t value) {
  CHECK(offset + 2 <= out_.size());
  store_be16(out_.data() + offset, value);
}

void ByteWriter::patch_u32(std::size_t offset, std::uint32_t value) {
  CHECK(offset + 4 <= out_.size());
  store_be32(out_.data() + offset, value);
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t b : bytes) {
    text.push_back(kDigits[b >> 4]);
    text.push_back(kDigits[b & 15]);
  }
  return text;
}

namespace {

std::optional<std::uint8_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

}  // namespace

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = hex_digit(text[i]);
    const auto low = hex_digit(text[i + 1]);
    if (!high || !low) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>(*high << 4 | *low));
  }
  return out;
}

Bytes concat(std::initializer_list<ByteView> parts) {
  Bytes out;
  std::size_t total = 0;
  for (const ByteView part : parts) total += part.size();
  out.reserve(total);
  for (const ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

bool equal(ByteView a, ByteView b) { return std::ranges::equal(a, b); }

}  // namespace culvert
