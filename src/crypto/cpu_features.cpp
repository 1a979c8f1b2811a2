#include "crypto/cpu_features.hpp"

namespace culvert::crypto {

std::vector<CpuFeature> cpu_features() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const auto has = [](int answer) { return answer != 0; };
  const bool wide = has(__builtin_cpu_supports("avx512f")) && has(__builtin_cpu_supports("avx512bw")) &&
                    has(__builtin_cpu_supports("avx512vl")) && has(__builtin_cpu_supports("avx512dq"));
  return {{"AES-NI", has(__builtin_cpu_supports("aes"))},
          {"PCLMULQDQ", has(__builtin_cpu_supports("pclmul"))},
          {"AVX2", has(__builtin_cpu_supports("avx2"))},
          {"VAES", has(__builtin_cpu_supports("vaes"))},
          {"VPCLMULQDQ", has(__builtin_cpu_supports("vpclmulqdq"))},
          {"AVX-512", wide}};
#else
  return {};
#endif
}

}  // namespace culvert::crypto
