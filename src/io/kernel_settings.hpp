// Settings of the kernel below /proc/sys, read and never written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace culvert::io {

/// The first line of a setting, "net.ipv4.tcp_congestion_control" being named "net/ipv4/tcp_congestion_control"; in the
/// network namespace of the calling thread. Nothing where the kernel does not have it or does not let it be read.
[[nodiscard]] std::optional<std::string> kernel_setting(const std::string& name);
/// The same as a number.
[[nodiscard]] std::optional<std::int64_t> kernel_number(const std::string& name);

}  // namespace culvert::io
