// Nat: an address and port translator in front of one host (RFC 4787: endpoint-independent mapping and filtering,
// mappings that expire when idle), which can forget all mappings at once as a rebooted or overloaded one does.
#pragma once

#include <cstdint>
#include <map>

#include "base/random.hpp"
#include "base/time.hpp"
#include "net/address.hpp"
#include "tests/sim/packet.hpp"

namespace culvert::sim {

class Nat {
 public:
  Nat(const net::IpAddress& inside, const net::IpAddress& outside, Duration idle_timeout, RandomSource& random)
      : inside_(inside), outside_(outside), idle_timeout_(idle_timeout), random_(random) {}

  [[nodiscard]] const net::IpAddress& outside() const { return outside_; }

  /// Rewrites the source. False: this packet cannot pass (protocol 50 has no ports to translate).
  [[nodiscard]] bool outbound(Packet& packet, Instant now);
  /// Rewrites the destination. False: there is no mapping.
  [[nodiscard]] bool inbound(Packet& packet, Instant now);
  /// Forgets all mappings: the next packet from inside gets another port.
  void rebind() {
    mappings_.clear();
    ++generation_;
  }
  /// The same with another address.
  void rebind(const net::IpAddress& outside) {
    outside_ = outside;
    rebind();
  }
  /// How often they were forgotten.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  struct Mapping {
    std::uint16_t inside_port = 0;
    Instant used;
  };
  net::IpAddress inside_;
  net::IpAddress outside_;
  Duration idle_timeout_;
  RandomSource& random_;
  std::map<std::uint16_t, Mapping> mappings_;  // by outside port
  std::uint64_t generation_ = 0;
};

}  // namespace culvert::sim
