// SuiteSupport: which suites the cipher libraries of this machine have. Asked once for each, with a key of zeros.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "crypto/packet_cipher.hpp"

namespace culvert::ipsec {

class SuiteSupport {
 public:
  explicit SuiteSupport(crypto::Backend backend) : backend_(backend) {}

  /// The name of the library that computes the suite; null when none does. Good as long as this object.
  [[nodiscard]] const std::string* library(const crypto::PacketSuite& suite);

 private:
  crypto::Backend backend_;
  std::deque<std::pair<crypto::PacketSuite, std::optional<std::string>>> known_;
};

}  // namespace culvert::ipsec
