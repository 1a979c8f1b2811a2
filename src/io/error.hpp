// IoError: what the system refused, in words that name the thing and the way out.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace culvert::io {

enum class IoErrorCode : std::uint8_t {
  not_permitted,        // a missing capability
  not_supported,        // the kernel lacks it
  no_tun_device,        // no /dev/net/tun
  name_taken,           // an interface of that name exists
  address_in_use,       // a port that another process holds
  address_unavailable,  // an address that is not this host's
  unreachable,          // no route
  invalid,              // a value that the system does not take
  system                // anything else; `system_error` says what
};

struct IoError {
  IoErrorCode code = IoErrorCode::system;
  int system_error = 0;  // errno where there was one
  std::string text;      // one sentence, and what to do about it where that is known
};

/// `what` with the system's words for `system_error`; the code follows from the number.
[[nodiscard]] IoError system_error(const std::string& what, int system_error);
[[nodiscard]] std::string errno_text(int system_error);

}  // namespace culvert::io
