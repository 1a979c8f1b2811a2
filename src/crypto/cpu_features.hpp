// What this CPU has that packet ciphers profit from.
#pragma once

#include <string>
#include <vector>

namespace culvert::crypto {

struct CpuFeature {
  std::string name;  // "AES-NI"
  bool present = false;
};

/// AES-NI, PCLMULQDQ, AVX2, VAES, VPCLMULQDQ and AVX-512 (F, BW, VL and DQ together), in this order; empty where the
/// CPU is no x86.
[[nodiscard]] std::vector<CpuFeature> cpu_features();

}  // namespace culvert::crypto
