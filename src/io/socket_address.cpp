#include "io/socket_address.hpp"

#include <cstring>

#include <netinet/in.h>

namespace culvert::io {

socklen_t to_sockaddr(const net::Endpoint& endpoint, sockaddr_storage& out) {
  const ByteView octets = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, octets.data(), 4);
    std::memcpy(&out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(endpoint.port);
  std::memcpy(&in.sin6_addr, octets.data(), 16);
  std::memcpy(&out, &in, sizeof in);
  return sizeof in;
}

net::Endpoint from_sockaddr(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    std::array<std::uint8_t, 4> octets;
    std::memcpy(octets.data(), &in.sin_addr, 4);
    return {net::IpAddress::v4(octets), ntohs(in.sin_port)};
  }
  if (address.ss_family != AF_INET6) return {};
  sockaddr_in6 in;
  std::memcpy(&in, &address, sizeof in);
  std::array<std::uint8_t, 16> octets;
  std::memcpy(octets.data(), &in.sin6_addr, 16);
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
    return {net::IpAddress::v4({octets[12], octets[13], octets[14], octets[15]}), ntohs(in.sin6_port)};
  }
  return {net::IpAddress::v6(octets), ntohs(in.sin6_port)};
}

}  // namespace culvert::io
