// LinkResolver: by which interface and to which Ethernet address the kernel would send a packet.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "io/error.hpp"
#include "io/netlink_socket.hpp"
#include "net/address.hpp"

namespace culvert::io {

using EthernetAddress = std::array<std::uint8_t, 6>;

struct LinkTarget {
  unsigned interface_index = 0;
  EthernetAddress source{};
  EthernetAddress destination{};
  std::uint16_t mtu = 0;
};

class LinkResolver {
 public:
  [[nodiscard]] static Result<LinkResolver, IoError> open();

  /// Asks the kernel, which takes some 100 us. Nothing where it would not send by Ethernet, or does not know the
  /// neighbour yet: then it is to send for itself, and learns. `mark` is that of the packets.
  [[nodiscard]] std::optional<LinkTarget> resolve(const net::IpAddress& local, const net::IpAddress& remote,
                                                  std::uint32_t mark);

 private:
  explicit LinkResolver(NetlinkSocket netlink) : netlink_(std::move(netlink)) {}
  struct Hop {
    unsigned interface_index = 0;
    net::IpAddress neighbour;
  };
  [[nodiscard]] std::optional<Hop> next_hop(const net::IpAddress& local, const net::IpAddress& remote,
                                            std::uint32_t mark);
  [[nodiscard]] std::optional<EthernetAddress> neighbour(const Hop& hop);
  void use(const Hop& hop);
  [[nodiscard]] bool read_link(LinkTarget& target);

  NetlinkSocket netlink_;
};

/// Of an interface, by its name.
struct LinkFacts {
  unsigned index = 0;
  std::uint16_t mtu = 0;
  std::uint32_t receive_queues = 0;
  bool ethernet = false;
};
[[nodiscard]] Result<LinkFacts, IoError> link_facts(const std::string& name);

}  // namespace culvert::io
