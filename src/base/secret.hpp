// SecretBytes: key material that is wiped when it goes out of scope, never copied implicitly and has no printed form.
#pragma once

#include <cstddef>
#include <memory>

#include "base/bytes.hpp"

namespace culvert {

/// Overwrites the bytes with zeros in a way the compiler may not remove.
void wipe(MutableByteView bytes) noexcept;

/// Compares in time that depends on the lengths only. False when the lengths differ.
[[nodiscard]] bool constant_time_equal(ByteView a, ByteView b) noexcept;

/// Owns a fixed number of secret octets.
///
/// Movable; a copy is made only by `clone()`, so that each one is visible in the code. There is deliberately no stream
/// or format operator.
class SecretBytes {
 public:
  SecretBytes() = default;
  /// `size` zero octets, to be filled through `mutable_view()`.
  explicit SecretBytes(std::size_t size);
  /// Copies the octets; the caller wipes the source where that matters.
  [[nodiscard]] static SecretBytes copy_of(ByteView bytes);

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  [[nodiscard]] SecretBytes clone() const { return copy_of(view()); }
  [[nodiscard]] ByteView view() const { return {data_.get(), size_}; }
  [[nodiscard]] MutableByteView mutable_view() { return {data_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  std::unique_ptr<std::uint8_t[]> data_;
  std::size_t size_ = 0;
};

}  // namespace culvert
