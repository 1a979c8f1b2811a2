// LongPackets: how long the TCP super-packets for TUN may be at the moment. The kernel wants pages in a row for those
// beyond 65,535 octets, and may have none: then they are shorter for a while. What it refused TCP sends again.
#pragma once

#include <cstddef>
#include <optional>

#include "ipsec/super_packet.hpp"

namespace culvert::datapath {

class LongPackets {
 public:
  /// As the host allows it. It holds at once.
  void set(const ipsec::TcpJoining& allowed) {
    allowed_ = allowed;
    short_left_ = 0;
  }
  /// After each write of a packet of so many octets: what is to hold from now on, if that changes.
  [[nodiscard]] std::optional<ipsec::TcpJoining> written(std::size_t length, bool refused) {
    if (refused && length > ipsec::kMaxInnerPacket) {
      short_left_ = kShortFor;
      return ipsec::TcpJoining{ipsec::kMaxInnerPacket, allowed_.over_push};
    }
    if (short_left_ == 0 || --short_left_ != 0) return {};
    return allowed_;
  }

  /// Writes until long ones are tried again.
  static constexpr unsigned kShortFor = 4096;

 private:
  ipsec::TcpJoining allowed_;
  unsigned short_left_ = 0;
};

}  // namespace culvert::datapath
