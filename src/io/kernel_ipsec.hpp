// Whether the kernel's own IPsec (XFRM) holds state that could take packets from us or change the ones we send.
#pragma once

#include <cstdint>

namespace culvert::io {

struct KernelIpsec {
  bool available = false;  // the kernel has XFRM at all, and we may ask
  std::uint32_t sas = 0;
  std::uint32_t policies = 0;  // inbound, outbound and forward; per-socket ones not counted
  /// Kernel SAs take protocol 50 before or beside our raw sockets; kernel policies act on what our sockets send.
  [[nodiscard]] bool in_use() const { return sas != 0 || policies != 0; }
};

/// Asks the kernel; counts are 0 where it cannot tell.
[[nodiscard]] KernelIpsec kernel_ipsec();

}  // namespace culvert::io
