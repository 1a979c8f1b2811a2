#include "io/process_rights.hpp"

#include <array>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace culvert::io {

ProcessRights process_rights() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  const bool known = ::syscall(SYS_capget, &header, data.data()) == 0;
  const auto has = [&](unsigned capability) { return known && ((data[0].effective >> capability) & 1U) != 0; };
  return {.root = ::geteuid() == 0,
          .net_admin = has(CAP_NET_ADMIN),
          .net_raw = has(CAP_NET_RAW),
          .net_bind_service = has(CAP_NET_BIND_SERVICE)};
}

}  // namespace culvert::io
