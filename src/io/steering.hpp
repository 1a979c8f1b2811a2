// Steering: which of several sockets a packet from the wire comes to: always the same for one sender.
//
// So that what one peer sends stays in order, whatever SAs it is for, one worker receives all of it. The choice is made
// in the kernel (a classic BPF program) and can be worked out here.
#pragma once

#include <cstdint>
#include <span>

#include "io/datagram_socket.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// The share, 0 to `shares` - 1, of packets from this address.
[[nodiscard]] std::uint32_t share_of(const net::IpAddress& source, std::uint32_t shares);

/// Lets the sockets of a group (DatagramSocket::sibling), the first one given, have one share each, in the order in
/// which they were made.
[[nodiscard]] Result<void, IoError> steer_group(const DatagramSocket& first, std::uint32_t shares);
/// Lets a raw socket, which else gets a copy of every packet, have its share only.
[[nodiscard]] Result<void, IoError> keep_share(const DatagramSocket& socket, std::uint32_t share, std::uint32_t shares);

}  // namespace culvert::io
