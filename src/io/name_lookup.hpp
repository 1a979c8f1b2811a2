// Looks up host names, several at once and with an end in sight, for commands that must answer: the resolver itself may
// take half a minute for each name and cannot be interrupted.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "net/address.hpp"

namespace culvert::io {

struct NameAnswer {
  std::vector<net::IpAddress> addresses;  // as the resolver orders them, each once
  std::string error;                      // the resolver's words; empty with addresses
};

/// One answer for each name, in their order. Those that have no answer within `patience` have an error; their threads
/// go on in the background and touch nothing of the caller.
[[nodiscard]] std::vector<NameAnswer> look_up(const std::vector<std::string>& names,
                                              std::chrono::milliseconds patience);

}  // namespace culvert::io
