#pragma once

#include "base/random.hpp"

namespace culvert::crypto {

/// The cryptographic random source of the provider library. Ends the process if the system has no entropy to give.
class SystemRandom final : public RandomSource {
 public:
  void fill(MutableByteView out) override;
};

}  // namespace culvert::crypto
