// SHA3 and SHAKE (FIPS 202), as ML-KEM needs them: a sponge that absorbs and squeezes in any portions. No branch and no
// address depends on what is absorbed.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "base/bytes.hpp"

namespace culvert::crypto {

/// Absorbs, then squeezes; its state is wiped at the end.
class Keccak {
 public:
  enum class Function : std::uint8_t { sha3_256, sha3_512, shake_128, shake_256 };

  explicit Keccak(Function function);
  ~Keccak();
  Keccak(const Keccak&) = delete;
  Keccak& operator=(const Keccak&) = delete;

  /// Not after the first squeeze().
  void absorb(ByteView input);
  /// The next octets of the output: of SHA3 as many as the digest has in all, of SHAKE without end.
  void squeeze(MutableByteView output);

 private:
  void permute();

  std::array<std::uint64_t, 25> lanes_{};
  std::size_t rate_;
  std::uint8_t suffix_;  // the bits that tell the functions apart, and the first bit of the padding
  std::size_t at_ = 0;
  bool squeezing_ = false;
};

/// All of the input, one part after the other, to as much output as there is room for.
void keccak(Keccak::Function function, std::initializer_list<ByteView> input, MutableByteView output);

}  // namespace culvert::crypto
