// The host's addresses: which there are, which of them would speak to a peer, and ones that we add and take back.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/netlink_socket.hpp"
#include "net/address.hpp"

namespace culvert::io {

struct InterfaceAddress {
  unsigned interface_index = 0;
  net::IpAddress address;
  std::uint8_t prefix_length = 0;
  bool global = true;      // scope: not only for this link or host
  bool tentative = false;  // IPv6: duplicate address detection has not ended, not usable yet
  friend auto operator<=>(const InterfaceAddress&, const InterfaceAddress&) = default;
};

/// All addresses of all interfaces.
[[nodiscard]] Result<std::vector<InterfaceAddress>, IoError> local_addresses();

/// The indexes of interfaces that are up and have a carrier. IPv4 addresses stay on an interface that has lost both.
[[nodiscard]] std::set<unsigned> working_interfaces();

/// Those at which other hosts may reach this one: of working interfaces but `except`, and not of loopback, of one link
/// only, or not usable yet.
[[nodiscard]] std::vector<net::IpAddress> addresses_for_peers(const std::vector<InterfaceAddress>& addresses,
                                                              const std::set<unsigned>& working, unsigned except);

/// The first of the host's own usable addresses (loopback interfaces included, 127/8 and ::1 not) that lies within
/// `ranges`.
[[nodiscard]] std::optional<net::IpAddress> local_address_within(const std::vector<InterfaceAddress>& addresses,
                                                                 const std::vector<net::AddressRange>& ranges);

/// The address that the kernel would send from to reach `remote`, for packets that carry `mark`: `from` if that is
/// given, which must be of `remote`'s family. `unreachable` without a route, `address_unavailable` if `from` is not the
/// host's.
[[nodiscard]] Result<net::IpAddress, IoError> local_address_towards(const net::IpAddress& remote, std::uint32_t mark,
                                                                    const std::optional<net::IpAddress>& from = {});

/// Addresses added to one interface by us.
class AddedAddresses {
 public:
  [[nodiscard]] static Result<AddedAddresses, IoError> open(unsigned interface_index);
  AddedAddresses(AddedAddresses&&) noexcept = default;
  AddedAddresses& operator=(AddedAddresses&&) = delete;
  /// Takes them all back.
  ~AddedAddresses();

  /// An address that is there already, by whomever, is left alone and not taken back.
  [[nodiscard]] Result<void, IoError> add(const net::IpAddress& address, unsigned prefix_length);
  void remove(const net::IpAddress& address);

 private:
  AddedAddresses(NetlinkSocket netlink, unsigned interface_index)
      : netlink_(std::move(netlink)), interface_index_(interface_index) {}
  [[nodiscard]] Result<void, IoError> change(const InterfaceAddress& address, bool add);

  NetlinkSocket netlink_;
  unsigned interface_index_;
  std::set<InterfaceAddress> added_;
};

}  // namespace culvert::io
